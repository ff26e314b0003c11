//! `harness history`: what was run, how it ended, what was measured.

mod prune;
mod words;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Subcommand};
use harness_event::{Millis, Timestamp};
use harness_history::{Ending, Entry, History, HistoryError, Location, Query, Run, Sort, show};
use serde_json::json;

use self::{
    prune::{PruneArgs, prune},
    words::{When, outcome, when},
};
use super::{Context, reports};
use crate::{
    exit_code,
    expected_error::{ExpectedError, chain},
    output::Style,
    stack::StateDir,
};

/// The end of a run waits so long for its index. The run itself is over and recorded by then.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the index of runs is.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "History")]
pub struct IndexArgs {
    /// Keep the index of runs in this PostgreSQL (postgres://USER@HOST/DATABASE) instead of history.db in the state directory. A
    /// password is better given by the variable than on the command line, where others can see it
    #[arg(long, global = true, value_name = "URL", env = "HARNESS_HISTORY_URL", hide_env_values = true)]
    pub history_url: Option<String>,
}

/// List recorded runs, show what was measured in them, delete old ones
///
/// The index is made of the runs' folders and kept in step with them: nothing is lost if it is deleted. Folders that cannot be
/// read are named on standard error and left alone.
#[derive(Clone, Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_long_help = "\
Examples:
  harness history
  harness history --scenario 'db-*' --outcome failed --since 7d
  harness history --sort alert_firing/APIServiceDown --limit 5
  harness history --json | jq -r '.runs[] | select(.outcome != \"passed\") | .id'
  harness history show last
  harness history prune --keep-last 50 --max-age 30d --dry-run

Outcomes: passed, failed, inconclusive, refused, not_ready, aborted, rollback_incomplete, internal_error, ended (a game day), \
interrupted (the run has no end, and its process is gone), running."
)]
pub struct HistoryArgs {
    /// What to do; lists runs by default.
    #[command(subcommand)]
    pub(crate) command: Option<HistoryCommand>,
    /// Which runs.
    #[command(flatten)]
    pub list: ListArgs,
    /// Where the index is.
    #[command(flatten)]
    pub index: IndexArgs,
}

/// Which runs are listed, and how.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Only runs of scenarios whose path, file name or name without .toml matches (* and ? as in a shell)
    #[arg(long, value_name = "GLOB")]
    pub scenario: Option<String>,
    /// Only runs that ended so; may be given several times, or with commas
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',', value_parser = outcome)]
    pub outcome: Vec<Ending>,
    /// Only runs whose title matches
    #[arg(long, value_name = "GLOB")]
    pub title: Option<String>,
    /// Only runs since: 30m, 12h, 7d, 4w ago, or a date (2026-11-21), or a time (2026-11-21T14:00:00Z), in UTC
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub since: Option<When>,
    /// Only runs until then; a date includes its day
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub until: Option<When>,
    /// At most so many; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: u32,
    /// Order: started, duration, outcome, or a measure (alert_firing, alert_firing/APIServiceDown); highest or newest first
    #[arg(long, value_name = "KEY", default_value = "started")]
    pub sort: String,
    /// Lowest or oldest first
    #[arg(long)]
    pub reverse: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// The commands of `harness history`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    Show(ShowArgs),
    Reindex(ReindexArgs),
    Prune(PruneArgs),
}

/// Show what was measured in a run
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// Run: its id (or its first characters), or `last`
    pub run: String,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Make the index again from the runs' folders
///
/// In one step: whoever reads it at that time sees the old one or the new one.
#[derive(Clone, Debug, Args)]
pub struct ReindexArgs {
    /// Also forget runs of this directory whose folders are gone, which an index in PostgreSQL keeps
    #[arg(long)]
    pub forget_missing: bool,
}

pub(super) async fn exec(args: HistoryArgs, context: &Context) -> Result<u8, ExpectedError> {
    let mut history = open(&args.index, context).await?;
    let done = match &args.command {
        None => list(&args.list, &mut history, context).await,
        Some(HistoryCommand::Show(args)) => show(args, &mut history, context).await,
        Some(HistoryCommand::Reindex(args)) => reindex(args, &mut history, context).await,
        Some(HistoryCommand::Prune(args)) => prune(args, &mut history, context).await,
    };
    say_notes(&mut history, context);
    history.close().await;
    done.map(|()| exit_code::PASSED)
}

/// Opens the index, and says what was wrong with it.
pub(super) async fn open(args: &IndexArgs, context: &Context) -> Result<History, ExpectedError> {
    let state = &context.state_dir;
    let location =
        Location::new(args.history_url.as_deref(), &index(state)).map_err(|error| failed(&error))?;
    let mut history = History::open(location, &state.runs()).await.map_err(|error| failed(&error))?;
    say_notes(&mut history, context);
    Ok(history)
}

fn index(state: &StateDir) -> PathBuf {
    state.root().join("history.db")
}

pub(super) fn failed(error: &HistoryError) -> ExpectedError {
    ExpectedError::Usage { message: chain(error), hint: error.hint().map(str::to_owned) }
}

fn say_notes(history: &mut History, context: &Context) {
    for note in history.notes() {
        context.err.line(context.err.paint(Style::Warn, note));
    }
}

/// Brings the index in step with the folders, and names those that cannot be read.
pub(super) async fn sync(history: &mut History, context: &Context) -> Result<(), ExpectedError> {
    history.sync().await.map_err(|error| failed(&error))?;
    say_damaged(history, context);
    Ok(())
}

fn say_damaged(history: &History, context: &Context) {
    for one in history.damaged() {
        let text = format!("skipped run {}: {}: {}", one.id, one.file.display(), one.why);
        context.err.line(context.err.paint(Style::Warn, text));
    }
}

/// Columns of the terminal; none if it is none.
pub(super) fn width(context: &Context) -> Option<usize> {
    let given = std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).filter(|width| *width > 0);
    if !context.out.is_terminal() {
        return None;
    }
    given.or_else(|| {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        Some(usize::from(size.ws_col)).filter(|width| *width > 0)
    })
}

async fn list(args: &ListArgs, history: &mut History, context: &Context) -> Result<(), ExpectedError> {
    sync(history, context).await?;
    let sort = Sort::parse(&args.sort);
    if let Some(known) = history.unknown_sort(&sort).await.map_err(|error| failed(&error))? {
        return Err(unknown_sort(&args.sort, &known));
    }
    let found = history.matching(args.scenario.as_deref(), args.title.as_deref()).await;
    let (scenarios, titles) = found.map_err(|error| failed(&error))?;
    let outcomes: Vec<String> = args.outcome.iter().map(|one| one.word().to_owned()).collect();
    let now = Timestamp::now();
    let query = Query {
        scenarios,
        titles,
        outcomes: (!outcomes.is_empty()).then_some(outcomes),
        since: args.since.map(|when| when.start(now)),
        until: args.until.map(|when| when.end(now)),
        sort,
        reverse: args.reverse,
        limit: (args.limit > 0).then_some(args.limit),
        ..Query::default()
    };
    let runs = history.runs(&query).await.map_err(|error| failed(&error))?;
    let out = &context.out;
    if args.json {
        let runs: Vec<_> = runs.iter().map(|(run, _)| run).collect();
        let damaged = history.damaged().iter();
        let damaged: Vec<_> =
            damaged.map(|one| json!({ "id": one.id, "file": one.file, "why": one.why })).collect();
        out.line(pretty(&json!({ "format": 1, "runs": runs, "damaged": damaged })));
        return Ok(());
    }
    if runs.is_empty() {
        let all = Query { limit: Some(1), ..Query::default() };
        let any = !history.runs(&all).await.map_err(|error| failed(&error))?.is_empty();
        out.line(if any { "no run matches" } else { "there is no run yet; `harness run` makes one" });
        return Ok(());
    }
    for line in show::runs(&runs, &query.sort, width(context), reports::style(out)) {
        out.line(line);
    }
    Ok(())
}

fn unknown_sort(given: &str, known: &[String]) -> ExpectedError {
    let mut names: Vec<&str> = known.iter().filter_map(|id| id.split('/').next()).collect();
    names.dedup();
    let hint = match names.is_empty() {
        true => "no run has measured anything yet; started, duration and outcome can always be sorted by"
            .to_owned(),
        false => format!("started, duration, outcome, or a measure: {}", names.join(", ")),
    };
    ExpectedError::Usage { message: format!("no run has a measure {given:?}"), hint: Some(hint) }
}

/// The run of a name: `last`, an id, or its first characters. Of all runs in the index, also those without a folder here.
pub(super) async fn find(history: &mut History, name: &str) -> Result<Entry, ExpectedError> {
    let all = Query { limit: (name == "last").then_some(1), ..Query::default() };
    let runs = history.runs(&all).await.map_err(|error| failed(&error))?;
    let usage = |message: String| ExpectedError::Usage {
        message,
        hint: Some("`harness history` lists the runs".to_owned()),
    };
    // A folder's path, as other commands take it.
    let name = Path::new(name)
        .file_name()
        .map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned());
    let exact = runs.iter().position(|(run, _)| run.id == name);
    let mut matching: Vec<Run> = match (name.as_str(), exact) {
        ("last", _) => runs.into_iter().map(|(run, _)| run).collect(),
        (_, Some(at)) => vec![runs[at].0.clone()],
        (name, None) => runs.into_iter().map(|(run, _)| run).filter(|run| run.id.starts_with(name)).collect(),
    };
    match matching.len() {
        1 => entries(history, vec![matching.remove(0)])
            .await?
            .pop()
            .ok_or_else(|| usage(format!("there is no run {name:?}"))),
        0 if name == "last" => Err(usage("there is no run yet".to_owned())),
        0 => Err(usage(format!("there is no run {name:?}"))),
        _ => {
            let ids: Vec<_> = matching.iter().take(5).map(|run| run.id.as_str()).collect();
            Err(usage(format!("{name:?} could be any of {} runs: {} ...", matching.len(), ids.join(", "))))
        }
    }
}

/// Runs with their measures.
pub(super) async fn entries(history: &mut History, runs: Vec<Run>) -> Result<Vec<Entry>, ExpectedError> {
    let ids: Vec<String> = runs.iter().map(|run| run.id.clone()).collect();
    let mut measures = history.measures(&ids).await.map_err(|error| failed(&error))?;
    let entry = |run: Run| Entry { measures: measures.remove(&run.id).unwrap_or_default(), run };
    Ok(runs.into_iter().map(entry).collect())
}

pub(super) fn pretty(value: &serde_json::Value) -> String {
    // A value that was made of strings, numbers and lists always serialises.
    serde_json::to_string_pretty(value).unwrap_or_default()
}

async fn show(args: &ShowArgs, history: &mut History, context: &Context) -> Result<(), ExpectedError> {
    sync(history, context).await?;
    let Entry { run, measures } = find(history, &args.run).await?;
    let out = &context.out;
    let folder = context.state_dir.runs().join(&run.id);
    if args.json {
        let entry = Entry { run, measures };
        let value = serde_json::to_value(&entry).map_err(|error| ExpectedError::Internal {
            what: "the run could not be written as JSON".to_owned(),
            source: error.into(),
        })?;
        out.line(pretty(&value));
        return Ok(());
    }
    let style = reports::style(out);
    let ending = show::ending(&run);
    out.line(out.paint(Style::Strong, &run.title));
    let dash = || "-".to_owned();
    let length = |one: Millis| if one == Millis(0) { dash() } else { one.to_string() };
    let version =
        |name: &str, version: &Option<String>| version.as_ref().map(|version| format!("{name} {version}"));
    let versions = [
        Some(format!("harness {}", run.harness)),
        version("Kubernetes", &run.kubernetes),
        version("Prometheus", &run.prometheus),
        version("Alertmanager", &run.alertmanager),
    ];
    for (name, text) in [
        ("run", run.id.clone()),
        ("outcome", ending),
        ("scenario", format!("{} (sha256 {})", run.scenario, run.sha256.get(..12).unwrap_or(&run.sha256))),
        ("started", run.started_at.to_string()),
        ("duration", run.duration.to_string()),
        ("bring-up", length(run.bring_up)),
        ("readiness", length(run.readiness)),
        ("demanded", run.demanded.map_or_else(dash, length)),
        ("cluster", run.context.clone().unwrap_or_else(dash)),
        ("versions", versions.into_iter().flatten().collect::<Vec<_>>().join(", ")),
        (
            "pace",
            run.compress.map_or_else(|| "real time".to_owned(), |factor| format!("compressed x{factor}")),
        ),
        (
            "folder",
            if folder.is_dir() { folder.display().to_string() } else { format!("not here ({})", run.origin) },
        ),
    ] {
        let tone = if name == "outcome" { show::tone(run.outcome) } else { None };
        out.line(format_args!("  {name:<10} {}", style.paint(tone.unwrap_or(Style::Plain), &text)));
    }
    out.line("");
    if measures.is_empty() {
        out.line("nothing was measured");
    } else {
        for line in show::measures(&measures, width(context), style) {
            out.line(line);
        }
    }
    Ok(())
}

async fn reindex(args: &ReindexArgs, history: &mut History, context: &Context) -> Result<(), ExpectedError> {
    let synced = history.reindex(args.forget_missing).await.map_err(|error| failed(&error))?;
    say_damaged(history, context);
    let out = &context.out;
    out.line(format_args!("{} in {}", count(synced.read, "run"), history.describe()));
    if synced.forgotten > 0 {
        out.line(format_args!("{} forgotten: no folder", count(synced.forgotten, "run")));
    }
    if synced.without_folder > 0 {
        let kept = count(synced.without_folder, "run");
        out.line(format_args!("{kept} kept without a folder; --forget-missing forgets them"));
    }
    Ok(())
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Indexes a run that is over. What goes wrong is a warning: the run and its verdict stand without the index.
pub(super) async fn record(dir: &Path, args: &IndexArgs, context: &Context) {
    let id = reports::id(dir);
    let index = async {
        let mut history = open(args, context).await?;
        history.index(&id).await.map_err(|error| failed(&error))?;
        say_notes(&mut history, context);
        say_damaged(&history, context);
        history.close().await;
        Ok::<_, ExpectedError>(())
    };
    let text = match tokio::time::timeout(PATIENCE, index).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("it takes longer than {} s", PATIENCE.as_secs()),
    };
    let text = format!("warning: the run is recorded, but not in the history: {text}");
    context.err.line(context.err.paint(Style::Warn, text));
    context.err.line("  `harness history` finds it in its folder later");
}
