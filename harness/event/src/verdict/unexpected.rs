//! Alerts that nobody expected.

use super::{alerts::Judged, facts::Facts, monitoring, outcome::CheckOutcome};
use crate::{
    AlertInterval, AlertSeries, ExpectationKind, IntervalEnd, LabelMatcher, Labels, Plan, Timestamp,
};

/// No alert but the expected and the allowed ones fires from the first fault to the end. One that only goes pending and comes
/// back is no alert; one that is still pending at the end may become one, which nobody can tell.
pub(super) fn judge(facts: &Facts<'_>, plan: &Plan) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let Some(since) = facts.first_applied() else {
        let reason = facts.skipped.unwrap_or("nothing was done to the system");
        return inconclusive(reason.to_owned());
    };
    let Some(history) = &facts.history else {
        let reason = facts.history_error.unwrap_or("Prometheus' record of its alerts was not read");
        return inconclusive(reason.to_owned());
    };
    let strangers = || history.series.iter().filter(|series| !expected(plan, &series.labels));
    let names = |state: &str, filter: &dyn Fn(&AlertInterval) -> bool| {
        let mut names: Vec<_> = strangers()
            .filter(|series| series.state == state && new_runs(facts, since, series).any(filter))
            .map(|series| describe(&series.labels))
            .collect();
        names.sort();
        names.dedup();
        names
    };
    let firing = names("firing", &|_| true);
    if !firing.is_empty() {
        return (CheckOutcome::Failed, format!("unexpected: {}", firing.join(", ")), None);
    }
    let disturbed = monitoring::prometheus_disturbances(facts);
    if !disturbed.is_empty() {
        return inconclusive(disturbed.join("; "));
    }
    if facts.record_misses(since) {
        return inconclusive("Prometheus' record of its alerts begins only after the fault".to_owned());
    }
    let open = names("pending", &|run| matches!(run.end, IntervalEnd::Open | IntervalEnd::Unknown));
    if !open.is_empty() {
        return inconclusive(format!(
            "still pending at the end of the run, may fire yet: {}",
            open.join(", ")
        ));
    }
    let pending = names("pending", &|_| true);
    let remark = if pending.is_empty() {
        String::new()
    } else {
        format!("; pending for a while: {}", pending.join(", "))
    };
    (CheckOutcome::Passed, format!("no other alert fired{remark}"), None)
}

fn expected(plan: &Plan, labels: &Labels) -> bool {
    let by_expectation = plan.expectations.iter().any(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => LabelMatcher::all(&alert.matchers(), labels),
        _ => false,
    });
    by_expectation || plan.allowed_alerts.iter().any(|matchers| LabelMatcher::all(matchers, labels))
}

/// Episodes that reach into the time since the first fault. What was in this state before it and only went on is not caused by
/// it; what resolved and came back, or was pending and fired, is new.
fn new_runs<'s>(
    facts: &Facts<'_>,
    since: Timestamp,
    series: &'s AlertSeries,
) -> impl Iterator<Item = &'s AlertInterval> {
    let limit = since - facts.clock_bound();
    let baseline = facts.baseline.unwrap_or_default();
    let before = baseline.iter().any(|alert| alert.labels == series.labels && alert.state == series.state);
    // Rarely evaluated rules have few samples: the first run may have begun before it is seen. Only a marker proves an end.
    let came_back =
        |index: usize| index > 0 && matches!(series.intervals[index - 1].end, IntervalEnd::Stale(_));
    let is_new = move |index: usize, run: &AlertInterval| {
        let went_on = before && (facts.corrected(run.from) < limit || !came_back(index));
        facts.corrected(run.last) >= limit && !went_on
    };
    let runs = series.intervals.iter().enumerate().filter(|(index, run)| is_new(*index, run));
    runs.map(|(_, run)| run).collect::<Vec<_>>().into_iter()
}

fn describe(labels: &Labels) -> String {
    let name = labels.get("alertname").map_or("?", String::as_str);
    let others: Vec<_> = labels
        .iter()
        .filter(|(name, _)| *name != "alertname")
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if others.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", others.join(", ")) }
}
