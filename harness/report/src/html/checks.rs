//! Each expectation with its outcome and evidence; what was not met first.

use std::collections::HashMap;

use harness_event::{AlertState, Check, CheckOutcome, DetectionBound, Expectation, ExpectationKind, Millis};
use serde::Serialize;

use super::{
    evidence::{self, Evidence},
    head,
    log::Log,
    text::Anchors,
};

/// One expectation.
#[derive(Debug, Serialize)]
pub(super) struct CheckView {
    pub(super) anchor: String,
    pub(super) id: String,
    pub(super) title: String,
    pub(super) symbol: &'static str,
    pub(super) word: &'static str,
    pub(super) tone: &'static str,
    pub(super) reason: String,
    /// Shown at once: it was not met.
    pub(super) open: bool,
    pub(super) meter: Option<Meter>,
    /// Line in the scenario file, and the lines around it.
    pub(super) line: u32,
    pub(super) source: Vec<SourceLine>,
    pub(super) evidence: Evidence,
}

/// Measured time against the deadline.
#[derive(Debug, Serialize)]
pub(super) struct Meter {
    /// Percent of the bar's width.
    pub(super) measured: Option<f64>,
    pub(super) deadline: f64,
    /// What the configuration allows: place and width.
    pub(super) bound: Option<(f64, f64)>,
    pub(super) told: String,
    pub(super) terms: String,
    pub(super) measured_text: String,
    pub(super) deadline_text: String,
}

/// A line of the scenario file.
#[derive(Debug, Serialize)]
pub(super) struct SourceLine {
    pub(super) number: usize,
    pub(super) text: String,
    pub(super) marked: bool,
}

/// All of them.
pub(super) fn views(log: &Log<'_>, scenario: Option<&str>, anchors: &mut Anchors) -> Vec<CheckView> {
    let mut views: Vec<_> = log
        .verdict
        .checks
        .iter()
        .map(|check| {
            let expectation = log.plan.expectations.iter().find(|one| one.id == check.id);
            view(log, check, expectation, scenario, anchors.new_for("", &check.id))
        })
        .collect();
    // Stable: within an outcome the scenario's order stays.
    views.sort_by_key(|view| match view.tone {
        "bad" => 0,
        "warn" => 1,
        _ => 2,
    });
    let mut first: HashMap<String, (String, String)> = HashMap::new();
    for view in views.iter_mut().filter(|view| !view.evidence.about.is_empty()) {
        match first.get(&view.evidence.about) {
            Some((anchor, id)) => view.evidence.refer_to(anchor, id),
            None => {
                let about = view.evidence.about.clone();
                first.insert(about, (view.anchor.clone(), view.id.clone()));
            }
        }
    }
    views
}

fn view(
    log: &Log<'_>,
    check: &Check,
    expectation: Option<&Expectation>,
    scenario: Option<&str>,
    anchor: String,
) -> CheckView {
    let (symbol, word, tone) = head::outcome(check.outcome);
    CheckView {
        anchor,
        id: check.id.clone(),
        title: check.title.clone(),
        symbol,
        word,
        tone,
        reason: check.reason.clone(),
        open: check.outcome != CheckOutcome::Passed && log.was_judged(),
        meter: meter(log, check),
        line: check.line,
        source: scenario.map(|text| source(text, check.line)).unwrap_or_default(),
        evidence: expectation.map(|one| evidence::of(log, check, one)).unwrap_or_default(),
    }
}

/// The bound of an alert's state, by the alert and the state where only another expectation has it.
pub(super) fn bound<'a>(log: &Log<'a>, like: &Expectation, state: AlertState) -> Option<&'a DetectionBound> {
    let ExpectationKind::Alert(wanted) = &like.kind else { return None };
    let same = log.plan.expectations.iter().find(|one| match &one.kind {
        ExpectationKind::Alert(alert) => {
            alert.alert == wanted.alert
                && alert.labels == wanted.labels
                && alert.state == state
                && one.fault == like.fault
        }
        _ => false,
    })?;
    log.bounds.iter().copied().find(|bound| bound.expectation == same.id)
}

fn meter(log: &Log<'_>, check: &Check) -> Option<Meter> {
    let deadline = check.deadline.filter(|deadline| *deadline > Millis(0))?;
    let bound = log.bounds.iter().find(|bound| bound.expectation == check.id);
    let most = check.measured.into_iter().chain([deadline]).chain(bound.map(|bound| bound.worst)).max()?;
    // A little room, so that the end can be seen as one.
    let percent = |time: Millis| (time.0.max(0) as f64 / (most.0 as f64 * 1.06) * 10_000.0).round() / 100.0;
    let told = match check.measured {
        Some(measured) if measured <= deadline => {
            format!("measured {measured}, {} before the deadline of {deadline}", deadline - measured)
        }
        Some(measured) => {
            format!("measured {measured}, {} after the deadline of {deadline}", measured - deadline)
        }
        None => format!("nothing measured; deadline {deadline}"),
    };
    Some(Meter {
        measured: check.measured.map(percent),
        deadline: percent(deadline),
        bound: bound.map(|bound| (percent(bound.earliest), percent(bound.worst - bound.earliest))),
        told,
        terms: bound.map(|bound| terms(bound)).unwrap_or_default(),
        measured_text: check.measured.map(|measured| measured.to_string()).unwrap_or_default(),
        deadline_text: deadline.to_string(),
    })
}

/// What the configuration allows.
pub(super) fn terms(bound: &DetectionBound) -> String {
    format!("{} to {}: {}", bound.earliest, bound.worst, bound.terms)
}

/// The table of the scenario file that an expectation stands in, as far as it is short.
fn source(text: &str, line: u32) -> Vec<SourceLine> {
    const BEFORE: usize = 10;
    const AFTER: usize = 12;
    let lines: Vec<&str> = text.lines().collect();
    let Some(index) = (line as usize).checked_sub(1).filter(|index| *index < lines.len()) else {
        return Vec::new();
    };
    let is_head = |line: &str| line.starts_with('[');
    let nearest = (index.saturating_sub(BEFORE)..=index).rev().find(|number| is_head(lines[*number]));
    let from = nearest.unwrap_or(index.saturating_sub(2));
    let rest = lines.iter().enumerate().skip(index + 1).take(AFTER);
    let to = rest
        .take_while(|(_, line)| !is_head(line) && !line.trim().is_empty())
        .map(|(number, _)| number)
        .last();
    (from..=to.unwrap_or(index))
        .map(|number| SourceLine {
            number: number + 1,
            text: lines[number].to_owned(),
            marked: number == index,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_is_the_table_around_the_line() {
        let text = "title = 1\n\n[[expect.alert]]\nname = \"A\"\nfiring = \"4s\"\nresolved = \"8s\"\n\n[[expect.http]]\nx = 1\n";
        let shown: Vec<_> = source(text, 5).iter().map(|line| (line.number, line.marked)).collect();
        assert_eq!(shown, [(3, false), (4, false), (5, true), (6, false)]);
        assert!(source(text, 0).is_empty() && source(text, 99).is_empty());
    }
}
