//! The controllers: they watch the API and bring what is closer to what is asked for.
//!
//! All of them are level-triggered: a change only says which object to look at; what to do follows from the state. They
//! share one watch per kind ([`informer`]) and talk to the API server as on a real cluster, through `kube::Client` alone.

mod context;
pub mod deployment;
pub mod disruption;
mod endpoints;
pub mod error;
pub mod events;
mod expectations;
mod garbage;
pub mod hash;
pub mod hpa;
pub mod informer;
mod namespace;
pub mod owner;
pub mod pods;
pub mod queue;
mod replicaset;

pub use context::{Context, run};
pub use endpoints::SERVICE_NAME;
