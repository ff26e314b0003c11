//! What tables and keys are.

use std::fmt;

/// A TOML table of the format.
#[derive(Debug)]
pub struct Table {
    /// As its header is written: `[[expect.alert]]`. Empty for the top level.
    pub header: &'static str,
    /// What it is, in a sentence or two.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Must it be there?
    pub need: Need,
    /// What it means.
    pub doc: &'static str,
}

/// Must a key be there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Yes.
    Required,
    /// No; without it there is none, or the reader computes it. The text says which, for people.
    Optional(&'static str),
    /// No; this TOML value stands for it.
    Default(&'static str),
}

/// What a key holds.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// One line for people.
    Line,
    /// Any text.
    Text,
    /// A name that appears in reports: letters, digits, `-`, `_`, `.`.
    Name,
    /// A Kubernetes namespace.
    Namespace,
    /// `true` or `false`.
    Boolean,
    /// An integer in these limits, both included.
    Integer(i64, i64),
    /// A number in these limits, both included.
    Number(f64, f64),
    /// A ratio from 0 to 1, or a percentage.
    Share,
    /// A length of time in these limits (milliseconds), both included.
    Duration(i64, i64),
    /// `http(s)://…` or `service://NAMESPACE/NAME:PORT/path`.
    Url,
    /// An HTTP method.
    Method,
    /// Request headers.
    Headers,
    /// Any TOML value that JSON has too.
    Json,
    /// PromQL that gives a vector or a number.
    Query,
    /// A comparison with a number.
    Comparison,
    /// A comparison with a ratio or a percentage.
    RatioComparison,
    /// A comparison with a latency.
    LatencyComparison,
    /// `during` or `after`.
    Window,
    /// An alert name.
    AlertName,
    /// Labels with matchers.
    Matchers,
    /// A list of tables of alert name and labels with matchers.
    AlertMatchers,
    /// `deployment/NAME`.
    Workload,
    /// A Kubernetes label selector.
    Selector,
    /// Name of a Kubernetes object.
    ObjectName,
    /// A file, relative to the scenario file.
    Path,
    /// Fields of a form.
    Form,
    /// Values to take from an answer.
    Extract,
    /// `sequence` or `weighted`.
    Order,
    /// A length of time, or the limits of a random one, each in these limits (milliseconds).
    Think(i64, i64),
    /// A part of the run.
    Phase,
    /// `sloth_id` of an SLO.
    SloId,
    /// A list of these.
    SloIds,
    /// A window of an SLO, as Prometheus writes durations.
    SloWindow,
    /// One table.
    Table(&'static Table),
    /// A list of tables.
    Tables(&'static Table),
}

impl fmt::Display for Kind {
    /// The type as the reference shows it.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match *self {
            Self::Line => "one line of text",
            Self::Text => "text",
            Self::Name => "name",
            Self::Namespace => "namespace",
            Self::Boolean => "`true` or `false`",
            Self::Number(0.0, max) => return write!(out, "number, at most {max}"),
            Self::Number(min, max) => return write!(out, "number, {min} to {max}"),
            Self::Share => "ratio",
            Self::RatioComparison => "comparison with a ratio",
            Self::LatencyComparison => "comparison with a latency",
            Self::ObjectName => "name of an object",
            Self::Path => "file",
            Self::Form => "table of texts",
            Self::Extract => "table of places",
            Self::Order => "`\"sequence\"` or `\"weighted\"`",
            Self::Think(min, max) => {
                return write!(out, "duration, {} to {}, or `{{ min, max }}`", length(min), length(max));
            }
            Self::Phase => "`\"warm_up\"`, `\"before\"`, `\"during\"` or `\"after\"`",
            Self::SloId => "SLO",
            Self::SloIds => "list of SLOs",
            Self::SloWindow => "window, such as `\"1h\"`",
            Self::Integer(min, max) => return write!(out, "integer, {min} to {max}"),
            Self::Duration(0, max) => return write!(out, "duration, at most {}", length(max)),
            Self::Duration(min, max) => return write!(out, "duration, {} to {}", length(min), length(max)),
            Self::Url => "URL",
            Self::Method => "HTTP method",
            Self::Headers => "table of texts",
            Self::Json => "any value",
            Self::Query => "PromQL",
            Self::Comparison => "comparison",
            Self::Window => "`\"during\"` or `\"after\"`",
            Self::AlertName => "alert name",
            Self::Matchers => "table of matchers",
            Self::AlertMatchers => "list of tables of matchers",
            Self::Workload => "workload",
            Self::Selector => "label selector",
            Self::Table(_) => "table",
            Self::Tables(_) => "list of tables",
        };
        out.write_str(text)
    }
}

/// A limit as people write it.
pub(crate) fn length(ms: i64) -> String {
    match ms {
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

impl Table {
    /// A key by its name.
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Names of all keys.
    pub fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }

    /// As messages name it.
    pub fn label(&self) -> &'static str {
        if self.header.is_empty() { "the top level" } else { self.header }
    }

    /// This table and the ones below it, in reading order.
    pub fn walk(&'static self) -> Vec<&'static Table> {
        let below = self.keys.iter().filter_map(|key| match key.kind {
            Kind::Table(table) | Kind::Tables(table) => Some(table.walk()),
            _ => None,
        });
        std::iter::once(self).chain(below.flatten()).collect()
    }
}
