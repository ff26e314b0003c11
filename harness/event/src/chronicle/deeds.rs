//! Faults and loads, as the log tells of them.

use crate::{Event, EventKind, FaultSpec, LoadSpec, Timestamp};

/// Something that was done to the system.
#[derive(Clone, Debug, PartialEq)]
pub struct Deed {
    /// What.
    pub what: DeedKind,
    /// Somebody wanted it then and there, rather than a scenario.
    pub by_hand: bool,
    /// When the fault's first call was sent, or the load's first user started.
    pub began_at: Option<Timestamp>,
    /// When the effect was seen: times until an alert count from here.
    pub effect_at: Option<Timestamp>,
    /// When the revert's first call was sent, or the load's last answer was there.
    pub ending_at: Option<Timestamp>,
    /// When the world was as before, or the load's last answer was there: times until an alert resolves count from here.
    pub over_at: Option<Timestamp>,
    /// Somebody ended it before its time.
    pub stopped: bool,
    /// How a load ended: `requests`, `duration` or `stopped`.
    pub reason: Option<String>,
    /// Objects that a fault touched.
    pub targets: Vec<String>,
    /// What went wrong with it. That it could not be undone is told only if it never was.
    pub error: Option<String>,
    /// Why the last try to undo it failed, while the log is folded.
    revert_error: Option<String>,
}

/// What was done.
#[derive(Clone, Debug, PartialEq)]
pub enum DeedKind {
    /// A fault.
    Fault(FaultSpec),
    /// A load.
    Load(LoadSpec),
}

impl Deed {
    fn new(what: DeedKind, by_hand: bool) -> Self {
        let targets = Vec::new();
        Self {
            what,
            by_hand,
            began_at: None,
            effect_at: None,
            ending_at: None,
            over_at: None,
            stopped: false,
            reason: None,
            targets,
            error: None,
            revert_error: None,
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        match &self.what {
            DeedKind::Fault(spec) => &spec.name,
            DeedKind::Load(spec) => &spec.name,
        }
    }

    /// Its fault, if it is one.
    pub fn fault(&self) -> Option<&FaultSpec> {
        match &self.what {
            DeedKind::Fault(spec) => Some(spec),
            DeedKind::Load(_) => None,
        }
    }

    /// Its load, if it is one.
    pub fn load(&self) -> Option<&LoadSpec> {
        match &self.what {
            DeedKind::Load(spec) => Some(spec),
            DeedKind::Fault(_) => None,
        }
    }
}

pub(super) fn of(events: &[Event]) -> Vec<Deed> {
    let mut deeds = Vec::<Deed>::new();
    for event in events {
        match &event.kind {
            EventKind::RunStarted { plan, .. } => {
                deeds.extend(plan.faults.iter().map(|spec| Deed::new(DeedKind::Fault(spec.clone()), false)));
                // A load in the background is part of what there was before.
                deeds.extend(plan.timed_loads().map(|spec| Deed::new(DeedKind::Load(spec.clone()), false)));
            }
            EventKind::FaultRequested { spec } => deeds.push(Deed::new(DeedKind::Fault(spec.clone()), true)),
            EventKind::LoadRequested { spec } => deeds.push(Deed::new(DeedKind::Load(spec.clone()), true)),
            kind => add(&mut deeds, kind),
        }
    }
    for deed in &mut deeds {
        deed.error = deed.revert_error.take().or_else(|| deed.error.take());
    }
    deeds.sort_by_key(|deed| deed.began_at.map_or((1, Timestamp(0)), |began| (0, began)));
    deeds
}

fn add(deeds: &mut [Deed], kind: &EventKind) {
    let Some(name) = about(kind) else { return };
    let Some(deed) = deeds.iter_mut().find(|deed| deed.name() == name) else { return };
    match kind {
        EventKind::FaultPlanned { targets, .. } => deed.targets.clone_from(targets),
        EventKind::FaultApplied { sent_at, .. } => deed.began_at = Some(*sent_at),
        EventKind::FaultEffectObserved { effect_at, .. } => deed.effect_at = Some(*effect_at),
        EventKind::FaultApplyFailed { error, .. }
        | EventKind::FaultEffectMissing { detail: error, .. }
        | EventKind::LoadFailed { error, .. } => deed.error = Some(error.clone()),
        EventKind::FaultStopped { .. } | EventKind::LoadStopped { .. } => deed.stopped = true,
        // A revert that had to be tried again began with its first try.
        EventKind::FaultRevertStarted { sent_at, .. } => {
            deed.ending_at.get_or_insert(*sent_at);
        }
        EventKind::FaultRevertFailed { error, .. } => deed.revert_error = Some(error.clone()),
        EventKind::FaultRevertVerified { effect_at, .. } => {
            (deed.over_at, deed.revert_error) = (Some(*effect_at), None);
        }
        EventKind::LoadStarted { started_at, .. } => {
            (deed.began_at, deed.effect_at) = (Some(*started_at), Some(*started_at));
        }
        EventKind::LoadFinished { ended_at, reason, .. } => {
            (deed.ending_at, deed.over_at) = (Some(*ended_at), Some(*ended_at));
            deed.reason = Some(reason.clone());
        }
        _ => {}
    }
}

/// The fault or load that a fact is about.
fn about(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::FaultPlanned { fault, .. }
        | EventKind::FaultApplied { fault, .. }
        | EventKind::FaultApplyFailed { fault, .. }
        | EventKind::FaultEffectObserved { fault, .. }
        | EventKind::FaultEffectMissing { fault, .. }
        | EventKind::FaultStopped { fault }
        | EventKind::FaultRevertStarted { fault, .. }
        | EventKind::FaultRevertVerified { fault, .. }
        | EventKind::FaultRevertFailed { fault, .. } => Some(fault),
        EventKind::LoadStarted { load, .. }
        | EventKind::LoadStopped { load }
        | EventKind::LoadFinished { load, .. }
        | EventKind::LoadFailed { load, .. } => Some(load),
        _ => None,
    }
}
