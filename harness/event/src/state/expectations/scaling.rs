//! What an autoscaler does.

use super::{
    super::model::{Progress, RunState},
    Clock, seen, waiting,
};
use crate::{AutoscalerExpectation, AutoscalerGoal, EventKind, Millis, ObservedWorkload};

/// An autoscaler and its target.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ScalingFollowed {
    expected: AutoscalerExpectation,
    /// Most replicas, wanted or ready, before anything was done.
    before: i32,
    /// Most wanted replicas since then.
    most: i32,
    /// Up: when there were enough. Down: since when there are as few.
    reached: Option<Millis>,
    /// The disruption budget had fewer healthy pods than it demands.
    breach: Option<String>,
}

impl ScalingFollowed {
    pub(super) fn new(expected: &AutoscalerExpectation) -> Self {
        Self { expected: expected.clone(), before: 0, most: 0, reached: None, breach: None }
    }

    pub(super) fn see(&mut self, state: &RunState, kind: &EventKind, clock: Clock) {
        let goal = &self.expected.goal;
        if let (EventKind::BudgetObserved(seen), AutoscalerGoal::KeepsBudget { budget }) = (kind, goal) {
            if seen.budget == *budget && seen.exists && seen.up_to_date && seen.healthy < seen.demanded {
                let text = format!("{} healthy pods, {} demanded", seen.healthy, seen.demanded);
                self.breach.get_or_insert(text);
            }
            return;
        }
        let Some(autoscaler) = state.autoscalers.get(&self.expected.autoscaler) else { return };
        let autoscaler = &autoscaler.seen;
        let (target, at) = match kind {
            EventKind::WorkloadObserved(seen) if seen.workload == autoscaler.target => {
                (seen, state.since_start(seen.seen_at))
            }
            EventKind::AutoscalerObserved(seen) if seen.autoscaler == self.expected.autoscaler => {
                let Some(target) = state.workloads.get(&seen.target.to_string()) else { return };
                (target, state.since_start(seen.seen_at))
            }
            _ => return,
        };
        match clock.applied {
            Some(applied) if at >= applied => {}
            _ => {
                self.before = self.before.max(target.desired).max(target.ready).max(autoscaler.desired);
                return;
            }
        }
        self.most = self.most.max(target.desired);
        let (limits, wanted) = ((autoscaler.min, autoscaler.max), autoscaler.desired);
        self.replicas(target, at, limits, wanted);
    }

    fn replicas(&mut self, target: &ObservedWorkload, at: Millis, limits: (i32, i32), wanted: i32) {
        match &self.expected.goal {
            AutoscalerGoal::ScalesUpTo { replicas, .. } => {
                let replicas = replicas.unwrap_or(limits.1);
                // More may be ready than are wanted while a rollout replaces pods, or since somebody else scaled.
                let enough = target.ready >= replicas && target.desired >= replicas && wanted >= replicas;
                if enough && self.before < replicas {
                    self.reached.get_or_insert(at);
                }
            }
            AutoscalerGoal::ScalesDownTo { replicas, .. } => {
                let replicas = replicas.unwrap_or(limits.0);
                match target.desired <= replicas && target.ready <= replicas && self.most > replicas {
                    true => {
                        self.reached.get_or_insert(at);
                    }
                    false => self.reached = None,
                }
            }
            AutoscalerGoal::ReadyLag { .. }
            | AutoscalerGoal::DirectionChanges { .. }
            | AutoscalerGoal::KeepsBudget { .. } => {}
        }
    }

    pub(super) fn progress(&self, clock: Clock) -> Progress {
        match &self.expected.goal {
            AutoscalerGoal::ScalesUpTo { within, .. } => match (clock.effect, self.reached) {
                (Some(from), Some(at)) => seen(at, from, *within),
                _ => waiting(clock.effect),
            },
            AutoscalerGoal::ScalesDownTo { within, .. } => {
                let start = clock.effect.and(clock.sent);
                match (start, self.reached) {
                    (Some(sent), Some(at)) => seen(at.max(sent), sent, *within),
                    _ => waiting(start),
                }
            }
            AutoscalerGoal::KeepsBudget { .. } => match (clock.effect, &self.breach) {
                (Some(_), Some(breach)) => Progress::Missed { reason: breach.clone() },
                _ => waiting(clock.effect),
            },
            AutoscalerGoal::ReadyLag { .. } | AutoscalerGoal::DirectionChanges { .. } => {
                waiting(clock.effect)
            }
        }
    }
}
