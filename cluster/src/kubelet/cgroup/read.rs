//! What a group's files say about its use of CPU and memory.

use std::{fs, path::Path};

use super::{Controller, Version};

/// What a container's groups counted. Times in nanoseconds, memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupReading {
    /// CPU time.
    pub cpu: Option<u64>,
    /// CPU time in programs and in the kernel.
    pub user_and_system: Option<(u64, u64)>,
    /// What the CPU limit did.
    pub throttling: Option<Throttling>,
    /// Memory.
    pub memory: Option<Memory>,
    /// Processes killed because the memory limit was reached.
    pub oom_kills: Option<u64>,
}

/// What a CPU limit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Throttling {
    /// Periods in which something ran.
    pub periods: u64,
    /// Periods in which the limit was reached.
    pub throttled: u64,
    /// Time for which everything was held, in nanoseconds.
    pub time: u64,
}

/// Memory of a group, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// All that is charged to it.
    pub usage: u64,
    /// Without the cache of files that are not active: what the kubelet calls the working set.
    pub working_set: u64,
    /// Anonymous memory.
    pub rss: u64,
    /// Cache of files.
    pub cache: u64,
}

/// A line `key value` of a flat file.
fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')?.trim().parse().ok())
}

/// Reads one directory into what is known so far.
pub(super) fn read(
    reading: &mut GroupReading,
    directory: &Path,
    version: Version,
    controllers: &[Controller],
) {
    let text = |file: &str| fs::read_to_string(directory.join(file)).ok();
    let number = |file: &str| text(file)?.trim().parse::<u64>().ok();
    let has = |controller| controllers.contains(&controller);
    match version {
        Version::One => {
            if has(Controller::Cpuacct) {
                reading.cpu = number("cpuacct.usage");
                reading.user_and_system = number("cpuacct.usage_user").zip(number("cpuacct.usage_sys"));
            }
            if has(Controller::Cpu) {
                reading.throttling =
                    text("cpu.stat").as_deref().and_then(|stat| throttling(stat, "throttled_time", 1));
            }
            if has(Controller::Memory) {
                let keys = ["total_inactive_file", "total_rss", "total_cache"];
                reading.memory =
                    memory(number("memory.usage_in_bytes"), text("memory.stat").as_deref(), keys);
                reading.oom_kills = text("memory.oom_control").and_then(|text| value(&text, "oom_kill"));
            }
        }
        Version::Two => {
            if has(Controller::Cpu)
                && let Some(stat) = text("cpu.stat")
            {
                let time = |key: &str| Some(value(&stat, key)? * 1000);
                reading.cpu = time("usage_usec");
                reading.user_and_system = time("user_usec").zip(time("system_usec"));
                reading.throttling = throttling(&stat, "throttled_usec", 1000);
            }
            if has(Controller::Memory) {
                let keys = ["inactive_file", "anon", "file"];
                reading.memory = memory(number("memory.current"), text("memory.stat").as_deref(), keys);
                reading.oom_kills = text("memory.events").and_then(|text| value(&text, "oom_kill"));
            }
        }
    }
}

fn throttling(stat: &str, time: &str, nanoseconds: u64) -> Option<Throttling> {
    Some(Throttling {
        periods: value(stat, "nr_periods")?,
        throttled: value(stat, "nr_throttled")?,
        time: value(stat, time)? * nanoseconds,
    })
}

fn memory(usage: Option<u64>, stat: Option<&str>, keys: [&str; 3]) -> Option<Memory> {
    let (usage, [inactive, rss, cache]) = (usage?, keys.map(|key| value(stat?, key)));
    Some(Memory { usage, working_set: usage.saturating_sub(inactive?), rss: rss?, cache: cache? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_files(version: Version, files: &[(&str, &str)]) -> GroupReading {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        let mut reading = GroupReading::default();
        read(&mut reading, directory.path(), version, &Controller::ALL);
        reading
    }

    #[test]
    fn both_versions_say_the_same() {
        let one = read_files(
            Version::One,
            &[
                ("cpuacct.usage", "5000000\n"),
                ("cpuacct.usage_user", "3000000\n"),
                ("cpuacct.usage_sys", "2000000\n"),
                ("cpu.stat", "nr_periods 6\nnr_throttled 5\nthrottled_time 397379000\n"),
                ("memory.usage_in_bytes", "8192\n"),
                (
                    "memory.stat",
                    "cache 1\ninactive_file 1\ntotal_cache 4096\ntotal_rss 2048\ntotal_inactive_file 4096\n",
                ),
                ("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"),
            ],
        );
        let two = read_files(
            Version::Two,
            &[
                (
                    "cpu.stat",
                    "usage_usec 5000\nuser_usec 3000\nsystem_usec 2000\nnr_periods 6\nnr_throttled 5\nthrottled_usec 397379\n",
                ),
                ("memory.current", "8192\n"),
                ("memory.stat", "anon 2048\nfile 4096\ninactive_file 4096\n"),
                ("memory.events", "low 0\noom 3\noom_kill 2\n"),
            ],
        );
        assert_eq!(one, two);
        assert_eq!(one.memory.unwrap().working_set, 4096);
        assert_eq!(one.oom_kills, Some(2));
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        assert_eq!(read_files(Version::One, &[]), GroupReading::default());
        assert_eq!(read_files(Version::Two, &[("memory.current", "1")]), GroupReading::default());
    }
}
