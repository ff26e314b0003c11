//! What changes, as a watch tells it: also what a list after an interruption lacks, because it was deleted meanwhile.

use std::{collections::BTreeMap, fmt::Debug};

use futures::StreamExt;
use harness_event::EventKind;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio_util::sync::CancellationToken;

use super::outage::report_outages;
use crate::log::Log;

/// What a watch says about one object.
pub(super) enum Change<K> {
    /// It is so.
    Is(K),
    /// The object of this name was deleted.
    Gone(String),
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
    while let Some(Some(event)) = stop.run_until_cancelled(stream.next()).await {
        let changes = match event {
            watcher::Event::Init => {
                names.list_begins();
                Vec::new()
            }
            watcher::Event::InitApply(object) | watcher::Event::Apply(object) => {
                names.there(object.name_any());
                vec![Change::Is(object)]
            }
            watcher::Event::Delete(object) => {
                names.gone(&object.name_any());
                vec![Change::Gone(object.name_any())]
            }
            // Deleted while nobody watched.
            watcher::Event::InitDone => names.list_ends().into_iter().map(Change::Gone).collect(),
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
    names: BTreeMap<String, bool>,
}

impl Names {
    fn list_begins(&mut self) {
        self.names.values_mut().for_each(|listed| *listed = false);
    }

    fn there(&mut self, name: String) {
        self.names.insert(name, true);
    }

    fn gone(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Those that were there, but are not in the list.
    fn list_ends(&mut self) -> Vec<String> {
        let missing: Vec<String> =
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
        let mut names = Names::default();
        names.list_begins();
        names.there("a".into());
        names.there("b".into());
        assert!(names.list_ends().is_empty());
        names.list_begins();
        names.there("b".into());
        assert_eq!(names.list_ends(), ["a"]);
        names.list_begins();
        assert_eq!(names.list_ends(), ["b"]);
    }
}
