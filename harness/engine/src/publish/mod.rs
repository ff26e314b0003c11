//! A run made visible to Prometheus: phases, faults, loads, expectations and detection times as series, so that dashboards show
//! them beside what they did to the system, and mark them in every graph.
//!
//! ```text
//! log ─ listen ─ Publisher ─ RunState ─ RunReport ─ POST /v1/runs/RUN ─ alert receiver ─ Runs ─ /metrics ← Prometheus
//! ```
//!
//! Nothing of it is needed for a verdict, and nothing of it may disturb one: the publisher is a task of its own that listens to
//! the log, its requests have short time limits, and a receiver that does not know them (of an older version) is left alone.

mod exposition;
mod publisher;
mod report;
mod runs;
#[cfg(test)]
mod tests;

pub use publisher::Publisher;
pub use report::{DetectionReport, ExpectationReport, FaultReport, LoadReport, RunReport};
pub use runs::{Refused, Runs};

/// Path of the reports, before the run's name. They are POSTed, as remote reads and canaries are: through the API server's proxy,
/// every other method would need a permission of its own.
pub const PATH: &str = "/v1/runs";
