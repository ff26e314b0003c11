//! The service discovery adapter against what Prometheus' own Kubernetes discovery made of the same objects (recorded).

use std::{collections::BTreeMap, sync::Arc};

use cluster::sd::{Objects, Role, TargetGroup, target_groups};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

type Labels = BTreeMap<String, String>;

/// A group as Prometheus holds it: labels in common, and targets with labels of their own.
#[derive(Deserialize)]
struct Recorded {
    labels: Labels,
    targets: Vec<Labels>,
}

fn objects() -> Objects {
    let all: Value = serde_json::from_str(include_str!("golden/sd/objects.json")).unwrap();
    fn read<K: DeserializeOwned>(all: &Value, kind: &str) -> Vec<Arc<K>> {
        let items: Vec<K> = serde_json::from_value(all[kind].clone()).unwrap();
        items.into_iter().map(Arc::new).collect()
    }
    Objects {
        pods: read(&all, "Pod"),
        services: read(&all, "Service"),
        endpoints: read(&all, "Endpoints"),
        slices: read(&all, "EndpointSlice"),
        nodes: read(&all, "Node"),
    }
}

fn recorded(role: &str) -> Vec<(String, Labels)> {
    let mut all: BTreeMap<String, Vec<Recorded>> =
        serde_json::from_str(include_str!("golden/sd/labels.json")).unwrap();
    let groups = all.remove(role).unwrap();
    let target = |common: &Labels, own: &Labels| {
        let mut labels: Labels =
            common.iter().chain(own).map(|(name, value)| (name.clone(), value.clone())).collect();
        (labels.remove("__address__").unwrap(), labels)
    };
    groups
        .iter()
        .flat_map(|group| group.targets.iter().map(|own| target(&group.labels, own)).collect::<Vec<_>>())
        .collect()
}

#[track_caller]
fn assert_same(role: &str) {
    let ours = target_groups(Role::parse(role).unwrap(), &objects(), &[]);
    let expected = recorded(role);
    assert!(!expected.is_empty());
    for (address, labels) in expected {
        let candidates: Vec<&TargetGroup> =
            ours.iter().filter(|group| group.targets == [address.clone()]).collect();
        let same = candidates.iter().any(|group| group.labels == labels);
        assert!(same, "{role} {address}: none of ours is {labels:#?}, but {candidates:#?}");
    }
}

#[test]
fn pods() {
    assert_same("pod");
}

#[test]
fn endpoints() {
    assert_same("endpoints");
}

#[test]
fn endpoint_slices() {
    assert_same("endpointslice");
}

#[test]
fn services() {
    assert_same("service");
}

#[test]
fn nodes() {
    assert_same("node");
}

#[test]
fn namespaces_are_filtered() {
    let count = |namespaces: &[&str]| {
        let namespaces: Vec<_> = namespaces.iter().map(|name| (*name).to_owned()).collect();
        target_groups(Role::Service, &objects(), &namespaces).len()
    };
    assert_eq!(count(&["demo"]), count(&[]));
    assert_eq!(count(&["elsewhere"]), 0);
}
