//! Loads, autoscalers and error budgets: a run in which all is well, and runs that look as if they were like it.

mod appearances;
mod autoscaling;
mod evidence;
mod load;
mod slo;

use super::testkit::*;
use crate::{CheckOutcome, EventKind, Outcome, Plan, Verdict};

fn verdict(kinds: Vec<EventKind>) -> Verdict {
    Verdict::of(&log(kinds))
}

/// The run with its facts changed, left out or kept.
fn changed(change: impl Fn(EventKind) -> Option<EventKind>) -> Verdict {
    verdict(surge_run().into_iter().filter_map(change).collect())
}

/// The run with another plan.
fn planned(change: impl Fn(&mut Plan)) -> Vec<EventKind> {
    let mut plan = surge_plan();
    change(&mut plan);
    std::iter::once(run_started(plan).kind).chain(surge_run().into_iter().skip(1)).collect()
}

/// The run with further facts before the verdict phase.
fn with(more: impl IntoIterator<Item = EventKind>) -> Verdict {
    let mut kinds = surge_run();
    let index = kinds.iter().position(|kind| matches!(kind, EventKind::Note { .. })).unwrap();
    kinds.splice(index..index, more);
    verdict(kinds)
}

#[track_caller]
fn assert_check(verdict: &Verdict, id: &str, outcome: CheckOutcome, reason: &str) {
    let check = verdict.checks.iter().find(|check| check.id == id).unwrap();
    assert_eq!(check.outcome, outcome, "{}", check.reason);
    assert!(check.reason.contains(reason), "{:?} does not say {reason:?}", check.reason);
    assert!(outcome == CheckOutcome::Passed || verdict.outcome != Outcome::Passed);
}

#[track_caller]
fn assert_reason(verdict: &Verdict, reason: &str) {
    assert_ne!(verdict.outcome, Outcome::Passed);
    assert!(
        verdict.reasons.iter().any(|one| one.contains(reason)),
        "{:?} do not say {reason:?}",
        verdict.reasons
    );
}

const P99: &str = "load/surge/during/p99";
const ERRORS: &str = "load/surge/during/error_ratio";
const UP: &str = "autoscaler/images/up";
const LAG: &str = "autoscaler/images/lag";
const TURNS: &str = "autoscaler/images/turns";
const DOWN: &str = "autoscaler/images/down";
const BUDGET: &str = "autoscaler/images/budget";
const BURN: &str = "slo/gallery-images-availability/burn";
const SPENT: &str = "slo/gallery-images-availability/budget";
