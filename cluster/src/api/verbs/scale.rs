//! The `scale` subresource: replicas of a workload as an autoscaling/v1 Scale.

use axum::{body::Body, response::Response};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{body, commit, get, options::WriteOptions};
use crate::{
    api::{
        negotiate,
        patch::{json as json_patch, merge},
        request::Call,
        respond,
        router::ApiServer,
        schema::{Candidate, Ownership},
        status::{ApiError, FieldError},
    },
    store::text_at,
};

/// `get`, `update` and `patch` of the scale.
pub async fn scale(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    match call.method {
        Method::GET => {
            let object = get::find(server, call)?;
            Ok(respond::value(StatusCode::OK, &view(&object.value()), accepted.format))
        }
        Method::PUT => {
            let options = WriteOptions::parse(call, "UpdateOptions")?;
            let wanted = body::object(call, "Scale", "autoscaling/v1", body).await?.object;
            change(server, call, &options, |_| Ok(wanted.clone()), accepted.format)
        }
        Method::PATCH => {
            let options = WriteOptions::parse(call, "PatchOptions")?;
            let bytes = body::read(body).await?;
            match call.content_type().as_str() {
                "application/json-patch+json" => {
                    let operations = json_patch::parse(&bytes).map_err(|_| ApiError::unprocessable())?;
                    let patched = |scale: &Value| {
                        json_patch::apply(scale, &operations).map_err(|_| ApiError::unprocessable())
                    };
                    change(server, call, &options, patched, accepted.format)
                }
                // A Scale has no lists: a strategic merge patch of it is a merge patch.
                "application/merge-patch+json" | "application/strategic-merge-patch+json" => {
                    let patch: Value = serde_json::from_slice(&bytes)
                        .map_err(|error| ApiError::bad_request(format!("error decoding patch: {error}")))?;
                    change(
                        server,
                        call,
                        &options,
                        |scale| Ok(merge::merge(scale.clone(), &patch)),
                        accepted.format,
                    )
                }
                _ => Err(ApiError::unsupported_patch()),
            }
        }
        _ => Err(ApiError::method_not_allowed()),
    }
}

fn change(
    server: &ApiServer,
    call: &Call,
    options: &WriteOptions,
    wanted: impl Fn(&Value) -> Result<Value, ApiError>,
    format: negotiate::Format,
) -> Result<Response, ApiError> {
    let name = call.name()?;
    let written = commit::change(server, call, options, |current| {
        let scale = wanted(&view(current))?;
        if !scale["spec"].is_object() {
            // A missing number would read as 0, and stop the workload.
            let error = FieldError::required("spec", "");
            return Err(ApiError::invalid("autoscaling", "Scale", name, &[error]));
        }
        let given = text_at(&scale, "/metadata/name");
        if !given.is_empty() && given != name {
            let message =
                format!("the name of the object ({given}) does not match the name on the URL ({name})");
            return Err(ApiError::bad_request(message));
        }
        let replicas = match &scale["spec"]["replicas"] {
            Value::Null => 0,
            Value::Number(number) if number.is_i64() || number.is_u64() => {
                number.as_i64().unwrap_or(i64::MAX)
            }
            other => {
                return Err(ApiError::bad_request(format!(
                    "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal {other} into Go struct field \
                     ScaleSpec.spec.replicas of type int32"
                )));
            }
        };
        if replicas < 0 || replicas > i64::from(i32::MAX) {
            let error =
                FieldError::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
            return Err(ApiError::invalid("autoscaling", "Scale", name, &[error]));
        }
        let mut object = current.clone();
        object["spec"]["replicas"] = replicas.into();
        let version = text_at(&scale, "/metadata/resourceVersion").to_owned();
        object["metadata"]["resourceVersion"] = version.into();
        Ok(Candidate { object, pinned: true, warnings: Vec::new(), ownership: Ownership::Changed })
    })?;
    Ok(respond::value(StatusCode::OK, &view(&written.object.value()), format))
}

/// The Scale of a Deployment or ReplicaSet.
fn view(object: &Value) -> Value {
    let metadata = &object["metadata"];
    let kept = ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"];
    let metadata: serde_json::Map<String, Value> =
        kept.iter().filter_map(|field| Some(((*field).to_owned(), metadata.get(*field)?.clone()))).collect();
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": {"replicas": object["spec"]["replicas"].as_i64().unwrap_or(0)},
        "status": {
            "replicas": object["status"]["replicas"].as_i64().unwrap_or(0),
            "selector": selector_text(&object["spec"]["selector"]),
        },
    })
}

/// A label selector in its text form.
fn selector_text(selector: &Value) -> String {
    let mut terms: Vec<String> = Vec::new();
    if let Some(labels) = selector["matchLabels"].as_object() {
        terms.extend(
            labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())),
        );
    }
    for requirement in selector["matchExpressions"].as_array().into_iter().flatten() {
        let key = requirement["key"].as_str().unwrap_or_default();
        let values: Vec<&str> =
            requirement["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let values = values.join(",");
        terms.push(match requirement["operator"].as_str() {
            Some("In") => format!("{key} in ({values})"),
            Some("NotIn") => format!("{key} notin ({values})"),
            Some("DoesNotExist") => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    terms.join(",")
}
