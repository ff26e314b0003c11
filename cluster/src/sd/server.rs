//! `GET /v1/ROLE`.

use std::{fmt::Debug, io, net::SocketAddr};

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{FutureExt, StreamExt, future};
use k8s_openapi::api::{
    core::v1::{Endpoints, Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client, Resource,
    runtime::{
        WatchStreamExt,
        reflector::{self, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::roles::{Objects, Role, target_groups};

/// Caches of everything that can be a target.
#[derive(Clone)]
struct Stores {
    pods: Store<Pod>,
    services: Store<Service>,
    endpoints: Store<Endpoints>,
    slices: Store<EndpointSlice>,
    nodes: Store<Node>,
}

/// Serves until told to stop. Answers 503 while a cache is not filled yet: an empty list would make Prometheus drop every target.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(client: Client, bind: SocketAddr, shutdown: CancellationToken) -> io::Result<()> {
    let listener = TcpListener::bind(bind).await?;
    let mut watches = JoinSet::new();
    let stores = Stores {
        pods: watch(&client, &mut watches),
        services: watch(&client, &mut watches),
        endpoints: watch(&client, &mut watches),
        slices: watch(&client, &mut watches),
        nodes: watch(&client, &mut watches),
    };
    let app = Router::new().route("/v1/{role}", get(targets)).with_state(stores);
    axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// Keeps a cache of all objects of a kind. The watch ends with the set.
fn watch<K>(client: &Client, watches: &mut JoinSet<()>) -> Store<K>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    let (reader, writer) = reflector::store();
    let objects = watcher(Api::<K>::all(client.clone()), watcher::Config::default())
        .default_backoff()
        .modify(|object| {
            // Nothing of it becomes a label.
            object.meta_mut().managed_fields = None;
        });
    let drive = objects.reflect(writer).for_each(|event| {
        if let Err(error) = event {
            tracing::debug!(%error, "service discovery's watch is interrupted");
        }
        future::ready(())
    });
    watches.spawn(drive);
    reader
}

async fn targets(
    Path(role): Path<String>,
    RawQuery(query): RawQuery,
    State(stores): State<Stores>,
) -> Response {
    let Some(role) = Role::parse(&role) else {
        let text = format!("unknown role {role:?}: pod, endpoints, endpointslice, service or node\n");
        return (StatusCode::NOT_FOUND, text).into_response();
    };
    let filled = stores.filled().now_or_never();
    if filled != Some(true) {
        return (StatusCode::SERVICE_UNAVAILABLE, "not all objects are known yet\n").into_response();
    }
    let namespaces: Vec<String> = query
        .iter()
        .flat_map(|query| query.split('&'))
        .filter_map(|pair| pair.strip_prefix("namespace="))
        .map(str::to_owned)
        .collect();
    Json(target_groups(role, &stores.objects(), &namespaces)).into_response()
}

impl Stores {
    async fn filled(&self) -> bool {
        let all = tokio::join!(
            self.pods.wait_until_ready(),
            self.services.wait_until_ready(),
            self.endpoints.wait_until_ready(),
            self.slices.wait_until_ready(),
            self.nodes.wait_until_ready(),
        );
        all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok() && all.4.is_ok()
    }

    fn objects(&self) -> Objects {
        Objects {
            pods: self.pods.state(),
            services: self.services.state(),
            endpoints: self.endpoints.state(),
            slices: self.slices.state(),
            nodes: self.nodes.state(),
        }
    }
}
