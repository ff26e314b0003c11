//! Resource metrics: what containers and the node use, as metrics-server keeps it.

mod usage;

pub use usage::{ContainerSample, ContainerUsage, Measured, PodUsage, Sample, Usage};
