//! One readable sentence for each expectation.

use harness_event::{
    AlertExpectation, AlertState, AutoscalerExpectation, AutoscalerGoal, CompareOp, Comparison,
    HttpExpectation, LoadExpectation, LoadMeasure, LoadPhase, Millis, PromqlExpectation, PromqlMode,
    SloExpectation, SloGoal, Window, WorkloadExpectation,
};

use crate::draft::Stimulus;

/// Longest text of the user inside a title, in characters.
const SHOWN: usize = 80;

fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

/// What the first clock counts from.
fn start(fault: Stimulus<'_>) -> &'static str {
    if fault.is_load { "start" } else { "effect" }
}

fn window(window: Window, fault: Stimulus<'_>) -> String {
    let fault = fault.name;
    match window {
        Window::During => format!("during {fault}"),
        Window::After => format!("after {fault}"),
    }
}

pub(crate) fn alert(expected: &AlertExpectation, fault: Stimulus<'_>) -> String {
    let labels: Vec<String> = expected.labels.iter().map(ToString::to_string).collect();
    let labels =
        if labels.is_empty() { String::new() } else { format!("{{{}}}", shortened(&labels.join(", "))) };
    let (alert, within) = (shortened(&expected.alert), expected.within);
    let becomes = match (expected.state, &expected.receiver) {
        (AlertState::Pending, _) => "is pending".to_owned(),
        (AlertState::Firing, _) => "fires".to_owned(),
        (AlertState::Delivered, Some(receiver)) => format!("is delivered to {}", shortened(receiver)),
        (AlertState::Delivered, None) => "is delivered".to_owned(),
        (AlertState::Resolved, _) => "is resolved".to_owned(),
    };
    let clock = if expected.state == AlertState::Resolved { "end" } else { start(fault) };
    format!("{alert}{labels} {becomes} within {within} of the {clock} of {}", fault.name)
}

pub(crate) fn no_unexpected_alert() -> String {
    "no alert becomes active that is neither expected nor allowed".to_owned()
}

pub(crate) fn http(expected: &HttpExpectation, fault: Stimulus<'_>) -> String {
    let HttpExpectation { probe, step, status, within, .. } = expected;
    let body = expected
        .body_contains
        .as_ref()
        .map_or_else(String::new, |part| format!(" with {:?}", shortened(part)));
    let latency = expected.max_latency.map_or_else(String::new, |latency| format!(" in at most {latency}"));
    let window = window(expected.window, fault);
    let from = match within {
        Millis(0) => String::new(),
        within => format!(", from {within} on at the latest"),
    };
    format!("{probe}: {step} answers {status}{body}{latency} {window}{from}")
}

pub(crate) fn promql(expected: &PromqlExpectation, fault: Stimulus<'_>) -> String {
    let (query, is) = (shortened(&expected.query), expected.is);
    let holds = match expected.mode {
        PromqlMode::Within(limit) => format!("{query} is {is} within {limit}"),
        PromqlMode::Stays(length) => format!("{query} stays {is} for {length}"),
        PromqlMode::Until(limit) => format!("{query} is {is} for at most {limit}"),
    };
    format!("{holds} {}", window(expected.window, fault))
}

pub(crate) fn workload(expected: &WorkloadExpectation, fault: Stimulus<'_>) -> String {
    let WorkloadExpectation { workload, ready, within } = expected;
    let replicas = if *ready == 1 { "replica" } else { "replicas" };
    format!("{workload} has {ready} ready {replicas} within {within} of the end of {}", fault.name)
}

pub(crate) fn recovery(within: Millis, fault: Stimulus<'_>) -> String {
    format!("the steady state holds again within {within} of the end of {}", fault.name)
}

/// `stimuli` are the names of what happens to the system, in order of their start.
pub(crate) fn load(expected: &LoadExpectation, stimuli: &[&str]) -> String {
    let LoadExpectation { load, step, phase, .. } = expected;
    let of = step.as_ref().map_or_else(|| load.clone(), |step| format!("{load}, {step}"));
    let (first, last) = (stimuli.first().unwrap_or(&""), stimuli.last().unwrap_or(&""));
    let phase = match phase {
        LoadPhase::WarmUp => " in its warm-up".to_owned(),
        LoadPhase::Before => format!(" before {first}"),
        // A load that is all that happens.
        LoadPhase::During if stimuli == [load.as_str()] => String::new(),
        LoadPhase::During if stimuli.len() > 2 => format!(" from {first} to {last}"),
        LoadPhase::During => format!(" during {}", stimuli.join(" and ")),
        LoadPhase::After => format!(" after {last}"),
    };
    format!("{of}: {}{phase}", condition(expected.measure, expected.is))
}

/// `p99 < 500 ms`
pub(crate) fn condition(measure: LoadMeasure, is: Comparison) -> String {
    let what = match measure {
        LoadMeasure::ErrorRatio => "error ratio".to_owned(),
        LoadMeasure::P999 => "p99.9".to_owned(),
        measure => measure.to_string(),
    };
    let spelling = CompareOp::ALL.iter().find(|(_, op)| *op == is.op).map_or("", |(spelling, _)| spelling);
    let value = match measure {
        LoadMeasure::ErrorRatio => percent(is.value),
        measure if measure.is_latency() => format!("{} ms", is.value),
        LoadMeasure::Rate => format!("{}/s", is.value),
        _ => is.value.to_string(),
    };
    format!("{what} {spelling} {value}")
}

/// A ratio for people; `0.1 + 0.2` has no place in a report.
fn percent(ratio: f64) -> String {
    let text = format!("{:.6}", ratio * 100.0);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

pub(crate) fn autoscaler(expected: &AutoscalerExpectation, fault: Stimulus<'_>) -> String {
    let AutoscalerExpectation { autoscaler, goal } = expected;
    let replicas = |count: Option<i32>, limit: &str| {
        count.map_or_else(|| format!("its {limit}"), |count| format!("{count} ready replicas"))
    };
    let does = match goal {
        AutoscalerGoal::ScalesUpTo { replicas: count, within } => {
            let to = replicas(*count, "maxReplicas");
            format!("scales up to {to} within {within} of the {} of {}", start(fault), fault.name)
        }
        AutoscalerGoal::ReadyLag { at_most } => {
            format!("gets the replicas that it asks for ready within {at_most}")
        }
        AutoscalerGoal::DirectionChanges { at_most } => {
            let times = if *at_most == 1 { "once".to_owned() } else { format!("{at_most} times") };
            format!("changes its direction at most {times}")
        }
        AutoscalerGoal::ScalesDownTo { replicas: count, within } => {
            let to = count.map_or_else(|| "its minReplicas".to_owned(), |count| format!("{count} replicas"));
            format!("scales down to {to} within {within} of the end of {}", fault.name)
        }
        AutoscalerGoal::KeepsBudget { budget } => {
            format!("never leaves the PodDisruptionBudget {budget} with fewer healthy pods than it demands")
        }
    };
    format!("{autoscaler} {does}")
}

pub(crate) fn slo(expected: &SloExpectation, window: &str) -> String {
    let SloExpectation { slo, goal, .. } = expected;
    match goal {
        SloGoal::BurnStaysBelow { rate, .. } => {
            format!("{slo}: the burn rate over {window} stays at or below {rate}")
        }
        SloGoal::BudgetSpentBelow { share } => {
            format!("{slo}: the run spends at most {} of the error budget", percent(*share))
        }
    }
}
