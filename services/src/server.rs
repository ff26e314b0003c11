//! The HTTP/1 server: bounded heads, bounded waiting for them, and an end that lets requests finish.

use std::{io, net::SocketAddr, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::config::ConfigError;

/// Longest time a client may take to send a request's head; also how long an idle connection is kept.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request head above which the connection is answered 431 without looking at it.
const MAX_HEAD: usize = 64 * 1024;
/// Pause after `accept` failed, e.g. because no file descriptor was left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on `address`; the error names the variable that the address came from.
pub async fn bind(variable: &str, address: SocketAddr) -> Result<TcpListener, ConfigError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| ConfigError::new(variable, format!("cannot listen on {address}: {error}")))
}

/// Serves `app` until `stop`, then closes the listener and gives running requests up to `drain` to finish.
/// Returns how many connections had to be cut off.
pub async fn serve(listener: TcpListener, app: Router, stop: CancellationToken, drain: Duration) -> usize {
    let connections = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Answers are small and waited for.
                let _ = stream.set_nodelay(true);
                connections.spawn(connection(stream, app.clone(), stop.clone(), cut.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection failed");
                if out_of_resources(&error) {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(drain, connections.wait()).await.is_ok() {
        return 0;
    }
    let left = connections.len();
    cut.cancel();
    connections.wait().await;
    left
}

async fn connection(stream: TcpStream, app: Router, stop: CancellationToken, cut: CancellationToken) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut served = std::pin::pin!(served);
    tokio::select! {
        _ = served.as_mut() => return,
        () = stop.cancelled() => served.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = served => {}
        () = cut.cancelled() => {}
    }
}

/// Errors of `accept` after which trying again at once would only spin.
fn out_of_resources(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}
