//! The common end of all writes of one object: what changed, who changed it, is it allowed, store it.

use std::sync::Arc;

use jiff::{Timestamp, Unit};
use serde_json::Value;

use crate::{
    api::{
        request::Call,
        resources::{Resource, Subresource},
        router::ApiServer,
        schema::{Candidate, admit},
        status::ApiError,
        verbs::options::WriteOptions,
        views,
    },
    store::{Key, StoreError, Stored},
};

/// The result of a write.
pub struct Written {
    /// The object as it is now (or would be, in a dry run).
    pub object: Arc<Stored>,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
}

/// Times a write is tried again when another one came in between and the client named no version.
const RETRIES: usize = 64;

/// Now, in whole seconds, as `metadata` writes times.
pub fn now() -> String {
    let now = Timestamp::now();
    now.round(Unit::Second).unwrap_or(now).to_string()
}

/// Drops `kind` and `apiVersion`, and brings other views of an object into its stored form.
pub fn to_stored_form(resource: &Resource, mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("kind");
        fields.remove("apiVersion");
    }
    views::to_stored(resource, object)
}

/// Changes an object. `change` gets the current object (with kind and version, in the version of the call) and returns the
/// wanted one; it runs again if another write came in between. A `resourceVersion` in the wanted object must be the current.
pub fn change(
    server: &ApiServer,
    call: &Call,
    options: &WriteOptions,
    change: impl FnMut(&Value) -> Result<Candidate, ApiError>,
) -> Result<Written, ApiError> {
    commit(server, call, options, change, true)
}

/// As [`change`], for the subresources that may change spec and status at once.
pub fn change_whole(
    server: &ApiServer,
    call: &Call,
    options: &WriteOptions,
    change: impl FnMut(&Value) -> Result<Candidate, ApiError>,
) -> Result<Written, ApiError> {
    commit(server, call, options, change, false)
}

fn commit(
    server: &ApiServer,
    call: &Call,
    options: &WriteOptions,
    mut change: impl FnMut(&Value) -> Result<Candidate, ApiError>,
    separate_status: bool,
) -> Result<Written, ApiError> {
    let resource = call.target.resource;
    let key = Key::new(call.namespace(), call.name()?);
    for _ in 0..RETRIES {
        let Some(current) = server.store().get(resource.collection, &key) else {
            return Err(ApiError::not_found(resource, &key.name));
        };
        let old = current.value();
        let candidate = change(&crate::api::respond::typed(resource, old.clone()))?;
        let mut wanted = to_stored_form(resource, candidate.object);
        let version = crate::store::text_at(&wanted, "/metadata/resourceVersion").to_owned();
        let pinned = !version.is_empty() && candidate.pinned;
        if pinned && version != current.revision.to_string() {
            return Err(ApiError::modified(resource, &key.name));
        }
        let subresource = call.target.subresource.as_deref().and_then(|name| resource.subresource(name));
        merge_immutable(resource, subresource, &old, &mut wanted, separate_status)?;
        let mut warnings = candidate.warnings;
        warnings.extend(admit::admit_update(
            server,
            resource,
            subresource,
            &old,
            &mut wanted,
            options,
            candidate.ownership,
        )?);
        if wanted == old {
            return Ok(Written { object: current, warnings });
        }
        let done = if options.dry_run {
            Ok(server.store().preview(resource.collection, wanted))
        } else if removed_by_update(&wanted) {
            server.store().delete(resource.collection, &key, current.revision, wanted)
        } else {
            server.store().update(resource.collection, &key, current.revision, wanted)
        };
        match done {
            Ok(object) => return Ok(Written { object, warnings }),
            // Again on the newer object. A version that the client named does not match that one and ends it above.
            Err(StoreError::Conflict) => {}
            Err(_) => return Err(ApiError::not_found(resource, &key.name)),
        }
    }
    Err(ApiError::modified(resource, &key.name))
}

/// An object that waits for its deletion is gone when the last finalizer is.
fn removed_by_update(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let spec_finalizers = object["spec"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    !metadata["deletionTimestamp"].is_null()
        && metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) == 0
        && metadata["finalizers"].as_array().is_none_or(Vec::is_empty)
        && !spec_finalizers
}

/// Restores what an update cannot change: server-set metadata, the status outside of `/status`, the rest within it.
fn merge_immutable(
    resource: &Resource,
    subresource: Option<Subresource>,
    old: &Value,
    wanted: &mut Value,
    separate_status: bool,
) -> Result<(), ApiError> {
    const KEPT: [&str; 7] = [
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "generation",
        "selfLink",
        "resourceVersion",
    ];
    let name = crate::store::text_at(old, "/metadata/name").to_owned();
    if !wanted["metadata"].is_object() {
        wanted["metadata"] = Value::Object(serde_json::Map::new());
    }
    let given_uid = crate::store::text_at(wanted, "/metadata/uid").to_owned();
    let uid = crate::store::text_at(old, "/metadata/uid");
    if !given_uid.is_empty() && given_uid != uid {
        let why = format!("Precondition failed: UID in precondition: {given_uid}, UID in object meta: {uid}");
        return Err(ApiError::precondition(resource, &name, &why));
    }
    for field in KEPT.into_iter().chain(["uid", "name", "namespace"]) {
        copy_field(&old["metadata"], &mut wanted["metadata"], field);
    }
    match subresource {
        Some(Subresource::Status) => {
            let status = wanted.get("status").cloned();
            let managed = wanted["metadata"].get("managedFields").cloned();
            let mut kept = old.clone();
            set_or_remove(&mut kept, "status", status);
            // Metadata in a status write: labels and annotations of nodes and pods may be changed with it on real servers.
            set_or_remove(&mut kept["metadata"], "managedFields", managed);
            for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
                copy_field(&wanted["metadata"], &mut kept["metadata"], field);
            }
            *wanted = kept;
        }
        Some(Subresource::Finalize) => {
            let finalizers = wanted["spec"].get("finalizers").cloned();
            *wanted = old.clone();
            set_or_remove(&mut wanted["spec"], "finalizers", finalizers);
        }
        _ if separate_status && resource.subresource("status").is_some() => {
            let status = old.get("status").cloned();
            set_or_remove(wanted, "status", status);
        }
        _ => {}
    }
    Ok(())
}

fn copy_field(from: &Value, to: &mut Value, field: &str) {
    set_or_remove(to, field, from.get(field).cloned());
}

fn set_or_remove(object: &mut Value, field: &str, value: Option<Value>) {
    match (value, object.as_object_mut()) {
        (Some(value), Some(fields)) => {
            fields.insert(field.to_owned(), value);
        }
        (None, Some(fields)) => {
            fields.remove(field);
        }
        (Some(value), None) => *object = serde_json::json!({ field: value }),
        (None, None) => {}
    }
}
