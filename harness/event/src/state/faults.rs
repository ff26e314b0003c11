//! Faults.

use super::model::{FaultStage, FaultView, RunState};
use crate::{EventKind, FaultAction, FaultSpec, Millis, Plan};

impl FaultView {
    fn new(spec: FaultSpec, by_hand: bool) -> Self {
        Self {
            spec,
            by_hand,
            stage: FaultStage::Waiting,
            targets: vec![],
            inverse: String::new(),
            detail: String::new(),
            applied: None,
            effect: None,
            reverting: None,
            reverted: None,
            stopped_by_hand: false,
            failure: None,
        }
    }

    /// When it will be undone by itself, since the start of the run; none before its effect, and once its revert began.
    pub fn ends_at(&self) -> Option<Millis> {
        let effect = self.effect.filter(|_| self.reverting.is_none() && self.reverted.is_none())?;
        Some(effect + self.spec.duration)
    }
}

impl RunState {
    pub(super) fn plan_faults(&mut self, plan: &Plan) {
        self.faults.clear();
        self.memo.faults.clear();
        plan.faults.iter().for_each(|spec| self.add_fault(spec.clone(), false));
    }

    fn add_fault(&mut self, spec: FaultSpec, by_hand: bool) {
        match self.memo.faults.get(&spec.name) {
            // Asked for again: it begins anew.
            Some(index) => self.faults[*index] = FaultView::new(spec, by_hand),
            None => {
                self.memo.faults.insert(spec.name.clone(), self.faults.len());
                self.faults.push(FaultView::new(spec, by_hand));
            }
        }
    }

    /// The fault of that name.
    pub fn fault(&self, name: &str) -> Option<&FaultView> {
        self.memo.faults.get(name).map(|index| &self.faults[*index])
    }

    fn fault_mut(&mut self, name: &str) -> Option<&mut FaultView> {
        self.memo.faults.get(name).map(|index| &mut self.faults[*index])
    }

    pub(super) fn apply_to_fault(&mut self, kind: &EventKind) {
        match kind {
            EventKind::FaultRequested { spec } => self.add_fault(spec.clone(), true),
            EventKind::FaultPlanned { fault, action, targets, inverse } => {
                self.fault_planned(fault, action, targets, inverse);
            }
            EventKind::FaultStopped { fault } => {
                if let Some(fault) = self.fault_mut(fault) {
                    fault.stopped_by_hand = true;
                }
            }
            EventKind::FaultApplied { fault, sent_at } => {
                let applied = self.since_start(*sent_at);
                if let Some(fault) = self.fault_mut(fault) {
                    fault.applied = Some(applied);
                    fault.stage = FaultStage::Applied;
                }
            }
            EventKind::FaultApplyFailed { fault, error } => self.fault_failed(fault, error),
            EventKind::FaultEffectMissing { fault, detail } => {
                self.fault_failed(fault, &format!("its effect was not seen: {detail}"));
            }
            EventKind::FaultEffectObserved { fault, effect_at, detail } => {
                let effect = self.since_start(*effect_at);
                if let Some(fault) = self.fault_mut(fault) {
                    fault.effect = Some(effect);
                    fault.stage = FaultStage::Active;
                    detail.clone_into(&mut fault.detail);
                }
            }
            EventKind::FaultRevertStarted { fault, sent_at } => {
                let sent = self.since_start(*sent_at);
                if let Some(fault) = self.fault_mut(fault) {
                    // A revert that had to be tried again began with its first try.
                    fault.reverting.get_or_insert(sent);
                    fault.stage = FaultStage::Reverting;
                }
            }
            EventKind::FaultRevertVerified { fault, effect_at, detail } => {
                let reverted = self.since_start(*effect_at);
                if let Some(fault) = self.fault_mut(fault) {
                    fault.reverted = Some(reverted);
                    fault.stage = FaultStage::Reverted;
                    detail.clone_into(&mut fault.detail);
                }
            }
            EventKind::FaultRevertFailed { fault, error } => {
                if let Some(fault) = self.fault_mut(fault) {
                    fault.stage = FaultStage::LeftBehind(error.clone());
                }
            }
            _ => {}
        }
    }

    fn fault_planned(&mut self, name: &str, action: &FaultAction, targets: &[String], inverse: &str) {
        if self.fault(name).is_none() {
            // A log that does not begin at its beginning: what is told of the fault is shown all the same.
            let (start, none) = (self.elapsed, Millis(0));
            let spec = FaultSpec {
                name: name.to_owned(),
                action: action.clone(),
                start,
                duration: none,
                effect_within: none,
            };
            self.add_fault(spec, true);
        }
        if let Some(fault) = self.fault_mut(name) {
            fault.stage = FaultStage::Applying;
            targets.clone_into(&mut fault.targets);
            inverse.clone_into(&mut fault.inverse);
        }
    }

    fn fault_failed(&mut self, name: &str, why: &str) {
        if let Some(fault) = self.fault_mut(name) {
            fault.stage = FaultStage::Failed(why.to_owned());
            fault.failure = Some(why.to_owned());
        }
    }
}
