//! Observers: they turn what they see into facts, each in its own task, until they are told to stop.

mod autoscaling;
mod changes;
mod http;
mod outage;
mod probe;
pub mod slo;
mod steady;
mod workload;

pub use autoscaling::{is_served, watch_autoscalers, watch_budgets};
pub use http::HttpClient;
pub use probe::{run_probe, set_up_probe};
pub use steady::{Checks, SteadyState};
pub use workload::watch_workloads;
