//! Patching an object.

use std::sync::Arc;

use axum::{body::Body, response::Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{body, commit, create, options::WriteOptions};
use crate::{
    api::{
        managed_fields::{self, Writer},
        negotiate,
        patch::{json as json_patch, merge, strategic},
        request::Call,
        respond,
        router::ApiServer,
        schema::{
            Candidate, Ownership,
            decode::{DecodeProblem, decode, restrict},
        },
        status::{ApiError, FieldError},
        table::Include,
    },
    store::{Key, Stored, text_at},
};

/// A patch as it was sent.
#[derive(Debug)]
enum Patch {
    Json(Vec<json_patch::Operation>),
    Merge(Value),
    Strategic(Value),
    Apply(Value),
}

/// `patch`, also of the status.
pub async fn patch(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    let options = WriteOptions::parse(call, "PatchOptions")?;
    let content_type = call.content_type();
    let bytes = body::read(body).await?;
    let patch = parse(&content_type, &bytes)?;
    if call.query.flag("force") && !matches!(patch, Patch::Apply(_)) {
        let error = FieldError::forbidden("force", "may not be specified for non-apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
    }
    let (code, written) = match patch {
        Patch::Apply(config) => apply(server, call, config, &options)?,
        patch => {
            let written = commit::change(server, call, &options, |current| {
                decoded(call, run(&patch, current)?, &options)
            })?;
            (StatusCode::OK, written)
        }
    };
    let response = respond::object(code, call.target.resource, &written.object, accepted, Include::default());
    Ok(respond::warn(response, &written.warnings))
}

fn parse(content_type: &str, bytes: &[u8]) -> Result<Patch, ApiError> {
    match content_type {
        "application/json-patch+json" => {
            Ok(Patch::Json(json_patch::parse(bytes).map_err(|_| ApiError::unprocessable())?))
        }
        "application/merge-patch+json" => Ok(Patch::Merge(object(bytes)?)),
        "application/strategic-merge-patch+json" => Ok(Patch::Strategic(object(bytes)?)),
        "application/apply-patch+yaml" => {
            let text =
                std::str::from_utf8(bytes).map_err(|error| ApiError::bad_request(error.to_string()))?;
            let options = serde_saphyr::options! { legacy_octal_numbers: true };
            let config: Value = serde_json::from_slice(bytes)
                .or_else(|_| serde_saphyr::from_str_with_options(text, options))
                .map_err(|error| ApiError::bad_request(format!("error decoding YAML: {error}")))?;
            Ok(Patch::Apply(config))
        }
        _ => Err(ApiError::unsupported_patch()),
    }
}

fn object(bytes: &[u8]) -> Result<Value, ApiError> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
    if value.is_object() {
        return Ok(value);
    }
    let found = match value {
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "number",
    };
    Err(ApiError::bad_request(format!(
        "error decoding patch: json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
    )))
}

fn run(patch: &Patch, current: &Value) -> Result<Value, ApiError> {
    match patch {
        Patch::Json(operations) => {
            json_patch::apply(current, operations).map_err(|_| ApiError::unprocessable())
        }
        Patch::Strategic(patch) => {
            strategic::apply(current, patch).map_err(|error| ApiError::bad_request(error.to_string()))
        }
        Patch::Merge(patch) | Patch::Apply(patch) => Ok(merge::merge(current.clone(), patch)),
    }
}

/// Reads the patched object as its type. Unlike for a create, unknown fields are 422.
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

/// Server-side apply: creates the object, or merges the configuration into it.
fn apply(
    server: &ApiServer,
    call: &Call,
    mut config: Value,
    options: &WriteOptions,
) -> Result<(StatusCode, commit::Written), ApiError> {
    let resource = call.target.resource;
    let name = call.name()?;
    if call.query.get("fieldManager").is_none() {
        let error = FieldError::required("fieldManager", "is required for apply patch");
        return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", &[error]));
    }
    check_identity(call, &mut config)?;
    let (known, mut warnings) =
        decode(resource, &config, &[], options.field_validation).map_err(|problem| {
            let (DecodeProblem::Type(why) | DecodeProblem::Strict(why)) = problem;
            ApiError::bad_request(format!("failed to create typed patch object ({}): {why}", resource.kind))
        })?;
    let config = restrict(&config, &known);
    let writer = Writer {
        manager: options.manager.clone(),
        operation: "Apply",
        api_version: resource.api_version(),
        subresource: call.target.subresource.clone().unwrap_or_default(),
    };
    let force = call.query.flag("force");
    let version = text_at(&config, "/metadata/resourceVersion").to_owned();
    // Decodes the merged object again: defaults of types, and a stable form to compare with.
    let merged = |live: &Value| {
        let mut merged = managed_fields::applied(live, &config, &writer, force)?;
        if version.is_empty() {
            merged["metadata"].as_object_mut().map(|fields| fields.remove("resourceVersion"));
        }
        let mut candidate = decoded(call, merged, options)?;
        candidate.ownership = Ownership::Settled;
        Ok::<_, ApiError>(candidate)
    };
    let key = Key::new(call.namespace(), name);
    let exists: Option<Arc<Stored>> = server.store().get(resource.collection, &key);
    if exists.is_none() && call.target.subresource.is_none() {
        if !version.is_empty() || !text_at(&config, "/metadata/uid").is_empty() {
            return Err(ApiError::not_found(resource, name));
        }
        let empty =
            json!({"kind": resource.kind, "apiVersion": resource.api_version(), "metadata": {"name": name}});
        let candidate = merged(&empty)?;
        match create::insert(server, resource, call.namespace(), candidate, options) {
            // Somebody else created it in between: merge into that.
            Err(error) if error.code() == StatusCode::CONFLICT => {}
            result => {
                let mut written = result?;
                warnings.append(&mut written.warnings);
                return Ok((StatusCode::CREATED, commit::Written { object: written.object, warnings }));
            }
        }
    }
    let mut written = commit::change(server, call, options, merged)?;
    warnings.append(&mut written.warnings);
    Ok((StatusCode::OK, commit::Written { object: written.object, warnings }))
}

fn check_identity(call: &Call, config: &mut Value) -> Result<(), ApiError> {
    let resource = call.target.resource;
    let name = call.name()?;
    if !config.is_object() {
        return Err(ApiError::bad_request("the configuration is not an object"));
    }
    for (field, expected) in [("kind", resource.kind.to_owned()), ("apiVersion", resource.api_version())] {
        let given = config[field].as_str().unwrap_or_default();
        if given.is_empty() {
            return Err(ApiError::bad_request(format!(
                "error unmarshaling JSON: {field} must be set in an apply patch"
            )));
        }
        if given != expected {
            return Err(ApiError::bad_request(format!(
                "the {field} of the configuration ({given}) is not {expected}"
            )));
        }
    }
    if !config["metadata"]["managedFields"].is_null() {
        let error = FieldError::invalid(
            "metadata.managedFields",
            &config["metadata"]["managedFields"],
            "must be nil",
        );
        return Err(ApiError::bad_request(format!("{}: {}", error.field, "must be nil")));
    }
    let given = text_at(config, "/metadata/name");
    if !given.is_empty() && given != name {
        let message = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(message));
    }
    create::check_namespace(call, config)?;
    if !config["metadata"].is_object() {
        config["metadata"] = json!({});
    }
    if let Some(fields) = config["metadata"].as_object_mut() {
        fields.remove("managedFields");
    }
    config["metadata"]["name"] = name.into();
    Ok(())
}
