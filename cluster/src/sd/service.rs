//! The adapter as a Service of the cluster: `prometheus-sd.kube-system.svc`.

use std::{io, net::SocketAddr};

use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::server::serve;

/// Port of the Service and of the adapter.
pub const PORT: u16 = 18_098;
const NAMESPACE: &str = "kube-system";
const NAME: &str = "prometheus-sd";

/// Why the adapter is not there.
#[derive(Debug, thiserror::Error)]
pub enum SdError {
    /// Its Service could not be applied.
    #[error("the Service {NAMESPACE}/{NAME} could not be applied")]
    Apply(#[from] kube::Error),
    /// It could not listen.
    #[error("service discovery could not listen")]
    Listen(#[from] io::Error),
}

/// Serves on `bind` and makes a Service without selector point there, until told to stop.
///
/// # Errors
/// See [`SdError`].
pub async fn run(client: Client, bind: SocketAddr, shutdown: CancellationToken) -> Result<(), SdError> {
    apply(&client, bind).await?;
    serve(client, bind, shutdown).await?;
    Ok(())
}

async fn apply(client: &Client, bind: SocketAddr) -> Result<(), kube::Error> {
    let params = PatchParams::apply("prometheus-sd").force();
    let labels = json!({ "app.kubernetes.io/name": NAME, "kubernetes.io/service-name": NAME });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    Api::<Namespace>::all(client.clone()).patch(NAMESPACE, &params, &Patch::Apply(namespace)).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": { "app.kubernetes.io/name": NAME } },
        "spec": { "ports": [{ "name": "http", "port": PORT, "targetPort": bind.port() }] },
    });
    Api::<Service>::namespaced(client.clone(), NAMESPACE)
        .patch(NAME, &params, &Patch::Apply(service))
        .await?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": NAME, "namespace": NAMESPACE, "labels": labels },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [bind.ip().to_string()], "conditions": { "ready": true } }],
        "ports": [{ "name": "http", "port": bind.port(), "protocol": "TCP" }],
    });
    Api::<EndpointSlice>::namespaced(client.clone(), NAMESPACE)
        .patch(NAME, &params, &Patch::Apply(slice))
        .await?;
    Ok(())
}
