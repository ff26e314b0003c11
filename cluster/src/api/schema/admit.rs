//! What happens to an object on its way into the store.

use serde_json::{Value, json};

use crate::{
    api::{
        resources::{Resource, Subresource, collection},
        router::ApiServer,
        schema::Ownership,
        status::ApiError,
        verbs::{WriteOptions, now},
    },
    store::text_at,
};

/// Completes and checks an object (in its stored form) that is about to be created. Returns warnings.
pub fn admit_create(
    server: &ApiServer,
    resource: &Resource,
    object: &mut Value,
    _options: &WriteOptions,
    _ownership: Ownership,
) -> Result<Vec<String>, ApiError> {
    complete_metadata(resource, object);
    if resource.collection == collection::NAMESPACES {
        object["spec"]["finalizers"] = json!(["kubernetes"]);
        object["status"] = json!({"phase": "Active"});
    }
    allocate_cluster_ip(server, resource, object)?;
    Ok(Vec::new())
}

/// Completes and checks the new state of an object. Returns warnings.
pub fn admit_update(
    server: &ApiServer,
    resource: &Resource,
    subresource: Option<Subresource>,
    old: &Value,
    object: &mut Value,
    _options: &WriteOptions,
    _ownership: Ownership,
) -> Result<Vec<String>, ApiError> {
    if subresource.is_none() {
        allocate_cluster_ip(server, resource, object)?;
    }
    if resource.generation && old["spec"] != object["spec"] {
        object["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
    }
    Ok(Vec::new())
}

/// Metadata that only the server sets.
fn complete_metadata(resource: &Resource, object: &mut Value) {
    let metadata = &mut object["metadata"];
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "resourceVersion"] {
        metadata.as_object_mut().map(|fields| fields.remove(field));
    }
    metadata["uid"] = new_uid().into();
    metadata["creationTimestamp"] = now().into();
    if resource.generation {
        metadata["generation"] = 1.into();
    } else if let Some(fields) = metadata.as_object_mut() {
        fields.remove("generation");
    }
    if resource.subresource("status").is_some()
        && let Some(fields) = object.as_object_mut()
    {
        fields.remove("status");
    }
}

/// A random UUID, version 4.
fn new_uid() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Gives a Service its address.
fn allocate_cluster_ip(server: &ApiServer, resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    if resource.collection != collection::SERVICES || text_at(object, "/spec/type") == "ExternalName" {
        return Ok(());
    }
    if !text_at(object, "/spec/clusterIP").is_empty() {
        return Ok(());
    }
    let (namespace, name) = (text_at(object, "/metadata/namespace"), text_at(object, "/metadata/name"));
    let ip = server
        .addresses()
        .service_ip(namespace, name)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    object["spec"]["clusterIP"] = ip.to_string().into();
    object["spec"]["clusterIPs"] = json!([ip.to_string()]);
    Ok(())
}
