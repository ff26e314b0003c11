//! Ports that the manifests want to listen on: is a listener of the machine in the way?
//!
//! Pods and Services have loopback addresses of their own, so only a listener on the wildcard address blocks a port, and it
//! does so on all of them. The pods would crash in a loop then; it is better to say who holds the port beforehand.

use std::collections::BTreeSet;

use cluster::net_holder::{Holder, who_holds};
use serde_json::Value;

/// Listeners that are in the way.
pub fn held(objects: &[Value]) -> Vec<Holder> {
    wanted(objects).into_iter().filter_map(who_holds).collect()
}

/// Ports of containers and Services.
fn wanted(objects: &[Value]) -> BTreeSet<u16> {
    let port = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut ports = BTreeSet::new();
    for object in objects {
        if object["kind"] == "Service" {
            ports.extend(list(object.pointer("/spec/ports")).iter().filter_map(|one| port(&one["port"])));
        }
        for container in list(object.pointer("/spec/template/spec/containers")) {
            ports.extend(list(container.get("ports")).iter().filter_map(|one| port(&one["containerPort"])));
        }
    }
    ports
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_wildcard_listener_is_in_the_way_and_is_named() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let containers = json!([{ "ports": [{ "containerPort": port }] }, {}]);
        let deployment =
            json!({ "kind": "Deployment", "spec": { "template": { "spec": { "containers": containers } } } });
        let held = held(&[deployment]);
        assert_eq!(held.len(), 1);
        let holder = held[0].to_string();
        assert!(
            holder.contains(&port.to_string()) && holder.contains(&std::process::id().to_string()),
            "{holder}"
        );
    }

    #[test]
    fn a_listener_on_one_address_is_in_nobodys_way() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = json!({ "kind": "Service", "spec": { "ports": [{ "port": port }] } });
        assert_eq!(wanted(std::slice::from_ref(&service)), BTreeSet::from([port]));
        assert_eq!(held(&[service]), []);
    }
}
