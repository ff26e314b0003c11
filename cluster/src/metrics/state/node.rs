//! The series of nodes and namespaces.

use k8s_openapi::api::core::v1::{Namespace, Node};

use super::family::{Family, Lines, amount, gauge, resource, text};

/// What is told about nodes.
pub static NODES: [Family; 11] = [
    gauge("kube_node_created", "Unix creation timestamp"),
    gauge("kube_node_deletion_timestamp", "Unix deletion timestamp"),
    gauge("kube_node_info", "Information about a cluster node."),
    gauge("kube_node_role", "The role of a cluster node."),
    gauge("kube_node_spec_pod_cidrs", "The pod CIDRs of a cluster node."),
    gauge("kube_node_spec_taint", "The taint of a cluster node."),
    gauge("kube_node_spec_unschedulable", "Whether a node can schedule new pods."),
    gauge("kube_node_status_addresses", "Node address information."),
    gauge(
        "kube_node_status_allocatable",
        "The allocatable for different resources of a node that are available for scheduling.",
    ),
    gauge("kube_node_status_capacity", "The capacity for different resources of a node."),
    gauge("kube_node_status_condition", "The condition of a cluster node."),
];

/// What is told about namespaces.
pub static NAMESPACES: [Family; 3] = [
    gauge("kube_namespace_created", "Unix creation timestamp"),
    gauge("kube_namespace_status_phase", "kubernetes namespace status phase."),
    gauge("kube_namespace_status_condition", "The condition of a namespace."),
];

/// The lines of a node.
pub fn node(object: &Node) -> Lines {
    let metadata = &object.metadata;
    let mut lines = Lines::new(&NODES, vec![("node", text(&metadata.name).to_owned())]);
    lines.add_time("kube_node_created", &[], metadata.creation_timestamp.as_ref());
    lines.add_time("kube_node_deletion_timestamp", &[], metadata.deletion_timestamp.as_ref());
    for label in metadata.labels.iter().flatten().map(|(name, _)| name) {
        if let Some(role) = label.strip_prefix("node-role.kubernetes.io/") {
            lines.add("kube_node_role", &[("role", role)], 1);
        }
    }
    let spec = object.spec.clone().unwrap_or_default();
    let status = object.status.clone().unwrap_or_default();
    for cidr in spec.pod_cidrs.iter().flatten() {
        lines.add("kube_node_spec_pod_cidrs", &[("pod_cidr", cidr)], 1);
    }
    for taint in spec.taints.iter().flatten() {
        let labels = [("key", taint.key.as_str()), ("value", text(&taint.value)), ("effect", &taint.effect)];
        lines.add("kube_node_spec_taint", &labels, 1);
    }
    let unschedulable = spec.unschedulable == Some(true);
    lines.add("kube_node_spec_unschedulable", &[], unschedulable);
    let addresses = status.addresses.as_deref().unwrap_or_default();
    for address in addresses {
        let labels = [("type", address.type_.as_str()), ("address", &address.address)];
        lines.add("kube_node_status_addresses", &labels, 1);
    }
    if let Some(info) = &status.node_info {
        let internal = addresses.iter().rfind(|address| address.type_ == "InternalIP");
        let labels = [
            ("kernel_version", info.kernel_version.as_str()),
            ("os_image", &info.os_image),
            ("container_runtime_version", &info.container_runtime_version),
            ("kubelet_version", &info.kubelet_version),
            ("kubeproxy_version", "deprecated"),
            ("provider_id", text(&spec.provider_id)),
            ("pod_cidr", text(&spec.pod_cidr)),
            ("system_uuid", &info.system_uuid),
            ("internal_ip", internal.map_or("", |address| &address.address)),
        ];
        lines.add("kube_node_info", &labels, 1);
    }
    let amounts = [
        ("kube_node_status_allocatable", &status.allocatable),
        ("kube_node_status_capacity", &status.capacity),
    ];
    for (family, list) in amounts {
        for (name, quantity) in list.iter().flatten() {
            if let (Some((name, unit)), Some(value)) = (resource(name), amount(quantity)) {
                lines.add(family, &[("resource", &name), ("unit", unit)], value);
            }
        }
    }
    for condition in status.conditions.iter().flatten() {
        let labels = [("condition", condition.type_.as_str())];
        lines.add_condition("kube_node_status_condition", &labels, "status", &condition.status);
    }
    lines
}

/// The lines of a namespace.
pub fn namespace(object: &Namespace) -> Lines {
    let metadata = &object.metadata;
    let mut lines = Lines::new(&NAMESPACES, vec![("namespace", text(&metadata.name).to_owned())]);
    lines.add_time("kube_namespace_created", &[], metadata.creation_timestamp.as_ref());
    let status = object.status.clone().unwrap_or_default();
    let phases = ["Active", "Terminating"];
    lines.add_states("kube_namespace_status_phase", "phase", &phases, text(&status.phase));
    for condition in status.conditions.iter().flatten() {
        let labels = [("condition", condition.type_.as_str())];
        lines.add_condition("kube_namespace_status_condition", &labels, "status", &condition.status);
    }
    lines
}
