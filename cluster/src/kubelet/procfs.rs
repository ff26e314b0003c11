//! What the kubelet reads from `/proc`: the process tree, start times and marker variables.

use std::{collections::HashMap, fs};

use rustix::process::{Pid, Signal, kill_process};

/// Marker variable: identity of the cluster (one data directory) a process belongs to.
pub const CLUSTER_MARKER: &str = "SRE_CLUSTER_ID";
/// Marker variable: uid of the pod a process belongs to.
pub const POD_MARKER: &str = "SRE_POD_UID";
/// Marker variable: name of the container a process belongs to.
pub const CONTAINER_MARKER: &str = "SRE_CONTAINER";

/// The fields of `/proc/<pid>/stat` that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcStat {
    /// Process id.
    pub pid: i32,
    /// Parent's process id.
    pub ppid: i32,
    /// Process group.
    pub pgrp: i32,
    /// State letter, `Z` for a zombie.
    pub state: u8,
    /// CPU time of its own and of its children that were waited for, in clock ticks.
    pub ticks: u64,
    /// The part of `ticks` that ended children left.
    pub children_ticks: u64,
    /// Start time in clock ticks since boot: with the pid it identifies a process for ever.
    pub start_time: u64,
}

/// Reads one process; `None` when it is gone.
pub fn stat(pid: i32) -> Option<ProcStat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Bytes that a process caused to be read from and written to storage, the children that it waited for included; `None` when it
/// is gone, or not ours to look at.
pub fn disk(pid: i32) -> Option<[u64; 2]> {
    parse_io(&fs::read_to_string(format!("/proc/{pid}/io")).ok()?)
}

fn parse_io(text: &str) -> Option<[u64; 2]> {
    let number = |key: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().parse().ok()
    };
    Some([number("read_bytes:")?, number("write_bytes:")?])
}

/// The command name may hold spaces and parentheses, so everything is counted from the last `)`.
fn parse_stat(line: &str) -> Option<ProcStat> {
    let pid = line.split(' ').next()?.parse().ok()?;
    let rest = &line[line.rfind(')')? + 2..];
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(ProcStat {
        pid,
        state: *fields.first()?.as_bytes().first()?,
        ppid: fields.get(1)?.parse().ok()?,
        pgrp: fields.get(2)?.parse().ok()?,
        ticks: number(11)? + number(12)? + number(13)? + number(14)?,
        children_ticks: number(13)? + number(14)?,
        start_time: number(19)?,
    })
}

/// All processes that can be seen.
pub fn all() -> Vec<ProcStat> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()))
        .filter_map(stat)
        .collect()
}

/// A process tree that was read at once.
pub struct Tree {
    processes: Vec<ProcStat>,
    children: HashMap<i32, Vec<usize>>,
}

impl Tree {
    /// Reads the processes of the machine.
    pub fn read() -> Self {
        Self::of(all())
    }

    fn of(processes: Vec<ProcStat>) -> Self {
        let mut children: HashMap<i32, Vec<usize>> = HashMap::new();
        for (index, process) in processes.iter().enumerate() {
            children.entry(process.ppid).or_default().push(index);
        }
        Self { processes, children }
    }

    /// One process.
    pub fn get(&self, pid: i32) -> Option<&ProcStat> {
        self.processes.iter().find(|process| process.pid == pid)
    }

    /// Everything below a process, zombies too.
    pub fn below(&self, root: i32) -> Vec<&ProcStat> {
        let mut found = Vec::new();
        let mut open = vec![root];
        while let Some(parent) = open.pop() {
            for index in self.children.get(&parent).into_iter().flatten() {
                open.push(self.processes[*index].pid);
                found.push(&self.processes[*index]);
            }
        }
        found
    }
}

/// Living descendants of the given processes (not themselves), zombies left out.
pub fn descendants(roots: &[i32]) -> Vec<i32> {
    let tree = Tree::read();
    let living = |process: &&ProcStat| process.state != b'Z';
    roots.iter().flat_map(|root| tree.below(*root)).filter(living).map(|process| process.pid).collect()
}

/// True if the environment the process was started with contains `variable`=`value`. A process of another user whose
/// environment may not be read counts as not marked.
pub fn has_marker(pid: i32, variable: &str, value: &str) -> bool {
    let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    let wanted = format!("{variable}={value}");
    environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
}

/// Living processes that carry a marker.
pub fn marked(variable: &str, value: &str) -> Vec<i32> {
    all()
        .into_iter()
        .filter(|process| process.state != b'Z' && has_marker(process.pid, variable, value))
        .map(|process| process.pid)
        .collect()
}

/// Sends SIGKILL; a process that is already gone is no error.
pub fn kill(pid: i32) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disk_usage_is_what_reached_storage() {
        let text = "rchar: 6976\nwchar: 9\nsyscr: 10\nsyscw: 0\nread_bytes: 4096\nwrite_bytes: 8192\ncancelled_write_bytes: 7\n";
        assert_eq!(parse_io(text), Some([4096, 8192]));
        assert_eq!(parse_io("rchar: 6976\n"), None);
        assert!(disk(std::process::id() as i32).is_some());
    }

    #[test]
    fn a_command_name_with_parentheses_is_parsed() {
        let line = "42 (a) b (c) S 1 40 39 0 -1 4194560 1 0 0 0 5 6 7 8 20 0 1 0 987 1 2 3";
        let expected = ProcStat {
            pid: 42,
            ppid: 1,
            pgrp: 40,
            state: b'S',
            ticks: 26,
            children_ticks: 15,
            start_time: 987,
        };
        assert_eq!(parse_stat(line), Some(expected));
    }

    #[test]
    fn this_process_is_seen_with_its_parent() {
        let own = stat(std::process::id() as i32).unwrap();
        assert!(own.ppid > 0 && own.start_time > 0);
    }
}
