//! A scenario as read, before its parts are checked against each other: values with their places.
//!
//! A value that could not be read is `None`, and that is reported already. So one wrong value does not hide what is wrong
//! with its neighbours.

use harness_event::{
    AlertState, AutoscalerGoal, Comparison, FaultAction, HttpStep, LabelMatcher, LoadMeasure, LoadPhase,
    LoadStep, Millis, Monitoring, PlannedHistory, PromqlMode, SloGoal, SteadyCheck, Window, WorkloadRef,
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
    pub compress: Option<u32>,
    pub history: Option<PlannedHistory>,
    pub slos: Vec<String>,
    /// True if a fault or a load stands in the file, also one that could not be read.
    pub anything_written: bool,
    pub probes: Vec<ProbeDraft>,
    pub loads: Vec<LoadDraft>,
    pub faults: Vec<FaultDraft>,
    /// Names of all faults, loads and probes.
    pub declared: Declared,
    pub expect: Option<ExpectDraft>,
}

/// Names that may be referred to, also of parts with other errors: a reference to them is not wrong.
#[derive(Debug, Default)]
pub(crate) struct Declared {
    pub faults: Vec<String>,
    pub loads: Vec<String>,
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
pub(crate) struct LoadDraft {
    /// Its header.
    pub span: Span,
    pub name: Option<Found<String>>,
    pub background: Option<Found<bool>>,
    pub start: Option<Found<Millis>>,
    pub duration: Option<Found<Millis>>,
    pub requests: Option<Found<u64>>,
    /// True if the file says how it ends, even wrongly.
    pub end_meant: bool,
    pub users: Option<u32>,
    pub ramp: Option<Found<Millis>>,
    pub warm_up: Option<Found<Millis>>,
    /// Where `rate` or `stages` stands, if one does.
    pub rate_at: Option<Span>,
    /// Empty: no rate.
    pub stages: Vec<StageDraft>,
    pub requests_per_connection: Option<u32>,
    pub ca_file: Option<Found<String>>,
    pub in_order: Option<bool>,
    pub setup: Vec<LoadStepDraft>,
    pub steps: Vec<LoadStepDraft>,
    /// Names of all steps, also of those that could not be read.
    pub setup_names: Vec<String>,
    pub step_names: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct StageDraft {
    pub span: Span,
    pub rate: Option<Found<f64>>,
    pub to: Option<Found<f64>>,
    pub length: Option<Found<Millis>>,
    /// True if `for` stands there, even a wrong one.
    pub has_length: bool,
}

#[derive(Debug)]
pub(crate) struct LoadStepDraft {
    pub step: Option<LoadStep>,
    /// Extracted values that it asks for, each with its place.
    pub uses: Vec<Found<String>>,
    /// Values that it extracts, also those whose place could not be read.
    pub extracts: Vec<String>,
    pub weight_at: Option<Span>,
    pub think_at: Option<Span>,
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
    pub loads: Vec<LoadExpectDraft>,
    pub autoscalers: Vec<AutoscalerDraft>,
    pub slos: Vec<SloDraft>,
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

#[derive(Debug)]
pub(crate) struct LoadExpectDraft {
    pub load: Option<Found<String>>,
    pub step: Option<Found<String>>,
    pub phase: Option<Found<LoadPhase>>,
    /// In the order of the measures; only those given.
    pub conditions: Vec<(LoadMeasure, Found<Comparison>)>,
}

#[derive(Debug)]
pub(crate) struct AutoscalerDraft {
    pub span: Span,
    pub autoscaler: Option<String>,
    pub fault: Option<Found<String>>,
    /// With the key that says it.
    pub goals: Vec<(&'static str, Found<AutoscalerGoal>)>,
}

#[derive(Debug)]
pub(crate) struct SloDraft {
    pub slo: Option<Found<String>>,
    pub goals: Vec<Found<SloGoal>>,
    pub min_requests: Option<u64>,
}

/// What happens to the system, and so starts the clocks of expectations: a fault or a timed load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stimulus<'d> {
    /// Empty if it has none.
    pub name: &'d str,
    pub is_load: bool,
    /// Time from the end of the baseline.
    pub start: Option<Millis>,
    /// How long it goes on at most. None of a load that ends with its requests.
    pub duration: Option<&'d Found<Millis>>,
}

impl Stimulus<'_> {
    /// Time from the end of the baseline to its end, if that is known.
    pub(crate) fn end(&self) -> Option<Millis> {
        Some(self.start? + self.duration?.value)
    }

    /// As messages call it.
    pub(crate) fn noun(&self) -> &'static str {
        if self.is_load { "load" } else { "fault" }
    }
}

impl Draft {
    /// All faults and timed loads: faults first, each in the order of the file.
    pub(crate) fn stimuli(&self) -> Vec<Stimulus<'_>> {
        let faults = self.faults.iter().map(|fault| Stimulus {
            name: fault.label(),
            is_load: false,
            start: fault.start.as_ref().map(|start| start.value),
            duration: fault.duration.as_ref(),
        });
        let loads = self.loads.iter().filter(|load| !load.is_background()).map(|load| Stimulus {
            name: load.label(),
            is_load: true,
            start: load.start.as_ref().map(|start| start.value),
            duration: load.duration.as_ref(),
        });
        faults.chain(loads).collect()
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

impl LoadDraft {
    /// The name, also in messages about loads that have none.
    pub(crate) fn label(&self) -> &str {
        self.name.as_ref().map_or("", |name| &name.value)
    }

    /// True if it is there during the whole run. Who says something about the background, even wrongly, means yes.
    pub(crate) fn is_background(&self) -> bool {
        self.background.as_ref().is_none_or(|background| background.value)
    }
}
