//! Resource metrics: what containers and the node use, as metrics-server keeps it, and the state of the API's objects as
//! kube-state-metrics shows it.

mod exposition;
pub mod state;
mod usage;

pub(crate) use exposition::{CONTENT_TYPE, Exposition, Kind};
pub use usage::{ContainerSample, ContainerUsage, Measured, PodUsage, Sample, Usage};
