//! Writing TOML with comments: layout by hand, values by the `toml` crate's own writer.

use std::fmt::Write as _;

use harness_event::{LabelMatcher, MatchOp, Millis};
use toml::{Table, Value};

/// Widest comment line.
const WIDTH: usize = 120;

/// A document that grows line by line.
#[derive(Debug, Default)]
pub(super) struct Document {
    text: String,
}

impl Document {
    /// An empty line, one at most.
    pub(super) fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// A comment; every line of the text becomes lines that are not too wide.
    pub(super) fn comment(&mut self, text: &str) {
        for line in text.lines() {
            let mut row = String::new();
            for word in line.split_whitespace() {
                let word = plain(word);
                if !row.is_empty() && row.chars().count() + word.chars().count() + 3 > WIDTH {
                    self.line(&format!("# {row}"));
                    row.clear();
                }
                if !row.is_empty() {
                    row.push(' ');
                }
                row.push_str(&word);
            }
            self.line(format!("# {row}").trim_end());
        }
    }

    /// A heading: a comment that fills the line.
    pub(super) fn heading(&mut self, text: &str) {
        self.gap();
        let dashes = WIDTH.saturating_sub(text.chars().count() + 6);
        self.line(&format!("# -- {text} {}", "-".repeat(dashes)));
        self.gap();
    }

    /// A table's header.
    pub(super) fn table(&mut self, header: &str) {
        self.gap();
        self.line(header);
    }

    /// `key = value`.
    pub(super) fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.set_noted(key, value, "");
    }

    /// `key = value # comment`.
    pub(super) fn set_noted(&mut self, key: &str, value: impl Into<Value>, comment: &str) {
        let comment: String = plain(comment);
        let gap = if comment.is_empty() { "" } else { "  # " };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "{} = {}{gap}{comment}", key_text(key), value.into());
    }

    /// `key = value`, if there is one.
    pub(super) fn maybe(&mut self, key: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.set(key, value);
        }
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    pub(super) fn finish(self) -> String {
        format!("{}\n", self.text.trim_end())
    }
}

/// Text that may stand in a comment, which holds no control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A key as TOML writes it, in quotes where it needs them.
fn key_text(key: &str) -> String {
    let bare = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if bare { key.to_owned() } else { Value::from(key).to_string() }
}

/// A length of time as the format writes it.
pub(super) fn duration(length: Millis) -> String {
    match length.0 {
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// The value of a matcher: what begins like an operator gets the one for "exactly" in front.
pub(super) fn matcher(matcher: &LabelMatcher) -> String {
    let value = &matcher.value;
    match matcher.op {
        MatchOp::Equal if value.starts_with('=') || value.starts_with("!=") || value.starts_with("!~") => {
            format!("={value}")
        }
        MatchOp::Equal => value.clone(),
        MatchOp::NotEqual => format!("!={value}"),
        MatchOp::Regex => format!("=~{value}"),
        MatchOp::NotRegex => format!("!~{value}"),
    }
}

/// A table of texts.
pub(super) fn texts<'t>(pairs: impl IntoIterator<Item = (&'t String, &'t String)>) -> Table {
    pairs.into_iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect()
}

/// JSON as TOML. What TOML does not have, such as `null`, never came out of a scenario.
pub(super) fn json(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(""),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::from(number),
            None => Value::from(number.as_f64().unwrap_or_default()),
        },
        serde_json::Value::String(text) => Value::from(text.as_str()),
        serde_json::Value::Array(items) => items.iter().map(json).collect::<Vec<_>>().into(),
        serde_json::Value::Object(fields) => {
            Value::Table(fields.iter().map(|(key, value)| (key.clone(), json(value))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_comments_stay_comments() {
        let mut out = Document::default();
        out.comment("one\ntwo\u{7}\r three");
        out.set_noted("a key", "say \"no\"\n[[fault]]", "why\nnot");
        out.set("n", 3);
        let text = out.finish();
        let table: Table = text.parse().unwrap();
        assert_eq!(table["a key"].as_str(), Some("say \"no\"\n[[fault]]"));
        assert_eq!((table.len(), table["n"].as_integer()), (2, Some(3)));
        assert!(text.starts_with("# one\n# two\u{fffd} three\n"), "{text}");
    }
}
