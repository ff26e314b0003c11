//! A filled-in form, checked.

use std::collections::BTreeMap;

use harness_event::{FaultSpec, Plan};
use toml::{Table, Value};

use super::kinds::{key_of, kinds, table};
use crate::{
    diagnostic::{Diagnostic, Diagnostics, Severity},
    parse,
    schema::{FAULT, Kind},
    suggest,
};

/// Longest name, as `[[fault]]` has it.
const MAX_NAME: usize = 63;

/// The fault that a form stands for: values by key, as typed; those that are empty are left out. Its `start` is zero.
///
/// # Errors
/// Every problem, as a scenario file with these values would have it.
pub fn fault(kind: &str, values: &BTreeMap<String, String>) -> Result<FaultSpec, Vec<String>> {
    if table(kind).is_none() {
        let all: Vec<&str> = kinds().iter().map(|kind| kind.kind).collect();
        let hint =
            suggest::hint(kind, &all, "the kinds are").map_or_else(String::new, |hint| format!(": {hint}"));
        return Err(vec![format!("there is no kind of fault {}{hint}", suggest::quoted(kind))]);
    }
    let text = scenario(kind, values);
    match parse("form", &text) {
        Ok(scenario) => {
            let only = scenario.plan.faults.into_iter().next();
            only.ok_or_else(|| vec!["the form does not say what breaks".to_owned()])
        }
        Err(found) => Err(errors(&found)),
    }
}

/// A plan in which nothing is done and nothing expected, with the format's defaults for everything else.
///
/// # Errors
/// If the title or the namespace is none.
pub fn bare(title: &str, namespace: &str) -> Result<Plan, Vec<String>> {
    let target = Table::from_iter([("workload".to_owned(), Value::from("deployment/any"))]);
    let any = Table::from_iter([
        ("name".to_owned(), Value::from("any")),
        ("duration".to_owned(), Value::from("1s")),
        ("restart".to_owned(), Value::Table(target)),
    ]);
    match parse("plan", &around(title, namespace, any)) {
        Ok(scenario) => Ok(Plan { faults: Vec::new(), expectations: Vec::new(), ..scenario.plan }),
        Err(found) => Err(errors(&found)),
    }
}

/// A name for a fault that was given none: its kind and its target.
pub fn default_name(kind: &str, values: &BTreeMap<String, String>) -> String {
    let fields = kinds().into_iter().find(|one| one.kind == kind).map(|one| one.fields).unwrap_or_default();
    let target = fields.iter().filter(|field| field.required).find_map(|field| {
        let value = values.get(&field.key)?.trim();
        let last = value.rsplit(['/', '=', ',', ' ']).next()?;
        (field.key != "duration" && last.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(last)
    });
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let text = match target {
        Some(target) => format!("{kind}-{target}"),
        None => kind.to_owned(),
    };
    let name: String = text.chars().map(|c| if known(c) { c } else { '-' }).take(MAX_NAME).collect();
    name.trim_end_matches(['-', '.']).to_owned()
}

fn errors(found: &Diagnostics) -> Vec<String> {
    found.iter().filter(|problem| problem.severity == Severity::Error).map(message).collect()
}

fn message(problem: &Diagnostic) -> String {
    match &problem.hint {
        Some(hint) => format!("{} ({hint})", problem.message),
        None => problem.message.clone(),
    }
}

/// The smallest scenario with this fault in it.
fn scenario(kind: &str, values: &BTreeMap<String, String>) -> String {
    let mut fault = Table::new();
    let mut own = Table::new();
    let given =
        values.iter().map(|(key, value)| (key.as_str(), value.trim())).filter(|(_, value)| !value.is_empty());
    for (key, value) in given {
        let common = FAULT.key(key).filter(|key| !matches!(key.kind, Kind::Table(_) | Kind::Tables(_)));
        match common {
            Some(common) => drop(fault.insert(key.to_owned(), typed(common.kind, value))),
            // One that is not known is reported where it would stand.
            None => {
                let holds = key_of(kind, key).map_or(Kind::Text, |key| key.kind);
                insert(&mut own, key, typed(holds, value));
            }
        }
    }
    if !fault.contains_key("name") {
        fault.insert("name".to_owned(), Value::String(default_name(kind, values)));
    }
    fault.insert(kind.to_owned(), Value::Table(own));
    around("form", "form", fault)
}

/// A scenario with this fault and nothing else in it.
fn around(title: &str, namespace: &str, fault: Table) -> String {
    // Any expectation will do: it is the fault that is looked at.
    let expected = Table::from_iter([
        ("workload".to_owned(), Value::from("deployment/any")),
        ("ready".to_owned(), Value::from(1)),
        ("within".to_owned(), Value::from("1s")),
    ]);
    let expect = Table::from_iter([("workload".to_owned(), Value::Array(vec![Value::Table(expected)]))]);
    let whole = Table::from_iter([
        ("title".to_owned(), Value::from(title)),
        ("namespace".to_owned(), Value::from(namespace)),
        ("fault".to_owned(), Value::Array(vec![Value::Table(fault)])),
        ("expect".to_owned(), Value::Table(expect)),
    ]);
    whole.to_string()
}

/// Puts a value where its dotted key says.
fn insert(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => drop(table.insert(key.to_owned(), value)),
        Some((first, rest)) => {
            let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                insert(inner, rest, value);
            }
        }
    }
}

/// What was typed, as the value that stands in a file: where the format wants something else than a text, as TOML if it is that.
fn typed(holds: Kind, text: &str) -> Value {
    let plain = match holds {
        Kind::Boolean
        | Kind::Integer(..)
        | Kind::Number(..)
        | Kind::Share
        | Kind::Headers
        | Kind::Json
        | Kind::Matchers
        | Kind::AlertMatchers
        | Kind::Form
        | Kind::Extract
        | Kind::Think(..)
        | Kind::SloIds
        | Kind::Table(_)
        | Kind::Tables(_) => false,
        Kind::Line
        | Kind::Text
        | Kind::Name
        | Kind::Namespace
        | Kind::Duration(..)
        | Kind::Url
        | Kind::Method
        | Kind::Query
        | Kind::Comparison
        | Kind::RatioComparison
        | Kind::LatencyComparison
        | Kind::Window
        | Kind::AlertName
        | Kind::Workload
        | Kind::Selector
        | Kind::ObjectName
        | Kind::Path
        | Kind::Order
        | Kind::Phase
        | Kind::SloId
        | Kind::SloWindow => true,
    };
    let written = || -> Option<Value> {
        let table: Table = format!("value = {text}").parse().ok()?;
        // More than one key: the text had a line break in it.
        (table.len() == 1).then(|| table.get("value").cloned()).flatten()
    };
    if plain {
        Value::String(text.to_owned())
    } else {
        written().unwrap_or_else(|| Value::String(text.to_owned()))
    }
}
