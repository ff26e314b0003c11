//! One autoscaler with its target, from the effect of the fault (the start of the load) on.

use super::super::facts::{Facts, FaultFacts, Outage};
use crate::{EventKind, Millis, ObservedAutoscaler, ObservedWorkload, Timestamp, WorkloadRef};

/// The autoscaler writes its status right after it has changed the number of replicas; two watches show it at about the same
/// time. What is farther apart has nothing to do with each other.
pub(super) const SAME_SCALING: Millis = Millis::from_secs(5);

/// A change of a workload's wanted replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) at: Timestamp,
    pub(super) from: i32,
    pub(super) to: i32,
}

/// Everything about one expectation's autoscaler.
pub(super) struct Case<'f> {
    pub(super) facts: &'f Facts<'f>,
    pub(super) name: &'f str,
    pub(super) fault: &'f FaultFacts,
    pub(super) effect: Timestamp,
    pub(super) end: Timestamp,
    /// The autoscaler when the fault or the load took effect. Its target and its limits are those of the whole run.
    pub(super) before: &'f ObservedAutoscaler,
    /// Its states, in order of time.
    pub(super) states: Vec<&'f ObservedAutoscaler>,
    /// Its target, in order of time.
    pub(super) replicas: Vec<&'f ObservedWorkload>,
    /// Its target when the fault or the load took effect.
    pub(super) replicas_before: &'f ObservedWorkload,
}

impl<'f> Case<'f> {
    /// # Errors
    /// Why nothing can be said about this autoscaler.
    pub(super) fn new(facts: &'f Facts<'f>, fault: &str, name: &'f str) -> Result<Self, String> {
        let (fault, effect) = facts.effect(fault)?;
        let states: Vec<_> = facts.autoscalers.iter().copied().filter(|one| one.autoscaler == name).collect();
        if states.is_empty() {
            return Err(format!("autoscaler {name:?} was never observed"));
        }
        let Some(before) = states.iter().rfind(|state| state.seen_at <= effect).copied() else {
            return Err(format!(
                "autoscaler {name:?} was first seen only {} after the start",
                states[0].seen_at - effect
            ));
        };
        if !before.exists {
            return Err(format!("autoscaler {name:?} did not exist"));
        }
        for state in states.iter().filter(|state| state.seen_at > effect) {
            unchanged(before, state)?;
        }
        let replicas: Vec<_> =
            facts.workloads.iter().copied().filter(|one| one.workload == before.target).collect();
        let Some(replicas_before) = replicas.iter().rfind(|one| one.seen_at <= effect).copied() else {
            return Err(format!("the replicas of {} were not observed before the start", before.target));
        };
        let case =
            Self { facts, name, fault, effect, end: facts.end(), before, states, replicas, replicas_before };
        case.watched(EventKind::AUTOSCALER_OBSERVER, name)?;
        case.watched(EventKind::WORKLOAD_OBSERVER, &before.target.to_string())?;
        Ok(case)
    }

    /// # Errors
    /// If the observer was blind at any time since the effect: what happened then cannot be told.
    pub(super) fn watched(&self, observer: &str, what: &str) -> Result<(), String> {
        let overlaps = |(from, to): &&Outage| *from <= self.end && to.is_none_or(|to| to > self.effect);
        let found = self.facts.outages(observer).iter().find(overlaps);
        found.map_or(Ok(()), |(from, _)| Err(format!("{what} could not be watched from {} on", from.clock())))
    }

    pub(super) fn target(&self) -> &'f WorkloadRef {
        &self.before.target
    }

    /// The target's states since the effect.
    pub(super) fn since_effect(&self) -> impl DoubleEndedIterator<Item = &'f ObservedWorkload> + '_ {
        self.replicas.iter().copied().filter(|one| one.seen_at >= self.effect)
    }

    /// Changes of the target's wanted replicas since the effect.
    pub(super) fn changes(&self) -> Vec<Change> {
        changes_of(&self.replicas).into_iter().filter(|change| change.at >= self.effect).collect()
    }

    /// # Errors
    /// If somebody else than the autoscaler changed the number of wanted replicas until then.
    pub(super) fn only_by_autoscaler(&self, until: Timestamp) -> Result<(), String> {
        let foreign = |change: &Change| change.at <= until && !self.explains(change);
        let Some(change) = self.changes().into_iter().find(foreign) else { return Ok(()) };
        let verb = if change.to > change.from { "raised" } else { "lowered" };
        Err(format!(
            "replicas were {verb} from {} to {} at {}, but not by autoscaler {:?}",
            change.from,
            change.to,
            change.at.clock(),
            self.name
        ))
    }

    /// True if the autoscaler says of itself that it made this change: it asked for exactly this number, and its last scaling is a
    /// new one at that time. To find that a number is right which somebody else has set is not to scale. Times of scaling are whole
    /// seconds; an autoscaler that looked more often than that would have scalings that cannot be told from each other, and they
    /// would count as somebody else's.
    fn explains(&self, change: &Change) -> bool {
        let floor = Timestamp(self.effect.0.div_euclid(1000) * 1000);
        self.states.windows(2).any(|two| {
            let (old, new) = (two[0], two[1]);
            new.desired == change.to
                && new.last_scale_at != old.last_scale_at
                && new.last_scale_at.is_some_and(|at| at >= floor)
                && (new.seen_at - change.at).0.abs() <= SAME_SCALING.0
        })
    }

    /// The autoscaler's state at a time.
    pub(super) fn state_at(&self, at: Timestamp) -> &'f ObservedAutoscaler {
        self.states.iter().rfind(|state| state.seen_at <= at).copied().unwrap_or(self.before)
    }

    /// What the autoscaler says about why it did not do more, at a time: `; ScalingActive=False(FailedGetResourceMetric), cpu:
    /// <unknown>/50%`.
    pub(super) fn its_reason(&self, at: Timestamp) -> String {
        let state = self.state_at(at);
        let mut says: Vec<&str> = blocked(state).collect();
        says.extend(state.metrics.iter().map(String::as_str));
        if says.is_empty() { String::new() } else { format!("; {}: {}", self.name, says.join(", ")) }
    }
}

/// Changes of the wanted replicas between successive states.
pub(super) fn changes_of(replicas: &[&ObservedWorkload]) -> Vec<Change> {
    let change =
        |two: &[&ObservedWorkload]| Change { at: two[1].seen_at, from: two[0].desired, to: two[1].desired };
    replicas.windows(2).map(change).filter(|change| change.from != change.to).collect()
}

/// Conditions that keep an autoscaler from its work. `ScalingLimited=True` is no hindrance: it is what its limits do.
pub(super) fn blocked(state: &ObservedAutoscaler) -> impl Iterator<Item = &str> {
    let hinders = |condition: &&str| {
        condition.starts_with("ScalingActive=False") || condition.starts_with("AbleToScale=False")
    };
    state.conditions.iter().map(String::as_str).filter(hinders)
}

/// True if it can do its work: it is active and knows all its metrics.
pub(super) fn at_work(state: &ObservedAutoscaler) -> bool {
    state.conditions.iter().any(|condition| condition.starts_with("ScalingActive=True"))
        && blocked(state).next().is_none()
        && !state.metrics.is_empty()
        && !state.metrics.iter().any(|metric| metric.contains("<unknown>"))
}

/// An autoscaler that is taken away or given other limits half-way is another one.
fn unchanged(before: &ObservedAutoscaler, state: &ObservedAutoscaler) -> Result<(), String> {
    let (name, at) = (&before.autoscaler, state.seen_at.clock());
    if !state.exists {
        return Err(format!("autoscaler {name:?} was deleted at {at}"));
    }
    if state.target != before.target {
        return Err(format!("the target of autoscaler {name:?} was changed to {} at {at}", state.target));
    }
    for (field, old, new) in [("minReplicas", before.min, state.min), ("maxReplicas", before.max, state.max)]
    {
        if old != new {
            return Err(format!("{field} of autoscaler {name:?} was changed from {old} to {new} at {at}"));
        }
    }
    Ok(())
}
