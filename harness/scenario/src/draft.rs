//! A scenario as read, before its parts are checked against each other: values with their places.
//!
//! A value that could not be read is `None`, and that is reported already. So one wrong value does not hide what is wrong
//! with its neighbours.

use harness_event::{
    AlertState, Comparison, FaultAction, HttpStep, LabelMatcher, Millis, Monitoring, PromqlMode, SteadyCheck,
    Window, WorkloadRef,
};

use crate::problems::{Found, Span};

#[derive(Debug)]
pub(crate) struct Draft {
    pub title: Option<Found<String>>,
    pub description: String,
    pub namespace: Option<Found<String>>,
    pub monitoring: Option<Monitoring>,
    pub baseline: Option<Found<Millis>>,
    pub steady_state: Vec<SteadyCheck>,
    /// Number of steady-state checks that stand in the file, also of those that could not be read.
    pub steady_state_written: usize,
    pub probes: Vec<ProbeDraft>,
    pub faults: Vec<FaultDraft>,
    /// Names of all faults and probes.
    pub declared: Declared,
    pub expect: Option<ExpectDraft>,
}

/// Names that may be referred to, also of parts with other errors: a reference to them is not wrong.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub faults: Vec<String>,
    pub probes: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct ProbeDraft {
    pub name: Option<Found<String>>,
    pub every: Option<Found<Millis>>,
    pub setup: Vec<HttpStep>,
    pub steps: Vec<HttpStep>,
    /// Names of all steps, also of those that could not be read.
    pub setup_names: Vec<String>,
    pub step_names: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct FaultDraft {
    pub name: Option<Found<String>>,
    pub action: Option<FaultAction>,
    pub start: Option<Found<Millis>>,
    pub duration: Option<Found<Millis>>,
    pub effect_within: Option<Found<Millis>>,
}

#[derive(Debug)]
pub(crate) struct ExpectDraft {
    pub span: Span,
    pub recovery_within: Option<Found<Millis>>,
    pub allowed: Vec<Vec<LabelMatcher>>,
    pub alerts: Vec<AlertDraft>,
    pub http: Vec<HttpDraft>,
    pub promql: Vec<PromqlDraft>,
    pub workloads: Vec<WorkloadDraft>,
    /// Number of expectations that stand in the file, also of those that could not be read.
    pub written: usize,
}

#[derive(Debug)]
pub(crate) struct AlertDraft {
    pub span: Span,
    pub alert: Option<Found<String>>,
    pub labels: Vec<LabelMatcher>,
    pub fault: Option<Found<String>>,
    pub receiver: Option<Found<String>>,
    /// In the order of the states; only those given.
    pub deadlines: Vec<(AlertState, Found<Millis>)>,
}

#[derive(Debug)]
pub(crate) struct HttpDraft {
    pub span: Span,
    pub name: Option<Found<String>>,
    pub fault: Option<Found<String>>,
    pub probe: Option<Found<String>>,
    pub step: Option<Found<String>>,
    pub window: Option<Found<Window>>,
    pub status: Option<u16>,
    pub body_contains: Option<String>,
    pub within: Option<Found<Millis>>,
    pub max_latency: Option<Found<Millis>>,
}

#[derive(Debug)]
pub(crate) struct PromqlDraft {
    pub span: Span,
    pub name: Option<Found<String>>,
    pub fault: Option<Found<String>>,
    pub query: Option<String>,
    pub is: Option<Comparison>,
    pub window: Option<Found<Window>>,
    pub mode: Option<Found<PromqlMode>>,
}

#[derive(Debug)]
pub(crate) struct WorkloadDraft {
    pub span: Span,
    pub fault: Option<Found<String>>,
    pub workload: Option<Found<WorkloadRef>>,
    pub ready: Option<i32>,
    pub within: Option<Found<Millis>>,
}

impl Draft {
    /// The fault that ends last.
    pub(crate) fn last_fault(&self) -> Option<&FaultDraft> {
        self.faults.iter().max_by_key(|fault| fault.end())
    }
}

impl FaultDraft {
    /// The name, also in messages about faults that have none.
    pub(crate) fn label(&self) -> &str {
        self.name.as_ref().map_or("", |name| &name.value)
    }

    /// Time from the end of the baseline to the fault's end.
    pub(crate) fn end(&self) -> Option<Millis> {
        Some(self.start.as_ref()?.value + self.duration.as_ref()?.value)
    }
}
