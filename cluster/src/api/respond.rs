//! Building answers from stored objects.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::{
    negotiate::{Accepted, Format, Shape},
    resources::Resource,
    status::ApiError,
    table, views,
};
use crate::store::Stored;

/// The object as JSON with `kind` and `apiVersion`, in the given version of its API.
pub fn object_json(resource: &Resource, object: &Stored) -> Bytes {
    if views::applies(resource) {
        return Bytes::from(views::from_stored(resource, object.value(), true).to_string());
    }
    with_type(&resource.api_version(), resource.kind, &object.json)
}

fn with_type(api_version: &str, kind: &str, json: &[u8]) -> Bytes {
    let prefix = format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\"");
    let mut out = BytesMut::with_capacity(prefix.len() + json.len() + 1);
    out.put_slice(prefix.as_bytes());
    if json.len() > 2 {
        out.put_u8(b',');
    }
    out.put_slice(json.get(1..).unwrap_or(b"}"));
    out.freeze()
}

/// Puts `kind` and `apiVersion` on a stored form, and brings it into the version of its API.
pub fn typed(resource: &Resource, value: Value) -> Value {
    views::from_stored(resource, value, true)
}

/// Only the metadata of an object.
pub fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// Answers with one object.
pub fn object(
    code: StatusCode,
    resource: &Resource,
    object: &Stored,
    accepted: Accepted,
    include: table::Include,
) -> Response {
    match accepted.shape {
        Shape::Object => bytes(code, object_json(resource, object), accepted.format),
        Shape::Metadata => value(code, &metadata_only(&object.value()), accepted.format),
        Shape::Table => {
            let metadata = json!({ "resourceVersion": object.revision.to_string() });
            let table = table::table(resource, &[object.value()], metadata, include, true);
            value(code, &table, accepted.format)
        }
    }
}

/// Answers with an object that is not stored (dry runs, subresource views).
pub fn value(code: StatusCode, value: &Value, format: Format) -> Response {
    bytes(code, Bytes::from(value.to_string()), format)
}

/// Answers with JSON bytes in the wanted format.
pub fn bytes(code: StatusCode, json: Bytes, format: Format) -> Response {
    let (content_type, body) = match format {
        Format::Json => ("application/json", json),
        Format::Yaml => match to_yaml(&json) {
            Ok(yaml) => ("application/yaml", Bytes::from(yaml)),
            Err(error) => return error.into_response(),
        },
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

fn to_yaml(json: &[u8]) -> Result<String, ApiError> {
    let value: Value = serde_json::from_slice(json).map_err(|error| ApiError::internal(error.to_string()))?;
    serde_saphyr::to_string(&value).map_err(|error| ApiError::internal(error.to_string()))
}

/// Adds `Warning: 299` headers.
pub fn warn(mut response: Response, warnings: &[String]) -> Response {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(HeaderName::from_static("warning"), value);
        }
    }
    response
}
