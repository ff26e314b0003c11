//! `/openapi/v3`: what clients need to know that validation happens in the server.
//!
//! The documents name each resource with its patch and its query parameters, and carry no schemas: kubectl then leaves
//! validation (`fieldValidation`) to the server and computes its patches from its own types. `kubectl explain` has nothing
//! to explain. `/openapi/v2` is a document without content: kubectl falls back to it for kinds that it does not find, and then
//! says which kind that is.

use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use super::{
    negotiate::{self, Format},
    resources::{RESOURCES, Resource, group_versions},
    respond,
    status::ApiError,
};

/// Answers a path below `/openapi`; none if it is not there.
pub fn serve(path: &str, headers: &HeaderMap) -> Option<Result<Response, ApiError>> {
    if path == "/openapi/v2" {
        return Some(Ok(version_2(headers)));
    }
    let rest = path.strip_prefix("/openapi/v3")?;
    if rest.is_empty() || rest == "/" {
        return Some(Ok(index()));
    }
    let rest = rest.strip_prefix('/')?;
    let (group, version) = group_versions().find(|(group, version)| document_path(group, version) == rest)?;
    let mut response = respond::value(StatusCode::OK, &document(group, version), Format::Json);
    let etag = format!("\"{}\"", hash(&document(group, version)));
    if headers.get(header::IF_NONE_MATCH).is_some_and(|wanted| wanted.as_bytes() == etag.as_bytes()) {
        response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, immutable"));
    Some(Ok(response))
}

/// The empty document, in the encoding that kubectl asks for.
fn version_2(headers: &HeaderMap) -> Response {
    const WANTED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
    // As real servers answer: an @ is not allowed in a media type.
    const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    // Field 1, `swagger`: "2.0".
    const EMPTY: &[u8] = b"\x0a\x032.0";
    let wanted = negotiate::media_ranges(headers)
        .into_iter()
        .any(|range| [WANTED, PROTOBUF].contains(&range.media_type.as_str()));
    if !wanted {
        let info = json!({"title": "Kubernetes", "version": "v1.36.0"});
        let document = json!({"swagger": "2.0", "info": info, "paths": {}, "definitions": {}});
        return respond::value(StatusCode::OK, &document, Format::Json);
    }
    let mut response = Response::new(axum::body::Body::from(EMPTY));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
    response
}

fn document_path(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn hash(value: &Value) -> String {
    Sha512::digest(value.to_string()).iter().map(|byte| format!("{byte:02X}")).collect()
}

fn index() -> Response {
    let mut paths = Map::new();
    for (group, version) in group_versions() {
        let path = document_path(group, version);
        let url = format!("/openapi/v3/{path}?hash={}", hash(&document(group, version)));
        paths.insert(path, json!({ "serverRelativeURL": url }));
    }
    respond::value(StatusCode::OK, &json!({ "paths": paths }), Format::Json)
}

fn document(group: &str, version: &str) -> Value {
    let mut paths = Map::new();
    for resource in RESOURCES.iter().filter(|resource| resource.group == group && resource.version == version)
    {
        paths.insert(object_path(resource), operations(resource));
    }
    json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.36.0"},
        "paths": paths,
        "components": {"schemas": {}},
    })
}

fn object_path(resource: &Resource) -> String {
    let root = document_path(resource.group, resource.version);
    let namespace = if resource.namespaced { "/namespaces/{namespace}" } else { "" };
    format!("/{root}{namespace}/{}/{{name}}", resource.plural)
}

fn operations(resource: &Resource) -> Value {
    let kind = json!({"group": resource.group, "version": resource.version, "kind": resource.kind});
    let parameter =
        |name: &str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    let operation = |action: &str, parameters: &[&str]| {
        json!({
            "operationId": format!("{action}{}", resource.kind),
            "parameters": parameters.iter().map(|name| parameter(name)).collect::<Vec<_>>(),
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
        })
    };
    json!({
        "get": operation("get", &[]),
        "put": operation("put", &["dryRun", "fieldManager", "fieldValidation"]),
        "patch": operation("patch", &["dryRun", "fieldManager", "fieldValidation", "force"]),
        "delete": operation("delete", &["dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy"]),
    })
}
