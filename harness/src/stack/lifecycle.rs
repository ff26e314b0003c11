//! Bringing the embedded stack up, finding it again, taking it down.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::Value;

use super::{
    apply,
    control_plane::{self, Process},
    error::StackError,
    history::{self, History, Kept, NoHistory},
    loaded, manifests,
    paths::{Checkout, StateDir},
    ports, programs,
    progress::Progress,
    ready,
    record::{self, Probe, Record},
    services,
    time::{self, Compression, Paced},
};
use crate::target::Target;

/// The kustomizations that make up the stack, subdirectories of the deploy directory. Monitoring is first: Prometheus takes
/// longest to get ready.
pub const PARTS: [&str; 2] = ["monitoring", "gallery"];
/// How long the control plane may take to end its pods. PostgreSQL's grace period is the longest, 30 s.
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// How long a killed process may take to be gone.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How the stack is brought up.
#[derive(Clone, Debug)]
pub struct StackOptions {
    /// Where its files are.
    pub state_dir: StateDir,
    /// Manifests; `None` means those of the checkout.
    pub deploy_dir: Option<PathBuf>,
    /// How long the Deployments may take to become available.
    pub ready_timeout: Duration,
    /// Apply the manifests also to a stack that is up. A run does not: what somebody has changed in the cluster is what they
    /// want to see tested.
    pub reapply: bool,
    /// How many seconds of production time pass in one second; `None` leaves the pace that the manifests were written for.
    pub compress: Option<u32>,
    /// Bring a stack that is up to that pace, too, if it runs at another one.
    pub retime: bool,
    /// A healthy past for Prometheus.
    pub history: Option<History>,
    /// Make it for a stack that is up, too, up to now: Prometheus starts anew, and what it has seen is lost. Without this, a stack
    /// that is up with another past or none is an error.
    pub renew_history: bool,
    /// Leave a stack that did not get ready running, so that one can look into it.
    pub keep_failed: bool,
}

/// The embedded stack, up and ready.
#[derive(Clone, Debug)]
pub struct Stack {
    /// The way into the cluster.
    pub kubeconfig: PathBuf,
    /// False if it was up before.
    pub started_by_us: bool,
    /// Time from nothing to all Deployments available, without building the services; zero if it was up before.
    pub bring_up: Duration,
    /// The control plane.
    pub record: Record,
    /// How its time is compressed, if it is.
    pub compression: Option<Compression>,
}

/// What is there.
#[derive(Clone, Debug)]
pub enum State {
    /// No control plane runs.
    Down,
    /// One ran, and did not end by `harness down`.
    Crashed,
    /// This one runs.
    Up(Record),
}

/// What taking the stack down did.
#[derive(Clone, Debug)]
pub enum Down {
    /// There was nothing.
    NothingThere,
    /// A control plane had died before; its data are removed.
    Cleaned,
    /// The control plane was stopped and its data removed.
    Stopped {
        /// Its process id.
        pid: i32,
        /// How long it took.
        took: Duration,
        /// It did not end in time and was killed; its pods' processes end with it.
        killed: bool,
    },
}

impl Stack {
    /// Brings the stack up unless it is up.
    pub async fn ensure(options: &StackOptions, progress: &dyn Progress) -> Result<Self, StackError> {
        let state = &options.state_dir;
        let _lock = lock(state, progress).await?;
        if let Probe::Live(record) = probe(state)? {
            return adopt(record, options, progress).await;
        }
        let mut paced = read_manifests(options, None)?;
        let objects = &paced.objects;
        let needed = programs::check(objects).await?;
        let held = ports::held(objects);
        if !held.is_empty() {
            return Err(StackError::Ports(held));
        }
        let services_dir = services::ensure(&needed, progress).await.map_err(StackError::Services)?;
        let started = Instant::now();
        clean(state)?;
        make_passable(&state.data())?;
        if let Some(history) = options.history {
            progress.now("making a healthy past for Prometheus");
            let kept = history::make(history, &paced, state).await.map_err(StackError::History)?;
            history::mount(&mut paced.objects, &kept.path).map_err(StackError::History)?;
            history::write(state, &kept)?;
        }
        progress.now("starting the embedded cluster");
        let command = control_plane::Command {
            data_dir: state.data(),
            kubeconfig: state.kubeconfig(),
            services_dir,
            record: state.record(),
            log: state.log(),
        };
        let mut process = command.start().await.map_err(StackError::ControlPlane)?;
        tracing::info!(took = ?started.elapsed(), "the control plane is ready");
        let result = match probe(state) {
            Ok(Probe::Live(record)) => fill(record, &mut process, &paced, options, started, progress).await,
            Ok(_) => Err(StackError::ControlPlane(process.ended().await)),
            Err(error) => Err(error),
        };
        if result.is_err() && !options.keep_failed {
            progress.now("stopping the embedded cluster");
            stop(state).await?;
        }
        result
    }
}

/// Applies the manifests to a fresh control plane and waits until all is available.
async fn fill(
    record: Record,
    process: &mut Process,
    paced: &Paced,
    options: &StackOptions,
    started: Instant,
    progress: &dyn Progress,
) -> Result<Stack, StackError> {
    let everything: Vec<&Value> = paced.objects.iter().collect();
    let work = deploy(&everything, paced, options, progress);
    tokio::select! {
        done = work => if let Err(error) = done {
            // A control plane that died is the cause of whatever failed then.
            return Err(process.has_ended().map_or(error, StackError::ControlPlane));
        },
        error = process.ended() => return Err(StackError::ControlPlane(error)),
    }
    let kubeconfig = options.state_dir.kubeconfig();
    let compression = paced.compression.clone();
    Ok(Stack { kubeconfig, started_by_us: true, bring_up: started.elapsed(), record, compression })
}

/// Uses a stack that is up, finishing what an interrupted bring-up has left undone.
async fn adopt(record: Record, options: &StackOptions, progress: &dyn Progress) -> Result<Stack, StackError> {
    if record.version != env!("CARGO_PKG_VERSION") {
        return Err(StackError::Version { running: record.version });
    }
    if record.build != record::this_build() {
        progress.done(
            "note: the running stack was started by another build of the harness; `harness down` ends it",
        );
    }
    let state = &options.state_dir;
    let kept = history::read(state)?;
    let renewed = match options.history {
        Some(history) if options.renew_history => {
            progress.now("making a healthy past for Prometheus");
            let paced = read_manifests(options, None)?;
            Some(history::make(history, &paced, state).await.map_err(StackError::History)?)
        }
        Some(history) if kept.as_ref().map(|kept| kept.history) != Some(history) => {
            return Err(StackError::History(NoHistory::Up));
        }
        _ => None,
    };
    let mut compression = time::read(state)?;
    let complete = state.applied().exists();
    let other_pace = compression.as_ref().map(|present| present.factor) != options.compress;
    let retime = options.retime && other_pace;
    if options.reapply || !complete || retime || renewed.is_some() {
        let paced = read_manifests(options, renewed.as_ref().or(kept.as_ref()))?;
        let work = if options.reapply || !complete {
            paced.objects.iter().collect()
        } else {
            // What somebody has changed in the cluster is to stay: only what belongs to the pace and the past is applied.
            let present = compression.as_ref().map(|present| present.factor);
            let present = pace(read_objects(options, kept.as_ref())?, present)?;
            if retime {
                progress.done(&match options.compress {
                    Some(factor) => format!("the stack's time is compressed ×{factor} now"),
                    None => "the stack's time runs as its manifests say again".to_owned(),
                });
            }
            time::different(&paced.objects, &present.objects)
        };
        if let Some(made) = &renewed {
            progress.done(&format!(
                "Prometheus starts anew with a healthy past of {} at {} requests/s; what it had seen is gone",
                made.history.length, made.history.per_second
            ));
            // Not complete before Prometheus has it.
            gone(&state.applied(), fs::remove_file(state.applied()))?;
            history::write(state, made)?;
        }
        deploy(&work, &paced, options, progress).await?;
        if let Some(made) = &renewed {
            history::remove_others(state, &made.path)?;
        }
        compression = paced.compression;
    } else {
        let target = connect(state).await?;
        if options.retime && compression.is_some() {
            // Applied once does not mean loaded still: somebody may have changed the configuration since.
            let paced = read_manifests(options, kept.as_ref())?;
            loaded::wait(&target.client, &paced.objects, &paced.loaded, progress)
                .await
                .map_err(StackError::NotLoaded)?;
        }
    }
    let kubeconfig = state.kubeconfig();
    Ok(Stack { kubeconfig, started_by_us: false, bring_up: Duration::ZERO, record, compression })
}

/// Applies objects, waits until the workloads among them are available, and proves that the monitoring system runs at the pace.
async fn deploy(
    objects: &[&Value],
    paced: &Paced,
    options: &StackOptions,
    progress: &dyn Progress,
) -> Result<(), StackError> {
    let state = &options.state_dir;
    let target = connect(state).await?;
    progress.now("applying manifests");
    // From here on the pace may be any, until all is applied.
    gone(&state.applied(), fs::remove_file(state.applied()))?;
    let started = Instant::now();
    apply::apply(&target.client, objects).await.map_err(StackError::Apply)?;
    tracing::info!(objects = objects.len(), took = ?started.elapsed(), "manifests applied");
    let expected: BTreeSet<_> = ready::deployments(objects);
    ready::wait(&target.client, &expected, options.ready_timeout, progress)
        .await
        .map_err(|error| StackError::NotReady(Box::new(error)))?;
    // As authored and never changed, there is nothing to prove.
    if paced.compression.is_some() || time::read(state)?.is_some() {
        loaded::wait(&target.client, &paced.objects, &paced.loaded, progress)
            .await
            .map_err(StackError::NotLoaded)?;
    }
    time::write(state, paced.compression.as_ref())?;
    write(&state.applied(), b"")
}

async fn connect(state: &StateDir) -> Result<Target, StackError> {
    Target::embedded(&state.kubeconfig()).await.map_err(|error| StackError::Target(Box::new(error)))
}

fn read_manifests(options: &StackOptions, kept: Option<&Kept>) -> Result<Paced, StackError> {
    pace(read_objects(options, kept)?, options.compress)
}

fn pace(objects: Vec<Value>, compress: Option<u32>) -> Result<Paced, StackError> {
    let factor = compress.unwrap_or(1);
    time::pace(objects, compress).map_err(|source| StackError::Compress { factor, source })
}

/// Directory of the kustomizations.
///
/// # Errors
/// If none is given and there is no checkout.
pub fn deploy_dir(options: &StackOptions) -> Result<PathBuf, StackError> {
    match &options.deploy_dir {
        Some(given) => Ok(given.clone()),
        None => Ok(Checkout::find().ok_or(StackError::NoManifests)?.deploy()),
    }
}

fn read_objects(options: &StackOptions, kept: Option<&Kept>) -> Result<Vec<Value>, StackError> {
    let directory = deploy_dir(options)?;
    let mut objects = Vec::new();
    for part in PARTS {
        objects.extend(manifests::read(&directory.join(part)).map_err(StackError::Manifests)?);
    }
    if let Some(kept) = kept {
        history::mount(&mut objects, &kept.path).map_err(StackError::History)?;
    }
    Ok(objects)
}

/// What is there now.
pub fn state(state: &StateDir) -> Result<State, StackError> {
    Ok(match probe(state)? {
        Probe::Absent => State::Down,
        Probe::Stale => State::Crashed,
        Probe::Live(record) => State::Up(record),
    })
}

/// Takes the stack down and removes its data; the control plane's log stays.
pub async fn down(state: &StateDir, progress: &dyn Progress) -> Result<Down, StackError> {
    if !state.stack().exists() {
        return Ok(Down::NothingThere);
    }
    let _lock = lock(state, progress).await?;
    progress.now("stopping the embedded cluster");
    stop(state).await
}

/// Stops what an interrupted [`Stack::ensure`] of this process has started; true if there was something. A stack that others
/// have started, or have completed meanwhile, is theirs.
pub async fn undo_start(state: &StateDir, progress: &dyn Progress) -> Result<bool, StackError> {
    let Ok(file) = File::options().write(true).open(state.lock()) else { return Ok(false) };
    // Who holds it is bringing up a stack of its own or goes on with what is there.
    if file.try_lock().is_err() {
        return Ok(false);
    }
    match probe(state)? {
        Probe::Live(record) if record.starter != std::process::id() || state.applied().exists() => Ok(false),
        Probe::Absent => Ok(false),
        Probe::Live(_) | Probe::Stale => {
            progress.now("stopping the embedded cluster");
            stop(state).await.map(|_| true)
        }
    }
}

/// Stops a live control plane and removes what any has left. The caller holds the lock.
async fn stop(state: &StateDir) -> Result<Down, StackError> {
    let done = match Record::probe(&state.record()) {
        Ok(Probe::Absent) => Down::NothingThere,
        Ok(Probe::Stale) => Down::Cleaned,
        Ok(Probe::Live(record)) => end(state, &record).await?,
        Err(error) => return Err(StackError::Record(error)),
    };
    clean(state)?;
    Ok(done)
}

async fn end(state: &StateDir, record: &Record) -> Result<Down, StackError> {
    let failed = |source| StackError::Stop { pid: record.pid, source };
    let started = Instant::now();
    for (signal, limit, killed) in [(Signal::TERM, STOP_LIMIT, false), (Signal::KILL, KILL_LIMIT, true)] {
        record.signal(&state.record(), signal).map_err(failed)?;
        let path = state.record();
        let free = tokio::task::spawn_blocking(move || record::wait_until_free(&path));
        if let Ok(waited) = tokio::time::timeout(limit, free).await {
            waited.map_err(|error| failed(error.into())).and_then(|free| free.map_err(failed))?;
            return Ok(Down::Stopped { pid: record.pid, took: started.elapsed(), killed });
        }
    }
    Err(failed(io::Error::new(io::ErrorKind::TimedOut, "it does not end, not even after SIGKILL")))
}

/// Removes what a control plane that is gone has left.
fn clean(state: &StateDir) -> Result<(), StackError> {
    for file in [state.record(), state.kubeconfig(), state.applied(), state.compression(), state.history()] {
        gone(&file, fs::remove_file(&file))?;
    }
    let data = state.data();
    gone(&data, fs::remove_dir_all(&data))
}

/// Makes a directory that the users of pods may pass, whatever the umask says. Inside, the kubelet sets what is needed.
fn make_passable(directory: &Path) -> Result<(), StackError> {
    let failed = |source| StackError::State { path: directory.to_owned(), source };
    for path in directory.ancestors().collect::<Vec<_>>().into_iter().rev().filter(|path| !path.exists()) {
        fs::create_dir(path)
            .or_else(|error| if path.is_dir() { Ok(()) } else { Err(error) })
            .map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(failed)?;
    }
    Ok(())
}

fn gone(path: &Path, removed: io::Result<()>) -> Result<(), StackError> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StackError::State { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn write(path: &Path, content: &[u8]) -> Result<(), StackError> {
    fs::write(path, content).map_err(|source| StackError::State { path: path.to_owned(), source })
}

fn probe(state: &StateDir) -> Result<Probe, StackError> {
    Record::probe(&state.record()).map_err(StackError::Record)
}

/// One process at a time starts or stops the stack of a state directory. The kernel frees the lock with the process.
async fn lock(state: &StateDir, progress: &dyn Progress) -> Result<File, StackError> {
    let directory = state.stack();
    fs::create_dir_all(&directory).map_err(|source| StackError::State { path: directory, source })?;
    let path = state.lock();
    let failed = |source| StackError::State { path: path.clone(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            progress.now("another harness is at work on this stack: waiting for it")
        }
        Err(fs::TryLockError::Error(source)) => return Err(failed(source)),
    }
    let locked = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    locked.map_err(|error| failed(error.into())).and_then(|file| file.map_err(failed))
}
