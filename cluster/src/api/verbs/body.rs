//! Reading request bodies.

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use serde_json::Value;

use crate::api::{protobuf, request::Call, resources::Resource, schema::json::parse_json, status::ApiError};

/// An object from a request body.
pub struct Read {
    /// The object, with `kind` and `apiVersion`.
    pub object: Value,
    /// Paths of fields that the body has twice.
    pub duplicates: Vec<String>,
}

/// Largest body of a write, as on real servers.
const LIMIT: usize = 3 * 1024 * 1024;

/// Reads the whole body; 413 above the limit.
pub async fn read(body: Body) -> Result<Bytes, ApiError> {
    to_bytes(body, LIMIT).await.map_err(|_| ApiError::too_large(LIMIT))
}

/// Reads an object of a resource. No content type means JSON; a missing `kind` and `apiVersion` follow from the URL.
pub async fn object(call: &Call, kind: &str, api_version: &str, body: Body) -> Result<Read, ApiError> {
    let bytes = read(body).await?;
    let mut read = match call.content_type().as_str() {
        "" | "application/json" => json(&bytes, kind)?,
        "application/yaml" => Read { object: yaml(&bytes, kind)?, duplicates: Vec::new() },
        "application/vnd.kubernetes.protobuf" => {
            Read { object: protobuf::decode(&bytes, kind)?, duplicates: Vec::new() }
        }
        _ => return Err(ApiError::unsupported_body()),
    };
    check_type(&mut read.object, kind, api_version)?;
    Ok(read)
}

/// Reads an object of the call's own resource.
pub async fn own(call: &Call, body: Body) -> Result<Read, ApiError> {
    let resource: &Resource = call.target.resource;
    object(call, resource.kind, &resource.api_version(), body).await
}

fn json(bytes: &[u8], kind: &str) -> Result<Read, ApiError> {
    let parsed = parse_json(bytes).map(|(object, duplicates)| Read { object, duplicates });
    parsed.map_err(|error| {
        let text = String::from_utf8_lossy(bytes);
        let (why, shown) = if bytes.is_empty() {
            ("unexpected end of JSON input".to_owned(), "<empty>".into())
        } else {
            (error.to_string(), text)
        };
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; json parse error: {why} ({shown})"
        ))
    })
}

fn yaml(bytes: &[u8], kind: &str) -> Result<Value, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        ApiError::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): yaml parse error: {error}"
        ))
    })
}

fn check_type(object: &mut Value, kind: &str, api_version: &str) -> Result<(), ApiError> {
    let version = api_version.rsplit('/').next().unwrap_or(api_version).to_owned();
    let Some(fields) = object.as_object_mut() else {
        return Err(ApiError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {kind}: the body is not a JSON object"
        )));
    };
    let given_kind = fields.get("kind").and_then(Value::as_str).unwrap_or(kind).to_owned();
    let given_version = fields.get("apiVersion").and_then(Value::as_str).unwrap_or(api_version).to_owned();
    if given_version != api_version {
        return Err(ApiError::bad_request(format!(
            "{given_kind} in version {version:?} cannot be handled as a {kind}: no kind {given_kind:?} is registered for version \
             {given_version:?} in scheme"
        )));
    }
    if given_kind != kind {
        return Err(ApiError::bad_request(format!(
            "{given_kind} in version {version:?} cannot be handled as a {kind}: converting ({version}.{given_kind}) to ({kind}): unknown conversion"
        )));
    }
    fields.insert("kind".to_owned(), kind.into());
    fields.insert("apiVersion".to_owned(), api_version.into());
    Ok(())
}
