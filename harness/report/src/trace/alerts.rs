//! Alerts and what was told of them.

use std::collections::BTreeMap;

use harness_event::{
    AlertSeries, Event, EventKind, ExpectationKind, IntervalEnd, LabelMatcher, Labels, Millis, Plan,
    Timestamp,
};
use serde_json::json;

use super::model::{Group, Look, Trace, Track};
use crate::loads::plan;

pub(super) fn add(trace: &mut Trace, events: &[Event]) {
    let clock = events.iter().find_map(|event| match event.kind {
        EventKind::ClockMeasured { offset, .. } => Some(offset),
        _ => None,
    });
    let end = trace.timeline.to;
    let history = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::AlertHistoryRead { series, .. } => Some(series),
        _ => None,
    });
    let plan = plan(events);
    let spans = match history {
        Some(series) => recorded(series, clock.unwrap_or_default(), end),
        // A run that did not get to its evidence has only what polling saw.
        None => polled(events, end),
    };
    let mut firing: Vec<(Labels, Track, Timestamp, Timestamp)> = Vec::new();
    for (labels, spans) in &spans {
        if spans.iter().all(|span| span.to < trace.timeline.from) {
            continue;
        }
        let track = trace.track(Group::Alerts, &describe(labels));
        let expected = plan.is_some_and(|plan| is_expected(plan, labels));
        // What was over before the run began has no place on its axis.
        let from = trace.timeline.from;
        for span in spans.iter().filter(|span| span.to >= from) {
            let look = if span.state == "firing" { Look::Bad } else { Look::Warn };
            let args = json!({ "labels": labels, "expected": expected, "evidence": span.evidence });
            trace.span(track, &span.state, (span.from, span.to), look, args);
            if span.state == "firing" {
                firing.push((labels.clone(), track, span.from, span.to));
            }
        }
    }
    notifications(trace, events, &firing);
}

struct AlertSpan {
    state: String,
    from: Timestamp,
    to: Timestamp,
    evidence: &'static str,
}

/// Prometheus' own samples, on our clock.
fn recorded(series: &[AlertSeries], offset: Millis, end: Timestamp) -> BTreeMap<Labels, Vec<AlertSpan>> {
    let mut spans: BTreeMap<Labels, Vec<AlertSpan>> = BTreeMap::new();
    for one in series {
        for interval in &one.intervals {
            let to = match interval.end {
                IntervalEnd::Stale(at) => at - offset,
                IntervalEnd::Open => end.max(interval.last - offset),
                IntervalEnd::Unknown => interval.last - offset,
            };
            spans.entry(one.labels.clone()).or_default().push(AlertSpan {
                state: one.state.clone(),
                from: interval.from - offset,
                to,
                evidence: "recorded by Prometheus",
            });
        }
    }
    spans
}

fn polled(events: &[Event], end: Timestamp) -> BTreeMap<Labels, Vec<AlertSpan>> {
    let mut spans: BTreeMap<Labels, Vec<AlertSpan>> = BTreeMap::new();
    let mut now: BTreeMap<Labels, (String, Timestamp)> = BTreeMap::new();
    let span =
        |(state, from): (String, Timestamp), to| AlertSpan { state, from, to, evidence: "seen by polling" };
    for event in events {
        let EventKind::AlertSeen { labels, state, .. } = &event.kind else { continue };
        if let Some(before) = now.remove(labels) {
            spans.entry(labels.clone()).or_default().push(span(before, event.at));
        }
        if state != "inactive" {
            now.insert(labels.clone(), (state.clone(), event.at));
        }
    }
    for (labels, last) in now {
        spans.entry(labels).or_default().push(span(last, end));
    }
    spans
}

/// Each alert of each notification, with the way to it from the alert that it tells of.
fn notifications(trace: &mut Trace, events: &[Event], firing: &[(Labels, Track, Timestamp, Timestamp)]) {
    for event in events {
        let EventKind::NotificationReceived(notification) = &event.kind else { continue };
        let track = trace.track(Group::Notifications, &notification.receiver);
        let at = notification.received_at;
        for alert in &notification.alerts {
            let look = if alert.status == "resolved" { Look::Good } else { Look::Bad };
            let name = format!("{} {}", alert_name(&alert.labels), alert.status);
            trace.moment(track, &name, at, look, json!({ "labels": alert.labels }));
            // Alertmanager adds external labels, so the rule's are among them.
            let same =
                |labels: &Labels| labels.iter().all(|(name, value)| alert.labels.get(name) == Some(value));
            let cause = firing.iter().rev().find(|(labels, _, from, _)| same(labels) && *from <= at);
            if let Some((_, alert_track, from, to)) = cause {
                let start = if alert.status == "resolved" { (*to - Millis(1)).max(*from) } else { *from };
                trace.flow(&name, (*alert_track, start), (track, at));
            }
        }
    }
}

fn is_expected(plan: &Plan, labels: &Labels) -> bool {
    let by_expectation = plan.expectations.iter().any(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => LabelMatcher::all(&alert.matchers(), labels),
        _ => false,
    });
    by_expectation || plan.allowed_alerts.iter().any(|matchers| LabelMatcher::all(matchers, labels))
}

fn alert_name(labels: &Labels) -> &str {
    labels.get("alertname").map_or("?", String::as_str)
}

/// Alert name with all other labels: one alert, one track.
fn describe(labels: &Labels) -> String {
    let rest = labels.iter().filter(|(name, _)| *name != "alertname");
    let rest: Vec<_> = rest.map(|(name, value)| format!("{name}={value:?}")).collect();
    match rest.is_empty() {
        true => alert_name(labels).to_owned(),
        false => format!("{}{{{}}}", alert_name(labels), rest.join(", ")),
    }
}
