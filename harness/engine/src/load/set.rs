//! All loads of a run, from before the baseline to the end of the recovery.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use futures::future::join_all;
use harness_event::{EventKind, LoadPhase, Timestamp};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Load, LoadState, PreparedLoad, WorkerCommand};
use crate::log::Log;

/// Time beside ramp and warm-up for a load in the background to be answered as expected for the first time.
const FIRST_ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// All loads of a run. Dropping it kills the workers.
pub struct Loads {
    loads: Vec<Load>,
    drivers: JoinSet<()>,
    during: AtomicBool,
}

impl Loads {
    /// Starts all workers; none sends load yet. `abort` ends them without waiting for answers.
    pub fn launch(
        prepared: &[PreparedLoad],
        command: &WorkerCommand,
        log: &Log,
        abort: &CancellationToken,
    ) -> Self {
        let mut drivers = JoinSet::new();
        let launch = |load| Load::launch(load, command, log, abort, &mut drivers);
        let loads = prepared.iter().map(launch).collect();
        Self { loads, drivers, during: AtomicBool::new(false) }
    }

    /// Waits until every worker is ready, and every load in the background is answered as expected, ramp and warm-up over; since
    /// when, if there is one. On `Err` a run would prove nothing; the reason is for people.
    ///
    /// # Errors
    /// If a load fails or is not answered in time.
    pub async fn establish(&self) -> Result<Option<Timestamp>, String> {
        for load in &self.loads {
            let state = load.wait(|state| *state != LoadState::Starting).await;
            if let LoadState::Failed(error) = state {
                return Err(format!("load {:?} could not be set up: {error}", load.spec().name));
            }
        }
        let background = || self.loads.iter().filter(|load| load.spec().is_background());
        background().for_each(Load::start);
        for load in background() {
            let warm = load.spec().ramp.max(load.spec().warm_up);
            let answered = |state: &LoadState| match state {
                LoadState::Running { started_at, answered_at } => {
                    answered_at.is_some_and(|at| at >= *started_at + warm)
                }
                state => state.is_over(),
            };
            let limit = FIRST_ANSWER_LIMIT + warm.to_duration();
            if tokio::time::timeout(limit, load.wait(answered)).await.is_err() {
                return Err(format!("load {:?} is not answered as expected", load.spec().name));
            }
        }
        self.standing()?;
        Ok(background().next().map(|_| Timestamp::now()))
    }

    /// Ok while loads in the background run and all others wait to be started.
    ///
    /// # Errors
    /// What is not so, for people.
    pub fn standing(&self) -> Result<(), String> {
        self.loads.iter().try_for_each(|load| match load.state() {
            LoadState::Failed(error) => Err(format!("load {:?} failed: {error}", load.spec().name)),
            LoadState::Ended(_) | LoadState::Withdrawn => {
                Err(format!("load {:?} had ended before the baseline did", load.spec().name))
            }
            LoadState::Starting | LoadState::Ready | LoadState::Running { .. } => Ok(()),
        })
    }

    /// Loads that begin after the baseline.
    pub fn timed(&self) -> impl Iterator<Item = &Load> {
        self.loads.iter().filter(|load| !load.spec().is_background())
    }

    /// The first fault or timed load is about to begin. Only the first call does anything; it returns when the workers know.
    pub async fn begin_during(&self) {
        if !self.during.swap(true, Ordering::Relaxed) {
            self.phase(LoadPhase::During).await;
        }
    }

    /// The last fault is healed and the last timed load has ended.
    pub async fn begin_after(&self) {
        self.phase(LoadPhase::After).await;
    }

    async fn phase(&self, phase: LoadPhase) {
        let running = self.loads.iter().filter(|load| matches!(load.state(), LoadState::Running { .. }));
        join_all(running.map(|load| load.phase(phase))).await;
    }

    /// The facts that there would be if the running loads ended now.
    pub fn provisional(&self) -> Vec<EventKind> {
        self.loads.iter().flat_map(Load::provisional).collect()
    }

    /// True while any load sends requests.
    pub fn any_running(&self) -> bool {
        self.loads.iter().any(|load| matches!(load.state(), LoadState::Running { .. }))
    }

    /// Stops all loads and waits until what they did is recorded. May be called again.
    pub async fn stop(&mut self) {
        self.loads.iter().for_each(Load::stop);
        while self.drivers.join_next().await.is_some() {}
    }
}
