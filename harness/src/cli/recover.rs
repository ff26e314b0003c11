//! `harness recover`: takes back what interrupted runs have left.

use std::path::{Path, PathBuf};

use harness_engine::{
    conductor::{RecoverError, Recovered, recover, recover_from_cluster},
    fault::{Ledger, LedgerFile, read_ledger},
};

use serde::Serialize;

use super::{
    Context,
    args::RecoverArgs,
    history::{self, IndexArgs},
    reports,
    reports::ReportFiles,
};
use crate::{
    exit_code,
    expected_error::{ExpectedError, chain},
    output::Style,
    stack::{self, Progress, State},
    target::Target,
};

pub(super) async fn exec(args: RecoverArgs, context: &Context) -> Result<u8, ExpectedError> {
    let mut summary = Summary { json: args.json, ..Summary::default() };
    let progress = context.progress();
    progress.now("looking for what interrupted runs have left, and taking it back");
    let result = progress.alive(all(&args, context, &mut summary)).await;
    drop(progress);
    match result {
        Ok(()) => summary.finish(context),
        Err(error) => {
            // What was done before it is told all the same.
            summary.show_json(context)?;
            Err(error)
        }
    }
}

async fn all(args: &RecoverArgs, context: &Context, summary: &mut Summary) -> Result<(), ExpectedError> {
    let target = connect(context).await?;
    let dirs = match &args.run {
        Some(run) => vec![reports::find(&context.state_dir, run)?],
        None => reports::all(&context.state_dir),
    };
    for dir in dirs {
        // A run that nothing can be done about keeps no other from being recovered.
        if let Err(error) = one(&dir, target.as_ref(), &args.index, context, summary).await {
            summary.failed(format!("run {}", reports::id(&dir)), error);
        }
    }
    if let (None, Some(target)) = (&args.run, &target) {
        foreign(target, context, summary).await;
    }
    Ok(())
}

/// The cluster to recover in; `None` if it is the embedded one and that is gone.
async fn connect(context: &Context) -> Result<Option<Target>, ExpectedError> {
    if context.external() {
        let target =
            Target::external(context.global.kubeconfig.as_deref(), context.global.context.as_deref()).await?;
        return Ok(Some(target));
    }
    match stack::state(&context.state_dir)? {
        State::Up(_) => Ok(Some(Target::embedded(&context.state_dir.kubeconfig()).await?)),
        _ => Ok(None),
    }
}

/// What was done. As `--json` shows it, documented in `docs/cli.md`.
#[derive(Default, Serialize)]
struct Summary {
    recovered: Vec<RecoveredRun>,
    /// What could not be taken back.
    left: Vec<String>,
    /// Runs that are going on: nothing was done about them.
    running: Vec<String>,
    /// Of which it is not known whether anything is left.
    failed: Vec<Failed>,
    #[serde(skip)]
    errors: Vec<ExpectedError>,
    #[serde(skip)]
    json: bool,
}

/// A recovery that came to nothing, or not to its end.
#[derive(Serialize)]
struct Failed {
    /// The run, or the namespace whose ledger it is.
    what: String,
    error: String,
}

#[derive(Serialize)]
struct RecoveredRun {
    run: String,
    /// Faults that were undone now.
    undone: Vec<String>,
    /// The embedded cluster of the run is gone, and its faults with it.
    cluster_gone: bool,
    /// What is wrong with the run's log.
    log_problem: Option<String>,
}

impl Summary {
    fn finish(mut self, context: &Context) -> Result<u8, ExpectedError> {
        self.show_json(context)?;
        let mut errors = std::mem::take(&mut self.errors);
        if let Some(running) = self.running.first() {
            errors.push(ExpectedError::Usage {
                message: running.clone(),
                hint: Some(
                    "stop that run with Ctrl-C or SIGTERM: it takes its faults back itself".to_owned(),
                ),
            });
        }
        if !self.left.is_empty() {
            errors.push(ExpectedError::RollbackIncomplete {
                left: self.left.join("; "),
                recover: "harness recover".to_owned(),
            });
        }
        // Of these codes, a higher one is worse. The worst is the command's own; the others are told before it.
        errors.sort_by_key(ExpectedError::exit_code);
        if let Some(worst) = errors.pop() {
            for error in errors {
                error.display(&context.err);
            }
            return Err(worst);
        }
        if self.recovered.is_empty() && !self.json {
            context.out.line("nothing to recover");
        }
        Ok(exit_code::PASSED)
    }

    fn show_json(&self, context: &Context) -> Result<(), ExpectedError> {
        if self.json { context.out.json(self) } else { Ok(()) }
    }

    fn failed(&mut self, what: String, error: ExpectedError) {
        self.failed.push(Failed { what, error: chain(&error) });
        self.errors.push(error);
    }

    fn add(&mut self, recovered: Recovered, context: &Context) {
        let Recovered { run, reverted, left, log_problem, .. } = recovered;
        if !self.json {
            let out = &context.out;
            out.line(format_args!("{} {run}", out.paint(Style::Strong, "recovered run")));
            for fault in &reverted {
                out.line(format_args!("  {} {fault}", out.paint(Style::Good, "undone:")));
            }
            if reverted.is_empty() && left.is_empty() {
                out.line("  no fault was left; its hold on the namespace is lifted");
            }
        }
        if let Some(problem) = &log_problem {
            let text = format!("warning: run {run} has no sound log: {problem}");
            context.err.line(context.err.paint(Style::Warn, text));
        }
        self.left.extend(left.iter().map(|left| format!("run {run}: {left}")));
        self.recovered.push(RecoveredRun { run, undone: reverted, cluster_gone: false, log_problem });
    }
}

async fn one(
    dir: &Path,
    target: Option<&Target>,
    index: &IndexArgs,
    context: &Context,
    summary: &mut Summary,
) -> Result<(), ExpectedError> {
    let Some(file) = read_ledger(dir).map_err(|error| unreadable(&error))? else { return Ok(()) };
    let unreverted = file.unreverted().count();
    let Some(target) = target.filter(|target| is_there(&file, target, context)) else {
        if unreverted > 0 && file.own_stack && !context.external() {
            return forget(dir, file, context, summary);
        }
        if unreverted > 0 {
            let message =
                format!("run {} left {unreverted} faults in another cluster, {}", file.run, file.server);
            let hint = Some("name that cluster with --kubeconfig and --context".to_owned());
            return Err(ExpectedError::Usage { message, hint });
        }
        return Ok(());
    };
    match recover(&target.client, dir).await {
        Ok(None) => {}
        Ok(Some(recovered)) => {
            let sound = recovered.log_problem.is_none();
            summary.add(recovered, context);
            if !sound {
                // The reports that the run itself wrote are the best that there is.
                return Ok(());
            }
            reports::write(dir, &reports::read(dir)?.events, &ReportFiles::default(), &[], &context.err)?;
            history::record(dir, index, context).await;
        }
        Err(error @ RecoverError::Running { .. }) => summary.running.push(error.to_string()),
        Err(error) => return Err(failed(&format!("run {}", file.run), &error)),
    }
    Ok(())
}

/// Is this the cluster in which the run's faults are?
fn is_there(file: &LedgerFile, target: &Target, context: &Context) -> bool {
    // The same cluster may be reached under another address; one that the user names is taken as meant.
    file.server == target.server || (context.external() && !file.own_stack)
}

/// The embedded cluster of that run is gone, and its faults with it.
fn forget(
    dir: &Path,
    file: LedgerFile,
    context: &Context,
    summary: &mut Summary,
) -> Result<(), ExpectedError> {
    if !file.is_orphan() {
        summary.running.push(format!("run {} is still going on in process {}", file.run, file.pid));
        return Ok(());
    }
    if !summary.json {
        let run = &file.run;
        context.out.line(format_args!("run {run}: its embedded cluster is gone, and its faults with it"));
    }
    let run = file.run.clone();
    summary.recovered.push(RecoveredRun { run, undone: Vec::new(), cluster_gone: true, log_problem: None });
    Ledger::forget(dir, file).map_err(|error| unreadable(&error))
}

/// Runs of other machines: the cluster itself says what they left.
async fn foreign(target: &Target, context: &Context, summary: &mut Summary) {
    let namespaces = match Ledger::namespaces(&target.client).await {
        Ok(namespaces) => namespaces,
        Err(error) => return summary.failed("runs of other machines".to_owned(), unreadable(&error)),
    };
    for namespace in namespaces {
        let dir: PathBuf =
            context.state_dir.runs().join(format!("recovery-{}", jiff::Timestamp::now().as_millisecond()));
        match recover_from_cluster(&target.client, &namespace, &dir).await {
            Ok(None) => {}
            Ok(Some(recovered)) => summary.add(recovered, context),
            Err(error @ RecoverError::Running { .. }) => summary.running.push(error.to_string()),
            Err(error) => {
                let what = format!("namespace {namespace}");
                let error = failed(&what, &error);
                summary.failed(what, error);
            }
        }
    }
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> ExpectedError {
    let hint =
        "the ledger says what the fault was and what takes it back; `harness recover RUN` names one run";
    ExpectedError::Usage { message: chain(error), hint: Some(hint.to_owned()) }
}

fn failed(of: &str, error: &RecoverError) -> ExpectedError {
    let what = format!("the recovery of {of} is not complete: {}", chain(error));
    ExpectedError::Unreachable { what, source: None }
}
