//! Alerts that nobody expected.

use super::{alerts::Judged, facts::Facts, monitoring, outcome::CheckOutcome};
use crate::{AlertSeries, ExpectationKind, IntervalEnd, LabelMatcher, Labels, Plan};

/// No alert but the expected and the allowed ones fires from the first fault to the end. One that only goes pending and comes
/// back is no alert; one that is still pending at the end may become one, which nobody can tell.
pub(super) fn judge(facts: &Facts<'_>, plan: &Plan) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let Some(since) = facts.first_applied() else {
        let reason = facts.skipped.unwrap_or("no fault was injected");
        return inconclusive(reason.to_owned());
    };
    let Some(history) = &facts.history else {
        let reason = facts.history_error.unwrap_or("Prometheus' record of its alerts was not read");
        return inconclusive(reason.to_owned());
    };
    let strangers = || {
        history
            .series
            .iter()
            .filter(|series| !expected(plan, &series.labels) && !active_before(facts, &series.labels))
    };
    let limit = since - facts.clock_bound();
    let touches =
        |series: &&AlertSeries| series.intervals.iter().any(|run| facts.corrected(run.last) >= limit);
    let names = |state: &str, filter: &dyn Fn(&AlertSeries) -> bool| {
        let mut names: Vec<_> = strangers()
            .filter(touches)
            .filter(|series| series.state == state && filter(series))
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
    let open =
        names("pending", &|series| series.intervals.last().is_some_and(|run| run.end == IntervalEnd::Open));
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

/// What was active before the fault is not caused by it.
fn active_before(facts: &Facts<'_>, labels: &Labels) -> bool {
    facts.baseline.unwrap_or_default().iter().any(|alert| alert.labels == *labels)
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
