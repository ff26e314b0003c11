//! `harness run --dry-run`: targets, plan and earliest times; nothing is changed.

use harness_engine::conductor::dry_run;
use harness_event::{ExpectationKind, Plan};

use super::Context;
use crate::{exit_code, expected_error::ExpectedError, output::Style};

pub(super) async fn show(
    plan: &Plan,
    target: &harness_engine::Target,
    context: &Context,
) -> Result<u8, ExpectedError> {
    let result = dry_run(plan, target).await;
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
