//! What is on, for those who wait for its end.

use std::{collections::BTreeSet, time::Duration};

use harness_engine::Log;
use harness_event::{Event, EventKind, LabelMatcher, Labels, Plan};
use tokio::sync::mpsc::UnboundedReceiver;

use super::steps::Wait;

/// What is on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Situation {
    faults: BTreeSet<String>,
    loads: BTreeSet<String>,
    /// Alerts that are active and were not before anything was done.
    alerts: BTreeSet<Labels>,
    before: BTreeSet<Labels>,
    begun: bool,
    /// Alerts that may be active.
    allowed: Vec<Vec<LabelMatcher>>,
    /// Steady-state checks of the plan that do not hold, or were not asked yet.
    unsteady: BTreeSet<String>,
}

impl Situation {
    fn of(plan: &Plan) -> Self {
        let unsteady = plan.steady_state.iter().map(|check| check.name.clone()).collect();
        Self { allowed: plan.allowed_alerts.clone(), unsteady, ..Self::default() }
    }

    fn add(&mut self, kind: &EventKind) {
        match kind {
            EventKind::FaultRequested { spec } => {
                self.begun = true;
                self.faults.insert(spec.name.clone());
            }
            EventKind::FaultRevertVerified { fault, .. } | EventKind::FaultRevertFailed { fault, .. } => {
                self.faults.remove(fault);
            }
            EventKind::LoadRequested { spec } => {
                self.begun = true;
                self.loads.insert(spec.name.clone());
            }
            EventKind::LoadFinished { load, .. } | EventKind::LoadFailed { load, .. } => {
                self.loads.remove(load);
            }
            EventKind::AlertSeen { labels, state, .. } if state == "inactive" => {
                self.alerts.remove(labels);
                self.before.remove(labels);
            }
            EventKind::AlertSeen { labels, .. } if !self.begun => {
                self.before.insert(labels.clone());
            }
            EventKind::AlertSeen { labels, .. } => {
                let allowed = self.allowed.iter().any(|matchers| LabelMatcher::all(matchers, labels));
                if !allowed && !self.before.contains(labels) {
                    self.alerts.insert(labels.clone());
                }
            }
            EventKind::SteadyStateChecked { check, ok: true, .. } => {
                self.unsteady.remove(check);
            }
            EventKind::SteadyStateChecked { check, .. } => {
                self.unsteady.insert(check.clone());
            }
            _ => {}
        }
    }

    /// What is still on of what is waited for, for people.
    fn still_on(&self, wait: Wait) -> Vec<&str> {
        let name = |labels: &'_ Labels| labels.contains_key("alertname");
        match wait {
            Wait::For(_) => Vec::new(),
            Wait::Faults(_) => self.faults.iter().map(String::as_str).collect(),
            Wait::Steady(_) => self.unsteady.iter().map(String::as_str).collect(),
            Wait::Loads(_) => self.loads.iter().map(String::as_str).collect(),
            Wait::Alerts(_) => self
                .alerts
                .iter()
                .filter(|labels| name(labels))
                .map(|labels| labels["alertname"].as_str())
                .collect(),
        }
    }
}

/// What is on, kept up to date from a log. Nothing lies between a fact and its reader: what was recorded before somebody waits is
/// known to who waits.
pub(super) struct Tracker {
    facts: UnboundedReceiver<Event>,
    now: Situation,
}

/// Follows a log.
pub(super) fn follow(log: &Log, plan: &Plan) -> Tracker {
    let facts = log.listen(|kind| {
        matches!(
            kind,
            EventKind::FaultRequested { .. }
                | EventKind::FaultRevertVerified { .. }
                | EventKind::FaultRevertFailed { .. }
                | EventKind::LoadRequested { .. }
                | EventKind::LoadFinished { .. }
                | EventKind::LoadFailed { .. }
                | EventKind::AlertSeen { .. }
                | EventKind::SteadyStateChecked { .. }
        )
    });
    Tracker { facts, now: Situation::of(plan) }
}

impl Tracker {
    /// Until nothing is on that is waited for. False if no more facts come: the game day has ended.
    async fn calm(&mut self, wait: Wait) -> bool {
        loop {
            while let Ok(event) = self.facts.try_recv() {
                self.now.add(&event.kind);
            }
            if self.now.still_on(wait).is_empty() {
                return true;
            }
            match self.facts.recv().await {
                Some(event) => self.now.add(&event.kind),
                None => return false,
            }
        }
    }
}

/// Waits.
///
/// # Errors
/// What is still on when the patience is over.
pub(super) async fn wait(tracker: &mut Tracker, wait: Wait) -> Result<(), String> {
    let limit = match wait {
        Wait::For(length) => {
            tokio::time::sleep(length).await;
            return Ok(());
        }
        Wait::Faults(limit) | Wait::Loads(limit) | Wait::Alerts(limit) | Wait::Steady(limit) => limit,
    };
    match tokio::time::timeout(limit, tracker.calm(wait)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err("the game day is over".to_owned()),
        Err(_) => {
            let on = tracker.now.still_on(wait).join(", ");
            let what = if matches!(wait, Wait::Steady(_)) { "does not hold" } else { "still on" };
            Err(format!("{what} after {}: {on}", text(limit)))
        }
    }
}

fn text(length: Duration) -> String {
    harness_event::Millis::from(length).to_string()
}

#[cfg(test)]
mod tests {
    use harness_event::{LoadStart, Millis, verdict::testkit};

    use super::*;

    fn alert(name: &str, state: &str) -> EventKind {
        EventKind::AlertSeen {
            labels: [("alertname".to_owned(), name.to_owned())].into(),
            state: state.into(),
            active_at: None,
            value: None,
        }
    }

    fn plan() -> Plan {
        let allowed = vec![LabelMatcher::equal("alertname", "Allowed")];
        Plan { allowed_alerts: vec![allowed], ..testkit::plan() }
    }

    #[tokio::test]
    async fn the_steady_state_is_waited_for() {
        let log = Log::unrecorded();
        let mut situation = follow(&log, &plan());
        let waited = wait(&mut situation, Wait::Steady(Duration::from_millis(50))).await;
        assert_eq!(waited.unwrap_err(), "does not hold after 50ms: portal answers");
        let (check, detail) = ("portal answers".to_owned(), "200".to_owned());
        log.record(EventKind::SteadyStateChecked { check, asked_at: testkit::at(0), ok: true, detail });
        assert_eq!(wait(&mut situation, Wait::Steady(Duration::from_secs(60))).await, Ok(()));
    }

    #[tokio::test]
    async fn alerts_of_before_are_not_waited_for() {
        let log = Log::unrecorded();
        let mut situation = follow(&log, &plan());
        let short = Duration::from_millis(50);
        log.record(alert("Watchdog", "firing"));
        log.record(EventKind::FaultRequested { spec: testkit::plan().faults.remove(0) });
        log.record(alert("Allowed", "firing"));
        log.record(alert("Down", "pending"));
        let on = wait(&mut situation, Wait::Alerts(short)).await.unwrap_err();
        assert_eq!(on, "still on after 50ms: Down");
        assert!(wait(&mut situation, Wait::Faults(short)).await.is_err());
        log.record(alert("Down", "inactive"));
        assert_eq!(wait(&mut situation, Wait::Alerts(Duration::from_secs(60))).await, Ok(()));
        log.record(EventKind::FaultRevertFailed { fault: testkit::FAULT.into(), error: "gone".into() });
        assert_eq!(wait(&mut situation, Wait::Faults(Duration::from_secs(60))).await, Ok(()));
        log.record(EventKind::LoadRequested {
            spec: testkit::load_spec("users", LoadStart::After(Millis(0))),
        });
        drop(log);
        assert_eq!(
            wait(&mut situation, Wait::Loads(Duration::from_secs(60))).await.unwrap_err(),
            "the game day is over"
        );
    }
}
