//! The conversation with one worker, from its first word to its last.

use std::{
    process::ExitStatus,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use harness_event::{EventKind, LoadPhase, LoadSpec, Millis, Timestamp};
use harness_load::{Command as Order, Frame, Message, PROTOCOL_VERSION, Reason};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    measured::Measured,
    running::LoadState,
    worker::{Orders, Said, Worker},
};
use crate::log::Log;

/// Time for a worker to say hello, and time beside its setup steps to be ready.
const HELLO_LIMIT: Duration = Duration::from_secs(20);
/// Time from the order to start to the first user.
const START_LIMIT: Duration = Duration::from_secs(10);
/// A worker sends a frame each second. One that is silent for so long hangs.
pub(super) const SILENCE_LIMIT: Duration = Duration::from_secs(5);
/// What a worker may take beyond the time limit of its slowest request to end after it was told to, or after its time is over.
const END_SLACK: Duration = Duration::from_secs(5);
/// The same when the run is cancelled: nobody waits for the measurements.
const ABORT_LIMIT: Duration = Duration::from_secs(3);
/// Time for an order to get into the pipe.
const DELIVERY_LIMIT: Duration = Duration::from_secs(2);
/// Time from its last message to the end of the process.
const EXIT_LIMIT: Duration = Duration::from_secs(5);
/// Longest time of a load that is bounded by its number of requests alone.
pub(crate) const LONGEST: Millis = Millis::from_secs(600);

/// Why what a load did cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum DriveError {
    #[error(
        "its worker speaks version {found} of the protocol, not {PROTOCOL_VERSION}: it is another build of the program"
    )]
    Version { found: u32 },
    #[error("its worker sent nothing for {0}")]
    Silent(Millis),
    #[error("its worker was not ready {0} after it was started")]
    NotReady(Millis),
    #[error("its worker ended: {0}")]
    Died(String),
    #[error("its worker sent what cannot be understood: {0}")]
    Garbage(String),
    #[error("{0}")]
    Failed(String),
    #[error("its worker counts {said} requests, but its frames have {seen}")]
    Totals { said: u64, seen: u64 },
    #[error("of {begun} requests begun only {seen} are accounted for")]
    Unaccounted { begun: u64, seen: u64 },
    #[error("it ended ({0}) though nothing in the scenario ends it so")]
    Reason(&'static str),
    #[error("it did not end within {0} of being told to stop")]
    Stuck(Millis),
    #[error(
        "its {requests} requests were not done after {LONGEST}. Give it a `duration` if it may take longer"
    )]
    TooLong { requests: u64 },
    #[error("it went on for {0} after its duration was over")]
    Overtime(Millis),
    #[error("its worker cannot be told what to do: {0}")]
    Unwritable(#[from] std::io::Error),
}

/// How a conversation ended well.
pub(super) enum End {
    /// The load was never started.
    Withdrawn,
    /// The load came to its end at that time.
    Done(Timestamp),
}

/// One load and what its driver works with.
pub(super) struct Driver {
    pub(super) spec: LoadSpec,
    pub(super) log: Log,
    pub(super) measured: Arc<Mutex<Measured>>,
    pub(super) state: watch::Sender<LoadState>,
    pub(super) start: oneshot::Receiver<()>,
    /// Phases that begin, with whom to tell when the worker knows.
    pub(super) phases: mpsc::Receiver<(LoadPhase, oneshot::Sender<()>)>,
    /// Told to stop: the requests in flight may end.
    pub(super) stop: CancellationToken,
    /// The run is cancelled.
    pub(super) abort: CancellationToken,
}

impl Driver {
    /// Drives the worker to the load's end. Records what happens; the state changes after the facts are there.
    pub(super) async fn drive(mut self, mut worker: Worker, orders: Orders) {
        let result = self.converse(&mut worker, orders).await;
        let state = match result {
            Ok(End::Withdrawn) => {
                worker.kill().await;
                LoadState::Withdrawn
            }
            Ok(End::Done(at)) => LoadState::Ended(at),
            Err(error) => {
                worker.kill().await;
                let mut text = crate::monitor::chain(&error);
                let said = worker.last_words().await;
                if !said.is_empty() {
                    text = format!("{text}; it wrote: {said}");
                }
                self.log.record(EventKind::LoadFailed { load: self.spec.name.clone(), error: text.clone() });
                LoadState::Failed(text)
            }
        };
        self.state.send_replace(state);
    }

    async fn converse(&mut self, worker: &mut Worker, orders: Orders) -> Result<End, DriveError> {
        let (stop, abort) = (self.stop.clone(), self.abort.clone());
        let withdrawn = async {
            tokio::select! {
                () = stop.cancelled() => {}
                () = abort.cancelled() => {}
            }
        };
        tokio::select! {
            biased;
            begun = self.begin(worker, &orders) => begun?,
            () = withdrawn => return Ok(End::Withdrawn),
        }
        self.follow(worker, orders).await.map(End::Done)
    }

    /// Until the first user runs.
    async fn begin(&mut self, worker: &mut Worker, orders: &Orders) -> Result<(), DriveError> {
        match heard(worker, HELLO_LIMIT).await?.ok_or(DriveError::Silent(HELLO_LIMIT.into()))? {
            Message::Hello { protocol: PROTOCOL_VERSION } => {}
            Message::Hello { protocol } => return Err(DriveError::Version { found: protocol }),
            other => return Err(unexpected(&other, "hello")),
        }
        let setup: Millis = self.spec.setup.iter().map(|step| step.timeout).sum();
        let limit = HELLO_LIMIT + setup.to_duration();
        match heard(worker, limit).await?.ok_or(DriveError::NotReady(limit.into()))? {
            Message::Ready => {}
            other => return Err(unexpected(&other, "ready")),
        }
        self.state.send_replace(LoadState::Ready);
        tokio::select! {
            // The conductor is gone if nobody can start it any more: then it will be stopped.
            started = &mut self.start => if started.is_err() { std::future::pending::<()>().await },
            said = worker.next() => return Err(match message(worker, said).await {
                Ok(message) => unexpected(&message, "nothing before it is started"),
                Err(error) => error,
            }),
        }
        orders.send(&Order::Start)?;
        match heard(worker, START_LIMIT).await?.ok_or(DriveError::Silent(START_LIMIT.into()))? {
            Message::Started { started_at } => {
                self.measured().started(started_at);
                let load = self.spec.name.clone();
                self.log.record(EventKind::LoadStarted { load, started_at });
                let running = LoadState::Running { started_at, answered_at: None };
                self.state.send_replace(running);
                Ok(())
            }
            other => Err(unexpected(&other, "started")),
        }
    }

    /// From the first user to the last answer.
    async fn follow(&mut self, worker: &mut Worker, orders: Orders) -> Result<Timestamp, DriveError> {
        let slowest = self.spec.steps.iter().map(|step| step.timeout).max().unwrap_or_default().to_duration();
        let mut stop_reason = StopReason::None;
        let mut last = Instant::now();
        // When the load must have ended: by itself first, then because it was told to.
        let mut deadline = self.own_end().map(|end| last + end + slowest + END_SLACK);
        let mut limit = slowest + END_SLACK;
        loop {
            let overdue = async {
                match deadline {
                    Some(deadline) => sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            let said = tokio::select! {
                () = self.abort.cancelled(), if stop_reason != StopReason::Abort => {
                    if stop_reason == StopReason::None {
                        orders.send(&Order::Stop)?;
                    }
                    stop_reason = StopReason::Abort;
                    limit = ABORT_LIMIT;
                    deadline = Some(Instant::now() + limit);
                    continue;
                }
                () = self.stop.cancelled(), if stop_reason == StopReason::None => {
                    orders.send(&Order::Stop)?;
                    stop_reason = StopReason::Told;
                    deadline = Some(Instant::now() + limit);
                    continue;
                }
                Some((phase, told)) = self.phases.recv() => {
                    self.measured().phase(phase, Timestamp::now());
                    orders.deliver(&Order::Phase { phase }, DELIVERY_LIMIT).await?;
                    // Who wanted to know may have been cancelled.
                    let _ = told.send(());
                    continue;
                }
                said = worker.next() => said,
                () = overdue => {
                    if stop_reason != StopReason::None {
                        return Err(DriveError::Stuck(limit.into()));
                    }
                    return Err(match (super::length(&self.spec), self.spec.requests) {
                        (None, Some(requests)) => DriveError::TooLong { requests },
                        _ => DriveError::Overtime(limit.into()),
                    });
                }
                () = sleep_until(last + SILENCE_LIMIT) => return Err(DriveError::Silent(SILENCE_LIMIT.into())),
            };
            match message(worker, said).await? {
                Message::Frame(frame) => {
                    last = Instant::now();
                    self.frame(&frame)?;
                }
                Message::Done { reason, ended_at, requests } => {
                    self.check_end(reason, requests, stop_reason)?;
                    // With its input open: the end of that would mean that the harness is gone.
                    self.close(worker).await?;
                    drop(orders);
                    for fact in self.measured().facts(ended_at, reason) {
                        self.log.record(fact);
                    }
                    return Ok(ended_at);
                }
                other => return Err(unexpected(&other, "a frame")),
            }
        }
    }

    /// When the load ends by itself, counted from its start.
    fn own_end(&self) -> Option<Duration> {
        match super::length(&self.spec) {
            Some(length) => Some(length.to_duration()),
            None if self.spec.is_background() => None,
            None => Some(LONGEST.to_duration()),
        }
    }

    fn frame(&self, frame: &Frame) -> Result<(), DriveError> {
        let sample =
            self.measured().add(frame).map_err(|error| DriveError::Garbage(crate::monitor::chain(&error)))?;
        if sample.requests > sample.failed {
            let at = sample.from + sample.length;
            self.state.send_if_modified(|state| match state {
                LoadState::Running { answered_at, .. } => answered_at.replace(at) != Some(at),
                _ => false,
            });
        }
        self.log.record(EventKind::LoadSampled { load: self.spec.name.clone(), sample });
        Ok(())
    }

    /// Is it an end that the scenario, or we, have brought about, with every request accounted for?
    fn check_end(&self, reason: Reason, said: u64, stopped: StopReason) -> Result<(), DriveError> {
        let measured = self.measured();
        let (seen, begun) = (measured.requests(), measured.begun());
        if said != seen {
            return Err(DriveError::Totals { said, seen });
        }
        // Who cancels does not wait for answers.
        if begun != seen && stopped != StopReason::Abort {
            return Err(DriveError::Unaccounted { begun, seen });
        }
        match reason {
            Reason::Requests if self.spec.requests.is_none_or(|wanted| seen < wanted) => {
                Err(DriveError::Reason("requests"))
            }
            Reason::Duration if super::length(&self.spec).is_none() => Err(DriveError::Reason("duration")),
            Reason::Stopped if stopped == StopReason::None => Err(DriveError::Reason("stopped")),
            _ => Ok(()),
        }
    }

    /// Nothing comes after the last message, and the process ends well.
    async fn close(&self, worker: &mut Worker) -> Result<(), DriveError> {
        match timeout(EXIT_LIMIT, worker.next()).await {
            Ok(Said::Nothing) => {}
            Ok(Said::Message(message)) => return Err(unexpected(&message, "nothing after its last message")),
            Ok(Said::Garbage(garbage)) => return Err(DriveError::Garbage(garbage)),
            Err(_) => return Err(DriveError::Failed("its worker did not end after its last message".into())),
        }
        match timeout(EXIT_LIMIT, worker.exited()).await {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(status) => Err(DriveError::Died(ended(status))),
            Err(_) => Err(DriveError::Failed("its worker did not end after its last message".into())),
        }
    }

    fn measured(&self) -> MutexGuard<'_, Measured> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a worker was told to stop.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StopReason {
    None,
    Told,
    Abort,
}

/// The next message; none within the limit.
async fn heard(worker: &mut Worker, limit: Duration) -> Result<Option<Message>, DriveError> {
    match timeout(limit, worker.next()).await {
        Ok(said) => message(worker, said).await.map(Some),
        Err(_) => Ok(None),
    }
}

/// A message that is not the end.
async fn message(worker: &mut Worker, said: Said) -> Result<Message, DriveError> {
    match said {
        Said::Message(Message::Failed { error }) => Err(DriveError::Failed(error)),
        Said::Message(message) => Ok(message),
        Said::Garbage(garbage) => Err(DriveError::Garbage(garbage)),
        Said::Nothing => Err(match timeout(EXIT_LIMIT, worker.exited()).await {
            Ok(status) => DriveError::Died(ended(status)),
            Err(_) => DriveError::Died("it closed its output, but lives on".to_owned()),
        }),
    }
}

fn ended(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

fn unexpected(message: &Message, wanted: &str) -> DriveError {
    let name = match message {
        Message::Hello { .. } => "hello",
        Message::Ready => "ready",
        Message::Started { .. } => "started",
        Message::Frame(_) => "a frame",
        Message::Done { .. } => "done",
        Message::Failed { .. } => "failed",
    };
    DriveError::Garbage(format!("{name} where {wanted} was due"))
}
