//! `harness status`.

use std::{fs, path::PathBuf, time::Duration};

use harness_engine::fault::{LedgerFile, read_ledger};
use jiff::{Timestamp, Unit};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};
use serde::Serialize;

use super::{Context, addresses, args::StatusArgs};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::{Output, Style},
    stack::{self, Progress, State, StateDir},
    target::Target,
};

const LIMIT: Duration = Duration::from_secs(10);

/// What there is, as `--json` shows it. Documented in `docs/cli.md`.
#[derive(Debug, Serialize)]
struct Report {
    state_dir: PathBuf,
    /// The cluster of the user's own, if one was named.
    cluster: Option<Cluster>,
    /// The embedded stack, unless a cluster was named.
    stack: Option<StackReport>,
    pods: Vec<PodReport>,
    /// Runs whose faults are not taken back.
    unfinished: Vec<Unfinished>,
    /// Ledgers that cannot be read.
    unreadable: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Cluster {
    server: String,
    kubernetes: String,
}

#[derive(Debug, Serialize)]
struct StackReport {
    state: StackState,
    pid: Option<i32>,
    started_at: Option<Timestamp>,
    kubernetes: Option<String>,
    compressed: Option<u32>,
    history: Option<String>,
    kubeconfig: Option<PathBuf>,
    log: PathBuf,
    #[serde(serialize_with = "addresses::as_map")]
    addresses: Vec<(&'static str, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum StackState {
    /// There is none.
    Down,
    /// It ended by itself.
    Crashed,
    /// A process is there, but no cluster yet, or not any more.
    Changing,
    /// The cluster answers; not everything was applied yet.
    ComingUp,
    /// All was applied and got ready.
    Up,
}

#[derive(Debug, Serialize)]
struct PodReport {
    namespace: String,
    name: String,
    /// Containers that are ready.
    ready: usize,
    containers: usize,
    /// As `kubectl get pods` shows it.
    status: String,
    restarts: i32,
    created_at: Option<Timestamp>,
}

#[derive(Debug, Serialize)]
struct Unfinished {
    run: String,
    /// True if nobody is at work on it any more: `harness recover` takes it back.
    interrupted: bool,
    pid: u32,
    host: String,
    namespace: String,
    faults: Vec<String>,
}

pub(super) async fn exec(args: &StatusArgs, context: &Context) -> Result<u8, ExpectedError> {
    let progress = context.progress();
    progress.now("asking the cluster");
    let report = progress.alive(collect(context)).await?;
    drop(progress);
    match args.json {
        true => context.out.json(&report)?,
        false => show(&report, &context.out),
    }
    Ok(exit_code::PASSED)
}

async fn collect(context: &Context) -> Result<Report, ExpectedError> {
    let (unfinished, unreadable) = unfinished(&context.state_dir);
    let mut report = Report {
        state_dir: context.state_dir.root().to_owned(),
        cluster: None,
        stack: None,
        pods: Vec::new(),
        unfinished,
        unreadable,
    };
    let target = if context.external() {
        let global = &context.global;
        let target = Target::external(global.kubeconfig.as_deref(), global.context.as_deref()).await?;
        report.cluster = Some(Cluster { server: target.server.clone(), kubernetes: target.version.clone() });
        Some(target)
    } else {
        let (stack, target) = stack_state(context).await?;
        report.stack = Some(stack);
        target
    };
    if let Some(target) = target {
        report.pods = pods(&target.client).await?;
    }
    Ok(report)
}

async fn stack_state(context: &Context) -> Result<(StackReport, Option<Target>), ExpectedError> {
    let state_dir = &context.state_dir;
    let mut report = StackReport {
        state: StackState::Down,
        pid: None,
        started_at: None,
        kubernetes: None,
        compressed: None,
        history: None,
        kubeconfig: None,
        log: state_dir.log(),
        addresses: Vec::new(),
    };
    let record = match stack::state(state_dir)? {
        State::Down => return Ok((report, None)),
        State::Crashed => return Ok((StackReport { state: StackState::Crashed, ..report }, None)),
        State::Up(record) => record,
    };
    (report.pid, report.started_at) = (Some(record.pid), Some(record.started_at));
    let kubeconfig = state_dir.kubeconfig();
    if !kubeconfig.exists() {
        return Ok((StackReport { state: StackState::Changing, ..report }, None));
    }
    let target = Target::embedded(&kubeconfig).await?;
    report.state = if state_dir.applied().exists() { StackState::Up } else { StackState::ComingUp };
    report.kubernetes = Some(target.version.clone());
    report.compressed = stack::compression(state_dir)?.map(|compression| compression.factor);
    report.history = stack::history(state_dir)?.map(|kept| {
        format!("{} of {} requests/s until {}", kept.history.length, kept.history.per_second, kept.until)
    });
    report.addresses = addresses::of(&target.client).await?;
    report.kubeconfig = Some(kubeconfig);
    Ok((report, Some(target)))
}

async fn pods(client: &Client) -> Result<Vec<PodReport>, ExpectedError> {
    let api: Api<Pod> = Api::all(client.clone());
    let unreachable =
        |source| ExpectedError::Unreachable { what: "the pods can't be listed".to_owned(), source };
    match tokio::time::timeout(LIMIT, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => Ok(list.items.iter().map(pod).collect()),
        Ok(Err(error)) => Err(unreachable(Some(error.into()))),
        Err(_) => Err(unreachable(None)),
    }
}

fn pod(pod: &Pod) -> PodReport {
    let status = pod.status.as_ref();
    let containers: Vec<_> =
        status.iter().flat_map(|status| status.container_statuses.iter().flatten()).collect();
    PodReport {
        namespace: pod.namespace().unwrap_or_default(),
        name: pod.name_any(),
        ready: containers.iter().filter(|one| one.ready).count(),
        containers: pod.spec.as_ref().map_or(containers.len(), |spec| spec.containers.len()),
        status: stack::pod_status(pod),
        restarts: containers.iter().map(|one| one.restart_count).sum(),
        created_at: pod.creation_timestamp().map(|time| time.0),
    }
}

/// Runs whose faults are not taken back, and ledgers that cannot be read.
fn unfinished(state_dir: &StateDir) -> (Vec<Unfinished>, Vec<String>) {
    let runs = fs::read_dir(state_dir.runs()).into_iter().flatten().flatten();
    let (mut left, mut unreadable) = (Vec::new(), Vec::new());
    for run in runs {
        match read_ledger(&run.path()) {
            Ok(Some(ledger)) if ledger.unreverted().next().is_some() => left.push(of_ledger(&ledger)),
            Ok(_) => {}
            Err(error) => unreadable.push(format!("{}: {error}", run.path().display())),
        }
    }
    left.sort_by(|one, two| one.run.cmp(&two.run));
    (left, unreadable)
}

fn of_ledger(ledger: &LedgerFile) -> Unfinished {
    Unfinished {
        run: ledger.run.clone(),
        interrupted: ledger.is_orphan(),
        pid: ledger.pid,
        host: ledger.host.clone(),
        namespace: ledger.namespace.clone(),
        faults: ledger.unreverted().map(|entry| entry.fault.clone()).collect(),
    }
}

fn show(report: &Report, out: &Output) {
    if let Some(cluster) = &report.cluster {
        out.line(format_args!("Cluster {} ({})", cluster.server, cluster.kubernetes));
    }
    if let Some(stack) = &report.stack {
        show_stack(stack, report, out);
    }
    let answers = |stack: &StackReport| matches!(stack.state, StackState::Up | StackState::ComingUp);
    if report.cluster.is_some() || report.stack.as_ref().is_some_and(answers) {
        out.line("");
        show_pods(&report.pods, out);
    }
    for problem in &report.unreadable {
        out.line(problem);
    }
    if !report.unfinished.is_empty() {
        out.line("");
    }
    for left in &report.unfinished {
        let (style, what) = match left.interrupted {
            true => (Style::Bad, format!("was interrupted; `harness recover {}` takes it back", left.run)),
            false => (Style::Warn, format!("is going on (process {} on {})", left.pid, left.host)),
        };
        let run = out.paint(style, format_args!("Run {}", left.run));
        out.line(format_args!("{run} {what}: {} in namespace {}", left.faults.join(", "), left.namespace));
    }
}

fn show_stack(stack: &StackReport, report: &Report, out: &Output) {
    let pid = stack.pid.unwrap_or_default();
    let is = match stack.state {
        StackState::Down => {
            let dir = report.state_dir.display();
            out.line(format_args!("No embedded stack in {dir}; `harness up` starts one"));
            return;
        }
        StackState::Crashed => {
            out.line(format_args!(
                "{}; its log is {}; `harness down` cleans up, `harness up` starts a new one",
                out.paint(Style::Bad, "The embedded stack has ended by itself"),
                stack.log.display()
            ));
            return;
        }
        StackState::Changing => {
            out.line(format_args!("The embedded stack is starting or stopping (pid {pid})"));
            return;
        }
        StackState::ComingUp => "is coming up",
        StackState::Up => "is up",
    };
    out.line(format_args!(
        "{} (pid {pid}, for {}, Kubernetes {})",
        out.paint(Style::Good, format_args!("The embedded stack {is}")),
        stack.started_at.map(age).unwrap_or_default(),
        stack.kubernetes.as_deref().unwrap_or("?")
    ));
    let row = |name: &str, value: &str| out.line(format_args!("  {name:<13} {value}"));
    if let Some(factor) = stack.compressed {
        row("time", &format!("compressed ×{factor}"));
    }
    if let Some(history) = &stack.history {
        row("history", history);
    }
    for (name, url) in &stack.addresses {
        row(name, url);
    }
    if let Some(kubeconfig) = &stack.kubeconfig {
        row("kubeconfig", &kubeconfig.display().to_string());
    }
}

/// A table as `kubectl get pods -A` has it.
fn show_pods(pods: &[PodReport], out: &Output) {
    let heads = ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"].map(str::to_owned);
    let row = |pod: &PodReport| {
        [
            pod.namespace.clone(),
            pod.name.clone(),
            format!("{}/{}", pod.ready, pod.containers),
            pod.status.clone(),
            pod.restarts.to_string(),
            pod.created_at.map(age).unwrap_or_default(),
        ]
    };
    let rows: Vec<[String; 6]> = std::iter::once(heads).chain(pods.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in &rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.line(cells.join("   ").trim_end());
    }
}

/// Time since then, as kubectl shows ages.
fn age(since: Timestamp) -> String {
    let seconds = Timestamp::now().since((Unit::Second, since)).map_or(0, |span| span.get_seconds()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
