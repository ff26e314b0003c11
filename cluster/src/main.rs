//! The `cluster` program: one embedded cluster, until it is told to stop.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use cluster::{
    Cluster, ClusterConfig,
    controllers::hpa::{AutoscalerOptions, go_duration},
};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

#[derive(Debug, Parser)]
#[command(name = "cluster", version, about = "An embedded Kubernetes in one process")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a cluster until SIGINT or SIGTERM, then stops every pod gracefully
    Serve {
        /// Directory for logs, volumes and the kubeconfig
        #[arg(long, value_name = "DIR")]
        data_dir: PathBuf,
        /// Where the kubeconfig goes [default: DIR/kubeconfig]
        #[arg(long, value_name = "PATH")]
        kubeconfig: Option<PathBuf>,
        /// Time between two samples of what pods use, in seconds
        #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
        metric_resolution: Duration,
        #[command(flatten)]
        autoscaler: AutoscalerFlags,
    },
}

/// The flags of kube-controller-manager that concern the autoscaler, with its defaults.
#[derive(Debug, Args)]
#[command(next_help_heading = "Horizontal pod autoscaler")]
struct AutoscalerFlags {
    /// Time between two looks at an autoscaler
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = positive)]
    horizontal_pod_autoscaler_sync_period: Duration,
    /// How long the highest recommendation counts before pods are removed
    #[arg(long, value_name = "DURATION", default_value = "5m0s", value_parser = duration)]
    horizontal_pod_autoscaler_downscale_stabilization: Duration,
    /// Deviation of the usage from its target, as a ratio, that changes nothing
    #[arg(long, value_name = "RATIO", default_value = "0.1", value_parser = ratio)]
    horizontal_pod_autoscaler_tolerance: f64,
    /// Time after a pod's start in which CPU samples count only if the pod was ready all the time
    #[arg(long, value_name = "DURATION", default_value = "5m0s", value_parser = duration)]
    horizontal_pod_autoscaler_cpu_initialization_period: Duration,
    /// Time after a pod's start in which becoming unready means that it has never been ready
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    horizontal_pod_autoscaler_initial_readiness_delay: Duration,
}

impl AutoscalerFlags {
    fn options(&self) -> AutoscalerOptions {
        AutoscalerOptions {
            sync_period: self.horizontal_pod_autoscaler_sync_period,
            downscale_stabilization: self.horizontal_pod_autoscaler_downscale_stabilization,
            tolerance: self.horizontal_pod_autoscaler_tolerance,
            cpu_initialization_period: self.horizontal_pod_autoscaler_cpu_initialization_period,
            initial_readiness_delay: self.horizontal_pod_autoscaler_initial_readiness_delay,
        }
    }
}

/// A duration as Go writes it (`15s`, `5m0s`, `0s`).
fn duration(text: &str) -> Result<Duration, String> {
    let parsed = go_duration(text).and_then(|duration| Duration::try_from(duration).ok());
    parsed.ok_or_else(|| "a duration such as 15s or 5m0s".to_owned())
}

/// A duration above zero.
fn positive(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|found| if found.is_zero() { Err("more than 0s".to_owned()) } else { Ok(found) })
}

/// A number that is not negative.
fn ratio(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("a number that is not negative".to_owned()),
    }
}

/// A positive number of seconds, also with a unit as Go writes it (`15s`, `500ms`).
fn seconds(text: &str) -> Result<Duration, String> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    let seconds = number.parse::<f64>().map_err(|error| error.to_string())? * unit;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if duration >= Duration::from_millis(100) => Ok(duration),
        _ => Err("at least 0.1 seconds".to_owned()),
    }
}

fn main() -> ExitCode {
    // The process beside each container: before anything else, so that it stays small.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|argument| argument == "pod-shim") {
        cluster::kubelet::shim::main(arguments.collect());
    }
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn")))
        .with_writer(std::io::stderr)
        .init();
    let Command::Serve { data_dir, kubeconfig, metric_resolution, autoscaler } = Arguments::parse().command;
    match serve(data_dir, kubeconfig, metric_resolution, autoscaler.options()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            let mut source = error.source();
            while let Some(cause) = source {
                eprintln!("  caused by: {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn serve(
    data_dir: PathBuf,
    kubeconfig: Option<PathBuf>,
    metric_resolution: Duration,
    autoscaler: AutoscalerOptions,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shim = vec![std::env::current_exe()?.into_os_string(), "pod-shim".into()];
    let mut config = ClusterConfig::new(data_dir, shim);
    config.kubeconfig = kubeconfig;
    config.metric_resolution = metric_resolution;
    config.autoscaler = autoscaler;
    let cluster = Cluster::start(config).await?;
    println!(
        "API server ready: https://{} (kubeconfig {})",
        cluster.api_address(),
        cluster.kubeconfig_path().display()
    );
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    cluster.shutdown().await;
    Ok(())
}
