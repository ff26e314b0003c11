//! SIGINT and SIGTERM as futures.

use tokio::signal::unix::{SignalKind, signal};

/// Resolves with the signal's name when SIGINT or SIGTERM arrives. From the first poll on, neither ends the process any more.
pub async fn stop_requested() -> &'static str {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        },
        // The runtime has no signal driver; then the signals' default, ending the process, is what remains.
        _ => std::future::pending().await,
    }
}
