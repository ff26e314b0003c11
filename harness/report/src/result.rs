//! `result.json`: the verdict for programs. Documented in `docs/result-json.md`.

use harness_event::{
    DetectionBound, Event, EventKind, Millis, Phase, RunTarget, Scaling, Timestamp, Verdict,
};
use serde::{Deserialize, Serialize};

use crate::{loads::LoadReport, objectives::SloReport};

/// Version of the format. Fields are only ever added within a version.
pub const RESULT_FORMAT: u32 = 1;

/// A run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RunResult {
    /// [`RESULT_FORMAT`].
    pub format: u32,
    /// Name of the run.
    pub run: String,
    /// Version of the harness.
    pub harness: String,
    /// Path of the scenario file as given.
    pub scenario: String,
    /// SHA-256 of its text.
    pub scenario_sha256: String,
    /// Title of the scenario.
    pub title: String,
    /// First event.
    pub started_at: Timestamp,
    /// What the run was pointed at, if it got so far.
    pub target: Option<RunTarget>,
    /// Where the time went.
    pub timing: Timing,
    /// Process exit code.
    pub exit_code: u8,
    /// Outcome, reasons, checks, detections, what is left behind.
    pub verdict: Verdict,
    /// What the configuration allows at best and at worst for each expected alert.
    pub bounds: Vec<DetectionBound>,
    /// Time compression of the alert rules: so many seconds of their own time passed in one second.
    #[serde(default)]
    pub compressed: Option<u32>,
    /// What was measured of each load.
    #[serde(default)]
    pub loads: Vec<LoadReport>,
    /// What each autoscaler did.
    #[serde(default)]
    pub autoscalers: Vec<Scaling>,
    /// What happened to each error budget.
    #[serde(default)]
    pub slos: Vec<SloReport>,
}

/// Where the time went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Timing {
    /// From the beginning, the bring-up of the stack included, to the last event.
    pub duration: Millis,
    /// To bring up the stack; zero if it was there.
    pub bring_up: Millis,
    /// To connect and to prove that alerts can be seen.
    pub readiness: Millis,
    /// What the scenario itself demands: baseline, faults, and what was waited for after them. Absent if the run did not finish.
    pub demanded: Option<Millis>,
}

impl Timing {
    /// Reads it off a log.
    pub fn of(events: &[Event]) -> Self {
        let duration = events.last().map_or(Millis(0), |event| event.elapsed);
        let finished = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::RunFinished { demanded, bring_up } => Some((*demanded, *bring_up)),
            _ => None,
        });
        let prepare = events.iter().filter_map(|event| match event.kind {
            EventKind::PhaseStarted { phase: Phase::Prepare } => Some(Millis(0) - event.elapsed),
            EventKind::PhaseFinished { phase: Phase::Prepare } => Some(event.elapsed),
            _ => None,
        });
        Self {
            duration,
            bring_up: finished.map_or(Millis(0), |(_, up)| up),
            readiness: Millis(prepare.sum::<Millis>().0.max(0)),
            demanded: finished.map(|(demanded, _)| demanded),
        }
    }
}

impl RunResult {
    /// Folds a log. `None` if it does not begin with `run_started`.
    pub fn of(events: &[Event], verdict: &Verdict) -> Option<Self> {
        let first = events.first()?;
        let EventKind::RunStarted { run, harness, scenario, scenario_sha256, plan, .. } = &first.kind else {
            return None;
        };
        let target = events.iter().find_map(|event| match &event.kind {
            EventKind::TargetConnected(target) => Some(target.clone()),
            _ => None,
        });
        let bounds = events.iter().filter_map(|event| match &event.kind {
            EventKind::BoundComputed(bound) => Some(bound.clone()),
            _ => None,
        });
        Some(Self {
            format: RESULT_FORMAT,
            run: run.clone(),
            harness: harness.clone(),
            scenario: scenario.clone(),
            scenario_sha256: scenario_sha256.clone(),
            title: plan.title.clone(),
            started_at: first.at,
            target,
            timing: Timing::of(events),
            exit_code: verdict.outcome.exit_code(),
            verdict: verdict.clone(),
            bounds: bounds.collect(),
            compressed: events.iter().find_map(|event| match event.kind {
                EventKind::TimeCompressed { factor, .. } => Some(factor),
                _ => None,
            }),
            loads: LoadReport::of(events),
            autoscalers: Scaling::of(events),
            slos: SloReport::of(events),
        })
    }

    /// As pretty JSON with a newline at the end.
    ///
    /// # Errors
    /// None in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
