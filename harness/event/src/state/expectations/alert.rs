//! Expected alerts.

use std::collections::BTreeSet;

use super::{
    super::{
        alerts::alert_phase,
        model::{AlertPhase, Progress, RunState},
    },
    Clock, seen, waiting,
};
use crate::{AlertExpectation, AlertState, EventKind, LabelMatcher, Labels, Millis, Notification};

/// An expected alert, as polled and notified.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AlertFollowed {
    expected: AlertExpectation,
    matchers: Vec<LabelMatcher>,
    /// It was active before anything was done: then it says nothing.
    was_active_before: bool,
    /// Those that match and are active now, since the fault.
    active: BTreeSet<Labels>,
    pending: Option<Millis>,
    firing: Option<Millis>,
    delivered: Option<Millis>,
    /// All of them are inactive since then.
    quiet: Option<Millis>,
    /// It resolved because its data was gone.
    without_data: bool,
}

impl AlertFollowed {
    pub(super) fn new(expected: &AlertExpectation) -> Self {
        Self {
            expected: expected.clone(),
            matchers: expected.matchers(),
            was_active_before: false,
            active: BTreeSet::new(),
            pending: None,
            firing: None,
            delivered: None,
            quiet: None,
            without_data: false,
        }
    }

    fn is_it(&self, labels: &Labels) -> bool {
        LabelMatcher::all(&self.matchers, labels)
    }

    pub(super) fn see(&mut self, state: &RunState, kind: &EventKind, clock: Clock) {
        match kind {
            EventKind::BaselineTaken { alerts } => {
                self.was_active_before |= alerts.iter().any(|alert| self.is_it(&alert.labels));
            }
            EventKind::AlertSeen { labels, state: seen, .. } if self.is_it(labels) => {
                let at = state.alerts.get(labels).map(|view| view.since);
                if let Some((phase, at)) = alert_phase(seen).zip(at) {
                    self.polled(labels, phase, at, clock);
                }
            }
            EventKind::NotificationReceived(notification) => self.notified(state, notification, clock),
            EventKind::AlertInputsChecked { alert, present: false, .. } if *alert == self.expected.alert => {
                self.without_data = true;
            }
            _ => {}
        }
    }

    fn polled(&mut self, labels: &Labels, phase: AlertPhase, at: Millis, clock: Clock) {
        if phase == AlertPhase::Inactive {
            if self.active.remove(labels) && self.active.is_empty() && self.firing.is_some() {
                self.quiet = Some(at);
            }
            return;
        }
        // What was active before the fault says nothing about it.
        if clock.applied.is_none_or(|applied| at < applied) {
            return;
        }
        self.active.insert(labels.clone());
        self.quiet = None;
        self.pending.get_or_insert(at);
        if phase == AlertPhase::Firing {
            self.firing.get_or_insert(at);
        }
    }

    fn notified(&mut self, state: &RunState, notification: &Notification, clock: Clock) {
        let right = self.expected.receiver.as_deref().is_none_or(|wanted| wanted == notification.receiver);
        let Some(applied) = clock.applied.filter(|_| right && self.delivered.is_none()) else { return };
        let its = |alert: &crate::NotifiedAlert| {
            alert.status == "firing"
                && self.is_it(&alert.labels)
                && state.since_start_theirs(alert.starts_at) >= applied
        };
        if notification.alerts.iter().any(its) {
            self.delivered = Some(state.since_start(notification.received_at));
        }
    }

    pub(super) fn progress(&self, state: &RunState, clock: Clock) -> Progress {
        let start = match self.expected.state {
            AlertState::Pending | AlertState::Firing | AlertState::Delivered => clock.effect,
            AlertState::Resolved => clock.effect.and(clock.healed),
        };
        let Some(from) = start else { return Progress::NotStarted };
        let at = match self.expected.state {
            AlertState::Pending => self.pending,
            AlertState::Firing => self.firing,
            // A notification of an alert that Prometheus was not seen to have may be of another Prometheus.
            AlertState::Delivered => self.delivered.filter(|_| self.firing.is_some()),
            AlertState::Resolved => self.resolved(state, from, clock),
        };
        match at.filter(|_| !self.was_active_before) {
            Some(at) => seen(at, from, self.expected.within),
            None => waiting(start),
        }
    }

    /// Inactive since the fault was lifted, while the service is healthy again.
    fn resolved(&self, state: &RunState, healed: Millis, clock: Clock) -> Option<Millis> {
        let quiet = self.quiet.filter(|quiet| clock.sent.is_some_and(|sent| *quiet >= sent))?;
        let checks = state.plan.as_ref().map(|plan| plan.steady_state.as_slice()).unwrap_or_default();
        let healthy = checks.iter().all(|check| {
            let last = state.memo.steady_asked.get(&check.name);
            last.is_some_and(|(asked, ok)| *ok && *asked >= healed)
        });
        (healthy && !self.without_data).then_some(quiet)
    }
}
