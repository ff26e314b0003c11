//! `/metrics/resource`: what metrics-server scrapes from kubelets.

use std::collections::BTreeMap;

use super::server::Scrape;
use crate::metrics::{Exposition, Kind};

const NANO: f64 = 1e-9;

/// The text of a scrape.
pub fn render(scrape: &Scrape) -> String {
    let mut out = Exposition::default();
    let mut containers: Vec<_> = scrape.containers.iter().collect();
    containers.sort_by_key(|(it, ..)| (it.namespace.clone(), it.pod.clone(), it.container.clone()));
    let mut pods: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for (account, _, reading) in &containers {
        let sum = pods.entry((&account.namespace, &account.pod)).or_default();
        sum.0 += reading.cpu as f64 * NANO;
        sum.1 += reading.memory.working_set as f64;
    }
    let mut each =
        |name: &str, kind, help: &str, value: fn(&(std::sync::Arc<super::usage::Account>, _, _)) -> f64| {
            out.family(name, kind, help);
            for entry in &containers {
                let account = &entry.0;
                let labels = [
                    ("container", account.container.as_str()),
                    ("namespace", account.namespace.as_str()),
                    ("pod", account.pod.as_str()),
                ];
                out.sample(name, &labels, value(entry));
            }
        };
    let help = "Cumulative cpu time consumed by the container in core-seconds";
    each(
        "container_cpu_usage_seconds_total",
        Kind::Counter,
        help,
        |(_, _, reading): &(_, _, super::usage::Reading)| reading.cpu as f64 * NANO,
    );
    let help = "Current working set of the container in bytes";
    each("container_memory_working_set_bytes", Kind::Gauge, help, |(_, _, reading)| {
        reading.memory.working_set as f64
    });
    let help = "Start time of the container since unix epoch in seconds";
    each("container_start_time_seconds", Kind::Gauge, help, |(account, ..)| {
        account.started.as_millisecond() as f64 / 1000.0
    });
    let one = |out: &mut Exposition, name: &str, kind, help: &str, value: f64| {
        out.family(name, kind, help);
        out.sample(name, &[], value);
    };
    let help = "Cumulative cpu time consumed by the node in core-seconds";
    one(&mut out, "node_cpu_usage_seconds_total", Kind::Counter, help, scrape.machine.cpu as f64 * NANO);
    let help = "Current working set of the node in bytes";
    let working_set = scrape.machine.memory.working_set as f64;
    one(&mut out, "node_memory_working_set_bytes", Kind::Gauge, help, working_set);
    let help = "Cumulative cpu time consumed by the pod in core-seconds";
    out.family("pod_cpu_usage_seconds_total", Kind::Counter, help);
    for ((namespace, pod), (cpu, _)) in &pods {
        out.sample("pod_cpu_usage_seconds_total", &[("namespace", *namespace), ("pod", *pod)], *cpu);
    }
    out.family("pod_memory_working_set_bytes", Kind::Gauge, "Current working set of the pod in bytes");
    for ((namespace, pod), (_, memory)) in &pods {
        out.sample("pod_memory_working_set_bytes", &[("namespace", *namespace), ("pod", *pod)], *memory);
    }
    one(
        &mut out,
        "resource_scrape_error",
        Kind::Gauge,
        "1 if there was an error while getting container metrics, 0 otherwise",
        0.0,
    );
    out.into_text()
}
