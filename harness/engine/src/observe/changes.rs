//! What changes, as a watch tells it: also what a list after an interruption lacks, because it was deleted meanwhile.

use std::{collections::BTreeMap, fmt::Debug};

use futures::StreamExt;
use harness_event::EventKind;
use k8s_openapi::{NamespaceResourceScope, serde::de::DeserializeOwned};
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio_util::sync::CancellationToken;

use super::outage::report_outages;
use crate::log::Log;

/// Whose objects are watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those of one namespace. Facts have their plain names.
    Namespace(String),
    /// Those of all. Facts that have no field for the namespace put it before the name: `gallery/api`.
    All,
}

impl Scope {
    /// Objects of a kind.
    pub(super) fn api<K>(&self, client: &Client) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        match self {
            Self::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
            Self::All => Api::all(client.clone()),
        }
    }

    /// An object's name in facts that have no field for its namespace.
    pub(super) fn name(&self, key: &Key) -> String {
        match self {
            Self::Namespace(_) => key.name.clone(),
            Self::All => format!("{}/{}", key.namespace, key.name),
        }
    }
}

/// Names an object of some kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) namespace: String,
    pub(super) name: String,
}

impl Key {
    pub(super) fn of<K: Resource>(object: &K) -> Self {
        Self { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
    }
}

/// What a watch says about one object.
pub(super) enum Change<K> {
    /// It was so when the watch began.
    Was(K),
    /// It is so.
    Is(K),
    /// The object was deleted.
    Gone(Key),
}

/// Watches objects until told to stop, and records what `observe` makes of each change. An outage is recorded, and its end.
pub(super) async fn watch<K>(
    api: Api<K>,
    observer: &'static str,
    log: Log,
    stop: CancellationToken,
    mut observe: impl FnMut(Change<K>) -> Option<EventKind>,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    let mut stream = Box::pin(report_outages(stream.boxed(), observer, log.clone()));
    let mut names = Names::default();
    // True until the first list is complete.
    let mut first = true;
    while let Some(Some(event)) = stop.run_until_cancelled(stream.next()).await {
        let changes = match event {
            watcher::Event::Init => {
                names.list_begins();
                Vec::new()
            }
            watcher::Event::InitApply(object) if first => {
                names.there(Key::of(&object));
                vec![Change::Was(object)]
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                names.there(Key::of(&object));
                vec![Change::Is(object)]
            }
            watcher::Event::Delete(object) => {
                let key = Key::of(&object);
                names.gone(&key);
                vec![Change::Gone(key)]
            }
            // Deleted while nobody watched.
            watcher::Event::InitDone => {
                first = false;
                names.list_ends().into_iter().map(Change::Gone).collect()
            }
        };
        for change in changes {
            if let Some(kind) = observe(change) {
                log.record(kind);
            }
        }
    }
}

/// Names of the objects that are there, over lists and watches.
#[derive(Default)]
struct Names {
    /// True if it was in the list that is being read, or has come since.
    names: BTreeMap<Key, bool>,
}

impl Names {
    fn list_begins(&mut self) {
        self.names.values_mut().for_each(|listed| *listed = false);
    }

    fn there(&mut self, key: Key) {
        self.names.insert(key, true);
    }

    fn gone(&mut self, key: &Key) {
        self.names.remove(key);
    }

    /// Those that were there, but are not in the list.
    fn list_ends(&mut self) -> Vec<Key> {
        let missing: Vec<Key> =
            self.names.iter().filter(|(_, listed)| !**listed).map(|(name, _)| name.clone()).collect();
        missing.iter().for_each(|name| self.gone(name));
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_second_list_lacks_is_gone() {
        let key = |name: &str| Key { namespace: "default".into(), name: name.into() };
        let mut names = Names::default();
        names.list_begins();
        names.there(key("a"));
        names.there(key("b"));
        assert!(names.list_ends().is_empty());
        names.list_begins();
        names.there(key("b"));
        assert_eq!(names.list_ends(), [key("a")]);
        names.list_begins();
        assert_eq!(names.list_ends(), [key("b")]);
    }
}
