//! Alerts beside the expected ones.

use harness_event::Labels;
use serde::Serialize;

use super::{
    evidence::ended,
    lanes_of_alerts::{is_allowed, is_expected},
    log::Log,
    table::Table,
    text::{alert, elapsed},
};

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Alerts {
    pub(super) title: &'static str,
    pub(super) sentence: String,
    pub(super) tables: Vec<Table>,
}

impl Alerts {
    pub(super) fn of(log: &Log<'_>) -> Self {
        let unexpected = active(
            log,
            if log.has_verdict() {
                "Alerts that nobody expected or allowed"
            } else {
                "Alerts that were active"
            },
            log.has_verdict(),
            &|labels| !is_expected(log, labels) && !is_allowed(log, labels),
        );
        let allowed = active(log, "Alerts that the scenario allows", false, &|labels| {
            !is_expected(log, labels) && is_allowed(log, labels)
        });
        let mut baseline = Table::new(
            "Active when the baseline ended, before anything was done",
            &[("alert", false), ("state", false), ("what the scenario says", false)],
        );
        for one in log.baseline.map_or(&[][..], |(_, alerts)| alerts) {
            let role = match (is_expected(log, &one.labels), is_allowed(log, &one.labels)) {
                (true, _) => "expected only later",
                (false, true) => "allowed",
                (false, false) => "nothing",
            };
            baseline.row([alert(&one.labels), one.state.clone(), role.to_owned()]);
        }
        let sentence = match (log.history, log.history_error) {
            (Some(_), _) if unexpected.rows.is_empty() && log.has_verdict() => {
                "No alert was active that is neither expected nor allowed.".to_owned()
            }
            (Some(_), _) => String::new(),
            (None, Some(error)) => format!("Prometheus' record of its alerts could not be read: {error}."),
            (None, None) => "Prometheus' record of its alerts was not read.".to_owned(),
        };
        let tables = [unexpected, baseline, allowed].into_iter().filter_map(Table::if_any);
        let title = if log.has_verdict() { "Other alerts" } else { "Alerts" };
        Self { title, sentence, tables: tables.collect() }
    }
}

/// When alerts were pending or firing, by Prometheus' own record; by polling where there is none.
///
/// `wrong`: that they were is not as it should be.
pub(super) fn active(log: &Log<'_>, caption: &str, wrong: bool, wanted: &dyn Fn(&Labels) -> bool) -> Table {
    let tone = |state: &str| match state {
        "firing" if wrong => "bad",
        "pending" if wrong => "warn",
        _ => "",
    };
    let mut table = Table::new(
        caption,
        &[("alert", false), ("state", false), ("from", true), ("to", true), ("known by", false)],
    );
    let mut recorded = false;
    for series in log.history.unwrap_or_default().iter().filter(|series| wanted(&series.labels)) {
        for run in &series.intervals {
            recorded = true;
            let cells = [
                alert(&series.labels),
                series.state.clone(),
                elapsed(log.theirs(run.from)),
                ended(log, run.end),
                "record".to_owned(),
            ];
            table.row(cells).tone = tone(&series.state);
        }
    }
    if recorded {
        return table;
    }
    for (at, labels, state) in log.seen.iter().filter(|(_, labels, _)| wanted(labels)) {
        let cells = [alert(labels), (*state).to_owned(), elapsed(*at), String::new(), "polling".to_owned()];
        table.row(cells).tone = tone(state);
    }
    table
}
