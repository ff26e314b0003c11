//! Spreads endpoints over EndpointSlices, touching as few of them as possible: pure.

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};

use super::compute::{ByPorts, Ports, comparable, slice_ports};

/// Endpoints in one slice at most (the default of kube-controller-manager).
const MAX_ENDPOINTS: usize = 100;

/// What to write. Slices to create carry endpoints and ports alone, the caller adds the metadata.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// New ones.
    pub create: Vec<EndpointSlice>,
    /// Existing ones with new content.
    pub update: Vec<EndpointSlice>,
    /// Existing ones that are no longer needed.
    pub delete: Vec<EndpointSlice>,
}

fn identity(endpoint: &Endpoint) -> (Option<&String>, Option<&String>) {
    (endpoint.addresses.first(), endpoint.target_ref.as_ref().and_then(|target| target.uid.as_ref()))
}

/// Compares the existing slices with the wanted endpoints. Endpoints stay in their slice, new ones are appended. One slice is
/// always kept, empty if need be.
pub fn plan(existing: &[EndpointSlice], wanted: ByPorts) -> Plan {
    let mut free: Vec<EndpointSlice> = Vec::new();
    let mut kept: Vec<(Ports, EndpointSlice)> = Vec::new();
    for slice in existing {
        let ports = comparable(slice.ports.as_deref().unwrap_or_default());
        if wanted.contains_key(&ports) {
            kept.push((ports, slice.clone()));
        } else {
            free.push(slice.clone());
        }
    }
    let mut plan = Plan::default();
    for (ports, mut endpoints) in wanted {
        for (_, slice) in kept.iter_mut().filter(|(of, _)| *of == ports) {
            let content = merge(slice.endpoints.as_deref().unwrap_or_default(), &mut endpoints);
            if content.is_empty() {
                free.push(slice.clone());
            } else if slice.endpoints.as_ref() != Some(&content) {
                slice.endpoints = Some(content);
                plan.update.push(slice.clone());
            }
        }
        // What is left goes where there is room, then into slices that are free, then into new ones.
        for (_, slice) in kept.iter_mut().filter(|(of, _)| *of == ports) {
            let present = slice.endpoints.get_or_insert_default();
            let room = MAX_ENDPOINTS.saturating_sub(present.len()).min(endpoints.len());
            let is_free = free.iter().any(|free| free.metadata.name == slice.metadata.name);
            if room == 0 || is_free {
                continue;
            }
            present.extend(endpoints.drain(..room));
            plan.update.retain(|updated| updated.metadata.name != slice.metadata.name);
            plan.update.push(slice.clone());
        }
        while !endpoints.is_empty() {
            let chunk: Vec<Endpoint> = endpoints.drain(..endpoints.len().min(MAX_ENDPOINTS)).collect();
            let content = |slice: EndpointSlice| EndpointSlice {
                endpoints: Some(chunk),
                ports: Some(slice_ports(&ports)),
                address_type: "IPv4".to_owned(),
                ..slice
            };
            match free.pop() {
                Some(slice) => plan.update.push(content(slice)),
                None => plan.create.push(content(EndpointSlice::default())),
            }
        }
    }
    let used = existing.len() - free.len() + plan.create.len();
    if used == 0 {
        match free.pop() {
            Some(slice) if slice.endpoints.as_ref().is_none_or(Vec::is_empty) => {}
            Some(slice) => plan.update.push(EndpointSlice { endpoints: None, ports: None, ..slice }),
            None => plan
                .create
                .push(EndpointSlice { address_type: "IPv4".to_owned(), ..EndpointSlice::default() }),
        }
    }
    plan.delete = free;
    plan
}

/// The endpoints of a slice that are still wanted, in their new condition. They are taken out of `wanted`.
fn merge(present: &[Endpoint], wanted: &mut Vec<Endpoint>) -> Vec<Endpoint> {
    let keep = present.iter().filter_map(|endpoint| {
        let at = wanted.iter().position(|candidate| identity(candidate) == identity(endpoint))?;
        Some(wanted.remove(at))
    });
    keep.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(port: i32) -> Ports {
        vec![("http".into(), "TCP".into(), Some(port), None)]
    }

    fn endpoints(range: std::ops::Range<u8>) -> Vec<Endpoint> {
        range.map(|at| Endpoint { addresses: vec![format!("127.1.1.{at}")], ..Endpoint::default() }).collect()
    }

    fn slice(name: &str, port: i32, range: std::ops::Range<u8>) -> EndpointSlice {
        let mut slice = EndpointSlice {
            address_type: "IPv4".into(),
            endpoints: Some(endpoints(range)),
            ports: Some(slice_ports(&ports(port))),
            ..EndpointSlice::default()
        };
        slice.metadata.name = Some(name.into());
        slice
    }

    fn addresses(slice: &EndpointSlice) -> Vec<&str> {
        slice.endpoints.iter().flatten().map(|endpoint| endpoint.addresses[0].as_str()).collect()
    }

    #[test]
    fn a_service_without_endpoints_has_one_empty_slice() {
        let created = plan(&[], ByPorts::new());
        assert_eq!((created.create.len(), created.update.len(), created.delete.len()), (1, 0, 0));
        let emptied = plan(&[slice("a", 80, 1..3)], ByPorts::new());
        assert_eq!((emptied.create.len(), emptied.update.len(), emptied.delete.len()), (0, 1, 0));
        assert_eq!(emptied.update[0].endpoints, None);
        assert_eq!(
            plan(&[emptied.update[0].clone()], ByPorts::new()),
            Plan::default(),
            "nothing to do again"
        );
    }

    #[test]
    fn the_empty_slice_is_the_first_to_be_filled() {
        let mut empty = slice("a", 80, 1..1);
        empty.ports = None;
        let filled = plan(&[empty], ByPorts::from([(ports(80), endpoints(1..3))]));
        assert_eq!((filled.create.len(), filled.update.len(), filled.delete.len()), (0, 1, 0));
        assert_eq!(addresses(&filled.update[0]), ["127.1.1.1", "127.1.1.2"]);
    }

    #[test]
    fn endpoints_keep_their_place_and_new_ones_are_appended() {
        let wanted = ByPorts::from([(ports(80), endpoints(2..5))]);
        let changed = plan(&[slice("a", 80, 3..7)], wanted.clone());
        assert_eq!(addresses(&changed.update[0]), ["127.1.1.3", "127.1.1.4", "127.1.1.2"]);
        assert_eq!(changed.update.len(), 1);
        assert_eq!(plan(&changed.update, wanted), Plan::default(), "nothing to do again");
    }

    #[test]
    fn a_full_slice_is_left_alone() {
        let first = slice("a", 80, 0..100);
        let more = plan(std::slice::from_ref(&first), ByPorts::from([(ports(80), endpoints(0..130))]));
        assert_eq!((more.create.len(), more.update.len(), more.delete.len()), (1, 0, 0));
        assert_eq!(addresses(&more.create[0]).len(), 30);
    }

    #[test]
    fn other_ports_take_over_the_slice_that_got_free() {
        let changed = plan(&[slice("a", 80, 1..3)], ByPorts::from([(ports(90), endpoints(1..3))]));
        assert_eq!((changed.create.len(), changed.update.len(), changed.delete.len()), (0, 1, 0));
        assert_eq!(comparable(changed.update[0].ports.as_deref().unwrap()), ports(90));
    }
}
