//! Game day: people break things by hand, with everything that makes a run safe.
//!
//! prepare → fault → heal → verdict. What people want comes as [`Controls`]; it becomes facts in the same log as those of a run.
//! Each fault that is injected is planned, made durable in the ledger, applied, watched and undone when its time is over, as a
//! scenario's is; several may be on at a time, but not two on the same target, since each would take the other's change for the
//! state to go back to. Whatever ends the game day, every fault is reverted and verified, and every load is stopped, before it
//! is over. Nothing is proved: the verdict says that it ended, or what is left.

mod connect;
mod controls;
mod faults;
mod loads;
mod names;
mod run;
mod targets;
mod tasks;

pub use controls::{Command, Controls, FaultPlan};
pub use loads::OfferedLoad;
pub use run::{GameDayOptions, gameday};
pub use targets::Targets;
