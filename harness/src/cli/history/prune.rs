//! `harness history prune`.

use std::path::Path;

use clap::Args;
use harness_event::{Millis, Timestamp};
use harness_history::{
    Ending, History, Query, Run, folders,
    retention::{self, Retention},
};
use serde_json::json;

use super::{
    Context, count, failed, pretty, sync,
    words::{age, size},
};
use crate::expected_error::{ExpectedError, chain};

/// Delete old runs: their folders, and what the index knows of them
///
/// A run goes if it is beyond any of the limits. Never deleted are runs that have no end, that are being written, and that may
/// have left faults behind.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness history prune --keep-last 100 --dry-run
  harness history prune --max-age 30d --max-size 500M")]
#[group(id = "limits", required = true, multiple = true, args = ["keep_last", "max_age", "max_size"])]
pub struct PruneArgs {
    /// Keep the newest N
    #[arg(long, value_name = "N")]
    pub keep_last: Option<usize>,
    /// Keep those that are no older: 12h, 30d, 8w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub max_age: Option<Millis>,
    /// Keep the newest that together take no more: 800K, 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
    /// Only say what would be deleted
    #[arg(long)]
    pub dry_run: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn prune(
    args: &PruneArgs,
    history: &mut History,
    context: &Context,
) -> Result<(), ExpectedError> {
    sync(history, context).await?;
    let runs = context.state_dir.runs();
    let query = Query { origins: Some(vec![history.origin().to_owned()]), ..Query::default() };
    let known = history.runs(&query).await.map_err(|error| failed(&error))?;
    let kept = known.iter().map(|(run, _)| retention::Kept {
        id: run.id.clone(),
        started_at: run.started_at,
        bytes: folders::size(&runs.join(&run.id)),
        held: held(&runs.join(&run.id), run),
    });
    let kept: Vec<_> = kept.collect();
    let retention = Retention { keep_last: args.keep_last, max_age: args.max_age, max_size: args.max_size };
    let plan = retention::plan(&kept, &retention, Timestamp::now());
    let out = &context.out;
    let mut gone = Vec::new();
    if !args.dry_run {
        retention::sweep(&runs);
        for run in &plan.going {
            let folder = runs.join(&run.id);
            // It may have been taken up again since it was looked at.
            if folders::is_written(&folder) {
                context.err.line(format_args!("kept {}: it is being written", run.id));
                continue;
            }
            let deleted = if folder.exists() { retention::delete(&runs, &run.id) } else { Ok(()) };
            match deleted {
                Ok(()) => gone.push(run.id.clone()),
                Err(error) => context.err.line(format_args!("can't delete {}: {error}", folder.display())),
            }
        }
        history.forget(&gone).await.map_err(|error| failed(&error))?;
    }
    let done = |id: &String| args.dry_run || gone.contains(id);
    if args.json {
        let going: Vec<_> = plan.going.iter().filter(|run| done(&run.id)).collect();
        let held: Vec<_> = plan.held.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect();
        out.line(pretty(&json!({ "format": 1, "dry_run": args.dry_run, "deleted": going, "held": held })));
    } else {
        let word = if args.dry_run { "would delete" } else { "deleted" };
        for run in plan.going.iter().filter(|run| done(&run.id)) {
            out.line(format_args!("{word} {}  {}  {}", run.id, bytes(run.bytes), run.why));
        }
        for (id, why) in &plan.held {
            out.line(format_args!("kept {id}: {why}"));
        }
        let going = plan.going.iter().filter(|run| done(&run.id));
        let (number, freed) = going.fold((0, 0), |(number, freed), run| (number + 1, freed + run.bytes));
        let what = count(number, "run");
        let stay = count(kept.len() - number, "run");
        out.line(format_args!("{word} {what}, {}; {stay} left", bytes(freed)));
    }
    if !args.dry_run && gone.len() < plan.going.len() {
        return Err(ExpectedError::Usage {
            message: "not everything could be deleted".to_owned(),
            hint: None,
        });
    }
    Ok(())
}

/// Why a run must not be deleted.
fn held(folder: &Path, run: &Run) -> Option<String> {
    if !run.outcome.is_final() || folders::is_written(folder) {
        return Some(match run.outcome {
            Ending::Interrupted => "it has no end: it was interrupted".to_owned(),
            _ => "it is being written".to_owned(),
        });
    }
    if folder.is_symlink() {
        return Some("it is a link".to_owned());
    }
    match harness_engine::fault::read_ledger(folder) {
        Ok(Some(ledger)) if ledger.unreverted().next().is_some() => {
            Some("its faults may still be on: `harness recover` takes them back".to_owned())
        }
        // The ledger knows better than the log: that the cluster is gone, for example.
        Ok(None) if run.left_behind > 0 => Some("it left faults behind".to_owned()),
        Ok(_) => None,
        Err(error) => Some(format!("what is left of its faults can't be told: {}", chain(&error))),
    }
}

fn bytes(number: u64) -> String {
    match number {
        0..1024 => format!("{number} B"),
        1024..1_048_576 => format!("{:.1} KiB", number as f64 / 1024.0),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", number as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", number as f64 / 1_073_741_824.0),
    }
}
