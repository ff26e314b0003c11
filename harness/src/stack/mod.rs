//! The embedded stack: a control plane that runs as a process of its own, with the demo system and its monitoring applied to
//! it.
//!
//! ```text
//! ensure ─ lock ─ record? ─┬─ live ───────────────────────────────────────────┬─ Stack
//!                          └─ programs ─ services ─ control plane ─ apply ─ wait ┘
//! ```
//!
//! Everything the stack needs lies below one state directory, so stacks with different state directories do not know of each
//! other. From the moment it answers, the embedded cluster is used through its kubeconfig like any other.

mod apply;
mod control_plane;
mod diagnosis;
mod error;
mod grafana;
mod history;
mod lifecycle;
mod loaded;
mod manifests;
mod paths;
mod ports;
mod programs;
mod progress;
mod ready;
mod record;
mod services;
mod time;

pub use apply::{ApplyError, FIELD_MANAGER};
pub use control_plane::{ControlPlaneError, READY};
pub use error::StackError;
pub use grafana::{add_grafana, grafana_is_installed};
pub use history::{History, NoHistory, read as history};
pub use lifecycle::{Down, Stack, StackOptions, State, deploy_dir, down, state, undo_start};
pub use loaded::NotLoaded;
pub use manifests::ManifestError;
pub use paths::{Checkout, StateDir};
pub use programs::survey;
pub use progress::{OutputProgress, Progress};
pub use ready::{NotReady, pod_status};
pub use record::{Probe, Record, RecordError, RecordGuard};
pub use services::{ServicesError, service_binaries};
pub use time::{Compression, read as compression};
