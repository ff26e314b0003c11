//! The store over all collections.

use std::{
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;
use tokio::sync::watch;

use super::{Event, EventKind, Key, Stored, collection::Collection};

/// Seconds from the Unix epoch to 2025-01-01, where resourceVersions start counting (see [`Store::new`]).
const REVISION_EPOCH: u64 = 1_735_689_600;
/// Versions set apart for each second since then.
const REVISIONS_PER_SECOND: u64 = 1000;

/// What a collection needs to know about its objects.
#[derive(Clone, Copy, Debug)]
pub struct CollectionSpec {
    /// JSON pointers of the selectable fields, extracted on each write.
    pub field_pointers: &'static [&'static str],
}

/// Why the store refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Create: the name is taken.
    #[error("the object already exists")]
    AlreadyExists,
    /// Update or delete: no such object.
    #[error("the object does not exist")]
    NotFound,
    /// Update or delete: another write came first.
    #[error("the object has been modified")]
    Conflict,
    /// The history no longer reaches back to the wanted version.
    #[error("the history starts after version {floor}")]
    Expired {
        /// Oldest version from which the history is complete.
        floor: u64,
    },
}

/// In-memory store with one resourceVersion counter. Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Last version given out. Only advanced under the write lock of the collection that gets it, so that whoever holds a
    /// collection's read lock sees all its changes up to the counter's value.
    revision: AtomicU64,
    collections: Vec<Slot>,
}

#[derive(Debug)]
struct Slot {
    spec: CollectionSpec,
    collection: RwLock<Collection>,
    changed: watch::Sender<u64>,
}

impl Store {
    /// An empty store. Versions start at a number derived from the clock, so that after a restart every version that a client
    /// still remembers is too old (410, list again) rather than one that looks like the future (silence).
    pub fn new(specs: impl IntoIterator<Item = CollectionSpec>) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let start = now.saturating_sub(REVISION_EPOCH).max(1) * REVISIONS_PER_SECOND;
        let slot = |spec| Slot {
            spec,
            collection: RwLock::new(Collection::new(start)),
            changed: watch::Sender::new(start),
        };
        let collections = specs.into_iter().map(slot).collect();
        Self { inner: Arc::new(Inner { revision: AtomicU64::new(start), collections }) }
    }

    /// Newest version in the whole store.
    pub fn revision(&self) -> u64 {
        self.inner.revision.load(Ordering::SeqCst)
    }

    /// One object.
    pub fn get(&self, collection: usize, key: &Key) -> Option<Arc<Stored>> {
        self.read(collection).objects.get(key).cloned()
    }

    /// Objects of one namespace, or all, with the version at which the list is true.
    pub fn list(&self, collection: usize, namespace: Option<&str>) -> (u64, Vec<Arc<Stored>>) {
        let guard = self.read(collection);
        (self.revision(), guard.list(namespace))
    }

    /// The list as it was at an earlier version.
    pub fn list_at(
        &self,
        collection: usize,
        namespace: Option<&str>,
        revision: u64,
    ) -> Result<Vec<Arc<Stored>>, StoreError> {
        let guard = self.read(collection);
        guard.list_at(namespace, revision).ok_or(StoreError::Expired { floor: guard.floor })
    }

    /// Adds an object. `value` carries its name (and namespace), no `kind` and `apiVersion`.
    pub fn create(&self, collection: usize, value: Value) -> Result<Arc<Stored>, StoreError> {
        let slot = self.slot(collection);
        let mut guard = write(&slot.collection);
        let key =
            Key::new(super::text_at(&value, "/metadata/namespace"), super::text_at(&value, "/metadata/name"));
        if guard.objects.contains_key(&key) {
            return Err(StoreError::AlreadyExists);
        }
        let object = Arc::new(Stored::new(value, self.next_revision(), slot.spec.field_pointers));
        guard.objects.insert(key, object.clone());
        self.publish(slot, guard, Event { kind: EventKind::Added, object: object.clone(), previous: None });
        Ok(object)
    }

    /// Replaces an object if it is still at version `expected`.
    pub fn update(
        &self,
        collection: usize,
        key: &Key,
        expected: u64,
        value: Value,
    ) -> Result<Arc<Stored>, StoreError> {
        let slot = self.slot(collection);
        let mut guard = write(&slot.collection);
        let previous = at_version(&guard, key, expected)?;
        let object = Arc::new(Stored::new(value, self.next_revision(), slot.spec.field_pointers));
        guard.objects.insert(key.clone(), object.clone());
        self.publish(
            slot,
            guard,
            Event { kind: EventKind::Modified, object: object.clone(), previous: Some(previous) },
        );
        Ok(object)
    }

    /// Removes an object if it is still at version `expected`; `last` is its last state, which watchers get.
    pub fn delete(
        &self,
        collection: usize,
        key: &Key,
        expected: u64,
        last: Value,
    ) -> Result<Arc<Stored>, StoreError> {
        let slot = self.slot(collection);
        let mut guard = write(&slot.collection);
        let previous = at_version(&guard, key, expected)?;
        let object = Arc::new(Stored::new(last, self.next_revision(), slot.spec.field_pointers));
        guard.objects.remove(key);
        self.publish(
            slot,
            guard,
            Event { kind: EventKind::Deleted, object: object.clone(), previous: Some(previous) },
        );
        Ok(object)
    }

    /// The object as a write would leave it, without writing: for dry runs.
    pub fn preview(&self, collection: usize, value: Value) -> Arc<Stored> {
        Arc::new(Stored::unwritten(value, self.slot(collection).spec.field_pointers))
    }

    /// Up to `limit` changes after `revision`, with the version up to which the answer is complete.
    pub fn events_after(
        &self,
        collection: usize,
        revision: u64,
        limit: usize,
    ) -> Result<(u64, Vec<Arc<Event>>), StoreError> {
        let guard = self.read(collection);
        let events = guard.events_after(revision, limit).ok_or(StoreError::Expired { floor: guard.floor })?;
        let upto = match events.last() {
            Some(last) if events.len() == limit => last.revision(),
            _ => self.revision(),
        };
        Ok((upto, events))
    }

    /// Tells when a collection changes; the value is the version of the last change.
    pub fn subscribe(&self, collection: usize) -> watch::Receiver<u64> {
        self.slot(collection).changed.subscribe()
    }

    /// Forgets all history: clients with an old version get 410 and list again. Real clusters do this every five minutes.
    pub fn compact(&self) {
        for slot in &self.inner.collections {
            let mut guard = write(&slot.collection);
            guard.compact();
            guard.floor = self.revision();
        }
    }

    fn next_revision(&self) -> u64 {
        self.inner.revision.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn publish(&self, slot: &Slot, mut guard: RwLockWriteGuard<'_, Collection>, event: Event) {
        let revision = event.revision();
        guard.record(event);
        drop(guard);
        // Two writers may get here out of order; the value must not go back, though waking is all that matters.
        slot.changed.send_modify(|last| *last = revision.max(*last));
    }

    fn slot(&self, collection: usize) -> &Slot {
        &self.inner.collections[collection]
    }

    fn read(&self, collection: usize) -> RwLockReadGuard<'_, Collection> {
        self.slot(collection).collection.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn write(collection: &RwLock<Collection>) -> RwLockWriteGuard<'_, Collection> {
    collection.write().unwrap_or_else(PoisonError::into_inner)
}

fn at_version(collection: &Collection, key: &Key, expected: u64) -> Result<Arc<Stored>, StoreError> {
    let current = collection.objects.get(key).ok_or(StoreError::NotFound)?;
    if current.revision == expected { Ok(current.clone()) } else { Err(StoreError::Conflict) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn store() -> Store {
        Store::new([CollectionSpec { field_pointers: &["/metadata/name"] }])
    }

    fn object(name: &str, data: i64) -> Value {
        json!({"metadata": {"namespace": "ns", "name": name}, "data": data})
    }

    #[test]
    fn an_update_with_an_old_version_conflicts_and_leaves_no_event() {
        let store = store();
        let first = store.create(0, object("a", 1)).unwrap();
        let second = store.update(0, &first.key, first.revision, object("a", 2)).unwrap();
        let refused = store.update(0, &first.key, first.revision, object("a", 3));
        assert_eq!(refused.unwrap_err(), StoreError::Conflict);
        let (upto, events) = store.events_after(0, first.revision, 10).unwrap();
        assert_eq!((upto, events.len()), (second.revision, 1));
    }

    #[test]
    fn a_list_at_an_earlier_version_takes_back_creations_changes_and_deletions() {
        let store = store();
        let a = store.create(0, object("a", 1)).unwrap();
        let b = store.create(0, object("b", 1)).unwrap();
        let then = store.revision();
        store.update(0, &a.key, a.revision, object("a", 2)).unwrap();
        store.delete(0, &b.key, b.revision, object("b", 1)).unwrap();
        store.create(0, object("c", 1)).unwrap();
        let names = |objects: Vec<Arc<Stored>>| {
            objects
                .iter()
                .map(|o| (o.key.name.clone(), o.value()["data"].as_i64().unwrap()))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(store.list_at(0, Some("ns"), then).unwrap()), [("a".into(), 1), ("b".into(), 1)]);
        assert_eq!(names(store.list(0, None).1), [("a".into(), 2), ("c".into(), 1)]);
    }

    #[test]
    fn history_is_bounded_and_says_when_it_no_longer_reaches_back() {
        let store = store();
        let first = store.create(0, object("a", 0)).unwrap();
        let mut last = first.clone();
        for round in 0..9000 {
            last = store.update(0, &first.key, last.revision, object("a", round)).unwrap();
        }
        assert!(matches!(store.events_after(0, first.revision, 1), Err(StoreError::Expired { .. })));
        assert_eq!(store.events_after(0, last.revision - 1, 10).unwrap().1.len(), 1);
    }

    #[test]
    fn compaction_expires_every_version_but_the_newest() {
        let store = store();
        let a = store.create(0, object("a", 1)).unwrap();
        store.create(0, object("b", 1)).unwrap();
        store.compact();
        assert!(store.list_at(0, None, a.revision).is_err());
        assert_eq!(store.list_at(0, None, store.revision()).unwrap().len(), 2);
    }
}
