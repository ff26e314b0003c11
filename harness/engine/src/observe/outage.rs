//! Outages of a watch, as facts.

use futures::{StreamExt, TryStreamExt};
use harness_event::EventKind;
use kube::runtime::watcher;

use crate::log::Log;

/// Passes events on; an outage is reported once, and once when it is over.
pub(super) fn report_outages<K>(
    stream: impl futures::Stream<Item = Result<watcher::Event<K>, watcher::Error>>,
    observer: &'static str,
    log: Log,
) -> impl futures::Stream<Item = watcher::Event<K>> {
    let mut failing = false;
    stream.into_stream().filter_map(move |item| {
        let passed = match item {
            // Only the watcher's intent to list again; nobody has answered yet.
            Ok(watcher::Event::Init) => Some(watcher::Event::Init),
            Ok(item) => {
                if std::mem::take(&mut failing) {
                    log.record(EventKind::ObserverRecovered { observer: observer.to_owned() });
                }
                Some(item)
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    log.record(EventKind::ObserverFailed {
                        observer: observer.to_owned(),
                        error: error.to_string(),
                    });
                }
                None
            }
        };
        futures::future::ready(passed)
    })
}
