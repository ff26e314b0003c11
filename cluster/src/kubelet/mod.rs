//! The kubelet: runs the pods that are bound to this node as processes, and the scheduler that binds them.
//!
//! One watch of all pods feeds the scheduler (pods without a node) and one [`pod_worker`] per pod. A worker starts containers
//! through the [`shim`], follows their probes and ends, and writes the pod's status; see `docs/design/cluster.md`.

mod backoff;
mod cadvisor;
pub mod catalog;
mod cgroup;
mod cleanup;
mod container;
mod env;
mod events;
mod exec;
mod identity;
mod images;
mod logs;
mod manager;
mod node;
mod pod_worker;
mod probe_metrics;
mod probe_tls;
mod probes;
mod process;
mod procfs;
pub(crate) mod quantity;
mod resource_metrics;
mod rewrite;
mod scheduler;
mod server;
pub mod shim;
mod start;
mod status;
mod stop;
mod storage;
mod unsupported;
mod usage;
mod volume_files;
mod volumes;

pub use catalog::Catalog;
pub use manager::{KubeletConfig, KubeletError, default_data_dir, run};
pub use procfs::{CLUSTER_MARKER, CONTAINER_MARKER, POD_MARKER};
pub use server::PORT;

use manager::{HOOK_PATIENCE, Node, pod_title};
