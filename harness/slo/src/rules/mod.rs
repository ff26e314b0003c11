//! Prometheus rule files made from SLOs, with Sloth's names of series, labels and groups.

mod generate;
mod make;
mod number;
mod yaml;

use std::collections::BTreeMap;

pub use self::{
    generate::{Unreachable, generate, unreachable},
    make::{FileProblem, Made, Options, Source, make},
};
use crate::PromDuration;

/// What a rule makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleKind {
    /// A recording rule.
    Record,
    /// An alerting rule.
    Alert,
}

/// A rule. Alerts made from SLOs have no `for`: their windows are their patience.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which kind.
    pub kind: RuleKind,
    /// Name of the series or of the alert.
    pub name: String,
    /// PromQL.
    pub expr: String,
    /// Labels that the rule adds.
    pub labels: BTreeMap<String, String>,
    /// Annotations (alerts only).
    pub annotations: BTreeMap<String, String>,
}

/// A group of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its evaluation interval, if not Prometheus' own.
    pub interval: Option<PromDuration>,
    /// Evaluated in this order.
    pub rules: Vec<Rule>,
}

/// A rule file as Prometheus reads it, with `header` as a comment before it.
pub fn to_yaml(header: &str, groups: &[Group]) -> String {
    yaml::write(header, groups)
}
