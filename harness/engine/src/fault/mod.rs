//! Faults: what breaks, and how it is undone.
//!
//! A fault is one unit: [`plan`](PlannedFault::plan) finds its targets and takes the snapshot, then its inverse is made durable
//! in the [`Ledger`], then [`apply`](PlannedFault::apply) changes the world, [`observe`](PlannedFault::observe) proves that the
//! change bit, [`revert`](PlannedFault::revert) undoes it and [`verify`](PlannedFault::verify) proves that the world is as in the
//! snapshot. Nothing of a fault happens outside its unit. Only the standard Kubernetes API is used.

mod delete_pods;
mod ledger;
mod planned;
mod restart;
mod scale;
mod wait;

pub(crate) use delete_pods::ready_pods;
pub use ledger::{Entry, Ledger, LedgerError, LedgerFile, read_ledger};
pub use planned::{FaultError, Observed, PlannedFault, Snapshot};
