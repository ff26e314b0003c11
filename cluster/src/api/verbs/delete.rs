//! Deleting: graceful for pods, in two steps where finalizers wait, at once otherwise.

use std::{sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use http::StatusCode;
use jiff::{SignedDuration, Timestamp, Unit};
use serde_json::{Value, json};

use super::{body, get, list, options};
use crate::{
    api::{
        negotiate, protobuf,
        request::Call,
        resources::{Resource, collection},
        respond,
        router::ApiServer,
        selectors::Selection,
        status::ApiError,
        table::Include,
    },
    store::{Key, StoreError, Stored, text_at},
};

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";
/// Namespaces that may not be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];
/// Seconds a pod gets to end when it says nothing.
const DEFAULT_GRACE: i64 = 30;

/// Options of a deletion, from the body and the query.
#[derive(Debug, Clone, Default)]
pub(super) struct DeleteOptions {
    grace: Option<i64>,
    policy: Option<String>,
    uid: Option<String>,
    pub(super) version: Option<String>,
    pub(super) dry_run: bool,
}

impl DeleteOptions {
    async fn parse(call: &Call, body: Body) -> Result<Self, ApiError> {
        let bytes = body::read(body).await?;
        let given: Value = if bytes.is_empty() {
            Value::Null
        } else {
            match call.content_type().as_str() {
                "" | "application/json" => serde_json::from_slice(&bytes).map_err(|error| {
                    ApiError::bad_request(format!("couldn't get version/kind; json parse error: {error}"))
                })?,
                "application/yaml" => serde_saphyr::from_str(&String::from_utf8_lossy(&bytes))
                    .map_err(|error| ApiError::bad_request(error.to_string()))?,
                "application/vnd.kubernetes.protobuf" => protobuf::decode(&bytes, "DeleteOptions")?,
                _ => return Err(ApiError::unsupported_body()),
            }
        };
        Self::of(call, &given)
    }

    /// Reads options that are given as JSON, and those in the query.
    pub(super) fn of(call: &Call, given: &Value) -> Result<Self, ApiError> {
        let text = |pointer: &str| given.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        let in_body: Vec<&str> = given["dryRun"]
            .as_array()
            .map(|list| list.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let dry_run = options::dry_run(&call.query, "DeleteOptions")?
            | options::check_dry_run(&in_body, "DeleteOptions")?;
        let orphan =
            given["orphanDependents"].as_bool().map(|orphan| if orphan { "Orphan" } else { "Background" });
        let policy = text("/propagationPolicy")
            .or_else(|| call.query.get("propagationPolicy").map(str::to_owned))
            .or_else(|| orphan.map(str::to_owned));
        if let Some(policy) = &policy
            && !["Foreground", "Background", "Orphan"].contains(&policy.as_str())
        {
            let supported = ["Background", "Foreground", "Orphan"];
            let errors = [crate::api::status::FieldError::unsupported(
                "propagationPolicy",
                &json!(policy),
                &supported,
            )];
            return Err(ApiError::invalid("meta.k8s.io", "DeleteOptions", "", &errors));
        }
        let grace = match given["gracePeriodSeconds"].as_i64() {
            Some(grace) => Some(grace),
            None => call.query.number("gracePeriodSeconds")?.map(|grace| grace as i64),
        };
        Ok(Self {
            grace,
            policy,
            uid: text("/preconditions/uid"),
            version: text("/preconditions/resourceVersion"),
            dry_run,
        })
    }
}

/// What became of an object.
pub(super) enum Outcome {
    /// It is gone; its last state.
    Gone(Arc<Stored>),
    /// It waits for its grace period or finalizers.
    Waiting(Arc<Stored>),
}

/// `delete`.
pub async fn delete(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let resource = call.target.resource;
    let accepted = negotiate::accepted(&call.headers)?;
    let options = DeleteOptions::parse(call, body).await?;
    let found = get::find(server, call)?;
    Ok(match delete_one(server, resource, &found.key, &options)? {
        // Pods and namespaces answer with the object, all else with a Status.
        Outcome::Gone(object) if resource.collection != collection::PODS => {
            let mut details = json!({"name": object.key.name, "kind": resource.plural, "uid": object.uid});
            if !resource.group.is_empty() {
                details["group"] = resource.group.into();
            }
            let status = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details});
            respond::value(StatusCode::OK, &status, accepted.format)
        }
        Outcome::Gone(object) | Outcome::Waiting(object) => {
            respond::object(StatusCode::OK, resource, &object, accepted, Include::default())
        }
    })
}

/// `deletecollection`: everything that the selectors choose.
pub async fn delete_collection(server: &ApiServer, call: &Call, body: Body) -> Result<Response, ApiError> {
    let resource = call.target.resource;
    let accepted = negotiate::accepted(&call.headers)?;
    let selection =
        Selection::parse(resource, call.query.get("labelSelector"), call.query.get("fieldSelector"))?;
    let options = DeleteOptions::parse(call, body).await?;
    let (revision, objects) = server.store().list(resource.collection, call.target.namespace.as_deref());
    let mut deleted = Vec::new();
    for object in objects.iter().filter(|object| selection.matches(object)) {
        match delete_one(server, resource, &object.key, &options) {
            Ok(Outcome::Gone(object) | Outcome::Waiting(object)) => deleted.push(object),
            // Somebody else was faster.
            Err(error) if error.code() == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    let json = list::list_json(resource, &json!({ "resourceVersion": revision.to_string() }), &deleted);
    Ok(respond::bytes(StatusCode::OK, json, accepted.format))
}

pub(super) fn delete_one(
    server: &ApiServer,
    resource: &Resource,
    key: &Key,
    options: &DeleteOptions,
) -> Result<Outcome, ApiError> {
    if resource.collection == collection::NAMESPACES && IMMORTAL.contains(&key.name.as_str()) {
        return Err(ApiError::forbidden(resource, &key.name, "this namespace may not be deleted"));
    }
    let store = server.store();
    loop {
        let Some(current) = store.get(resource.collection, key) else {
            return Err(ApiError::not_found(resource, &key.name));
        };
        check_preconditions(resource, &current, options)?;
        let old = current.value();
        let mut wanted = old.clone();
        let grace = grace(resource, &old, options);
        let was_waiting = !old["metadata"]["deletionTimestamp"].is_null();
        set_finalizers(&mut wanted, options.policy.as_deref());
        let held = grace > 0
            || wanted["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
            || wanted["spec"]["finalizers"]
                .as_array()
                .is_some_and(|list| !list.is_empty() && resource.kind == "Namespace");
        let done = if held {
            mark(resource, &mut wanted, grace, was_waiting);
            if wanted == old {
                return Ok(Outcome::Waiting(current));
            }
            if options.dry_run {
                return Ok(Outcome::Waiting(store.preview(resource.collection, wanted)));
            }
            store.update(resource.collection, key, current.revision, wanted).map(Outcome::Waiting)
        } else {
            if resource.collection == collection::PODS {
                mark(resource, &mut wanted, 0, was_waiting);
            }
            if options.dry_run {
                return Ok(Outcome::Gone(store.preview(resource.collection, wanted)));
            }
            store.delete(resource.collection, key, current.revision, wanted).map(Outcome::Gone)
        };
        match done {
            Ok(outcome) => return Ok(outcome),
            Err(StoreError::Conflict) => {}
            Err(_) => return Err(ApiError::not_found(resource, &key.name)),
        }
    }
}

pub(super) fn check_preconditions(
    resource: &Resource,
    current: &Stored,
    options: &DeleteOptions,
) -> Result<(), ApiError> {
    if let Some(uid) = &options.uid
        && *uid != current.uid
    {
        let why = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            current.uid
        );
        return Err(ApiError::precondition(resource, &current.key.name, &why));
    }
    if let Some(version) = &options.version
        && *version != current.revision.to_string()
    {
        let why = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({}). The object might have been modified",
            current.revision
        );
        return Err(ApiError::precondition(resource, &current.key.name, &why));
    }
    Ok(())
}

/// Seconds until the object may go. Only pods have a grace period, and only those that a kubelet may be running: it removes
/// them with a second deletion of grace 0.
fn grace(resource: &Resource, object: &Value, options: &DeleteOptions) -> i64 {
    if resource.collection != collection::PODS {
        return 0;
    }
    if text_at(object, "/spec/nodeName").is_empty()
        || matches!(text_at(object, "/status/phase"), "Succeeded" | "Failed")
    {
        return 0;
    }
    let own = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(DEFAULT_GRACE);
    let wanted = options.grace.unwrap_or(own);
    let wanted = if wanted < 0 { 1 } else { wanted };
    // A deletion that is under way can only be shortened.
    match object["metadata"]["deletionGracePeriodSeconds"].as_i64() {
        Some(running) if !object["metadata"]["deletionTimestamp"].is_null() => wanted.min(running),
        _ => wanted,
    }
}

fn set_finalizers(object: &mut Value, policy: Option<&str>) {
    let mut finalizers: Vec<Value> = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    match policy {
        Some("Foreground") => {
            finalizers.retain(|finalizer| finalizer != ORPHAN);
            if !finalizers.iter().any(|finalizer| finalizer == FOREGROUND) {
                finalizers.push(FOREGROUND.into());
            }
        }
        Some("Orphan") => {
            finalizers.retain(|finalizer| finalizer != FOREGROUND);
            if !finalizers.iter().any(|finalizer| finalizer == ORPHAN) {
                finalizers.push(ORPHAN.into());
            }
        }
        Some(_) => finalizers.retain(|finalizer| finalizer != FOREGROUND && finalizer != ORPHAN),
        None => return,
    }
    if finalizers.is_empty() {
        object["metadata"].as_object_mut().map(|fields| fields.remove("finalizers"));
    } else {
        object["metadata"]["finalizers"] = finalizers.into();
    }
}

/// Marks an object as being deleted.
fn mark(resource: &Resource, object: &mut Value, grace: i64, was_waiting: bool) {
    let running = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if was_waiting && running == Some(grace) {
        return;
    }
    let now = Timestamp::now();
    let end = now
        .checked_add(SignedDuration::try_from(Duration::from_secs(grace.max(0) as u64)).unwrap_or_default());
    let end = end.unwrap_or(now);
    object["metadata"]["deletionTimestamp"] = end.round(Unit::Second).unwrap_or(end).to_string().into();
    object["metadata"]["deletionGracePeriodSeconds"] = grace.into();
    if !was_waiting {
        if let Some(generation) = object["metadata"]["generation"].as_i64() {
            object["metadata"]["generation"] = (generation + 1).into();
        }
        if resource.collection == collection::NAMESPACES {
            object["status"]["phase"] = "Terminating".into();
            object["metadata"].as_object_mut().map(|fields| fields.remove("deletionGracePeriodSeconds"));
        }
    }
}
