//! A run's directory, its log, and the view of it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::mpsc,
    time::Duration,
};

use harness_engine::{
    Log,
    conductor::{Control, RunOptions},
    load::WorkerCommand,
};
use harness_event::{CancelReason, Event, EventKind, FORMAT_VERSION, Millis, RunMode, Verdict};
use harness_scenario::Scenario;
use harness_tui::{Mode, Options};
use tokio_util::sync::CancellationToken;

use super::{Context, reports, signals::Cancel};
use crate::{
    expected_error::{ExpectedError, chain},
    output::Output,
    stack::Compression,
    view::{Host, Kind, Live, ViewOptions},
};

/// What was written to standard error while the terminal view had the screen.
const STDERR: &str = "stderr.log";
/// Panics, as they happened.
const PANICS: &str = "panic.log";

/// A run that is being recorded.
pub(super) struct Record {
    pub(super) run: String,
    pub(super) dir: PathBuf,
    pub(super) log: Log,
    scenario: String,
    events: mpsc::Receiver<Event>,
}

/// The view of a run, and what answers it.
pub(super) struct Viewed {
    live: Live,
    host: Option<Host>,
}

impl Record {
    pub(super) fn create(context: &Context, path: &Path, scenario: &Scenario) -> Result<Self, ExpectedError> {
        let record = Self::begin(context, Some(path))?;
        tracing::debug!(run = record.run, sha256 = scenario.sha256, "recording");
        Ok(record)
    }

    /// A record, with a copy of the scenario file if there is one.
    pub(super) fn begin(context: &Context, path: Option<&Path>) -> Result<Self, ExpectedError> {
        let run = run_id();
        let dir = context.state_dir.runs().join(&run);
        let failed = |source: io::Error| ExpectedError::File { verb: "write", path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(failed)?;
        if let Some(path) = path {
            fs::copy(path, dir.join("scenario.toml")).map_err(failed)?;
        }
        let (sender, events) = mpsc::channel();
        let log = Log::create(&dir.join(reports::EVENTS), Some(sender)).map_err(failed)?;
        let scenario_path = path.map_or_else(String::new, |path| path.display().to_string());
        Ok(Self { run, dir, scenario: scenario_path, log, events })
    }

    /// Shows what happens from now on. The terminal view asks `host`.
    pub(super) fn view(
        self,
        kind: Kind,
        exit: bool,
        host: Option<Host>,
        context: &Context,
    ) -> Result<(Recorded, Viewed), ExpectedError> {
        let options = view_options(kind, exit, &self.dir, context);
        let failed = |source: io::Error| ExpectedError::Internal {
            what: "the view could not be started".to_owned(),
            source: source.into(),
        };
        let (live, wishes) = Live::start(options, self.events).map_err(failed)?;
        if let (Some(host), Some(sender)) = (host.clone(), live.sender()) {
            tokio::spawn(host.serve(wishes, sender));
        }
        // Only the view commands a game day: when it has gone, nobody does, and the game day ends.
        let host = host.map(Host::without_game_day);
        let recorded = Recorded { run: self.run, dir: self.dir, scenario: self.scenario, log: self.log };
        Ok((recorded, Viewed { live, host }))
    }
}

/// How the view of a run in this directory looks.
fn view_options(kind: Kind, exit: bool, dir: &Path, context: &Context) -> ViewOptions {
    let style = reports::style(&context.out);
    ViewOptions {
        kind,
        out: if context.global.quiet { Output::nowhere() } else { Output::stdout(context.global.color) },
        style,
        terminal: Options {
            color: style.color,
            unicode: style.unicode,
            mode: Mode::default(),
            leave_when_over: exit,
            panic_log: Some(dir.join(PANICS)),
        },
        stderr: dir.join(STDERR),
        // A run is not over because nobody looks.
        unread: CancellationToken::new(),
    }
}

impl Viewed {
    /// Says so when a signal has come: nobody at the keys has pressed anything.
    pub(super) fn announce(&self, cancel: &Cancel) {
        let Some(sender) = self.live.sender() else { return };
        let cancel = cancel.clone();
        tokio::spawn(async move {
            cancel.signalled.cancelled().await;
            sender.progress(format!("{}: everything is being rolled back", cancel.signal()));
        });
    }

    /// Shows the rest: every clone of the log must be gone. Returns when the person has left the view.
    pub(super) async fn close(self, verdict: Option<&Verdict>, leave: &CancellationToken) {
        if let Some(host) = &self.host {
            host.end_log();
        }
        self.live.conclude(verdict.cloned(), leave).await;
    }
}

/// A run that is being recorded and viewed.
pub(super) struct Recorded {
    pub(super) run: String,
    pub(super) dir: PathBuf,
    pub(super) log: Log,
    scenario: String,
}

impl Recorded {
    pub(super) fn options(
        &self,
        scenario: &Scenario,
        bring_up: Duration,
        compression: Option<&Compression>,
        cancel: &Cancel,
        control: tokio::sync::mpsc::Receiver<Control>,
    ) -> RunOptions {
        RunOptions {
            run: self.run.clone(),
            run_dir: self.dir.clone(),
            scenario: self.scenario.clone(),
            scenario_sha256: scenario.sha256.clone(),
            plan: scenario.plan.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            bring_up: Millis::from(bring_up),
            cancel: cancel.token.clone(),
            signal: cancel.name.clone(),
            scenario_dir: super::run::directory(Path::new(&self.scenario)).to_owned(),
            load_worker: WorkerCommand {
                program: crate::own_exe().to_owned(),
                arguments: vec![crate::LOAD_WORKER.to_owned()],
            },
            compression: compression.map(|one| (one.factor, one.unscaled.clone())),
            control: Some(control),
        }
    }

    /// The run ended before it began. CI wants its report all the same.
    pub(super) fn not_ready(&self, error: &ExpectedError) {
        let text = fs::read_to_string(self.dir.join("scenario.toml")).unwrap_or_default();
        let Ok(scenario) = harness_scenario::parse(&self.scenario, &text) else { return };
        self.log.record(EventKind::RunStarted {
            format: FORMAT_VERSION,
            run: self.run.clone(),
            harness: env!("CARGO_PKG_VERSION").to_owned(),
            scenario: self.scenario.clone(),
            scenario_sha256: scenario.sha256,
            mode: RunMode::Scenario,
            plan: scenario.plan,
        });
        self.log.record(match error {
            ExpectedError::Interrupted { signal, .. } => {
                EventKind::RunCancelled { reason: CancelReason::Signal((*signal).to_owned()) }
            }
            // The same exit code in the report as of the process.
            _ if error.exit_code() == crate::exit_code::USAGE => {
                EventKind::RunRefused { problems: vec![chain(error)] }
            }
            _ => EventKind::NotReady { component: "set-up".to_owned(), reason: chain(error) },
        });
    }
}

/// `20261121-120102-k3f9`: sorts by time, short enough to type.
pub(super) fn run_id() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let suffix: String = (0..4).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect();
    format!("{}-{suffix}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use futures::FutureExt;
    use harness_engine::conductor::Controls;

    use super::*;
    use crate::cli::App;

    /// The terminal view may fail, and a script may panic.
    #[tokio::test]
    async fn nobody_but_the_view_and_the_script_commands_a_game_day() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().display().to_string();
        let app = App::try_parse_from(["harness", "--quiet", "--state-dir", &state, "status"]).unwrap();
        let context = Context::new(&app.global);
        let (controls, mut commands) = Controls::new();
        let nowhere = kube::Client::new(axum::Router::<()>::new(), "default");
        let host = Host::new(nowhere, || {}).of_game_day(Arc::new(move |_| {
            let controls = controls.clone();
            async move {
                controls.finish().await;
                None
            }
            .boxed()
        }));
        let record = Record::begin(&context, None).unwrap();
        let (recorded, viewed) = record.view(Kind::Lines, true, Some(host), &context).unwrap();
        let left = tokio::time::timeout(Duration::from_secs(20), commands.recv()).await;
        assert!(left.expect("what shows the game day can still command it").is_none());
        drop(recorded);
        viewed.close(None, &CancellationToken::new()).await;
    }
}
