//! What became of each fault and each load.

use harness_event::{EventKind, FaultAction, FaultSpec, LoadSample, LoadSpec};

use super::log::Log;

/// What is said of a fault that is still on; once it is undone, only of the tries before.
const NOT_UNDONE: &str = "could not be undone";

/// One fault. Times since the start of the run.
#[derive(Debug)]
pub(super) struct FaultStory<'a> {
    pub(super) name: &'a str,
    pub(super) spec: &'a FaultSpec,
    /// Somebody asked for it in a game day.
    pub(super) by_hand: bool,
    pub(super) planned: Option<i64>,
    pub(super) targets: &'a [String],
    pub(super) inverse: &'a str,
    pub(super) sent: Option<i64>,
    pub(super) effect: Option<i64>,
    pub(super) seen: &'a str,
    /// Stopped before its time.
    pub(super) stopped: Option<i64>,
    pub(super) revert_sent: Option<i64>,
    pub(super) healed: Option<i64>,
    /// What went wrong: when, what, why.
    pub(super) errors: Vec<(i64, &'static str, &'a str)>,
}

/// One load.
#[derive(Debug)]
pub(super) struct LoadStory<'a> {
    pub(super) name: &'a str,
    pub(super) spec: &'a LoadSpec,
    /// It began after the baseline, or by hand.
    pub(super) timed: bool,
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    pub(super) reason: &'a str,
    pub(super) error: Option<(i64, &'a str)>,
    pub(super) samples: Vec<&'a LoadSample>,
}

impl<'a> FaultStory<'a> {
    pub(super) fn new(spec: &'a FaultSpec) -> Self {
        Self {
            name: &spec.name,
            spec,
            by_hand: false,
            planned: None,
            targets: &[],
            inverse: "",
            sent: None,
            effect: None,
            seen: "",
            stopped: None,
            revert_sent: None,
            healed: None,
            errors: Vec::new(),
        }
    }

    /// What it does, in a few words.
    pub(super) fn action(&self) -> String {
        match &self.spec.action {
            FaultAction::Scale { workload, replicas } => format!("scales {workload} to {replicas}"),
            FaultAction::DeletePods { selector, count, .. } => match count {
                Some(count) => format!("deletes {count} of the pods {selector}"),
                None => format!("deletes the pods {selector}"),
            },
            FaultAction::Restart { workload } => format!("restarts {workload}"),
        }
    }
}

impl<'a> LoadStory<'a> {
    pub(super) fn new(spec: &'a LoadSpec) -> Self {
        Self {
            name: &spec.name,
            spec,
            timed: !spec.is_background(),
            from: None,
            to: None,
            reason: "",
            error: None,
            samples: Vec::new(),
        }
    }
}

impl<'a> Log<'a> {
    /// Facts about faults and loads.
    pub(super) fn add_stimulus(&mut self, kind: &'a EventKind, at: i64) {
        match kind {
            EventKind::FaultRequested { spec } => {
                let known = self.faults.iter().any(|fault| fault.name == spec.name);
                if !known {
                    self.faults.push(FaultStory { by_hand: true, ..FaultStory::new(spec) });
                }
            }
            EventKind::LoadRequested { spec } => {
                let known = self.loads.iter().any(|load| load.name == spec.name);
                if !known {
                    self.loads.push(LoadStory { timed: true, ..LoadStory::new(spec) });
                }
            }
            _ => {
                self.add_fault(kind, at);
                self.add_load(kind, at);
            }
        }
    }

    fn add_fault(&mut self, kind: &'a EventKind, at: i64) {
        let name = match kind {
            EventKind::FaultPlanned { fault, .. }
            | EventKind::FaultApplied { fault, .. }
            | EventKind::FaultApplyFailed { fault, .. }
            | EventKind::FaultEffectObserved { fault, .. }
            | EventKind::FaultEffectMissing { fault, .. }
            | EventKind::FaultStopped { fault }
            | EventKind::FaultRevertStarted { fault, .. }
            | EventKind::FaultRevertVerified { fault, .. }
            | EventKind::FaultRevertFailed { fault, .. } => fault,
            _ => return,
        };
        let zero = self.zero;
        let Some(fault) = self.faults.iter_mut().rev().find(|fault| fault.name == name) else { return };
        match kind {
            EventKind::FaultPlanned { targets, inverse, .. } => {
                (fault.planned, fault.targets, fault.inverse) = (Some(at), targets, inverse);
            }
            EventKind::FaultApplied { sent_at, .. } => fault.sent = Some((*sent_at - zero).0),
            EventKind::FaultApplyFailed { error, .. } => {
                fault.errors.push((at, "could not be applied", error));
            }
            EventKind::FaultEffectObserved { effect_at, detail, .. } => {
                (fault.effect, fault.seen) = (Some((*effect_at - zero).0), detail);
            }
            EventKind::FaultEffectMissing { detail, .. } => {
                fault.errors.push((at, "its effect was not seen", detail));
            }
            EventKind::FaultStopped { .. } => fault.stopped = Some(at),
            EventKind::FaultRevertStarted { sent_at, .. } => {
                fault.revert_sent.get_or_insert((*sent_at - zero).0);
            }
            EventKind::FaultRevertVerified { effect_at, .. } => {
                fault.healed = Some((*effect_at - zero).0);
                for (_, what, _) in fault.errors.iter_mut().filter(|(_, what, _)| *what == NOT_UNDONE) {
                    *what = "could not be undone at first";
                }
            }
            EventKind::FaultRevertFailed { error, .. } => {
                fault.errors.push((at, NOT_UNDONE, error));
            }
            _ => {}
        }
    }

    fn add_load(&mut self, kind: &'a EventKind, at: i64) {
        let name = match kind {
            EventKind::LoadStarted { load, .. }
            | EventKind::LoadSampled { load, .. }
            | EventKind::LoadFinished { load, .. }
            | EventKind::LoadFailed { load, .. } => load,
            _ => return,
        };
        let zero = self.zero;
        let Some(load) = self.loads.iter_mut().rev().find(|load| load.name == name) else { return };
        match kind {
            EventKind::LoadStarted { started_at, .. } => load.from = Some((*started_at - zero).0),
            EventKind::LoadSampled { sample, .. } => load.samples.push(sample),
            EventKind::LoadFinished { ended_at, reason, .. } => {
                (load.to, load.reason) = (Some((*ended_at - zero).0), reason);
            }
            EventKind::LoadFailed { error, .. } => {
                load.error = Some((at, error.as_str()));
                load.to.get_or_insert(at);
            }
            _ => {}
        }
    }
}
