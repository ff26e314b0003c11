//! Polls Prometheus for alerts that change their state: for the live view, and to know when to stop waiting. Never for a
//! verdict: what is shorter than the poll is not seen (rule C3).

use std::{collections::BTreeMap, time::Duration};

use futures::{Stream, stream};
use harness_event::{EventKind, Labels, Timestamp};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Prometheus, chain, rules::ActiveAlert};

/// Name of this observer in facts.
pub const ALERT_WATCH: &str = "alerts of Prometheus";

/// State changes of alerts as [`EventKind::AlertSeen`], for ever. Begins with the alerts that are active now. An outage is told
/// once as [`EventKind::ObserverFailed`], its end as [`EventKind::ObserverRecovered`].
pub fn watch_alerts(prometheus: Prometheus, every: Duration) -> impl Stream<Item = EventKind> + Send {
    let mut ticks = interval(every.max(Duration::from_millis(10)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let watch = Watch { prometheus, ticks, known: BTreeMap::new(), failing: false, ready: Vec::new() };
    stream::unfold(watch, |mut watch| async move {
        let event = watch.next().await;
        Some((event, watch))
    })
}

/// State, start and value of each active alert.
type Known = BTreeMap<Labels, Seen>;

#[derive(Clone, Debug)]
struct Seen {
    state: String,
    active_at: Option<Timestamp>,
    value: Option<String>,
}

struct Watch {
    prometheus: Prometheus,
    ticks: Interval,
    known: Known,
    failing: bool,
    /// Events still to be told, last first.
    ready: Vec<EventKind>,
}

impl Watch {
    async fn next(&mut self) -> EventKind {
        loop {
            if let Some(event) = self.ready.pop() {
                return event;
            }
            self.ticks.tick().await;
            match self.prometheus.alerts().await {
                Ok(alerts) => {
                    self.ready = changes(&mut self.known, alerts);
                    if std::mem::take(&mut self.failing) {
                        self.ready
                            .insert(0, EventKind::ObserverRecovered { observer: ALERT_WATCH.to_owned() });
                    }
                    self.ready.reverse();
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        return EventKind::ObserverFailed {
                            observer: ALERT_WATCH.to_owned(),
                            error: chain(&error),
                        };
                    }
                }
            }
        }
    }
}

/// Takes over a list of active alerts; returns what changed, ended alerts first.
fn changes(known: &mut Known, alerts: Vec<ActiveAlert>) -> Vec<EventKind> {
    let now: Known = alerts
        .into_iter()
        .map(|alert| {
            (alert.labels, Seen { state: alert.state, active_at: alert.active_at, value: alert.value })
        })
        .collect();
    let fact = |labels: &Labels, state: &str, seen: &Seen, value: Option<String>| EventKind::AlertSeen {
        labels: labels.clone(),
        state: state.to_owned(),
        active_at: seen.active_at,
        value,
    };
    // Another start means that it was inactive in between, even if no poll saw that.
    let continues = |labels: &Labels, since| now.get(labels).is_some_and(|found| found.active_at == since);
    let ended = known
        .iter()
        .filter(|(labels, last)| !continues(labels, last.active_at))
        .map(|(labels, last)| fact(labels, "inactive", last, None));
    // A value that changes with every evaluation is no news.
    let same = |last: &Seen, found: &Seen| (&last.state, last.active_at) == (&found.state, found.active_at);
    let changed = now
        .iter()
        .filter(|(labels, found)| !known.get(*labels).is_some_and(|last| same(last, found)))
        .map(|(labels, found)| fact(labels, &found.state, found, found.value.clone()));
    let events = ended.chain(changed).collect();
    *known = now;
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_changes_are_told() {
        let mut known = Known::new();
        let mut told = |alerts: &[(&str, &str, i64)]| {
            let alert = |(name, state, since): &(&str, &str, i64)| ActiveAlert {
                labels: Labels::from([("alertname".to_owned(), (*name).to_owned())]),
                state: (*state).to_owned(),
                active_at: Some(Timestamp(*since)),
                value: Some(format!("{since}e+00")),
            };
            let events = changes(&mut known, alerts.iter().map(alert).collect());
            let text = |event: &EventKind| match event {
                EventKind::AlertSeen { labels, state, active_at, value } => {
                    // An alert that has ended has no value any more, but a start.
                    assert_eq!(value.is_none(), state == "inactive");
                    assert!(active_at.is_some());
                    format!("{} {state}", labels["alertname"])
                }
                other => format!("{other:?}"),
            };
            events.iter().map(text).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(told(&[("A", "pending", 1)]), "A pending");
        assert_eq!(told(&[("A", "pending", 1), ("B", "firing", 2)]), "B firing");
        assert_eq!(told(&[("A", "firing", 1), ("B", "firing", 2)]), "A firing");
        assert_eq!(told(&[("A", "firing", 1), ("B", "firing", 9)]), "B inactive, B firing");
        assert_eq!(told(&[("A", "firing", 1)]), "B inactive");
        assert_eq!(told(&[("A", "firing", 1)]), "");
        assert_eq!(told(&[]), "A inactive");
    }
}
