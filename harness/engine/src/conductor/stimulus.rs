//! What happens to the system, a fault or a load that begins after the baseline, as the log tells of it.

use harness_event::{Event, EventKind, Millis, Plan, Timestamp};

/// When it was seen to be there: the fault's effect, or the load's first user.
pub(super) fn effect_at(events: &[Event], name: &str) -> Option<Timestamp> {
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::FaultEffectObserved { fault, effect_at, .. } if fault == name => Some(*effect_at),
        EventKind::LoadStarted { load, started_at } if load == name => Some(*started_at),
        _ => None,
    })
}

/// When it began: the fault's call, or the load's first user. What a call breaks before its effect is seen is its doing too.
pub(super) fn began_at(events: &[Event], name: &str) -> Option<Timestamp> {
    events.iter().find_map(|event| match &event.kind {
        EventKind::FaultApplied { fault, sent_at } if fault == name => Some(*sent_at),
        EventKind::LoadStarted { load, started_at } if load == name => Some(*started_at),
        _ => None,
    })
}

/// When it was over: the fault was seen to be undone, or the load's last answer was there.
pub(super) fn ended_at(events: &[Event], name: &str) -> Option<Timestamp> {
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::FaultRevertVerified { fault, effect_at, .. } if fault == name => Some(*effect_at),
        EventKind::LoadFinished { load, ended_at, .. } if load == name => Some(*ended_at),
        _ => None,
    })
}

/// From the end of the baseline to the end of the last of them, as the scenario says it; as long as it took where the scenario
/// only says how many requests are to be done.
pub(super) fn length_of_all(plan: &Plan, events: &[Event]) -> Millis {
    let faults = plan.faults.iter().map(|fault| fault.start + fault.duration);
    let loads = plan.timed_loads().filter_map(|load| {
        let harness_event::LoadStart::After(start) = load.start else { return None };
        let took = effect_at(events, &load.name)
            .zip(ended_at(events, &load.name))
            .map(|(started, ended)| ended - started);
        let length = match (took, crate::load::length(load)) {
            (Some(took), Some(duration)) => took.min(duration),
            (took, duration) => took.or(duration)?,
        };
        Some(start + length)
    });
    faults.chain(loads).max().unwrap_or_default()
}
