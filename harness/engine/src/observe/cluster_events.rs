//! Watches the Events of Kubernetes: what its parts say of what they do.

use std::collections::HashMap;

use harness_event::{ClusterEvent, EventKind, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::Client;
use tokio_util::sync::CancellationToken;

use super::{
    changes::{Change, Key, Scope, watch},
    redact::{plain, redact},
};
use crate::log::Log;

/// Name of this observer. No verdict looks at it.
pub const EVENT_OBSERVER: &str = "watch of Events";

/// Reports Events from now on, until told to stop. Those that were there before are of another time.
pub async fn watch_cluster_events(client: Client, scope: Scope, log: Log, stop: CancellationToken) {
    // How often each happened. Kubernetes removes Events after an hour, and then they are forgotten here, too.
    let mut known: HashMap<Key, i32> = HashMap::new();
    let observe = |change: Change<Event>| match change {
        Change::Was(event) => {
            known.insert(Key::of(&event), count(&event));
            None
        }
        Change::Is(event) => {
            let now = count(&event);
            let told = known.insert(Key::of(&event), now);
            (told != Some(now)).then(|| EventKind::ClusterEventSeen(cluster_event(&event)))
        }
        Change::Gone(key) => {
            known.remove(&key);
            None
        }
    };
    watch(scope.api(&client), EVENT_OBSERVER, log, stop, observe).await;
}

/// How often it happened; newer recorders count in a series.
pub(crate) fn count(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    event.count.or(series).unwrap_or(1).max(1)
}

/// An Event as facts have it.
pub(crate) fn cluster_event(event: &Event) -> ClusterEvent {
    let millis = |at: i64| Timestamp(at);
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let seen_at = series
        .or(event.event_time.as_ref())
        .map(|at| at.0.as_millisecond())
        .max(event.last_timestamp.as_ref().map(|at| at.0.as_millisecond()))
        .or_else(|| event.metadata.creation_timestamp.as_ref().map(|at| at.0.as_millisecond()));
    let object = &event.involved_object;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    ClusterEvent {
        namespace: object.namespace.clone().or_else(|| event.metadata.namespace.clone()).unwrap_or_default(),
        object: format!("{}/{}", text(&object.kind).to_lowercase(), text(&object.name)),
        severity: event.type_.clone().unwrap_or_else(|| "Normal".to_owned()),
        reason: text(&event.reason),
        message: redact(&plain(text(&event.message).trim())),
        count: count(event),
        seen_at: seen_at.map_or_else(Timestamp::now, millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::serde_json::{from_value, json};

    #[test]
    fn old_and_new_recorders_are_understood() {
        let old = json!({
            "metadata": { "name": "a", "namespace": "shop" }, "type": "Warning", "reason": "BackOff", "count": 4,
            "message": "back-off restarting\n", "firstTimestamp": "2026-11-21T10:00:00Z", "lastTimestamp": "2026-11-21T10:05:00Z",
            "involvedObject": { "kind": "Pod", "name": "web-1", "namespace": "shop" },
        });
        let seen = cluster_event(&from_value(old).unwrap());
        assert_eq!((seen.object.as_str(), seen.reason.as_str(), seen.count), ("pod/web-1", "BackOff", 4));
        assert_eq!((seen.severity.as_str(), seen.message.as_str()), ("Warning", "back-off restarting"));
        assert_eq!(Some(seen.seen_at), Timestamp::parse("2026-11-21T10:05:00Z"));
        let new = json!({
            "metadata": { "name": "b", "namespace": "shop" }, "reason": "Scheduled",
            "eventTime": "2026-11-21T10:00:00.250000Z",
            "series": { "count": 3, "lastObservedTime": "2026-11-21T10:01:00.500000Z" },
            "involvedObject": { "kind": "Pod", "name": "web-1" },
        });
        let seen = cluster_event(&from_value(new).unwrap());
        assert_eq!((seen.severity.as_str(), seen.count, seen.namespace.as_str()), ("Normal", 3, "shop"));
        assert_eq!(Some(seen.seen_at), Timestamp::parse("2026-11-21T10:01:00.500Z"));
    }
}
