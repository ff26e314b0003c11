//! What was measured of the loads.

use harness_event::{Event, EventKind, LoadPhase, LoadSpec, LoadStats, Millis, Plan, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    duration::{latency, percent, trimmed},
    style::{Style, Tone},
    table,
};

/// One load of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoadReport {
    /// Its name.
    pub load: String,
    /// `open`: starts come from a schedule, latencies count from the intended start. `closed`: each user waits for its answer.
    pub model: String,
    /// Users; with a schedule the most requests in flight.
    pub users: u32,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When its last answer was there.
    pub ended_at: Option<Timestamp>,
    /// Why it ended: `requests`, `duration`, `stopped`.
    pub reason: Option<String>,
    /// Why it could not be carried out.
    pub error: Option<String>,
    /// Requests begun.
    pub begun: u64,
    /// Starts that the schedule asked for; zero without one.
    pub due: u64,
    /// The farthest that it was behind its schedule.
    pub most_behind: Millis,
    /// Its figures by phase, and by step where there are several.
    pub figures: Vec<LoadFigures>,
}

/// Figures of one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LoadFigures {
    /// The phase.
    pub phase: LoadPhase,
    /// One step; all together if absent.
    pub step: Option<String>,
    /// Requests per second.
    pub rate: Option<f64>,
    /// Share of failed requests, 0 to 1.
    pub error_ratio: Option<f64>,
    /// Everything that was counted; latencies in microseconds.
    pub stats: LoadStats,
}

impl LoadReport {
    /// One per load that was started: those of the plan in its order, then those that somebody started by hand.
    pub fn of(events: &[Event]) -> Vec<Self> {
        let planned = plan(events).into_iter().flat_map(|plan| &plan.loads);
        let by_hand = events.iter().filter_map(|event| match &event.kind {
            EventKind::LoadRequested { spec } => Some(spec),
            _ => None,
        });
        let reports = planned.chain(by_hand).map(|spec| Self::of_load(events, spec));
        reports.filter(|report| report.started_at.is_some() || report.error.is_some()).collect()
    }

    fn of_load(events: &[Event], spec: &LoadSpec) -> Self {
        let mut report = Self {
            load: spec.name.clone(),
            model: if spec.is_open() { "open" } else { "closed" }.to_owned(),
            users: spec.users,
            started_at: None,
            ended_at: None,
            reason: None,
            error: None,
            begun: 0,
            due: 0,
            most_behind: Millis(0),
            figures: Vec::new(),
        };
        for event in events {
            report.add(&event.kind, spec.steps.len() > 1);
        }
        let order = |step: &Option<String>| {
            step.as_ref().map(|step| spec.steps.iter().position(|one| one.name == *step))
        };
        report.figures.sort_by_key(|one| (one.phase, order(&one.step)));
        report
    }

    fn add(&mut self, kind: &EventKind, several_steps: bool) {
        match kind {
            EventKind::LoadStarted { load, started_at } if *load == self.load => {
                self.started_at = Some(*started_at)
            }
            EventKind::LoadMeasured { load, phase, step, stats }
                if *load == self.load && stats.requests > 0 && (step.is_none() || several_steps) =>
            {
                let (rate, error_ratio) = (stats.rate(), stats.error_ratio());
                let (phase, step, stats) = (*phase, step.clone(), stats.clone());
                self.figures.push(LoadFigures { phase, step, rate, error_ratio, stats });
            }
            EventKind::LoadFinished { load, ended_at, reason, begun, due, most_behind }
                if *load == self.load =>
            {
                (self.ended_at, self.reason) = (Some(*ended_at), Some(reason.clone()));
                (self.begun, self.due, self.most_behind) = (*begun, *due, *most_behind);
            }
            EventKind::LoadFailed { load, error } if *load == self.load => self.error = Some(error.clone()),
            _ => {}
        }
    }

    fn title(&self) -> String {
        let model = match self.model.as_str() {
            "open" => {
                let (begun, due, behind) = (self.begun, self.due, self.most_behind);
                format!(
                    "open model, from the intended start: {begun} of {due} begun, at most {behind} behind"
                )
            }
            _ => format!("closed model: {} users", self.users),
        };
        match &self.error {
            Some(error) => format!("load {} ({model}) could not be carried out: {error}", self.load),
            None => format!("load {} ({model})", self.load),
        }
    }
}

/// The plan of a log.
pub(crate) fn plan(events: &[Event]) -> Option<&Plan> {
    match events.first().map(|event| &event.kind) {
        Some(EventKind::RunStarted { plan, .. }) => Some(plan),
        _ => None,
    }
}

/// A title and a table for each load.
pub(crate) fn lines(reports: &[LoadReport], style: Style) -> Vec<String> {
    const HEAD: [&str; 10] =
        ["phase", "requests", "rate", "errors", "p50", "p90", "p95", "p99", "p99.9", "max"];
    let mut lines = Vec::new();
    for report in reports {
        lines.push(String::new());
        lines.push(style.paint(Tone::Plain, &report.title()));
        if !report.figures.is_empty() {
            lines.extend(table::lines(HEAD, report.figures.iter().map(row).collect(), style));
        }
    }
    lines
}

fn row(one: &LoadFigures) -> [String; 10] {
    let times = &one.stats.latency;
    let name = one.step.as_ref().map_or_else(|| one.phase.to_string(), |step| format!("  {step}"));
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let [p50, p90, p95, p99, p999, max] =
        [times.p50, times.p90, times.p95, times.p99, times.p999, times.max].map(latency);
    [
        name,
        one.stats.requests.to_string(),
        or_dash(one.rate.map(|rate| format!("{}/s", trimmed(rate, 1)))),
        or_dash(one.error_ratio.map(percent)),
        p50,
        p90,
        p95,
        p99,
        p999,
        max,
    ]
}
