//! Prometheus' text format, version 0.0.4.

use std::fmt::Write;

/// Content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A text being written: families one after the other.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
}

impl Exposition {
    /// Begins a metric family.
    pub fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample of the family.
    pub fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        sample(&mut self.text, name, labels, value);
    }

    /// Lines that were written before.
    pub fn lines(&mut self, lines: &str) {
        self.text.push_str(lines);
    }

    /// The text.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// Writes one sample with its line end.
pub fn sample(text: &mut String, name: &str, labels: &[(&str, &str)], value: f64) {
    text.push_str(name);
    for (index, (label, content)) in labels.iter().enumerate() {
        text.push(if index == 0 { '{' } else { ',' });
        text.push_str(label);
        text.push_str("=\"");
        for c in content.chars() {
            match c {
                '\\' => text.push_str("\\\\"),
                '"' => text.push_str("\\\""),
                '\n' => text.push_str("\\n"),
                c => text.push(c),
            }
        }
        text.push('"');
    }
    if !labels.is_empty() {
        text.push('}');
    }
    let _ = writeln!(text, " {value}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_labels_are_escaped() {
        let mut out = Exposition::default();
        out.family("m", Kind::Counter, "Help.");
        out.sample("m", &[("a", "x\"y\\z\n"), ("b", "")], 1.5);
        out.sample("m", &[], 3.0);
        let expected = "# HELP m Help.\n# TYPE m counter\nm{a=\"x\\\"y\\\\z\\n\",b=\"\"} 1.5\nm 3\n";
        assert_eq!(out.into_text(), expected);
    }
}
