//! The mailbox between the run and its view.
//!
//! Senders never wait: a run is not slowed down by a terminal. What is a step of the run is never dropped. When more than
//! [`MERGE_ABOVE`] messages wait, telemetry of the same thing is merged, the latest wins, and the number of those that are gone is
//! shown in the header.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crossterm::event::KeyEvent;
use harness_event::{Event, EventKind, Millis, RunState, Verdict};

use crate::{Playback, Reply};

/// So many messages may wait before telemetry is merged.
pub const MERGE_ABOVE: usize = 10_000;

/// What the view's thread gets.
#[derive(Clone, Debug)]
pub enum Message {
    /// A fact of the run.
    Event(Box<Event>),
    /// An answer to a request.
    Reply(Reply),
    /// What the run proved.
    Concluded(Box<Verdict>),
    /// What the host is doing.
    Progress(String),
    /// The run is over: no more facts come.
    Closed,
    /// The view is to end now, whatever it shows.
    Leave,
    /// Every sender is gone although nobody said that the run is over.
    Orphaned,
    /// The state as a whole: a replay moved.
    Replaced(Box<RunState>),
    /// Where a replay is.
    Playback(Playback),
    /// A key.
    Key(KeyEvent),
    /// The terminal's new size, in columns and rows.
    Resized(u16, u16),
    /// Time since the view's start.
    Tick(Duration),
    /// The keyboard cannot be read any more; why.
    InputLost(String),
    /// Another thread panicked; what it said.
    Panicked(String),
}

/// Makes a mailbox.
#[must_use]
pub fn channel() -> (Sender, Feed) {
    let shared = Arc::new(Shared::default());
    (
        Sender { shared: Arc::clone(&shared), _host: Some(Arc::new(HostSide(Arc::clone(&shared)))) },
        Feed { shared },
    )
}

/// The run's end of the mailbox. Nothing here waits.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Arc<Shared>,
    /// Absent in the keyboard's sender, which does not keep the run's side alive.
    _host: Option<Arc<HostSide>>,
}

/// The view's end of the mailbox.
#[derive(Debug)]
pub struct Feed {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
}

/// Dropped with the last of the host's senders.
#[derive(Debug)]
struct HostSide(Arc<Shared>);

impl Drop for HostSide {
    fn drop(&mut self) {
        let mut queue = self.0.lock();
        if !queue.closed {
            queue.push(Message::Orphaned);
        }
        drop(queue);
        self.0.filled.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A queue is whole after every push, so a panic elsewhere does not spoil it.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sender {
    /// A fact of the run.
    pub fn event(&self, event: Event) {
        self.push(Message::Event(Box::new(event)));
    }

    /// An answer to a request.
    pub fn reply(&self, reply: Reply) {
        self.push(Message::Reply(reply));
    }

    /// What the run proved.
    pub fn conclude(&self, verdict: Verdict) {
        self.push(Message::Concluded(Box::new(verdict)));
    }

    /// A line for what the host is doing: `rolling back database-down`.
    pub fn progress(&self, text: impl Into<String>) {
        self.push(Message::Progress(text.into()));
    }

    /// The run is over and all is as before. The view stays until the person leaves it, unless
    /// [`crate::Options::leave_when_over`] says otherwise or the person asked for the end.
    pub fn close(&self) {
        let mut queue = self.shared.lock();
        queue.closed = true;
        queue.push(Message::Closed);
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Ends the view without the person at the keys: the process is asked to end.
    pub fn leave(&self) {
        self.push(Message::Leave);
    }

    /// The state as a whole. Facts that wait are dropped: they are in it, or after it. For replays.
    pub fn replace(&self, state: RunState) {
        let mut queue = self.shared.lock();
        queue.forget_events();
        queue.push(Message::Replaced(Box::new(state)));
        drop(queue);
        self.shared.filled.notify_one();
    }

    /// Where a replay is.
    pub fn playback(&self, playback: Playback) {
        self.push(Message::Playback(playback));
    }

    pub(crate) fn push(&self, message: Message) {
        self.shared.lock().push(message);
        self.shared.filled.notify_one();
    }
}

impl Feed {
    /// Everything that waits, in order, and how many messages were merged since the last call. Waits until there is something,
    /// but no longer than `limit`.
    pub fn take(&self, limit: Duration) -> (Vec<Message>, u64) {
        let until = Instant::now() + limit;
        let mut queue = self.shared.lock();
        while queue.waiting == 0 {
            let now = Instant::now();
            if now >= until {
                break;
            }
            let woken = self.shared.filled.wait_timeout(queue, until - now);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.take()
    }

    /// For the keyboard: nobody takes it for a host that is still there.
    pub(crate) fn sender(&self) -> Sender {
        Sender { shared: Arc::clone(&self.shared), _host: None }
    }
}

/// What telemetry is about. Of messages with the same key only the latest matters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Load(String),
    Usage,
    Slo(String),
    Pod(String, String),
    Probe(String, String),
    Monitoring,
    Playback,
}

fn key_of(message: &Message) -> Option<Key> {
    let event = match message {
        Message::Event(event) => event,
        Message::Playback(_) => return Some(Key::Playback),
        _ => return None,
    };
    match &event.kind {
        EventKind::LoadSampled { load, .. } => Some(Key::Load(load.clone())),
        EventKind::PodsMeasured { .. } => Some(Key::Usage),
        EventKind::SloSampled(sample) => Some(Key::Slo(sample.slo.clone())),
        EventKind::PodObserved(pod) => Some(Key::Pod(pod.namespace.clone(), pod.pod.clone())),
        EventKind::ProbeAnswered { probe, step, .. } => Some(Key::Probe(probe.clone(), step.clone())),
        EventKind::MonitoringObserved { .. } => Some(Key::Monitoring),
        _ => None,
    }
}

/// Messages in order. One that was merged leaves a hole; holes are closed when they are too many.
#[derive(Debug, Default)]
struct Queue {
    slots: VecDeque<Option<Message>>,
    /// Messages that are there.
    waiting: usize,
    /// Places of telemetry, only while there is too much.
    places: Option<HashMap<Key, usize>>,
    merged: u64,
    closed: bool,
}

impl Queue {
    fn push(&mut self, message: Message) {
        if self.waiting >= MERGE_ABOVE {
            self.merge(&message);
        }
        self.slots.push_back(Some(message));
        self.waiting += 1;
    }

    /// Makes room for a message by taking out the one that it replaces. The latest goes to the end: order is kept.
    fn merge(&mut self, message: &Message) {
        let Some(key) = key_of(message) else { return };
        if self.slots.len() > 2 * self.waiting {
            self.slots.retain(Option::is_some);
            self.places = None;
        }
        if self.places.is_none() {
            self.index();
        }
        let next = self.slots.len();
        let places = self.places.get_or_insert_default();
        if let Some(place) = places.insert(key, next)
            && let Some(slot) = self.slots.get_mut(place)
            && slot.take().is_some()
        {
            self.waiting -= 1;
            self.merged += 1;
        }
    }

    fn index(&mut self) {
        let mut places = HashMap::new();
        for place in 0..self.slots.len() {
            let Some(key) = self.slots[place].as_ref().and_then(key_of) else { continue };
            if let Some(earlier) = places.insert(key, place) {
                self.slots[earlier] = None;
                self.waiting -= 1;
                self.merged += 1;
            }
        }
        self.places = Some(places);
    }

    fn forget_events(&mut self) {
        self.slots.retain(|slot| {
            slot.as_ref().is_some_and(|message| !matches!(message, Message::Event(_) | Message::Replaced(_)))
        });
        self.waiting = self.slots.len();
        self.places = None;
    }

    fn take(&mut self) -> (Vec<Message>, u64) {
        let messages = std::mem::take(&mut self.slots).into_iter().flatten().collect();
        self.waiting = 0;
        self.places = None;
        (messages, std::mem::take(&mut self.merged))
    }
}

/// How much of the run's time has passed, from the time of its facts and the time at which they came. Facts come late, never early:
/// so the smallest delay counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunClock {
    /// The run's time at the view's start.
    offset: Option<Millis>,
}

impl RunClock {
    /// A fact of this time came at that time since the view's start.
    pub fn heard(&mut self, elapsed: Millis, time: Duration) {
        let offset = elapsed - Millis::from(time);
        self.offset = Some(self.offset.map_or(offset, |known| known.max(offset)));
    }

    /// The run's time at that time since the view's start.
    pub fn at(self, time: Duration) -> Option<Millis> {
        self.offset.map(|offset| offset + Millis::from(time))
    }
}

#[cfg(test)]
mod tests {
    use harness_event::{LoadSample, Timestamp};

    use super::*;

    fn event(seq: u64, kind: EventKind) -> Event {
        Event { seq, at: Timestamp(0), elapsed: Millis(seq as i64), kind }
    }

    fn sampled(load: &str) -> EventKind {
        EventKind::LoadSampled { load: load.into(), sample: LoadSample::default() }
    }

    fn note() -> EventKind {
        EventKind::Note { text: "x".into() }
    }

    fn numbers(messages: &[Message]) -> Vec<u64> {
        let number = |message: &Message| match message {
            Message::Event(event) => Some(event.seq),
            _ => None,
        };
        messages.iter().filter_map(number).collect()
    }

    #[test]
    fn little_is_not_merged() {
        let (sender, feed) = channel();
        for seq in 0..100 {
            sender.event(event(seq, sampled("a")));
        }
        let (messages, merged) = feed.take(Duration::ZERO);
        assert_eq!((messages.len(), merged), (100, 0));
        assert_eq!(numbers(&messages), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn too_much_telemetry_is_merged_and_steps_of_the_run_are_not() {
        let (sender, feed) = channel();
        let many = 10 * MERGE_ABOVE as u64;
        for seq in 0..many {
            let kind = match seq % 100 {
                0 => note(),
                odd if odd % 2 == 1 => sampled("a"),
                _ => sampled("b"),
            };
            sender.event(event(seq, kind));
        }
        let (messages, merged) = feed.take(Duration::ZERO);
        let seen = numbers(&messages);
        assert_eq!(seen.len() as u64 + merged, many, "nothing is gone without being counted");
        assert!(seen.len() < 2 * MERGE_ABOVE, "{}", seen.len());
        let notes = seen.iter().filter(|seq| **seq % 100 == 0).count() as u64;
        assert_eq!(notes, many / 100, "every step of the run");
        assert!(seen.is_sorted(), "in order");
        assert!(seen.contains(&(many - 1)) && seen.contains(&(many - 2)), "the latest of each");
        assert_eq!(feed.take(Duration::ZERO).0.len(), 0);
    }

    #[test]
    fn a_replay_that_moves_drops_the_facts_that_wait() {
        let (sender, feed) = channel();
        sender.event(event(0, note()));
        sender.progress("x");
        sender.replace(RunState::default());
        sender.event(event(1, note()));
        let (messages, _) = feed.take(Duration::ZERO);
        assert!(matches!(messages[..], [Message::Progress(_), Message::Replaced(_), Message::Event(_)]));
    }

    #[test]
    fn a_host_that_goes_without_a_word_is_noticed() {
        let (sender, feed) = channel();
        let keyboard = feed.sender();
        let other = sender.clone();
        drop(sender);
        assert_eq!(feed.take(Duration::ZERO).0.len(), 0);
        drop(other);
        assert!(matches!(feed.take(Duration::ZERO).0[..], [Message::Orphaned]));
        drop(keyboard);

        let (sender, feed) = channel();
        sender.close();
        drop(sender);
        assert!(matches!(feed.take(Duration::ZERO).0[..], [Message::Closed]));
    }

    #[test]
    fn waiting_ends_when_something_comes() {
        let (sender, feed) = channel();
        let thread = std::thread::spawn(move || {
            sender.progress("x");
            sender
        });
        let (messages, _) = feed.take(Duration::from_secs(20));
        assert_eq!(messages.len(), 1);
        drop(thread.join());
    }

    #[test]
    fn the_runs_clock_goes_by_the_fact_that_came_soonest() {
        let mut clock = RunClock::default();
        assert_eq!(clock.at(Duration::from_secs(1)), None);
        clock.heard(Millis(1000), Duration::from_millis(500));
        clock.heard(Millis(1100), Duration::from_millis(2000));
        assert_eq!(clock.at(Duration::from_millis(3000)), Some(Millis(3500)));
    }
}
