//! The addresses that a person wants to open: those of the stack's Services that have a user interface.

use std::time::Duration;

use k8s_openapi::api::core::v1::Service;
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde::Serializer;

use crate::expected_error::ExpectedError;

/// Title, namespace, name of the Service.
const SHOWN: [(&str, &str, &str); 4] = [
    ("portal", "gallery", "portal"),
    ("Prometheus", "monitoring", "prometheus"),
    ("Alertmanager", "monitoring", "alertmanager"),
    ("Grafana", "monitoring", "grafana"),
];
const LIMIT: Duration = Duration::from_secs(10);

/// Titles and URLs, as far as the Services are there.
pub(super) async fn of(client: &Client) -> Result<Vec<(&'static str, String)>, ExpectedError> {
    let services: Api<Service> = Api::all(client.clone());
    let list = match tokio::time::timeout(LIMIT, services.list(&ListParams::default())).await {
        Ok(Ok(list)) => list.items,
        Ok(Err(error)) => return Err(unreachable(Some(error.into()))),
        Err(_) => return Err(unreachable(None)),
    };
    let url = |(title, namespace, name): (&'static str, &str, &str)| {
        let service = list
            .iter()
            .find(|one| one.name_any() == name && one.namespace().as_deref() == Some(namespace))?;
        let spec = service.spec.as_ref()?;
        let port = spec.ports.iter().flatten().next()?.port;
        Some((title, format!("http://{}:{port}", spec.cluster_ip.as_deref()?)))
    };
    Ok(SHOWN.into_iter().filter_map(url).collect())
}

fn unreachable(source: Option<Box<dyn std::error::Error + Send + Sync>>) -> ExpectedError {
    ExpectedError::Unreachable { what: "the cluster's Services can't be listed".to_owned(), source }
}

/// Titles and URLs as a JSON object, in the order in which they are shown.
pub(super) fn as_map<S: Serializer>(
    all: &[(&'static str, String)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(all.iter().map(|(name, url)| (name, url)))
}
