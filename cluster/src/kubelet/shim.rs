//! The process between the kubelet and a container.
//!
//! One shim runs per container (and per exec): a re-execution of our own binary, started before any runtime exists so that
//! it stays small. Its standard input is a socket to the kubelet: the specification comes in as the first line, signals as
//! further lines, and *started*, *failed* and *exited* go back. End of file means that the control plane is gone, by
//! whatever death: then the shim kills everything below it. As a subreaper it inherits what the container's programs leave
//! behind, so no daemon can escape by double fork or `setsid`.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, BufReader, Write},
    os::{
        fd::AsFd,
        unix::{net::UnixStream, process::CommandExt},
    },
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, getpid, pidfd_open, pidfd_send_signal, set_child_subreaper, wait,
};
use serde::{Deserialize, Serialize};

use super::{cgroup::Membership, procfs};

/// How long the shim insists on killing what is left below it. Only a process stuck in the kernel survives a SIGKILL.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// What to run.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// `argv[0]`, as written in the pod.
    pub arg0: String,
    /// Arguments without `argv[0]`.
    pub args: Vec<String>,
    /// The complete environment.
    pub env: Vec<(String, String)>,
    /// Working directory.
    pub cwd: PathBuf,
    /// User to become; `None` keeps the kubelet's.
    pub uid: Option<u32>,
    /// Group to become; `None` keeps the kubelet's.
    pub gid: Option<u32>,
    /// Control groups of the container.
    pub cgroups: Vec<Membership>,
}

/// A line from the kubelet to the shim, after the specification.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShimCommand {
    /// Send this signal to the container's main process.
    Signal(i32),
    /// SIGKILL to the main process and everything below the shim.
    Kill,
}

/// A line from the shim to the kubelet.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShimReport {
    /// The main process runs under this pid.
    Started(i32),
    /// The main process could not be started: text for people.
    Failed(String),
    /// The main process ended and nothing is left below the shim.
    Exited {
        /// Exit code; 128 plus the signal's number when it was killed.
        code: i32,
        /// The signal that killed it.
        signal: Option<i32>,
    },
}

/// Runs the shim and never returns. Call it before any thread or runtime is started.
pub fn main(_args: Vec<OsString>) -> ! {
    let code = match run() {
        Ok(()) => 0,
        Err(error) => {
            // The kubelet sees the end of the socket and reports the container as lost; this line is for people with strace.
            eprintln!("pod-shim: {error}");
            1
        }
    };
    std::process::exit(code)
}

fn run() -> io::Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut commands = BufReader::new(socket.try_clone()?);
    let mut line = String::new();
    commands.read_line(&mut line)?;
    let spec: ProcessSpec = serde_json::from_str(&line)?;
    // A child is born where its parent is: this process enters, starts the program and leaves. While there is only one
    // thread, nothing else can be started in between.
    if let Err(message) = enter(&spec.cgroups) {
        return report(&mut socket, &ShimReport::Failed(message));
    }
    let spawned = command(&spec).spawn();
    leave(&spec.cgroups);
    let child = match spawned {
        Ok(child) => child,
        Err(error) => return report(&mut socket, &ShimReport::Failed(start_error(&spec, &error))),
    };
    let Some(pid) = Pid::from_raw(child.id() as i32) else {
        return Err(io::Error::other("child without pid"));
    };
    // Opened while the child cannot have been reaped: later signals cannot hit a process that reused its number.
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    report(&mut socket, &ShimReport::Started(pid.as_raw_nonzero().get()))?;

    std::thread::Builder::new().name("commands".to_owned()).stack_size(64 * 1024).spawn(move || {
        let mut line = String::new();
        loop {
            line.clear();
            match commands.read_line(&mut line) {
                Ok(count) if count > 0 => match serde_json::from_str(&line) {
                    Ok(ShimCommand::Signal(number)) => {
                        if let Some(signal) = Signal::from_named_raw(number) {
                            let _ = pidfd_send_signal(&pidfd, signal);
                        }
                    }
                    Ok(ShimCommand::Kill) => kill_descendants(),
                    Err(_) => {}
                },
                // The control plane is gone: nobody will ever read logs or statuses of these processes again.
                _ => {
                    kill_descendants();
                    std::process::exit(0);
                }
            }
        }
    })?;

    let (code, signal) = reap_until(pid);
    kill_descendants();
    report(&mut socket, &ShimReport::Exited { code, signal })
}

/// A container that has limits must not run without them.
fn enter(cgroups: &[Membership]) -> Result<(), String> {
    cgroups.iter().try_for_each(|cgroup| {
        fs::write(&cgroup.enter, "0").map_err(|error| {
            format!("failed to create container: control group {}: {error}", cgroup.enter.display())
        })
    })
}

/// Back to where the kubelet is. Where that fails, this process counts as part of the container, which does no harm.
fn leave(cgroups: &[Membership]) {
    cgroups.iter().for_each(|cgroup| drop(fs::write(&cgroup.leave, "0")));
}

fn command(spec: &ProcessSpec) -> Command {
    let mut command = Command::new(&spec.program);
    command.arg0(&spec.arg0).args(&spec.args).current_dir(&spec.cwd).stdin(Stdio::null()).process_group(0);
    command.env_clear().envs(spec.env.iter().map(|(name, value)| (name, value)));
    if let Some(gid) = spec.gid {
        command.gid(gid);
    }
    // Becoming another user also drops the supplementary groups (std does that for root).
    if let Some(uid) = spec.uid {
        command.uid(uid);
    }
    command
}

fn start_error(spec: &ProcessSpec, error: &io::Error) -> String {
    let program = spec.program.display();
    match error.kind() {
        io::ErrorKind::NotFound if !spec.cwd.is_dir() => {
            format!(
                "failed to start process: chdir to cwd (\"{}\"): no such file or directory",
                spec.cwd.display()
            )
        }
        io::ErrorKind::NotFound => {
            format!("failed to start process: exec: \"{program}\": stat {program}: no such file or directory")
        }
        io::ErrorKind::PermissionDenied => format!(
            "failed to start process: exec: \"{program}\": permission denied{}",
            spec.uid.map(|uid| format!(" for uid {uid}")).unwrap_or_default()
        ),
        _ => format!("failed to start process: exec: \"{program}\": {error}"),
    }
}

/// Reaps everything that ends, adopted processes too, until the main process did.
fn reap_until(main: Pid) -> (i32, Option<i32>) {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == main => {
                let signal = status.terminating_signal();
                return (status.exit_status().unwrap_or_else(|| 128 + signal.unwrap_or(0)), signal);
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            // No child left although the main process was never reported: cannot happen, but must not loop.
            Err(_) => return (255, None),
        }
    }
}

/// Kills the whole tree below this process, again and again until nothing is left: a process may fork while it is looked up.
fn kill_descendants() {
    let own = getpid().as_raw_nonzero().get();
    let deadline = Instant::now() + KILL_PATIENCE;
    let mut pause = Duration::from_millis(1);
    while Instant::now() < deadline {
        let left = procfs::descendants(&[own]);
        if left.is_empty() {
            return;
        }
        left.into_iter().for_each(procfs::kill);
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn report(socket: &mut UnixStream, report: &ShimReport) -> io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    socket.write_all(&line)
}
