//! What happened when: phases, faults and loads as spans of wall-clock time. The source of trace and annotations.

use harness_event::{Event, EventKind, FaultAction, Millis, Phase, Plan, Timestamp};

/// Spans of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeline {
    /// Name of the run.
    pub run: String,
    /// Path of the scenario file as given.
    pub scenario: String,
    /// Title of the scenario.
    pub title: String,
    /// First event.
    pub from: Timestamp,
    /// Last event.
    pub to: Timestamp,
    /// Phases, in order.
    pub phases: Vec<PhaseSpan>,
    /// Faults that were planned, in order.
    pub faults: Vec<FaultSpan>,
    /// Loads that were started, in order.
    pub loads: Vec<LoadSpan>,
}

/// A phase.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseSpan {
    /// Which.
    pub phase: Phase,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; absent if the log ends before.
    pub to: Option<Timestamp>,
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpan {
    /// Its name.
    pub fault: String,
    /// What it did, `scales to 0: deployment/postgres`.
    pub what: String,
    /// What undoes it.
    pub inverse: String,
    /// When the first call was sent.
    pub sent_at: Option<Timestamp>,
    /// When its effect was seen.
    pub effect_at: Option<Timestamp>,
    /// When its revert began.
    pub revert_at: Option<Timestamp>,
    /// When the world was seen to be as before.
    pub healed_at: Option<Timestamp>,
    /// What went wrong with it. That it could not be undone is told only if it never was.
    pub error: Option<String>,
    /// Why the last try to undo it failed, while the log is folded.
    pub revert_error: Option<String>,
    /// Somebody wanted it undone before its time.
    pub stopped: bool,
}

impl FaultSpan {
    /// From the first call until the world was as before; `None` if nothing was sent. Without an end, it goes on to the end of
    /// the log.
    pub fn span(&self) -> Option<(Timestamp, Option<Timestamp>)> {
        Some((self.sent_at.or(self.effect_at)?, self.healed_at))
    }
}

/// A load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadSpan {
    /// Its name.
    pub load: String,
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; absent if it failed, or if the log ends before.
    pub to: Option<Timestamp>,
    /// It goes on during the whole run.
    pub background: bool,
    /// Why it could not be carried out.
    pub error: Option<String>,
}

impl Timeline {
    /// Folds a log.
    pub fn of(events: &[Event]) -> Self {
        let mut timeline = Self::default();
        if let (Some(first), Some(last)) = (events.first(), events.last()) {
            (timeline.from, timeline.to) = (first.at, last.at.max(first.at));
        }
        let mut background = Vec::new();
        for event in events {
            match &event.kind {
                EventKind::RunStarted { run, scenario, plan, .. } => {
                    timeline.run.clone_from(run);
                    timeline.scenario.clone_from(scenario);
                    timeline.title.clone_from(&plan.title);
                    background = in_background(plan);
                }
                EventKind::PhaseStarted { phase } => {
                    timeline.phases.push(PhaseSpan { phase: *phase, from: event.at, to: None });
                }
                EventKind::PhaseFinished { phase } => {
                    let open = |span: &&mut PhaseSpan| span.phase == *phase && span.to.is_none();
                    if let Some(span) = timeline.phases.iter_mut().rev().find(open) {
                        span.to = Some(event.at);
                    }
                }
                EventKind::LoadStarted { load, started_at } => timeline.loads.push(LoadSpan {
                    load: load.clone(),
                    from: *started_at,
                    to: None,
                    background: background.contains(load),
                    error: None,
                }),
                EventKind::LoadFinished { load, ended_at, .. } => {
                    if let Some(span) = timeline.load(load) {
                        span.to = Some(*ended_at);
                    }
                }
                EventKind::LoadFailed { load, error } => {
                    if let Some(span) = timeline.load(load) {
                        (span.to, span.error) = (Some(event.at), Some(error.clone()));
                    }
                }
                kind => timeline.add_fault(kind),
            }
        }
        for fault in &mut timeline.faults {
            fault.error = fault.revert_error.take().or_else(|| fault.error.take());
        }
        timeline
    }

    /// So long after the first event; zero for what was before.
    pub fn since_start(&self, at: Timestamp) -> Millis {
        (at - self.from).max(Millis(0))
    }

    fn load(&mut self, name: &str) -> Option<&mut LoadSpan> {
        self.loads.iter_mut().rev().find(|span| span.load == name)
    }

    fn fault(&mut self, name: &str) -> &mut FaultSpan {
        let index = self.faults.iter().rposition(|span| span.fault == name).unwrap_or_else(|| {
            self.faults.push(FaultSpan {
                fault: name.to_owned(),
                what: String::new(),
                inverse: String::new(),
                sent_at: None,
                effect_at: None,
                revert_at: None,
                healed_at: None,
                error: None,
                revert_error: None,
                stopped: false,
            });
            self.faults.len() - 1
        });
        &mut self.faults[index]
    }

    fn add_fault(&mut self, kind: &EventKind) {
        match kind {
            EventKind::FaultPlanned { fault, action, targets, inverse } => {
                let span = self.fault(fault);
                span.what = format!("{} {}", verb(action), targets.join(", "));
                span.inverse.clone_from(inverse);
            }
            EventKind::FaultApplied { fault, sent_at } => self.fault(fault).sent_at = Some(*sent_at),
            EventKind::FaultApplyFailed { fault, error } => {
                self.fault(fault).error = Some(format!("could not be applied: {error}"));
            }
            EventKind::FaultEffectObserved { fault, effect_at, .. } => {
                self.fault(fault).effect_at = Some(*effect_at)
            }
            EventKind::FaultEffectMissing { fault, detail } => {
                self.fault(fault).error = Some(format!("its effect was not seen: {detail}"));
            }
            EventKind::FaultStopped { fault } => self.fault(fault).stopped = true,
            // A revert that had to be tried again began with its first try.
            EventKind::FaultRevertStarted { fault, sent_at } => {
                self.fault(fault).revert_at.get_or_insert(*sent_at);
            }
            EventKind::FaultRevertVerified { fault, effect_at, .. } => {
                let span = self.fault(fault);
                (span.healed_at, span.revert_error) = (Some(*effect_at), None);
            }
            EventKind::FaultRevertFailed { fault, error } => {
                self.fault(fault).revert_error = Some(format!("could not be undone: {error}"));
            }
            _ => {}
        }
    }
}

fn in_background(plan: &Plan) -> Vec<String> {
    plan.loads.iter().filter(|load| load.is_background()).map(|load| load.name.clone()).collect()
}

fn verb(action: &FaultAction) -> String {
    match action {
        FaultAction::Scale { replicas, .. } => format!("scales to {replicas}:"),
        FaultAction::DeletePods { .. } => "deletes".to_owned(),
        FaultAction::Restart { .. } => "restarts".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use harness_event::verdict::testkit;

    use super::*;

    #[test]
    fn spans_of_a_run_are_in_order_and_within_it() {
        for kinds in [testkit::passing_run(), testkit::surge_run()] {
            let events = testkit::log(kinds);
            let timeline = Timeline::of(&events);
            assert!(!timeline.faults.is_empty() || !timeline.loads.is_empty());
            for fault in &timeline.faults {
                let times = [fault.sent_at, fault.effect_at, fault.revert_at, fault.healed_at];
                let times: Vec<_> = times.into_iter().flatten().collect();
                assert_eq!(times.len(), 4, "{fault:?}");
                assert!(times.is_sorted(), "{fault:?}");
            }
            for load in &timeline.loads {
                assert!(load.to.is_some_and(|to| to >= load.from), "{load:?}");
            }
        }
    }

    #[test]
    fn what_a_torn_log_does_not_say_is_open() {
        let events = testkit::log(testkit::passing_run());
        let until = events
            .iter()
            .position(|event| matches!(event.kind, EventKind::FaultEffectObserved { .. }))
            .unwrap();
        let timeline = Timeline::of(&events[..=until]);
        let fault = &timeline.faults[0];
        assert_eq!((fault.revert_at, fault.healed_at), (None, None));
        assert_eq!(fault.span().map(|(_, to)| to), Some(None));
        assert!(!fault.what.is_empty() && !fault.inverse.is_empty());
    }

    #[test]
    fn what_was_undone_at_last_is_not_told_as_left() {
        let mut kinds = testkit::passing_run();
        let verified =
            kinds.iter().position(|kind| matches!(kind, EventKind::FaultRevertVerified { .. })).unwrap();
        let EventKind::FaultRevertVerified { fault, .. } = &kinds[verified] else { unreachable!() };
        let missing = EventKind::FaultEffectMissing { fault: fault.clone(), detail: "all is well".into() };
        let failed = EventKind::FaultRevertFailed { fault: fault.clone(), error: "refused".into() };
        kinds.insert(verified, failed.clone());
        assert_eq!(Timeline::of(&testkit::log(kinds.clone())).faults[0].error, None);
        // Another thing that went wrong with it stays.
        kinds.insert(verified, missing);
        let error = Timeline::of(&testkit::log(kinds.clone())).faults[0].error.clone();
        assert_eq!(error.as_deref(), Some("its effect was not seen: all is well"));
        kinds.push(failed);
        let error = Timeline::of(&testkit::log(kinds)).faults[0].error.clone();
        assert_eq!(error.as_deref(), Some("could not be undone: refused"));
    }
}
