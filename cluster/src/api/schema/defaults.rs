//! Defaults, as `k8s.io/kubernetes/pkg/apis/*/defaults.go` sets them.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use crate::api::resources::{Resource, collection};

/// Completes an object in its stored form.
pub fn apply(resource: &Resource, object: &mut Value) {
    match resource.collection {
        collection::PODS => pod(object),
        collection::DEPLOYMENTS => deployment(object),
        collection::REPLICA_SETS => replica_set(object),
        collection::SERVICES => service(object),
        collection::SECRETS => secret(object),
        collection::NAMESPACES => namespace(object),
        collection::CLAIMS => set(&mut object["spec"], "volumeMode", json!("Filesystem")),
        collection::VOLUMES => {
            set(&mut object["spec"], "volumeMode", json!("Filesystem"));
            set(&mut object["spec"], "persistentVolumeReclaimPolicy", json!("Retain"));
        }
        collection::AUTOSCALERS => autoscaler(&mut object["spec"]),
        collection::ENDPOINTS => {
            for subset in list(object, "subsets") {
                for port in list(subset, "ports") {
                    set(port, "protocol", json!("TCP"));
                }
            }
        }
        collection::ENDPOINT_SLICES => {
            for port in list(object, "ports") {
                set(port, "name", json!(""));
                set(port, "protocol", json!("TCP"));
            }
        }
        _ => {}
    }
}

/// Sets a field that is absent or null.
fn set(object: &mut Value, field: &str, value: Value) {
    if object.is_null() {
        *object = Value::Object(Map::new());
    }
    if let Some(fields) = object.as_object_mut() {
        let current = fields.entry(field).or_insert(Value::Null);
        if current.is_null() {
            *current = value;
        }
    }
}

fn list<'a>(object: &'a mut Value, field: &str) -> std::slice::IterMut<'a, Value> {
    match object.get_mut(field).and_then(Value::as_array_mut) {
        Some(list) => list.iter_mut(),
        None => [].iter_mut(),
    }
}

fn pod(pod: &mut Value) {
    let spec = &mut pod["spec"];
    set(spec, "enableServiceLinks", json!(true));
    // These two come from admission on real clusters.
    set(spec, "serviceAccountName", json!("default"));
    let account = spec["serviceAccountName"].clone();
    set(spec, "serviceAccount", account);
    set(spec, "priority", json!(0));
    set(spec, "preemptionPolicy", json!("PreemptLowerPriority"));
    pod_spec(spec);
}

/// Defaults of pods and pod templates.
pub fn pod_spec(spec: &mut Value) {
    set(spec, "restartPolicy", json!("Always"));
    set(spec, "terminationGracePeriodSeconds", json!(30));
    set(spec, "dnsPolicy", json!("ClusterFirst"));
    set(spec, "securityContext", json!({}));
    set(spec, "schedulerName", json!("default-scheduler"));
    for field in ["initContainers", "containers"] {
        list(spec, field).for_each(container);
    }
    list(spec, "volumes").for_each(volume);
}

fn container(container: &mut Value) {
    let image = container["image"].as_str().unwrap_or_default();
    let policy = if tag(image) == "latest" { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", json!(policy));
    set(container, "terminationMessagePath", json!("/dev/termination-log"));
    set(container, "terminationMessagePolicy", json!("File"));
    set(container, "resources", json!({}));
    let resources = &mut container["resources"];
    if let Some(limits) = resources["limits"].as_object().cloned().filter(|limits| !limits.is_empty()) {
        for (name, quantity) in limits {
            set(&mut resources["requests"], &name, quantity);
        }
    } else if let Some(fields) = resources.as_object_mut() {
        // Indexing left a null behind.
        fields.retain(|_, value| !value.is_null());
    }
    for port in list(container, "ports") {
        set(port, "protocol", json!("TCP"));
    }
    for variable in list(container, "env") {
        if let Some(reference) = variable.pointer_mut("/valueFrom/fieldRef") {
            set(reference, "apiVersion", json!("v1"));
        }
    }
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get_mut(field) {
            for (field, value) in [
                ("timeoutSeconds", 1),
                ("periodSeconds", 10),
                ("successThreshold", 1),
                ("failureThreshold", 3),
            ] {
                if probe[field].as_i64() == Some(0) {
                    probe[field] = Value::Null;
                }
                set(probe, field, json!(value));
            }
            handler(probe);
        }
    }
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = container.pointer_mut(&format!("/lifecycle/{hook}")) {
            handler(hook);
        }
    }
}

fn handler(handler: &mut Value) {
    if let Some(get) = handler.get_mut("httpGet") {
        set(get, "path", json!("/"));
        set(get, "scheme", json!("HTTP"));
    }
    if let Some(grpc) = handler.get_mut("grpc") {
        set(grpc, "service", json!(""));
    }
}

/// Tag of an image name: `latest` if there is neither a tag nor a digest.
fn tag(image: &str) -> &str {
    let last = image.rsplit('/').next().unwrap_or(image);
    if last.contains('@') {
        return "";
    }
    last.split_once(':').map_or("latest", |(_, tag)| tag)
}

fn volume(volume: &mut Value) {
    let has_source = volume.as_object().is_some_and(|fields| fields.keys().any(|key| key != "name"));
    if !has_source {
        volume["emptyDir"] = json!({});
    }
    for source in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = volume.get_mut(source) {
            set(source, "defaultMode", json!(0o644));
        }
    }
    let items = volume.pointer_mut("/downwardAPI/items").and_then(Value::as_array_mut);
    for item in items.into_iter().flatten() {
        if let Some(reference) = item.get_mut("fieldRef") {
            set(reference, "apiVersion", json!("v1"));
        }
    }
    if let Some(path) = volume.get_mut("hostPath") {
        set(path, "type", json!(""));
    }
}

fn deployment(deployment: &mut Value) {
    let spec = &mut deployment["spec"];
    set(spec, "replicas", json!(1));
    set(spec, "strategy", json!({}));
    set(&mut spec["strategy"], "type", json!("RollingUpdate"));
    if spec["strategy"]["type"] == "RollingUpdate" {
        let rolling = &mut spec["strategy"]["rollingUpdate"];
        set(rolling, "maxUnavailable", json!("25%"));
        set(rolling, "maxSurge", json!("25%"));
    }
    set(spec, "revisionHistoryLimit", json!(10));
    set(spec, "progressDeadlineSeconds", json!(600));
    pod_spec(&mut spec["template"]["spec"]);
}

fn replica_set(set_object: &mut Value) {
    if set_object["metadata"].get("labels").is_none_or(Value::is_null)
        && let Some(labels) = set_object.pointer("/spec/template/metadata/labels").cloned()
    {
        set_object["metadata"]["labels"] = labels;
    }
    let spec = &mut set_object["spec"];
    set(spec, "replicas", json!(1));
    pod_spec(&mut spec["template"]["spec"]);
}

fn service(service: &mut Value) {
    let spec = &mut service["spec"];
    set(spec, "type", json!("ClusterIP"));
    set(spec, "sessionAffinity", json!("None"));
    if spec["type"] == "ExternalName" {
        return;
    }
    set(spec, "internalTrafficPolicy", json!("Cluster"));
    set(spec, "ipFamilies", json!(["IPv4"]));
    set(spec, "ipFamilyPolicy", json!("SingleStack"));
    for port in list(spec, "ports") {
        set(port, "protocol", json!("TCP"));
        let number = port["port"].clone();
        if port["targetPort"] == json!(0) || port["targetPort"] == json!("") {
            port["targetPort"] = Value::Null;
        }
        set(port, "targetPort", number);
    }
}

fn autoscaler(spec: &mut Value) {
    set(spec, "minReplicas", json!(1));
    if spec["metrics"].as_array().is_none_or(Vec::is_empty) {
        spec["metrics"] = json!([{"type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
    }
    // Without a behavior there is none; with one, both directions get rules. How long a scale-down is stabilised stays
    // open: the controller's option decides.
    let Some(behavior) = spec.get_mut("behavior").filter(|behavior| !behavior.is_null()) else { return };
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    for (direction, policies) in [
        ("scaleUp", json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, percent])),
        ("scaleDown", json!([percent])),
    ] {
        set(behavior, direction, json!({}));
        let rules = &mut behavior[direction];
        set(rules, "selectPolicy", json!("Max"));
        set(rules, "policies", policies);
        if direction == "scaleUp" {
            set(rules, "stabilizationWindowSeconds", json!(0));
        }
    }
}

fn secret(secret: &mut Value) {
    set(secret, "type", json!("Opaque"));
    let Some(Value::Object(plain)) = secret.as_object_mut().and_then(|fields| fields.remove("stringData"))
    else {
        return;
    };
    for (key, value) in plain {
        let encoded = STANDARD.encode(value.as_str().unwrap_or_default());
        if !secret["data"].is_object() {
            secret["data"] = json!({});
        }
        secret["data"][key] = encoded.into();
    }
}

fn namespace(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    if name.is_string() {
        set(&mut namespace["metadata"], "labels", json!({}));
        namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = name;
    }
}

/// Quality of service class of a pod.
pub fn qos_class(spec: &Value) -> &'static str {
    let mut any = false;
    let mut guaranteed = true;
    let containers =
        ["initContainers", "containers"].into_iter().filter_map(|field| spec[field].as_array()).flatten();
    for container in containers {
        for name in ["cpu", "memory"] {
            let request = &container["resources"]["requests"][name];
            let limit = &container["resources"]["limits"][name];
            any |= !request.is_null() || !limit.is_null();
            guaranteed &= !limit.is_null() && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::resources;

    #[test]
    fn a_deployment_gets_what_a_real_server_gives_it() {
        let resource = resources::find("apps", "v1", "deployments").unwrap();
        let mut object = json!({"metadata": {"name": "web"}, "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{
                "name": "main", "image": "busybox:1.35", "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}},
                "resources": {"limits": {"cpu": "1"}},
            }]}},
        }});
        apply(resource, &mut object);
        let spec = &object["spec"];
        assert_eq!(
            spec["strategy"],
            json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
        );
        assert_eq!((&spec["replicas"], &spec["progressDeadlineSeconds"]), (&json!(1), &json!(600)));
        let container = &spec["template"]["spec"]["containers"][0];
        assert_eq!(container["imagePullPolicy"], "IfNotPresent");
        assert_eq!(container["resources"]["requests"], json!({"cpu": "1"}));
        let probe = json!({"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1, "periodSeconds": 10,
            "successThreshold": 1, "failureThreshold": 3});
        assert_eq!(container["readinessProbe"], probe);
    }

    #[test]
    fn pull_policies_follow_the_tag() {
        for (image, expected) in [("a", "latest"), ("r:5000/a", "latest"), ("a:1", "1"), ("a@sha256:0", "")] {
            assert_eq!(tag(image), expected, "{image}");
        }
    }
}
