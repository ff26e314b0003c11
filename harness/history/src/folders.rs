//! The runs' folders, which are the truth.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use harness_event::read_log;

use crate::run::{Entry, Whereabouts};

/// The log in a run's folder.
pub const LOG: &str = "events.ndjson";
/// Folders that are being deleted have this before their name.
pub(crate) const LEAVING: &str = ".pruned-";

/// A folder that holds no run that can be read. It is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damaged {
    /// Name of the folder.
    pub id: String,
    /// The file in it.
    pub file: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Names of all runs' folders, oldest first. None if there is no such directory yet.
///
/// # Errors
/// If the directory cannot be read.
pub fn list(runs: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(runs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry?;
        let kind = entry.file_type()?;
        let folder = kind.is_dir() || (kind.is_symlink() && entry.path().is_dir());
        // What `harness recover` keeps of runs of other machines is no run of this one.
        let name = entry.file_name().to_string_lossy().into_owned();
        if folder && !name.starts_with('.') && !name.starts_with("recovery-") {
            ids.push(name);
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

/// True while a process writes the log: it holds a lock on it, which ends with the process.
pub fn is_written(folder: &Path) -> bool {
    let lock = File::open(folder.join(LOG)).map(|file| file.try_lock_shared());
    matches!(lock, Ok(Err(TryLockError::WouldBlock)))
}

/// Length of a run's log; none if it cannot be told.
pub(crate) fn log_bytes(folder: &Path) -> Option<u64> {
    fs::metadata(folder.join(LOG)).ok().map(|data| data.len())
}

/// Reads and folds a run's log. `None` if the run is only beginning: its log is being written, and nothing is in it yet.
///
/// # Errors
/// What is wrong with the folder.
pub fn read(runs: &Path, origin: &str, id: &str) -> Result<Option<Entry>, Damaged> {
    let folder = runs.join(id);
    let file = folder.join(LOG);
    let damaged = |why: String| Damaged { id: id.to_owned(), file: file.clone(), why };
    // Asked before it is read: a run that ends in between is read again, and none that goes on is taken for interrupted.
    let written = is_written(&folder);
    let bytes = fs::read(&file).map_err(|error| {
        damaged(match error.kind() {
            io::ErrorKind::NotFound => "it is missing".to_owned(),
            _ => error.to_string(),
        })
    })?;
    if written && !bytes.contains(&b'\n') {
        return Ok(None);
    }
    if bytes.is_empty() {
        return Err(damaged("it is empty".to_owned()));
    }
    if !bytes.contains(&b'\n') {
        return Err(damaged("its first line is incomplete".to_owned()));
    }
    let log = read_log(bytes.as_slice()).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        damaged(format!("{error}{}", cause.unwrap_or_default()))
    })?;
    let (id, origin, log_bytes) = (id.to_owned(), origin.to_owned(), bytes.len() as u64);
    Entry::of(&log.events, Whereabouts { id, origin, log_bytes, written })
        .map(Some)
        .ok_or_else(|| damaged("it does not begin with a run_started event".to_owned()))
}

/// Reads many folders, on all cores. In the order of the ids.
pub(crate) fn read_all(runs: &Path, origin: &str, ids: &[String]) -> Vec<Result<Option<Entry>, Damaged>> {
    let workers = thread::available_parallelism().map_or(1, usize::from).min(ids.len().max(1));
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let at = next.fetch_add(1, Ordering::Relaxed)
            && let Some(id) = ids.get(at)
        {
            done.push((at, read(runs, origin, id)));
        }
        done
    };
    let mut all: Vec<_> = thread::scope(|scope| {
        let handles: Vec<_> = (1..workers).map(|_| scope.spawn(work)).collect();
        let own = work();
        // A panic in a worker is one in reading: it goes on here.
        let others = handles.into_iter().map(|handle| match handle.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(own).chain(others).flatten().collect()
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, read)| read).collect()
}

/// Bytes of all files in a folder.
pub fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let one = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.map(one).sum()
}
