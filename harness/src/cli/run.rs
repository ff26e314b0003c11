//! `harness run`.

use std::{fs, io, path::Path, time::Duration};

use harness_engine::conductor::run;
use harness_event::{Outcome, Verdict};
use harness_scenario::Scenario;
use tokio::sync::mpsc;

use super::{
    Context,
    args::{MonitoringArgs, RunArgs, StackArgs},
    dry_run, history, pace, publish,
    record::{Record, Recorded, Viewed},
    reports,
    reports::ReportFiles,
    signals::Cancel,
};
use crate::{
    expected_error::ExpectedError,
    grafana::annotations::Grafana,
    output::{ColorArg, Output},
    stack::{self, History, Stack, StackOptions},
    target::Target,
    view::{Environment, Host, Kind, choose},
};

/// So many wishes of people may wait to be heard.
const WISHES: usize = 8;

pub(super) async fn exec(args: RunArgs, context: &Context) -> Result<u8, ExpectedError> {
    let kind = if context.global.quiet { Kind::Lines } else { choose(args.view, Environment::here())? };
    let mut scenario = read_scenario(&args.scenario, &args.monitoring, context)?;
    scenario.plan.compress = pace::wanted(args.stack.compress, scenario.plan.compress, context)?;
    let compress = scenario.plan.compress;
    let past = pace::history(scenario.plan.history, context)?;
    let grafana = args.grafana.grafana()?;
    if !args.dry_run {
        // Emptied before the run: a report of an earlier one must not be taken for this one's, whatever happens to it.
        for path in args.reports.files()? {
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
    let (target, mut stack) = match connected {
        Ok(connected) => connected,
        Err(error) => {
            let (record, viewed) = record.view(Kind::Lines, true, None, context)?;
            record.not_ready(&error);
            let Recorded { dir, log, .. } = record;
            let events = log.events();
            drop(log);
            viewed.close(None, &cancel.signalled).await;
            reports::write(&dir, &events, &args.reports, &[], &context.err)?;
            history::record(&dir, &args.index, context).await;
            return Err(error);
        }
    };
    let bring_up =
        stack.as_ref().filter(|stack| stack.started_by_us).map_or(Duration::ZERO, |stack| stack.bring_up);
    let compression = stack.as_ref().and_then(|stack| stack.compression.clone());
    let (control, wishes) = mpsc::channel(WISHES);
    let by_hand = cancel.clone();
    let host = Host::new(target.client.clone(), move || by_hand.by_hand("Ctrl-C"));
    let host = host.of_run(record.log.clone(), control);
    // From here until the view is closed, nothing else may write to the terminal.
    let viewed = record.view(kind, args.exit, Some(host), context);
    let (record, viewed) = or_take_down(viewed, &mut stack, args.keep, context).await?;
    viewed.announce(&cancel);
    let options = record.options(&scenario, bring_up, compression.as_ref(), &cancel, wishes);
    let verdict = run(options, &target, &record.log).await;
    let left = !verdict.left_behind.is_empty();
    let dir = record.dir.clone();
    let finished = Finished { record, viewed, verdict: &verdict, kind };
    let result = finished.report(&args.reports, grafana.as_ref(), &cancel, context).await;
    history::record(&dir, &args.index, context).await;
    // A stack in which a fault is left is kept: there is something to recover in it.
    take_down(stack, args.keep || left, context).await?;
    result
}

/// The directory of a scenario file: files that it names are relative to it.
pub(super) fn directory(scenario: &Path) -> &Path {
    scenario.parent().unwrap_or(Path::new(""))
}

/// Reads and checks the scenario; every problem is shown at once.
pub(super) fn read_scenario(
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
pub(super) struct Wanted {
    pub(super) compress: Option<u32>,
    pub(super) history: Option<History>,
    /// Bring a stack that is up to that, too.
    pub(super) change: bool,
}

/// The cluster of the user's own, or the embedded one, brought up if it is not there.
pub(super) async fn connect(
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
        stack = progress.alive(Stack::ensure(&options, &progress)) => stack?,
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
pub(super) async fn take_down(
    stack: Option<Stack>,
    keep: bool,
    context: &Context,
) -> Result<(), ExpectedError> {
    if let Some(stack) = stack.filter(|stack| stack.started_by_us && !keep) {
        drop(stack);
        let progress = context.progress();
        progress.alive(stack::down(&context.state_dir, &progress)).await?;
    }
    Ok(())
}

/// A result without which it does not go on: then nobody else would stop the embedded stack, if this run started it.
pub(super) async fn or_take_down<T>(
    result: Result<T, ExpectedError>,
    stack: &mut Option<Stack>,
    keep: bool,
    context: &Context,
) -> Result<T, ExpectedError> {
    if result.is_err()
        && let Err(error) = take_down(stack.take(), keep, context).await
    {
        error.display(&context.err);
    }
    result
}

/// A run that has come to its end.
pub(super) struct Finished<'a> {
    pub(super) record: Recorded,
    pub(super) viewed: Viewed,
    pub(super) verdict: &'a Verdict,
    pub(super) kind: Kind,
}

impl Finished<'_> {
    /// Reports and exit code.
    pub(super) async fn report(
        self,
        files: &ReportFiles,
        grafana: Option<&Grafana>,
        cancel: &Cancel,
        context: &Context,
    ) -> Result<u8, ExpectedError> {
        let Self { record: Recorded { dir, log, .. }, viewed, verdict, kind } = self;
        let events = log.events();
        drop(log);
        if kind == Kind::Terminal {
            // The view may stay open for hours: what was proven is on disk before. Errors are those of the second time.
            let silent = Output::new(Box::new(io::sink()), false, ColorArg::Never);
            let _ = reports::write(&dir, &events, files, &[], &silent);
        }
        viewed.close(Some(verdict), &cancel.signalled).await;
        for line in reports::end(&events, verdict, context) {
            context.out.line(line);
        }
        let recorded = format_args!("recorded in {}", dir.display()).to_string();
        context.remark(context.out.paint(crate::output::Style::Dim, recorded));
        let links = publish::publish(grafana, &events, context).await;
        for link in &links {
            context.remark(format_args!("  {}: {}", link.title, link.url));
        }
        let written = reports::write(&dir, &events, files, &links, &context.err);
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
}
