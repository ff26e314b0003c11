//! The roles: from objects to target groups, as Prometheus' own discovery makes them.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        core::v1::{EndpointAddress, Endpoints, Node, Pod, Service},
        discovery::v1::{Endpoint, EndpointPort, EndpointSlice},
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;

use super::labels::{
    Labels, TargetGroup, container_id, container_labels, containers, pod_labels, put, put_metadata, put_some,
    sanitized,
};

/// What is discovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Each declared container port of each pod.
    Pod,
    /// Each address of each Endpoints object, and the other ports of the pods behind them.
    Endpoints,
    /// The same for EndpointSlices.
    EndpointSlice,
    /// Each port of each Service.
    Service,
    /// Each node's kubelet.
    Node,
}

impl Role {
    /// By the name that Prometheus gives it.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pod" => Self::Pod,
            "endpoints" => Self::Endpoints,
            "endpointslice" => Self::EndpointSlice,
            "service" => Self::Service,
            "node" => Self::Node,
            _ => return None,
        })
    }
}

/// The objects of a cluster.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// Pods.
    pub pods: Vec<Arc<Pod>>,
    /// Services.
    pub services: Vec<Arc<Service>>,
    /// Endpoints.
    pub endpoints: Vec<Arc<Endpoints>>,
    /// EndpointSlices.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// Nodes.
    pub nodes: Vec<Arc<Node>>,
}

/// The targets of a role, in a stable order. An empty list of namespaces means all.
pub fn target_groups(role: Role, objects: &Objects, namespaces: &[String]) -> Vec<TargetGroup> {
    let wanted = |meta: &ObjectMeta| {
        namespaces.is_empty()
            || meta.namespace.as_ref().is_some_and(|namespace| namespaces.contains(namespace))
    };
    let mut groups: Vec<_> = match role {
        Role::Pod => {
            objects.pods.iter().filter(|pod| wanted(&pod.metadata)).flat_map(|pod| of_pod(pod)).collect()
        }
        Role::Endpoints => {
            let endpoints = objects.endpoints.iter().filter(|endpoints| wanted(&endpoints.metadata));
            endpoints.flat_map(|endpoints| of_endpoints(endpoints, objects)).collect()
        }
        Role::EndpointSlice => {
            let slices = objects.slices.iter().filter(|slice| wanted(&slice.metadata));
            slices.flat_map(|slice| of_slice(slice, objects)).collect()
        }
        Role::Service => objects
            .services
            .iter()
            .filter(|service| wanted(&service.metadata))
            .flat_map(|service| of_service(service))
            .collect(),
        // Nodes have no namespace: the filter does not apply to them.
        Role::Node => objects.nodes.iter().filter_map(|node| of_node(node)).collect(),
    };
    groups.sort_by(|one, two| (&one.targets, &one.labels).cmp(&(&two.targets, &two.labels)));
    groups
}

fn target(address: String, parts: &[&Labels]) -> TargetGroup {
    let labels = parts
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, value)| (name.clone(), value.clone())))
        .collect();
    TargetGroup { targets: vec![address], labels }
}

fn namespace_labels(meta: &ObjectMeta) -> Labels {
    let mut labels = Labels::new();
    put(&mut labels, "namespace", meta.namespace.as_deref().unwrap_or_default());
    labels
}

fn of_pod(pod: &Pod) -> Vec<TargetGroup> {
    // A pod without an address is not a target yet.
    let Some(ip) =
        pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()).filter(|ip| !ip.is_empty())
    else {
        return Vec::new();
    };
    let (namespace, about) = (namespace_labels(&pod.metadata), pod_labels(pod));
    let mut groups = Vec::new();
    for (container, init) in containers(pod) {
        let ports = container.ports.as_deref().unwrap_or_default();
        let one = |port: Option<&_>, address: String| {
            let mut labels = container_labels(container, init, port);
            put_some(&mut labels, "pod_container_id", container_id(pod, &container.name, init));
            target(address, &[&namespace, &about, &labels])
        };
        if ports.is_empty() {
            // Relabelling may add the port.
            groups.push(one(None, ip.to_owned()));
        }
        groups.extend(ports.iter().map(|port| one(Some(port), format!("{ip}:{}", port.container_port))));
    }
    groups
}

/// Labels of the Service with this name, for endpoints.
fn service_labels(objects: &Objects, namespace: Option<&str>, name: &str) -> Labels {
    let mut labels = Labels::new();
    let found = objects
        .services
        .iter()
        .find(|service| service.namespace().as_deref() == namespace && service.name_any() == name);
    if let Some(service) = found {
        put(&mut labels, "service_name", name);
        put_metadata(&mut labels, "service", &service.metadata);
    }
    labels
}

/// Labels of the pod behind an endpoint, and its other ports.
struct Behind<'o> {
    objects: &'o Objects,
    /// Pods that were met, and which of their ports are endpoints.
    seen: Vec<(Arc<Pod>, Vec<i32>)>,
}

impl<'o> Behind<'o> {
    fn new(objects: &'o Objects) -> Self {
        Self { objects, seen: Vec::new() }
    }

    /// The pod's labels, with the container whose port this is.
    fn pod(&mut self, reference: Option<&k8s_openapi::api::core::v1::ObjectReference>, port: i32) -> Labels {
        let Some(reference) = reference.filter(|reference| reference.kind.as_deref() == Some("Pod")) else {
            return Labels::new();
        };
        let same = |pod: &&Arc<Pod>| {
            pod.metadata.name == reference.name && pod.metadata.namespace == reference.namespace
        };
        let Some(pod) = self.objects.pods.iter().find(same) else { return Labels::new() };
        match self.seen.iter_mut().find(|(seen, _)| Arc::ptr_eq(seen, pod)) {
            Some((_, ports)) => ports.push(port),
            None => self.seen.push((pod.clone(), vec![port])),
        }
        let mut labels = pod_labels(pod);
        let container = containers(pod).find_map(|(container, init)| {
            let found = container.ports.iter().flatten().find(|declared| declared.container_port == port)?;
            Some(container_labels(container, init, Some(found)))
        });
        labels.extend(container.into_iter().flatten());
        labels
    }

    /// Declared ports of the pods that no endpoint stands for. Prometheus offers them too: a metrics port is often not part
    /// of the Service.
    fn other_ports(self, common: &Labels) -> Vec<TargetGroup> {
        let mut groups = Vec::new();
        for (pod, endpoint_ports) in self.seen {
            let Some(ip) = pod.status.as_ref().and_then(|status| status.pod_ip.as_deref()) else { continue };
            let about = pod_labels(&pod);
            for (container, init) in containers(&pod) {
                let others = container
                    .ports
                    .iter()
                    .flatten()
                    .filter(|port| !endpoint_ports.contains(&port.container_port));
                groups.extend(others.map(|port| {
                    let container = container_labels(container, init, Some(port));
                    target(format!("{ip}:{}", port.container_port), &[common, &about, &container])
                }));
            }
        }
        groups
    }
}

fn of_endpoints(endpoints: &Endpoints, objects: &Objects) -> Vec<TargetGroup> {
    let mut common = namespace_labels(&endpoints.metadata);
    put(&mut common, "endpoints_name", endpoints.name_any());
    put_metadata(&mut common, "endpoints", &endpoints.metadata);
    common.extend(service_labels(objects, endpoints.metadata.namespace.as_deref(), &endpoints.name_any()));
    let (mut behind, mut groups) = (Behind::new(objects), Vec::new());
    for subset in endpoints.subsets.iter().flatten() {
        for port in subset.ports.iter().flatten() {
            let ready = subset.addresses.iter().flatten().map(|address| (address, true));
            let all =
                ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, false)));
            for (address, ready) in all {
                let mut labels = endpoint_labels(address, ready);
                put(&mut labels, "endpoint_port_name", port.name.as_deref().unwrap_or_default());
                put(&mut labels, "endpoint_port_protocol", port.protocol.as_deref().unwrap_or("TCP"));
                let pod = behind.pod(address.target_ref.as_ref(), port.port);
                groups.push(target(format!("{}:{}", address.ip, port.port), &[&common, &labels, &pod]));
            }
        }
    }
    groups.extend(behind.other_ports(&common));
    groups
}

fn endpoint_labels(address: &EndpointAddress, ready: bool) -> Labels {
    let mut labels = Labels::new();
    put(&mut labels, "endpoint_ready", ready.to_string());
    put_some(&mut labels, "endpoint_hostname", address.hostname.as_deref());
    put_some(&mut labels, "endpoint_node_name", address.node_name.as_deref());
    if let Some(reference) = &address.target_ref {
        put(&mut labels, "endpoint_address_target_kind", reference.kind.as_deref().unwrap_or_default());
        put(&mut labels, "endpoint_address_target_name", reference.name.as_deref().unwrap_or_default());
    }
    labels
}

fn of_slice(slice: &EndpointSlice, objects: &Objects) -> Vec<TargetGroup> {
    let mut common = namespace_labels(&slice.metadata);
    put(&mut common, "endpointslice_name", slice.name_any());
    put(&mut common, "endpointslice_address_type", &slice.address_type);
    put_metadata(&mut common, "endpointslice", &slice.metadata);
    if let Some(service) = slice.labels().get("kubernetes.io/service-name") {
        common.extend(service_labels(objects, slice.metadata.namespace.as_deref(), service));
    }
    let (mut behind, mut groups) = (Behind::new(objects), Vec::new());
    for port in slice.ports.iter().flatten() {
        let Some(number) = port.port else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let labels = slice_labels(endpoint, port, number);
            for address in &endpoint.addresses {
                let pod = behind.pod(endpoint.target_ref.as_ref(), number);
                groups.push(target(format!("{address}:{number}"), &[&common, &labels, &pod]));
            }
        }
    }
    groups.extend(behind.other_ports(&common));
    groups
}

fn slice_labels(endpoint: &Endpoint, port: &EndpointPort, number: i32) -> Labels {
    let mut labels = Labels::new();
    put(&mut labels, "endpointslice_port_name", port.name.as_deref().unwrap_or_default());
    put(&mut labels, "endpointslice_port", number.to_string());
    put(&mut labels, "endpointslice_port_protocol", port.protocol.as_deref().unwrap_or("TCP"));
    put_some(&mut labels, "endpointslice_port_app_protocol", port.app_protocol.as_deref());
    put_some(&mut labels, "endpointslice_endpoint_hostname", endpoint.hostname.as_deref());
    put_some(&mut labels, "endpointslice_endpoint_node_name", endpoint.node_name.as_deref());
    put_some(&mut labels, "endpointslice_endpoint_zone", endpoint.zone.as_deref());
    if let Some(conditions) = &endpoint.conditions {
        let all = [
            ("ready", conditions.ready),
            ("serving", conditions.serving),
            ("terminating", conditions.terminating),
        ];
        for (name, value) in all {
            if let Some(value) = value {
                put(&mut labels, &format!("endpointslice_endpoint_conditions_{name}"), value.to_string());
            }
        }
    }
    if let Some(reference) = &endpoint.target_ref {
        put(&mut labels, "endpointslice_address_target_kind", reference.kind.as_deref().unwrap_or_default());
        put(&mut labels, "endpointslice_address_target_name", reference.name.as_deref().unwrap_or_default());
    }
    labels
}

fn of_service(service: &Service) -> Vec<TargetGroup> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let mut common = namespace_labels(&service.metadata);
    put(&mut common, "service_name", service.name_any());
    put_metadata(&mut common, "service", &service.metadata);
    let kind = spec.type_.as_deref().unwrap_or("ClusterIP");
    put(&mut common, "service_type", kind);
    match kind {
        "ExternalName" => {
            put(&mut common, "service_external_name", spec.external_name.as_deref().unwrap_or_default())
        }
        _ => put(&mut common, "service_cluster_ip", spec.cluster_ip.as_deref().unwrap_or_default()),
    }
    let host = format!("{}.{}.svc", service.name_any(), service.namespace().unwrap_or_default());
    let ports = spec.ports.iter().flatten();
    ports
        .map(|port| {
            let mut labels = Labels::new();
            put(&mut labels, "service_port_name", port.name.as_deref().unwrap_or_default());
            put(&mut labels, "service_port_number", port.port.to_string());
            put(&mut labels, "service_port_protocol", port.protocol.as_deref().unwrap_or("TCP"));
            target(format!("{host}:{}", port.port), &[&common, &labels])
        })
        .collect()
}

fn of_node(node: &Node) -> Option<TargetGroup> {
    let status = node.status.as_ref()?;
    let addresses = status.addresses.as_deref().unwrap_or_default();
    let preferred = ["InternalIP", "ExternalIP", "LegacyHostIP", "HostName"];
    let address =
        preferred.iter().find_map(|kind| addresses.iter().find(|address| address.type_ == *kind))?;
    let port = status.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref()?.port;
    let mut labels = Labels::new();
    labels.insert("instance".to_owned(), node.name_any());
    put(&mut labels, "node_name", node.name_any());
    put(
        &mut labels,
        "node_provider_id",
        node.spec.as_ref().and_then(|spec| spec.provider_id.as_deref()).unwrap_or_default(),
    );
    put_metadata(&mut labels, "node", &node.metadata);
    for condition in status.conditions.iter().flatten() {
        put(
            &mut labels,
            &format!("node_condition_{}", sanitized(&condition.type_).to_lowercase()),
            condition.status.to_lowercase(),
        );
    }
    for address in addresses {
        labels
            .entry(format!("__meta_kubernetes_node_address_{}", sanitized(&address.type_)))
            .or_insert_with(|| address.address.clone());
    }
    Some(target(format!("{}:{port}", address.address), &[&labels]))
}
