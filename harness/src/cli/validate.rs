//! `harness validate`.

use std::{fs, path::Path};

use harness_event::{LoadSpec, LoadStart, Millis, RateStage};
use harness_scenario::parse;

use super::{Context, args::ValidateArgs};
use crate::{exit_code, expected_error::ExpectedError, output::Style};

pub(super) fn exec(args: &ValidateArgs, context: &Context) -> Result<u8, ExpectedError> {
    let (mut files, mut found) = (0, 0);
    for path in &args.scenarios {
        let errors = one(path, context);
        files += usize::from(errors > 0);
        found += errors;
    }
    if files > 0 { Err(ExpectedError::Scenario { files, found }) } else { Ok(exit_code::PASSED) }
}

/// Checks one file, prints what is to be said about it, and gives the number of errors. A file that cannot be read is a
/// problem of that file; the others are checked all the same.
fn one(path: &Path, context: &Context) -> usize {
    let (out, err) = (&context.out, &context.err);
    let name = path.display().to_string();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            err.line(format_args!("{name}: {} {error}", err.paint(Style::Bad, "can't be read:")));
            return 1;
        }
    };
    match parse(&name, &text) {
        Ok(scenario) => {
            for warning in &scenario.warnings {
                err.line(format_args!("{warning}\n"));
            }
            let plan = &scenario.plan;
            let count =
                |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
            let parts = [(plan.faults.len(), "fault"), (plan.loads.len(), "load"), (plan.slos.len(), "SLO")];
            let parts = parts.into_iter().filter(|(number, _)| *number > 0);
            let parts: Vec<_> = parts
                .chain([(plan.expectations.len(), "expectation")])
                .map(|(number, noun)| count(number, noun))
                .chain(plan.compress.map(|factor| format!("time compressed ×{factor}")))
                .chain(plan.history.map(|history| format!("a past of {}", history.length)))
                .collect();
            out.line(format_args!(
                "{} {name}: {} ({})",
                out.paint(Style::Good, "ok"),
                plan.title,
                parts.join(", "),
            ));
            for load in &plan.loads {
                out.line(format_args!("   load {}", one_load(load)));
            }
            0
        }
        Err(diagnostics) => {
            err.line(format_args!("{diagnostics}\n"));
            diagnostics.error_count()
        }
    }
}

/// A load in one line: who sends what, when, and how much of it.
fn one_load(load: &LoadSpec) -> String {
    let when = match load.start {
        LoadStart::Background => "in the background".to_owned(),
        LoadStart::After(Millis(0)) => "right after the baseline".to_owned(),
        LoadStart::After(start) => format!("{start} after the baseline"),
    };
    let users = if load.users == 1 { "1 user".to_owned() } else { format!("{} users", load.users) };
    let stage = |stage: &RateStage| {
        let to = stage.to.map_or_else(String::new, |to| format!(" to {to}"));
        let length = stage.length.map_or_else(String::new, |length| format!(" for {length}"));
        format!("{}{to}/s{length}", stage.rate)
    };
    let model = match load.is_open() {
        true => format!("open model: {}", load.stages.iter().map(stage).collect::<Vec<_>>().join(", ")),
        false => "closed model".to_owned(),
    };
    let requests = load.requests.map(|requests| format!("{requests} requests"));
    let length = load.duration.map(|length| format!("at most {length}"));
    let steps: Vec<_> = load.steps.iter().map(|step| format!("{} {}", step.method, step.name)).collect();
    let parts = [Some(when), Some(users), requests, length, Some(model)].into_iter().flatten();
    format!("{}: {} ({})", load.name, parts.collect::<Vec<_>>().join(", "), steps.join(", "))
}
