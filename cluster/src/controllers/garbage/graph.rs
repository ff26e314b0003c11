//! Who owns whom.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::{Resource, discovery::ApiResource};

/// Finalizer of an object that waits until what it owns is gone.
pub const FOREGROUND: &str = "foregroundDeletion";
/// Finalizer of an object whose dependents have to be set free first.
pub const ORPHAN: &str = "orphan";

/// Unique id of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uid(pub String);

impl fmt::Display for Uid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// A kind whose objects can own or be owned.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// How to address it.
    pub resource: ApiResource,
    /// False for cluster-scoped kinds.
    pub namespaced: bool,
}

impl Kind {
    /// The kind of a generated type.
    pub fn of<K: Resource<DynamicType = ()>>(namespaced: bool) -> Self {
        Self { resource: ApiResource::erase::<K>(&()), namespaced }
    }
}

/// An object that owns, is owned, or is being deleted in one of the two special ways.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its kind.
    pub kind: Arc<Kind>,
    /// Its namespace, empty if cluster-scoped.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Who owns it.
    pub owners: Vec<OwnerReference>,
    /// True while it has a deletionTimestamp.
    pub deleting: bool,
    /// It waits for its dependents.
    pub foreground: bool,
    /// Its dependents have to be set free.
    pub orphan: bool,
}

#[derive(Debug, Default)]
struct State {
    // Every object that exists, as far as the watches have told.
    present: HashSet<Uid>,
    nodes: HashMap<Uid, Node>,
    dependents: HashMap<Uid, HashSet<Uid>>,
    kinds: Vec<Arc<Kind>>,
}

/// The graph of owners and dependents.
#[derive(Debug, Default)]
pub struct Graph {
    state: Mutex<State>,
}

impl Graph {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a kind known, so that owners of that kind can be looked up.
    pub fn add_kind(&self, kind: Kind) {
        self.lock().kinds.push(Arc::new(kind));
    }

    /// The kind that an owner reference names.
    pub fn kind(&self, owner: &OwnerReference) -> Option<Arc<Kind>> {
        let state = self.lock();
        // The version may differ from ours, the group may not.
        let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
        state
            .kinds
            .iter()
            .find(|kind| kind.resource.kind == owner.kind && kind.resource.group == group)
            .cloned()
    }

    /// Takes in an object; returns which objects have to be looked at.
    pub fn observe(&self, kind: &Arc<Kind>, object: &ObjectMeta) -> Vec<Uid> {
        let Some(uid) = object.uid.clone().map(Uid) else { return Vec::new() };
        let mut state = self.lock();
        state.present.insert(uid.clone());
        let owners = object.owner_references.clone().unwrap_or_default();
        let deleting = object.deletion_timestamp.is_some();
        let has = |finalizer: &str| object.finalizers.iter().flatten().any(|present| present == finalizer);
        let (foreground, orphan) = (deleting && has(FOREGROUND), deleting && has(ORPHAN));
        let before = state.nodes.get(&uid).map(|node| node.owners.clone()).unwrap_or_default();
        for gone in before.iter().filter(|old| owners.iter().all(|new| new.uid != old.uid)) {
            state.unlink(&Uid(gone.uid.clone()), &uid);
        }
        for owner in &owners {
            state.dependents.entry(Uid(owner.uid.clone())).or_default().insert(uid.clone());
        }
        let suspicious = owners.iter().any(|owner| {
            let owner = Uid(owner.uid.clone());
            !state.present.contains(&owner) || state.nodes.get(&owner).is_some_and(|node| node.foreground)
        });
        // An owner that waits for this one may wait no longer: it was set free, or its reference blocks no more.
        let released = before.iter().map(|owner| Uid(owner.uid.clone()));
        let waiting: Vec<Uid> =
            released.filter(|owner| state.nodes.get(owner).is_some_and(|node| node.foreground)).collect();
        if owners.is_empty() && !foreground && !orphan {
            state.nodes.remove(&uid);
            return waiting;
        }
        let node = Node {
            kind: Arc::clone(kind),
            namespace: object.namespace.clone().unwrap_or_default(),
            name: object.name.clone().unwrap_or_default(),
            owners,
            deleting,
            foreground,
            orphan,
        };
        state.nodes.insert(uid.clone(), node);
        let itself = (foreground || orphan || (suspicious && !deleting)).then_some(uid);
        itself.into_iter().chain(waiting).collect()
    }

    /// Forgets a deleted object; returns which objects have to be looked at: what it owned, and owners that wait for it.
    pub fn forget(&self, object: &ObjectMeta) -> Vec<Uid> {
        let Some(uid) = object.uid.clone().map(Uid) else { return Vec::new() };
        let mut state = self.lock();
        state.present.remove(&uid);
        let mut work: Vec<Uid> = state.dependents.get(&uid).into_iter().flatten().cloned().collect();
        if let Some(node) = state.nodes.remove(&uid) {
            for owner in node.owners {
                let owner = Uid(owner.uid);
                state.unlink(&owner, &uid);
                if state.nodes.get(&owner).is_some_and(|node| node.foreground) {
                    work.push(owner);
                }
            }
        }
        work
    }

    /// The node of that uid.
    pub fn node(&self, uid: &Uid) -> Option<Node> {
        self.lock().nodes.get(uid).cloned()
    }

    /// True if the watches show the object.
    pub fn is_present(&self, uid: &Uid) -> bool {
        self.lock().present.contains(uid)
    }

    /// What the object owns.
    pub fn dependents(&self, uid: &Uid) -> Vec<(Uid, Node)> {
        let state = self.lock();
        let uids = state.dependents.get(uid).into_iter().flatten();
        uids.filter_map(|uid| state.nodes.get(uid).map(|node| (uid.clone(), node.clone()))).collect()
    }
}

impl State {
    fn unlink(&mut self, owner: &Uid, dependent: &Uid) {
        if let Some(dependents) = self.dependents.get_mut(owner) {
            dependents.remove(dependent);
            if dependents.is_empty() {
                self.dependents.remove(owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ConfigMap;
    use serde_json::json;

    use super::*;

    fn meta(uid: &str, owners: &[&str], deletion: Option<&str>) -> ObjectMeta {
        let owners: Vec<_> = owners
            .iter()
            .map(|uid| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": uid, "uid": uid }))
            .collect();
        let deleted = deletion.map(|_| "2026-01-01T00:00:00Z");
        let finalizers: Vec<_> = deletion.into_iter().collect();
        serde_json::from_value(json!({
            "name": uid, "namespace": "demo", "uid": uid, "ownerReferences": owners,
            "deletionTimestamp": deleted, "finalizers": finalizers,
        }))
        .unwrap()
    }

    fn uids(names: &[&str]) -> Vec<Uid> {
        names.iter().map(|name| Uid((*name).to_owned())).collect()
    }

    #[test]
    fn only_what_may_be_garbage_is_looked_at() {
        let (graph, kind) = (Graph::default(), Arc::new(Kind::of::<ConfigMap>(true)));
        assert_eq!(graph.observe(&kind, &meta("owner", &[], None)), []);
        assert_eq!(graph.observe(&kind, &meta("child", &["owner"], None)), [], "its owner is there");
        assert_eq!(graph.observe(&kind, &meta("stray", &["nobody"], None)), uids(&["stray"]));
        assert_eq!(graph.forget(&meta("owner", &[], None)), uids(&["child"]));
    }

    #[test]
    fn a_waiting_owner_is_looked_at_when_a_dependent_goes() {
        let (graph, kind) = (Graph::default(), Arc::new(Kind::of::<ConfigMap>(true)));
        graph.observe(&kind, &meta("owner", &[], None));
        graph.observe(&kind, &meta("child", &["owner"], None));
        assert_eq!(graph.observe(&kind, &meta("owner", &[], Some(FOREGROUND))), uids(&["owner"]));
        assert_eq!(graph.dependents(&Uid("owner".into())).len(), 1);
        assert_eq!(graph.forget(&meta("child", &["owner"], None)), uids(&["owner"]));
        assert_eq!(graph.dependents(&Uid("owner".into())).len(), 0);
    }

    #[test]
    fn a_dependent_that_was_set_free_is_no_dependent() {
        let (graph, kind) = (Graph::default(), Arc::new(Kind::of::<ConfigMap>(true)));
        graph.observe(&kind, &meta("child", &["owner"], None));
        graph.observe(&kind, &meta("child", &[], None));
        assert_eq!(graph.forget(&meta("owner", &[], None)), []);
        assert!(graph.node(&Uid("child".into())).is_none(), "objects without owners cost nothing");
    }
}
