//! `harness export-scenario`.

use std::{fs, path::PathBuf};

use clap::Args;
use harness_scenario::export::{ExportError, ExportOptions, export};

use super::{Context, reports};
use crate::{
    exit_code,
    expected_error::{ExpectedError, chain},
    output::Style,
};

/// Make a scenario out of a game day, or of any run
///
/// Faults and loads become what they really were: when, and for how long. What was seen of them becomes what must be seen: each
/// alert with the times that were measured and room for a slower machine, and the recovery. Remarks become comments. The file
/// passes `harness validate` and can be run; it is a beginning: look at the deadlines.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness export-scenario last
  harness export-scenario 20261121-120102-k3f -o scenarios/lost-database.toml
  harness export-scenario --lengthen last -o longer.toml

Exit code 0 if the scenario was made, 2 if nothing was injected in the run.")]
pub struct ExportScenarioArgs {
    /// Run: its id (or its first characters), `last`, its directory, or the path of an events.ndjson
    pub run: String,
    /// Where to write the scenario [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Replace the file if it is there
    #[arg(long, requires = "output")]
    pub force: bool,
    /// Make faults longer than they were where an alert came too late for its deadline to lie within them
    #[arg(long)]
    pub lengthen: bool,
}

pub(super) fn exec(args: &ExportScenarioArgs, context: &Context) -> Result<u8, ExpectedError> {
    let dir = reports::find(&context.state_dir, &args.run)?;
    let log = reports::read(&dir)?;
    let found = export(&log.events, ExportOptions { lengthen: args.lengthen });
    let exported = found.map_err(|error| failed(&reports::id(&dir), error))?;
    if log.torn {
        context.err.line("warning: the log was cut off in the middle of a line: the run did not finish");
    }
    for remark in &exported.remarks {
        context.err.line(context.err.paint(Style::Warn, format_args!("warning: {remark}")));
    }
    let Some(path) = &args.output else {
        context.out.line(exported.text.trim_end());
        return Ok(exit_code::PASSED);
    };
    if !args.force && fs::symlink_metadata(path).is_ok() {
        return Err(ExpectedError::Usage {
            message: format!("{} is there already", path.display()),
            hint: Some("--force replaces it".to_owned()),
        });
    }
    reports::put(path, &exported.text)?;
    let path = path.display();
    context.err.line(format_args!("{path} is made; look at its deadlines, then `harness run {path}`"));
    Ok(exit_code::PASSED)
}

fn failed(run: &str, error: ExportError) -> ExpectedError {
    match error {
        ExportError::NothingDone => ExpectedError::Usage {
            message: format!("run {run} makes no scenario: {error}"),
            hint: Some(
                "inject a fault (`i`, or `inject` in a script) and wait until it shows its effect".to_owned(),
            ),
        },
        ExportError::NoRun => ExpectedError::Usage {
            message: format!("run {run} makes no scenario: {}", chain(&error)),
            hint: None,
        },
        ExportError::Invalid(_) => ExpectedError::Internal {
            what: format!("run {run} could not be made into a scenario"),
            source: Box::new(error),
        },
    }
}
