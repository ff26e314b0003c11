//! The `cluster` program: one embedded cluster, until it is told to stop.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use cluster::{Cluster, ClusterConfig};
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
    },
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
    let Command::Serve { data_dir, kubeconfig, metric_resolution } = Arguments::parse().command;
    match serve(data_dir, kubeconfig, metric_resolution) {
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
) -> Result<(), Box<dyn std::error::Error>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shim = vec![std::env::current_exe()?.into_os_string(), "pod-shim".into()];
    let mut config = ClusterConfig::new(data_dir, shim);
    config.kubeconfig = kubeconfig;
    config.metric_resolution = metric_resolution;
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
