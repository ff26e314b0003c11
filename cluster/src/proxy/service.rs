//! What a Service asks of the proxy: pure.

use std::{
    collections::{BTreeSet, HashMap},
    net::{IpAddr, SocketAddr},
};

use k8s_openapi::api::{
    core::v1::{Service, ServicePort},
    discovery::v1::EndpointSlice,
};

use super::backends::Backends;

fn is_tcp(port: &ServicePort) -> bool {
    port.protocol.as_deref().unwrap_or("TCP") == "TCP"
}

/// Addresses to listen on, and where their connections go. Headless Services and ExternalNames have none.
pub fn ports(service: &Service, slices: &[&EndpointSlice]) -> HashMap<SocketAddr, Backends> {
    let Some(spec) = service.spec.as_ref().filter(|spec| spec.type_.as_deref() != Some("ExternalName"))
    else {
        return HashMap::new();
    };
    let Some(ip) = spec.cluster_ip.as_deref().and_then(|ip| ip.parse::<IpAddr>().ok()) else {
        return HashMap::new();
    };
    let served = spec.ports.iter().flatten().filter(|port| is_tcp(port)).filter_map(|port| {
        let number = u16::try_from(port.port).ok()?;
        Some((SocketAddr::new(ip, number), backends(port, slices)))
    });
    served.collect()
}

fn backends(port: &ServicePort, slices: &[&EndpointSlice]) -> Backends {
    let name = port.name.as_deref().unwrap_or_default();
    let (mut ready, mut known) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices {
        let number = slice.ports.iter().flatten().find(|candidate| {
            candidate.name.as_deref().unwrap_or_default() == name
                && candidate.protocol.as_deref().unwrap_or("TCP") == "TCP"
        });
        let Some(number) = number.and_then(|port| u16::try_from(port.port?).ok()) else { continue };
        for endpoint in slice.endpoints.iter().flatten() {
            let addresses = endpoint.addresses.iter().filter_map(|address| address.parse::<IpAddr>().ok());
            // No condition means ready.
            let is_ready =
                endpoint.conditions.as_ref().and_then(|conditions| conditions.ready).unwrap_or(true);
            for address in addresses.map(|ip| SocketAddr::new(ip, number)) {
                known.insert(address);
                if is_ready {
                    ready.insert(address);
                }
            }
        }
    }
    Backends { ready: ready.into_iter().collect(), known }
}

/// What the Service asks for and does not get, by name.
pub fn unsupported(service: &Service) -> Vec<String> {
    let Some(spec) = service.spec.as_ref() else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(type_ @ ("NodePort" | "LoadBalancer")) = spec.type_.as_deref() {
        found.push(format!("spec.type {type_} beyond its ClusterIP"));
    }
    if spec.session_affinity.as_deref() == Some("ClientIP") {
        found.push("spec.sessionAffinity ClientIP".to_owned());
    }
    if spec.external_ips.as_ref().is_some_and(|ips| !ips.is_empty()) {
        found.push("spec.externalIPs".to_owned());
    }
    for port in spec.ports.iter().flatten().filter(|port| !is_tcp(port)) {
        let protocol = port.protocol.as_deref().unwrap_or_default();
        found.push(format!("protocol {protocol} of port {}", port.port));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn service(spec: Value) -> Service {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    fn slice(ports: Value, endpoints: Value) -> EndpointSlice {
        serde_json::from_value(json!({ "addressType": "IPv4", "ports": ports, "endpoints": endpoints }))
            .unwrap()
    }

    #[test]
    fn connections_go_to_ready_endpoints_of_the_port_of_that_name() {
        let service = service(json!({
            "clusterIP": "127.64.130.1",
            "ports": [{ "name": "http", "port": 80 }, { "name": "dns", "port": 53, "protocol": "UDP" }],
        }));
        let first = slice(
            json!([{ "name": "http", "port": 8080 }, { "name": "other", "port": 1 }]),
            json!([
                { "addresses": ["127.64.1.1"], "conditions": { "ready": true } },
                { "addresses": ["127.64.1.2"], "conditions": { "ready": false, "serving": true, "terminating": true } },
            ]),
        );
        let second =
            slice(json!([{ "name": "http", "port": 9090 }]), json!([{ "addresses": ["127.64.1.3"] }]));
        let ports = ports(&service, &[&first, &second]);
        let backends = &ports[&"127.64.130.1:80".parse().unwrap()];
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(ports.len(), 1);
        assert_eq!(backends.ready, [address("127.64.1.1:8080"), address("127.64.1.3:9090")]);
        assert!(
            backends.known.contains(&address("127.64.1.2:8080")),
            "its connections stay until it is gone"
        );
    }

    #[test]
    fn headless_services_and_external_names_have_no_listener() {
        assert!(ports(&service(json!({ "clusterIP": "None", "ports": [{ "port": 80 }] })), &[]).is_empty());
        assert!(ports(&service(json!({ "type": "ExternalName", "externalName": "x" })), &[]).is_empty());
    }

    #[test]
    fn what_has_no_effect_is_named() {
        let service = service(json!({
            "type": "NodePort", "sessionAffinity": "ClientIP", "ports": [{ "port": 53, "protocol": "UDP" }],
        }));
        let expected = [
            "spec.type NodePort beyond its ClusterIP",
            "spec.sessionAffinity ClientIP",
            "protocol UDP of port 53",
        ];
        assert_eq!(unsupported(&service), expected);
    }
}
