//! What the running containers and the node use, read from the kernel.
//!
//! Control groups count both where there are some. Else a container is what its shim started: the shim is a subreaper, so
//! the CPU time of everything that ended is in the shim's own `cutime` and `cstime`, and the rest is below it in the process
//! tree.

use std::{
    cell::LazyCell,
    collections::HashMap,
    fs,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod};
use rustix::param::{clock_ticks_per_second, page_size};
use tokio::time::MissedTickBehavior;

use super::{
    Node,
    cgroup::{ContainerGroup, GroupReading, Limits, Memory, Throttling},
    probes::ProbeKind,
    procfs::{self, ProcStat, Tree},
};
use crate::metrics::{ContainerSample, Sample};

/// A running container whose usage is read.
#[derive(Debug)]
pub struct Account {
    /// Uid of its pod.
    pub pod_uid: String,
    /// Namespace of its pod.
    pub namespace: String,
    /// Name of its pod.
    pub pod: String,
    /// Its name in the pod.
    pub container: String,
    /// Its image as written in the pod.
    pub image: String,
    /// Its id without the scheme.
    pub id: String,
    /// When this attempt was started.
    pub started: Timestamp,
    /// What it may use.
    pub limits: Limits,
    group: ContainerGroup,
    /// Pid of its shim; 0 before it runs.
    shim: AtomicI32,
    counter: Mutex<Counter>,
    disk: Mutex<[Counter; 2]>,
    /// By kind of probe: failed, successful.
    probes: [[AtomicU64; 2]; 3],
}

/// What a container used up to a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// CPU time since its start, in nanoseconds. Never goes back.
    pub cpu: u64,
    /// CPU time in programs and in the kernel, where it is counted apart.
    pub user_and_system: Option<(u64, u64)>,
    /// Memory.
    pub memory: Memory,
    /// What the CPU limit did, where it is enforced.
    pub throttling: Option<Throttling>,
    /// Processes killed because the memory limit was reached, where it is enforced.
    pub oom_kills: Option<u64>,
    /// Bytes read from and written to storage since its start, what its shim itself read included. Never go back.
    pub disk: Option<[u64; 2]>,
    /// Whether all but that comes from control groups; else memory is an estimate.
    pub exact: bool,
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
    pub fn open(self: &Arc<Self>, account: Account) -> OpenAccount {
        let account = Arc::new(account);
        let key = (account.pod_uid.clone(), account.container.clone());
        self.lock().insert(key, account.clone());
        OpenAccount { accounts: self.clone(), account }
    }

    /// Counts a probe of a container that runs.
    pub fn probed(&self, pod_uid: &str, container: &str, kind: ProbeKind, successful: bool) {
        if let Some(account) = self.lock().get(&(pod_uid.to_owned(), container.to_owned())) {
            account.probes[kind as usize][usize::from(successful)].fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Arc<Account>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads CPU and memory of all containers that run. Blocks for the time of some system calls.
    pub fn read(&self) -> Vec<(Arc<Account>, Timestamp, Reading)> {
        self.read_with(false)
    }

    /// The same and their disk usage, which takes a look at every process.
    pub fn read_all(&self) -> Vec<(Arc<Account>, Timestamp, Reading)> {
        self.read_with(true)
    }

    fn read_with(&self, disk: bool) -> Vec<(Arc<Account>, Timestamp, Reading)> {
        let accounts: Vec<Arc<Account>> = self.lock().values().cloned().collect();
        // Only what no control group counts is looked for among the processes.
        let tree: LazyCell<Tree> = LazyCell::new(Tree::read);
        let read = |account: Arc<Account>| {
            let reading = account.read(&tree, disk)?;
            Some((account, Timestamp::now(), reading))
        };
        accounts.into_iter().filter_map(read).collect()
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
    /// The account of a container attempt that begins now.
    pub fn new(pod: &Pod, container: &Container, id: &str, limits: Limits, group: ContainerGroup) -> Self {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        Self {
            pod_uid: text(&pod.metadata.uid),
            namespace: text(&pod.metadata.namespace),
            pod: text(&pod.metadata.name),
            container: container.name.clone(),
            image: text(&container.image),
            id: id.rsplit('/').next().unwrap_or_default().to_owned(),
            started: Timestamp::now(),
            limits,
            group,
            shim: AtomicI32::new(0),
            counter: Mutex::default(),
            disk: Mutex::default(),
            probes: Default::default(),
        }
    }

    /// How often a probe failed and succeeded.
    pub fn probes(&self, kind: ProbeKind) -> [u64; 2] {
        self.probes[kind as usize].each_ref().map(|count| count.load(Ordering::Relaxed))
    }

    /// The container runs below this shim.
    pub fn runs_below(&self, shim: i32) {
        self.shim.store(shim, Ordering::Relaxed);
    }

    /// True if a process of it was killed because the memory limit was reached.
    pub fn oom_killed(&self) -> bool {
        self.group.read().oom_kills.is_some_and(|kills| kills > 0)
    }

    fn read(&self, tree: &LazyCell<Tree>, disk: bool) -> Option<Reading> {
        let shim = self.shim.load(Ordering::Relaxed);
        if shim == 0 {
            return None;
        }
        let GroupReading { cpu, user_and_system, throttling, memory, oom_kills } = self.group.read();
        let exact = cpu.is_some() && memory.is_some();
        let below = || Some((tree.get(shim)?, tree.below(shim)));
        let cpu = match cpu {
            Some(cpu) => cpu,
            None => {
                let (shim, below) = below()?;
                let ticks = shim.children_ticks + below.iter().map(|process| process.ticks).sum::<u64>();
                self.counter.lock().unwrap_or_else(PoisonError::into_inner).advance(nanoseconds(ticks))
            }
        };
        let memory = match memory {
            Some(memory) => memory,
            None => resident(below()?.1.iter().map(|process| process.pid)),
        };
        let throttling = throttling.filter(|_| self.limits.cpu.is_some());
        let disk = if disk { below().and_then(|(_, below)| self.disk(shim, &below)) } else { None };
        Some(Reading { cpu, user_and_system, memory, throttling, oom_kills, disk, exact })
    }

    /// As for CPU time: what has ended is in its parent's numbers, which are the shim's in the end.
    fn disk(&self, shim: i32, below: &[&ProcStat]) -> Option<[u64; 2]> {
        let mut read = procfs::disk(shim)?;
        for [reads, writes] in below.iter().filter_map(|process| procfs::disk(process.pid)) {
            read = [read[0] + reads, read[1] + writes];
        }
        let mut counters = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        Some([counters[0].advance(read[0]), counters[1].advance(read[1])])
    }
}

fn nanoseconds(ticks: u64) -> u64 {
    ticks * (1_000_000_000 / clock_ticks_per_second().max(1))
}

/// What the processes have for themselves, and once what they share: the greatest shared part stands for all of them. The
/// kernel's own proportional sum (PSS) would walk the page tables of each process at each reading.
fn resident(pids: impl Iterator<Item = i32>) -> Memory {
    let (mut own, mut shared) = (0, 0);
    for pid in pids {
        let Ok(text) = fs::read_to_string(format!("/proc/{pid}/statm")) else { continue };
        let mut pages = text.split(' ').skip(1).map_while(|field| field.parse::<u64>().ok());
        let (Some(resident), Some(also_shared)) = (pages.next(), pages.next()) else { continue };
        own += resident.saturating_sub(also_shared);
        shared = also_shared.max(shared);
    }
    let [own, shared] = [own, shared].map(|pages| pages * page_size() as u64);
    Memory { usage: own + shared, working_set: own + shared, rss: own, cache: shared }
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
        memory: Memory {
            usage: used * 1024,
            working_set: used.saturating_sub(kib("Inactive(file)")?) * 1024,
            rss: kib("AnonPages")? * 1024,
            cache: kib("Cached")? * 1024,
        },
        exact: true,
        ..Reading::default()
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
        let (accounts, cgroups) = (node.accounts.clone(), node.cgroups.clone());
        let work = move || {
            cgroups.sweep();
            (machine(), Timestamp::now(), accounts.read())
        };
        let Ok((Some(machine), at, containers)) = tokio::task::spawn_blocking(work).await else { continue };
        let sample =
            |at, reading: Reading| Sample { at, cpu: reading.cpu, working_set: reading.memory.working_set };
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
    use crate::kubelet::cgroup::Cgroups;

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
        // Control groups that this test has no process in: it looks at the process tree.
        let directory = tempfile::tempdir().unwrap();
        let container = Container { name: "main".to_owned(), ..Container::default() };
        let limits = Limits::of(&container);
        let group = Cgroups::none(directory.path()).create("x", &limits).unwrap();
        let open = accounts.open(Account::new(&Pod::default(), &container, "process://x", limits, group));
        assert!(accounts.read().is_empty(), "nothing runs yet");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        open.account().runs_below(std::process::id() as i32);
        let read = accounts.read();
        assert!(read[0].2.memory.working_set > 0 && !read[0].2.exact);
        assert_eq!(read[0].2.disk, None);
        assert!(accounts.read_all()[0].2.disk.is_some());
        drop(open);
        assert!(accounts.read().is_empty());
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn the_machine_uses_something() {
        let reading = machine().unwrap();
        assert!(reading.cpu > 0 && reading.memory.working_set > 0);
    }
}
