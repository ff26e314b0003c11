//! Prometheus service discovery over HTTP (`http_sd_configs`), fed from the Kubernetes API.
//!
//! Debian's Prometheus is built without `kubernetes_sd_configs`. This adapter serves the same targets with the same
//! `__meta_kubernetes_*` labels for the roles pod, endpoints, endpointslice, service and node, so that relabelling rules stay the
//! ones people use on real clusters. `GET /v1/ROLE?namespace=a&namespace=b` answers the targets of one role, by default of all
//! namespaces.
//!
//! [`labels`] and [`roles`] are pure: objects in, target groups out.

mod labels;
mod roles;
mod server;
mod service;

pub use labels::TargetGroup;
pub use roles::{Objects, Role, target_groups};
pub use server::serve;
pub use service::{PORT, SdError, run};
