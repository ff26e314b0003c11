//! All objects of one resource, and the history of their changes.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use super::{Key, Stored};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was created.
    Added,
    /// It was changed.
    Modified,
    /// It was removed.
    Deleted,
}

/// One change, as watchers see it.
#[derive(Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The object afterwards; for a deletion its last state, with the version of the deletion.
    pub object: Arc<Stored>,
    /// The object before; none for a creation. Tells a watcher with a selector whether the object left or entered it.
    pub previous: Option<Arc<Stored>>,
}

impl Event {
    /// resourceVersion of the change.
    pub fn revision(&self) -> u64 {
        self.object.revision
    }
}

/// Bounds of a collection's history: it is cut when it exceeds the bytes, but never below the minimum number of events.
const HISTORY_BYTES: usize = 4 * 1024 * 1024;
const HISTORY_MIN_EVENTS: usize = 256;
const HISTORY_MAX_EVENTS: usize = 8192;

#[derive(Debug)]
pub(super) struct Collection {
    pub objects: BTreeMap<Key, Arc<Stored>>,
    history: VecDeque<Arc<Event>>,
    history_bytes: usize,
    /// Changes up to and including this version are no longer in the history.
    pub floor: u64,
}

impl Collection {
    pub fn new(floor: u64) -> Self {
        Self { objects: BTreeMap::new(), history: VecDeque::new(), history_bytes: 0, floor }
    }

    pub fn record(&mut self, event: Event) {
        self.history_bytes += event.object.json.len();
        self.history.push_back(Arc::new(event));
        while self.history.len() > HISTORY_MAX_EVENTS
            || (self.history_bytes > HISTORY_BYTES && self.history.len() > HISTORY_MIN_EVENTS)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(event) = self.history.pop_front() {
            self.history_bytes -= event.object.json.len();
            self.floor = event.revision();
        }
    }

    /// Drops the whole history, as etcd's compaction does.
    pub fn compact(&mut self) {
        while !self.history.is_empty() {
            self.forget_oldest();
        }
    }

    /// Up to `limit` changes after `revision`, oldest first; none if the history no longer reaches back that far.
    pub fn events_after(&self, revision: u64, limit: usize) -> Option<Vec<Arc<Event>>> {
        if revision < self.floor {
            return None;
        }
        let from = self.history.partition_point(|event| event.revision() <= revision);
        Some(self.history.iter().skip(from).take(limit).cloned().collect())
    }

    /// Objects of one namespace, or all, in key order.
    pub fn list(&self, namespace: Option<&str>) -> Vec<Arc<Stored>> {
        match namespace {
            None => self.objects.values().cloned().collect(),
            Some(namespace) => {
                let start = Bound::Included(Key::new(namespace, ""));
                let in_namespace = self.objects.range((start, Bound::Unbounded));
                in_namespace
                    .take_while(|(key, _)| key.namespace == namespace)
                    .map(|(_, object)| object.clone())
                    .collect()
            }
        }
    }

    /// The list as it was at `revision`: today's, with the later changes taken back.
    pub fn list_at(&self, namespace: Option<&str>, revision: u64) -> Option<Vec<Arc<Stored>>> {
        if revision < self.floor {
            return None;
        }
        let from = self.history.partition_point(|event| event.revision() <= revision);
        if from == self.history.len() {
            return Some(self.list(namespace));
        }
        let mut objects: BTreeMap<&Key, Arc<Stored>> = self
            .objects
            .iter()
            .filter(|(key, _)| namespace.is_none_or(|namespace| key.namespace == namespace))
            .map(|(key, object)| (key, object.clone()))
            .collect();
        for event in self.history.iter().skip(from).rev() {
            let key = &event.object.key;
            if namespace.is_some_and(|namespace| key.namespace != namespace) {
                continue;
            }
            match &event.previous {
                Some(previous) => objects.insert(key, previous.clone()),
                None => objects.remove(key),
            };
        }
        Some(objects.into_values().collect())
    }
}
