//! `/metrics/cadvisor`: cAdvisor's series, with its labels. There are none about networks: containers share those of the machine,
//! and numbers of the machine under a container's name would be wrong. Disk usage is that of a container's processes; which
//! device it went to is not known, so the label `device` is missing.

use std::fs;

use super::{
    server::Scrape,
    usage::{Account, Reading},
};
use crate::metrics::{Exposition, Kind};

type Labels<'a> = [(&'static str, &'a str); 6];

/// One thing that is measured: the machine, whose id is `/`, or a container.
struct Subject<'a> {
    labels: Labels<'a>,
    account: Option<&'a Account>,
    reading: Reading,
    started: f64,
}

/// Number per subject, where it is known.
type Pick = fn(&Subject<'_>) -> Option<f64>;

const NANO: f64 = 1e-9;

/// Series that all subjects have.
const SERIES: [(&str, Kind, &str, Pick); 17] = [
    (
        "container_cpu_system_seconds_total",
        Kind::Counter,
        "Cumulative system cpu time consumed in seconds.",
        |it| Some(it.reading.user_and_system?.1 as f64 * NANO),
    ),
    (
        "container_cpu_user_seconds_total",
        Kind::Counter,
        "Cumulative user cpu time consumed in seconds.",
        |it| Some(it.reading.user_and_system?.0 as f64 * NANO),
    ),
    (
        "container_cpu_cfs_periods_total",
        Kind::Counter,
        "Number of elapsed enforcement period intervals.",
        |it| Some(it.reading.throttling?.periods as f64),
    ),
    (
        "container_cpu_cfs_throttled_periods_total",
        Kind::Counter,
        "Number of throttled period intervals.",
        |it| Some(it.reading.throttling?.throttled as f64),
    ),
    (
        "container_cpu_cfs_throttled_seconds_total",
        Kind::Counter,
        "Total time duration the container has been throttled.",
        |it| Some(it.reading.throttling?.time as f64 * NANO),
    ),
    (
        "container_memory_usage_bytes",
        Kind::Gauge,
        "Current memory usage in bytes, including all memory \
      regardless of when it was accessed",
        |it| Some(it.reading.memory.usage as f64),
    ),
    ("container_memory_working_set_bytes", Kind::Gauge, "Current working set in bytes.", |it| {
        Some(it.reading.memory.working_set as f64)
    }),
    ("container_memory_rss", Kind::Gauge, "Size of RSS in bytes.", |it| Some(it.reading.memory.rss as f64)),
    ("container_memory_cache", Kind::Gauge, "Number of bytes of page cache memory.", |it| {
        it.reading.exact.then_some(it.reading.memory.cache as f64)
    }),
    ("container_fs_reads_bytes_total", Kind::Counter, "Cumulative count of bytes read", |it| {
        Some(it.reading.disk?[0] as f64)
    }),
    ("container_fs_writes_bytes_total", Kind::Counter, "Cumulative count of bytes written", |it| {
        Some(it.reading.disk?[1] as f64)
    }),
    (
        "container_oom_events_total",
        Kind::Counter,
        "Count of out of memory events observed for the container",
        |it| Some(it.reading.oom_kills? as f64),
    ),
    ("container_spec_cpu_period", Kind::Gauge, "CPU period of the container.", |it| {
        Some(it.account?.limits.cpu?.period as f64)
    }),
    ("container_spec_cpu_quota", Kind::Gauge, "CPU quota of the container.", |it| {
        Some(it.account?.limits.cpu?.quota as f64)
    }),
    ("container_spec_cpu_shares", Kind::Gauge, "CPU share of the container.", |it| {
        Some(it.account?.limits.shares as f64)
    }),
    ("container_spec_memory_limit_bytes", Kind::Gauge, "Memory limit for the container.", |it| {
        Some(it.account?.limits.memory.unwrap_or(0) as f64)
    }),
    (
        "container_start_time_seconds",
        Kind::Gauge,
        "Start time of the container since unix epoch in seconds.",
        |it| Some(it.started),
    ),
];

/// The text of a scrape.
pub fn render(scrape: &Scrape) -> String {
    let ids: Vec<String> = scrape
        .containers
        .iter()
        .map(|(account, ..)| format!("/kubepods/pod{}/{}", account.pod_uid, account.id))
        .collect();
    let machine = Subject {
        labels: labels("", "/", "", "", "", ""),
        account: None,
        reading: scrape.machine,
        started: boot_time(),
    };
    let containers = scrape.containers.iter().zip(&ids).map(|((account, _, reading), id)| Subject {
        labels: labels(&account.container, id, &account.image, &account.id, &account.namespace, &account.pod),
        account: Some(&**account),
        reading: *reading,
        started: account.started.as_millisecond() as f64 / 1000.0,
    });
    let subjects: Vec<Subject<'_>> = std::iter::once(machine).chain(containers).collect();
    let mut out = Exposition::default();
    let name = "container_cpu_usage_seconds_total";
    out.family(name, Kind::Counter, "Cumulative cpu time consumed in seconds.");
    for subject in &subjects {
        let [container, rest @ ..] = subject.labels;
        let all: Vec<(&str, &str)> = [container, ("cpu", "total")].into_iter().chain(rest).collect();
        out.sample(name, &all, subject.reading.cpu as f64 * NANO);
    }
    for (name, kind, help, pick) in SERIES {
        let mut known = subjects.iter().filter_map(|it| Some((it, pick(it)?))).peekable();
        if known.peek().is_some() {
            out.family(name, kind, help);
            known.for_each(|(subject, value)| out.sample(name, &subject.labels, value));
        }
    }
    about_the_machine(scrape, &mut out);
    out.into_text()
}

fn labels<'a>(
    container: &'a str,
    id: &'a str,
    image: &'a str,
    name: &'a str,
    namespace: &'a str,
    pod: &'a str,
) -> Labels<'a> {
    [
        ("container", container),
        ("id", id),
        ("image", image),
        ("name", name),
        ("namespace", namespace),
        ("pod", pod),
    ]
}

fn about_the_machine(scrape: &Scrape, out: &mut Exposition) {
    let file = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let (boot, machine) = (file("/proc/sys/kernel/random/boot_id"), file("/etc/machine-id"));
    let labels = [("boot_id", boot.as_str()), ("machine_id", machine.as_str()), ("system_uuid", "")];
    out.family("machine_cpu_cores", Kind::Gauge, "Number of logical CPU cores.");
    out.sample("machine_cpu_cores", &labels, scrape.cores);
    out.family("machine_memory_bytes", Kind::Gauge, "Amount of memory installed on the machine.");
    out.sample("machine_memory_bytes", &labels, scrape.memory);
}

/// Seconds since 1970.
fn boot_time() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    stat.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()).unwrap_or(0.0)
}
