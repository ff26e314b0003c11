//! Shared, read-only caches of one kind each, filled by a watch.
//!
//! One [`Informer`] per kind serves every controller, as client-go's shared informers do. Handlers get the old and the new
//! state of an object, so that a controller sees what left it (a label that no longer matches, an owner that changed).

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
    hash::Hash,
    sync::{Arc, PoisonError, RwLock},
};

use futures::StreamExt;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Namespace and name of an object; the namespace is empty for cluster-scoped kinds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Namespace, empty for cluster-scoped kinds.
    pub namespace: String,
    /// Name.
    pub name: String,
}

impl ObjectKey {
    /// Key from its two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Key of an object.
    pub fn of<K: ResourceExt>(object: &K) -> Self {
        Self::new(object.namespace().unwrap_or_default(), object.name_any())
    }
}

impl std::fmt::Display for ObjectKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.namespace.is_empty() {
            true => out.write_str(&self.name),
            false => write!(out, "{}/{}", self.namespace, self.name),
        }
    }
}

/// One change of one object as a handler sees it. At least one side is present.
#[derive(Debug)]
pub struct Change<K> {
    /// State before, absent for a new object.
    pub old: Option<Arc<K>>,
    /// State after, absent for a deleted object.
    pub new: Option<Arc<K>>,
}

impl<K> Change<K> {
    /// The newest state known.
    pub fn latest(&self) -> Option<&Arc<K>> {
        self.new.as_ref().or(self.old.as_ref())
    }

    /// Both states, the old one first.
    pub fn states(&self) -> impl Iterator<Item = &Arc<K>> {
        self.old.iter().chain(self.new.iter())
    }
}

type Handler<K> = Box<dyn Fn(&Change<K>) + Send + Sync>;
type Objects<K> = BTreeMap<String, HashMap<String, Arc<K>>>;

struct Inner<K> {
    objects: RwLock<Objects<K>>,
    handlers: RwLock<Vec<Handler<K>>>,
    synced: watch::Sender<bool>,
}

/// Cache of all objects of one kind. Clones share the state.
pub struct Informer<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for Informer<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K> Default for Informer<K> {
    fn default() -> Self {
        let (synced, _) = watch::channel(false);
        Self { inner: Arc::new(Inner { objects: RwLock::default(), handlers: RwLock::default(), synced }) }
    }
}

impl<K: ResourceExt + Debug> Informer<K> {
    /// Calls `handler` for each later change, from the watching task: it must be quick and must not block.
    pub fn on_change(&self, handler: impl Fn(&Change<K>) + Send + Sync + 'static) {
        self.inner.handlers.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(handler));
    }

    /// One object.
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.read(|objects| objects.get(&key.namespace).and_then(|names| names.get(&key.name)).cloned())
    }

    /// All objects of a namespace, in no order.
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<K>> {
        self.read(|objects| {
            objects.get(namespace).map(|names| names.values().cloned().collect()).unwrap_or_default()
        })
    }

    /// All objects, by namespace.
    pub fn all(&self) -> Vec<Arc<K>> {
        self.read(|objects| objects.values().flat_map(HashMap::values).cloned().collect())
    }

    /// Resolves when the first list is complete.
    pub async fn synced(&self) {
        let mut receiver = self.inner.synced.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        let _ = receiver.wait_for(|synced| *synced).await;
    }

    fn read<T>(&self, use_it: impl FnOnce(&Objects<K>) -> T) -> T {
        use_it(&self.inner.objects.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts an object into the cache and tells the handlers. An object with the cached resourceVersion changes nothing.
    pub fn apply(&self, mut object: K) {
        // Nobody here reads it, and it is often larger than the rest of the object.
        object.meta_mut().managed_fields = None;
        let key = ObjectKey::of(&object);
        let new = Arc::new(object);
        let old = {
            let mut objects = self.inner.objects.write().unwrap_or_else(PoisonError::into_inner);
            objects.entry(key.namespace).or_default().insert(key.name, Arc::clone(&new))
        };
        if old.as_ref().is_some_and(|old| old.resource_version() == new.resource_version()) {
            return;
        }
        // A new uid under an old name: the deletion in between was not seen.
        match old {
            Some(old) if old.uid() != new.uid() => {
                self.tell(&Change { old: Some(old), new: None });
                self.tell(&Change { old: None, new: Some(new) });
            }
            old => self.tell(&Change { old, new: Some(new) }),
        }
    }

    /// Takes an object out of the cache and tells the handlers.
    pub fn delete(&self, object: K) {
        self.remove(&ObjectKey::of(&object), Some(object));
    }

    fn remove(&self, key: &ObjectKey, last: Option<K>) {
        let cached = {
            let mut objects = self.inner.objects.write().unwrap_or_else(PoisonError::into_inner);
            let cached = objects.get_mut(&key.namespace).and_then(|names| names.remove(&key.name));
            if objects.get(&key.namespace).is_some_and(HashMap::is_empty) {
                objects.remove(&key.namespace);
            }
            cached
        };
        let old = last.map(Arc::new).or(cached);
        self.tell(&Change { old, new: None });
    }

    fn tell(&self, change: &Change<K>) {
        for handler in self.inner.handlers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            handler(change);
        }
    }

    /// Makes the cache equal to a complete list.
    fn replace(&self, listed: Vec<K>) {
        let keys: std::collections::HashSet<ObjectKey> = listed.iter().map(ObjectKey::of).collect();
        let gone: Vec<ObjectKey> = self.read(|objects| {
            let keyed =
                objects.iter().flat_map(|(ns, names)| names.keys().map(move |name| ObjectKey::new(ns, name)));
            keyed.filter(|key| !keys.contains(key)).collect()
        });
        for key in gone {
            self.remove(&key, None);
        }
        for object in listed {
            self.apply(object);
        }
        self.inner.synced.send_replace(true);
    }
}

impl<K> Informer<K>
where
    K: Resource<DynamicType = ()> + ResourceExt + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
{
    /// Watches until the shutdown. Watch errors are retried with a back-off inside kube's watcher.
    pub async fn run(self, api: Api<K>, shutdown: CancellationToken) {
        let mut events = watcher(api, watcher::Config::default().any_semantic()).default_backoff().boxed();
        let mut listed = Vec::new();
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.next() => event,
            };
            match event {
                Some(Ok(watcher::Event::Init)) => listed.clear(),
                Some(Ok(watcher::Event::InitApply(object))) => listed.push(object),
                Some(Ok(watcher::Event::InitDone)) => self.replace(std::mem::take(&mut listed)),
                Some(Ok(watcher::Event::Apply(object))) => self.apply(object),
                Some(Ok(watcher::Event::Delete(object))) => self.delete(object),
                Some(Err(error)) => {
                    tracing::warn!(kind = %K::kind(&()), error = &error as &dyn std::error::Error, "watch failed, retrying");
                }
                None => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::ObjectMeta;

    use super::*;

    fn config_map(name: &str, uid: &str, version: &str) -> ConfigMap {
        let metadata = ObjectMeta {
            namespace: Some("demo".into()),
            name: Some(name.into()),
            uid: Some(uid.into()),
            resource_version: Some(version.into()),
            ..ObjectMeta::default()
        };
        ConfigMap { metadata, ..ConfigMap::default() }
    }

    /// Old and new resourceVersion of each change.
    type Seen = Arc<Mutex<Vec<(Option<String>, Option<String>)>>>;

    fn recorded(informer: &Informer<ConfigMap>) -> Seen {
        let seen = Seen::default();
        let sink = Arc::clone(&seen);
        informer.on_change(move |change| {
            let version = |object: &Option<Arc<ConfigMap>>| {
                object.as_ref().and_then(|object| object.resource_version())
            };
            sink.lock().unwrap().push((version(&change.old), version(&change.new)));
        });
        seen
    }

    #[test]
    fn a_relist_tells_what_changed_and_what_is_gone_and_nothing_else() {
        let informer = Informer::default();
        informer.replace(vec![
            config_map("a", "1", "1"),
            config_map("b", "2", "2"),
            config_map("c", "3", "3"),
        ]);
        let seen = recorded(&informer);
        informer.replace(vec![config_map("a", "1", "1"), config_map("b", "2", "9")]);
        let expected = vec![(Some("3".into()), None), (Some("2".into()), Some("9".into()))];
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_eq!(informer.in_namespace("demo").len(), 2);
    }

    #[test]
    fn a_new_uid_under_an_old_name_is_a_deletion_and_a_creation() {
        let informer = Informer::default();
        informer.apply(config_map("a", "1", "1"));
        let seen = recorded(&informer);
        informer.apply(config_map("a", "2", "5"));
        assert_eq!(*seen.lock().unwrap(), vec![(Some("1".into()), None), (None, Some("5".into()))]);
    }
}
