//! Numbers over time.

use std::collections::BTreeMap;

use harness_event::{Event, EventKind, LoadSample, Millis, SloDefinition, Timestamp};

use super::model::{Group, Trace};
use crate::duration::window;

pub(super) fn add(trace: &mut Trace, events: &[Event]) {
    let offset = events.iter().find_map(|event| match event.kind {
        EventKind::ClockMeasured { offset, .. } => Some(offset),
        _ => None,
    });
    let mut slos: BTreeMap<&str, &SloDefinition> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::WorkloadObserved(seen) => {
                let values = [("wanted", seen.desired), ("ready", seen.ready)];
                let values = values.map(|(name, value)| (name, f64::from(value)));
                trace.counter(Group::Replicas, &seen.workload.to_string(), seen.seen_at, &values);
            }
            EventKind::AutoscalerObserved(seen) if seen.exists => {
                let values = [("wanted", seen.desired), ("current", seen.current)];
                let values = values.map(|(name, value)| (name, f64::from(value)));
                trace.counter(Group::Replicas, &format!("hpa/{}", seen.autoscaler), seen.seen_at, &values);
            }
            EventKind::LoadSampled { load, sample } => sampled(trace, load, sample),
            EventKind::SloDefined(definition) => {
                slos.insert(&definition.slo, definition);
            }
            EventKind::SloSampled(sample) => {
                let names: Vec<_> = slos
                    .get(sample.slo.as_str())
                    .map(|slo| slo.windows.iter().map(|one| window(one.window)).collect())
                    .unwrap_or_default();
                // Without a value there is no point: no traffic is not a burn rate of zero.
                let values: Vec<_> = names
                    .iter()
                    .zip(&sample.burn_rates)
                    .filter_map(|(name, rate)| Some((name.as_str(), (*rate)?)))
                    .collect();
                let at = sample.sampled_at - offset.unwrap_or_default();
                trace.counter(Group::Slos, &format!("burn rate of {}", sample.slo), at, &values);
            }
            EventKind::PodsMeasured { sampled_at, pods } => used(trace, *sampled_at, pods),
            _ => {}
        }
    }
}

fn sampled(trace: &mut Trace, load: &str, sample: &LoadSample) {
    let seconds = sample.length.as_secs_f64();
    let at = sample.from;
    if sample.length > Millis(0) {
        let rate =
            [("requests", sample.requests as f64 / seconds), ("failed", sample.failed as f64 / seconds)];
        trace.counter(Group::Loads, &format!("{load}: per second"), at, &rate);
    }
    trace.counter(Group::Loads, &format!("{load}: users"), at, &[("users", f64::from(sample.users))]);
    if sample.requests > 0 {
        let ratio = sample.failed as f64 / sample.requests as f64;
        trace.counter(Group::Loads, &format!("{load}: error ratio"), at, &[("ratio", ratio)]);
        let ms = |us: u64| us as f64 / 1000.0;
        let latency = [("p50", ms(sample.p50_us)), ("p95", ms(sample.p95_us)), ("p99", ms(sample.p99_us))];
        trace.counter(Group::Loads, &format!("{load}: latency in ms"), at, &latency);
    }
}

/// What the pods of a namespace used together: a chart for each of thousands of pods would show nothing.
fn used(trace: &mut Trace, at: Timestamp, pods: &[harness_event::PodUsage]) {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for pod in pods {
        let sum = sums.entry(&pod.namespace).or_default();
        sum.0 += pod.cpu_millicores;
        sum.1 += pod.memory_bytes;
    }
    for (namespace, (cpu, memory)) in sums {
        trace.counter(
            Group::Pods,
            &format!("{namespace}: CPU in cores"),
            at,
            &[("cores", cpu as f64 / 1000.0)],
        );
        let mib = memory as f64 / 1_048_576.0;
        trace.counter(Group::Pods, &format!("{namespace}: memory in MiB"), at, &[("MiB", mib)]);
    }
}
