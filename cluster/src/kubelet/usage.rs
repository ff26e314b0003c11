//! What the running containers and the node use, read from the kernel.
//!
//! A container is what its shim started: the shim is a subreaper, so the CPU time of everything that ended is in the shim's
//! own `cutime` and `cstime`, and the rest is below it in the process tree.

use std::{
    collections::HashMap,
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rustix::param::{clock_ticks_per_second, page_size};
use tokio::time::MissedTickBehavior;

use super::{Node, procfs::Tree};
use crate::metrics::{ContainerSample, Sample};

/// A running container whose usage is read.
#[derive(Debug)]
pub struct Account {
    /// Uid of its pod.
    pub pod_uid: String,
    /// Its name in the pod.
    pub container: String,
    /// When this attempt was started.
    pub started: Timestamp,
    /// Pid of its shim; 0 before it runs.
    shim: AtomicI32,
    counter: Mutex<Counter>,
}

/// What a container used up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time since its start, in nanoseconds. Never goes back.
    pub cpu: u64,
    /// Memory that cannot be taken back at once, in bytes.
    pub working_set: u64,
}

/// Keeps a sum of CPU times from going back.
#[derive(Debug, Default)]
struct Counter {
    shown: u64,
    lost: u64,
    below: bool,
}

impl Counter {
    /// A process that ends between the reading of its parent's times and of its own is missed once, and is in its parent's
    /// times at the next reading. What is missing twice was not waited for by a parent that ignores SIGCHLD: it is gone.
    fn advance(&mut self, read: u64) -> u64 {
        let value = read + self.lost;
        if value >= self.shown {
            self.shown = value;
            self.below = false;
        } else if self.below {
            self.lost += self.shown - value;
            self.below = false;
        } else {
            self.below = true;
        }
        self.shown
    }
}

/// The containers that run.
#[derive(Debug, Default)]
pub struct Accounts {
    entries: Mutex<HashMap<(String, String), Arc<Account>>>,
}

impl Accounts {
    /// Opens the account of a container that is about to start. It is closed when the handle is dropped.
    pub fn open(self: &Arc<Self>, pod_uid: &str, container: &str) -> OpenAccount {
        let account = Arc::new(Account {
            pod_uid: pod_uid.to_owned(),
            container: container.to_owned(),
            started: Timestamp::now(),
            shim: AtomicI32::new(0),
            counter: Mutex::default(),
        });
        let key = (account.pod_uid.clone(), account.container.clone());
        self.lock().insert(key, account.clone());
        OpenAccount { accounts: self.clone(), account }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Account>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads all containers that run. Blocks for the time of some system calls.
    pub fn read(&self) -> Vec<(Arc<Account>, Timestamp, Reading)> {
        let accounts: Vec<Arc<Account>> = self.lock().values().cloned().collect();
        if accounts.is_empty() {
            return Vec::new();
        }
        let tree = Tree::read();
        let now = Timestamp::now();
        accounts
            .into_iter()
            .filter_map(|account| Some((account.clone(), now, account.read(&tree)?)))
            .collect()
    }
}

/// The account of a container for as long as it runs.
#[derive(Debug)]
pub struct OpenAccount {
    accounts: Arc<Accounts>,
    account: Arc<Account>,
}

impl OpenAccount {
    /// What is in the account, to be told of the shim.
    pub fn account(&self) -> Arc<Account> {
        self.account.clone()
    }
}

impl Drop for OpenAccount {
    fn drop(&mut self) {
        let key = (self.account.pod_uid.clone(), self.account.container.clone());
        let mut entries = self.accounts.lock();
        if entries.get(&key).is_some_and(|other| Arc::ptr_eq(other, &self.account)) {
            entries.remove(&key);
        }
    }
}

impl Account {
    /// The container runs below this shim.
    pub fn runs_below(&self, shim: i32) {
        self.shim.store(shim, Ordering::Relaxed);
    }

    fn read(&self, tree: &Tree) -> Option<Reading> {
        let shim = tree.get(self.shim.load(Ordering::Relaxed))?;
        let below = tree.below(shim.pid);
        let ticks = shim.children_ticks + below.iter().map(|process| process.ticks).sum::<u64>();
        let cpu = self.counter.lock().unwrap_or_else(PoisonError::into_inner).advance(nanoseconds(ticks));
        Some(Reading { cpu, working_set: memory(below.iter().map(|process| process.pid)) })
    }
}

fn nanoseconds(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / clock_ticks_per_second().max(1))
}

/// What the processes have for themselves, and once what they share: the greatest shared part stands for all of them. The
/// kernel's own proportional sum (PSS) would walk the page tables of each process at each reading.
fn memory(pids: impl Iterator<Item = i32>) -> u64 {
    let (mut own, mut shared) = (0, 0);
    for pid in pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/statm")) else { continue };
        let mut pages = text.split(' ').skip(1).map_while(|field| field.parse::<u64>().ok());
        let (Some(resident), Some(also_shared)) = (pages.next(), pages.next()) else { continue };
        own += resident.saturating_sub(also_shared);
        shared = also_shared.max(shared);
    }
    (own + shared) * page_size() as u64
}

/// CPU time that the machine's processors worked since boot and memory in use without the cache of files that are not
/// active, as cAdvisor counts them for a whole machine.
pub fn machine() -> Option<Reading> {
    let cpu = fs::read_to_string("/proc/stat").ok()?;
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim_start_matches(':').split_whitespace().next()?.parse::<u64>().ok()
    };
    let used = kib("MemTotal")?.saturating_sub(kib("MemFree")?);
    Some(Reading {
        cpu: nanoseconds(busy_ticks(cpu.lines().next()?)?),
        working_set: used.saturating_sub(kib("Inactive(file)")?) * 1024,
    })
}

/// `cpu user nice system idle iowait irq softirq …`: all but waiting.
fn busy_ticks(line: &str) -> Option<u64> {
    let ticks: Vec<u64> = line.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    [0, 1, 2, 5, 6].into_iter().map(|index| ticks.get(index)).sum()
}

/// Takes a sample of everything at each interval, for ever.
pub async fn run(node: &Node, resolution: Duration) {
    let mut ticks = tokio::time::interval(resolution);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let boot = Timestamp::UNIX_EPOCH;
    loop {
        ticks.tick().await;
        let accounts = node.accounts.clone();
        let work = move || (machine(), Timestamp::now(), accounts.read());
        let Ok((Some(machine), at, containers)) = tokio::task::spawn_blocking(work).await else { continue };
        let sample = |at, reading: Reading| Sample { at, cpu: reading.cpu, working_set: reading.working_set };
        node.usage.record(
            (&node.name, boot, sample(at, machine)),
            containers.into_iter().map(|(account, at, reading)| ContainerSample {
                pod_uid: account.pod_uid.clone(),
                container: account.container.clone(),
                started: account.started,
                sample: sample(at, reading),
            }),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_waits_once_for_what_is_missing_and_never_goes_back() {
        let mut counter = Counter::default();
        let shown: Vec<u64> = [10, 20, 15, 25].into_iter().map(|read| counter.advance(read)).collect();
        assert_eq!(shown, [10, 20, 20, 25], "missed once");
        let shown: Vec<u64> = [15, 15, 18].into_iter().map(|read| counter.advance(read)).collect();
        assert_eq!(shown, [25, 25, 28], "gone for good, and counting goes on from there");
    }

    #[test]
    fn waiting_is_not_work() {
        assert_eq!(busy_ticks("cpu  1 2 4 1000 1000 8 16 32 0 0"), Some(31));
        assert_eq!(busy_ticks("cpu  1 2"), None);
    }

    #[test]
    fn a_container_is_what_runs_below_its_shim() {
        let accounts = Arc::new(Accounts::default());
        let open = accounts.open("u", "main");
        assert!(accounts.read().is_empty(), "nothing runs yet");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        open.account().runs_below(std::process::id() as i32);
        let read = accounts.read();
        assert!(read[0].2.working_set > 0);
        drop(open);
        assert!(accounts.read().is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_machine_uses_something() {
        let reading = machine().unwrap();
        assert!(reading.cpu > 0 && reading.working_set > 0);
    }
}
