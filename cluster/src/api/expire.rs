//! Events are kept for an hour after they were last seen, as `--event-ttl` has it on real servers.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::time::interval;

use super::{resources::collection, router::ApiServer};

/// Age at which an event goes.
const TTL: SignedDuration = SignedDuration::from_hours(1);
/// Time between two looks.
const PERIOD: Duration = Duration::from_secs(60);

/// Removes old events until the server shuts down.
pub async fn run(server: ApiServer) {
    let shutdown = server.shutdown_token();
    let mut ticks = interval(PERIOD);
    loop {
        tokio::select! {
            _ = ticks.tick() => remove_before(&server, Timestamp::now() - TTL),
            () = shutdown.cancelled() => return,
        }
    }
}

fn remove_before(server: &ApiServer, limit: Timestamp) {
    let store = server.store();
    for event in store.list(collection::EVENTS, None).1 {
        let value = event.value();
        if last_seen(&value).is_some_and(|seen| seen < limit) {
            // An event that is written again in this moment stays: it has just been seen.
            if let Err(error) = store.delete(collection::EVENTS, &event.key, event.revision, value) {
                tracing::debug!(%error, event = event.key.name, "an old event was not removed");
            }
        }
    }
}

fn last_seen(event: &Value) -> Option<Timestamp> {
    let times = [
        &event["lastTimestamp"],
        &event["eventTime"],
        &event["series"]["lastObservedTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    times.into_iter().filter_map(|time| time.as_str()?.parse::<Timestamp>().ok()).max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::{api::ApiServerConfig, net::Addresses};

    #[test]
    fn only_events_that_were_not_seen_for_long_are_removed() {
        let logs = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(5).unwrap(),
            logs: logs.path().to_owned(),
            shutdown: CancellationToken::new(),
        });
        let event = |name: &str, seen: &str| {
            let metadata =
                json!({"namespace": "default", "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"});
            server
                .store()
                .create(collection::EVENTS, json!({"metadata": metadata, "lastTimestamp": seen}))
                .unwrap();
        };
        event("old", "2026-01-01T01:00:00Z");
        event("fresh", "2026-01-01T03:00:00Z");
        remove_before(&server, "2026-01-01T02:00:00Z".parse().unwrap());
        let left = server.store().list(collection::EVENTS, None).1;
        assert_eq!(left.iter().map(|event| event.key.name.as_str()).collect::<Vec<_>>(), ["fresh"]);
    }
}
