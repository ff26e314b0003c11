//! Ready replicas and the steady state after the revert.

use std::collections::BTreeMap;

use super::{
    super::model::{Progress, RunState},
    Clock, seen, waiting,
};
use crate::{EventKind, Millis, WorkloadExpectation};

/// A workload's ready replicas.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WorkloadFollowed {
    expected: WorkloadExpectation,
    /// Start of the unbroken stretch with enough of them.
    since: Option<Millis>,
}

impl WorkloadFollowed {
    pub(super) fn new(expected: &WorkloadExpectation) -> Self {
        Self { expected: expected.clone(), since: None }
    }

    pub(super) fn see(&mut self, state: &RunState, kind: &EventKind) {
        match kind {
            EventKind::WorkloadObserved(seen) if seen.workload == self.expected.workload => {
                let at = state.since_start(seen.seen_at);
                match seen.ready >= self.expected.ready {
                    true => {
                        self.since.get_or_insert(at);
                    }
                    false => self.since = None,
                }
            }
            // What is not watched does not count.
            EventKind::ObserverFailed { observer, .. } if observer == EventKind::WORKLOAD_OBSERVER => {
                self.since = None;
            }
            _ => {}
        }
    }

    pub(super) fn progress(&self, clock: Clock) -> Progress {
        let start = clock.effect.and(clock.sent);
        match (start, self.since) {
            (Some(sent), Some(since)) => seen(since.max(sent), sent, self.expected.within),
            _ => waiting(start),
        }
    }
}

/// The whole steady state.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RecoveryFollowed {
    within: Millis,
    /// Checks that hold, since when after the revert began.
    held: BTreeMap<String, Millis>,
}

impl RecoveryFollowed {
    pub(super) fn new(within: Millis) -> Self {
        Self { within, held: BTreeMap::new() }
    }

    pub(super) fn see(&mut self, state: &RunState, kind: &EventKind, clock: Clock) {
        let EventKind::SteadyStateChecked { check, asked_at, ok, .. } = kind else { return };
        let asked = state.since_start(*asked_at);
        if clock.sent.is_none_or(|sent| asked < sent) {
            return;
        }
        match ok {
            true => {
                self.held.entry(check.clone()).or_insert(asked);
            }
            false => {
                self.held.remove(check);
            }
        }
    }

    pub(super) fn progress(&self, state: &RunState, clock: Clock) -> Progress {
        let start = clock.effect.and(clock.sent);
        let checks = state.plan.as_ref().map(|plan| plan.steady_state.as_slice()).unwrap_or_default();
        let held: Option<Vec<_>> = checks.iter().map(|check| self.held.get(&check.name).copied()).collect();
        match (start, held.and_then(|held| held.into_iter().max())) {
            (Some(sent), Some(since)) => seen(since, sent, self.within),
            _ => waiting(start),
        }
    }
}
