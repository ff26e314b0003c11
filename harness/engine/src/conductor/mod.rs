//! The conductor: takes a run through its phases and turns everything that happens into facts.
//!
//! prepare → baseline → fault → heal → recovery → verdict. Whatever happens in between (a failed check, a signal, an error of
//! our own), every fault that was planned is reverted and verified before the run ends.

mod baseline;
mod dry_run;
mod evidence;
mod inject;
mod prepare;
mod recover;
mod recovery;
mod run;
mod session;

pub use dry_run::{DryRun, DryRunFault, dry_run};
pub use recover::{RecoverError, Recovered, recover, recover_from_cluster};
pub use run::{RunOptions, run};
