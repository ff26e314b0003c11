//! Why the embedded stack is not there.

use std::{io, path::PathBuf};

use cluster::{
    kubelet::catalog::{ImageError, ProgramStatus},
    net_holder::Holder,
};
use harness_slo::compress::CompressError;

use super::{
    ApplyError, ControlPlaneError, ManifestError, NoHistory, NotLoaded, NotReady, RecordError, ServicesError,
};
use crate::target::TargetError;

/// Why the embedded stack could not be brought up, found or stopped.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// A file or directory of the state directory cannot be used.
    #[error("can't use {}", path.display())]
    State {
        /// Which.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Programs that pods need are not on this machine.
    #[error("programs that the embedded stack needs are missing")]
    MissingPrograms(Vec<ProgramStatus>),
    /// A manifest names an image that nothing on this machine stands for.
    #[error("the embedded cluster can't run the manifests")]
    Image(#[source] ImageError),
    /// A listener of the machine blocks ports on every loopback address.
    #[error("ports that the embedded stack needs are taken on all addresses")]
    Ports(Vec<Holder>),
    /// The record of the control plane cannot be read.
    #[error("can't tell whether a stack is running")]
    Record(#[source] RecordError),
    /// The running stack belongs to another version of the harness.
    #[error("the running stack was started by version {running}, this is {}", env!("CARGO_PKG_VERSION"))]
    Version {
        /// Version of the running stack.
        running: String,
    },
    /// No manifests: not in a checkout, and no `--deploy-dir`.
    #[error("no manifests of the embedded stack: this is no checkout of the project")]
    NoManifests,
    /// The manifests cannot be used.
    #[error("can't read the manifests of the embedded stack")]
    Manifests(#[source] ManifestError),
    /// The demo system's binaries are not there.
    #[error("can't run the demo system")]
    Services(#[source] ServicesError),
    /// The control plane did not start, or died.
    #[error("the embedded cluster did not start")]
    ControlPlane(#[source] ControlPlaneError),
    /// The control plane cannot be reached.
    #[error("the embedded cluster does not answer")]
    Target(#[source] Box<TargetError>),
    /// A manifest could not be applied.
    #[error("can't apply the manifests of the embedded stack")]
    Apply(#[source] ApplyError),
    /// Not everything became available.
    #[error("the embedded stack did not get ready")]
    NotReady(#[source] Box<NotReady>),
    /// The alert rules or what times them cannot be compressed.
    #[error("the stack's time can't be compressed ×{factor}")]
    Compress {
        /// The factor that was asked for.
        factor: u32,
        /// Cause.
        #[source]
        source: CompressError,
    },
    /// There is no Grafana that could run here.
    #[error("Grafana is not installed on this machine")]
    NoGrafana,
    /// Prometheus cannot be given a healthy past.
    #[error("there is no history for Prometheus")]
    History(#[source] NoHistory),
    /// The monitoring system runs with another configuration than the one applied.
    #[error("the monitoring system does not run at the pace that was asked for")]
    NotLoaded(#[source] NotLoaded),
    /// The control plane did not end.
    #[error("the control plane (pid {pid}) could not be stopped")]
    Stop {
        /// Its process id.
        pid: i32,
        /// Cause.
        #[source]
        source: io::Error,
    },
}
