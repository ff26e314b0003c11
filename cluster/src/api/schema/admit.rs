//! What happens to an object on its way into the store.

use serde_json::{Value, json};

use crate::{
    api::{
        managed_fields::{self, Writer},
        resources::{Resource, Subresource, collection},
        router::ApiServer,
        schema::{Ownership, defaults, unsupported, validate},
        status::{ApiError, FieldError},
        verbs::{WriteOptions, now},
    },
    store::text_at,
};

/// Completes and checks an object (in its stored form) that is about to be created. Returns warnings.
pub fn admit_create(
    server: &ApiServer,
    resource: &Resource,
    object: &mut Value,
    options: &WriteOptions,
    ownership: Ownership,
) -> Result<Vec<String>, ApiError> {
    complete_metadata(resource, object);
    defaults::apply(resource, object);
    initial_status(resource, object);
    let given = text_at(object, "/spec/clusterIP").to_owned();
    allocate_cluster_ip(server, resource, object)?;
    check(resource, object, None)?;
    check_cluster_ip(server, resource, object, &given)?;
    if ownership == Ownership::Changed {
        let empty = json!({"metadata": {}});
        managed_fields::after_update(&empty, object, &writer(resource, None, options));
    }
    Ok(unsupported::warnings(resource, object, None))
}

/// Completes and checks the new state of an object. Returns warnings.
pub fn admit_update(
    server: &ApiServer,
    resource: &Resource,
    subresource: Option<Subresource>,
    old: &Value,
    object: &mut Value,
    options: &WriteOptions,
    ownership: Ownership,
) -> Result<Vec<String>, ApiError> {
    let mut warnings = Vec::new();
    if subresource.is_none() || subresource == Some(Subresource::Scale) {
        defaults::apply(resource, object);
        allocate_cluster_ip(server, resource, object)?;
        check(resource, object, Some(old))?;
        warnings = unsupported::warnings(resource, object, Some(old));
    }
    let spec_changed = without_metadata_and_status(old) != without_metadata_and_status(object);
    // A binding is the scheduler's part of the creation and counts as no change.
    if resource.generation && spec_changed && subresource != Some(Subresource::Binding) {
        object["metadata"]["generation"] = (old["metadata"]["generation"].as_i64().unwrap_or(0) + 1).into();
    }
    if ownership == Ownership::Changed {
        managed_fields::after_update(old, object, &writer(resource, subresource, options));
    }
    Ok(warnings)
}

fn without_metadata_and_status(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter(|(key, _)| *key != "metadata" && *key != "status").collect()
}

/// Who a write belongs to in `managedFields`.
pub fn writer(resource: &Resource, subresource: Option<Subresource>, options: &WriteOptions) -> Writer {
    Writer {
        manager: options.manager.clone(),
        operation: "Update",
        api_version: resource.api_version(),
        subresource: subresource.map(|subresource| subresource.name().to_owned()).unwrap_or_default(),
    }
}

fn check(resource: &Resource, object: &Value, old: Option<&Value>) -> Result<(), ApiError> {
    let errors = validate::validate(resource, object, old);
    if errors.is_empty() {
        return Ok(());
    }
    Err(ApiError::invalid(resource.group, resource.kind, text_at(object, "/metadata/name"), &errors))
}

/// The status of a new object.
fn initial_status(resource: &Resource, object: &mut Value) {
    match resource.collection {
        collection::NAMESPACES => {
            object["spec"]["finalizers"] = json!(["kubernetes"]);
            object["status"] = json!({"phase": "Active"});
        }
        collection::PODS => {
            object["status"] = json!({"phase": "Pending", "qosClass": defaults::qos_class(&object["spec"])});
        }
        collection::CLAIMS | collection::VOLUMES => object["status"] = json!({"phase": "Pending"}),
        collection::SERVICES => object["status"] = json!({"loadBalancer": {}}),
        collection::DEPLOYMENTS => object["status"] = json!({}),
        collection::REPLICA_SETS => object["status"] = json!({"replicas": 0}),
        collection::AUTOSCALERS => {
            object["status"] = json!({"desiredReplicas": 0, "currentMetrics": null});
        }
        collection::DISRUPTION_BUDGETS => {
            object["status"] =
                json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0});
        }
        _ => {}
    }
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
    // A kubelet registers its node together with its status.
    if resource.subresource("status").is_some()
        && resource.collection != collection::NODES
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

/// A Service may ask for its address only if it is the one that it gets anyway: names in manifests are mapped to that.
fn check_cluster_ip(
    server: &ApiServer,
    resource: &Resource,
    object: &Value,
    given: &str,
) -> Result<(), ApiError> {
    if resource.collection != collection::SERVICES || matches!(given, "" | "None") {
        return Ok(());
    }
    let (namespace, name) = (text_at(object, "/metadata/namespace"), text_at(object, "/metadata/name"));
    let own = server.addresses().service_ip(namespace, name);
    let own = own.map_err(|error| ApiError::internal(error.to_string()))?.to_string();
    if own == given {
        return Ok(());
    }
    let why = format!(
        "failed to allocate IP {given}: the address of a Service follows from its name in this cluster ({own}), leave it empty"
    );
    let error = FieldError::invalid("spec.clusterIPs", &json!([given]), &why);
    Err(ApiError::invalid(resource.group, resource.kind, name, &[error]))
}

/// Gives a Service its address.
fn allocate_cluster_ip(server: &ApiServer, resource: &Resource, object: &mut Value) -> Result<(), ApiError> {
    if resource.collection != collection::SERVICES || text_at(object, "/spec/type") == "ExternalName" {
        return Ok(());
    }
    if !text_at(object, "/spec/clusterIP").is_empty() {
        return Ok(());
    }
    // What has no name or no ports is refused by validation; it must not take an address first.
    let (namespace, name) = (text_at(object, "/metadata/namespace"), text_at(object, "/metadata/name"));
    let ip = server
        .addresses()
        .service_ip(namespace, name)
        .map_err(|error| ApiError::internal(error.to_string()))?;
    object["spec"]["clusterIP"] = ip.to_string().into();
    object["spec"]["clusterIPs"] = json!([ip.to_string()]);
    Ok(())
}
