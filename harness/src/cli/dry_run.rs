//! `harness run --dry-run`: targets, plan and earliest times; nothing is changed.

use std::path::Path;

use harness_engine::{conductor::dry_run, load::length};
use harness_event::{ExpectationKind, LoadSpec, LoadStart, Plan};

use super::Context;
use crate::{exit_code, expected_error::ExpectedError, output::Style};

pub(super) async fn show(
    plan: &Plan,
    target: &harness_engine::Target,
    directory: &Path,
    context: &Context,
) -> Result<u8, ExpectedError> {
    let result = dry_run(plan, target, directory).await;
    let out = &context.out;
    out.line(out.paint(Style::Strong, &plan.title));
    out.line(format_args!(
        "  cluster    {} ({}), namespace {}",
        target.context, target.server, plan.namespace
    ));
    out.line(format_args!("  baseline   steady state for {}", plan.baseline));
    for fault in &plan.faults {
        out.line(format_args!("  fault      {} at +{} for {}", fault.name, fault.start, fault.duration));
        if let Some(resolved) = result.faults.iter().find(|resolved| resolved.fault == fault.name) {
            out.line(format_args!(
                "             touches {}; undone by: {}",
                resolved.targets.join(", "),
                resolved.inverse
            ));
        }
    }
    for load in &plan.loads {
        for line in load_lines(load) {
            out.line(line);
        }
        let resolved = result.loads.iter().find(|resolved| resolved.load == load.name);
        for address in resolved.iter().flat_map(|resolved| &resolved.addresses) {
            out.line(match address.given == address.url {
                true => format!("             goes to {}", address.given),
                false => format!("             goes to {}, which is {}", address.given, address.url),
            });
        }
    }
    if let Some(factor) = plan.compress {
        out.line(format_args!("  time       compressed ×{factor} for the alert rules"));
    }
    if let Some(history) = &plan.history {
        out.line(format_args!(
            "  past       Prometheus starts anew with {} at {} requests/s, all good",
            history.length, history.rate
        ));
    }
    for expectation in &plan.expectations {
        let bound = result.bounds.iter().find(|bound| bound.expectation == expectation.id);
        let within = match &expectation.kind {
            ExpectationKind::Alert(alert) => format!("within {}", alert.within),
            _ => String::new(),
        };
        let times = bound.map(|bound| {
            format!(" (possible from {}, at the latest {}: {})", bound.earliest, bound.worst, bound.terms)
        });
        let text = format!("  expect     {} {within}{}", expectation.id, times.unwrap_or_default());
        out.line(text.trim_end());
    }
    if let Some((component, reason)) = result.not_ready {
        return Err(ExpectedError::Unreachable { what: format!("{component}: {reason}"), source: None });
    }
    if !result.problems.is_empty() {
        let message = format!("the run would be refused: {}", result.problems.join("; "));
        return Err(ExpectedError::Usage { message, hint: None });
    }
    out.line("nothing was changed");
    Ok(exit_code::PASSED)
}

/// When a load begins and ends, and after which model it sends its requests.
fn load_lines(load: &LoadSpec) -> Vec<String> {
    let begin = match load.start {
        LoadStart::Background => "in the background".to_owned(),
        LoadStart::After(start) => format!("at +{start}"),
    };
    let end = match (length(load), load.requests) {
        (Some(duration), Some(requests)) => format!(" for {duration}, or until {requests} requests are done"),
        (Some(duration), None) => format!(" for {duration}"),
        (None, Some(requests)) => format!(" until {requests} requests are done"),
        (None, None) => " until the end of the run".to_owned(),
    };
    let users = format!("{} user{}", load.users, if load.users == 1 { "" } else { "s" });
    let model = match load.is_open() {
        true => format!("open model: {}, by at most {users}", profile(load)),
        false => format!("closed model: {users}, each sends its next request when the last one is answered"),
    };
    let mut lines = vec![format!("  load       {} {begin}{end}", load.name), format!("             {model}")];
    let times = [("ramp", load.ramp), ("warm-up, counted apart,", load.warm_up)];
    let times: Vec<String> = times
        .into_iter()
        .filter(|(_, length)| length.0 > 0)
        .map(|(name, length)| format!("{name} {length}"))
        .collect();
    if !times.is_empty() {
        lines.push(format!("             {}", times.join("; ")));
    }
    lines
}

/// `50/s for 30s, then 50/s to 500/s over 10s, then 500/s`.
fn profile(load: &LoadSpec) -> String {
    let stages = load.stages.iter().map(|stage| match (stage.to, stage.length) {
        (Some(to), Some(length)) => format!("{}/s to {to}/s over {length}", stage.rate),
        (Some(to), None) => format!("{}/s to {to}/s", stage.rate),
        (None, Some(length)) => format!("{}/s for {length}", stage.rate),
        (None, None) => format!("{}/s", stage.rate),
    });
    stages.collect::<Vec<_>>().join(", then ")
}
