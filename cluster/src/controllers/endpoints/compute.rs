//! Which pods are endpoints of a Service, on which ports, in which condition: pure.

use std::{collections::BTreeMap, net::IpAddr};

use k8s_openapi::{
    api::{
        core::v1::{
            ContainerPort, EndpointAddress, EndpointPort as OldPort, EndpointSubset, ObjectReference, Pod,
            Service, ServicePort,
        },
        discovery::v1::{Endpoint, EndpointConditions, EndpointPort},
    },
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;

use crate::controllers::pods;

/// Ports of one slice in a form that can be compared: name, protocol, port, application protocol.
pub type Ports = Vec<(String, String, Option<i32>, Option<String>)>;

/// Endpoints by the ports they serve. Named target ports make pods of one Service differ.
pub type ByPorts = BTreeMap<Ports, Vec<Endpoint>>;

/// The Service's selector, if it has one.
pub fn selector(service: &Service) -> Option<&BTreeMap<String, String>> {
    let spec = service.spec.as_ref().filter(|spec| spec.type_.as_deref() != Some("ExternalName"))?;
    spec.selector.as_ref().filter(|selector| !selector.is_empty())
}

/// True if the pod's labels match the Service's selector.
pub fn selects(service: &Service, pod: &Pod) -> bool {
    let labels = pod.labels();
    selector(service)
        .is_some_and(|selector| selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
}

fn pod_ip(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())
}

/// True if nothing changed that an endpoint shows.
pub fn same_endpoint(one: &Pod, other: &Pod) -> bool {
    let node = |pod: &Pod| pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    one.uid() == other.uid()
        && one.metadata.labels == other.metadata.labels
        && pod_ip(one) == pod_ip(other)
        && node(one) == node(other)
        && pods::is_ready(one) == pods::is_ready(other)
        && pods::is_terminating(one) == pods::is_terminating(other)
        && pods::is_terminal(one) == pods::is_terminal(other)
}

/// Pods that are endpoints of the Service, in a stable order.
fn members<'a>(service: &'a Service, pods: &'a [std::sync::Arc<Pod>]) -> Vec<&'a Pod> {
    let mut members: Vec<&Pod> = pods.iter().map(|pod| &**pod).collect();
    members.retain(|pod| selects(service, pod) && !pods::is_terminal(pod) && pod_ip(pod).is_some());
    let order = |pod: &&Pod| (pod_ip(pod).and_then(|ip| ip.parse::<IpAddr>().ok()), pod.uid());
    members.sort_by_key(order);
    members
}

fn publishes_not_ready(service: &Service) -> bool {
    service.spec.as_ref().and_then(|spec| spec.publish_not_ready_addresses).unwrap_or(false)
}

fn reference(pod: &Pod) -> ObjectReference {
    ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: pod.namespace(),
        name: Some(pod.name_any()),
        uid: pod.uid(),
        ..ObjectReference::default()
    }
}

fn hostname(service: &Service, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let in_domain = spec.subdomain.as_deref() == service.metadata.name.as_deref();
    spec.hostname.clone().filter(|hostname| in_domain && !hostname.is_empty())
}

fn node(pod: &Pod) -> Option<String> {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty())
}

/// Number of a Service port on this pod; `None` if it names a port that the pod does not have.
fn target_port(port: &ServicePort, pod: &Pod) -> Option<i32> {
    let name = match &port.target_port {
        None => return Some(port.port),
        Some(IntOrString::Int(0)) => return Some(port.port),
        Some(IntOrString::Int(number)) => return Some(*number),
        Some(IntOrString::String(name)) => name,
    };
    let wanted = port.protocol.as_deref().unwrap_or("TCP");
    let matches = |candidate: &&ContainerPort| {
        candidate.name.as_ref() == Some(name) && candidate.protocol.as_deref().unwrap_or("TCP") == wanted
    };
    let spec = pod.spec.as_ref()?;
    let sidecars =
        spec.init_containers.iter().flatten().filter(|init| init.restart_policy.as_deref() == Some("Always"));
    let mut containers = spec.containers.iter().chain(sidecars);
    containers
        .find_map(|container| container.ports.iter().flatten().find(matches))
        .map(|port| port.container_port)
}

fn service_ports(service: &Service) -> &[ServicePort] {
    service.spec.as_ref().and_then(|spec| spec.ports.as_deref()).unwrap_or_default()
}

fn ports(service: &Service, pod: &Pod) -> Ports {
    let resolved = service_ports(service).iter().filter_map(|port| {
        let number = target_port(port, pod)?;
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        Some((port.name.clone().unwrap_or_default(), protocol, Some(number), port.app_protocol.clone()))
    });
    resolved.collect()
}

/// The endpoints that the Service's slices must hold. A terminating pod stays, as not ready, until it ends.
pub fn endpoints(service: &Service, pods: &[std::sync::Arc<Pod>]) -> ByPorts {
    let mut all = ByPorts::new();
    for pod in members(service, pods) {
        let (serving, terminating) = (pods::is_ready(pod), pods::is_terminating(pod));
        let endpoint = Endpoint {
            addresses: pod_ip(pod).map(str::to_owned).into_iter().collect(),
            conditions: Some(EndpointConditions {
                ready: Some(publishes_not_ready(service) || (serving && !terminating)),
                serving: Some(serving),
                terminating: Some(terminating),
            }),
            hostname: hostname(service, pod),
            node_name: node(pod),
            target_ref: Some(reference(pod)),
            ..Endpoint::default()
        };
        all.entry(ports(service, pod)).or_default().push(endpoint);
    }
    all
}

/// The subsets of the Service's Endpoints object. Terminating pods are not in it.
pub fn subsets(service: &Service, pods: &[std::sync::Arc<Pod>]) -> Vec<EndpointSubset> {
    let mut all: BTreeMap<Ports, (Vec<EndpointAddress>, Vec<EndpointAddress>)> = BTreeMap::new();
    for pod in members(service, pods) {
        if pods::is_terminating(pod) && !publishes_not_ready(service) {
            continue;
        }
        let address = EndpointAddress {
            ip: pod_ip(pod).unwrap_or_default().to_owned(),
            hostname: hostname(service, pod),
            node_name: node(pod),
            target_ref: Some(reference(pod)),
        };
        let (ready, not_ready) = all.entry(ports(service, pod)).or_default();
        let list = if publishes_not_ready(service) || pods::is_ready(pod) { ready } else { not_ready };
        list.push(address);
    }
    let some = |addresses: Vec<EndpointAddress>| (!addresses.is_empty()).then_some(addresses);
    let subset = |(ports, (ready, not_ready)): (Ports, _)| EndpointSubset {
        addresses: some(ready),
        not_ready_addresses: some(not_ready),
        ports: Some(ports.into_iter().filter_map(old_port).collect::<Vec<_>>())
            .filter(|ports| !ports.is_empty()),
    };
    all.into_iter().map(subset).collect()
}

fn old_port(
    (name, protocol, port, app_protocol): (String, String, Option<i32>, Option<String>),
) -> Option<OldPort> {
    let name = Some(name).filter(|name| !name.is_empty());
    Some(OldPort { name, protocol: Some(protocol), port: port?, app_protocol })
}

/// Ports as a slice writes them.
pub fn slice_ports(ports: &Ports) -> Vec<EndpointPort> {
    let port =
        |(name, protocol, port, app_protocol): &(String, String, Option<i32>, Option<String>)| EndpointPort {
            name: Some(name.clone()),
            protocol: Some(protocol.clone()),
            port: *port,
            app_protocol: app_protocol.clone(),
        };
    ports.iter().map(port).collect()
}

/// Ports of a slice in comparable form.
pub fn comparable(ports: &[EndpointPort]) -> Ports {
    let port = |port: &EndpointPort| {
        let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
        (port.name.clone().unwrap_or_default(), protocol, port.port, port.app_protocol.clone())
    };
    ports.iter().map(port).collect()
}

/// The endpoints of a hand-written Endpoints object, for mirroring.
pub fn mirrored(subsets: &[EndpointSubset]) -> ByPorts {
    let mut all = ByPorts::new();
    for subset in subsets {
        let ports = subset.ports.iter().flatten().map(|port| {
            let protocol = port.protocol.clone().unwrap_or_else(|| "TCP".to_owned());
            (port.name.clone().unwrap_or_default(), protocol, Some(port.port), port.app_protocol.clone())
        });
        let list = all.entry(ports.collect()).or_default();
        let endpoint = |address: &EndpointAddress, ready: bool| Endpoint {
            addresses: vec![address.ip.clone()],
            conditions: Some(EndpointConditions { ready: Some(ready), ..EndpointConditions::default() }),
            hostname: address.hostname.clone(),
            node_name: address.node_name.clone(),
            target_ref: address.target_ref.clone(),
            ..Endpoint::default()
        };
        list.extend(subset.addresses.iter().flatten().map(|address| endpoint(address, true)));
        list.extend(subset.not_ready_addresses.iter().flatten().map(|address| endpoint(address, false)));
    }
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;

    fn service(extra: Value) -> Service {
        let mut spec = json!({
            "selector": { "app": "web" },
            "ports": [{ "name": "http", "port": 80, "targetPort": "http" }, { "name": "raw", "port": 90 }],
        });
        spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(json!({ "metadata": { "name": "web", "namespace": "demo" }, "spec": spec }))
            .unwrap()
    }

    fn pod(name: &str, ip: &str, port: i32, extra: Value) -> Arc<Pod> {
        let mut object = json!({
            "metadata": { "name": name, "namespace": "demo", "uid": name, "labels": { "app": "web" } },
            "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "ports": [{ "name": "http", "containerPort": port }] }] },
            "status": { "phase": "Running", "podIP": ip, "conditions": [{ "type": "Ready", "status": "True" }] },
        });
        for (key, value) in extra.as_object().unwrap() {
            object[key].as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn conditions(all: &ByPorts) -> Vec<(String, bool, bool, bool)> {
        let of = |endpoint: &Endpoint| {
            let conditions = endpoint.conditions.clone().unwrap();
            let is = |condition: Option<bool>| condition.unwrap();
            (
                endpoint.addresses[0].clone(),
                is(conditions.ready),
                is(conditions.serving),
                is(conditions.terminating),
            )
        };
        all.values().flatten().map(of).collect()
    }

    fn not_ready() -> Value {
        json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } })
    }

    fn leaving() -> Value {
        json!({ "metadata": { "deletionTimestamp": "2026-01-01T00:00:00Z" } })
    }

    #[test]
    fn a_terminating_pod_is_serving_but_not_ready_and_leaves_the_endpoints_object() {
        let pods = [
            pod("a", "127.1.1.1", 8080, json!({})),
            pod("b", "127.1.1.2", 8080, leaving()),
            pod("c", "127.1.1.3", 8080, not_ready()),
        ];
        let expected = [
            ("127.1.1.1".to_owned(), true, true, false),
            ("127.1.1.2".to_owned(), false, true, true),
            ("127.1.1.3".to_owned(), false, false, false),
        ];
        assert_eq!(conditions(&endpoints(&service(json!({})), &pods)), expected);
        let subsets = subsets(&service(json!({})), &pods);
        let ips = |list: &Option<Vec<EndpointAddress>>| {
            list.iter().flatten().map(|a| a.ip.clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            (ips(&subsets[0].addresses), ips(&subsets[0].not_ready_addresses)),
            (vec!["127.1.1.1".into()], vec!["127.1.1.3".into()])
        );
    }

    #[test]
    fn publish_not_ready_addresses_makes_all_ready() {
        let pods = [pod("a", "127.1.1.1", 8080, leaving()), pod("c", "127.1.1.3", 8080, not_ready())];
        let all = endpoints(&service(json!({ "publishNotReadyAddresses": true })), &pods);
        assert!(conditions(&all).iter().all(|(_, ready, ..)| *ready));
    }

    #[test]
    fn ended_pods_pods_without_address_and_strangers_are_no_endpoints() {
        let ended = pod("a", "127.1.1.1", 8080, json!({ "status": { "phase": "Failed" } }));
        let stranger = pod("b", "127.1.1.2", 8080, json!({ "metadata": { "labels": { "app": "db" } } }));
        let new = pod("c", "", 8080, json!({}));
        assert!(endpoints(&service(json!({})), &[ended, stranger, new]).is_empty());
        let pods = [pod("a", "127.1.1.1", 8080, json!({}))];
        assert!(endpoints(&service(json!({ "selector": null })), &pods).is_empty());
    }

    #[test]
    fn a_named_target_port_may_differ_between_pods() {
        let pods = [pod("a", "127.1.1.1", 8080, json!({})), pod("b", "127.1.1.2", 9090, json!({}))];
        let all = endpoints(&service(json!({})), &pods);
        let numbers: Vec<Vec<Option<i32>>> =
            all.keys().map(|ports| ports.iter().map(|port| port.2).collect()).collect();
        assert_eq!(numbers, [[Some(8080), Some(90)], [Some(9090), Some(90)]]);
    }

    #[test]
    fn a_port_name_that_the_pod_does_not_have_is_left_out() {
        let service = service(json!({ "ports": [{ "name": "x", "port": 1, "targetPort": "nope" }] }));
        let all = endpoints(&service, &[pod("a", "127.1.1.1", 8080, json!({}))]);
        assert_eq!(all.keys().next().unwrap().len(), 0);
    }
}
