//! Files that a run leaves in its directory and where the user asked for them: finding, reading and making them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use harness_event::{Event, ReadLog, Verdict, read_log};
use harness_report::{HtmlOptions, LineView, Link, MarkdownOptions, RunResult, Style};

use super::Context;
use crate::{
    expected_error::{ExpectedError, chain},
    output::Output,
    stack::StateDir,
};

/// Name of the log in a run's directory.
pub(super) const EVENTS: &str = "events.ndjson";
/// Name of the scenario's copy beside it.
const SCENARIO: &str = "scenario.toml";

/// What reports are made of.
pub(super) struct Material<'a> {
    /// The log.
    pub(super) events: &'a [Event],
    /// What it proves.
    pub(super) verdict: Verdict,
    /// Dashboards to link to.
    pub(super) links: Vec<Link>,
    /// The log's last line was incomplete.
    pub(super) torn: bool,
    /// Text of the scenario as kept with the run.
    scenario: Option<String>,
    /// Where the run is kept, if it is not where the harness looks by itself.
    state_dir: Option<String>,
}

impl<'a> Material<'a> {
    /// The run in this directory.
    pub(super) fn of(dir: &Path, events: &'a [Event], torn: bool, links: &[Link]) -> Self {
        let state_dir = dir.parent().filter(|runs| runs.ends_with("runs")).and_then(Path::parent);
        let unusual = |path: &&Path| *path != StateDir::resolve(None).root();
        Self {
            events,
            verdict: Verdict::of(events),
            links: links.to_vec(),
            torn,
            scenario: fs::read_to_string(dir.join(SCENARIO)).ok(),
            state_dir: state_dir.filter(unusual).map(|path| path.display().to_string()),
        }
    }
}

/// A kind of report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One page for people, without network access: report.html
    Html,
    /// Summary for the page of a CI job: summary.md
    Markdown,
    /// Test results, one case per expectation: junit.xml
    Junit,
    /// The result for programs: result.json
    Json,
    /// Chrome trace for Perfetto: trace.json
    Trace,
    /// What the line view shows, as text
    Line,
}

impl Format {
    /// Those that every run leaves. What machines decide by comes first.
    pub(super) const FILES: [Self; 5] = [Self::Json, Self::Junit, Self::Markdown, Self::Html, Self::Trace];

    /// Name of its file in a run's directory.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::Html => "report.html",
            Self::Markdown => "summary.md",
            Self::Junit => "junit.xml",
            Self::Json => "result.json",
            Self::Trace => "trace.json",
            Self::Line => "run.txt",
        }
    }

    /// Its name on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Junit => "junit",
            Self::Json => "json",
            Self::Trace => "trace",
            Self::Line => "line",
        }
    }

    /// The report's text.
    pub(super) fn make(self, of: &Material<'_>) -> Result<String, ExpectedError> {
        let failed = |source: Box<dyn std::error::Error + Send + Sync>| ExpectedError::Internal {
            what: format!("{} could not be made", self.file()),
            source,
        };
        let (events, verdict) = (of.events, &of.verdict);
        match self {
            Self::Html => {
                let options = HtmlOptions {
                    scenario: of.scenario.clone(),
                    state_dir: of.state_dir.clone(),
                    links: of.links.clone(),
                    torn: of.torn,
                };
                harness_report::html(events, verdict, &options).map_err(|error| failed(error.into()))
            }
            Self::Markdown => {
                let options = MarkdownOptions { links: of.links.clone() };
                Ok(harness_report::markdown(events, verdict, &options))
            }
            Self::Junit => harness_report::junit(events, verdict).map_err(|error| failed(error.into())),
            Self::Json => {
                let none = || failed("the log does not begin with a run".into());
                let result = RunResult::of(events, verdict).ok_or_else(none)?;
                result.to_json().map_err(|error| failed(error.into()))
            }
            Self::Trace => harness_report::trace(events, verdict).map_err(|error| failed(error.into())),
            Self::Line => Ok(line_view(events, verdict, Style { color: false, unicode: true })),
        }
    }
}

/// What the line view showed, and the summary after it.
pub(super) fn line_view(events: &[Event], verdict: &Verdict, style: Style) -> String {
    let mut view = LineView::new(style);
    let lines = events.iter().flat_map(|event| view.lines(event));
    let lines: Vec<_> = lines.chain(harness_report::summary(events, verdict, style)).collect();
    lines.join("\n") + "\n"
}

/// Further copies of a run's reports.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Reports (all are also kept with the run)")]
pub struct ReportFiles {
    /// Write a JUnit report, one test case per expectation
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Write the report as one HTML page
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Write a summary in Markdown, for the page of a CI job
    #[arg(long, value_name = "FILE")]
    pub markdown: Option<PathBuf>,
}

impl ReportFiles {
    /// All files that were asked for. Standard output is not one of them: it is the view's.
    pub(super) fn files(&self) -> Result<Vec<&PathBuf>, ExpectedError> {
        let files: Vec<_> = self.wanted().into_iter().map(|(_, path)| path).collect();
        if files.iter().any(|path| *path == Path::new("-")) {
            return Err(ExpectedError::Usage {
                message: "a run's report can't go to standard output, where the run itself is shown"
                    .to_owned(),
                hint: Some(
                    "name a file, or use `harness report last --format ... -o -` afterwards".to_owned(),
                ),
            });
        }
        Ok(files)
    }

    /// What was asked for, and where it is to go.
    pub(super) fn wanted(&self) -> Vec<(Format, &PathBuf)> {
        // All fields by name: one more is not forgotten here.
        let Self { junit, json, html, markdown } = self;
        let all = [
            (Format::Json, json),
            (Format::Junit, junit),
            (Format::Html, html),
            (Format::Markdown, markdown),
        ];
        all.into_iter().filter_map(|(format, path)| Some((format, path.as_ref()?))).collect()
    }
}

/// How the output looks: colours as decided for the stream, symbols by the locale.
pub(super) fn style(out: &Output) -> Style {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
    let utf8 = locale.is_some_and(|locale| locale.to_lowercase().replace('-', "").contains("utf8"));
    Style { color: out.colored(), unicode: utf8 }
}

/// The end of a run on the terminal; with --quiet only what it comes to.
pub(super) fn end(events: &[Event], verdict: &Verdict, context: &Context) -> Vec<String> {
    let style = style(&context.out);
    match context.global.quiet {
        true => harness_report::conclusion(events, verdict, style),
        false => harness_report::summary(events, verdict, style),
    }
}

/// Writes the reports of a log into the run's directory, and copies to where they are wanted. One that cannot be made or written
/// does not keep the others from being written. It is an error only if a machine decides by it or the user asked for it; else it
/// is a warning.
pub(super) fn write(
    dir: &Path,
    events: &[Event],
    copies: &ReportFiles,
    links: &[Link],
    err: &Output,
) -> Result<(), ExpectedError> {
    let material = Material::of(dir, events, false, links);
    let mut first_error = None;
    for format in Format::FILES {
        let copies = copies.wanted().into_iter().filter(|(one, _)| *one == format);
        let copies: Vec<_> = copies.map(|(_, path)| (path.clone(), true)).collect();
        let needed = matches!(format, Format::Json | Format::Junit);
        let own = (dir.join(format.file()), needed);
        let mut failed = |error: ExpectedError, needed: bool| match needed {
            true => {
                first_error.get_or_insert(error);
            }
            false => warn(&error, err),
        };
        match format.make(&material) {
            Ok(text) => {
                for (path, needed) in [own].into_iter().chain(copies) {
                    if let Err(error) = put(&path, &text) {
                        failed(error, needed);
                    }
                }
            }
            Err(error) => failed(error, needed || !copies.is_empty()),
        }
    }
    first_error.map_or(Ok(()), Err)
}

fn warn(error: &ExpectedError, err: &Output) {
    err.line(err.paint(crate::output::Style::Warn, format_args!("warning: {}", chain(error))));
}

/// Writes the copies that are wanted; `-` is standard output. True if one went there.
pub(super) fn write_copies(
    copies: &ReportFiles,
    of: &Material<'_>,
    out: &Output,
) -> Result<bool, ExpectedError> {
    let wanted = copies.wanted();
    let on_stdout = wanted.iter().filter(|(_, path)| *path == Path::new("-")).count();
    if on_stdout > 1 {
        return Err(ExpectedError::Usage {
            message: "only one report can go to standard output".to_owned(),
            hint: Some("name files for the others".to_owned()),
        });
    }
    for (format, path) in wanted {
        let text = format.make(of)?;
        match path == Path::new("-") {
            true => out.line(text.trim_end_matches('\n')),
            false => put(path, &text)?,
        }
    }
    Ok(on_stdout == 1)
}

/// Writes a file, making its directory.
pub(super) fn put(path: &Path, text: &str) -> Result<(), ExpectedError> {
    let make = |path: &Path| path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = make(path).and_then(|()| fs::write(path, text));
    written.map_err(|source| ExpectedError::File { verb: "write", path: path.to_owned(), source })
}

/// Finds a run: `last`, an id or its first characters, or the path of a log or a run's directory.
pub(super) fn find(state: &StateDir, name: &str) -> Result<PathBuf, ExpectedError> {
    let path = Path::new(name);
    if path.is_dir() && path.join(EVENTS).is_file() {
        return Ok(path.to_owned());
    }
    // Any file of a run stands for it.
    if path.is_file() && path.with_file_name(EVENTS).is_file() {
        return Ok(path.parent().map_or_else(PathBuf::new, Path::to_owned));
    }
    let runs = all(state);
    let matching: Vec<_> = match name {
        "last" => runs.last().into_iter().collect(),
        _ => runs.iter().filter(|dir| id(dir).starts_with(name)).collect(),
    };
    let usage = |message: String| ExpectedError::Usage {
        message,
        hint: Some(format!("runs are kept in {}; `harness history` lists them", state.runs().display())),
    };
    match matching.as_slice() {
        [one] => Ok((*one).clone()),
        [] if name == "last" => Err(usage("there is no run yet".to_owned())),
        [] if path.exists() => Err(usage(format!("{name} is no run: there is no {EVENTS}"))),
        [] => Err(usage(format!("there is no run {name:?}"))),
        several => {
            let ids: Vec<_> = several.iter().map(|dir| id(dir)).collect();
            Err(usage(format!("{name:?} could be any of {}", ids.join(", "))))
        }
    }
}

/// Directories of all runs, oldest first.
pub(super) fn all(state: &StateDir) -> Vec<PathBuf> {
    let entries = fs::read_dir(state.runs()).into_iter().flatten().flatten();
    let mut dirs: Vec<_> =
        entries.map(|entry| entry.path()).filter(|path| path.join(EVENTS).is_file()).collect();
    dirs.sort();
    dirs
}

/// A run's id, from its directory.
pub(super) fn id(dir: &Path) -> String {
    dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// Reads a run's log.
pub(super) fn read(dir: &Path) -> Result<ReadLog, ExpectedError> {
    let path = dir.join(EVENTS);
    let bytes =
        fs::read(&path).map_err(|source| ExpectedError::File { verb: "read", path: path.clone(), source })?;
    read_log(bytes.as_slice()).map_err(|error| {
        let text = chain(&error);
        match error {
            harness_event::ReadError::Io(source) => {
                ExpectedError::File { verb: "read", path: path.clone(), source }
            }
            _ => ExpectedError::Usage {
                message: format!("{}: {text}", path.display()),
                hint: Some(
                    "what is damaged cannot be judged; the reports that the run itself wrote are beside it"
                        .to_owned(),
                ),
            },
        }
    })
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use harness_event::{EventKind, Millis, RunMode, Timestamp};

    use super::*;
    use crate::output::ColorArg;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn events() -> Vec<Event> {
        let text = "title = \"x\"\nnamespace = \"n\"\n[[fault]]\nname = \"f\"\nduration = \"1s\"\n\
                    scale = { workload = \"deployment/d\", replicas = 0 }\n\
                    [[expect.workload]]\nworkload = \"deployment/d\"\nready = 1\nwithin = \"1s\"\n";
        let plan = harness_scenario::parse("x.toml", text).map_err(|error| error.to_string()).unwrap().plan;
        let kind = EventKind::RunStarted {
            format: harness_event::FORMAT_VERSION,
            run: "20261121-100000-abcd".to_owned(),
            harness: "0.1.0".to_owned(),
            scenario: "x.toml".to_owned(),
            scenario_sha256: String::new(),
            mode: RunMode::Scenario,
            plan,
        };
        vec![Event { seq: 0, at: Timestamp(1_763_700_000_000), elapsed: Millis(0), kind }]
    }

    /// Writes into a directory in which one file's place is taken.
    fn written(taken: Format, copies: &ReportFiles) -> (Result<(), ExpectedError>, String, Vec<Format>) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join(taken.file())).unwrap();
        let sink = Sink::default();
        let err = Output::new(Box::new(sink.clone()), false, ColorArg::Never);
        let result = write(dir.path(), &events(), copies, &[], &err);
        let there =
            Format::FILES.into_iter().filter(|format| dir.path().join(format.file()).is_file()).collect();
        (result, String::from_utf8(sink.0.lock().unwrap().clone()).unwrap(), there)
    }

    #[test]
    fn a_report_that_fails_keeps_no_other_from_being_written() {
        for taken in Format::FILES {
            let (result, warnings, there) = written(taken, &ReportFiles::default());
            let others: Vec<_> = Format::FILES.into_iter().filter(|format| *format != taken).collect();
            assert_eq!(there, others);
            // What machines decide by must be there; the others cost a warning, never the verdict's exit code.
            let needed = matches!(taken, Format::Json | Format::Junit);
            assert_eq!(result.is_err(), needed, "{taken:?}");
            assert_eq!(warnings.contains(taken.file()), !needed, "{taken:?}: {warnings}");
        }
    }

    #[test]
    fn a_copy_that_was_asked_for_and_fails_is_an_error() {
        let copies = ReportFiles { html: Some("/dev/null/report.html".into()), ..ReportFiles::default() };
        let (result, _, _) = written(Format::Trace, &copies);
        assert!(result.unwrap_err().to_string().contains("/dev/null/report.html"));
    }
}
