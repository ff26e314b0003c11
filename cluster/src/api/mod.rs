//! The API server: the Kubernetes API over the [`crate::store`].
//!
//! A request runs through [`request::Route`] (what the path means), [`negotiate`] (which form the answer takes), one of the
//! `verbs`, and for writes through `schema` (decode, defaults, validation) into the store. The same router serves the TLS
//! listener and, without a socket, `kube::Client::new(server.router(), "default")`.

pub mod credentials;
pub mod listen;
pub mod negotiate;
pub mod request;
pub mod resources;
pub mod router;
pub mod status;

mod autoscaling_v1;
mod collections;
mod custom_metrics;
mod discovery;
mod events_v1;
pub(crate) mod expire;
mod logs;
mod managed_fields;
mod metrics;
mod openapi;
mod patch;
mod protobuf;
mod proxy;
mod respond;
mod schema;
pub(crate) mod selectors;
mod table;
mod verbs;
mod views;
mod watch;

pub use router::{ApiServer, ApiServerConfig};
