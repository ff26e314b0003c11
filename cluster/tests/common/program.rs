//! The `cluster` program, running.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    path::PathBuf,
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

/// The program's path.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_cluster");
/// Time for the program to start and to stop.
const LIMIT: Duration = Duration::from_secs(30);

/// A cluster in its own directory, stopped gracefully in the end.
pub struct Program {
    child: Child,
    pub directory: tempfile::TempDir,
}

impl Program {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further arguments of `cluster serve`.
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::launch(tempfile::tempdir().unwrap(), Command::new(PROGRAM), arguments)
    }

    /// Through a command that makes it another user, to whom the directory is given.
    pub fn start_as(wrapper: &[&str], uid: u32, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(directory.path(), Some(uid), Some(uid)).unwrap();
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(PROGRAM);
        Self::launch(directory, command, arguments)
    }

    fn launch(directory: tempfile::TempDir, mut command: Command, arguments: &[&str]) -> Self {
        let child = command
            .arg("serve")
            .arg("--data-dir")
            .arg(directory.path().join("data"))
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let program = Self { child, directory };
        let began = Instant::now();
        while !program.kubeconfig().exists() {
            assert!(began.elapsed() < LIMIT, "no kubeconfig was written");
            std::thread::sleep(Duration::from_millis(5));
        }
        program
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("data/kubeconfig")
    }

    /// Stops the program gracefully.
    pub fn stop(mut self) -> ExitStatus {
        self.terminate().unwrap()
    }

    /// Sends SIGTERM and waits; none if the program does not end in time.
    fn terminate(&mut self) -> Option<ExitStatus> {
        if let (Ok(None), Some(pid)) = (self.child.try_wait(), Pid::from_raw(self.child.id().cast_signed())) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let began = Instant::now();
        while began.elapsed() < LIMIT {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// A command that finds the cluster, and a home directory of its own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("KUBECONFIG", self.kubeconfig()).env("HOME", self.directory.path()).stdin(Stdio::null());
        command
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.terminate().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Output and error output of a command, as text.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
