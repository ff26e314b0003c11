//! `harness judge`: the verdict of a recorded run, folded out of its log again.

use std::{fs, path::Path};

use harness_event::{Event, Verdict};
use harness_report::RunResult;

use super::{
    Context,
    args::JudgeArgs,
    reports::{self, Material},
};
use crate::{expected_error::ExpectedError, output::Style};

pub(super) async fn exec(args: JudgeArgs, context: &Context) -> Result<u8, ExpectedError> {
    let dir = reports::find(&context.state_dir, &args.run)?;
    let log = reports::read(&dir)?;
    if log.torn {
        context.err.line("the last line of the log is incomplete and was left out: the run was interrupted");
    }
    let material = Material::of(&dir, &log.events, log.torn, &[]);
    // A report on standard output is there instead of the text.
    let to_stdout = reports::write_copies(&args.reports, &material, &context.out)?;
    if !to_stdout {
        show(&log.events, &material.verdict, context);
    }
    if let Some(before) = recorded(&dir).filter(|before| before.verdict != material.verdict) {
        let text = format!("the run itself said: {}", before.verdict.outcome);
        context.err.line(context.err.paint(Style::Warn, text));
    }
    Ok(material.verdict.outcome.exit_code())
}

fn show(events: &[Event], verdict: &Verdict, context: &Context) {
    let out = &context.out;
    if let Some(result) = RunResult::of(events, verdict) {
        out.line(out.paint(Style::Strong, &result.title));
        // A game day may have no scenario.
        let scenario =
            if result.scenario.is_empty() { String::new() } else { format!("{}, ", result.scenario) };
        out.line(out.paint(Style::Dim, format_args!("{scenario}run {}", result.run)));
    }
    reports::end(events, verdict, context).into_iter().for_each(|line| out.line(line));
}

/// What the run itself wrote, if it can be read.
fn recorded(dir: &Path) -> Option<RunResult> {
    serde_json::from_str(&fs::read_to_string(dir.join("result.json")).ok()?).ok()
}
