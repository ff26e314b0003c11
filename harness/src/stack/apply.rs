//! Applying manifests: server-side apply through discovery, as kubectl does it.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use kube::{
    Api, Client,
    api::{DynamicObject, Patch, PatchParams, ValidationDirective},
    discovery::{Discovery, Scope},
};
use serde_json::Value;

/// Owner of the fields that the harness applies.
pub const FIELD_MANAGER: &str = "sre-harness";
/// Time limit of one request.
const REQUEST: Duration = Duration::from_secs(20);
/// Objects of one stage that are applied at the same time.
const PARALLEL: usize = 8;

/// Why an object could not be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The kinds that the cluster serves could not be listed.
    #[error("can't discover what the cluster serves")]
    Discovery(#[source] Box<kube::Error>),
    /// Not a Kubernetes object.
    #[error("{object} is not a Kubernetes object")]
    Object {
        /// Kind and name as far as they are there.
        object: String,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
    /// The cluster does not serve the kind.
    #[error("{object}: this cluster does not serve {api_version} {kind}")]
    Kind {
        /// Kind and name.
        object: String,
        /// Group and version.
        api_version: String,
        /// Kind.
        kind: String,
    },
    /// The API server refused it.
    #[error("{object} was refused")]
    Refused {
        /// Kind and name.
        object: String,
        /// Cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("{object}: no answer within {} s", REQUEST.as_secs())]
    Timeout {
        /// Kind and name.
        object: String,
    },
}

/// Applies objects in stages, so that what others need is there first. Objects of a stage are applied side by side.
pub async fn apply(client: &Client, objects: &[&Value]) -> Result<(), ApplyError> {
    let discovery = match Discovery::new(client.clone()).run_aggregated().await {
        Ok(discovery) if discovery.groups().next().is_some() => discovery,
        // Servers before 1.26 only have the old form.
        _ => Discovery::new(client.clone())
            .run()
            .await
            .map_err(|error| ApplyError::Discovery(Box::new(error)))?,
    };
    let mut staged: Vec<&Value> = objects.to_vec();
    staged.sort_by_key(|object| stage(object));
    for group in staged.chunk_by(|one, two| stage(one) == stage(two)) {
        stream::iter(group)
            .map(|object| apply_one(client, &discovery, object))
            .buffered(PARALLEL)
            .try_collect::<()>()
            .await?;
    }
    Ok(())
}

async fn apply_one(client: &Client, discovery: &Discovery, value: &Value) -> Result<(), ApplyError> {
    let object = describe(value);
    let dynamic: DynamicObject = serde_json::from_value(value.clone())
        .map_err(|source| ApplyError::Object { object: object.clone(), source })?;
    let Some((resource, capabilities)) = discovery.resolve_object(&dynamic) else {
        let text = |field: &str| value[field].as_str().unwrap_or_default().to_owned();
        return Err(ApplyError::Kind { object, api_version: text("apiVersion"), kind: text("kind") });
    };
    let namespace = dynamic.metadata.namespace.as_deref().unwrap_or("default");
    let api: Api<DynamicObject> = match capabilities.scope {
        Scope::Cluster => Api::all_with(client.clone(), &resource),
        Scope::Namespaced => Api::namespaced_with(client.clone(), namespace, &resource),
    };
    let name = dynamic.metadata.name.as_deref().unwrap_or_default();
    // A field that the cluster does not know is a mistake in the manifest, not something to drop silently.
    let params = PatchParams {
        field_validation: Some(ValidationDirective::Strict),
        ..PatchParams::apply(FIELD_MANAGER).force()
    };
    match tokio::time::timeout(REQUEST, api.patch(name, &params, &Patch::Apply(&dynamic))).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(source)) => Err(ApplyError::Refused { object, source: Box::new(source) }),
        Err(_) => Err(ApplyError::Timeout { object }),
    }
}

/// What must be there before what: namespaces, then what pods refer to, then workloads. Of the workloads, those come first that
/// take longest to get ready: data stores, which initialise their volume, and monitoring, since Prometheus waits 5 s before its
/// first scrape.
fn stage(object: &Value) -> u8 {
    match object["kind"].as_str().unwrap_or_default() {
        "Namespace" | "CustomResourceDefinition" => 0,
        "Deployment" | "StatefulSet" | "DaemonSet" | "Job" | "CronJob" | "Pod" => {
            let volumes = object.pointer("/spec/template/spec/volumes").and_then(Value::as_array);
            let stores = volumes.into_iter().flatten().any(|one| one.get("persistentVolumeClaim").is_some());
            if stores || object["metadata"]["namespace"] == "monitoring" { 2 } else { 3 }
        }
        _ => 1,
    }
}

/// `Kind namespace/name`, for messages.
pub(super) fn describe(object: &Value) -> String {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
    let kind = text("/kind").unwrap_or("object");
    let name = text("/metadata/name").unwrap_or("without a name");
    match text("/metadata/namespace") {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_others_need_comes_first_and_what_is_slow_before_the_rest() {
        let object = |kind: &str, namespace: &str| json!({"kind": kind, "metadata": {"name": "x", "namespace": namespace}});
        let mut objects = [
            object("Deployment", "gallery"),
            json!({ "kind": "Deployment", "metadata": { "name": "db", "namespace": "gallery" },
                "spec": { "template": { "spec": { "volumes": [{ "persistentVolumeClaim": {} }] } } } }),
            object("Deployment", "monitoring"),
            object("Service", "gallery"),
            json!({"kind": "Namespace", "metadata": {"name": "gallery"}}),
        ];
        objects.sort_by_key(stage);
        let order: Vec<String> = objects.iter().map(describe).collect();
        let expected = [
            "Namespace gallery",
            "Service gallery/x",
            "Deployment gallery/db",
            "Deployment monitoring/x",
            "Deployment gallery/x",
        ];
        assert_eq!(order, expected);
    }
}
