//! Gives out the starts of an open model when they are due.
//!
//! A thread of its own does it: the runtime's timers are good for a millisecond, which is as long as many an answer takes.

use std::{
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use harness_event::RateStage;
use tokio::sync::Semaphore;

use super::schedule::{Profile, Schedule};

/// Starts that are given out before users may take theirs: at whatever rate, they never wait for long.
const AT_ONCE: usize = 1000;

/// The starts of one load.
pub(super) struct Pacer {
    state: Mutex<State>,
    changed: Condvar,
    /// As many permits as there are starts that are due and have no user.
    due: Semaphore,
}

struct State {
    schedule: Schedule,
    /// Start of the load; none before.
    start: Option<Instant>,
    /// No start is due from here on, in seconds.
    end: f64,
    released: u64,
    taken: u64,
    over: bool,
}

/// How far the load has come in its schedule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Starts that were due.
    pub(super) due: u64,
    /// Age of the oldest one without a user; none if there is no such.
    pub(super) behind: Option<Duration>,
}

impl Pacer {
    /// A pacer for these stages, none of whose starts comes after `duration`.
    pub(super) fn new(stages: &[RateStage], duration: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                schedule: Schedule::new(Profile::new(stages)),
                start: None,
                end: duration.map_or(f64::INFINITY, |duration| duration.as_secs_f64()),
                released: 0,
                taken: 0,
                over: false,
            }),
            changed: Condvar::new(),
            due: Semaphore::new(0),
        })
    }

    /// Starts the schedule.
    pub(super) fn start(self: &Arc<Self>, at: Instant) -> std::io::Result<()> {
        self.lock().start = Some(at);
        let pacer = Arc::clone(self);
        thread::Builder::new().name("pacer".to_owned()).spawn(move || pacer.run())?;
        Ok(())
    }

    fn run(&self) {
        let mut state = self.lock();
        while !state.over {
            let now = Instant::now();
            let mut due = 0;
            let next = loop {
                match state.next() {
                    Some(at) if at <= now && due < AT_ONCE => {
                        state.released += 1;
                        due += 1;
                    }
                    next => break next,
                }
            };
            if due > 0 {
                drop(state);
                self.due.add_permits(due);
                state = self.lock();
                // What has changed meanwhile was signalled to nobody.
                continue;
            }
            state = match next {
                Some(at) => {
                    self.changed
                        .wait_timeout(state, at.saturating_duration_since(now))
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Waits until a start is due that no other user has; false when the load is over. It is the caller's to [`Self::take`].
    pub(super) async fn wait(&self) -> bool {
        match self.due.acquire().await {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        }
    }

    /// When the oldest start that is due should have been. There is one for each [`Self::wait`].
    pub(super) fn take(&self) -> Instant {
        let mut state = self.lock();
        let at = state.time_of(state.taken).unwrap_or_else(Instant::now);
        state.taken += 1;
        let taken = state.taken;
        state.schedule.taken(taken);
        at
    }

    /// Multiplies the rate from now on.
    pub(super) fn set_factor(&self, factor: f64) {
        self.change(|schedule, now| schedule.set_factor(now, factor));
    }

    /// No starts from now on.
    pub(super) fn pause(&self) {
        self.change(Schedule::pause);
    }

    /// Goes on.
    pub(super) fn resume(&self) {
        self.change(Schedule::resume);
    }

    fn change(&self, change: impl FnOnce(&mut Schedule, f64)) {
        let mut state = self.lock();
        let now = state.start.map_or(0.0, |start| start.elapsed().as_secs_f64());
        change(&mut state.schedule, now);
        drop(state);
        self.changed.notify_all();
    }

    /// No more starts, also of those that are due.
    pub(super) fn stop(&self) {
        self.lock().over = true;
        self.changed.notify_all();
        self.due.close();
    }

    /// How far it has come.
    pub(super) fn progress(&self, now: Instant) -> Progress {
        let state = self.lock();
        let oldest = state.time_of(state.taken).filter(|_| !state.over);
        let behind = oldest.and_then(|at| now.checked_duration_since(at));
        Progress { due: state.released, behind }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn next(&self) -> Option<Instant> {
        self.time_of(self.released)
    }

    fn time_of(&self, number: u64) -> Option<Instant> {
        let at = self.schedule.time_of(number).filter(|at| *at < self.end)?;
        // A start that is years away never is due.
        self.start?.checked_add(Duration::try_from_secs_f64(at).ok()?)
    }
}
