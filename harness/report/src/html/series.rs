//! Charts of what users saw: loads and probes.

use super::{
    log::{Answer, Log},
    log_faults::LoadStory,
    plot::{Join, Series, Sketch},
    text::Unit,
};
use harness_event::{ExpectationKind, LoadMeasure};

/// A load's samples are a second long; without one for this long, nobody looked.
const NO_SAMPLE: i64 = 2500;
/// Loads and probes with a chart of their own.
const MOST_CHARTS: usize = 10;
/// Steps of a probe that are told apart.
const MOST_STEPS: usize = 6;

/// Charts of loads and probes, and how many have none of their own.
pub(super) fn sketches(log: &Log<'_>) -> (Vec<Sketch>, usize) {
    let mut all = Vec::new();
    let loads: Vec<_> = log.loads.iter().filter(|load| !load.samples.is_empty()).collect();
    if !loads.is_empty() {
        all.push(rates(log, &loads));
        all.push(errors(log, &loads));
        all.extend(
            loads.iter().take(MOST_CHARTS).enumerate().map(|(number, load)| latencies(log, number, load)),
        );
    }
    let mut probes: Vec<&str> = log.answers.iter().map(|answer| answer.probe).collect();
    probes.sort_unstable();
    probes.dedup();
    let (probe_count, more) = (probes.len(), |number: usize| number.saturating_sub(MOST_CHARTS));
    all.extend(
        probes.into_iter().take(MOST_CHARTS).enumerate().map(|(number, probe)| answers(log, number, probe)),
    );
    let left_out = more(loads.len()) + more(probe_count);
    (all, left_out)
}

fn of_load(
    log: &Log<'_>,
    load: &LoadStory<'_>,
    name: &str,
    value: impl Fn(&harness_event::LoadSample) -> Option<f64>,
) -> Series {
    let mut series = Series::new(name, Join::Line);
    let middle = |sample: &harness_event::LoadSample| log.ms(sample.from) + sample.length.0 / 2;
    series.points = load.samples.iter().map(|sample| (middle(sample), value(sample))).collect();
    series.with_gaps(NO_SAMPLE)
}

fn rates(log: &Log<'_>, loads: &[&LoadStory<'_>]) -> Sketch {
    let rate = |sample: &harness_event::LoadSample| {
        let seconds = sample.length.as_secs_f64();
        (seconds > 0.0).then(|| sample.requests as f64 / seconds)
    };
    Sketch {
        id: "chart-rate".to_owned(),
        title: "Requests per second".to_owned(),
        unit: Unit::Rate,
        series: loads.iter().map(|load| of_load(log, load, load.name, rate)).collect(),
        limits: Vec::new(),
        wide: false,
        note: String::new(),
    }
}

fn errors(log: &Log<'_>, loads: &[&LoadStory<'_>]) -> Sketch {
    let ratio = |sample: &harness_event::LoadSample| {
        (sample.requests > 0).then(|| sample.failed as f64 / sample.requests as f64)
    };
    Sketch {
        id: "chart-errors".to_owned(),
        title: "Error ratio".to_owned(),
        unit: Unit::Share,
        series: loads.iter().map(|load| of_load(log, load, load.name, ratio)).collect(),
        limits: limits(log, None, LoadMeasure::ErrorRatio, 1.0),
        wide: false,
        note: "Share of the requests that were not answered as expected.".to_owned(),
    }
}

fn latencies(log: &Log<'_>, number: usize, load: &LoadStory<'_>) -> Sketch {
    let at = |pick: fn(&harness_event::LoadSample) -> u64| {
        move |sample: &harness_event::LoadSample| (sample.requests > 0).then(|| pick(sample) as f64)
    };
    let series = vec![
        of_load(log, load, "p50", at(|sample| sample.p50_us)),
        of_load(log, load, "p95", at(|sample| sample.p95_us)),
        of_load(log, load, "p99", at(|sample| sample.p99_us)),
    ];
    let note = match load.spec.is_open() {
        true => "Open model: from the intended start.",
        false => "Closed model: users wait for their answers.",
    };
    let measures = [LoadMeasure::P50, LoadMeasure::P95, LoadMeasure::P99];
    let limits = measures.into_iter().flat_map(|one| limits(log, Some(load.name), one, 1000.0));
    Sketch {
        id: format!("chart-latency-{number}"),
        title: format!("Latency of {}", load.name),
        unit: Unit::Latency,
        series,
        limits: limits.collect(),
        wide: true,
        note: note.to_owned(),
    }
}

/// What the scenario allows of a measure at most, for all steps together. Zero is the ground of the chart.
fn limits(log: &Log<'_>, load: Option<&str>, measure: LoadMeasure, factor: f64) -> Vec<(f64, String)> {
    use harness_event::CompareOp::{Less, LessOrEqual};
    let of = |kind: &ExpectationKind| match kind {
        ExpectationKind::Load(expected)
            if expected.measure == measure
                && load.is_none_or(|load| load == expected.load)
                && matches!(expected.is.op, Less | LessOrEqual)
                && expected.is.value > 0.0 =>
        {
            let value = expected.is.value * factor;
            let unit = if measure == LoadMeasure::ErrorRatio { Unit::Share } else { Unit::Latency };
            Some((
                value,
                format!("allowed {measure} {}: {}", expected.phase, unit.write(value))
                    .replace("error_ratio ", ""),
            ))
        }
        _ => None,
    };
    log.plan.expectations.iter().filter_map(|expectation| of(&expectation.kind)).collect()
}

/// A probe's answers as dots; those of a system that is not healthy apart.
fn answers(log: &Log<'_>, number: usize, probe: &str) -> Sketch {
    let of_probe = || log.answers.iter().filter(|answer| answer.probe == probe);
    let mut steps: Vec<&str> = Vec::new();
    for answer in of_probe() {
        if !steps.contains(&answer.step) {
            steps.push(answer.step);
        }
    }
    steps.truncate(MOST_STEPS);
    let dots = |name: &str, wanted: &dyn Fn(&Answer<'_>) -> bool| {
        let mut series = Series::new(name, Join::Dots);
        let chosen = of_probe().filter(|answer| wanted(answer));
        series.points = chosen.map(|answer| (answer.at, Some(answer.latency_us as f64))).collect();
        series
    };
    let mut series: Vec<_> =
        steps.iter().map(|step| dots(step, &|answer| answer.healthy && answer.step == *step)).collect();
    series.push(Series { bad: true, ..dots("unhealthy", &|answer| !answer.healthy) });
    Sketch {
        id: format!("chart-probe-{number}"),
        title: format!("Answers to {probe}"),
        unit: Unit::Latency,
        series,
        limits: Vec::new(),
        wide: true,
        note: "Time to each answer of the probe.".to_owned(),
    }
}
