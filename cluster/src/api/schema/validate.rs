//! Validation, as far as the real server's rules concern what is implemented here.

mod autoscaler;
mod disruption;
mod meta;
mod pod;
mod service;
mod workload;

use serde_json::{Value, json};

use super::names;
use crate::{
    api::{
        resources::{Resource, collection},
        status::FieldError,
    },
    store::text_at,
};

/// Largest sum of the data of a ConfigMap or Secret, in bytes.
const MAX_DATA: usize = 1024 * 1024;

/// Checks an object in its stored form. `old` is there for updates.
pub fn validate(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    meta::validate(resource, object, &mut errors);
    match resource.collection {
        collection::PODS => pod::pod(object, old, &mut errors),
        collection::DEPLOYMENTS => workload::deployment(object, old, &mut errors),
        collection::REPLICA_SETS => workload::replica_set(object, old, &mut errors),
        collection::SERVICES => service::service(object, old, &mut errors),
        collection::CONFIG_MAPS => config_map(object, old, &mut errors),
        collection::SECRETS => secret(object, old, &mut errors),
        collection::CLAIMS => claim(object, old, &mut errors),
        collection::VOLUMES => volume(object, &mut errors),
        collection::ENDPOINT_SLICES => endpoint_slice(object, old, &mut errors),
        collection::LEASES => lease(object, &mut errors),
        collection::EVENTS => event(object, &mut errors),
        collection::AUTOSCALERS => autoscaler::autoscaler(&object["spec"], &mut errors),
        collection::DISRUPTION_BUDGETS => disruption::budget(&object["spec"], &mut errors),
        _ => {}
    }
    errors
}

fn data_keys(object: &Value, field: &str, errors: &mut Vec<FieldError>) -> usize {
    let mut size = 0;
    for (key, value) in object[field].as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Some(problem) = names::config_key_problem(key) {
            errors.push(FieldError::invalid(format!("{field}[{key}]"), &json!(key), &problem));
        }
    }
    size
}

fn immutable(object: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Vec<FieldError>) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else { return };
    if object["immutable"] != true {
        errors.push(FieldError::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in fields.iter().filter(|field| old[**field] != object[**field]) {
        errors.push(FieldError::forbidden(*field, "field is immutable when `immutable` is set"));
    }
}

fn config_map(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let size = data_keys(object, "data", errors) + data_keys(object, "binaryData", errors);
    if size > MAX_DATA {
        errors.push(FieldError::too_long("", MAX_DATA));
    }
    immutable(object, old, &["data", "binaryData"], errors);
}

fn secret(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    // Base64 makes four bytes of three.
    let size = data_keys(object, "data", errors) / 4 * 3;
    if size > MAX_DATA {
        errors.push(FieldError::too_long("data", MAX_DATA));
    }
    if let Some(old) = old
        && old["type"] != object["type"]
    {
        errors.push(FieldError::invalid("type", &object["type"], "field is immutable"));
    }
    immutable(object, old, &["data"], errors);
}

fn claim(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
    let modes = object["spec"]["accessModes"].as_array();
    if modes.is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("spec.accessModes", "at least 1 access mode is required"));
    }
    for (index, mode) in modes.into_iter().flatten().enumerate() {
        if !MODES.iter().any(|known| mode == known) {
            errors.push(FieldError::unsupported(format!("spec.accessModes[{index}]"), mode, &MODES));
        }
    }
    if object.pointer("/spec/resources/requests/storage").is_none() {
        errors.push(FieldError::required("spec.resources[storage]", ""));
    }
    if let Some(old) = old {
        let fixed = |value: &Value| {
            let mut spec = value["spec"].clone();
            if let Some(fields) = spec.as_object_mut() {
                fields.remove("resources");
                fields.remove("volumeAttributesClassName");
                // The binder fills these in.
                if text_at(old, "/spec/volumeName").is_empty() {
                    fields.remove("volumeName");
                }
                if old["spec"]["storageClassName"].is_null() {
                    fields.remove("storageClassName");
                }
            }
            spec
        };
        if fixed(old) != fixed(object) {
            let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
            errors.push(FieldError::forbidden("spec", why));
        }
    }
}

fn volume(object: &Value, errors: &mut Vec<FieldError>) {
    if object["spec"]["accessModes"].as_array().is_none_or(Vec::is_empty) {
        errors.push(FieldError::required("spec.accessModes", ""));
    }
    if object.pointer("/spec/capacity/storage").is_none() {
        errors.push(FieldError::required("spec.capacity", ""));
    }
    let sources = ["hostPath", "local", "nfs", "csi", "iscsi", "fc"];
    if !sources.iter().any(|source| object["spec"].get(*source).is_some()) {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
}

fn endpoint_slice(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 3] = ["FQDN", "IPv4", "IPv6"];
    let kind = &object["addressType"];
    if kind.as_str().unwrap_or_default().is_empty() {
        errors.push(FieldError::required("addressType", ""));
    } else if !TYPES.iter().any(|known| kind == known) {
        errors.push(FieldError::unsupported("addressType", kind, &TYPES));
    }
    if let Some(old) = old
        && old["addressType"] != *kind
    {
        errors.push(FieldError::invalid("addressType", kind, "field is immutable"));
    }
}

fn lease(object: &Value, errors: &mut Vec<FieldError>) {
    if let Some(seconds) = object["spec"]["leaseDurationSeconds"].as_i64()
        && seconds <= 0
    {
        errors.push(FieldError::invalid(
            "spec.leaseDurationSeconds",
            &json!(seconds),
            "must be greater than 0",
        ));
    }
}

fn event(object: &Value, errors: &mut Vec<FieldError>) {
    // Cluster-scoped objects have their events in the namespace default.
    let involved = text_at(object, "/involvedObject/namespace");
    let namespace = text_at(object, "/metadata/namespace");
    let expected = if involved.is_empty() { "default" } else { involved };
    if namespace != expected && !(involved.is_empty() && namespace == "kube-system") {
        errors.push(FieldError::invalid(
            "involvedObject.namespace",
            &json!(involved),
            "does not match event.namespace",
        ));
    }
}
