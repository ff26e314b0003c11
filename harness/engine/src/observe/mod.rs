//! Observers: they turn what they see into facts, each in its own task, until they are told to stop.

mod http;
mod probe;
mod steady;
mod workload;

pub use http::HttpClient;
pub use probe::{run_probe, set_up_probe};
pub use steady::{Checks, SteadyState};
pub use workload::watch_workloads;
