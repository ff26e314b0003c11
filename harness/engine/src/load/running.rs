//! A load whose worker is running, as the conductor handles it.

use std::sync::{Arc, Mutex, PoisonError};

use harness_event::{EventKind, LoadPhase, LoadSpec, Timestamp};
use harness_load::Reason;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::{PreparedLoad, WorkerCommand, driver::Driver, measured::Measured, worker::Worker};
use crate::log::Log;

/// Where a load is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadState {
    /// The worker is starting; it does the setup steps.
    Starting,
    /// It waits to be started.
    Ready,
    /// It sends requests.
    Running {
        /// When its first user started.
        started_at: Timestamp,
        /// End of the last second in which a request was answered as expected.
        answered_at: Option<Timestamp>,
    },
    /// It came to its end.
    Ended(Timestamp),
    /// What it did cannot be told; why.
    Failed(String),
    /// It was stopped before it was started.
    Withdrawn,
}

impl LoadState {
    /// True once nothing more comes of it.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Ended(_) | Self::Failed(_) | Self::Withdrawn)
    }
}

/// A load whose worker is running.
pub struct Load {
    spec: LoadSpec,
    phases: mpsc::Sender<(LoadPhase, oneshot::Sender<()>)>,
    measured: Arc<Mutex<Measured>>,
    state: watch::Receiver<LoadState>,
    start: Mutex<Option<oneshot::Sender<()>>>,
    stop: CancellationToken,
}

impl Load {
    /// Starts the worker. That it cannot be started is a fact like any other failure.
    pub(super) fn launch(
        prepared: &PreparedLoad,
        command: &WorkerCommand,
        log: &Log,
        abort: &CancellationToken,
        drivers: &mut JoinSet<()>,
    ) -> Self {
        let spec = prepared.spec.clone();
        let measured = Arc::new(Mutex::new(Measured::new(&spec)));
        if !spec.is_background() {
            measured
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .phase(LoadPhase::During, Timestamp::now());
        }
        let (state, receiver) = watch::channel(LoadState::Starting);
        let (start, started) = oneshot::channel();
        let stop = CancellationToken::new();
        let (phases, told) = mpsc::channel(2);
        match Worker::start(command, &prepared.assignment) {
            Ok((worker, orders)) => {
                let driver = Driver {
                    spec: spec.clone(),
                    log: log.clone(),
                    measured: Arc::clone(&measured),
                    state,
                    start: started,
                    phases: told,
                    stop: stop.clone(),
                    abort: abort.clone(),
                };
                drivers.spawn(driver.drive(worker, orders));
            }
            Err(error) => {
                let error = format!("its worker ({}) cannot be started: {error}", command.program.display());
                log.record(EventKind::LoadFailed { load: spec.name.clone(), error: error.clone() });
                state.send_replace(LoadState::Failed(error));
            }
        }
        Self { spec, phases, measured, state: receiver, start: Mutex::new(Some(start)), stop }
    }

    /// What the scenario says.
    pub fn spec(&self) -> &LoadSpec {
        &self.spec
    }

    /// Where it is now.
    pub fn state(&self) -> LoadState {
        self.state.borrow().clone()
    }

    /// Waits for a state.
    pub async fn wait(&self, mut wanted: impl FnMut(&LoadState) -> bool) -> LoadState {
        let mut state = self.state.clone();
        let found = state.wait_for(|state| wanted(state)).await.map(|state| state.clone());
        // The driver has gone without a word: it panicked, or was aborted with everything else.
        found.unwrap_or_else(|_| {
            let last = self.state();
            if last.is_over() { last } else { LoadState::Failed("its driver is gone".to_owned()) }
        })
    }

    /// Lets it begin. Only the first call does anything.
    pub fn start(&self) {
        let start = self.start.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(start) = start {
            // Nobody listens any more if it has failed.
            let _ = start.send(());
        }
    }

    /// Requests that start from now on count in this phase. Returns when the worker has been told, or cannot be.
    pub(super) async fn phase(&self, phase: LoadPhase) {
        let (told, done) = oneshot::channel();
        if self.phases.send((phase, told)).await.is_ok() {
            // That it could not be told fails the load; the driver says so.
            let _ = done.await;
        }
    }

    /// The facts that there would be if it ended now; none if it does not run.
    pub(super) fn provisional(&self) -> Vec<EventKind> {
        match self.state() {
            LoadState::Running { .. } => {
                let measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
                measured.facts(Timestamp::now(), Reason::Stopped)
            }
            _ => Vec::new(),
        }
    }

    /// Tells it to stop; the requests in flight may end. Does not wait.
    pub(super) fn stop(&self) {
        self.stop.cancel();
    }
}
