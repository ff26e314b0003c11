//! The `main` of every service binary.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

use crate::{
    config::{ConfigError, Env},
    logging,
    service::Service,
};

/// Threads for blocking work (files); a small number, because services are small.
const BLOCKING_THREADS: usize = 32;

/// Configures the service from the environment, serves until SIGTERM or SIGINT, and ends gracefully.
/// A bad value in the environment ends it with one line on standard error and exit code 2.
pub fn main(name: &str, service: fn(&Env) -> Result<Service, ConfigError>) -> ExitCode {
    match serve(name, service) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::from(2)
        }
    }
}

fn serve(name: &str, service: fn(&Env) -> Result<Service, ConfigError>) -> Result<(), ConfigError> {
    let env = Env::from_process();
    logging::init(&env)?;
    log_panics();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.clamp(1, 4))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_name(name)
        .enable_all()
        .build()
        .map_err(|error| ConfigError::new("runtime", format!("cannot start: {error}")))?;
    runtime.block_on(async {
        // Before the listeners: a signal that arrives during start-up must end the service, too.
        let handler = |kind| signal(kind).map_err(|error| ConfigError::new("signals", error.to_string()));
        let (mut terminate, mut interrupt) =
            (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
        let running = service(&env)?.start().await?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.shut_down().await;
        Ok(())
    })
}

/// Panics go to the log as one structured line.
fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let payload = info.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown");
        let location = info.location().map(ToString::to_string);
        tracing::error!(message = "panic", panic = message, location);
    }));
}
