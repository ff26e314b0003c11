//! Label names and the groups of labels that several roles share.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Container, ContainerPort, Pod},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Serialize;

/// Labels of a target.
pub type Labels = BTreeMap<String, String>;

/// One entry of a service discovery answer: here always one target with all its labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetGroup {
    /// Addresses.
    pub targets: Vec<String>,
    /// Labels of every one of them.
    pub labels: Labels,
}

/// A label name as Prometheus makes it from a Kubernetes name: what is not a letter, digit or underscore becomes one.
pub(super) fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Adds `__meta_kubernetes_{name}`.
pub(super) fn put(labels: &mut Labels, name: &str, value: impl Into<String>) {
    labels.insert(format!("__meta_kubernetes_{name}"), value.into());
}

/// Adds `__meta_kubernetes_{name}` if there is a value.
pub(super) fn put_some(labels: &mut Labels, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        put(labels, name, value);
    }
}

/// Adds an object's labels and annotations under a role's prefix.
pub(super) fn put_metadata(labels: &mut Labels, role: &str, meta: &ObjectMeta) {
    for (kind, map) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
        for (name, value) in map.iter().flatten() {
            let name = sanitized(name);
            put(labels, &format!("{role}_{kind}_{name}"), value);
            put(labels, &format!("{role}_{kind}present_{name}"), "true");
        }
    }
}

/// Everything about a pod, without its containers.
pub(super) fn pod_labels(pod: &Pod) -> Labels {
    let mut labels = Labels::new();
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let text = |field: Option<&String>| field.map_or("", String::as_str).to_owned();
    put(&mut labels, "pod_name", text(pod.metadata.name.as_ref()));
    put(&mut labels, "pod_ip", text(status.and_then(|status| status.pod_ip.as_ref())));
    put(&mut labels, "pod_ready", pod_ready(pod));
    put(&mut labels, "pod_phase", text(status.and_then(|status| status.phase.as_ref())));
    put(&mut labels, "pod_node_name", text(spec.and_then(|spec| spec.node_name.as_ref())));
    put(&mut labels, "pod_host_ip", text(status.and_then(|status| status.host_ip.as_ref())));
    put(&mut labels, "pod_uid", text(pod.metadata.uid.as_ref()));
    let controller =
        pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    if let Some(controller) = controller {
        put(&mut labels, "pod_controller_kind", &controller.kind);
        put(&mut labels, "pod_controller_name", &controller.name);
    }
    put_metadata(&mut labels, "pod", &pod.metadata);
    labels
}

/// The Ready condition in lower case; `unknown` without one.
fn pod_ready(pod: &Pod) -> String {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let ready = conditions.iter().find(|condition| condition.type_ == "Ready");
    ready.map_or_else(|| "unknown".to_owned(), |condition| condition.status.to_lowercase())
}

/// A container, and its port if it has one.
pub(super) fn container_labels(container: &Container, init: bool, port: Option<&ContainerPort>) -> Labels {
    let mut labels = Labels::new();
    put(&mut labels, "pod_container_name", &container.name);
    put(&mut labels, "pod_container_image", container.image.as_deref().unwrap_or_default());
    put(&mut labels, "pod_container_init", init.to_string());
    if let Some(port) = port {
        put(&mut labels, "pod_container_port_name", port.name.as_deref().unwrap_or_default());
        put(&mut labels, "pod_container_port_number", port.container_port.to_string());
        put(&mut labels, "pod_container_port_protocol", port.protocol.as_deref().unwrap_or("TCP"));
    }
    labels
}

/// The ID of a container, once it has one.
pub(super) fn container_id<'p>(pod: &'p Pod, container: &str, init: bool) -> Option<&'p str> {
    let status = pod.status.as_ref()?;
    let statuses = if init { &status.init_container_statuses } else { &status.container_statuses };
    statuses.iter().flatten().find(|status| status.name == container)?.container_id.as_deref()
}

/// Containers of a pod, the ordinary ones first; true for init containers.
pub(super) fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let spec = pod.spec.iter();
    spec.flat_map(|spec| {
        let ordinary = spec.containers.iter().map(|container| (container, false));
        ordinary.chain(spec.init_containers.iter().flatten().map(|container| (container, true)))
    })
}
