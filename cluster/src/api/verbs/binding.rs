//! The `binding` subresource: the scheduler's decision.

use axum::{body::Body, response::Response};
use http::StatusCode;
use serde_json::{Value, json};

use super::{body, commit, options::WriteOptions};
use crate::{
    api::{
        negotiate,
        request::Call,
        respond,
        router::ApiServer,
        schema::{Candidate, Ownership},
        status::ApiError,
    },
    store::text_at,
};

/// Assigns a pod to a node and sets its condition `PodScheduled`.
pub async fn bind(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let accepted = negotiate::accepted(&call.headers)?;
    let options = WriteOptions::parse(call, "CreateOptions")?;
    let binding = body::object(call, "Binding", "v1", body).await?.object;
    let node = text_at(&binding, "/target/name").to_owned();
    let resource = call.target.resource;
    let name = call.name()?;
    if node.is_empty() {
        let error = crate::api::status::FieldError::required("target.name", "");
        return Err(ApiError::invalid("", "Binding", name, &[error]));
    }
    // The binding changes spec and status at once, which no other call can: it goes around the status rules of an update.
    commit::change_whole(server, call, &options, |current| {
        let assigned = text_at(current, "/spec/nodeName");
        if !assigned.is_empty() {
            let why = format!("pod {name} is already assigned to node {assigned:?}");
            return Err(ApiError::precondition(resource, name, &why));
        }
        if !current["metadata"]["deletionTimestamp"].is_null() {
            let why = format!("pod {name} is being deleted, cannot be assigned to a host");
            return Err(ApiError::precondition(resource, name, &why));
        }
        let mut object = current.clone();
        object["spec"]["nodeName"] = node.as_str().into();
        let condition = json!({
            "type": "PodScheduled", "status": "True", "lastProbeTime": null, "lastTransitionTime": commit::now(),
        });
        let mut conditions: Vec<Value> =
            object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.retain(|condition| condition["type"] != "PodScheduled");
        conditions.push(condition);
        object["status"]["conditions"] = conditions.into();
        Ok(Candidate { object, pinned: false, warnings: Vec::new(), ownership: Ownership::Changed })
    })?;
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(respond::value(StatusCode::CREATED, &status, accepted.format))
}
