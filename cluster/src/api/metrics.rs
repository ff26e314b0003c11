//! `metrics.k8s.io/v1beta1`: what nodes and pods use. On a real cluster metrics-server answers behind the API server's
//! aggregation; here the kubelet records in the same process.

use std::time::Duration;

use axum::{extract::Request, response::Response};
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    negotiate::{self, Accepted, Shape},
    request::Query,
    resources::{self, Resource, collection},
    respond,
    router::ApiServer,
    selectors::Selection,
    status::ApiError,
};
use crate::{
    metrics::{Measured, PodUsage},
    store::{Key, Stored},
};

/// The API group.
pub const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "v1beta1";
const GROUP_VERSION: &str = "metrics.k8s.io/v1beta1";

/// The group in legacy discovery.
pub fn group() -> Value {
    let version = json!({"groupVersion": GROUP_VERSION, "version": VERSION});
    json!({"name": GROUP, "versions": [version], "preferredVersion": version})
}

/// The group in aggregated discovery.
pub fn aggregated() -> Value {
    let resource = |plural, kind, scope| {
        json!({
            "resource": plural, "responseKind": {"group": "", "version": "", "kind": kind}, "scope": scope,
            "singularResource": "", "verbs": ["get", "list"],
        })
    };
    let resources =
        [resource("nodes", "NodeMetrics", "Cluster"), resource("pods", "PodMetrics", "Namespaced")];
    json!({
        "metadata": {"name": GROUP},
        "versions": [{"version": VERSION, "resources": resources, "freshness": "Current"}],
    })
}

fn resource_list() -> Value {
    let resource = |plural, namespaced: bool, kind| json!({"name": plural, "singularName": "", "namespaced": namespaced, "kind": kind, "verbs": ["get", "list"]});
    let resources = [resource("nodes", false, "NodeMetrics"), resource("pods", true, "PodMetrics")];
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources})
}

/// Answers a path of the group; none if the path is not below it.
pub fn serve(server: &ApiServer, request: &Request) -> Option<Result<Response, ApiError>> {
    let rest = request.uri().path().strip_prefix("/apis/metrics.k8s.io")?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let words: Vec<&str> = rest.split('/').filter(|word| !word.is_empty()).collect();
    Some(answer(server, request, &words))
}

fn answer(server: &ApiServer, request: &Request, words: &[&str]) -> Result<Response, ApiError> {
    let query = Query::of(request.uri());
    if !matches!(*request.method(), Method::GET | Method::HEAD) || query.flag("watch") {
        return Err(ApiError::method_not_allowed());
    }
    let accepted = negotiate::accepted(request.headers())?;
    let plain = |value: &Value| Ok(respond::value(StatusCode::OK, value, accepted.format));
    let Some((version, path)) = words.split_first() else {
        let mut value = group();
        value["kind"] = "APIGroup".into();
        value["apiVersion"] = "v1".into();
        return plain(&value);
    };
    if *version != VERSION {
        return Err(ApiError::no_such_resource());
    }
    match path {
        [] => plain(&resource_list()),
        ["nodes"] => list(server, &query, None, Kind::Node, accepted),
        ["nodes", name] => get(server, "", name, Kind::Node, accepted),
        ["pods"] => list(server, &query, None, Kind::Pod, accepted),
        ["namespaces", namespace, "pods"] => list(server, &query, Some(namespace), Kind::Pod, accepted),
        ["namespaces", namespace, "pods", name] => get(server, namespace, name, Kind::Pod, accepted),
        _ => Err(ApiError::no_such_resource()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node,
    Pod,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Node => "NodeMetrics",
            Self::Pod => "PodMetrics",
        }
    }

    /// The resource whose objects are measured.
    fn measured(self) -> Result<&'static Resource, ApiError> {
        let plural = if self == Self::Node { "nodes" } else { "pods" };
        resources::find("", "v1", plural).ok_or_else(ApiError::no_such_resource)
    }

    fn collection(self) -> usize {
        if self == Self::Node { collection::NODES } else { collection::PODS }
    }

    /// The metrics of an object; none while there are no two samples.
    fn of(self, server: &ApiServer, object: &Stored, now: Timestamp) -> Option<Value> {
        let mut metadata = json!({"name": object.key.name, "creationTimestamp": seconds(now)});
        if !object.labels.is_empty() {
            metadata["labels"] = json!(object.labels);
        }
        match self {
            Self::Node => {
                let measured = server.usage().node(&object.key.name)?;
                Some(json!({
                    "metadata": metadata, "timestamp": seconds(measured.at), "window": go_duration(measured.window),
                    "usage": usage(&measured),
                }))
            }
            Self::Pod => {
                let PodUsage { at, window, containers } = server.usage().pod(&object.uid)?;
                metadata["namespace"] = object.key.namespace.as_str().into();
                let containers: Vec<Value> = containers
                    .iter()
                    .map(|container| json!({"name": container.name, "usage": usage(&container.measured)}))
                    .collect();
                Some(json!({
                    "metadata": metadata, "timestamp": seconds(at), "window": go_duration(window),
                    "containers": containers,
                }))
            }
        }
    }
}

fn usage(measured: &Measured) -> Value {
    json!({"cpu": format!("{}n", measured.nanocores), "memory": format!("{}Ki", measured.working_set / 1024)})
}

fn seconds(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// Go's text of a duration, to the millisecond: `9.992s`, `1m0.5s`.
fn go_duration(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    if milliseconds < 1000 {
        return if milliseconds == 0 { "0s".to_owned() } else { format!("{milliseconds}ms") };
    }
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn get(
    server: &ApiServer,
    namespace: &str,
    name: &str,
    kind: Kind,
    accepted: Accepted,
) -> Result<Response, ApiError> {
    let resource = kind.measured()?;
    let object = server.store().get(kind.collection(), &Key::new(namespace, name));
    let object = object.ok_or_else(|| ApiError::not_found(resource, name))?;
    let metrics = kind.of(server, &object, Timestamp::now()).ok_or_else(|| {
        let (plural, name) = match kind {
            Kind::Node => ("nodemetrics", name.to_owned()),
            Kind::Pod => ("podmetrics", format!("{namespace}/{name}")),
        };
        ApiError::no_metrics(GROUP, plural, &name)
    })?;
    let value = match accepted.shape {
        Shape::Table => table(&[metrics]),
        Shape::Metadata => respond::metadata_only(&metrics),
        Shape::Object => {
            let mut metrics = metrics;
            metrics["kind"] = kind.name().into();
            metrics["apiVersion"] = GROUP_VERSION.into();
            metrics
        }
    };
    Ok(respond::value(StatusCode::OK, &value, accepted.format))
}

fn list(
    server: &ApiServer,
    query: &Query,
    namespace: Option<&str>,
    kind: Kind,
    accepted: Accepted,
) -> Result<Response, ApiError> {
    let selection =
        Selection::parse(kind.measured()?, query.get("labelSelector"), query.get("fieldSelector"))?;
    let now = Timestamp::now();
    let (_, objects) = server.store().list(kind.collection(), namespace);
    let items: Vec<Value> = objects
        .iter()
        .filter(|object| selection.matches(object))
        .filter_map(|object| kind.of(server, object, now))
        .collect();
    let value = match accepted.shape {
        Shape::Table => table(&items),
        Shape::Metadata => {
            let items: Vec<Value> = items.iter().map(respond::metadata_only).collect();
            json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "items": items})
        }
        Shape::Object => {
            let list = format!("{}List", kind.name());
            json!({"kind": list, "apiVersion": GROUP_VERSION, "metadata": {}, "items": items})
        }
    };
    Ok(respond::value(StatusCode::OK, &value, accepted.format))
}

/// Rows as metrics-server prints them: the sums over the containers.
fn table(items: &[Value]) -> Value {
    let column = |name: &str, format: &str, description: &str| json!({"name": name, "type": "string", "format": format, "description": description, "priority": 0});
    let columns = [
        column("Name", "name", "Name of the resource"),
        column("cpu", "quantity", ""),
        column("memory", "quantity", ""),
        column("Window", "duration", ""),
    ];
    let number = |text: &Value| {
        let text = text.as_str().unwrap_or_default();
        text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).parse::<u64>().unwrap_or(0)
    };
    let row = |item: &Value| {
        let own = item.get("usage").into_iter();
        let usages = item["containers"].as_array().into_iter().flatten().map(|container| &container["usage"]);
        let (cpu, memory) = own.chain(usages).fold((0, 0), |(cpu, memory), usage| {
            (cpu + number(&usage["cpu"]), memory + number(&usage["memory"]))
        });
        json!({
            "cells": [item["metadata"]["name"], format!("{cpu}n"), format!("{memory}Ki"), item["window"]],
            "object": respond::metadata_only(item),
        })
    };
    let rows: Vec<Value> = items.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_written_as_go_writes_durations() {
        let cases =
            [(9_992, "9.992s"), (10_000, "10s"), (60_500, "1m0.5s"), (3_600_000, "1h0m0s"), (900, "900ms")];
        for (milliseconds, text) in cases {
            assert_eq!(go_duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
