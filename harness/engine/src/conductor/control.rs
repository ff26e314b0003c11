//! What people may ask of a run while it goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use harness_event::EventKind;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::log::Log;

/// A wish. Its answer comes as soon as it is known whether it can be granted.
#[derive(Debug)]
pub enum Control {
    /// Undo a fault before its time is over. The run is then another experiment than the one that the scenario describes.
    StopFault {
        /// Name of the fault.
        fault: String,
        /// Is it being undone now, or why not?
        answer: oneshot::Sender<Result<(), String>>,
    },
}

/// The faults that may be on, and how each of them is ended.
#[derive(Clone, Debug, Default)]
pub(super) struct ActiveFaults {
    faults: Arc<Mutex<BTreeMap<String, (CancellationToken, Stage)>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Active,
    Ending,
    Over,
}

impl ActiveFaults {
    /// A fault may be on from now on. The token is cancelled when somebody wants it undone, and with the run.
    pub(super) fn begins(&self, fault: &str, run: &CancellationToken) -> CancellationToken {
        let token = run.child_token();
        self.lock().insert(fault.to_owned(), (token.clone(), Stage::Active));
        token
    }

    /// It is being undone.
    pub(super) fn ends(&self, fault: &str) {
        self.set(fault, Stage::Ending);
    }

    /// It was undone, or cannot be.
    pub(super) fn over(&self, fault: &str) {
        self.set(fault, Stage::Over);
    }

    fn set(&self, fault: &str, to: Stage) {
        if let Some((_, stage)) = self.lock().get_mut(fault) {
            *stage = to;
        }
    }

    /// Ends a fault before its time; the fact is recorded before anything of it happens.
    pub(super) fn stop(&self, fault: &str, log: &Log) -> Result<(), String> {
        let mut faults = self.lock();
        let Some((token, stage)) = faults.get_mut(fault) else {
            return Err(format!("fault {fault:?} is not on"));
        };
        match *stage {
            Stage::Active => {
                *stage = Stage::Ending;
                log.record(EventKind::FaultStopped { fault: fault.to_owned() });
                token.cancel();
                Ok(())
            }
            Stage::Ending => Err(format!("fault {fault:?} is being undone already")),
            Stage::Over => Err(format!("fault {fault:?} is over")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, (CancellationToken, Stage)>> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Grants wishes until nobody can have any more.
pub(super) async fn heed(mut wishes: mpsc::Receiver<Control>, faults: ActiveFaults, log: Log) {
    while let Some(wish) = wishes.recv().await {
        match wish {
            Control::StopFault { fault, answer } => {
                // Who asked may have gone away.
                let _ = answer.send(faults.stop(&fault, &log));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fault_that_is_on_can_be_stopped_and_only_once() {
        let (faults, log) = (ActiveFaults::default(), Log::unrecorded());
        assert_eq!(faults.stop("db", &log), Err("fault \"db\" is not on".into()));
        let token = faults.begins("db", &CancellationToken::new());
        assert_eq!(faults.stop("db", &log), Ok(()));
        assert!(token.is_cancelled());
        assert_eq!(faults.stop("db", &log), Err("fault \"db\" is being undone already".into()));
        faults.ends("db");
        faults.over("db");
        assert_eq!(faults.stop("db", &log), Err("fault \"db\" is over".into()));
        let stopped = |kind: &EventKind| matches!(kind, EventKind::FaultStopped { .. });
        assert_eq!(log.events().iter().filter(|event| stopped(&event.kind)).count(), 1);
    }
}
