//! `harness report`: the reports of a recorded run, made out of its log again.

use std::path::{Path, PathBuf};

use clap::Args;
use harness_event::Outcome;
use serde::Serialize;

use super::{
    Context,
    publish::{self, PublishArgs},
    reports::{self, Format, Material},
};
use crate::{exit_code, expected_error::ExpectedError};

/// Make the reports of a recorded run again
///
/// Every report is made of the run's log alone. Without --output, the files are written into the run's directory, and their paths
/// are shown.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness report last                                      all files, into the run's directory
  harness report last --format markdown -o - >> \"$GITHUB_STEP_SUMMARY\"
  harness report 20261121-120102 --format line             what the line view showed
  harness report last --format html,trace -o reports/
  harness report last --grafana http://grafana:3000        mark the run in Grafana, link its dashboards

Exit code 0 if the reports were made, whatever the verdict is; `harness judge` gives the verdict's.")]
pub struct ReportArgs {
    /// Run: its id (or its first characters), `last`, or the path of its directory or of its events.ndjson
    pub run: String,
    /// What to make; may be given several times [default: all files of a run]
    #[arg(long, value_name = "FORMAT", value_enum, value_delimiter = ',')]
    pub format: Vec<Format>,
    /// Where to write: a file, a directory, or `-` for standard output [default: the run's directory; for the line view: -]
    #[arg(short, long, value_name = "FILE|DIR|-")]
    pub output: Option<PathBuf>,
    /// Show what was written as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the run is to be seen.
    #[command(flatten)]
    pub grafana: PublishArgs,
}

/// What was made, as `--json` shows it.
#[derive(Debug, Serialize)]
struct Made {
    run: String,
    outcome: Outcome,
    /// Exit code of the run.
    exit_code: u8,
    /// The log's last line was incomplete.
    torn: bool,
    files: Vec<MadeFile>,
}

#[derive(Debug, Serialize)]
struct MadeFile {
    format: &'static str,
    path: PathBuf,
}

/// Where a report goes.
enum Place {
    Stdout,
    File(PathBuf),
}

pub(super) async fn exec(args: ReportArgs, context: &Context) -> Result<u8, ExpectedError> {
    let grafana = args.grafana.grafana()?;
    let dir = reports::find(&context.state_dir, &args.run)?;
    let mut formats = if args.format.is_empty() { Format::FILES.to_vec() } else { args.format.clone() };
    formats.dedup();
    let places = places(&formats, &dir, args.output.as_deref(), args.json)?;
    let log = reports::read(&dir)?;
    if log.torn {
        context.err.line("the last line of the log is incomplete and was left out: the run was interrupted");
    }
    let links = publish::publish(grafana.as_ref(), &log.events, context).await;
    let material = Material::of(&dir, &log.events, log.torn, &links);
    let verdict = &material.verdict;
    let mut files = Vec::new();
    for (format, place) in formats.into_iter().zip(places) {
        let text = match (format, &place) {
            (Format::Line, Place::Stdout) => {
                reports::line_view(&log.events, verdict, reports::style(&context.out))
            }
            _ => format.make(&material)?,
        };
        match place {
            Place::Stdout => context.out.line(text.trim_end_matches('\n')),
            Place::File(path) => {
                reports::put(&path, &text)?;
                files.push(MadeFile { format: format.name(), path });
            }
        }
    }
    if args.json {
        let (outcome, exit_code) = (verdict.outcome, verdict.outcome.exit_code());
        context.out.json(&Made { run: reports::id(&dir), outcome, exit_code, torn: log.torn, files })?;
    } else {
        for file in files {
            context.out.line(file.path.display());
        }
    }
    Ok(exit_code::PASSED)
}

/// A place for each format.
fn places(
    formats: &[Format],
    dir: &Path,
    output: Option<&Path>,
    json: bool,
) -> Result<Vec<Place>, ExpectedError> {
    let usage = |message: &str, hint: &str| ExpectedError::Usage {
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    let to_stdout = output == Some(Path::new("-"));
    let line_only = output.is_none() && formats == [Format::Line];
    if json && (to_stdout || line_only) {
        return Err(usage("--json and a report can't both go to standard output", "name a file with -o"));
    }
    match output {
        _ if line_only => Ok(vec![Place::Stdout]),
        Some(_) if to_stdout && formats.len() > 1 => Err(usage(
            "only one report can go to standard output",
            "choose it with --format, or name a directory with -o",
        )),
        Some(_) if to_stdout => Ok(vec![Place::Stdout]),
        Some(path) if formats.len() == 1 && !path.is_dir() => Ok(vec![Place::File(path.to_owned())]),
        Some(path) if path.is_file() => {
            Err(usage("several reports can't go to one file", "name a directory with -o"))
        }
        directory => {
            let directory = directory.unwrap_or(dir);
            Ok(formats.iter().map(|format| Place::File(directory.join(format.file()))).collect())
        }
    }
}
