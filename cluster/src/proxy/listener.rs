//! One port: its listener and its connections.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Service;
use tokio::{
    io::copy_bidirectional_with_sizes,
    net::{TcpListener, TcpStream},
    sync::watch,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::backends::Backends;
use crate::{
    controllers::{
        events::{Recorder, Severity},
        informer::ObjectKey,
    },
    net_holder,
};

/// How often a port that somebody else holds is tried. The kernel tells nobody when a port becomes free.
const RETRY: Duration = Duration::from_millis(500);
/// Buffer of each direction of a connection, in bytes.
const BUFFER: usize = 16 * 1024;
/// Wait after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves one port until `stop`: listens while there is a ready endpoint.
pub async fn serve(
    service: ObjectKey,
    address: SocketAddr,
    mut backends: watch::Receiver<Backends>,
    events: Option<(Recorder, Arc<Service>)>,
    stop: CancellationToken,
) {
    let connections = TaskTracker::new();
    let mut turn = 0;
    loop {
        let wanted = backends.wait_for(|backends| !backends.ready.is_empty());
        tokio::select! {
            () = stop.cancelled() => break,
            wanted = wanted => if wanted.is_err() { break },
        }
        let listener = tokio::select! {
            () = stop.cancelled() => break,
            listener = bind(&service, address, events.as_ref()) => listener,
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = accept(&listener, &mut backends, &mut turn, &connections, &stop) => {}
        }
        // Dropped here: from now on clients are refused.
    }
    connections.close();
    connections.wait().await;
}

/// Binds, however long the port is held by somebody else; says who it is.
async fn bind(
    service: &ObjectKey,
    address: SocketAddr,
    events: Option<&(Recorder, Arc<Service>)>,
) -> TcpListener {
    let mut told = None;
    loop {
        let error = match TcpListener::bind(address).await {
            Ok(listener) => {
                if told.is_some() {
                    tracing::info!(%service, %address, "the port is free, serving it");
                }
                return listener;
            }
            Err(error) => error,
        };
        let reason = why(address, &error);
        if told.as_ref() != Some(&reason) {
            let message = format!("cannot listen on {address}: {reason}; trying again until it is free");
            tracing::warn!(%service, "{message}");
            if let Some((recorder, object)) = events {
                recorder.record(&**object, Severity::Warning, "PortOccupied", message);
            }
            told = Some(reason);
        }
        tokio::time::sleep(RETRY).await;
    }
}

fn why(address: SocketAddr, error: &io::Error) -> String {
    let holder = match address {
        SocketAddr::V4(v4) if error.kind() == io::ErrorKind::AddrInUse => {
            net_holder::who_holds_on(*v4.ip(), v4.port())
        }
        _ => None,
    };
    holder.map_or_else(|| error.to_string(), |holder| holder.to_string())
}

/// Accepts until no endpoint is ready any more.
async fn accept(
    listener: &TcpListener,
    backends: &mut watch::Receiver<Backends>,
    turn: &mut usize,
    connections: &TaskTracker,
    stop: &CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            biased;
            changed = backends.changed() => {
                if changed.is_err() || backends.borrow_and_update().ready.is_empty() {
                    return;
                }
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        let client = match accepted {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::debug!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(backend) = backends.borrow().pick(*turn) else {
            reset(&client);
            return;
        };
        *turn = turn.wrapping_add(1);
        connections.spawn(pass(client, backend, backends.clone(), stop.clone()));
    }
}

/// Passes one connection on until one side ends it, its endpoint is gone, or the port is closed.
async fn pass(
    mut client: TcpStream,
    backend: SocketAddr,
    mut backends: watch::Receiver<Backends>,
    stop: CancellationToken,
) {
    let mut server = match TcpStream::connect(backend).await {
        Ok(server) => server,
        Err(error) => {
            tracing::debug!(%backend, %error, "endpoint refused");
            return reset(&client);
        }
    };
    // Small requests and answers must not wait for each other's acknowledgement.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let cut = {
        let gone = backends.wait_for(|backends| !backends.known.contains(&backend));
        tokio::select! {
            ended = copy_bidirectional_with_sizes(&mut client, &mut server, BUFFER, BUFFER) => ended.is_err(),
            _ = gone => true,
            () = stop.cancelled() => true,
        }
    };
    if cut {
        reset(&client);
        reset(&server);
    }
}

/// Lets the close of the socket be a reset instead of an orderly end: the peer must not take it for a complete answer.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
