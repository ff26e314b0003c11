//! The `process_*` metrics of this process, read from `/proc/self` at each scrape.

use std::{fmt::Write as _, fs};

/// Clock ticks a second in `/proc/*/stat`. `USER_HZ` is part of Linux' user-space interface and 100 on every
/// architecture that Rust's Linux targets have.
const USER_HZ: f64 = 100.0;

/// Appends the standard process metrics in the Prometheus text format. A value that cannot be read is left out.
pub fn render(out: &mut String) {
    if let Some(stat) = fs::read_to_string("/proc/self/stat").ok().as_deref().and_then(Stat::parse) {
        metric(
            out,
            "process_cpu_seconds_total",
            "counter",
            "Total user and system CPU time.",
            stat.cpu_seconds,
        );
        metric(out, "process_threads", "gauge", "Number of OS threads.", stat.threads);
        if let Some(boot) = fs::read_to_string("/proc/stat").ok().as_deref().and_then(boot_time) {
            let start = boot + stat.start_after_boot_seconds;
            let help = "Start time of the process since the Unix epoch.";
            metric(out, "process_start_time_seconds", "gauge", help, start);
        }
    }
    if let Ok(status) = fs::read_to_string("/proc/self/status") {
        if let Some(bytes) = kib_field(&status, "VmRSS:") {
            metric(out, "process_resident_memory_bytes", "gauge", "Resident memory size.", bytes);
        }
        if let Some(bytes) = kib_field(&status, "VmSize:") {
            metric(out, "process_virtual_memory_bytes", "gauge", "Virtual memory size.", bytes);
        }
    }
    if let Ok(entries) = fs::read_dir("/proc/self/fd") {
        // The directory handle that counts them is one of them.
        let open = entries.count().saturating_sub(1) as f64;
        metric(out, "process_open_fds", "gauge", "Number of open file descriptors.", open);
    }
    if let Some(max) = fs::read_to_string("/proc/self/limits").ok().as_deref().and_then(max_fds) {
        metric(out, "process_max_fds", "gauge", "Maximum number of open file descriptors.", max);
    }
}

fn metric(out: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
}

struct Stat {
    cpu_seconds: f64,
    threads: f64,
    start_after_boot_seconds: f64,
}

impl Stat {
    /// Fields of `/proc/self/stat`, see proc(5). The command name in parentheses may contain anything.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        // The first field after the name is number 3 in proc(5).
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / USER_HZ,
            threads: field(20)?,
            start_after_boot_seconds: field(22)? / USER_HZ,
        })
    }
}

fn boot_time(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn kib_field(text: &str, name: &str) -> Option<f64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix(" kB")?.parse::<f64>().ok().map(|kib| kib * 1024.0)
}

fn max_fds(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_a_hostile_command_name() {
        let line = "7 (a) b) (c) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1234 99 5";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.cpu_seconds, stat.threads, stat.start_after_boot_seconds), (3.0, 9.0, 12.34));
    }

    #[test]
    fn this_process() {
        let mut out = String::new();
        render(&mut out);
        let value = |name: &str| -> f64 {
            let line = out.lines().find(|line| line.starts_with(&format!("{name} "))).expect(name);
            line.split(' ').nth(1).unwrap().parse().unwrap()
        };
        assert!(value("process_resident_memory_bytes") > 100_000.0);
        assert!(value("process_open_fds") >= 3.0 && value("process_max_fds") >= value("process_open_fds"));
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        let age = now - value("process_start_time_seconds");
        assert!((-2.0..3600.0).contains(&age), "started {age} s ago");
    }
}
