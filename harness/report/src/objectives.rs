//! What happened to the error budgets.

pub(crate) use harness_event::narrate::burn;
use harness_event::{Event, EventKind, Millis, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    duration::{long, percent, trimmed, window},
    style::Style,
    table,
};

/// One SLO of a run. Times are in the SLO's own time, also where time is compressed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SloReport {
    /// `sloth_id`.
    pub slo: String,
    /// `sloth_service`.
    pub service: Option<String>,
    /// Objective as a ratio: 0.999.
    pub objective: Option<f64>,
    /// Period of the error budget.
    pub period: Option<Millis>,
    /// Why nothing is known of it.
    pub missing: Option<String>,
    /// Start of the measured time.
    pub from: Option<Timestamp>,
    /// Its end.
    pub to: Option<Timestamp>,
    /// Requests.
    pub total: Option<f64>,
    /// Those that were errors.
    pub errors: Option<f64>,
    /// Share of errors, 0 to 1.
    pub error_ratio: Option<f64>,
    /// Share of the period's budget that was spent, 0 to 1 and above.
    pub budget_spent: Option<f64>,
    /// The same as time of complete failure.
    pub spent_time: Option<Millis>,
    /// Time until a full budget would be spent at this rate; absent if nothing burns.
    pub exhausted_in: Option<Millis>,
    /// Its windows, shortest first.
    pub windows: Vec<WindowReport>,
    /// How far back the data went, at the least.
    pub history: Option<Millis>,
}

/// One window of an SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WindowReport {
    /// Its length.
    pub window: Millis,
    /// The length over which it was computed: shorter where time is compressed.
    pub length: Millis,
    /// Highest burn rate; absent without data.
    pub peak: Option<f64>,
}

impl SloReport {
    /// One per SLO that was looked for, by name.
    pub fn of(events: &[Event]) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        for event in events {
            let slo = match &event.kind {
                EventKind::SloDefined(definition) => &definition.slo,
                EventKind::SloMissing { slo, .. } => slo,
                EventKind::SloSampled(sample) => &sample.slo,
                EventKind::SloMeasured(usage) => &usage.slo,
                _ => continue,
            };
            let index = all.iter().position(|report| report.slo == *slo).unwrap_or_else(|| {
                all.push(Self { slo: slo.clone(), ..Self::default() });
                all.len() - 1
            });
            all[index].add(&event.kind);
        }
        all.sort_by(|one, two| one.slo.cmp(&two.slo));
        all
    }

    fn add(&mut self, kind: &EventKind) {
        match kind {
            EventKind::SloDefined(definition) => {
                self.service = Some(definition.service.clone());
                (self.objective, self.period) = (Some(definition.objective), Some(definition.period));
                let windows = definition.windows.iter();
                let windows =
                    windows.map(|one| WindowReport { window: one.window, length: one.length, peak: None });
                self.windows = windows.collect();
            }
            EventKind::SloMissing { error, .. } => self.missing = Some(error.clone()),
            EventKind::SloSampled(sample) => {
                self.history = Some(self.history.map_or(sample.history, |known| known.min(sample.history)));
            }
            EventKind::SloMeasured(usage) => {
                (self.from, self.to) = (Some(usage.from), Some(usage.to));
                (self.total, self.errors, self.error_ratio) = (usage.total, usage.errors, usage.error_ratio);
                (self.budget_spent, self.spent_time) = (usage.budget_spent, usage.spent_time);
                self.exhausted_in = usage.exhausted_in;
                for (one, peak) in self.windows.iter_mut().zip(&usage.peaks) {
                    one.peak = *peak;
                }
            }
            _ => {}
        }
    }
}

/// A number of events, which `rate()` makes a fraction.
fn count(events: f64) -> String {
    trimmed(events, if events.abs() < 100.0 { 1 } else { 0 })
}

/// A table of all SLOs.
pub(crate) fn lines(reports: &[SloReport], style: Style) -> Vec<String> {
    const HEAD: [&str; 6] = ["SLO", "errors", "budget spent", "as time", "exhausted in", "highest burn rate"];
    if reports.is_empty() {
        return Vec::new();
    }
    let mut lines = vec![String::new()];
    lines.extend(table::lines(HEAD, reports.iter().map(row).collect(), style));
    lines
}

fn row(one: &SloReport) -> [String; 6] {
    let dash = || "-".to_owned();
    let name = match (one.objective, one.period) {
        (Some(objective), Some(period)) => {
            format!("{} ({} over {})", one.slo, percent(objective), window(period))
        }
        _ => one.slo.clone(),
    };
    if let Some(error) = &one.missing {
        return [name, format!("not known: {error}"), dash(), dash(), dash(), dash()];
    }
    let errors =
        one.errors.zip(one.total).map(|(errors, total)| format!("{} of {}", count(errors), count(total)));
    let peaks: Vec<_> = one
        .windows
        .iter()
        .map(|one| format!("{} {}", window(one.window), one.peak.map_or_else(dash, burn)))
        .collect();
    [
        name,
        errors.unwrap_or_else(dash),
        one.budget_spent.map_or_else(dash, percent),
        one.spent_time.map_or_else(dash, long),
        match (one.exhausted_in, one.budget_spent) {
            (Some(length), _) => long(length),
            (None, Some(_)) => "never".to_owned(),
            (None, None) => dash(),
        },
        peaks.join(", "),
    ]
}
