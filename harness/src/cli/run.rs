//! `harness run`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use harness_engine::{
    Log,
    conductor::{RunOptions, run},
    load::WorkerCommand,
};
use harness_event::{Event, EventKind, FORMAT_VERSION, Millis, Outcome, RunMode, Verdict};
use harness_report::LineView;
use harness_scenario::Scenario;
use tokio_util::sync::CancellationToken;

use super::{
    Context,
    args::{MonitoringArgs, RunArgs, StackArgs},
    dry_run, history, pace, publish, reports, signals,
};
use crate::{
    expected_error::{ExpectedError, chain},
    grafana::annotations::Grafana,
    output::Output,
    stack::{self, Compression, History, Stack, StackOptions},
    target::Target,
};

pub(super) async fn exec(args: RunArgs, context: &Context) -> Result<u8, ExpectedError> {
    let mut scenario = read_scenario(&args.scenario, &args.monitoring, context)?;
    scenario.plan.compress = pace::wanted(args.stack.compress, scenario.plan.compress, context)?;
    let compress = scenario.plan.compress;
    let past = pace::history(scenario.plan.history, context)?;
    let grafana = args.grafana.grafana()?;
    if !args.dry_run {
        // Emptied before the run: a report of an earlier one must not be taken for this one's, whatever happens to it.
        for path in args.reports.paths() {
            reports::put(path, "")?;
        }
    }
    // From here on signals do not end the process: what was started or changed is undone first.
    let cancel = Cancel::listen();
    if args.dry_run {
        // A stack that is up keeps its pace and its past: a dry run changes nothing.
        let wanted = Wanted { compress, history: None, change: false };
        let (target, stack) = connect(&args.stack, wanted, context, &cancel).await?;
        if let Some(stack) = &stack {
            pace::compare(compress, stack.compression.as_ref(), context);
        }
        let result = dry_run::show(&scenario.plan, &target, directory(&args.scenario), context).await;
        take_down(stack, false, context).await?;
        return result;
    }
    let record = Record::create(context, &args.scenario, &scenario)?;
    let wanted = Wanted { compress, history: past, change: true };
    let connected = connect(&args.stack, wanted, context, &cancel).await;
    let (target, stack) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            record.not_ready(&error)?;
            reports::write(&record.dir, &record.log.events(), &args.reports, &[], &context.err)?;
            history::record(&record.dir, &args.index, context).await;
            return Err(error);
        }
    };
    let bring_up =
        stack.as_ref().filter(|stack| stack.started_by_us).map_or(Duration::ZERO, |stack| stack.bring_up);
    let compression = stack.as_ref().and_then(|stack| stack.compression.clone());
    let verdict =
        run(record.options(&scenario, bring_up, compression.as_ref(), &cancel), &target, &record.log).await;
    let left = !verdict.left_behind.is_empty();
    let dir = record.dir.clone();
    let result = finish(record, &verdict, &args, grafana.as_ref(), context).await;
    history::record(&dir, &args.index, context).await;
    // A stack in which a fault is left is kept: there is something to recover in it.
    take_down(stack, args.keep || left, context).await?;
    result
}

/// The directory of a scenario file: files that it names are relative to it.
fn directory(scenario: &Path) -> &Path {
    scenario.parent().unwrap_or(Path::new(""))
}

/// Reads and checks the scenario; every problem is shown at once.
fn read_scenario(
    path: &Path,
    monitoring: &MonitoringArgs,
    context: &Context,
) -> Result<Scenario, ExpectedError> {
    let failed = |source| ExpectedError::File { verb: "read", path: path.to_owned(), source };
    let text = fs::read_to_string(path).map_err(failed)?;
    let mut scenario = match harness_scenario::parse(&path.display().to_string(), &text) {
        Ok(scenario) => scenario,
        Err(diagnostics) => {
            context.err.line(format_args!("{diagnostics}\n"));
            return Err(ExpectedError::Scenario { files: 1, found: diagnostics.error_count() });
        }
    };
    for warning in &scenario.warnings {
        context.err.line(format_args!("{warning}\n"));
    }
    let addresses = &mut scenario.plan.monitoring;
    for (given, address) in [
        (&monitoring.prometheus, &mut addresses.prometheus),
        (&monitoring.alertmanager, &mut addresses.alertmanager),
        (&monitoring.receiver, &mut addresses.receiver),
    ] {
        if let Some(given) = given {
            address.clone_from(given);
        }
    }
    Ok(scenario)
}

/// What the scenario and the command line ask of the embedded stack.
#[derive(Clone, Copy)]
struct Wanted {
    compress: Option<u32>,
    history: Option<History>,
    /// Bring a stack that is up to that, too.
    change: bool,
}

/// The cluster of the user's own, or the embedded one, brought up if it is not there.
async fn connect(
    args: &StackArgs,
    wanted: Wanted,
    context: &Context,
    cancel: &Cancel,
) -> Result<(harness_engine::Target, Option<Stack>), ExpectedError> {
    if context.external() {
        let target =
            Target::external(context.global.kubeconfig.as_deref(), context.global.context.as_deref()).await?;
        let name = context.global.context.clone().unwrap_or_else(|| "kubeconfig".to_owned());
        return Ok((
            harness_engine::Target {
                client: target.client,
                context: name,
                server: target.server,
                own_stack: false,
            },
            None,
        ));
    }
    let options = StackOptions {
        state_dir: context.state_dir.clone(),
        deploy_dir: args.deploy_dir.clone(),
        ready_timeout: args.ready_timeout,
        compress: wanted.compress,
        reapply: false,
        retime: wanted.change,
        history: wanted.history,
        renew_history: wanted.change,
        keep_failed: false,
    };
    let progress = context.progress();
    let stack = tokio::select! {
        stack = Stack::ensure(&options, &progress) => stack?,
        () = cancel.token.cancelled() => {
            stack::undo_start(&context.state_dir, &progress).await?;
            let state = "no fault was injected".to_owned();
            return Err(ExpectedError::Interrupted { signal: cancel.signal(), state });
        }
    };
    let target = Target::embedded(&stack.kubeconfig).await?;
    let target = harness_engine::Target {
        client: target.client,
        context: "embedded".to_owned(),
        server: target.server,
        own_stack: true,
    };
    Ok((target, Some(stack)))
}

/// Stops the embedded stack if this run started it.
async fn take_down(stack: Option<Stack>, keep: bool, context: &Context) -> Result<(), ExpectedError> {
    if let Some(stack) = stack.filter(|stack| stack.started_by_us && !keep) {
        drop(stack);
        stack::down(&context.state_dir, &context.progress()).await?;
    }
    Ok(())
}

/// Reports and exit code.
async fn finish(
    record: Record,
    verdict: &Verdict,
    args: &RunArgs,
    grafana: Option<&Grafana>,
    context: &Context,
) -> Result<u8, ExpectedError> {
    let events = record.log.events();
    let dir = record.close();
    for line in harness_report::summary(&events, verdict, reports::style(&context.out)) {
        context.out.line(line);
    }
    context
        .out
        .line(context.out.paint(crate::output::Style::Dim, format_args!("recorded in {}", dir.display())));
    let links = publish::publish(grafana, &events, context).await;
    let written = reports::write(&dir, &events, &args.reports, &links, &context.err);
    match (written, verdict.outcome) {
        (Ok(()), outcome) => Ok(outcome.exit_code()),
        // What is left in the cluster is said by the exit code in any case.
        (Err(error), outcome @ Outcome::RollbackIncomplete) => {
            error.display(&context.err);
            Ok(outcome.exit_code())
        }
        (Err(error), _) => Err(ExpectedError::Unreported { source: Box::new(error) }),
    }
}

/// Signals, as a wish to stop.
struct Cancel {
    token: CancellationToken,
    name: Arc<OnceLock<String>>,
}

impl Cancel {
    /// Listens from now on. The first signal cancels; more of them change nothing, since the rollback goes on in any case.
    fn listen() -> Self {
        let (token, name) = (CancellationToken::new(), Arc::new(OnceLock::new()));
        let cancel = Self { token: token.clone(), name: name.clone() };
        tokio::spawn(async move {
            loop {
                let signal = signals::stop_requested().await;
                if name.set(signal.to_owned()).is_err() {
                    eprintln!("{signal} again: the rollback goes on; it ends by itself");
                }
                token.cancel();
            }
        });
        cancel
    }

    fn signal(&self) -> &'static str {
        match self.name.get().map(String::as_str) {
            Some("SIGTERM") => "SIGTERM",
            _ => "SIGINT",
        }
    }
}

/// A run's directory, its log, and the view of it.
struct Record {
    run: String,
    dir: PathBuf,
    scenario: String,
    log: Log,
    view: thread::JoinHandle<()>,
}

impl Record {
    fn create(context: &Context, path: &Path, scenario: &Scenario) -> Result<Self, ExpectedError> {
        let run = run_id();
        let dir = context.state_dir.runs().join(&run);
        let failed = |source: io::Error| ExpectedError::File { verb: "write", path: dir.clone(), source };
        fs::create_dir_all(&dir).map_err(failed)?;
        fs::copy(path, dir.join("scenario.toml")).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        let log = Log::create(&dir.join(reports::EVENTS), Some(sender)).map_err(failed)?;
        // A thread of its own: a reader that does not read must not hold up the run, least of all its rollback.
        let out = Output::stdout(context.global.color);
        let view = thread::Builder::new()
            .name("line view".to_owned())
            .spawn(move || show(&receiver, &out))
            .map_err(failed)?;
        let scenario_path = path.display().to_string();
        tracing::debug!(run, sha256 = scenario.sha256, "recording");
        Ok(Self { run, dir, scenario: scenario_path, log, view })
    }

    fn options(
        &self,
        scenario: &Scenario,
        bring_up: Duration,
        compression: Option<&Compression>,
        cancel: &Cancel,
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
            scenario_dir: directory(Path::new(&self.scenario)).to_owned(),
            load_worker: WorkerCommand {
                program: crate::own_exe().to_owned(),
                arguments: vec![crate::LOAD_WORKER.to_owned()],
            },
            compression: compression.map(|one| (one.factor, one.unscaled.clone())),
            control: None,
        }
    }

    /// The run ended before it began. CI wants its report all the same.
    fn not_ready(&self, error: &ExpectedError) -> Result<(), ExpectedError> {
        let text = fs::read_to_string(self.dir.join("scenario.toml")).unwrap_or_default();
        let Ok(scenario) = harness_scenario::parse(&self.scenario, &text) else { return Ok(()) };
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
                let reason = harness_event::CancelReason::Signal((*signal).to_owned());
                EventKind::RunCancelled { reason }
            }
            // The same exit code in the report as of the process.
            _ if error.exit_code() == crate::exit_code::USAGE => {
                EventKind::RunRefused { problems: vec![chain(error)] }
            }
            _ => EventKind::NotReady { component: "set-up".to_owned(), reason: chain(error) },
        });
        Ok(())
    }

    /// Waits until everything is shown.
    fn close(self) -> PathBuf {
        let Self { dir, log, view, .. } = self;
        drop(log);
        // The view ends with the last clone of the log. If it panicked, the message is on stderr already.
        let _ = view.join();
        dir
    }
}

fn show(events: &mpsc::Receiver<Event>, out: &Output) {
    let mut view = LineView::new(reports::style(out));
    for event in events {
        for line in view.lines(&event) {
            out.line(line);
        }
    }
}

/// `20261121-120102-k3f9`: sorts by time, short enough to type.
fn run_id() -> String {
    const LETTERS: &[u8] = b"abcdefghjkmnpqrstuvwxyz23456789";
    let suffix: String = (0..4).map(|_| char::from(LETTERS[rand::random_range(0..LETTERS.len())])).collect();
    format!("{}-{suffix}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S"))
}
