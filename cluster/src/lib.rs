//! The embedded Kubernetes: API server, controllers, kubelet and service proxy in one process.

pub mod api;
pub mod net;
pub mod store;
