//! kube-state-metrics: the state of the API's objects as series, with the names and labels of the real one (its `main` of
//! August 2026, `internal/store`).
//!
//! As there, an object's lines are made when the object changes; a scrape only joins them. Series that the real one makes only
//! for allow-listed labels and annotations are not made.

mod autoscaling;
mod container;
mod family;
mod network;
mod node;
mod pod;
mod server;
mod service;
mod storage;
mod table;
#[cfg(test)]
mod tests;
mod workload;

pub use server::serve;
pub use service::{PORT, StateMetricsError, run};
