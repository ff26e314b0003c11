//! The engine: conductor, faults with their ledger, observers and the monitoring clients.
//!
//! Everything that happens in a run becomes a fact in one [`Log`]; the conductor takes the run through its phases, and the
//! verdict is folded out of the log by `harness-event`.

#[cfg(any())]
pub mod conductor;
pub mod fault;
mod log;
pub mod monitor;
mod observe;

pub use log::Log;
