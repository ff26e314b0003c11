//! `custom.metrics.k8s.io` and `external.metrics.k8s.io`: PromQL as metrics for autoscalers, with the rules of
//! prometheus-adapter. On a real cluster that adapter answers behind the API server's aggregation layer; here the API server
//! answers itself, as long as the ConfigMap `kube-system/metrics-adapter` says how. Without it the groups do not exist.

mod config;
mod custom;
mod external;
mod prometheus;
mod promql;

use axum::{extract::Request, response::Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};

use self::config::Adapter;
use super::{
    negotiate,
    request::{self, Query},
    resources::collection,
    respond,
    router::ApiServer,
    status::ApiError,
};
use crate::store::Key;

/// Group of the metrics of Kubernetes objects, and its version.
const CUSTOM: (&str, &str) = ("custom.metrics.k8s.io", "v1beta2");
/// Group of the metrics of anything else, and its version.
const EXTERNAL: (&str, &str) = ("external.metrics.k8s.io", "v1beta1");
/// Where the configuration lies.
const NAMESPACE: &str = "kube-system";
const CONFIG_MAP: &str = "metrics-adapter";

/// The groups that are served now: both or none.
fn served(server: &ApiServer) -> &'static [(&'static str, &'static str)] {
    let key = Key::new(NAMESPACE, CONFIG_MAP);
    match server.store().get(collection::CONFIG_MAPS, &key) {
        Some(_) => &[CUSTOM, EXTERNAL],
        None => &[],
    }
}

/// The groups for the legacy discovery document.
pub fn groups(server: &ApiServer) -> impl Iterator<Item = Value> {
    served(server).iter().map(|(name, version)| group(name, version))
}

/// The groups for the aggregated discovery document. Which metrics there are is only in the documents of the groups: to tell
/// needs a look into Prometheus.
pub fn aggregated(server: &ApiServer) -> impl Iterator<Item = Value> {
    served(server).iter().map(|(name, version)| {
        json!({"metadata": {"name": name}, "versions": [{"version": version, "resources": [], "freshness": "Current"}]})
    })
}

fn group(name: &str, version: &str) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

/// A request to one of the groups.
#[derive(Debug)]
pub struct Asked {
    group: &'static str,
    version: &'static str,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
}

impl Asked {
    /// Reads a request; none if its path is not below the groups, or if nothing is configured.
    pub fn of(server: &ApiServer, request: &Request) -> Option<Self> {
        let name = request.uri().path().strip_prefix("/apis/")?.split('/').next()?;
        let (group, version) = served(server).iter().find(|(group, _)| *group == name)?;
        let (method, uri, headers) =
            (request.method().clone(), request.uri().clone(), request.headers().clone());
        Some(Self { group, version, method, uri, headers })
    }

    /// Answers.
    pub async fn answer(self, server: &ApiServer) -> Result<Response, ApiError> {
        let Self { group, version, .. } = self;
        let query = Query::of(&self.uri);
        if !matches!(self.method, Method::GET | Method::HEAD) || query.flag("watch") {
            return Err(ApiError::method_not_allowed());
        }
        let format = negotiate::accepted(&self.headers)?.format;
        let words = self.uri.path().split('/').filter(|word| !word.is_empty()).skip(2);
        let words = words.map(request::decode).collect::<Result<Vec<String>, ApiError>>()?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let Some((wanted, path)) = words.split_first() else {
            let mut value = self::group(group, version);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            return Ok(respond::value(StatusCode::OK, &value, format));
        };
        if *wanted != version {
            return Err(ApiError::no_such_resource());
        }
        let adapter = Adapter::read(server);
        if path.is_empty() {
            // A configuration that is wrong is said where a metric is asked for. Here it would keep clients from everything
            // else that is served, and namespaces from being deleted.
            let resources = match &adapter {
                Ok(adapter) if group == CUSTOM.0 => custom::resources(server, adapter).await,
                Ok(adapter) => external::resources(server, adapter).await,
                Err(error) => {
                    tracing::warn!(%error, "no metrics are known");
                    Vec::new()
                }
            };
            let group_version = format!("{group}/{version}");
            let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources});
            return Ok(respond::value(StatusCode::OK, &list, format));
        }
        let adapter = adapter?;
        let value = match (group == CUSTOM.0, path) {
            (true, ["namespaces", namespace, "metrics", metric]) => {
                custom::object(server, &adapter, &query, None, ("namespaces", namespace), metric).await?
            }
            (true, ["namespaces", namespace, resource, name, metric]) => {
                custom::object(server, &adapter, &query, Some(namespace), (resource, name), metric).await?
            }
            (true, [resource, name, metric]) => {
                custom::object(server, &adapter, &query, None, (resource, name), metric).await?
            }
            (false, ["namespaces", namespace, metric]) => {
                external::metric(server, &adapter, &query, namespace, metric).await?
            }
            _ => return Err(ApiError::no_such_resource()),
        };
        Ok(respond::value(StatusCode::OK, &value, format))
    }
}
