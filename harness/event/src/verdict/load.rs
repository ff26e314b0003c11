//! Conditions on a load's statistics in a phase.

use super::{
    alerts::Judged,
    facts::Facts,
    load_facts::{Finish, LoadFacts},
    outcome::CheckOutcome,
};
use crate::{CompareOp, LoadExpectation, LoadMeasure, LoadSpec, LoadStats, Plan};

/// So many requests must lie beyond a quantile. The share beyond a quantile of `n` requests has a relative standard error of
/// `1 / sqrt(n * (1 - q))`: with ten it is known to about a third, with one not at all. So a median needs 20 requests, a 95th
/// percentile 200, a 99th 1000, a 99.9th 10,000.
const TAIL: f64 = 10.0;
/// Starts of a schedule that the end of the load cuts off, whatever the system does.
const CUT_OFF: f64 = 2.0;

/// The load's statistics satisfy the condition, and rest on enough requests to say so.
pub(super) fn judge(facts: &Facts<'_>, plan: &Plan, fault: &str, expected: &LoadExpectation) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let name = &expected.load;
    // The phases are told apart by what happens to the system.
    if let Err(reason) = facts.effect(fault) {
        return inconclusive(reason);
    }
    let Some((spec, load)) = plan.load(name).zip(facts.loads.get(name.as_str())) else {
        return inconclusive(format!("load {name:?} was not started"));
    };
    let Some(finish) = load.finish.as_ref().filter(|_| load.failed.is_none()) else {
        let error = load.failed.unwrap_or("it did not come to its end");
        return inconclusive(format!("load {name:?} could not be carried out: {error}"));
    };
    let step = expected.step.as_deref();
    let stats = match load.stats(spec, expected.phase, step) {
        Some(stats) if stats.requests > 0 => stats,
        _ => return inconclusive(format!("no request of {} was measured", describe(expected))),
    };
    let Some(value) = expected.measure.of(stats) else {
        return inconclusive(format!("{} of {} has no value", expected.measure, describe(expected)));
    };
    let figure =
        format!("{} ({}, {})", written(expected.measure, value), count(stats.requests), model(spec, load));
    if let Some(doubt) = doubt(expected, stats, finish, value) {
        return inconclusive(format!("{figure}: {doubt}"));
    }
    match expected.is.holds(value) {
        true => (CheckOutcome::Passed, figure, None),
        false => {
            let limit =
                format!("{} {}", operator(expected.is.op), written(expected.measure, expected.is.value));
            (CheckOutcome::Failed, format!("{figure}, not {limit}"), None)
        }
    }
}

/// Why this number of requests cannot carry the figure.
fn doubt(expected: &LoadExpectation, stats: &LoadStats, finish: &Finish<'_>, value: f64) -> Option<String> {
    let limit = expected.is;
    let upper = matches!(limit.op, CompareOp::Less | CompareOp::LessOrEqual);
    let met = limit.holds(value);
    // Starts that were due and never begun have no answer; they would have had the longest latencies.
    let missing = finish.due.saturating_sub(finish.begun) as f64;
    let never_begun = || {
        Some(format!(
            "{missing} requests that were due were never begun; with them, {} may be larger",
            expected.measure
        ))
    };
    match expected.measure {
        // Failing is fast: it makes a rate higher and latencies shorter than any service would.
        LoadMeasure::Rate if !upper && met && stats.failed * 2 > stats.requests => {
            return Some(format!(
                "{} of them failed, which says nothing about a rate of service",
                stats.failed
            ));
        }
        LoadMeasure::Max if upper && met && stats.failed * 2 > stats.requests => {
            return Some(failed_fast(stats));
        }
        LoadMeasure::Max if upper && met && missing > CUT_OFF => return never_begun(),
        _ => {}
    }
    if expected.measure == LoadMeasure::ErrorRatio {
        // With fewer, not a single failure would have been allowed, and none says little about a ratio as small as that.
        let needed = (1.0 / limit.value).ceil();
        let too_few = upper && limit.value > 0.0 && limit.holds(value) && (stats.requests as f64) < needed;
        if too_few {
            return Some(format!("a ratio of {} needs at least {needed} requests", limit.value));
        }
        let with_missing = (stats.failed as f64 + missing) / (stats.requests as f64 + missing);
        return if upper && met && missing > CUT_OFF && !limit.holds(with_missing) {
            never_begun()
        } else {
            None
        };
    }
    let beyond = 1.0 - quantile(expected.measure)?;
    // `f64` has no exact 0.01: without the rounding, 1000 requests would be one too few.
    let needed = (TAIL / beyond).round();
    if (stats.requests as f64) < needed {
        return Some(format!("{} needs at least {needed} requests to mean anything", expected.measure));
    }
    let tail = stats.requests as f64 * beyond;
    // A failure is no answer: whoever still waits for one belongs beyond the quantile.
    if upper && met && stats.failed as f64 > tail {
        return Some(failed_fast(stats));
    }
    if missing > CUT_OFF.max(tail / TAIL) { never_begun() } else { None }
}

fn failed_fast(stats: &LoadStats) -> String {
    format!("{} of them failed, and how long an answer would have taken is not known", stats.failed)
}

/// Share of the requests that are at most as slow.
fn quantile(measure: LoadMeasure) -> Option<f64> {
    match measure {
        LoadMeasure::P50 => Some(0.5),
        LoadMeasure::P90 => Some(0.9),
        LoadMeasure::P95 => Some(0.95),
        LoadMeasure::P99 => Some(0.99),
        LoadMeasure::P999 => Some(0.999),
        LoadMeasure::Requests | LoadMeasure::Rate | LoadMeasure::ErrorRatio | LoadMeasure::Max => None,
    }
}

/// How the load decides when to send, which decides what its figures mean.
fn model(spec: &LoadSpec, load: &LoadFacts<'_>) -> String {
    if !spec.is_open() {
        return format!("closed model: {} users", spec.users);
    }
    let behind = load.finish.as_ref().map(|finish| finish.most_behind).unwrap_or_default();
    format!("open model, from the intended start, at most {behind} behind")
}

/// `step "upload" of load "surge" in phase "during"`.
fn describe(expected: &LoadExpectation) -> String {
    let step = expected.step.as_ref().map_or_else(String::new, |step| format!("step {step:?} of "));
    format!("{step}load {:?} in phase \"{}\"", expected.load, expected.phase)
}

fn operator(op: CompareOp) -> &'static str {
    CompareOp::ALL.iter().find(|(_, one)| *one == op).map_or("", |(spelling, _)| spelling)
}

fn count(requests: u64) -> String {
    if requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") }
}

/// The figure with its unit.
fn written(measure: LoadMeasure, value: f64) -> String {
    let rounded = |digits: i32| {
        let scale = 10f64.powi(digits);
        (value * scale).round() / scale
    };
    match measure {
        LoadMeasure::Requests => format!("{value}"),
        LoadMeasure::Rate => format!("{}/s", rounded(2)),
        LoadMeasure::ErrorRatio => format!("error ratio {}", rounded(6)),
        _ => format!("{measure} {}ms", rounded(3)),
    }
}
