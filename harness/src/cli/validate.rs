//! `harness validate`.

use std::{fs, path::Path};

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
            out.line(format_args!(
                "{} {name}: {} ({}, {})",
                out.paint(Style::Good, "ok"),
                plan.title,
                count(plan.faults.len(), "fault"),
                count(plan.expectations.len(), "expectation"),
            ));
            0
        }
        Err(diagnostics) => {
            err.line(format_args!("{diagnostics}\n"));
            diagnostics.error_count()
        }
    }
}
