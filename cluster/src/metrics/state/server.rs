//! `GET /metrics`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use kube::Client;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{autoscaling, network, node, pod, storage, table::Table, workload};
use crate::metrics::{CONTENT_TYPE, Exposition};

/// Serves until told to stop. Answers 503 until all objects are known: half of them would look as if the others were gone.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(client: Client, bind: SocketAddr, shutdown: CancellationToken) -> io::Result<()> {
    let listener = TcpListener::bind(bind).await?;
    let mut watches = JoinSet::new();
    let mut tables = Vec::new();
    macro_rules! follow {
        ($families:expr, $describe:expr) => {{
            let table = Table::new(&$families);
            tables.push(table.clone());
            watches.spawn(table.follow(client.clone(), $describe));
        }};
    }
    follow!(autoscaling::AUTOSCALERS, autoscaling::autoscaler);
    follow!(autoscaling::BUDGETS, autoscaling::budget);
    follow!(workload::DEPLOYMENTS, workload::deployment);
    follow!(workload::REPLICA_SETS, workload::replica_set);
    follow!(pod::FAMILIES, pod::describe);
    follow!(node::NODES, node::node);
    follow!(node::NAMESPACES, node::namespace);
    follow!(network::SERVICES, network::service);
    follow!(network::ENDPOINTS, network::endpoints);
    follow!(storage::CLAIMS, storage::claim);
    follow!(storage::VOLUMES, storage::volume);
    let tables: Tables = Arc::new(tables);
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok" }))
        .with_state(tables);
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

type Tables = Arc<Vec<Arc<Table>>>;

async fn metrics(State(tables): State<Tables>) -> Response {
    if !tables.iter().all(|table| table.is_listed()) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not all objects are known yet\n").into_response();
    }
    let mut out = Exposition::default();
    tables.iter().for_each(|table| table.write(&mut out));
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], out.into_text()).into_response()
}
