//! The harness's side: follows what arrives.

use std::time::{Duration, Instant};

use futures::{Stream, stream};
use harness_event::{Millis, Notification, Timestamp};

use super::{
    super::{Error, Upstream, chain},
    protocol::{Batch, PATH},
};

/// Length of one long poll: short enough for the time limits of proxies on the way.
const WAIT: Duration = Duration::from_secs(10);
/// Time for the answer beyond the wait.
const GRACE: Duration = Duration::from_secs(5);
/// Pause between attempts while the receiver is not there.
const RETRY: Duration = Duration::from_millis(250);

/// Questions for the receiver's clock; the quickest answer counts.
const CLOCK_ROUNDS: u32 = 3;

/// Where in the receiver's list a follower is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The receiver's process.
    pub instance: String,
    /// Number of the last notification that was seen.
    pub after: u64,
    /// How far the receiver's clock is ahead of ours; zero if the difference is within the error of the measurement.
    pub ahead: Millis,
}

impl Position {
    /// The notification with its time of arrival by our clock.
    pub(in super::super) fn on_our_clock(&self, mut notification: Notification) -> Notification {
        notification.received_at = notification.received_at - self.ahead;
        notification
    }
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
pub enum ReceiverEvent {
    /// A notification arrived.
    Received(Notification),
    /// The receiver does not answer (told once; it goes on trying).
    Failed(String),
    /// It answers again, and nothing is missing unless a [`ReceiverEvent::Gap`] follows.
    Recovered,
    /// Notifications may be missing: the receiver restarted, or dropped old ones.
    Gap(String),
}

/// An alert receiver.
#[derive(Clone, Debug)]
pub struct ReceiverClient {
    upstream: Upstream,
}

impl ReceiverClient {
    /// The receiver behind this upstream.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream }
    }

    /// The way to the receiver.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// `/readyz`.
    ///
    /// # Errors
    /// If it does not answer with success.
    pub async fn ready(&self) -> Result<(), Error> {
        self.upstream.get_text("/readyz").await.map(drop)
    }

    /// The end of the receiver's list: followers from here see only what is new.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn position(&self) -> Result<Position, Error> {
        let (mut shortest, mut ahead, mut round) = (Duration::MAX, Millis(0), 1);
        loop {
            let (sent_at, sent) = (Timestamp::now(), Instant::now());
            let batch = self.fetch(u64::MAX, Duration::ZERO).await?;
            let round_trip = sent.elapsed();
            if round_trip < shortest {
                (shortest, ahead) = (round_trip, clock_ahead(sent_at, round_trip, batch.now));
            }
            if round == CLOCK_ROUNDS {
                return Ok(Position { instance: batch.instance, after: batch.last, ahead });
            }
            round += 1;
        }
    }

    /// Notifications after a number; waits for one if there is none yet.
    ///
    /// # Errors
    /// If there is no usable answer.
    pub async fn fetch(&self, after: u64, wait: Duration) -> Result<Batch, Error> {
        let url = format!("{}{PATH}", self.upstream.base_url());
        let query = [("after", after.to_string()), ("wait", wait.as_millis().to_string())];
        let request = self.upstream.http().get(url).query(&query).timeout(wait + GRACE);
        let body = self.upstream.exchange(PATH, request).await?;
        serde_json::from_slice(&body).map_err(|error| self.upstream.unreadable(PATH, error))
    }

    /// Everything that arrives after a position, for ever. Outages are told and waited out.
    pub fn follow(&self, from: Position) -> impl Stream<Item = ReceiverEvent> + Send + use<> {
        let follower = Follower { client: self.clone(), position: from, failing: false, ready: Vec::new() };
        stream::unfold(follower, |mut follower| async move {
            let event = follower.next().await;
            Some((event, follower))
        })
    }
}

struct Follower {
    client: ReceiverClient,
    position: Position,
    failing: bool,
    /// Events still to be told, last first.
    ready: Vec<ReceiverEvent>,
}

impl Follower {
    async fn next(&mut self) -> ReceiverEvent {
        loop {
            if let Some(event) = self.ready.pop() {
                return event;
            }
            match self.client.fetch(self.position.after, WAIT).await {
                Ok(batch) => {
                    let mut events = Vec::new();
                    if std::mem::take(&mut self.failing) {
                        events.push(ReceiverEvent::Recovered);
                    }
                    self.position = advance(&self.position, batch, &mut events);
                    events.reverse();
                    self.ready = events;
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        return ReceiverEvent::Failed(chain(&error));
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Takes over a batch; returns the position after it.
fn advance(from: &Position, batch: Batch, events: &mut Vec<ReceiverEvent>) -> Position {
    if batch.instance != from.instance {
        events.push(ReceiverEvent::Gap(
            "the alert receiver was restarted; notifications that it had not passed on are lost".to_owned(),
        ));
        // Its numbers start again; what was answered belongs to the old count.
        return Position { instance: batch.instance, after: 0, ahead: from.ahead };
    }
    let mut after = from.after;
    for received in batch.notifications {
        if received.number != after + 1 {
            let lost = received.number - after - 1;
            events.push(ReceiverEvent::Gap(format!(
                "the alert receiver dropped {lost} notifications before they were read"
            )));
        }
        after = received.number;
        events.push(ReceiverEvent::Received(from.on_our_clock(received.notification)));
    }
    Position { instance: batch.instance, after, ahead: from.ahead }
}

/// The difference of the clocks, if it is more than the round trip can explain.
fn clock_ahead(sent_at: Timestamp, round_trip: Duration, theirs: Timestamp) -> Millis {
    let round_trip = Millis(round_trip.as_micros().div_ceil(1000) as i64);
    let ahead = theirs - (sent_at + Millis(round_trip.0 / 2));
    if ahead.0.abs() <= round_trip.0 / 2 + 1 { Millis(0) } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::{super::protocol::Received, *};

    fn batch(instance: &str, numbers: &[u64]) -> Batch {
        let notification = Notification {
            receiver: "r".into(),
            received_at: Timestamp(1),
            status: "firing".into(),
            alerts: vec![],
        };
        let received = |number: &u64| Received { number: *number, notification: notification.clone() };
        Batch {
            instance: instance.into(),
            now: Timestamp(0),
            last: 9,
            notifications: numbers.iter().map(received).collect(),
        }
    }

    fn told(from: (&str, u64), batch: Batch) -> (Position, Vec<&'static str>) {
        let mut events = Vec::new();
        let to = advance(
            &Position { instance: from.0.into(), after: from.1, ahead: Millis(0) },
            batch,
            &mut events,
        );
        let name = |event: &ReceiverEvent| match event {
            ReceiverEvent::Received(_) => "received",
            ReceiverEvent::Gap(_) => "gap",
            _ => "other",
        };
        (to, events.iter().map(name).collect())
    }

    #[test]
    fn times_are_told_by_our_clock() {
        let ahead = |ms, theirs| clock_ahead(Timestamp(1000), Duration::from_millis(ms), Timestamp(theirs)).0;
        assert_eq!((ahead(4, 1003), ahead(4, 999), ahead(4, 5002), ahead(20, 10)), (0, 0, 4000, -1000));
        let position = Position { instance: "a".into(), after: 3, ahead: Millis(4000) };
        let mut events = Vec::new();
        let mut late = batch("a", &[4]);
        late.notifications[0].notification.received_at = Timestamp(5000);
        assert_eq!(advance(&position, late, &mut events).ahead, Millis(4000));
        assert!(matches!(&events[0], ReceiverEvent::Received(one) if one.received_at == Timestamp(1000)));
    }

    #[test]
    fn gaps_and_restarts_are_noticed() {
        let at = |instance: &str, after| Position { instance: instance.into(), after, ahead: Millis(0) };
        assert_eq!(told(("a", 3), batch("a", &[4, 5])), (at("a", 5), vec!["received", "received"]));
        assert_eq!(told(("a", 3), batch("a", &[])), (at("a", 3), vec![]));
        assert_eq!(told(("a", 3), batch("a", &[7])), (at("a", 7), vec!["gap", "received"]));
        assert_eq!(
            told(("a", 3), batch("b", &[4])),
            (at("b", 0), vec!["gap"]),
            "old numbers mean nothing to a new process"
        );
    }
}
