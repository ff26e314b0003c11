//! The lines of all objects of one kind, kept up to date by a watch.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::StreamExt;
use kube::{
    Api, Client, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;

use super::family::{Family, Lines};
use crate::metrics::Exposition;

/// Namespace and name.
type Key = (String, String);

/// Lines of a kind.
#[derive(Debug)]
pub struct Table {
    families: &'static [Family],
    objects: RwLock<BTreeMap<Key, Box<[Box<str>]>>>,
    listed: AtomicBool,
}

impl Table {
    /// An empty table.
    pub fn new(families: &'static [Family]) -> Arc<Self> {
        Arc::new(Self { families, objects: RwLock::default(), listed: AtomicBool::new(false) })
    }

    /// True once all objects are known, or the kind is known not to be served.
    pub fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    /// Writes the families that have lines.
    pub fn write(&self, out: &mut Exposition) {
        let objects = self.objects.read().unwrap_or_else(PoisonError::into_inner);
        for (index, family) in self.families.iter().enumerate() {
            let mut lines = objects.values().map(|object| &*object[index]).filter(|lines| !lines.is_empty());
            let Some(first) = lines.next() else { continue };
            out.family(family.name, family.kind, family.help);
            out.lines(first);
            lines.for_each(|lines| out.lines(lines));
        }
    }

    /// Keeps the table up to date, for ever. A kind that is not served has no lines; its watch is tried again.
    pub async fn follow<K>(self: Arc<Self>, client: Client, describe: fn(&K) -> Lines)
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static,
    {
        let mut events = watcher(Api::<K>::all(client), watcher::Config::default().any_semantic())
            .default_backoff()
            .boxed();
        let key = |object: &K| (object.namespace().unwrap_or_default(), object.name_any());
        let mut listed = BTreeMap::new();
        while let Some(event) = events.next().await {
            match event {
                Ok(watcher::Event::Init) => listed.clear(),
                Ok(watcher::Event::InitApply(object)) => {
                    listed.insert(key(&object), describe(&object).finish());
                }
                Ok(watcher::Event::InitDone) => {
                    *self.lock() = std::mem::take(&mut listed);
                    self.listed.store(true, Ordering::Release);
                }
                Ok(watcher::Event::Apply(object)) => {
                    let lines = describe(&object).finish();
                    self.lock().insert(key(&object), lines);
                }
                Ok(watcher::Event::Delete(object)) => {
                    self.lock().remove(&key(&object));
                }
                Err(error) => {
                    if is_not_served(&error) {
                        self.listed.store(true, Ordering::Release);
                    }
                    tracing::debug!(kind = %K::kind(&()), %error, "watch for metrics failed, retrying");
                }
            }
        }
    }

    fn lock(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<Key, Box<[Box<str>]>>> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_not_served(error: &watcher::Error) -> bool {
    matches!(error, watcher::Error::InitialListFailed(kube::Error::Api(status)) if status.code == 404)
}
