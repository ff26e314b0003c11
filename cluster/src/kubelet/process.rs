//! Starting containers and execs through the shim, and following them to their end.

use std::{ffi::OsString, io, path::PathBuf, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    process::{Child, ChildStderr, ChildStdout, Command},
    sync::{Semaphore, mpsc},
    task::JoinHandle,
};

use super::{
    cleanup::{self, RunRecord},
    logs::LogWriter,
    procfs::{self, CLUSTER_MARKER, CONTAINER_MARKER, POD_MARKER},
    shim::{ProcessSpec, ShimCommand, ShimReport},
};

/// Output of an exec that is kept: as much as the kubelet keeps of a probe's.
const EXEC_OUTPUT_LIMIT: usize = 10 * 1024;
/// How long the end of the log pipes is waited for after the shim said that all processes are gone.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// How a container's main process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit code, 128 plus the signal's number after a signal.
    pub code: i32,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// A process of the container was killed because its memory limit was reached.
    pub oom_killed: bool,
}

impl Exit {
    /// What a container counts as whose shim vanished: it is killed.
    pub const KILLED: Self = Self { code: 137, signal: Some(9), oom_killed: false };
}

/// Why a process could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The shim itself could not be run.
    #[error("failed to run the container shim {program:?}")]
    Shim {
        /// The shim's program.
        program: OsString,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program could not be executed; the text says why.
    #[error("{0}")]
    Program(String),
    /// The shim died before it reported anything.
    #[error("the container shim ended before the program was started")]
    ShimLost,
}

/// Starts shims. Shared by all pod workers.
#[derive(Debug)]
pub struct Launcher {
    shim: Vec<OsString>,
    program: PathBuf,
    cluster_id: String,
    records: PathBuf,
    // Fork and exec are CPU bound: more at once than there are cores only makes all of them late.
    slots: Semaphore,
}

/// Who a process belongs to.
#[derive(Clone, Debug)]
pub struct Owner {
    /// The pod's uid.
    pub pod_uid: String,
    /// The container's name.
    pub container: String,
    /// `namespace/pod/container`, shown in the process list.
    pub title: String,
}

/// A started container.
#[derive(Debug)]
pub struct ContainerProcess {
    /// Pid of the main process.
    pub pid: i32,
    /// Pid of its shim, the parent.
    pub shim: i32,
    commands: mpsc::UnboundedSender<ShimCommand>,
}

impl ContainerProcess {
    /// Sends a signal to the main process.
    pub fn signal(&self, number: i32) {
        let _ = self.commands.send(ShimCommand::Signal(number));
    }

    /// Kills the whole container.
    pub fn kill(&self) {
        let _ = self.commands.send(ShimCommand::Kill);
    }

    /// A second handle to the same container, for the task that stops it.
    pub fn handle(&self) -> Self {
        Self { pid: self.pid, shim: self.shim, commands: self.commands.clone() }
    }
}

struct Shim {
    child: Child,
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    stdout: ChildStdout,
    stderr: ChildStderr,
    shim_pid: i32,
    pid: i32,
    record: RunRecord,
}

impl Launcher {
    /// A launcher for one kubelet. `shim` is the program and leading arguments that run [`super::shim::main`], `records` the
    /// directory in which running containers are noted for the next start's cleanup.
    pub fn new(shim: Vec<OsString>, cluster_id: String, records: PathBuf) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        // Our own executable is started by what the kernel holds open, not by name: a rebuild or an upgrade while the cluster
        // runs must not put another version's shim beside this kubelet.
        let program = shim.first().map(PathBuf::from).unwrap_or_default();
        let own = std::env::current_exe().is_ok_and(|own| own == program);
        let program = if own { PathBuf::from("/proc/self/exe") } else { program };
        Self { shim, program, cluster_id, records, slots: Semaphore::new(cores * 2) }
    }

    /// Starts a container; `on_exit` is called once, when it and everything it started is gone and its log is complete.
    pub async fn start(
        self: &Arc<Self>,
        owner: &Owner,
        spec: &ProcessSpec,
        log: LogWriter,
        on_exit: impl FnOnce(Exit) + Send + 'static,
    ) -> Result<ContainerProcess, StartError> {
        let shim = self.spawn(owner, spec).await?;
        let (commands, inbox) = mpsc::unbounded_channel();
        let process = ContainerProcess { pid: shim.pid, shim: shim.shim_pid, commands };
        tokio::spawn(follow(shim, inbox, log, self.clone(), owner.clone(), on_exit));
        Ok(process)
    }

    /// Runs a program beside a container and returns its exit and the beginning of its output (stdout and stderr merged).
    /// Dropping the future kills the program and all it started.
    pub async fn exec(&self, owner: &Owner, spec: &ProcessSpec) -> Result<(Exit, String), StartError> {
        let Shim { mut child, mut reader, writer, mut stdout, mut stderr, record, .. } =
            self.spawn(owner, spec).await?;
        let _remove_record = RemoveRecord(record);
        let mut output = Vec::new();
        let mut errors = Vec::new();
        let read = async {
            tokio::join!(read_bounded(&mut stdout, &mut output), read_bounded(&mut stderr, &mut errors));
        };
        let (exit, ()) = tokio::join!(read_exit(&mut reader), read);
        drop(writer);
        let _ = child.wait().await;
        output.extend_from_slice(&errors);
        output.truncate(EXEC_OUTPUT_LIMIT);
        Ok((exit.unwrap_or(Exit::KILLED), String::from_utf8_lossy(&output).into_owned()))
    }

    async fn spawn(&self, owner: &Owner, spec: &ProcessSpec) -> Result<Shim, StartError> {
        // The semaphore is never closed.
        let _slot = self.slots.acquire().await;
        let Some((name, leading)) = self.shim.split_first() else {
            return Err(StartError::Program("no shim program is configured".to_owned()));
        };
        let failed = |source| StartError::Shim { program: name.clone(), source };
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(failed)?;
        ours.set_nonblocking(true).map_err(failed)?;
        let mut child = Command::new(&self.program)
            .arg0(name)
            .args(leading)
            .arg(&owner.title)
            .env_clear()
            .env(CLUSTER_MARKER, &self.cluster_id)
            .env(POD_MARKER, &owner.pod_uid)
            .env(CONTAINER_MARKER, &owner.container)
            .current_dir("/")
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Out of our group: Ctrl-C at a terminal goes to the control plane alone, which stops pods gracefully.
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let shim_pid = child.id().unwrap_or_default() as i32;
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(StartError::ShimLost);
        };
        let (reader, mut writer) = UnixStream::from_std(ours).map_err(failed)?.into_split();
        let mut reader = BufReader::new(reader);
        let mut spec = spec.clone();
        spec.env.extend([
            (CLUSTER_MARKER.to_owned(), self.cluster_id.clone()),
            (POD_MARKER.to_owned(), owner.pod_uid.clone()),
            (CONTAINER_MARKER.to_owned(), owner.container.clone()),
        ]);
        let mut line = serde_json::to_vec(&spec).map_err(|error| StartError::Program(error.to_string()))?;
        line.push(b'\n');
        if writer.write_all(&line).await.is_err() {
            return Err(StartError::ShimLost);
        }
        match read_report(&mut reader).await {
            Some(ShimReport::Started(pid)) => {
                let record = RunRecord::write(&self.records, [shim_pid, pid]);
                Ok(Shim { child, reader, writer, stdout, stderr, shim_pid, pid, record })
            }
            Some(ShimReport::Failed(message)) => {
                let _ = child.wait().await;
                Err(StartError::Program(message))
            }
            _ => {
                let _ = child.wait().await;
                Err(StartError::ShimLost)
            }
        }
    }

    /// Kills whatever still carries the marker of a pod. Returns the pids that were found.
    pub fn kill_marked(&self, pod_uid: &str) -> Vec<i32> {
        let found: Vec<i32> = procfs::marked(POD_MARKER, pod_uid)
            .into_iter()
            .filter(|pid| procfs::has_marker(*pid, CLUSTER_MARKER, &self.cluster_id))
            .collect();
        found.iter().copied().for_each(procfs::kill);
        found
    }
}

/// Removes the record also when an exec is cut off by dropping its future.
struct RemoveRecord(RunRecord);

impl Drop for RemoveRecord {
    fn drop(&mut self) {
        self.0.remove();
    }
}

async fn follow(
    shim: Shim,
    mut inbox: mpsc::UnboundedReceiver<ShimCommand>,
    log: LogWriter,
    launcher: Arc<Launcher>,
    owner: Owner,
    on_exit: impl FnOnce(Exit),
) {
    let Shim { mut child, mut reader, mut writer, stdout, stderr, pid, record, .. } = shim;
    let pump: JoinHandle<()> = tokio::spawn(log.pump(stdout, stderr));
    let exit = {
        let exited = read_exit(&mut reader);
        tokio::pin!(exited);
        let mut open = true;
        loop {
            tokio::select! {
                exit = &mut exited => break exit,
                command = inbox.recv(), if open => match command {
                    Some(command) => {
                        if let Ok(mut line) = serde_json::to_vec(&command) {
                            line.push(b'\n');
                            // A broken socket shows as the end of the reports as well.
                            let _ = writer.write_all(&line).await;
                        }
                    }
                    None => {
                        // All handles are gone: the pod was dropped. Closing the socket kills the container.
                        open = false;
                        let _ = writer.shutdown().await;
                    }
                },
            }
        }
    };
    drop(writer);
    let _ = child.wait().await;
    let exit = exit.unwrap_or_else(|| {
        // Somebody killed the shim: its children were adopted by init and have to be found by what they carry.
        cleanup::kill_tree(&[pid]);
        launcher.kill_marked(&owner.pod_uid);
        Exit::KILLED
    });
    if tokio::time::timeout(DRAIN_PATIENCE, pump).await.is_err() {
        tracing::warn!(container = owner.title, "the log pipe is still held open by another process");
    }
    record.remove();
    on_exit(exit);
}

async fn read_report(reader: &mut BufReader<OwnedReadHalf>) -> Option<ShimReport> {
    let mut line = String::new();
    match reader.read_line(&mut line).await {
        Ok(count) if count > 0 => serde_json::from_str(&line).ok(),
        _ => None,
    }
}

async fn read_exit(reader: &mut BufReader<OwnedReadHalf>) -> Option<Exit> {
    match read_report(reader).await? {
        ShimReport::Exited { code, signal } => Some(Exit { code, signal, oom_killed: false }),
        _ => None,
    }
}

async fn read_bounded(source: &mut (impl AsyncReadExt + Unpin), into: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    while let Ok(count) = source.read(&mut buffer).await {
        if count == 0 {
            return;
        }
        let room = EXEC_OUTPUT_LIMIT.saturating_sub(into.len());
        into.extend_from_slice(&buffer[..count.min(room)]);
    }
}
