//! Reads one TOML table by its schema: unknown keys, missing keys, defaults, types.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{
    problems::{Found, Issue, Problems, Span},
    schema::{self, Key, Kind, Need},
    suggest::{self, quoted},
    syntax::type_name,
};

/// Most tables of one list: they are held against each other.
const MAX_TABLES: usize = 1000;

/// A table being read.
pub(crate) struct Reader<'v, 't> {
    schema: &'static schema::Table,
    entries: &'v DeTable<'t>,
    /// Known keys that unknown ones stand for, most probably.
    meant: Vec<&'static str>,
    /// Its header, or the whole inline table.
    pub span: Span,
}

impl<'v, 't> Reader<'v, 't> {
    /// Starts reading; reports keys that the table does not have.
    pub(crate) fn new(
        schema: &'static schema::Table,
        entries: &'v DeTable<'t>,
        span: Span,
        problems: &mut Problems<'_>,
    ) -> Self {
        let mut meant = Vec::new();
        for key in entries.keys().filter(|key| schema.key(key.get_ref()).is_none()) {
            let name = key.get_ref();
            let issue = Issue::new(format!("unknown key {} in {}", quoted(name), schema.label()));
            let near = suggest::nearest(name, schema.names());
            meant.extend(near);
            problems.error(&key.span(), issue.hint(unknown_key_hint(name, near, schema)));
        }
        Self { schema, entries, meant, span }
    }

    fn schema_key(&self, name: &str) -> Option<&'static Key> {
        let key = self.schema.key(name);
        debug_assert!(key.is_some(), "{name} is not in the schema of {}", self.schema.label());
        key
    }

    /// What a key holds.
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        self.schema_key(name).map(|key| key.kind)
    }

    /// The place of a key's value, or of the table if it is not there.
    pub(crate) fn place(&self, name: &str) -> Span {
        self.entries.get(name).map_or_else(|| self.span.clone(), Spanned::span)
    }

    /// True if the key stands in the file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// A key's value if it is a text, whatever else is wrong with it.
    pub(crate) fn raw_text(&self, name: &str) -> Option<&'v str> {
        self.entries.get(name).and_then(|value| value.get_ref().as_str())
    }

    /// True if the key stands in the file, or an unknown one that is nearly written like it.
    pub(crate) fn has_or_meant(&self, name: &str) -> bool {
        self.has(name) || self.meant.contains(&name)
    }

    /// True if the key stands in the file, or nearly, and is not an empty list.
    pub(crate) fn has_or_meant_some(&self, name: &str) -> bool {
        let empty = |value: &DeValue<'_>| value.as_array().is_some_and(|items| items.is_empty());
        self.has_or_meant(name) && !self.entries.get(name).is_some_and(|value| empty(value.get_ref()))
    }

    /// Reads a key. `None` if it is not there and has no default, or is wrong; what is wrong is reported.
    pub(crate) fn get<T>(
        &self,
        name: &str,
        problems: &mut Problems<'_>,
        read: impl Fn(&DeValue<'_>, &Span) -> Result<T, Issue>,
    ) -> Option<Found<T>> {
        let key = self.schema_key(name)?;
        if let Some(value) = self.entries.get(name) {
            let span = value.span();
            return match read(value.get_ref(), &span) {
                Ok(value) => Some(Found { value, span, given: true }),
                Err(issue) => {
                    problems.error(&span, issue.of_key(name));
                    None
                }
            };
        }
        match key.need {
            Need::Optional(_) => None,
            Need::Required => {
                self.missing(key, problems);
                None
            }
            Need::Default(text) => {
                // A test reads every default of the schema.
                let value = DeValue::parse(text).ok()?;
                let value = read(value.get_ref(), &self.span).ok()?;
                Some(Found { value, span: self.span.clone(), given: false })
            }
        }
    }

    fn missing(&self, key: &Key, problems: &mut Problems<'_>) {
        let (name, label) = (key.name, self.schema.label());
        if self.meant.contains(&name) {
            return;
        }
        let issue = match key.kind {
            Kind::Tables(table) | Kind::Table(table) if self.schema.header.is_empty() => {
                Issue::new(format!("there is no {}", table.header)).hint(key.doc)
            }
            Kind::Tables(table) | Kind::Table(table) => {
                Issue::new(format!("there is no {} in {label}", table.header)).hint(key.doc)
            }
            _ => Issue::new(format!("missing key {name:?} in {label}"))
                .hint(format!("{} ({})", key.doc, key.kind)),
        };
        problems.incomplete(&self.span, issue);
    }

    /// Reads an integer in its limits.
    pub(crate) fn integer(&self, name: &str, problems: &mut Problems<'_>) -> Option<Found<i64>> {
        let Some(Kind::Integer(min, max)) = self.schema_key(name).map(|key| key.kind) else { return None };
        self.get(name, problems, |value, _| crate::values::integer(value, min, max))
    }

    /// Reads a number in its limits.
    pub(crate) fn number(&self, name: &str, problems: &mut Problems<'_>) -> Option<Found<f64>> {
        let Some(Kind::Number(min, max)) = self.schema_key(name).map(|key| key.kind) else { return None };
        self.get(name, problems, |value, _| crate::values::number(value, min, max))
    }

    /// The keys in a key's value if it is a table, whatever else is wrong with it.
    pub(crate) fn raw_keys(&self, name: &str) -> Vec<String> {
        let table = self.entries.get(name).and_then(|value| value.get_ref().as_table());
        table.into_iter().flat_map(|table| table.keys()).map(|key| key.get_ref().to_string()).collect()
    }

    /// All texts in the value of a key, also those deep in it, with their places.
    pub(crate) fn texts(&self, name: &str) -> Vec<(&'v str, Span)> {
        // The lexer has bounded the depth.
        fn collect<'v>(value: &'v Spanned<DeValue<'_>>, found: &mut Vec<(&'v str, Span)>) {
            match value.get_ref() {
                DeValue::String(text) => found.push((text, value.span())),
                DeValue::Array(items) => items.iter().for_each(|item| collect(item, found)),
                DeValue::Table(table) => table.values().for_each(|value| collect(value, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        self.entries.get(name).into_iter().for_each(|value| collect(value, &mut found));
        found
    }

    /// Reads a length of time in its limits.
    pub(crate) fn duration(
        &self,
        name: &str,
        problems: &mut Problems<'_>,
    ) -> Option<Found<harness_event::Millis>> {
        let Some(Kind::Duration(min, max)) = self.schema_key(name).map(|key| key.kind) else { return None };
        self.get(name, problems, |value, _| crate::values::duration(value, min, max))
    }

    /// A table below this one.
    pub(crate) fn table(&self, name: &str, problems: &mut Problems<'_>) -> Option<Reader<'v, 't>> {
        let key = self.schema_key(name)?;
        let Kind::Table(schema) = key.kind else { return None };
        let Some(value) = self.entries.get(name) else {
            if key.need == Need::Required {
                self.missing(key, problems);
            }
            return None;
        };
        match value.get_ref() {
            DeValue::Table(entries) => Some(Reader::new(schema, entries, value.span(), problems)),
            other => {
                let issue = Issue::new(format!("`{name}` must be a table, this is {}", type_name(other)));
                problems.error(&value.span(), issue.hint(format!("write {}", schema.header)));
                None
            }
        }
    }

    /// A list of tables below this one.
    pub(crate) fn tables(&self, name: &str, problems: &mut Problems<'_>) -> Vec<Reader<'v, 't>> {
        let Some(key) = self.schema_key(name) else { return Vec::new() };
        let Kind::Tables(schema) = key.kind else { return Vec::new() };
        let Some(value) = self.entries.get(name) else {
            if key.need == Need::Required {
                self.missing(key, problems);
            }
            return Vec::new();
        };
        let wrong = |what: String, other: &DeValue<'_>| {
            Issue::new(format!("{what}, this is {}", type_name(other)))
                .hint(format!("write {}", schema.header))
        };
        let items = match value.get_ref() {
            DeValue::Array(items) => items,
            other => {
                problems.error(&value.span(), wrong(format!("`{name}` must be a list of tables"), other));
                return Vec::new();
            }
        };
        if items.is_empty() && key.need == Need::Required {
            self.missing(key, problems);
        }
        if let Some(extra) = items.get(MAX_TABLES) {
            let issue = Issue::new(format!(
                "there are {} tables {}, at most {MAX_TABLES}",
                items.len(),
                schema.header
            ));
            problems.error(&extra.span(), issue);
        }
        let mut readers = Vec::new();
        for item in items.iter().take(MAX_TABLES) {
            match item.get_ref() {
                DeValue::Table(entries) => readers.push(Reader::new(schema, entries, item.span(), problems)),
                other => problems
                    .error(&item.span(), wrong(format!("each item of `{name}` must be a table"), other)),
            }
        }
        readers
    }
}

/// The key that was meant: a near one of this table, or one of another table.
fn unknown_key_hint(name: &str, near: Option<&str>, table: &'static schema::Table) -> String {
    if let Some(near) = near {
        return format!("did you mean {near:?}?");
    }
    let all = schema::SCENARIO.walk();
    let places = |name: &str| {
        let tables = all.iter().filter(|other| other.key(name).is_some()).map(|other| other.label());
        tables.collect::<Vec<_>>().join(" and ")
    };
    let names = all.iter().flat_map(|other| other.names());
    match suggest::nearest(name, names) {
        Some(exact) if exact == name => format!("{name:?} is a key of {}", places(name)),
        Some(near) => format!("did you mean {near:?}, a key of {}?", places(near)),
        None => format!("the keys of {} are: {}", table.label(), table.names().join(", ")),
    }
}
