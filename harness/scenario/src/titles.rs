//! One readable sentence for each expectation.

use harness_event::{
    AlertExpectation, AlertState, HttpExpectation, Millis, PromqlExpectation, PromqlMode, Window,
    WorkloadExpectation,
};

/// Longest text of the user inside a title, in characters.
const SHOWN: usize = 80;

fn shortened(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match one_line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &one_line[..end]),
        None => one_line,
    }
}

fn window(window: Window, fault: &str) -> String {
    match window {
        Window::During => format!("during {fault}"),
        Window::After => format!("after {fault}"),
    }
}

pub(crate) fn alert(expected: &AlertExpectation, fault: &str) -> String {
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
    let clock = if expected.state == AlertState::Resolved { "end" } else { "effect" };
    format!("{alert}{labels} {becomes} within {within} of the {clock} of {fault}")
}

pub(crate) fn no_unexpected_alert() -> String {
    "no alert becomes active that is neither expected nor allowed".to_owned()
}

pub(crate) fn http(expected: &HttpExpectation, fault: &str) -> String {
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

pub(crate) fn promql(expected: &PromqlExpectation, fault: &str) -> String {
    let (query, is) = (shortened(&expected.query), expected.is);
    let holds = match expected.mode {
        PromqlMode::Within(limit) => format!("{query} is {is} within {limit}"),
        PromqlMode::Stays(length) => format!("{query} stays {is} for {length}"),
        PromqlMode::Until(limit) => format!("{query} is {is} for at most {limit}"),
    };
    format!("{holds} {}", window(expected.window, fault))
}

pub(crate) fn workload(expected: &WorkloadExpectation, fault: &str) -> String {
    let WorkloadExpectation { workload, ready, within } = expected;
    let replicas = if *ready == 1 { "replica" } else { "replicas" };
    format!("{workload} has {ready} ready {replicas} within {within} of the end of {fault}")
}

pub(crate) fn recovery(within: Millis, fault: &str) -> String {
    format!("the steady state holds again within {within} of the end of {fault}")
}
