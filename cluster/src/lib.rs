//! The embedded Kubernetes: API server, controllers, kubelet and service proxy in one process.

pub mod net;
