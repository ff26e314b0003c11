//! `harness judge`: the verdict of a recorded run, folded out of its log again.

use std::{fs, path::Path};

use harness_event::Verdict;
use harness_report::{RunResult, summary};

use super::{
    Context,
    args::JudgeArgs,
    reports::{self, Material},
};
use crate::{expected_error::ExpectedError, output::Style};

pub(super) async fn exec(args: JudgeArgs, context: &Context) -> Result<u8, ExpectedError> {
    let dir = reports::find(&context.state_dir, &args.run)?;
    let log = reports::read(&dir)?;
    let verdict = Verdict::of(&log.events);
    let out = &context.out;
    if let Some(result) = RunResult::of(&log.events, &verdict) {
        out.line(out.paint(Style::Strong, &result.title));
        out.line(out.paint(Style::Dim, format_args!("{}, run {}", result.scenario, result.run)));
    }
    if log.torn {
        context.err.line("the last line of the log is incomplete and was left out: the run was interrupted");
    }
    for line in summary(&log.events, &verdict, reports::style(out)) {
        out.line(line);
    }
    let material = Material::of(&dir, &log.events, log.torn, &[]);
    for (format, path) in args.reports.wanted() {
        reports::put(path, &format.make(&material)?)?;
    }
    if let Some(before) = recorded(&dir).filter(|before| before.verdict != verdict) {
        let text = format!("the run itself said: {}", before.verdict.outcome);
        context.err.line(context.err.paint(Style::Warn, text));
    }
    Ok(verdict.outcome.exit_code())
}

/// What the run itself wrote, if it can be read.
fn recorded(dir: &Path) -> Option<RunResult> {
    serde_json::from_str(&fs::read_to_string(dir.join("result.json")).ok()?).ok()
}
