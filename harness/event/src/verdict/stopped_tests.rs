//! Faults that somebody stopped by hand, and observers that no verdict rests on.

use proptest::prelude::*;

use super::testkit::*;
use crate::{CheckOutcome, Event, EventKind, Millis, Outcome, Verdict};

/// The event, at a time of its own.
fn stopped_at(kinds: Vec<EventKind>, ms: i64) -> Vec<Event> {
    let mut events = log(kinds);
    for event in &mut events {
        if matches!(event.kind, EventKind::FaultStopped { .. }) {
            (event.at, event.elapsed) = (at(ms), Millis(ms));
        }
    }
    events
}

/// The passing run in which the fault was stopped by hand before the fact at this place.
fn stopped(mut kinds: Vec<EventKind>, place: usize, ms: i64) -> Verdict {
    kinds.insert(place, EventKind::FaultStopped { fault: FAULT.into() });
    Verdict::of(&stopped_at(kinds, ms))
}

fn place(kinds: &[EventKind], is: impl Fn(&EventKind) -> bool) -> usize {
    kinds.iter().position(is).unwrap()
}

fn before_revert(kinds: &[EventKind]) -> usize {
    place(kinds, |kind| matches!(kind, EventKind::FaultRevertStarted { .. }))
}

#[test]
fn a_run_whose_fault_was_stopped_by_hand_is_another_experiment() {
    let kinds = passing_run();
    let verdict = stopped(kinds.clone(), before_revert(&kinds), 10_000);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.reasons, ["fault database-down was stopped by hand after 5s of 20s"]);
    // What was seen all the same is still said.
    assert!(verdict.checks.iter().all(|check| check.outcome == CheckOutcome::Passed), "{:?}", verdict.checks);
}

#[test]
fn what_would_have_failed_convicts_nobody() {
    let mut kinds = passing_run();
    // The alert never fired.
    for kind in &mut kinds {
        if matches!(kind, EventKind::AlertHistoryRead { .. }) {
            *kind = history(vec![series("pending", 6000, 11_000)]);
        }
    }
    assert_eq!(Verdict::of(&log(kinds.clone())).outcome, Outcome::Failed);
    let verdict = stopped(kinds.clone(), before_revert(&kinds), 7500);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    let check = verdict.checks.iter().find(|check| check.id == "alert/APIServiceDown/firing").unwrap();
    assert_eq!(check.outcome, CheckOutcome::Inconclusive);
    assert!(
        check
            .reason
            .starts_with("fault database-down was stopped by hand after 2.50s of 20s; without that: "),
        "{}",
        check.reason
    );
    assert!(!verdict.checks.iter().any(|check| check.outcome == CheckOutcome::Failed));
}

#[test]
fn a_fault_can_be_stopped_before_its_effect_is_seen() {
    let mut kinds = passing_run();
    kinds.retain(|kind| !matches!(kind, EventKind::FaultEffectObserved { .. }));
    let verdict = stopped(kinds.clone(), before_revert(&kinds), 4500);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.reasons, ["fault database-down was stopped by hand before its effect was seen"]);
}

#[test]
fn what_is_left_behind_is_worse() {
    let mut kinds = passing_run();
    kinds.retain(|kind| !matches!(kind, EventKind::FaultRevertVerified { .. }));
    assert_eq!(stopped(kinds.clone(), before_revert(&kinds), 10_000).outcome, Outcome::RollbackIncomplete);
}

proptest! {
    /// Whatever else is or is not in the log, and wherever the fact stands: such a run neither passes nor fails.
    #[test]
    fn a_stopped_fault_never_passes_and_never_convicts(
        keep in proptest::collection::vec(proptest::bool::weighted(0.85), 40),
        place in 1..20_usize,
        ms in 0..34_000_i64,
        surge in any::<bool>(),
    ) {
        let kinds = if surge { surge_run() } else { passing_run() };
        let mut kept: Vec<EventKind> = kinds
            .into_iter()
            .enumerate()
            // The plan is what the run is judged by.
            .filter(|(place, _)| *place == 0 || keep.get(*place).copied().unwrap_or(true))
            .map(|(_, kind)| kind)
            .collect();
        let place = place.min(kept.len());
        kept.insert(place, EventKind::FaultStopped { fault: FAULT.into() });
        let verdict = Verdict::of(&stopped_at(kept, ms));
        prop_assert!(!matches!(verdict.outcome, Outcome::Passed | Outcome::Failed), "{:?}", verdict.outcome);
        prop_assert!(!verdict.checks.iter().any(|check| check.outcome == CheckOutcome::Failed));
        prop_assert!(!verdict.reasons.is_empty());
    }
}
