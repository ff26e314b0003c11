//! Loads: from what a scenario says to what was measured.
//!
//! ```text
//! LoadSpec ── prepare ──▶ PreparedLoad ── launch ──▶ Load ◀── start, phase, stop ── conductor
//!             addresses, files                        │ one driver task per load
//!                                                     ▼
//!                                        Worker (a process) ── frames ──▶ Measured ──▶ facts
//! ```
//!
//! A worker is not believed: it is a process of its own that may die, hang or say what nobody understands. Whatever is not an
//! orderly end with every answer accounted for becomes [`harness_event::EventKind::LoadFailed`].

mod address;
mod driver;
mod files;
mod measured;
mod merge;
mod prepare;
mod running;
mod set;
mod worker;

pub use prepare::{PrepareError, PreparedLoad, ResolvedAddress, prepare_loads};
pub use running::{Load, LoadState};
pub use set::Loads;
pub use worker::WorkerCommand;

use harness_event::{LoadSpec, Millis};

/// How long a load goes on, if time ends it: its duration, or that of its stages. One in the background goes on.
pub fn length(load: &LoadSpec) -> Option<Millis> {
    let stages = || {
        let lengths: Option<Vec<Millis>> = load.stages.iter().map(|stage| stage.length).collect();
        lengths.filter(|lengths| !lengths.is_empty() && !load.is_background())
    };
    load.duration.or_else(|| stages().map(|lengths| lengths.into_iter().sum()))
}
