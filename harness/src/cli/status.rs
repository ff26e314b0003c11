//! `harness status`.

use std::{fs, time::Duration};

use harness_engine::fault::{LedgerFile, read_ledger};
use jiff::{Timestamp, Unit};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::{Context, addresses, args::StatusArgs};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::{Output, Style},
    stack::{self, State, StateDir},
    target::Target,
};

const LIMIT: Duration = Duration::from_secs(10);

pub(super) async fn exec(_args: &StatusArgs, context: &Context) -> Result<u8, ExpectedError> {
    let out = &context.out;
    let target = if context.external() {
        let global = &context.global;
        let target = Target::external(global.kubeconfig.as_deref(), global.context.as_deref()).await?;
        out.line(format_args!("Cluster {} ({})", target.server, target.version));
        Some(target)
    } else {
        stack_state(context).await?
    };
    if let Some(target) = target {
        out.line("");
        pods(&target.client, out).await?;
    }
    unfinished(&context.state_dir, out);
    Ok(exit_code::PASSED)
}

async fn stack_state(context: &Context) -> Result<Option<Target>, ExpectedError> {
    let out = &context.out;
    match stack::state(&context.state_dir)? {
        State::Down => {
            out.line(format_args!(
                "No embedded stack in {}; `harness up` starts one",
                context.state_dir.root().display()
            ));
            Ok(None)
        }
        State::Crashed => {
            out.line(format_args!(
                "{}; its log is {}; `harness down` cleans up, `harness up` starts a new one",
                out.paint(Style::Bad, "The embedded stack has ended by itself"),
                context.state_dir.log().display()
            ));
            Ok(None)
        }
        State::Up(record) => {
            let kubeconfig = context.state_dir.kubeconfig();
            if !kubeconfig.exists() {
                out.line(format_args!("The embedded stack is starting or stopping (pid {})", record.pid));
                return Ok(None);
            }
            let target = Target::embedded(&kubeconfig).await?;
            let ready = if context.state_dir.applied().exists() { "is up" } else { "is coming up" };
            out.line(format_args!(
                "{} (pid {}, for {}, Kubernetes {})",
                out.paint(Style::Good, format_args!("The embedded stack {ready}")),
                record.pid,
                age(record.started_at),
                target.version
            ));
            if let Some(factor) =
                stack::compression(&context.state_dir)?.map(|compression| compression.factor)
            {
                out.line(format_args!("  {:<13} compressed ×{factor}", "time"));
            }
            if let Some(kept) = stack::history(&context.state_dir)? {
                out.line(format_args!(
                    "  {:<13} {} of {} requests/s until {}",
                    "history", kept.history.length, kept.history.per_second, kept.until
                ));
            }
            for (name, url) in addresses::of(&target.client).await? {
                out.line(format_args!("  {name:<13} {url}"));
            }
            out.line(format_args!("  {:<13} {}", "kubeconfig", kubeconfig.display()));
            Ok(Some(target))
        }
    }
}

async fn pods(client: &Client, out: &Output) -> Result<(), ExpectedError> {
    let api: Api<Pod> = Api::all(client.clone());
    let unreachable =
        |source| ExpectedError::Unreachable { what: "the pods can't be listed".to_owned(), source };
    let list = match tokio::time::timeout(LIMIT, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => list.items,
        Ok(Err(error)) => return Err(unreachable(Some(error.into()))),
        Err(_) => return Err(unreachable(None)),
    };
    let rows: Vec<[String; 6]> = list.iter().map(row).collect();
    let heads = ["NAMESPACE", "NAME", "READY", "STATUS", "RESTARTS", "AGE"].map(str::to_owned);
    let width =
        |column: usize| rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    for row in [&heads].into_iter().chain(&rows) {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out.line(cells.join("   ").trim_end());
    }
    Ok(())
}

/// One line as `kubectl get pods -A` has it.
fn row(pod: &Pod) -> [String; 6] {
    let status = pod.status.as_ref();
    let containers: Vec<_> =
        status.iter().flat_map(|status| status.container_statuses.iter().flatten()).collect();
    let ready = containers.iter().filter(|one| one.ready).count();
    let all = pod.spec.as_ref().map_or(containers.len(), |spec| spec.containers.len());
    let restarts: i32 = containers.iter().map(|one| one.restart_count).sum();
    [
        pod.namespace().unwrap_or_default(),
        pod.name_any(),
        format!("{ready}/{all}"),
        stack::pod_status(pod),
        restarts.to_string(),
        pod.creation_timestamp().map(|time| age(time.0)).unwrap_or_default(),
    ]
}

/// Runs whose faults are not taken back.
fn unfinished(state_dir: &StateDir, out: &Output) {
    let runs = fs::read_dir(state_dir.runs()).into_iter().flatten().flatten();
    let mut left: Vec<LedgerFile> = runs
        .filter_map(|run| match read_ledger(&run.path()) {
            Ok(ledger) => ledger,
            Err(error) => {
                out.line(format_args!("{}: {error}", run.path().display()));
                None
            }
        })
        .filter(|ledger| ledger.unreverted().next().is_some())
        .collect();
    left.sort_by(|one, two| one.run.cmp(&two.run));
    if left.is_empty() {
        return;
    }
    out.line("");
    for ledger in left {
        let faults: Vec<&str> = ledger.unreverted().map(|entry| entry.fault.as_str()).collect();
        let (style, what) = if ledger.is_orphan() {
            (Style::Bad, format!("was interrupted; `harness recover {}` takes it back", ledger.run))
        } else {
            (Style::Warn, format!("is going on (process {} on {})", ledger.pid, ledger.host))
        };
        let run = out.paint(style, format_args!("Run {}", ledger.run));
        out.line(format_args!("{run} {what}: {} in namespace {}", faults.join(", "), ledger.namespace));
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
