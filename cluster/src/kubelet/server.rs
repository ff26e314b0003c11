//! The kubelet's metrics over HTTP: `/metrics/cadvisor`, `/metrics/resource` and `/metrics/probes`, on the node's address and through the API
//! server's node proxy.
//!
//! Everything is read when it is asked for, so a rate between two scrapes is exact.

use std::{io, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jiff::Timestamp;
use tokio::net::TcpListener;

use super::{
    Node, cadvisor, probe_metrics, resource_metrics,
    usage::{self, Account, Accounts, Reading},
};
use crate::metrics::CONTENT_TYPE;

/// Port of the kubelet's metrics.
pub const PORT: u16 = 18_096;

/// What is there at one moment.
pub struct Scrape {
    /// The whole machine.
    pub machine: Reading,
    /// The containers that run.
    pub containers: Vec<(Arc<Account>, Timestamp, Reading)>,
    /// Cores of the machine.
    pub cores: f64,
    /// Memory of the machine in bytes.
    pub memory: f64,
}

/// Serves for ever.
pub async fn run(node: &Arc<Node>, listener: Option<TcpListener>) {
    let Some(listener) = listener else { return std::future::pending().await };
    let app = Router::new()
        .route("/metrics/cadvisor", get(cadvisor))
        .route("/metrics/resource", get(resource))
        .route("/metrics/probes", get(probes))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(node.clone());
    if let Err(error) = axum::serve(listener, app).await {
        tracing::error!(%error, "the kubelet's metrics are no longer served");
    }
    std::future::pending().await
}

/// Opens the port. A port that somebody else holds costs the metrics, not the pods.
pub async fn listen(node: &crate::net::Addresses) -> Option<TcpListener> {
    let address = node.kubelet();
    let opened: io::Result<TcpListener> = TcpListener::bind(address).await;
    opened
        .inspect_err(|error| tracing::error!(%address, %error, "the kubelet cannot listen, there are no container metrics"))
        .ok()
}

async fn cadvisor(State(node): State<Arc<Node>>) -> Response {
    answer(node, Accounts::read_all, cadvisor::render).await
}

async fn resource(State(node): State<Arc<Node>>) -> Response {
    answer(node, Accounts::read, resource_metrics::render).await
}

async fn probes(State(node): State<Arc<Node>>) -> Response {
    answer(node, Accounts::read, probe_metrics::render).await
}

/// The containers that run, as some series need them.
type Read = fn(&Accounts) -> Vec<(Arc<Account>, Timestamp, Reading)>;

async fn answer(node: Arc<Node>, read: Read, render: fn(&Scrape) -> String) -> Response {
    let work = move || {
        let amount = |name: &str| node.allocatable.get(name).and_then(super::quantity::milli).unwrap_or(0);
        let scrape = Scrape {
            machine: usage::machine()?,
            containers: read(&node.accounts),
            cores: amount("cpu") as f64 / 1000.0,
            memory: amount("memory") as f64 / 1000.0,
        };
        Some(render(&scrape))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Some(text)) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        _ => (StatusCode::INTERNAL_SERVER_ERROR, "the machine's usage cannot be read\n").into_response(),
    }
}
