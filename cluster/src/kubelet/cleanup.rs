//! No orphan is ever left: what the next start does about processes that outlived a kubelet.
//!
//! A shim kills its container when the kubelet's end of the socket closes, so normally nothing is left. For the rest (the shim
//! itself was killed too) every running container is recorded in the data directory with pid and start time, and every
//! process carries marker variables.

use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::procfs::{self, CLUSTER_MARKER};

/// A file that names the processes of one container for as long as they run.
#[derive(Debug)]
pub struct RunRecord {
    path: Option<PathBuf>,
}

impl RunRecord {
    /// Notes the processes. A record that cannot be written is no reason not to run the container: the markers remain.
    pub fn write(directory: &Path, pids: [i32; 2]) -> Self {
        let lines: String = pids
            .iter()
            .filter_map(|pid| procfs::stat(*pid))
            .map(|process| format!("{} {}\n", process.pid, process.start_time))
            .collect();
        let path = directory.join(pids[0].to_string());
        match fs::write(&path, lines) {
            Ok(()) => Self { path: Some(path) },
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a run record could not be written");
                Self { path: None }
            }
        }
    }

    /// Removes the record: the processes are gone.
    pub fn remove(&self) {
        if let Some(path) = &self.path {
            let _ = fs::remove_file(path);
        }
    }
}

/// Kills everything an earlier kubelet of this data directory left running and returns how many processes that were.
/// Blocks until they are gone or `patience` is over.
pub fn kill_leftovers(cluster_id: &str, records: &Path, patience: Duration) -> usize {
    let own = std::process::id() as i32;
    let deadline = Instant::now() + patience;
    let recorded = recorded_alive(records);
    let mut killed = std::collections::HashSet::new();
    let mut pause = Duration::from_millis(1);
    loop {
        let mut left = procfs::descendants(&recorded);
        left.extend(
            recorded.iter().copied().filter(|pid| procfs::stat(*pid).is_some_and(|p| p.state != b'Z')),
        );
        left.extend(procfs::marked(CLUSTER_MARKER, cluster_id));
        left.retain(|pid| *pid != own);
        if left.is_empty() || Instant::now() > deadline {
            break;
        }
        for pid in left {
            procfs::kill(pid);
            killed.insert(pid);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
    if let Ok(entries) = fs::read_dir(records) {
        entries.flatten().for_each(|entry| drop(fs::remove_file(entry.path())));
    }
    killed.len()
}

/// Recorded processes that still are the same ones: same pid and same start time.
fn recorded_alive(records: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir(records) else { return Vec::new() };
    let mut alive = Vec::new();
    for entry in entries.flatten() {
        let Ok(text) = fs::read_to_string(entry.path()) else { continue };
        for line in text.lines() {
            let Some((pid, start)) = line.split_once(' ') else { continue };
            let (Ok(pid), Ok(start)) = (pid.parse::<i32>(), start.parse::<u64>()) else { continue };
            if procfs::stat(pid).is_some_and(|process| process.start_time == start) {
                alive.push(pid);
            }
        }
    }
    alive
}

/// Kills the given processes and all below them.
pub fn kill_tree(roots: &[i32]) {
    let below = procfs::descendants(roots);
    roots.iter().copied().chain(below).for_each(procfs::kill);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_process_is_killed_and_a_reused_pid_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let spawn = || std::process::Command::new("sleep").arg("600").spawn().unwrap();
        let (mut ours, mut stranger) = (spawn(), spawn());
        let (left, other) = (ours.id() as i32, stranger.id() as i32);
        let _record = RunRecord::write(directory.path(), [left, left]);
        fs::write(directory.path().join("stale"), format!("{other} 1\n")).unwrap();
        let waiter = std::thread::spawn(move || ours.wait().unwrap());
        assert_eq!(kill_leftovers("no-such-cluster", directory.path(), Duration::from_secs(5)), 1);
        assert!(!waiter.join().unwrap().success());
        assert!(stranger.try_wait().unwrap().is_none());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        stranger.kill().unwrap();
        stranger.wait().unwrap();
    }
}
