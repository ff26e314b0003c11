//! The embedded Kubernetes: API server, controllers, kubelet and service proxy in one process.

pub mod api;
pub mod builder;
pub mod controllers;
pub mod kubelet;
pub mod metrics;
pub mod net;
pub mod net_holder;
mod own_service;
pub mod proxy;
pub mod sd;
pub mod store;

pub use builder::{Cluster, ClusterConfig, ClusterError};
