//! The engine: conductor, faults with their ledger, loads, observers and the monitoring clients.
//!
//! Everything that happens in a run becomes a fact in one [`Log`]; the conductor takes the run through its phases, and the
//! verdict is folded out of the log by `harness-event`.

pub mod conductor;
pub mod fault;
pub mod load;
mod log;
pub mod monitor;
mod observe;
pub mod publish;
mod target;

pub use log::Log;
pub use observe::{
    EVENT_OBSERVER, LogOf, POD_OBSERVER, Scope, Tail, USAGE_OBSERVER, WatchOptions, describe_pod,
    read_pod_log, redact, slo, watch_cluster,
};
pub use target::Target;
