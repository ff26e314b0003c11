//! SLO specifications in Sloth's `prometheus/v1` format.

pub(crate) mod node;
mod problem;
mod read;
mod template;

use std::collections::BTreeMap;

pub(crate) use self::problem::Problems;
pub use self::{
    problem::{Problem, Severity},
    template::Query,
};
use crate::PromDuration;

/// The SLOs of one service: one document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// `service`, the label `sloth_service`.
    pub name: String,
    /// Its SLOs, in the order of the file.
    pub slos: Vec<Slo>,
}

/// A service level objective.
#[derive(Clone, Debug, PartialEq)]
pub struct Slo {
    /// `SERVICE-NAME`, the label `sloth_id`.
    pub id: String,
    /// The label `sloth_service`.
    pub service: String,
    /// The label `sloth_slo`.
    pub name: String,
    /// For people.
    pub description: String,
    /// In percent, above 0, at most 100.
    pub objective: f64,
    /// Labels of all its rules: the service's and its own.
    pub labels: BTreeMap<String, String>,
    /// How errors are counted.
    pub sli: Sli,
    /// None if it is disabled.
    pub page: Option<Alert>,
    /// None if it is disabled.
    pub ticket: Option<Alert>,
    /// Evaluation intervals of its groups.
    pub intervals: Intervals,
    /// Where it begins in the file, and where its objective stands.
    pub(crate) line: u32,
    pub(crate) objective_at: (u32, u32),
}

impl Slo {
    /// Share of events that may be errors. Rounded as Sloth rounds it, because it is printed in alerts.
    pub fn error_budget(&self) -> f64 {
        (100.0 - self.objective) / 100.0
    }
}

/// Service level indicator.
#[derive(Clone, Debug, PartialEq)]
pub enum Sli {
    /// Errors and all events are counted apart.
    Events {
        /// Rate of errors.
        error: Query,
        /// Rate of all events.
        total: Query,
    },
    /// A ratio of errors is there already.
    Raw {
        /// Error ratio, 0 to 1.
        error_ratio: Query,
    },
}

/// A burn rate alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// `alertname`.
    pub name: String,
    /// Labels of this alert: those of `alerting` and its own.
    pub labels: BTreeMap<String, String>,
    /// Annotations likewise.
    pub annotations: BTreeMap<String, String>,
}

/// Evaluation intervals of an SLO's groups, from Sloth's plugin `sloth.dev/contrib/rule_intervals/v1`. None: Prometheus' own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    /// Of the error ratios.
    pub sli: Option<PromDuration>,
    /// Of what describes the SLO.
    pub metadata: Option<PromDuration>,
    /// Of the alerts.
    pub alerts: Option<PromDuration>,
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecFile {
    /// Its documents.
    pub services: Vec<Service>,
    /// Problems that do not forbid making rules.
    pub warnings: Vec<Problem>,
}

impl SpecFile {
    /// Reads a file: one or more documents.
    ///
    /// # Errors
    ///
    /// Every problem of the file, warnings too, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let services = read::file(text, &mut problems);
        let failed = problems.has_errors();
        let problems = problems.into_sorted();
        if failed { Err(problems) } else { Ok(Self { services, warnings: problems }) }
    }

    /// All SLOs of the file.
    pub fn slos(&self) -> impl Iterator<Item = &Slo> {
        self.services.iter().flat_map(|service| &service.slos)
    }
}
