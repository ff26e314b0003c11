//! The control plane's process: starting it detached from the terminal, and knowing when it is ready or dead.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
};

/// The line that the control plane writes to its standard output when the API server answers. Nothing else is written there.
pub const READY: &str = "ready";
/// The control plane is ready in a fraction of a second; this is for a machine that is busy with something else.
const LIMIT: Duration = Duration::from_secs(30);
/// How much of the log is shown when it dies.
const LOG_LINES: usize = 15;
const LOG_BYTES: u64 = 16 * 1024;

/// Why there is no control plane.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// The log could not be made or the program not be started.
    #[error("can't start {}", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// It ended.
    #[error("the control plane ended ({status}); the end of {}:\n{tail}", log.display())]
    Died {
        /// How.
        status: String,
        /// Its log.
        log: PathBuf,
        /// Last lines of the log.
        tail: String,
    },
    /// It did not get ready in time.
    #[error("the control plane was not ready after {} s; the end of {}:\n{tail}", LIMIT.as_secs(), log.display())]
    Late {
        /// Its log.
        log: PathBuf,
        /// Last lines of the log.
        tail: String,
    },
}

/// How to start a control plane.
#[derive(Clone, Debug)]
pub struct Command {
    /// Volumes and logs of the pods.
    pub data_dir: PathBuf,
    /// Where it writes the kubeconfig.
    pub kubeconfig: PathBuf,
    /// Binaries of the demo system.
    pub services_dir: PathBuf,
    /// The record that it keeps locked.
    pub record: PathBuf,
    /// Its log.
    pub log: PathBuf,
}

/// A control plane that is a child of this process. Until it is ready, it ends with this value; afterwards it stays.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    ready: bool,
}

impl Command {
    /// Starts it and waits until it is ready.
    pub async fn start(&self) -> Result<Process, ControlPlaneError> {
        let program = crate::own_exe();
        let child = self
            .spawn(program)
            .map_err(|source| ControlPlaneError::Start { program: program.to_owned(), source })?;
        let mut process = Process { child, log: self.log.clone(), ready: false };
        let Some(stdout) = process.child.stdout.take() else { return Err(process.died(None)) };
        let mut line = String::new();
        match tokio::time::timeout(LIMIT, BufReader::new(stdout).read_line(&mut line)).await {
            Ok(Ok(_)) if line.trim_end() == READY => {
                process.ready = true;
                Ok(process)
            }
            // End of file: it is dying or dead.
            Ok(_) => Err(process.ended().await),
            Err(_) => Err(ControlPlaneError::Late { log: self.log.clone(), tail: tail(&self.log) }),
        }
    }

    fn spawn(&self, program: &Path) -> io::Result<Child> {
        // The log of the last one may be what somebody is looking for.
        if self.log.exists() {
            fs::rename(&self.log, self.log.with_extension("log.previous"))?;
        }
        let log = File::create(&self.log)?;
        // It leaves the session by itself, so that neither Ctrl-C nor a closed terminal reaches it.
        tokio::process::Command::new(program)
            .arg(crate::CONTROL_PLANE)
            .arg("--data-dir")
            .arg(&self.data_dir)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--services-dir")
            .arg(&self.services_dir)
            .arg("--record")
            .arg(&self.record)
            .arg("-v")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .current_dir("/")
            .kill_on_drop(false)
            .spawn()
    }
}

impl Process {
    /// Resolves when it ends, which it should not.
    pub async fn ended(&mut self) -> ControlPlaneError {
        let status = self.child.wait().await.ok();
        self.died(status)
    }

    /// The reason, if it has ended.
    pub fn has_ended(&mut self) -> Option<ControlPlaneError> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(self.died(Some(status)))
    }

    fn died(&self, status: Option<ExitStatus>) -> ControlPlaneError {
        let status = status.map_or_else(|| "status unknown".to_owned(), |status| status.to_string());
        ControlPlaneError::Died { status, log: self.log.clone(), tail: tail(&self.log) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ready {
            // It fails only if the process is gone, which is what is wanted.
            drop(self.child.start_kill());
        }
    }
}

/// The last lines of a log, indented.
fn tail(log: &Path) -> String {
    let read = || -> io::Result<String> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let last = &lines[lines.len().saturating_sub(LOG_LINES)..];
    if last.is_empty() {
        "  (empty)".to_owned()
    } else {
        last.iter().map(|line| format!("  {line}\n")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_end_of_the_log() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let text: String = (0..5000).map(|line| format!("line {line}\n")).collect();
        fs::write(&log, text).unwrap();
        let tail = tail(&log);
        assert!(tail.ends_with("  line 4999\n"), "{tail}");
        assert_eq!(tail.lines().count(), LOG_LINES);
    }
}
