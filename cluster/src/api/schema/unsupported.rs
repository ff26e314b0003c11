//! Fields that would change what happens on a real cluster and do not here: said in a `Warning` header, never ignored in
//! silence.

use serde_json::Value;

use crate::api::resources::{Resource, collection};

/// Fields of a pod spec, and what is different.
const POD: [(&str, &str); 20] = [
    ("hostNetwork", "pods have their own loopback address"),
    ("hostPID", "all pods share the machine's processes"),
    ("hostIPC", "all pods share the machine's IPC"),
    ("hostUsers", "user namespaces are not used"),
    ("shareProcessNamespace", "all pods share the machine's processes"),
    ("affinity", "there is one node"),
    ("topologySpreadConstraints", "there is one node"),
    ("priorityClassName", "there is no preemption"),
    ("runtimeClassName", "containers are processes"),
    ("overhead", "containers are processes"),
    ("dnsConfig", "Service names are rewritten to addresses when a container starts"),
    ("hostAliases", "/etc/hosts is the machine's"),
    ("hostname", "containers see the machine's host name"),
    ("subdomain", "there are no DNS records of pods"),
    ("setHostnameAsFQDN", "containers see the machine's host name"),
    ("readinessGates", "readiness comes from the containers alone"),
    ("schedulingGates", "pods are bound at once"),
    ("ephemeralContainers", "they are not started"),
    ("resourceClaims", "devices are not allocated"),
    ("resources", "resources of whole pods are not enforced"),
];

/// Fields of a container, as paths.
const CONTAINER: [(&str, &str); 13] = [
    ("/resources/limits/ephemeral-storage", "the use of disks is not limited"),
    ("/securityContext/capabilities", "capabilities are not changed"),
    ("/securityContext/privileged", "containers are processes of this machine"),
    ("/securityContext/allowPrivilegeEscalation", "it is not enforced"),
    ("/securityContext/readOnlyRootFilesystem", "containers see the machine's files"),
    ("/securityContext/seccompProfile", "it is not applied"),
    ("/securityContext/appArmorProfile", "it is not applied"),
    ("/securityContext/seLinuxOptions", "it is not applied"),
    ("/securityContext/procMount", "it is not applied"),
    ("/volumeDevices", "block devices are not attached"),
    ("/stdin", "containers have no standard input"),
    ("/tty", "containers have no terminal"),
    ("/resizePolicy", "resources are not enforced"),
];

/// Security settings of a whole pod.
const POD_SECURITY: [&str; 6] = [
    "seccompProfile",
    "appArmorProfile",
    "seLinuxOptions",
    "sysctls",
    "fsGroupChangePolicy",
    "supplementalGroupsPolicy",
];

/// Volume types that the kubelet knows.
const VOLUMES: [&str; 7] =
    ["configMap", "secret", "emptyDir", "downwardAPI", "projected", "hostPath", "persistentVolumeClaim"];

/// Warnings about an object in its stored form; for an update only about what it changes.
pub fn warnings(resource: &Resource, object: &Value, old: Option<&Value>) -> Vec<String> {
    let mut found = Vec::new();
    match resource.collection {
        collection::PODS => pod_spec(&object["spec"], "spec", &mut found),
        collection::DEPLOYMENTS => {
            pod_spec(&object["spec"]["template"]["spec"], "spec.template.spec", &mut found)
        }
        // Written by the Deployment controller, whose user has been warned already.
        collection::REPLICA_SETS if object["metadata"].get("ownerReferences").is_none() => {
            pod_spec(&object["spec"]["template"]["spec"], "spec.template.spec", &mut found);
        }
        collection::SERVICES => service(&object["spec"], &mut found),
        collection::CLAIMS => claim(&object["spec"], &mut found),
        _ => {}
    }
    if resource.collection == collection::PODS && object["metadata"].get("ownerReferences").is_some() {
        return Vec::new();
    }
    if let Some(old) = old {
        let before = warnings(resource, old, None);
        found.retain(|warning| !before.contains(warning));
    }
    found
}

fn warn(found: &mut Vec<String>, field: &str, why: &str) {
    found.push(format!("{field}: not supported by this cluster, ignored: {why}"));
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    }
}

fn pod_spec(spec: &Value, path: &str, found: &mut Vec<String>) {
    for (field, why) in POD {
        if is_set(&spec[field]) {
            warn(found, &format!("{path}.{field}"), why);
        }
    }
    if !["ClusterFirst", "ClusterFirstWithHostNet"].iter().any(|known| spec["dnsPolicy"] == *known) {
        warn(
            found,
            &format!("{path}.dnsPolicy"),
            "Service names are rewritten to addresses when a container starts",
        );
    }
    for field in POD_SECURITY {
        if is_set(&spec["securityContext"][field]) {
            warn(found, &format!("{path}.securityContext.{field}"), "it is not applied");
        }
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            let path = format!("{path}.{list}[{index}]");
            for (pointer, why) in CONTAINER {
                // `false` asks for less than the default here.
                let value = container.pointer(pointer).unwrap_or(&Value::Null);
                if is_set(value) || (pointer.ends_with("allowPrivilegeEscalation") && value == false) {
                    warn(found, &format!("{path}{}", pointer.replace('/', ".")), why);
                }
            }
            for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
                if is_set(&container[probe]["grpc"]) {
                    warn(found, &format!("{path}.{probe}.grpc"), "the probe always fails");
                }
            }
        }
    }
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let source =
            volume.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).find(|key| *key != "name");
        if let Some(source) = source.filter(|source| !VOLUMES.contains(source)) {
            warn(
                found,
                &format!("{path}.volumes[{index}].{source}"),
                "containers that mount it do not start",
            );
        }
    }
}

fn service(spec: &Value, found: &mut Vec<String>) {
    match spec["type"].as_str() {
        Some("NodePort") => warn(found, "spec.type", "only the ClusterIP is served, there are no node ports"),
        Some("LoadBalancer") => {
            warn(found, "spec.type", "only the ClusterIP is served, no load balancer is made")
        }
        Some("ExternalName") => warn(found, "spec.type", "there is no DNS to answer for the name"),
        _ => {}
    }
    if spec["sessionAffinity"] == "ClientIP" {
        warn(found, "spec.sessionAffinity", "connections are spread over all endpoints");
    }
    for field in ["externalIPs", "loadBalancerIP", "loadBalancerClass", "trafficDistribution"] {
        if is_set(&spec[field]) {
            warn(found, &format!("spec.{field}"), "only the ClusterIP is served");
        }
    }
    for (index, port) in spec["ports"].as_array().into_iter().flatten().enumerate() {
        if port["protocol"].as_str().is_some_and(|protocol| protocol != "TCP") {
            warn(found, &format!("spec.ports[{index}].protocol"), "only TCP is forwarded");
        }
    }
}

fn claim(spec: &Value, found: &mut Vec<String>) {
    if spec["volumeMode"] == "Block" {
        warn(found, "spec.volumeMode", "volumes are directories");
    }
    for field in ["dataSource", "dataSourceRef", "volumeAttributesClassName"] {
        if is_set(&spec[field]) {
            warn(found, &format!("spec.{field}"), "volumes start empty");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::resources;

    #[test]
    fn fields_without_effect_are_named_once() {
        let deployments = resources::find("apps", "v1", "deployments").unwrap();
        let object = json!({"spec": {"template": {"spec": {
            "hostNetwork": true, "dnsPolicy": "ClusterFirst",
            "containers": [{"name": "a", "resources": {"limits": {"cpu": "1", "ephemeral-storage": "1Gi"}}}],
        }}}});
        let found = warnings(deployments, &object, None);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].starts_with("spec.template.spec.hostNetwork: not supported by this cluster"),
            "{found:?}"
        );
        let limit = "spec.template.spec.containers[0].resources.limits.ephemeral-storage";
        assert!(found[1].starts_with(limit), "{found:?}");
        assert!(warnings(deployments, &object, Some(&object)).is_empty());
    }
}
