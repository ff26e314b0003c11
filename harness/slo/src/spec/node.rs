//! YAML with the place of every value, so that all problems of a file can be named at once.

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned;

use super::problem::{Problem, Problems, Severity};

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// From 1.
    pub(crate) line: u32,
    /// From 1.
    pub(crate) column: u32,
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Located<String>, Node)>),
}

/// Something with its place.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) value: T,
}

/// The documents of a file, without the empty ones.
pub(crate) fn documents(text: &str) -> Result<Vec<Node>, Problem> {
    let read: Vec<Node> = serde_saphyr::from_multiple(text).map_err(|error| {
        let location = error.location();
        Problem {
            line: location.map_or(1, |at| narrow(at.line())),
            column: location.map_or(1, |at| narrow(at.column())),
            severity: Severity::Error,
            message: format!("no valid YAML: {}", bare(&error)),
            hint: None,
        }
    })?;
    Ok(read.into_iter().filter(|one| !matches!(one.value, Value::Null)).collect())
}

/// The error without the excerpt of the source that is drawn below it.
fn bare(error: &serde_saphyr::Error) -> String {
    let text = error.without_snippet().to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value, referenced, .. } = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self { line: narrow(referenced.line()), column: narrow(referenced.column()), value })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "no number of these files is that large")]
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "no number of these files is that large")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Located {
                line: narrow(key.referenced.line()),
                column: narrow(key.referenced.column()),
                value: key.value,
            };
            items.push((key, map.next_value()?));
        }
        Ok(Value::Map(items))
    }
}

impl Value {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a table",
        }
    }
}

impl Node {
    /// The value as a table of keys. `name` is what messages call it.
    pub(crate) fn table(&self, name: impl Into<String>, problems: &mut Problems) -> Option<Table<'_>> {
        let name = name.into();
        match &self.value {
            Value::Map(items) => {
                Some(Table { name, line: self.line, column: self.column, items, taken: Vec::new() })
            }
            other => {
                problems.error(
                    self.line,
                    self.column,
                    format!("{name} must be a table, not {}", other.kind()),
                );
                None
            }
        }
    }
}

/// A table that is read key by key. What nobody read is named at the end.
pub(crate) struct Table<'n> {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    items: &'n [(Located<String>, Node)],
    taken: Vec<&'n str>,
}

impl<'n> Table<'n> {
    /// True if the key is there with a value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    fn find(&self, key: &str) -> Option<(&'n str, &'n Node)> {
        self.items
            .iter()
            .find(|(found, node)| found.value == key && !matches!(node.value, Value::Null))
            .map(|(found, node)| (found.value.as_str(), node))
    }

    /// The value of a key; none if it is absent or null.
    pub(crate) fn node(&mut self, key: &str) -> Option<&'n Node> {
        // A key without a value is known all the same.
        if let Some((found, _)) = self.items.iter().find(|(found, _)| found.value == key) {
            self.taken.push(&found.value);
        }
        self.find(key).map(|(_, node)| node)
    }

    fn wrong(&self, key: &str, node: &Node, wanted: &str, problems: &mut Problems) {
        problems.error(
            node.line,
            node.column,
            format!("{key} of {} must be {wanted}, not {}", self.name, node.value.kind()),
        );
    }

    pub(crate) fn text(&mut self, key: &str, problems: &mut Problems) -> Option<Located<&'n str>> {
        let node = self.node(key)?;
        match &node.value {
            Value::Text(text) => Some(Located { line: node.line, column: node.column, value: text }),
            _ => {
                self.wrong(key, node, "a string", problems);
                None
            }
        }
    }

    pub(crate) fn number(&mut self, key: &str, problems: &mut Problems) -> Option<f64> {
        self.located_number(key, problems).map(|found| found.value)
    }

    pub(crate) fn located_number(&mut self, key: &str, problems: &mut Problems) -> Option<Located<f64>> {
        let Some(node) = self.node(key) else {
            problems.missing(self, key);
            return None;
        };
        match node.value {
            Value::Number(value) => Some(Located { line: node.line, column: node.column, value }),
            _ => {
                self.wrong(key, node, "a number", problems);
                None
            }
        }
    }

    /// False if the key is absent.
    pub(crate) fn flag(&mut self, key: &str, problems: &mut Problems) -> bool {
        match self.node(key) {
            None => false,
            Some(Node { value: Value::Bool(value), .. }) => *value,
            Some(node) => {
                self.wrong(key, node, "true or false", problems);
                false
            }
        }
    }

    pub(crate) fn list(&mut self, key: &str, problems: &mut Problems) -> Option<Located<&'n [Node]>> {
        let node = self.node(key)?;
        match &node.value {
            Value::List(items) => Some(Located { line: node.line, column: node.column, value: items }),
            _ => {
                self.wrong(key, node, "a list", problems);
                None
            }
        }
    }

    /// A table below this one.
    pub(crate) fn table(&mut self, key: &str, problems: &mut Problems) -> Option<Table<'n>> {
        let node = self.node(key)?;
        node.table(self.below(key), problems)
    }

    /// What messages call the value of a key: `spec.page`, but not "the file.spec".
    fn below(&self, key: &str) -> String {
        match self.name.as_str() {
            "the file" | "the specification" => key.to_owned(),
            name => format!("{name}.{key}"),
        }
    }

    /// A table of strings, such as labels; empty if it is absent. `check` looks at every entry.
    pub(crate) fn strings(
        &mut self,
        key: &str,
        problems: &mut Problems,
        mut check: impl FnMut(&Located<String>, &Located<&str>, &mut Problems),
    ) -> BTreeMap<String, String> {
        let Some(table) = self.table(key, problems) else { return BTreeMap::new() };
        let mut read = BTreeMap::new();
        for (name, node) in table.items {
            match &node.value {
                Value::Text(text) => {
                    check(name, &Located { line: node.line, column: node.column, value: text }, problems);
                    read.insert(name.value.clone(), text.clone());
                }
                other => problems.error_with(
                    node.line,
                    node.column,
                    format!("{} of {} must be a string, not {}", name.value, table.name, other.kind()),
                    "put it in quotes",
                ),
            }
        }
        read
    }

    /// Warns of keys that nobody read. Sloth ignores them, so they forbid nothing.
    pub(crate) fn finish(&self, problems: &mut Problems) {
        for (key, _) in self.items {
            if !self.taken.contains(&key.value.as_str()) {
                problems.warning(
                    key.line,
                    key.column,
                    format!("{} has no key {:?}: it is ignored", self.name, key.value),
                    None,
                );
            }
        }
    }
}
