//! Lanes of alerts: what Prometheus recorded of them, and what the receiver was told.

use harness_event::{AlertExpectation, ExpectationKind, IntervalEnd, LabelMatcher, Labels};

use super::{axis::Axis, lanes::Lane, log::Log};

/// Lanes of alerts that nobody expected at most.
const MOST: usize = 20;

/// A lane for each expected alert, then one for each other alert that was active, and how many more there are.
pub(super) fn lanes(log: &Log<'_>, axis: &Axis) -> (Vec<Lane>, usize) {
    let mut lanes: Vec<Lane> = expected(log)
        .into_iter()
        .map(|(name, matchers)| {
            let mut lane = Lane::new(name, "expected alert");
            fill(&mut lane, log, axis, &|labels| LabelMatcher::all(&matchers, labels));
            lane
        })
        .collect();
    let others = others(log);
    let found = others.into_iter().map(|(name, allowed)| {
        let what = match (allowed, log.has_verdict()) {
            (true, _) => "allowed alert",
            (false, true) => "unexpected alert",
            (false, false) => "alert",
        };
        let mut lane = Lane::new(name, what);
        let wanted = |labels: &Labels| {
            alert_name(labels) == name && !is_expected(log, labels) && is_allowed(log, labels) == allowed
        };
        fill(&mut lane, log, axis, &wanted);
        if allowed {
            lane.bars.iter_mut().filter(|bar| bar.look == "firing").for_each(|bar| bar.look = "firing quiet");
        }
        lane
    });
    let mut found: Vec<Lane> = found.filter(|lane| !lane.is_empty()).collect();
    let left_out = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    lanes.extend(found);
    (lanes, left_out)
}

/// Name and matchers of each expected alert, once.
fn expected(log: &Log<'_>) -> Vec<(String, Vec<LabelMatcher>)> {
    let mut all: Vec<(String, Vec<LabelMatcher>)> = Vec::new();
    for expectation in &log.plan.expectations {
        let ExpectationKind::Alert(alert) = &expectation.kind else { continue };
        let one = (name(alert), alert.matchers());
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all
}

/// `PostgresDown{severity="critical"}`.
pub(super) fn name(alert: &AlertExpectation) -> String {
    match alert.labels.is_empty() {
        true => alert.alert.clone(),
        false => {
            let labels: Vec<_> = alert.labels.iter().map(ToString::to_string).collect();
            format!("{}{{{}}}", alert.alert, labels.join(", "))
        }
    }
}

pub(super) fn is_expected(log: &Log<'_>, labels: &Labels) -> bool {
    log.plan.expectations.iter().any(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => LabelMatcher::all(&alert.matchers(), labels),
        _ => false,
    })
}

pub(super) fn is_allowed(log: &Log<'_>, labels: &Labels) -> bool {
    log.plan.allowed_alerts.iter().any(|matchers| LabelMatcher::all(matchers, labels))
}

fn alert_name(labels: &Labels) -> &str {
    labels.get("alertname").map_or("?", String::as_str)
}

/// Names of alerts that nobody expects, with whether they are allowed: those that are not come first.
fn others<'a>(log: &'a Log<'_>) -> Vec<(&'a str, bool)> {
    let recorded = log.history.unwrap_or_default().iter().map(|series| &series.labels);
    let seen = log.seen.iter().filter(|(.., state)| *state != "inactive").map(|(_, labels, _)| *labels);
    let strangers = recorded.chain(seen).filter(|labels| !is_expected(log, labels));
    let mut names: Vec<_> = strangers.map(|labels| (alert_name(labels), is_allowed(log, labels))).collect();
    names.sort_unstable_by_key(|(name, allowed)| (*allowed, *name));
    names.dedup();
    names
}

fn fill(lane: &mut Lane, log: &Log<'_>, axis: &Axis, wanted: &dyn Fn(&Labels) -> bool) {
    for state in ["pending", "firing"] {
        let mut stretches = recorded(log, state, wanted);
        let polled = stretches.is_empty();
        if polled {
            stretches = seen(log, state, wanted);
        }
        let look = match (state, polled) {
            ("pending", false) => "pending",
            ("pending", true) => "pending polled",
            (_, false) => "firing",
            (_, true) => "firing polled",
        };
        for (from, to, series, doubt) in merged(stretches) {
            let mut more = format!("{series} series");
            if polled {
                more.push_str("; seen by polling, the record has nothing of it");
            }
            if doubt {
                more.push_str("; its samples stop without an end");
            }
            lane.bar(axis, (from, to), look, state, &more);
        }
    }
    for notification in &log.notifications {
        let about = notification.alerts.iter().filter(|alert| wanted(&alert.labels));
        let (mut firing, mut resolved) = (0, 0);
        for alert in about {
            *(if alert.status == "resolved" { &mut resolved } else { &mut firing }) += 1;
        }
        let at = log.ms(notification.received_at);
        if firing > 0 {
            lane.mark(axis, at, "told", &format!("notification \"firing\" at {}", notification.receiver));
        }
        if resolved > 0 {
            lane.mark(
                axis,
                at,
                "told-resolved",
                &format!("notification \"resolved\" at {}", notification.receiver),
            );
        }
    }
    // No more than the log says: silence is something only where somebody listened.
    lane.empty = match (log.history.is_some(), log.seen.is_empty()) {
        (true, _) => "never active",
        (false, false) => "not seen by polling; the record was not read",
        (false, true) => "nobody looked",
    };
    let fires = lane.bars.iter().any(|bar| bar.look.starts_with("firing"));
    lane.tone = if fires && lane.what == "unexpected alert" { "bad" } else { "" };
}

/// From, to, number of series, and whether the end is in doubt.
type Active = (i64, Option<i64>, usize, bool);

fn recorded(log: &Log<'_>, state: &str, wanted: &dyn Fn(&Labels) -> bool) -> Vec<Active> {
    let series = log.history.unwrap_or_default().iter();
    let series = series.filter(|series| series.state == state && wanted(&series.labels));
    let intervals = series.flat_map(|series| &series.intervals);
    intervals
        .map(|run| {
            let from = log.theirs(run.from);
            match run.end {
                IntervalEnd::Stale(at) => (from, Some(log.theirs(at)), 1, false),
                IntervalEnd::Open => (from, None, 1, false),
                IntervalEnd::Unknown => (from, Some(log.theirs(run.last)), 1, true),
            }
        })
        .collect()
}

/// What polling saw: from one look at an alert to the next that saw it in another state.
fn seen(log: &Log<'_>, state: &str, wanted: &dyn Fn(&Labels) -> bool) -> Vec<Active> {
    let mut open: Vec<(&Labels, i64)> = Vec::new();
    let mut all = Vec::new();
    for (at, labels, now) in log.seen.iter().filter(|(_, labels, _)| wanted(labels)) {
        let known = open.iter().position(|(one, _)| one == labels);
        match (known, *now == state) {
            (None, true) => open.push((labels, *at)),
            (Some(index), false) => all.push((open.swap_remove(index).1, Some(*at), 1, false)),
            _ => {}
        }
    }
    all.extend(open.into_iter().map(|(_, from)| (from, None, 1, false)));
    all
}

/// Stretches that overlap as one.
fn merged(mut all: Vec<Active>) -> Vec<Active> {
    all.sort_unstable_by_key(|(from, to, ..)| (*from, to.unwrap_or(i64::MAX)));
    let mut merged: Vec<Active> = Vec::new();
    for (from, to, series, doubt) in all {
        match merged.last_mut() {
            Some(last) if last.1.is_none_or(|end| from <= end) => {
                last.1 = last.1.zip(to).map(|(one, other)| one.max(other));
                last.2 += series;
                last.3 |= doubt;
            }
            _ => merged.push((from, to, series, doubt)),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_overlap_are_one() {
        let all = vec![
            (10, Some(20), 1, false),
            (0, Some(12), 1, false),
            (30, None, 1, false),
            (35, Some(40), 1, true),
        ];
        assert_eq!(merged(all), [(0, Some(20), 2, false), (30, None, 2, true)]);
    }
}
