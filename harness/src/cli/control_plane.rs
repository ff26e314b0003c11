//! `harness control-plane`: serves the embedded cluster; started by `harness up` and `harness run`, not by people.

use std::{io::Write, time::Duration};

use cluster::{
    Cluster, ClusterConfig,
    kubelet::catalog::{Catalog, ImageEntry},
};

use super::{args::ControlPlaneArgs, signals};
use crate::{
    POD_SHIM, exit_code,
    expected_error::ExpectedError,
    own_exe,
    stack::{READY, Record},
};

/// How often what pods use is sampled: an autoscaler is watched for seconds here, not for minutes.
const METRIC_RESOLUTION: Duration = Duration::from_secs(2);
/// How often an autoscaler looks (kube-controller-manager: 15 s).
const AUTOSCALER_SYNC: Duration = Duration::from_secs(2);
/// How long an autoscaler waits before it removes pods (kube-controller-manager: 5 min).
const DOWNSCALE_STABILIZATION: Duration = Duration::from_secs(10);
/// Image of the pod that receives alerts.
const OWN_IMAGE: &str = "sre-harness/harness";

pub(super) async fn exec(args: ControlPlaneArgs) -> Result<u8, ExpectedError> {
    // Out of the terminal's session: its Ctrl-C and its end are not for a stack that stays up. It fails for the leader of a
    // process group, which has no terminal that could end it or was started by hand.
    let _ = rustix::process::setsid();
    let stop = signals::stop_requested();
    tokio::pin!(stop);

    let record = Record::of_this_process(args.data_dir.clone());
    let _held = record.hold(&args.record).map_err(|error| internal("the record can't be held", error))?;
    let exe = own_exe();
    // Whatever the executable is called.
    let own = ImageEntry { program: vec![exe.to_string_lossy().into_owned()], ..ImageEntry::default() };
    let mut config = ClusterConfig::new(args.data_dir, vec![exe.into(), POD_SHIM.into()]);
    config.kubeconfig = Some(args.kubeconfig);
    config.metric_resolution = METRIC_RESOLUTION;
    config.autoscaler.sync_period = AUTOSCALER_SYNC;
    config.autoscaler.downscale_stabilization = DOWNSCALE_STABILIZATION;
    config.catalog = Catalog::builtin().with_binaries(args.services_dir).with_image(OWN_IMAGE, own);
    let cluster = tokio::select! {
        started = Cluster::start(config) => started.map_err(|error| internal("the cluster can't start", error))?,
        signal = &mut stop => {
            tracing::info!(signal, "stopped while starting");
            return Ok(exit_code::PASSED);
        }
    };
    // Who waits for this line may be gone by now; that is no reason to end.
    drop(writeln!(std::io::stdout(), "{READY}"));
    tracing::info!(kubeconfig = %cluster.kubeconfig_path().display(), "ready");
    let signal = stop.await;
    tracing::info!(signal, "stopping");
    cluster.shutdown().await;
    Ok(exit_code::PASSED)
}

fn internal(what: &str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ExpectedError {
    ExpectedError::Internal { what: what.to_owned(), source: source.into() }
}
