//! Services of what the control plane itself serves: without selector, their endpoints point at it.

use std::net::SocketAddr;

use k8s_openapi::api::{
    core::v1::{Namespace, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;

/// Namespace of all of them.
pub const NAMESPACE: &str = "kube-system";

/// Makes `name.kube-system.svc:port` lead to `bind`. The name is also who applies it.
///
/// # Errors
/// Those of the API.
pub async fn apply(client: &Client, name: &str, port: u16, bind: SocketAddr) -> Result<(), kube::Error> {
    let params = PatchParams::apply(name).force();
    let labels = json!({ "app.kubernetes.io/name": name, "kubernetes.io/service-name": name });
    let namespace = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
    Api::<Namespace>::all(client.clone()).patch(NAMESPACE, &params, &Patch::Apply(namespace)).await?;
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "app.kubernetes.io/name": name } },
        "spec": { "ports": [{ "name": "http", "port": port, "targetPort": bind.port() }] },
    });
    Api::<Service>::namespaced(client.clone(), NAMESPACE)
        .patch(name, &params, &Patch::Apply(service))
        .await?;
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": labels },
        "addressType": "IPv4",
        "endpoints": [{ "addresses": [bind.ip().to_string()], "conditions": { "ready": true } }],
        "ports": [{ "name": "http", "port": bind.port(), "protocol": "TCP" }],
    });
    Api::<EndpointSlice>::namespaced(client.clone(), NAMESPACE)
        .patch(name, &params, &Patch::Apply(slice))
        .await?;
    Ok(())
}
