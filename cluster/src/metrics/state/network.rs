//! The series of Services and Endpoints.

use k8s_openapi::api::core::v1::{Endpoints, Service};

use super::family::{Family, Lines, gauge, identity, text};

/// What is told about Services.
pub static SERVICES: [Family; 6] = [
    gauge("kube_service_info", "Information about service."),
    gauge("kube_service_created", "Unix creation timestamp"),
    gauge("kube_service_spec_type", "Type about service."),
    gauge("kube_service_spec_external_ip", "Service external ips. One series for each ip"),
    gauge("kube_service_status_load_balancer_ingress", "Service load balancer ingress status"),
    gauge("kube_service_deletion_timestamp", "Unix deletion timestamp"),
];

/// What is told about Endpoints.
pub static ENDPOINTS: [Family; 4] = [
    gauge("kube_endpoint_info", "Information about endpoint."),
    gauge("kube_endpoint_created", "Unix creation timestamp"),
    gauge("kube_endpoint_address", "Information about Endpoint available and non available addresses."),
    gauge("kube_endpoint_ports", "Information about the Endpoint ports."),
];

/// The lines of a Service.
pub fn service(object: &Service) -> Lines {
    let metadata = &object.metadata;
    let mut identity = identity("service", metadata);
    identity.push(("uid", text(&metadata.uid).to_owned()));
    let mut lines = Lines::new(&SERVICES, identity);
    lines.add_time("kube_service_created", &[], metadata.creation_timestamp.as_ref());
    lines.add_time("kube_service_deletion_timestamp", &[], metadata.deletion_timestamp.as_ref());
    let spec = object.spec.clone().unwrap_or_default();
    let labels = [
        ("cluster_ip", text(&spec.cluster_ip)),
        ("external_name", text(&spec.external_name)),
        ("load_balancer_ip", text(&spec.load_balancer_ip)),
        ("external_traffic_policy", text(&spec.external_traffic_policy)),
    ];
    lines.add("kube_service_info", &labels, 1);
    lines.add("kube_service_spec_type", &[("type", text(&spec.type_))], 1);
    for ip in spec.external_ips.iter().flatten() {
        lines.add("kube_service_spec_external_ip", &[("external_ip", ip)], 1);
    }
    let ingress = object.status.as_ref().and_then(|status| status.load_balancer.as_ref()?.ingress.as_ref());
    for point in ingress.into_iter().flatten() {
        let labels = [("ip", text(&point.ip)), ("hostname", text(&point.hostname))];
        lines.add("kube_service_status_load_balancer_ingress", &labels, 1);
    }
    lines
}

/// The lines of an Endpoints object.
pub fn endpoints(object: &Endpoints) -> Lines {
    let metadata = &object.metadata;
    let mut lines = Lines::new(&ENDPOINTS, identity("endpoint", metadata));
    lines.add("kube_endpoint_info", &[], 1);
    lines.add_time("kube_endpoint_created", &[], metadata.creation_timestamp.as_ref());
    for subset in object.subsets.iter().flatten() {
        for port in subset.ports.iter().flatten() {
            let number = port.port.to_string();
            let (protocol, name) = (text(&port.protocol), text(&port.name));
            let labels = [("port_name", name), ("port_protocol", protocol), ("port_number", &number)];
            lines.add("kube_endpoint_ports", &labels, 1);
            let ready = subset.addresses.iter().flatten().map(|address| (address, "true"));
            for (address, ready) in
                ready.chain(subset.not_ready_addresses.iter().flatten().map(|address| (address, "false")))
            {
                let labels = [
                    ("port_protocol", protocol),
                    ("port_number", &number),
                    ("port_name", name),
                    ("ip", &address.ip),
                    ("ready", ready),
                ];
                lines.add("kube_endpoint_address", &labels, 1);
            }
        }
    }
    lines
}
