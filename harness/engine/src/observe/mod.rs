//! Observers: they turn what they see into facts, each in its own task, until they are told to stop.

mod autoscaling;
mod changes;
mod cluster_events;
mod describe;
mod excerpts;
mod http;
mod outage;
mod pod;
mod pod_log;
mod probe;
pub mod redact;
pub mod slo;
mod steady;
mod system;
mod usage;
mod watching;
mod workload;

pub use autoscaling::is_served;
pub use changes::Scope;
pub use cluster_events::EVENT_OBSERVER;
pub use describe::describe_pod;
pub use excerpts::Excerpts;
pub use http::HttpClient;
pub use pod_log::{LogOf, Tail, read_pod_log};
pub use probe::{run_probe, set_up_probe};
pub use redact::redact;
pub use steady::{Checks, SteadyState};
pub use system::watch_system;
pub use usage::USAGE_OBSERVER;
pub use watching::{WatchOptions, watch_cluster};
pub use workload::POD_OBSERVER;
