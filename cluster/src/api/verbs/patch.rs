//! Patching an object.

use axum::{body::Body, response::Response};
use http::StatusCode;
use serde_json::Value;

use super::{body, commit, options::WriteOptions};
use crate::api::{
    negotiate,
    patch::{json, merge},
    request::Call,
    respond,
    router::ApiServer,
    schema::{
        Candidate, Ownership,
        decode::{DecodeProblem, decode},
    },
    status::{ApiError, FieldError},
    table::Include,
};

/// A patch as it was sent.
#[derive(Debug)]
enum Patch {
    Json(Vec<json::Operation>),
    Merge(Value),
}

/// `patch`, also of the status.
pub async fn patch(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    let options = WriteOptions::parse(call, "PatchOptions")?;
    let content_type = call.content_type();
    let bytes = body::read(body).await?;
    let patch = parse(&content_type, &bytes)?;
    let written = commit::change(server, call, &options, |current| {
        let patched = apply(&patch, current)?;
        decoded(call, patched, &options)
    })?;
    let response =
        respond::object(StatusCode::OK, call.target.resource, &written.object, accepted, Include::default());
    Ok(respond::warn(response, &written.warnings))
}

fn parse(content_type: &str, bytes: &[u8]) -> Result<Patch, ApiError> {
    match content_type {
        "application/json-patch+json" => {
            Ok(Patch::Json(json::parse(bytes).map_err(|_| ApiError::unprocessable())?))
        }
        "application/merge-patch+json" => {
            let value: Value = serde_json::from_slice(bytes)
                .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
            if !value.is_object() {
                let found = if value.is_array() { "array" } else { "value" };
                return Err(ApiError::bad_request(format!(
                    "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
                )));
            }
            Ok(Patch::Merge(value))
        }
        _ => Err(ApiError::unsupported_patch()),
    }
}

fn apply(patch: &Patch, current: &Value) -> Result<Value, ApiError> {
    match patch {
        Patch::Json(operations) => json::apply(current, operations).map_err(|_| ApiError::unprocessable()),
        Patch::Merge(patch) => Ok(merge::merge(current.clone(), patch)),
    }
}

/// Reads the patched object as its type. Unlike for a create, what is wrong with it is 422.
fn decoded(call: &Call, patched: Value, options: &WriteOptions) -> Result<Candidate, ApiError> {
    let resource = call.target.resource;
    match decode(resource, &patched, &[], options.field_validation) {
        Ok((object, warnings)) => {
            Ok(Candidate { object, pinned: true, warnings, ownership: Ownership::Changed })
        }
        Err(DecodeProblem::Type(why)) => Err(ApiError::bad_request(format!(
            "{kind} in version {:?} cannot be handled as a {kind}: {why}",
            resource.version,
            kind = resource.kind
        ))),
        Err(DecodeProblem::Strict(why)) => {
            let shown = Value::String(patched.to_string());
            Err(ApiError::invalid("", "", "", &[FieldError::invalid("patch", &shown, &why)]))
        }
    }
}
