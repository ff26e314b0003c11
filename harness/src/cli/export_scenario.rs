//! `harness export-scenario`.

use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use clap::Args;
use harness_event::{Event, EventKind};
use harness_scenario::export::{ExportError, ExportOptions, export};

use super::{Context, gameday::named_files, reports};
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
    let mut log = reports::read(&dir)?;
    let missing = relocate(&mut log.events, args.output.as_deref());
    let found = export(&log.events, ExportOptions { lengthen: args.lengthen });
    let exported = found.map_err(|error| failed(&reports::id(&dir), error))?;
    if log.torn {
        context.err.line("warning: the log was cut off in the middle of a line: the run did not finish");
    }
    for remark in &exported.remarks {
        context.err.line(context.err.paint(Style::Warn, format_args!("warning: {remark}")));
    }
    for path in missing {
        let text = format_args!("warning: the file {path:?} that a load names is not there: change its path")
            .to_string();
        context.err.line(context.err.paint(Style::Warn, text));
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

/// Files that loads name are relative to the scenario file: those that are found are written as seen from the new one. Gives those
/// that are not.
fn relocate(events: &mut [Event], output: Option<&Path>) -> Vec<String> {
    let scenario = match events.first().map(|event| &event.kind) {
        Some(EventKind::RunStarted { scenario, .. }) => PathBuf::from(scenario),
        _ => PathBuf::new(),
    };
    let old = super::run::directory(&scenario);
    let new = output.and_then(Path::parent).filter(|parent| !parent.as_os_str().is_empty());
    let new = fs::canonicalize(new.unwrap_or(Path::new("."))).unwrap_or_default();
    let mut missing = Vec::new();
    let mut one = |path: &mut String| match fs::canonicalize(old.join(&*path)) {
        Ok(found) => *path = seen_from(&new, &found).display().to_string(),
        Err(_) if missing.contains(path) => {}
        Err(_) => missing.push(path.clone()),
    };
    for event in events {
        match &mut event.kind {
            EventKind::RunStarted { plan, .. } => {
                plan.loads.iter_mut().flat_map(named_files).for_each(&mut one);
            }
            EventKind::LoadRequested { spec } => named_files(spec).into_iter().for_each(&mut one),
            _ => {}
        }
    }
    missing
}

/// The path of a file as seen from a directory; both are absolute.
fn seen_from(directory: &Path, file: &Path) -> PathBuf {
    let (from, to): (Vec<_>, Vec<_>) = (directory.components().collect(), file.components().collect());
    let same = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = std::iter::repeat_n(Component::ParentDir, from.len() - same);
    up.chain(to.into_iter().skip(same)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_seen_from_another_directory() {
        for (from, file, seen) in [
            ("/a/b", "/a/b/images/x.png", "images/x.png"),
            ("/a/b", "/a/images/x.png", "../images/x.png"),
            ("/a/b/c", "/x.png", "../../../x.png"),
            ("/", "/x.png", "x.png"),
        ] {
            assert_eq!(seen_from(Path::new(from), Path::new(file)), Path::new(seen));
        }
    }
}
