//! Charts of the system itself: replicas, restarts, error budgets.

use std::collections::BTreeMap;

use harness_event::{EventKind, ExpectationKind, SloDefinition, SloGoal, WorkloadRef};

use super::{
    log::{Log, Stretch},
    plot::{Join, Series, Sketch},
    text::{Unit, count},
};
use crate::duration::window;

/// Workloads, pods and SLOs that get a chart or a line of their own.
const MOST: usize = 12;
/// Prometheus evaluates rules every few seconds; without a sample for this long, nobody looked.
const NO_SAMPLE: i64 = 5000;

/// Charts, and what never changed in a sentence each.
pub(super) fn sketches(log: &Log<'_>) -> (Vec<Sketch>, Vec<String>) {
    let (mut charts, mut steady) = replicas(log);
    charts.extend(restarts(log));
    let (burns, calm) = burns(log);
    charts.extend(burns);
    steady.extend(calm);
    (charts, steady)
}

/// Gaps where the observer was blind: what held before need not hold any more.
fn with_blindness(mut series: Series, blind: impl Iterator<Item = Stretch>) -> Series {
    for stretch in blind {
        let end = stretch.to.unwrap_or(i64::MAX);
        series.points.retain(|(at, _)| *at < stretch.from || *at >= end);
        let place = series.points.partition_point(|(at, _)| *at < stretch.from);
        series.points.insert(place, (stretch.from, None));
    }
    series
}

fn replicas(log: &Log<'_>) -> (Vec<Sketch>, Vec<String>) {
    let mut names: Vec<&WorkloadRef> = log.workloads.iter().map(|seen| &seen.workload).collect();
    names.sort_unstable();
    names.dedup();
    let (mut charts, mut steady) = (Vec::new(), Vec::new());
    for workload in names {
        let series = replica_series(log, workload);
        if series.iter().all(|one| one.is_flat() || one.points.is_empty()) {
            if let Some(last) = log.workloads.iter().rfind(|seen| seen.workload == *workload) {
                steady.push(format!("{workload}: {} of {} ready", last.ready, last.desired));
            }
            continue;
        }
        charts.push(Sketch {
            id: format!("chart-replicas-{}", charts.len()),
            title: format!("Replicas of {workload}"),
            unit: Unit::Count,
            series,
            limits: Vec::new(),
            wide: false,
            note: String::new(),
        });
    }
    if charts.len() > MOST {
        steady.push(format!("charts of {} more are left out", count(charts.len() - MOST, "workload")));
        charts.truncate(MOST);
    }
    (charts, steady)
}

fn replica_series(log: &Log<'_>, workload: &WorkloadRef) -> Vec<Series> {
    let of_workload = || log.workloads.iter().filter(|seen| seen.workload == *workload);
    let mut ready = Series::new("ready", Join::Step);
    let mut desired = Series::new("desired", Join::Step);
    ready.points = of_workload().map(|seen| (log.ms(seen.seen_at), Some(seen.ready.into()))).collect();
    desired.points = of_workload().map(|seen| (log.ms(seen.seen_at), Some(seen.desired.into()))).collect();
    let blind = || log.blind(EventKind::WORKLOAD_OBSERVER);
    let mut series = vec![with_blindness(ready, blind()), with_blindness(desired, blind())];
    let scalers = || log.autoscalers.iter().filter(|seen| seen.target == *workload);
    if scalers().next().is_some() {
        let mut wanted = Series::new("wanted by its autoscaler", Join::Step);
        let mut current = Series::new("current for its autoscaler", Join::Step);
        let value = |exists: bool, replicas: i32| exists.then(|| f64::from(replicas));
        wanted.points =
            scalers().map(|seen| (log.ms(seen.seen_at), value(seen.exists, seen.desired))).collect();
        current.points =
            scalers().map(|seen| (log.ms(seen.seen_at), value(seen.exists, seen.current))).collect();
        for one in [wanted, current] {
            series.push(with_blindness(one, log.blind(EventKind::AUTOSCALER_OBSERVER)));
        }
    }
    series
}

/// Restarts of each pod since it was first seen.
fn restarts(log: &Log<'_>) -> Option<Sketch> {
    let mut pods: BTreeMap<(&str, &str), Vec<(i64, i32)>> = BTreeMap::new();
    for (at, pod) in &log.pods {
        pods.entry((&pod.namespace, &pod.pod)).or_default().push((*at, pod.restarts));
    }
    let grown = pods.into_iter().filter_map(|((_, name), seen)| {
        let first = seen.first()?.1;
        let most = seen.iter().map(|(_, restarts)| restarts - first).max()?;
        (most > 0).then_some((most, name, first, seen))
    });
    let mut grown: Vec<_> = grown.collect();
    grown.sort_by_key(|(most, name, ..)| (-most, *name));
    let left_out = grown.len().saturating_sub(8);
    let series = grown.into_iter().take(8).map(|(_, name, first, seen)| {
        let mut series = Series::new(name, Join::Step);
        series.points =
            seen.into_iter().map(|(at, restarts)| (at, Some(f64::from(restarts - first)))).collect();
        series
    });
    let series: Vec<_> = series.collect();
    (!series.is_empty()).then(|| Sketch {
        id: "chart-restarts".to_owned(),
        title: "Restarts of pods".to_owned(),
        unit: Unit::Count,
        series,
        limits: Vec::new(),
        wide: false,
        note: if left_out > 0 {
            format!("{} with fewer restarts left out.", count(left_out, "pod"))
        } else {
            String::new()
        },
    })
}

fn burns(log: &Log<'_>) -> (Vec<Sketch>, Vec<String>) {
    let (mut charts, mut calm) = (Vec::new(), Vec::new());
    for definition in &log.definitions {
        let series = burn_series(log, definition);
        let values = || series.iter().flat_map(|one| &one.points).filter_map(|(_, value)| *value);
        if values().next().is_none() {
            calm.push(format!("SLO {}: no burn rate was ever known", definition.slo));
            continue;
        }
        if values().all(|value| value == 0.0) {
            calm.push(format!("SLO {}: nothing burned, in any window", definition.slo));
            continue;
        }
        if charts.len() == MOST {
            calm.push(format!("SLO {}: chart left out", definition.slo));
            continue;
        }
        charts.push(Sketch {
            id: format!("chart-burn-{}", charts.len()),
            title: format!("Burn rate of {}", definition.slo),
            unit: Unit::Burn,
            series,
            limits: limits(log, &definition.slo),
            wide: true,
            note: "Per window; 1x spends exactly the budget in the SLO's period.".to_owned(),
        });
    }
    (charts, calm)
}

fn burn_series(log: &Log<'_>, definition: &SloDefinition) -> Vec<Series> {
    let samples: Vec<_> = log.burns.iter().filter(|sample| sample.slo == definition.slo).collect();
    let windows = definition.windows.iter().enumerate();
    let series = windows.map(|(index, one)| {
        let mut series = Series::new(window(one.window), Join::Line);
        let value = |rates: &[Option<f64>]| rates.get(index).copied().flatten();
        series.points =
            samples.iter().map(|sample| (log.theirs(sample.sampled_at), value(&sample.burn_rates))).collect();
        // An evaluation may be read twice.
        series.points.dedup_by_key(|(at, _)| *at);
        series.with_gaps(NO_SAMPLE)
    });
    let mut merged: Vec<Series> = Vec::new();
    for one in series {
        // Windows that rest on the same data burn alike.
        match merged.iter_mut().find(|known| known.points == one.points) {
            Some(known) => known.name = format!("{}, {}", known.name, one.name),
            None => merged.push(one),
        }
    }
    merged
}

fn limits(log: &Log<'_>, slo: &str) -> Vec<(f64, String)> {
    let of = |kind: &ExpectationKind| match kind {
        ExpectationKind::Slo(expected) if expected.slo == slo => match expected.goal {
            SloGoal::BurnStaysBelow { window: length, rate } => {
                Some((rate, format!("allowed over {}: {}", window(length), Unit::Burn.write(rate))))
            }
            SloGoal::BudgetSpentBelow { .. } => None,
        },
        _ => None,
    };
    log.plan.expectations.iter().filter_map(|expectation| of(&expectation.kind)).collect()
}
