//! What is told about a run.

use std::collections::BTreeMap;

use harness_event::{
    AlertExpectation, CheckOutcome, Detection, ExpectationKind, FaultAction, Millis, Phase, RunMode,
    RunState, Timestamp, Verdict,
    state::{ExpectationView, FaultStage, FaultView, LoadStage, LoadView, Progress},
};
use serde::{Deserialize, Serialize};

/// Most faults, loads, expectations and detections that are told, each: every one of them makes series.
pub const MOST: usize = 200;

/// A run as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Name of the run.
    pub run: String,
    /// Path of the scenario file; may be empty.
    pub scenario: String,
    /// `scenario` or `gameday`.
    pub mode: String,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it has been going on, or went on.
    pub elapsed: Millis,
    /// The phase that goes on, if one does.
    pub phase: Option<String>,
    /// What was proven; absent until that is known.
    pub outcome: Option<String>,
    /// Faults.
    pub faults: Vec<FaultReport>,
    /// Loads.
    pub loads: Vec<LoadReport>,
    /// Expectations.
    pub expectations: Vec<ExpectationReport>,
    /// How long alerts took.
    pub detections: Vec<DetectionReport>,
}

/// A fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaultReport {
    /// Its name.
    pub fault: String,
    /// What it does: `scale`, `delete_pods`, ...
    pub kind: String,
    /// It is on: its calls were sent, and what undoes it has not been seen to have done so.
    pub active: bool,
}

/// A load in its last second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Its name.
    pub load: String,
    /// It sends requests.
    pub active: bool,
    /// Users that are running.
    pub users: u32,
    /// Requests per second.
    pub rate: f64,
    /// Share of them that were not answered as expected, 0 to 1.
    pub failed: f64,
    /// Latencies in seconds by quantile (`0.5`, `0.95`, `0.99`); none without requests.
    pub latency: BTreeMap<String, f64>,
}

/// An expectation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ExpectationReport {
    /// Its id, `alert/APIServiceDown/firing`.
    pub expectation: String,
    /// One of [`STATES`].
    pub state: String,
    /// By when, from its clock's start.
    pub deadline: Option<Millis>,
    /// How long it took, if that is known.
    pub took: Option<Millis>,
}

/// States of an expectation. `undecided` is the verdict's: nobody can tell.
pub const STATES: [&str; 5] = ["not_started", "waiting", "met", "missed", "undecided"];

/// How long an alert took to reach a stage: since the fault's effect, `resolved` since it was undone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectionReport {
    /// Name of the alert.
    pub alert: String,
    /// `pending`, `firing`, `delivered` or `resolved`.
    pub stage: String,
    /// How long.
    pub took: Millis,
}

/// Every phase, in order.
pub const PHASES: [Phase; 6] =
    [Phase::Prepare, Phase::Baseline, Phase::Fault, Phase::Heal, Phase::Recovery, Phase::Verdict];

impl RunReport {
    /// The report of a state.
    pub fn of(state: &RunState) -> Self {
        let mode = match state.mode {
            RunMode::Scenario => "scenario",
            RunMode::GameDay => "gameday",
            RunMode::Watch => "watch",
        };
        Self {
            run: state.run.clone(),
            scenario: state.scenario.clone(),
            mode: mode.to_owned(),
            started_at: state.started_at,
            elapsed: state.elapsed,
            phase: state.phase().filter(|_| !state.finished).map(|phase| phase.to_string()),
            outcome: state.verdict.as_ref().map(|verdict| verdict.outcome.to_string().replace(' ', "_")),
            faults: state.faults.iter().take(MOST).map(fault).collect(),
            loads: state.loads.iter().take(MOST).map(load).collect(),
            expectations: state.expectations.iter().take(MOST).map(expectation).collect(),
            detections: detections(state),
        }
    }
}

fn fault(view: &FaultView) -> FaultReport {
    let kind = match view.spec.action {
        FaultAction::Scale { .. } => "scale",
        FaultAction::DeletePods { .. } => "delete_pods",
        FaultAction::Restart { .. } => "restart",
    };
    let active = match view.stage {
        FaultStage::Applied | FaultStage::Active | FaultStage::Reverting | FaultStage::LeftBehind(_) => true,
        FaultStage::Waiting | FaultStage::Applying | FaultStage::Reverted | FaultStage::Failed(_) => false,
    };
    FaultReport { fault: view.spec.name.clone(), kind: kind.to_owned(), active }
}

fn load(view: &LoadView) -> LoadReport {
    let active = view.stage == LoadStage::Running;
    let last = view.last.as_ref().filter(|_| active);
    let seconds = last.map_or(1.0, |last| last.length.0.max(1) as f64 / 1000.0);
    let requests = last.map_or(0, |last| last.requests);
    let latency = last.filter(|last| last.requests > 0).map_or_else(BTreeMap::new, |last| {
        let of = |quantile: &str, us: u64| (quantile.to_owned(), us as f64 / 1e6);
        [of("0.5", last.p50_us), of("0.95", last.p95_us), of("0.99", last.p99_us)].into()
    });
    LoadReport {
        load: view.spec.name.clone(),
        active,
        users: last.map_or(0, |last| last.users),
        rate: requests as f64 / seconds,
        failed: last.map_or(0.0, |last| last.failed as f64 / requests.max(1) as f64),
        latency,
    }
}

fn expectation(view: &ExpectationView) -> ExpectationReport {
    let (state, took) = match &view.progress {
        Progress::NotStarted => ("not_started", None),
        Progress::Waiting { .. } => ("waiting", None),
        Progress::Met { after } => ("met", *after),
        Progress::Late { after } => ("missed", Some(*after)),
        Progress::Missed { .. } => ("missed", None),
        Progress::Judged { outcome, measured, .. } => match outcome {
            CheckOutcome::Passed => ("met", *measured),
            CheckOutcome::Failed => ("missed", *measured),
            CheckOutcome::Inconclusive => ("undecided", *measured),
        },
    };
    ExpectationReport { expectation: view.id.clone(), state: state.to_owned(), deadline: view.deadline, took }
}

/// As polling shows them while the run goes on; from the evidence once there is a verdict.
fn detections(state: &RunState) -> Vec<DetectionReport> {
    let mut found: BTreeMap<(String, String), Millis> = BTreeMap::new();
    let plan = state.plan.iter().flat_map(|plan| &plan.expectations);
    for (view, planned) in state.expectations.iter().zip(plan) {
        if let (ExpectationKind::Alert(AlertExpectation { alert, state, .. }), Some(took)) =
            (&planned.kind, expectation(view).took)
        {
            found.insert((alert.clone(), state.to_string()), took);
        }
    }
    for detection in state.verdict.iter().flat_map(|verdict: &Verdict| &verdict.detections) {
        for (stage, took) in stages(detection) {
            found.insert((detection.alert.clone(), stage.to_owned()), took);
        }
    }
    let report = |((alert, stage), took)| DetectionReport { alert, stage, took };
    found.into_iter().take(MOST).map(report).collect()
}

fn stages(detection: &Detection) -> impl Iterator<Item = (&'static str, Millis)> {
    let effect = Some(detection.effect_at);
    let stages = [
        ("pending", detection.pending_at, effect),
        ("firing", detection.firing_at, effect),
        ("delivered", detection.delivered_at, effect),
        ("resolved", detection.resolved_at, detection.healed_at),
    ];
    stages.into_iter().filter_map(|(stage, at, from)| Some((stage, at? - from?)))
}
