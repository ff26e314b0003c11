use super::{testkit::*, tests::verdict};
use crate::{CancelReason, EventKind, Outcome, Plan, RunMode};

fn started(mode: RunMode, plan: Plan) -> EventKind {
    match run_started(plan).kind {
        EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, plan, .. } => {
            EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, mode, plan }
        }
        other => other,
    }
}

fn nothing_expected() -> Plan {
    Plan { faults: vec![], expectations: vec![], ..plan() }
}

/// The passing run's facts, as those of another kind of run.
fn ran(mode: RunMode, plan: &Plan) -> Vec<EventKind> {
    let first = started(mode, plan.clone());
    std::iter::once(first).chain(passing_run().into_iter().skip(1)).collect()
}

#[test]
fn a_game_day_has_ended_when_all_is_rolled_back() {
    let verdict = verdict(ran(RunMode::GameDay, &nothing_expected()));
    assert_eq!((verdict.outcome, verdict.outcome.exit_code()), (Outcome::Ended, 0), "{verdict:#?}");
    assert!(verdict.reasons.is_empty(), "{verdict:#?}");
}

#[test]
fn a_scenario_never_just_ends() {
    let nothing = verdict(ran(RunMode::Scenario, &nothing_expected()));
    assert_eq!(nothing.outcome, Outcome::Inconclusive, "{nothing:#?}");
    let watched = verdict(ran(RunMode::Watch, &nothing_expected()));
    assert_eq!(watched.outcome, Outcome::Inconclusive, "{watched:#?}");
}

#[test]
fn where_something_was_expected_it_is_judged() {
    let failing = ran(RunMode::GameDay, &plan()).into_iter();
    let failing = failing.filter(|kind| !matches!(kind, EventKind::NotificationReceived(_)));
    assert_eq!(verdict(failing.collect()).outcome, Outcome::Failed);
}

#[test]
fn what_is_left_is_said_first() {
    let left = |kind: &EventKind| !matches!(kind, EventKind::FaultRevertVerified { .. });
    let run = ran(RunMode::GameDay, &nothing_expected()).into_iter().filter(left);
    assert_eq!(verdict(run.collect()).outcome, Outcome::RollbackIncomplete);
}

#[test]
fn a_signal_and_a_crash_are_no_end() {
    let mut run = ran(RunMode::GameDay, &nothing_expected());
    run.insert(run.len() - 1, EventKind::RunCancelled { reason: CancelReason::Signal("SIGINT".into()) });
    assert_eq!(verdict(run).outcome, Outcome::Aborted);
    let mut run = ran(RunMode::GameDay, &nothing_expected());
    run.pop();
    assert_eq!(verdict(run).outcome, Outcome::Inconclusive);
    let not_ready = EventKind::NotReady { component: "Kubernetes API".into(), reason: "silent".into() };
    assert_eq!(
        verdict(vec![started(RunMode::GameDay, nothing_expected()), not_ready]).outcome,
        Outcome::NotReady
    );
}
