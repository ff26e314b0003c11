//! Alerts, as polling and notifications show them.

use std::collections::{BTreeMap, VecDeque};

use super::{
    ALERTS_KEPT, HISTORY_KEPT, NOTIFICATIONS_KEPT,
    fold::push,
    model::{AlertKind, AlertPhase, AlertView, RunState},
};
use crate::{
    EventKind, ExpectationKind, LabelMatcher, Labels, MatchOp, Millis, Notification, NotifiedAlert, Plan,
    RunMode, Timestamp,
};

/// A poll's finding.
struct Seen<'e> {
    labels: &'e Labels,
    phase: AlertPhase,
    active_at: Option<Timestamp>,
    value: Option<&'e String>,
}

impl RunState {
    pub(super) fn apply_to_alert(&mut self, kind: &EventKind) {
        match kind {
            EventKind::AlertSeen { labels, state, active_at, value } => {
                if let Some(phase) = alert_phase(state) {
                    let seen = Seen { labels, phase, active_at: *active_at, value: value.as_ref() };
                    self.alert_seen(&seen);
                }
            }
            EventKind::BaselineTaken { alerts } => {
                let known = alerts
                    .iter()
                    .filter_map(|alert| Some((alert.labels.clone(), alert_phase(&alert.state)?)));
                self.memo.baseline = known.collect();
                let active = |view: &AlertView| view.state != AlertPhase::Inactive;
                for (labels, view) in self.alerts.iter_mut().filter(|(_, view)| active(view)) {
                    let before = was_before(&self.memo.baseline, labels, view.state);
                    view.kind = alert_kind(self.plan.as_ref(), self.mode, before, labels);
                }
            }
            EventKind::NotificationReceived(notification) => self.notified(notification),
            EventKind::AlertSuppressed { labels, by } => {
                if let Some(view) = self.alerts.get_mut(labels) {
                    view.suppressed = Some(by.clone());
                }
            }
            EventKind::AlertRulesRead { rules } => {
                self.rules.clear();
                for rule in rules {
                    self.rules.entry(rule.alert.clone()).or_default().push(rule.clone());
                }
            }
            _ => {}
        }
    }

    fn alert_seen(&mut self, seen: &Seen<'_>) {
        let since = self.alert_since(seen);
        let labels = seen.labels;
        if seen.phase == AlertPhase::Inactive {
            // It has been away: if it comes back, that is new.
            self.memo.baseline.remove(labels);
            if self.alerts.contains_key(labels) {
                self.memo.quiet_alerts.push_back((since, labels.clone()));
                if self.memo.quiet_alerts.len() > 4 * ALERTS_KEPT {
                    self.forget_quiet_alert();
                }
            }
        }
        let Some(view) = self.alerts.get_mut(labels) else {
            if seen.phase != AlertPhase::Inactive {
                self.new_alert(seen, since);
            }
            return;
        };
        let again = view.state == AlertPhase::Inactive && seen.phase != AlertPhase::Inactive;
        view.active_at = seen.active_at.or(view.active_at.filter(|_| !again));
        if seen.value.is_some() {
            view.value = seen.value.cloned();
        }
        if view.state != seen.phase {
            view.since = since.max(view.history.back().map_or(Millis(0), |(last, _)| *last));
            view.state = seen.phase;
            if seen.phase != AlertPhase::Inactive {
                let before = was_before(&self.memo.baseline, labels, seen.phase);
                view.kind = alert_kind(self.plan.as_ref(), self.mode, before, labels);
            }
            push(&mut view.history, HISTORY_KEPT, (view.since, seen.phase));
        }
        if again {
            // A new episode, with notifications of its own.
            (view.delivered, view.resolved_delivered, view.suppressed) = (None, None, None);
        }
    }

    fn new_alert(&mut self, seen: &Seen<'_>, since: Millis) {
        self.make_room_for_an_alert();
        let labels = seen.labels;
        let before = was_before(&self.memo.baseline, labels, seen.phase);
        let view = AlertView {
            labels: labels.clone(),
            state: seen.phase,
            since,
            kind: alert_kind(self.plan.as_ref(), self.mode, before, labels),
            active_at: seen.active_at,
            value: seen.value.cloned(),
            history: VecDeque::from([(since, seen.phase)]),
            delivered: None,
            resolved_delivered: None,
            suppressed: None,
        };
        self.alerts.insert(labels.clone(), view);
    }

    fn make_room_for_an_alert(&mut self) {
        while self.alerts.len() >= ALERTS_KEPT && !self.memo.quiet_alerts.is_empty() {
            self.forget_quiet_alert();
        }
    }

    /// Forgets the alert that has been inactive for the longest time, unless it became active again.
    fn forget_quiet_alert(&mut self) {
        let Some((since, labels)) = self.memo.quiet_alerts.pop_front() else { return };
        let quiet = |view: &AlertView| view.state == AlertPhase::Inactive && view.since <= since;
        if self.alerts.get(&labels).is_some_and(quiet) {
            self.alerts.remove(&labels);
        }
    }

    /// When an alert reached the state in which it is seen. Prometheus says when it became active, which is when it began to fire
    /// only if its rule does not wait; everything else is known to the time of the poll.
    fn alert_since(&self, seen: &Seen<'_>) -> Millis {
        let rules = seen.labels.get("alertname").and_then(|name| self.rules.get(name));
        let at_once = || rules.is_some_and(|rules| rules.iter().all(|rule| rule.pending_for == Millis(0)));
        match (seen.phase, seen.active_at) {
            (AlertPhase::Pending, Some(at)) => self.since_start_theirs(at),
            (AlertPhase::Firing, Some(at)) if at_once() => self.since_start_theirs(at),
            _ => self.elapsed,
        }
    }

    fn notified(&mut self, notification: &Notification) {
        let arrived = self.since_start(notification.received_at);
        for alert in &notification.alerts {
            if let Some(view) = self.alerts.get_mut(&alert.labels) {
                view.notified(arrived, &notification.receiver, alert);
            }
        }
        push(&mut self.notifications, NOTIFICATIONS_KEPT, notification.clone());
    }
}

impl AlertView {
    fn notified(&mut self, arrived: Millis, receiver: &str, alert: &NotifiedAlert) {
        let told = || (arrived, receiver.to_owned());
        match alert.status.as_str() {
            "firing" => {
                self.delivered.get_or_insert_with(told);
            }
            "resolved" if self.delivered.is_some() => {
                self.resolved_delivered.get_or_insert_with(told);
            }
            _ => {}
        }
    }

    /// Value of the `alertname` label.
    pub fn name(&self) -> &str {
        self.labels.get("alertname").map_or("?", String::as_str)
    }
}

/// States as Prometheus names them; another one is of a version that nobody knows yet.
pub(super) fn alert_phase(state: &str) -> Option<AlertPhase> {
    match state {
        "pending" => Some(AlertPhase::Pending),
        "firing" => Some(AlertPhase::Firing),
        "inactive" => Some(AlertPhase::Inactive),
        _ => None,
    }
}

/// True if it was active like that when the baseline ended, and has been so since: what was only pending and fires now is new.
fn was_before(baseline: &BTreeMap<Labels, AlertPhase>, labels: &Labels, now: AlertPhase) -> bool {
    baseline.get(labels).is_some_and(|before| *before >= now)
}

fn alert_kind(plan: Option<&Plan>, mode: RunMode, before: bool, labels: &Labels) -> AlertKind {
    let Some(plan) = plan.filter(|_| mode == RunMode::Scenario) else { return AlertKind::Unjudged };
    let expected = plan.expectations.iter().any(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => LabelMatcher::all(&alert.matchers(), labels),
        _ => false,
    });
    match expected {
        true => AlertKind::Expected,
        false if plan.allowed_alerts.iter().any(|matchers| LabelMatcher::all(matchers, labels)) => {
            AlertKind::Allowed
        }
        false if before => AlertKind::Unjudged,
        false => AlertKind::Unexpected,
    }
}

/// Names that matchers of alerts ask for.
pub(super) fn names(plan: &Plan) -> impl Iterator<Item = String> + '_ {
    let expected = plan.expectations.iter().filter_map(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => Some(alert.alert.clone()),
        _ => None,
    });
    let is_name = |matcher: &&LabelMatcher| matcher.name == "alertname" && matcher.op == MatchOp::Equal;
    let allowed = plan.allowed_alerts.iter().flatten().filter(is_name);
    expected.chain(allowed.map(|matcher| matcher.value.clone()))
}
