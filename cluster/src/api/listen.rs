//! The TLS listener, with authentication.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use http::header;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, time::timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{credentials::Credentials, status::ApiError};

/// Time a client has for the TLS handshake, and for each request's headers.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time that running requests have to end after the shutdown began.
const DRAIN: Duration = Duration::from_secs(2);
/// Paths that anybody may read, as on real clusters.
const OPEN: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];

/// Puts authentication in front of a router.
pub fn authenticated(router: Router, token: &str) -> Router {
    router.layer(middleware::from_fn_with_state(Arc::<str>::from(token), authenticate))
}

async fn authenticate(State(token): State<Arc<str>>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given = given.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let open = given.is_empty() && OPEN.contains(&request.uri().path());
    if open || same(given.trim().as_bytes(), token.as_bytes()) {
        next.run(request).await
    } else {
        ApiError::unauthorized().into_response()
    }
}

/// Compares in a time that depends only on the lengths.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

/// Accepts connections until the token is cancelled, then lets running requests end.
pub async fn listen(
    listener: TcpListener,
    credentials: &Credentials,
    router: Router,
    shutdown: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(credentials.tls());
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = serve(stream, peer, acceptor.clone(), router.clone(), shutdown.clone());
                connections.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "the API server could not accept a connection");
                // Out of file descriptors, most likely: give running connections time to free some.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    connections.close();
    if timeout(DRAIN, connections.wait()).await.is_err() {
        tracing::debug!("connections were still open at the end of the drain time");
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    peer: SocketAddr,
    acceptor: TlsAcceptor,
    router: Router,
    shutdown: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%peer, %error, "TCP_NODELAY could not be set");
    }
    let stream = match timeout(HANDSHAKE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return log_end(peer, &error),
        Err(_) => return,
    };
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder.http1().timer(TokioTimer::new()).header_read_timeout(None);
    let service = TowerToHyperService::new(router);
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let result = tokio::select! {
        result = &mut connection => result,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::trace!(%peer, %error, "connection ended");
    }
}

fn log_end(peer: SocketAddr, error: &io::Error) {
    tracing::trace!(%peer, %error, "TLS handshake failed");
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn tokens_are_compared_whole() {
        assert!(same(b"abc", b"abc"));
        assert!(!same(b"abc", b"abd"));
        assert!(!same(b"", b"abc"));
        assert!(!same(b"ab", b"abc"));
    }
}
