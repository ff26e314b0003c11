//! The harness' command line: options, wiring, and the way to the embedded stack or to a cluster of the user's own.
//!
//! What happens in a run is the business of `harness-engine`; how it looks afterwards that of `harness-report`. This crate
//! decides *where* to run ([`target`], [`stack`]), hands over, and turns the result into text and an exit code
//! ([`expected_error`], [`exit_code`]).

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

pub mod cli;
pub mod exit_code;
pub mod expected_error;
pub mod grafana;
mod main_impl;
pub mod output;
pub mod stack;
pub mod target;
pub mod view;

pub use main_impl::main_impl;

/// Path of the running executable, as it was at the first call: a rebuild that replaces the file later makes the system's
/// answer useless. Called first thing by [`main_impl`].
pub fn own_exe() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| std::env::current_exe().unwrap_or_else(|_| PathBuf::from("harness")))
}

/// Name of the hidden command that starts one pod's process; see [`cluster::kubelet::shim`].
pub const POD_SHIM: &str = "pod-shim";
/// Name of the hidden command that serves the embedded cluster.
pub const CONTROL_PLANE: &str = "control-plane";
/// Name of the hidden command that carries a load out.
pub const LOAD_WORKER: &str = "load-worker";
