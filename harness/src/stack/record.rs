//! Who is the running control plane? A file that it keeps locked while it lives.
//!
//! The kernel gives the lock back however the process ends, so a stale record is told from a live one without trusting a pid,
//! which may belong to somebody else by now.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rustix::process::{Pid, PidfdFlags, Signal};
use serde::{Deserialize, Serialize};

/// What a control plane writes about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the harness.
    pub version: String,
    /// Which build of that version; see [`this_build`].
    pub build: String,
    /// Its process id, valid while the record is locked.
    pub pid: i32,
    /// Process that started it.
    pub starter: u32,
    /// Where its pods keep their data.
    pub data_dir: PathBuf,
    /// When it started.
    pub started_at: Timestamp,
}

/// Why a record could not be read or held.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The file could not be opened, locked, read or written.
    #[error("can't use {}", path.display())]
    Io {
        /// The record.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// Another process holds the record.
    #[error("another control plane holds {}", path.display())]
    Held {
        /// The record.
        path: PathBuf,
    },
    /// It is held, but what it says is not understood: a harness of another version wrote it.
    #[error("{} is of another version", path.display())]
    Foreign {
        /// The record.
        path: PathBuf,
        /// Cause.
        #[source]
        source: serde_json::Error,
    },
}

/// Keeps the record locked until it is dropped or the process ends.
#[derive(Debug)]
pub struct RecordGuard(#[expect(dead_code, reason = "held for the lock on the open file")] File);

/// What a look at the record shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// There is none.
    Absent,
    /// A control plane left it and is gone.
    Stale,
    /// This control plane is alive.
    Live(Record),
}

/// How long a look at a record that is just being written, or just being looked at by somebody else, is tried again.
const SETTLE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);

impl Record {
    /// A record of this process.
    pub fn of_this_process(data_dir: PathBuf) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build: this_build(),
            pid: std::process::id().cast_signed(),
            starter: rustix::process::getppid().map_or(0, |pid| pid.as_raw_nonzero().get().cast_unsigned()),
            data_dir,
            started_at: Timestamp::now(),
        }
    }

    /// Writes the record and keeps it locked.
    pub fn hold(&self, path: &Path) -> Result<RecordGuard, RecordError> {
        let io = |source| RecordError::Io { path: path.to_owned(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(io)?;
        // Somebody who looks at the record locks it too, for a moment.
        let deadline = Instant::now() + SETTLE;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => return Err(RecordError::Held { path: path.to_owned() }),
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
        }
        let text = serde_json::to_string(self).map_err(|error| io(error.into()))?;
        file.set_len(0).and_then(|()| file.write_all(text.as_bytes())).map_err(io)?;
        Ok(RecordGuard(file))
    }

    /// Looks whether a control plane lives.
    pub fn probe(path: &Path) -> Result<Probe, RecordError> {
        let io = |source| RecordError::Io { path: path.to_owned(), source };
        let deadline = Instant::now() + SETTLE;
        loop {
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Probe::Absent),
                Err(source) => return Err(io(source)),
            };
            match file.try_lock_shared() {
                Ok(()) => return Ok(Probe::Stale),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(source)) => return Err(io(source)),
            }
            let mut text = String::new();
            file.read_to_string(&mut text).map_err(io)?;
            match serde_json::from_str(&text) {
                Ok(record) => return Ok(Probe::Live(record)),
                // It takes the lock first and writes then.
                Err(_) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(source) => return Err(RecordError::Foreign { path: path.to_owned(), source }),
            }
        }
    }

    /// Sends a signal to the control plane, if it still lives.
    pub fn signal(&self, path: &Path, signal: Signal) -> io::Result<()> {
        let Some(pid) = Pid::from_raw(self.pid) else { return Ok(()) };
        // The handle pins the process, so the look at the lock after it proves that the pid is still the control plane's.
        let process = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            process => process?,
        };
        match Self::probe(path) {
            Ok(Probe::Live(live)) if live.pid == self.pid => {}
            _ => return Ok(()),
        }
        match rustix::process::pidfd_send_signal(&process, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }
}

/// Blocks until no control plane holds the record.
pub fn wait_until_free(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.lock_shared(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Tells builds of one version apart: size and time of the executable.
pub fn this_build() -> String {
    let Ok(meta) = std::fs::metadata(crate::own_exe()) else { return "unknown".to_owned() };
    let modified = meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    format!("{}-{}", meta.len(), modified.map(|time| time.to_string()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record::of_this_process("/somewhere".into())
    }

    #[test]
    fn a_record_is_live_while_it_is_held_and_stale_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        assert_eq!(Record::probe(&path).unwrap(), Probe::Absent);
        let record = record();
        let guard = record.hold(&path).unwrap();
        assert_eq!(Record::probe(&path).unwrap(), Probe::Live(record.clone()));
        assert!(matches!(record.hold(&path), Err(RecordError::Held { .. })));
        drop(guard);
        assert_eq!(Record::probe(&path).unwrap(), Probe::Stale);
        wait_until_free(&path).unwrap();
    }

    #[test]
    fn a_process_that_took_over_the_pid_gets_no_signal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        // A stale record that names this test process: a signal would end it.
        drop(record().hold(&path).unwrap());
        record().signal(&path, Signal::KILL).unwrap();
    }

    #[test]
    fn a_held_record_of_another_version_is_named_as_such() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record");
        std::fs::write(&path, r#"{"layout": 2}"#).unwrap();
        let file = File::open(&path).unwrap();
        file.lock().unwrap();
        assert!(matches!(Record::probe(&path), Err(RecordError::Foreign { .. })));
    }
}
