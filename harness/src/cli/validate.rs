//! `harness validate`.

use std::{fs, path::Path};

use harness_event::{LoadSpec, LoadStart, Millis, Plan, RateStage};
use harness_scenario::{Diagnostic, Severity, parse};
use serde::Serialize;

use super::{Context, args::ValidateArgs};
use crate::{exit_code, expected_error::ExpectedError, output::Style};

/// What `--json` shows. Documented in `docs/cli.md`.
#[derive(Debug, Serialize)]
struct Report {
    ok: bool,
    files: Vec<FileReport>,
}

#[derive(Debug, Serialize)]
struct FileReport {
    path: String,
    ok: bool,
    /// Why the file cannot be read.
    unreadable: Option<String>,
    /// What it says; absent if it has errors.
    scenario: Option<ScenarioReport>,
    /// Errors and warnings, by line.
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct ScenarioReport {
    title: String,
    faults: Vec<String>,
    loads: Vec<String>,
    slos: Vec<String>,
    /// Ids of what must be seen.
    expectations: Vec<String>,
    compress: Option<u32>,
}

#[derive(Debug, Serialize)]
struct Problem {
    /// `error` or `warning`.
    severity: &'static str,
    /// From 1.
    line: u32,
    /// From 1.
    column: u32,
    message: String,
    hint: Option<String>,
}

pub(super) fn exec(args: &ValidateArgs, context: &Context) -> Result<u8, ExpectedError> {
    let mut reports = Vec::new();
    let (mut files, mut found) = (0, 0);
    for path in &args.scenarios {
        let (errors, report) = one(path, args.json, context);
        files += usize::from(errors > 0);
        found += errors;
        reports.push(report);
    }
    if args.json {
        context.out.json(&Report { ok: files == 0, files: reports })?;
    }
    if files > 0 { Err(ExpectedError::Scenario { files, found }) } else { Ok(exit_code::PASSED) }
}

/// Checks one file, says what is to be said about it, and gives the number of errors. A file that cannot be read is a problem of
/// that file; the others are checked all the same.
fn one(path: &Path, json: bool, context: &Context) -> (usize, FileReport) {
    let err = &context.err;
    let name = path.display().to_string();
    let report = |ok, unreadable, scenario, problems| FileReport {
        path: name.clone(),
        ok,
        unreadable,
        scenario,
        problems,
    };
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            err.line(format_args!("{name}: {} {error}", err.paint(Style::Bad, "can't be read:")));
            return (1, report(false, Some(error.to_string()), None, Vec::new()));
        }
    };
    match parse(&name, &text) {
        Ok(scenario) => {
            for warning in &scenario.warnings {
                err.line(format_args!("{warning}\n"));
            }
            if !json {
                show(&name, &scenario.plan, context);
            }
            let problems = scenario.warnings.iter().map(problem).collect();
            (0, report(true, None, Some(of_plan(&scenario.plan)), problems))
        }
        Err(diagnostics) => {
            err.line(format_args!("{diagnostics}\n"));
            let problems = diagnostics.iter().map(problem).collect();
            (diagnostics.error_count(), report(false, None, None, problems))
        }
    }
}

fn problem(diagnostic: &Diagnostic) -> Problem {
    Problem {
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        line: diagnostic.line,
        column: diagnostic.column,
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
    }
}

fn of_plan(plan: &Plan) -> ScenarioReport {
    ScenarioReport {
        title: plan.title.clone(),
        faults: plan.faults.iter().map(|fault| fault.name.clone()).collect(),
        loads: plan.loads.iter().map(|load| load.name.clone()).collect(),
        slos: plan.slos.clone(),
        expectations: plan.expectations.iter().map(|expectation| expectation.id.clone()).collect(),
        compress: plan.compress,
    }
}

fn show(name: &str, plan: &Plan, context: &Context) {
    let out = &context.out;
    let count = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    let parts = [(plan.faults.len(), "fault"), (plan.loads.len(), "load"), (plan.slos.len(), "SLO")];
    let parts = parts.into_iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts
        .chain([(plan.expectations.len(), "expectation")])
        .map(|(number, noun)| count(number, noun))
        .chain(plan.compress.map(|factor| format!("time compressed ×{factor}")))
        .chain(plan.history.map(|history| format!("a past of {}", history.length)))
        .collect();
    out.line(format_args!("{} {name}: {} ({})", out.paint(Style::Good, "ok"), plan.title, parts.join(", ")));
    for load in &plan.loads {
        out.line(format_args!("   load {}", one_load(load)));
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
