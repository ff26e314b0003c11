//! Loads, autoscalers and error budgets in figures.

use harness_event::{Millis, Scaling};
use serde::Serialize;

use super::{
    log::Log,
    table::Table,
    text::{Unit, count},
};
use crate::{
    duration::{latency, long, percent, trimmed, window},
    loads::{LoadFigures, LoadReport},
    objectives::SloReport,
};

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) loads: Vec<Load>,
    pub(super) autoscalers: Option<Table>,
    pub(super) budgets: Option<Table>,
}

/// One load.
#[derive(Debug, Serialize)]
pub(super) struct Load {
    pub(super) name: String,
    pub(super) about: String,
    pub(super) error: String,
    pub(super) table: Option<Table>,
}

impl Figures {
    pub(super) fn of(log: &Log<'_>) -> Self {
        let loads = LoadReport::of(log.events).into_iter().map(|report| load(log, report));
        Self {
            loads: loads.collect(),
            autoscalers: autoscalers(&Scaling::of(log.events)),
            budgets: budgets(&SloReport::of(log.events)),
        }
    }
}

fn load(log: &Log<'_>, report: LoadReport) -> Load {
    let mut about = match report.model.as_str() {
        "open" => format!(
            "Open model: {} of {} begun, at most {} behind its schedule; latencies count from the intended start.",
            report.begun, report.due, report.most_behind
        ),
        _ => format!("Closed model: {} wait for their answers.", count(report.users as usize, "user")),
    };
    if let (Some(from), Some(to)) = (report.started_at, report.ended_at) {
        let told = format!(" From {} for {}", super::text::elapsed(log.ms(from)), to - from);
        about.push_str(&told);
        about.push_str(
            &report.reason.map_or_else(|| ".".to_owned(), |reason| format!(", ended by: {reason}.")),
        );
    }
    let figures: Vec<_> = report.figures.iter().collect();
    Load {
        table: load_table(format!("Figures of {}", report.load), &figures).if_any(),
        name: report.load,
        about,
        error: report.error.unwrap_or_default(),
    }
}

/// Figures by phase and step.
pub(super) fn load_table(caption: String, figures: &[&LoadFigures]) -> Table {
    let head = [
        ("phase", false),
        ("requests", true),
        ("rate", true),
        ("errors", true),
        ("p50", true),
        ("p90", true),
        ("p95", true),
        ("p99", true),
        ("p99.9", true),
        ("max", true),
        ("statuses", false),
        ("without an answer", false),
    ];
    let mut table = Table::new(caption, &head);
    let dash = || "-".to_owned();
    for one in figures {
        let times = &one.stats.latency;
        let name = match &one.step {
            Some(step) => format!("{}, {step}", one.phase),
            None => one.phase.to_string(),
        };
        let mut cells = vec![
            name,
            one.stats.requests.to_string(),
            one.rate.map_or_else(dash, |rate| Unit::Rate.write(rate)),
            one.error_ratio.map_or_else(dash, percent),
        ];
        cells.extend([times.p50, times.p90, times.p95, times.p99, times.p999, times.max].map(latency));
        let statuses: Vec<_> =
            one.stats.statuses.iter().map(|(status, number)| format!("{status} × {number}")).collect();
        let errors: Vec<_> =
            one.stats.errors.iter().map(|(kind, number)| format!("{kind} × {number}")).collect();
        cells.extend([statuses.join(", "), errors.join(", ")]);
        table.row(cells).tone = if one.stats.failed > 0 { "warn" } else { "" };
    }
    table
}

fn autoscalers(all: &[Scaling]) -> Option<Table> {
    let head = [
        ("autoscaler", false),
        ("target", false),
        ("limits", false),
        ("replicas", false),
        ("most after", true),
        ("back after", true),
        ("turns", true),
        ("ready within", true),
    ];
    let mut table = Table::new("What each autoscaler did", &head);
    let time = |length: Option<Millis>| length.map_or_else(|| "-".to_owned(), |length| length.to_string());
    for one in all {
        table.row([
            one.autoscaler.clone(),
            one.target.to_string(),
            format!("{} to {}", one.min, one.max),
            format!("{} → {} → {}", one.from, one.most, one.to),
            time(one.reached_after),
            time(one.back_after),
            one.direction_changes.to_string(),
            time(one.worst_lag),
        ]);
    }
    table.if_any()
}

fn budgets(all: &[SloReport]) -> Option<Table> {
    let head = [
        ("SLO", false),
        ("objective", false),
        ("errors", true),
        ("budget spent", true),
        ("as time of failure", true),
        ("a full budget lasts", true),
        ("highest burn rate", false),
        ("data goes back", true),
    ];
    let mut table = Table::new("What the run did to each error budget, in the SLO's own time", &head);
    let dash = || "-".to_owned();
    for one in all {
        let objective = one.objective.zip(one.period);
        let objective =
            objective.map(|(objective, period)| format!("{} over {}", percent(objective), window(period)));
        let number = |value: f64| trimmed(value, if value.abs() < 100.0 { 1 } else { 0 });
        let errors = one
            .errors
            .zip(one.total)
            .map(|(errors, total)| format!("{} of {}", number(errors), number(total)));
        let known = one
            .windows
            .iter()
            .filter_map(|one| Some(format!("{} {}", window(one.window), Unit::Burn.write(one.peak?))));
        let peaks: Vec<_> = known.collect();
        let lasts = match (one.exhausted_in, one.budget_spent) {
            (Some(length), _) => long(length),
            (None, Some(_)) => "for ever".to_owned(),
            (None, None) => dash(),
        };
        let name = match &one.missing {
            Some(error) => format!("{} (not known: {error})", one.slo),
            None => one.slo.clone(),
        };
        let row = table.row([
            name,
            objective.unwrap_or_else(dash),
            errors.unwrap_or_else(dash),
            one.budget_spent.map_or_else(dash, percent),
            one.spent_time.map_or_else(dash, long),
            lasts,
            if peaks.is_empty() { dash() } else { peaks.join(", ") },
            one.history.map_or_else(dash, long),
        ]);
        row.tone = if one.missing.is_some() { "warn" } else { "" };
    }
    table.if_any()
}
