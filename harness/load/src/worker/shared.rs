//! What all users of a load have in common.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use harness_event::{LoadPhase, LoadSpec};
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsConnector;

use super::{clock::Clock, pacer::Pacer, record::Recorder, request::Requests, user::User};
use crate::Reason;

/// What users may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Mode {
    /// Wait for the start.
    Waiting,
    /// Send requests.
    Running,
    /// Wait until it goes on.
    Paused,
    /// Nothing any more.
    Over,
}

/// State of a load.
pub(super) struct Shared {
    /// The requests.
    pub(super) requests: Requests,
    /// For servers that want it.
    pub(super) tls: Option<TlsConnector>,
    /// Counts.
    pub(super) recorder: Recorder,
    /// Time.
    pub(super) clock: Clock,
    /// Starts of an open model.
    pub(super) pacer: Option<Arc<Pacer>>,
    /// Requests after which a connection is closed.
    pub(super) per_connection: Option<u32>,
    /// Sums of the steps' weights, up to each.
    pub(super) weights: Vec<u64>,
    /// The users, taken out of their place while they are busy.
    pub(super) users: Vec<Mutex<Option<Box<User>>>>,
    /// Users that wait for the start, and when the last one came.
    pub(super) arrived: AtomicUsize,
    pub(super) all_arrived: Notify,
    /// Users that are running.
    pub(super) running: AtomicU32,
    ramp: Duration,
    total: Option<u64>,
    tickets: AtomicU64,
    begun: AtomicU64,
    in_flight: AtomicUsize,
    start: OnceLock<Instant>,
    warm_up: Duration,
    phases: RwLock<Vec<(Instant, LoadPhase)>>,
    mode: AtomicU8,
    changes: watch::Sender<Mode>,
    reason: OnceLock<Reason>,
}

impl Shared {
    /// A load that waits for its start.
    pub(super) fn new(
        load: &LoadSpec,
        phase: LoadPhase,
        requests: Requests,
        tls: Option<TlsConnector>,
        shared_values: &[Option<String>],
        threads: usize,
    ) -> Arc<Self> {
        let clock = Clock::new();
        let weights = requests.steps.iter().scan(0, |sum, step| {
            *sum += u64::from(step.weight);
            Some(*sum)
        });
        let users = 0..load.users;
        Arc::new(Self {
            weights: weights.collect(),
            recorder: Recorder::new(requests.steps.len(), threads * 2),
            requests,
            tls,
            clock,
            pacer: load
                .is_open()
                .then(|| Pacer::new(&load.stages, load.duration.map(|duration| duration.to_duration()))),
            per_connection: load.requests_per_connection,
            users: users.map(|_| Mutex::new(Some(Box::new(User::new(shared_values.to_vec()))))).collect(),
            arrived: AtomicUsize::new(0),
            all_arrived: Notify::new(),
            running: AtomicU32::new(0),
            ramp: load.ramp.to_duration(),
            total: load.requests,
            tickets: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            start: OnceLock::new(),
            warm_up: load.warm_up.to_duration(),
            phases: RwLock::new(vec![(Instant::now(), phase)]),
            mode: AtomicU8::new(Mode::Waiting as u8),
            changes: watch::Sender::new(Mode::Waiting),
            reason: OnceLock::new(),
        })
    }

    /// What users may do now.
    pub(super) fn mode(&self) -> Mode {
        match self.mode.load(Ordering::SeqCst) {
            0 => Mode::Waiting,
            1 => Mode::Running,
            2 => Mode::Paused,
            _ => Mode::Over,
        }
    }

    /// Changes it, unless it is over.
    pub(super) fn set_mode(&self, mode: Mode) {
        self.changes.send_if_modified(|present| {
            let changed = *present != Mode::Over && *present != mode;
            if changed {
                *present = mode;
                self.mode.store(mode as u8, Ordering::SeqCst);
            }
            changed
        });
    }

    /// Starts the load.
    pub(super) fn begin(&self, at: Instant) -> std::io::Result<()> {
        if self.start.set(at).is_ok() {
            if let Some(pacer) = &self.pacer {
                pacer.start(at)?;
            }
            self.set_mode(Mode::Running);
        }
        Ok(())
    }

    /// Ends it: no new requests. The first reason counts.
    pub(super) fn end(&self, reason: Reason) {
        self.reason.get_or_init(|| reason);
        self.set_mode(Mode::Over);
        if let Some(pacer) = &self.pacer {
            pacer.stop();
        }
    }

    /// Why it has ended.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.reason.get().copied()
    }

    /// Waits until users may do one of these things.
    pub(super) async fn until(&self, wanted: impl Fn(Mode) -> bool) -> Mode {
        let mut changes = self.changes.subscribe();
        // The sender is a field of this: it is never gone.
        changes.wait_for(|mode| wanted(*mode)).await.map_or(Mode::Over, |mode| *mode)
    }

    /// Waits until the load is over.
    pub(super) async fn over(&self) {
        self.until(|mode| mode == Mode::Over).await;
    }

    /// When a user starts: all of them evenly over the ramp.
    pub(super) fn start_of(&self, user: usize) -> Instant {
        let start = self.start.get().copied().unwrap_or_else(Instant::now);
        start + self.ramp.mul_f64(user as f64 / self.users.len() as f64)
    }

    /// Lets a request begin, or says that there are none left. It has to be [`Self::finish`]ed.
    pub(super) fn try_begin(&self) -> bool {
        // First in flight, then the look whether it is over: whoever ends the load does it the other way round, so that no
        // request begins after it has seen that none is in flight.
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        if self.mode() == Mode::Over || !self.take_ticket() {
            self.finish();
            return false;
        }
        self.begun.fetch_add(1, Ordering::Relaxed);
        true
    }

    fn take_ticket(&self) -> bool {
        let Some(total) = self.total else { return true };
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed);
        if ticket + 1 >= total {
            self.end(Reason::Requests);
        }
        ticket < total
    }

    /// A request is over and counted.
    pub(super) fn finish(&self) {
        self.in_flight.fetch_sub(1, Ordering::SeqCst);
    }

    /// Requests that have begun and are not over.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    /// Requests that have begun.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// From now on it is this phase.
    pub(super) fn set_phase(&self, phase: LoadPhase) {
        let mut phases = self.phases.write().unwrap_or_else(PoisonError::into_inner);
        // A phase in which nothing can have started is replaced; the harness has a handful of them in a run.
        if phases.last().is_none_or(|(_, last)| *last != phase) {
            phases.push((Instant::now(), phase));
        }
    }

    /// The phase of a request that starts, or should have started, at this time.
    pub(super) fn phase_of(&self, start: Instant) -> LoadPhase {
        let warm_until = self.start.get().map(|begin| *begin + self.warm_up);
        if warm_until.is_some_and(|until| start < until) {
            return LoadPhase::WarmUp;
        }
        let phases = self.phases.read().unwrap_or_else(PoisonError::into_inner);
        let known = phases.iter().rev().find(|(from, _)| *from <= start).or(phases.first());
        known.map_or(LoadPhase::Before, |(_, phase)| *phase)
    }
}
