//! The worker process: assignment, commands, frames.

use std::{
    panic,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use harness_event::Timestamp;
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time,
};

use super::{
    attack,
    body::Files,
    error::LoadError,
    pacer::Pacer,
    request::Requests,
    schedule::{Profile, Schedule},
    shared::{Mode, Shared},
    stdio::{self, Output},
    tls,
    user::{Context, User},
};
use crate::{Assignment, Command, Frame, Message, PROTOCOL_VERSION, Reason};

const DONE: u8 = 0;
const FAILED: u8 = 1;
/// Files that the worker has open beside its users' connections, with some to spare.
const OWN_FILES: u64 = 32;
/// The last starts of a schedule are due just before its end, and a busy machine takes a moment to wake their users. That is
/// no falling behind.
const LAST_STARTS: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_millis(5);
const FRAME: Duration = Duration::from_secs(1);

static PANIC: OnceLock<String> = OnceLock::new();
static PANICKED: Notify = Notify::const_new();

/// Carries out one load: reads an [`Assignment`] and [`Command`]s from standard input and writes [`Message`]s to standard
/// output. The result is the process' exit code: 0 if the load came to its end.
pub fn main() -> u8 {
    let mut output = match Output::take() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("load worker: can't take standard output: {error}");
            return FAILED;
        }
    };
    match prepare().and_then(|runtime| {
        let result = runtime.block_on(run(&mut output));
        // Users that wait for an answer must not hold up the exit.
        runtime.shutdown_background();
        result
    }) {
        Ok(()) => DONE,
        Err(error) => {
            let error = error.describe();
            eprintln!("load worker: {error}");
            // The harness may be what is gone.
            drop(output.send(&Message::Failed { error }));
            FAILED
        }
    }
}

fn prepare() -> Result<runtime::Runtime, LoadError> {
    // Ctrl-C in a terminal reaches the whole process group, and how a run ends is the harness' decision. goose installs a
    // handler too, one that stops its users and at the second time the process; it fails if there is one already.
    if let Err(error) = ctrlc::set_handler(|| {}) {
        eprintln!("load worker: Ctrl-C is not ignored: {error}");
    }
    watch_panics();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(threads()).enable_all().build()?;
    Ok(runtime)
}

/// From now on a panic anywhere in the process is noted. goose would go on with one user less, and say nothing.
fn watch_panics() {
    let default = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        default(info);
        PANIC.get_or_init(|| info.to_string().replace('\n', " "));
        PANICKED.notify_one();
    }));
}

/// Threads for the users: half of the machine, whose other half may be the system under test.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

async fn run(output: &mut Output) -> Result<(), LoadError> {
    let mut terminate = signal(SignalKind::terminate())?;
    output.send(&Message::Hello { protocol: PROTOCOL_VERSION })?;
    let mut lines = stdio::read()?;
    let assignment = tokio::select! {
        line = lines.recv() => read_assignment(&line.unwrap_or_default())?,
        _ = terminate.recv() => return Ok(()),
    };
    let shared = tokio::select! {
        shared = set_up(&assignment) => shared?,
        () = panicked() => return Err(broken()),
        _ = terminate.recv() => return Ok(()),
    };
    let load = &assignment.load;
    let (name, in_order) = (load.name.clone(), load.in_order);
    let goose = {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move { attack::execute(shared, &name, in_order).await })
    };
    let mut worker = Worker {
        shared,
        goose,
        lines,
        frames: Frames::default(),
        output,
        duration: load.duration.map(|duration| duration.to_duration()).or_else(|| end_of_stages(&assignment)),
    };
    let all_arrived = async { worker.shared.all_arrived.notified().await };
    tokio::select! {
        () = all_arrived => {}
        ended = &mut worker.goose => return Err(goose_ended(ended)),
        () = panicked() => return Err(broken()),
    }
    worker.output.send(&Message::Ready)?;
    worker.carry_out(&mut terminate).await
}

/// The stages' end is the load's, unless it goes on until it is told to stop.
fn end_of_stages(assignment: &Assignment) -> Option<Duration> {
    let load = &assignment.load;
    if load.is_background() {
        return None;
    }
    Profile::new(&load.stages).end().map(Duration::from_secs_f64)
}

fn read_assignment(line: &str) -> Result<Assignment, LoadError> {
    let value: serde_json::Value = serde_json::from_str(line).map_err(LoadError::Assignment)?;
    // Looked at first: what another version means by the rest is unknown.
    match value.get("protocol").and_then(serde_json::Value::as_u64) {
        Some(theirs) if theirs != u64::from(PROTOCOL_VERSION) => {
            return Err(LoadError::Version { theirs, ours: PROTOCOL_VERSION });
        }
        _ => {}
    }
    serde_json::from_value(value).map_err(LoadError::Assignment)
}

/// Allows as many open files as the system lets this process have, and gives their number; none if there is no limit. Each
/// user's connection is one.
fn raise_file_limit() -> Option<u64> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        eprintln!("load worker: the limit of open files stays as it is: {error}");
    }
    getrlimit(Resource::Nofile).current
}

async fn set_up(assignment: &Assignment) -> Result<Arc<Shared>, LoadError> {
    let load = &assignment.load;
    if load.users == 0 {
        return Err(LoadError::Needs("at least one user"));
    }
    if load.steps.is_empty() {
        return Err(LoadError::Needs("at least one step"));
    }
    let open_files = raise_file_limit();
    if open_files.is_some_and(|limit| limit < u64::from(load.users) + OWN_FILES) {
        return Err(LoadError::OpenFiles { users: load.users, limit: open_files.unwrap_or_default() });
    }
    let files = Files::new(&assignment.files).map_err(LoadError::Files)?;
    let requests = Requests::new(load, &assignment.run, &files)?;
    drop(files);
    if let Some(wanted) = load.requests.filter(|_| load.is_open()) {
        let schedule = Schedule::new(Profile::new(&load.stages));
        if schedule.time_of(wanted.saturating_sub(1)).is_none() {
            return Err(LoadError::Schedule { wanted });
        }
    }
    let tls = match requests.tls || assignment.ca_pem.is_some() {
        true => Some(tls::connector(assignment.ca_pem.as_deref())?),
        false => None,
    };
    let mut user = User::new(vec![None; requests.values]);
    let context = Context { tls: tls.as_ref(), per_connection: load.requests_per_connection };
    for (step, spec) in requests.setup.iter().zip(&load.setup) {
        let found = match user.once(&context, step).await {
            Ok(answer) if answer.status == step.status => continue,
            Ok(answer) => format!("status {}", answer.status),
            Err(failure) => format!("error {:?}", failure.name()),
        };
        return Err(LoadError::Setup { step: spec.name.clone(), found, status: step.status });
    }
    let values = user.into_values();
    Ok(Shared::new(load, assignment.phase, requests, tls, &values, threads()))
}

struct Worker<'a> {
    shared: Arc<Shared>,
    goose: JoinHandle<Result<(), goose::GooseError>>,
    lines: mpsc::Receiver<String>,
    frames: Frames,
    output: &'a mut Output,
    duration: Option<Duration>,
}

impl Worker<'_> {
    async fn carry_out(&mut self, terminate: &mut tokio::signal::unix::Signal) -> Result<(), LoadError> {
        let mut end = None;
        let mut next_frame = None;
        let shared = Arc::clone(&self.shared);
        let mut over = std::pin::pin!(shared.over());
        loop {
            tokio::select! {
                line = self.lines.recv() => {
                    // The end of input ends the process.
                    let line = line.unwrap_or_default();
                    if self.obey(&line)? == Obeyed::Started {
                        let now = Instant::now();
                        end = self.duration.map(|duration| now + duration);
                        next_frame = Some(now + FRAME);
                        self.frames.start(now);
                        let started_at = shared.clock.timestamp(now);
                        self.output.send(&Message::Started { started_at })?;
                        shared.begin(now)?;
                    }
                }
                () = at(next_frame) => {
                    let now = Instant::now();
                    self.send_frame(now)?;
                    let due = next_frame.map_or(now, |due| due + FRAME);
                    // A worker that was stopped for a while does not make up for its frames: the next one is longer.
                    next_frame = Some(if due > now { due } else { now + FRAME });
                }
                () = at(end) => {
                    let now = Instant::now();
                    let since = end.map_or(Duration::ZERO, |end| now - end);
                    if since < LAST_STARTS && shared.pacer.as_ref().is_some_and(|pacer| is_waking(pacer, now)) {
                        time::sleep(LAST_LOOK).await;
                    } else {
                        end = None;
                        shared.end(Reason::Duration);
                    }
                }
                () = &mut over => break,
                _ = terminate.recv() => shared.end(Reason::Stopped),
                ended = &mut self.goose => return Err(goose_ended(ended)),
                () = panicked() => return Err(broken()),
            }
        }
        self.finish(next_frame).await
    }

    /// Waits for the answers that are still to come.
    async fn finish(&mut self, mut next_frame: Option<Instant>) -> Result<(), LoadError> {
        let mut look = time::interval(Duration::from_millis(5));
        while self.shared.in_flight() > 0 {
            tokio::select! {
                _ = look.tick() => {}
                () = at(next_frame) => {
                    let now = Instant::now();
                    self.send_frame(now)?;
                    next_frame = Some(now + FRAME);
                }
                // Everything but the end of the load is too late.
                Some(_) = self.lines.recv() => {}
                () = panicked() => return Err(broken()),
            }
        }
        let now = Instant::now();
        if self.frames.start.is_some() {
            self.send_frame(now)?;
        }
        let ended_at = self.shared.clock.timestamp(self.frames.last_end.unwrap_or(now));
        let reason = self.shared.reason().unwrap_or(Reason::Stopped);
        self.output.send(&Message::Done { reason, ended_at, requests: self.frames.requests })?;
        // goose's users do nothing any more; they end with the process, as goose itself would take half a second to notice.
        Ok(())
    }

    fn send_frame(&mut self, now: Instant) -> Result<(), LoadError> {
        if let Some(frame) = self.frames.next(&self.shared, now) {
            self.output.send(&Message::Frame(frame))?;
        }
        Ok(())
    }

    fn obey(&mut self, line: &str) -> Result<Obeyed, LoadError> {
        let command = serde_json::from_str(line)
            .map_err(|source| LoadError::Command { line: line.chars().take(80).collect(), source })?;
        let shared = &self.shared;
        match command {
            Command::Start if shared.mode() == Mode::Waiting => return Ok(Obeyed::Started),
            Command::Start => {}
            Command::Phase { phase } => shared.set_phase(phase),
            Command::Pause if shared.mode() == Mode::Running => {
                shared.set_mode(Mode::Paused);
                if let Some(pacer) = &shared.pacer {
                    pacer.pause();
                }
            }
            Command::Resume if shared.mode() == Mode::Paused => {
                if let Some(pacer) = &shared.pacer {
                    pacer.resume();
                }
                shared.set_mode(Mode::Running);
            }
            Command::Pause | Command::Resume => {}
            Command::Rate { factor } => match &shared.pacer {
                Some(pacer) if factor.is_finite() && factor >= 0.0 => pacer.set_factor(factor),
                Some(_) => self.refuse(format!("a rate can't be multiplied by {factor}"))?,
                None => self.refuse("this load has no rate that could be changed".to_owned())?,
            },
            Command::Stop => shared.end(Reason::Stopped),
        }
        Ok(Obeyed::Done)
    }

    fn refuse(&mut self, error: String) -> Result<(), LoadError> {
        Ok(self.output.send(&Message::Failed { error })?)
    }
}

#[derive(PartialEq, Eq)]
enum Obeyed {
    Started,
    Done,
}

/// What has been reported so far.
#[derive(Default)]
struct Frames {
    number: u64,
    from: Option<Timestamp>,
    requests: u64,
    last_end: Option<Instant>,
    start: Option<Instant>,
}

impl Frames {
    fn start(&mut self, at: Instant) {
        self.start = Some(at);
    }

    fn next(&mut self, shared: &Shared, now: Instant) -> Option<Frame> {
        let from = self.from.or_else(|| self.start.map(|start| shared.clock.timestamp(start)))?;
        let until = shared.clock.timestamp(now);
        // Before it is asked how many have begun: what is counted has.
        let drained = shared.recorder.drain(&shared.clock);
        let progress = shared.pacer.as_ref().map(|pacer| pacer.progress(now)).unwrap_or_default();
        let frame = Frame {
            number: self.number,
            from,
            length: until - from,
            users: shared.running.load(std::sync::atomic::Ordering::SeqCst),
            behind: progress.behind.unwrap_or_default().into(),
            due: progress.due,
            begun: shared.begun(),
            entries: drained.entries,
        };
        self.number += 1;
        self.from = Some(until);
        self.requests += drained.requests;
        self.last_end = self.last_end.max(drained.last_end);
        Some(frame)
    }
}

/// True if starts are due that a user is only just about to take.
fn is_waking(pacer: &Pacer, now: Instant) -> bool {
    pacer.progress(now).behind.is_some_and(|behind| behind < LAST_STARTS)
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => time::sleep_until(when.into()).await,
        None => std::future::pending().await,
    }
}

async fn panicked() {
    if PANIC.get().is_none() {
        PANICKED.notified().await;
    }
}

fn broken() -> LoadError {
    LoadError::Panic(PANIC.get().cloned().unwrap_or_default())
}

fn goose_ended(ended: Result<Result<(), goose::GooseError>, tokio::task::JoinError>) -> LoadError {
    LoadError::Goose(match ended {
        Ok(Ok(())) => "it stopped them by itself".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_any_task_is_the_end_of_the_load() {
        watch_panics();
        assert!(tokio::spawn(async { panic!("a user has\na defect") }).await.is_err());
        time::timeout(Duration::from_secs(10), panicked()).await.unwrap();
        let text = broken().describe();
        assert!(text.starts_with("the worker is broken: panicked at "), "{text}");
        assert!(text.ends_with("a user has a defect"), "{text}");
    }
}
