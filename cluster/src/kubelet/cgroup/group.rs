//! The groups of one cluster and of its containers, from making to removal.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{
    Controller, Membership, Version,
    find::{self, Parent, Unavailable},
    read::{self, GroupReading},
    settings::{self, Limits},
};
use crate::kubelet::procfs;

/// What the name of every cluster's parent begins with.
const PREFIX: &str = "sre-harness-";
/// Parents that the last start of a data directory made, one path a line.
const RECORD: &str = "cgroups";
/// How far below a hierarchy's root abandoned parents are looked for.
const SEARCH_DEPTH: usize = 4;
/// Weight of an ordinary process.
const PROCESS_SHARES: u64 = 1024;
/// A killed process leaves its group when the kernel is done with it.
const EMPTY_PATIENCE: Duration = Duration::from_secs(2);

/// The control groups of one cluster.
#[derive(Debug)]
pub struct Cgroups {
    parents: Vec<Parent>,
    unavailable: Unavailable,
    record: PathBuf,
    live: Mutex<Live>,
}

#[derive(Debug, Default)]
struct Live {
    containers: u64,
    /// Groups that still had processes when they were to be removed.
    leftover: Vec<PathBuf>,
}

impl Cgroups {
    /// Removes what an earlier start in this data directory left, processes too, and makes new parents.
    pub fn open(data_dir: &Path, cluster_id: &str) -> Arc<Self> {
        let record = data_dir.join(RECORD);
        let identity = format!("{PREFIX}{}", &cluster_id[..cluster_id.len().min(12)]);
        for line in fs::read_to_string(&record).unwrap_or_default().lines() {
            let path = Path::new(line);
            let ours = path
                .file_name()
                .and_then(|name| name.to_str())
                .is_some_and(|name| name.starts_with(&identity));
            if ours && path.exists() {
                kill_and_remove(path);
            }
        }
        let own = procfs::stat(std::process::id().cast_signed()).map_or(0, |process| process.start_time);
        let name = format!("{identity}.{}.{own}", std::process::id());
        let (parents, unavailable) = find::parents(&find::own(), &name);
        for parent in &parents {
            remove_abandoned(parent);
        }
        let lines: String =
            parents.iter().map(|parent| format!("{}\n", parent.directory.display())).collect();
        if let Err(error) = fs::write(&record, lines) {
            tracing::warn!(path = %record.display(), %error, "the control groups could not be recorded");
        }
        Arc::new(Self { parents, unavailable, record, live: Mutex::default() })
    }

    /// No hierarchy at all.
    #[cfg(test)]
    pub fn none(data_dir: &Path) -> Arc<Self> {
        let (record, live) = (data_dir.join(RECORD), Mutex::default());
        Arc::new(Self { parents: Vec::new(), unavailable: Unavailable::default(), record, live })
    }

    /// What cannot be limited, and why.
    pub fn unavailable(&self) -> &Unavailable {
        &self.unavailable
    }

    /// Makes the group of a container attempt and sets its limits.
    pub fn create(self: &Arc<Self>, name: &str, limits: &Limits) -> Result<ContainerGroup, String> {
        let mut group =
            ContainerGroup { cgroups: self.clone(), directories: Vec::new(), memberships: Vec::new() };
        for parent in &self.parents {
            let directory = parent.directory.join(name);
            let failed = |error: io::Error| format!("control group {}: {error}", directory.display());
            // An attempt of the same name whose last process has only just ended.
            let _ = remove(&directory);
            fs::create_dir(&directory).map_err(failed)?;
            group.directories.push((directory.clone(), parent.version, parent.controllers.clone()));
            limits.write(&directory, parent.version, &parent.controllers).map_err(failed)?;
            let membership = Membership { enter: directory.join("cgroup.procs"), leave: parent.home.clone() };
            group.memberships.push(membership);
        }
        self.count(|containers| containers + 1);
        Ok(group)
    }

    /// Pods as a whole weigh against the rest of the machine as many ordinary processes as there are containers: without a
    /// group each would have been one.
    fn count(&self, change: impl FnOnce(u64) -> u64) {
        let mut live = self.lock();
        live.containers = change(live.containers);
        let shares = (live.containers.max(1) * PROCESS_SHARES).min(settings::MOST_SHARES);
        for parent in self.parents.iter().filter(|parent| parent.controllers.contains(&Controller::Cpu)) {
            if let Err(error) = settings::write_shares(&parent.directory, parent.version, shares) {
                tracing::debug!(%error, "the weight of all pods could not be set");
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes groups that were not empty before.
    pub fn sweep(&self) {
        self.lock().leftover.retain(|directory| remove(directory).is_err());
    }

    /// Removes everything; what still has processes after a moment stays for the next start.
    pub fn close(&self) {
        let deadline = Instant::now() + EMPTY_PATIENCE;
        loop {
            self.sweep();
            if self.lock().leftover.is_empty() || Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let gone = self.parents.iter().all(|parent| remove(&parent.directory).is_ok());
        if gone {
            let _ = fs::remove_file(&self.record);
        }
    }
}

/// The group of one container attempt; removed when this is dropped.
#[derive(Debug)]
pub struct ContainerGroup {
    cgroups: Arc<Cgroups>,
    directories: Vec<(PathBuf, Version, Vec<Controller>)>,
    memberships: Vec<Membership>,
}

impl ContainerGroup {
    /// How processes get into it.
    pub fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// What it used up to now.
    pub fn read(&self) -> GroupReading {
        let mut reading = GroupReading::default();
        for (directory, version, controllers) in &self.directories {
            read::read(&mut reading, directory, *version, controllers);
        }
        reading
    }
}

impl Drop for ContainerGroup {
    fn drop(&mut self) {
        for (directory, ..) in &self.directories {
            if remove(directory).is_err() {
                self.cgroups.lock().leftover.push(directory.clone());
            }
        }
        if !self.memberships.is_empty() {
            self.cgroups.count(|containers| containers.saturating_sub(1));
        }
    }
}

/// A group is removed as an empty directory, although it has files.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect()
}

/// Kills what is in a parent's groups and removes them and it.
fn kill_and_remove(parent: &Path) {
    let deadline = Instant::now() + EMPTY_PATIENCE;
    loop {
        let mut groups = children(parent);
        groups.push(parent.to_owned());
        for group in &groups {
            let processes = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
            processes
                .lines()
                .filter_map(|line| line.parse().ok())
                .filter(|pid| *pid > 0)
                .for_each(procfs::kill);
        }
        if groups.iter().all(|group| remove(group).is_ok()) {
            return;
        }
        if Instant::now() > deadline {
            tracing::warn!(group = %parent.display(), "a control group of an earlier start could not be removed");
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Removes empty parents of control planes that are no more, wherever they were started: their data directory may be gone too.
fn remove_abandoned(parent: &Parent) {
    let mut level = vec![parent.root.clone()];
    for _ in 0..SEARCH_DEPTH {
        let (parents, others): (Vec<PathBuf>, Vec<PathBuf>) =
            level.iter().flat_map(|group| children(group)).partition(|group| owner(group).is_some());
        for abandoned in parents.iter().filter(|group| !owner(group).is_some_and(is_alive)) {
            children(abandoned).iter().for_each(|group| drop(remove(group)));
            let _ = remove(abandoned);
        }
        level = others;
    }
}

/// Pid and start time in the name of a cluster's parent.
fn owner(group: &Path) -> Option<(i32, u64)> {
    let mut parts = group.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('.').skip(1);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

fn is_alive((pid, start): (i32, u64)) -> bool {
    procfs::stat(pid).is_some_and(|process| process.start_time == start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_parents_whose_process_is_gone_are_removed() {
        let root = tempfile::tempdir().unwrap();
        let own = procfs::stat(std::process::id().cast_signed()).unwrap();
        let directory = |name: String| {
            let path = root.path().join("a/b").join(name);
            fs::create_dir_all(path.join("x.main.0")).unwrap();
            path
        };
        let alive = directory(format!("{PREFIX}c1.{}.{}", own.pid, own.start_time));
        let reused = directory(format!("{PREFIX}c1.{}.{}", own.pid, own.start_time + 1));
        let gone = directory(format!("{PREFIX}c2.{}.5", i32::MAX));
        let stranger = directory("somebody-else.1.5".to_owned());
        remove_abandoned(&Parent {
            version: Version::One,
            controllers: Vec::new(),
            root: root.path().to_owned(),
            directory: alive.clone(),
            home: PathBuf::new(),
        });
        let there = [alive, reused, gone, stranger].map(|path| path.join("x.main.0").exists());
        assert_eq!(there, [true, false, false, true]);
    }
}
