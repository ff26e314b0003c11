//! Kinds of faults and their fields.

use crate::schema::{FAULT, Key, Kind, Need, Table};

/// Duration that a form begins with: long enough for most alerts to fire, short enough to wait for.
const PRESET_DURATION: &str = "30s";
/// Keys of `[[fault]]` that say when and how long, for every kind; `start` is the moment at which it is injected.
const LAST: [&str; 2] = ["effect_within", "name"];

/// A kind of fault that can be injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultKind {
    /// Its key in `[[fault]]`.
    pub kind: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// What is to be filled in: first what must be, then what may be.
    pub fields: Vec<FormField>,
}

/// One field of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormField {
    /// Its key; a dot stands between a table's key and that of the value in it.
    pub key: String,
    /// What it means.
    pub summary: &'static str,
    /// Must it be filled in?
    pub required: bool,
    /// What it begins with, as typed.
    pub preset: String,
    /// What it is chosen from.
    pub choice: Choice,
}

/// What a field's value is chosen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Nothing: it is typed.
    Typed,
    /// The workloads that are there, as `deployment/NAME`.
    Workloads,
    /// Label selectors of the pods that are there.
    Selectors,
}

/// All kinds, in the order of the format.
pub fn kinds() -> Vec<FaultKind> {
    FAULT.keys.iter().filter_map(kind).collect()
}

/// The table of a kind, with its key.
pub(super) fn table(kind: &str) -> Option<&'static Table> {
    FAULT.keys.iter().find(|key| key.name == kind).and_then(|key| match key.kind {
        Kind::Table(table) => Some(table),
        _ => None,
    })
}

/// What a dotted key of a kind holds.
pub(super) fn key_of(kind: &str, path: &str) -> Option<&'static Key> {
    let (first, rest) = match path.split_once('.') {
        Some((first, rest)) => (first, Some(rest)),
        None => (path, None),
    };
    let mut found = table(kind)?.key(first)?;
    for part in rest.into_iter().flat_map(|rest| rest.split('.')) {
        let Kind::Table(table) = found.kind else { return None };
        found = table.key(part)?;
    }
    Some(found)
}

fn kind(key: &'static Key) -> Option<FaultKind> {
    let Kind::Table(table) = key.kind else { return None };
    let own = fields(table, "", true);
    let common = FAULT.keys.iter().filter(|key| {
        !matches!(key.kind, Kind::Table(_) | Kind::Tables(_))
            && key.name != "start"
            && !LAST.contains(&key.name)
    });
    let last = LAST.iter().filter_map(|name| FAULT.key(name));
    let (required, optional): (Vec<_>, Vec<_>) = own.into_iter().partition(|field| field.required);
    let fields = required
        .into_iter()
        .chain(common.map(|key| field(key, "", true)))
        .chain(optional)
        .chain(last.map(|key| field(key, "", key.name != "name")))
        .collect();
    Some(FaultKind { kind: key.name, summary: table.doc, fields })
}

/// Fields of a table and of the tables in it. A list of tables cannot be filled in by a form: it is left out, and the check says
/// so where it must be there.
fn fields(table: &'static Table, prefix: &str, required: bool) -> Vec<FormField> {
    let one = |key: &'static Key| match key.kind {
        Kind::Table(inner) => {
            fields(inner, &format!("{prefix}{}.", key.name), required && key.need == Need::Required)
        }
        Kind::Tables(_) => Vec::new(),
        _ => vec![field(key, prefix, required)],
    };
    table.keys.iter().flat_map(one).collect()
}

fn field(key: &'static Key, prefix: &str, required: bool) -> FormField {
    let preset = match (key.need, key.name) {
        (Need::Default(value), _) => as_typed(value),
        (_, "duration") => PRESET_DURATION.to_owned(),
        _ => String::new(),
    };
    let choice = match key.kind {
        Kind::Workload => Choice::Workloads,
        Kind::Selector => Choice::Selectors,
        _ => Choice::Typed,
    };
    FormField {
        key: format!("{prefix}{}", key.name),
        summary: key.doc,
        required: required && key.need == Need::Required,
        preset,
        choice,
    }
}

/// A default of the tables, which is TOML, as a person would type it into a field: texts without their quotes.
fn as_typed(value: &str) -> String {
    let parsed = format!("value = {value}").parse::<toml::Table>().ok();
    match parsed.and_then(|mut table| table.remove("value")) {
        Some(toml::Value::String(text)) => text,
        _ => value.to_owned(),
    }
}
