//! The conductor: takes a run through its phases and turns everything that happens into facts.
//!
//! prepare → baseline → fault → heal → recovery → verdict. Whatever happens in between (a failed check, a signal, an error of
//! our own), every fault that was planned is reverted and verified, and every load is stopped, before the run ends.
//!
//! A load that begins after the baseline is a stimulus like a fault: it has its place on the same timeline, its start and end
//! are where expectations count from, and the run heals when the last of all begins to end. Loads in the background run from
//! before the baseline's clock starts until the recovery is over.

mod autoscaling;
mod baseline;
mod control;
mod dry_run;
mod evidence;
mod gameday;
mod inject;
mod prepare;
mod recover;
mod recovery;
mod run;
mod session;
mod stimulus;

pub use control::Control;
pub use dry_run::{DryRun, DryRunFault, DryRunLoad, dry_run};
pub use gameday::{Command, Controls, FaultPlan, GameDayOptions, OfferedLoad, Targets, gameday};
pub use recover::{RecoverError, Recovered, recover, recover_from_cluster};
pub use run::{RunOptions, run};
