//! Loads, autoscalers and error budgets: runs that look as if they had passed.

use super::testkit::*;
use crate::{
    AutoscalerGoal, CheckOutcome, CompareOp, EventKind, LoadMeasure, LoadPhase, Millis, ObservedAutoscaler,
    Outcome, Plan, SloGoal, SloUsage, Timestamp, Verdict,
};

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

#[test]
fn a_surge_in_which_all_is_well_passes() {
    let verdict = verdict(surge_run());
    assert_eq!(verdict.outcome, Outcome::Passed, "{verdict:#?}");
    assert_check(&verdict, P99, CheckOutcome::Passed, "p99 200ms (12000 requests, closed model: 100 users)");
    assert_check(
        &verdict,
        "load/visitors/after/p95",
        CheckOutcome::Passed,
        "open model, from the intended start",
    );
    assert_check(&verdict, UP, CheckOutcome::Passed, "from 2 to 6 ready after 7s");
    assert_check(
        &verdict,
        LAG,
        CheckOutcome::Passed,
        "more replicas asked for 2 times, ready after 2s at most",
    );
    assert_check(&verdict, TURNS, CheckOutcome::Passed, "1 change of direction (2, 4, 6, 2)");
    assert_check(&verdict, DOWN, CheckOutcome::Passed, "from 6 back to 2 after 9s");
    assert_check(&verdict, BUDGET, CheckOutcome::Passed, "at least 2 healthy, 1 demanded");
    assert_check(&verdict, BURN, CheckOutcome::Passed, "burn rate over 1h at most 0.1 in 15000 requests");
    assert_check(&verdict, SPENT, CheckOutcome::Passed, "3 errors in 15000 requests");
    assert_eq!(verdict.left_behind, Vec::<String>::new());
}

/// Facts whose absence changes nothing, because another one says the same or nobody asked.
fn is_spare(kind: &EventKind) -> bool {
    match kind {
        EventKind::Note { .. } | EventKind::PhaseStarted { .. } | EventKind::SteadyStateChecked { .. } => {
            true
        }
        // Without it, every alert would count as new.
        EventKind::BaselineTaken { .. } => true,
        // One second more or less is no gap.
        EventKind::LoadSampled { .. } | EventKind::SloSampled(_) => true,
        // Only what is expected of it, and what must have been answered, is needed of a phase or a step.
        EventKind::LoadMeasured { load, phase, step, .. } => {
            step.is_some() || (load == VISITORS && *phase == LoadPhase::During)
        }
        // A state on the way: the ones around it tell the same.
        EventKind::WorkloadObserved(seen) => {
            [at(7000), at(8500), at(9000), at(24_000)].contains(&seen.seen_at)
        }
        EventKind::BudgetObserved(seen) => seen.seen_at != at(500),
        _ => false,
    }
}

#[test]
fn no_single_fact_may_be_missing() {
    for (missing, kind) in surge_run().into_iter().enumerate() {
        if is_spare(&kind) {
            continue;
        }
        let rest =
            surge_run().into_iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, kind)| kind);
        assert_ne!(verdict(rest.collect()).outcome, Outcome::Passed, "passed without {kind:?}");
    }
}

/// Whole kinds of evidence, of which single ones are spare.
#[test]
fn no_kind_of_evidence_may_be_missing() {
    type Kind = fn(&EventKind) -> bool;
    let kinds: [(&str, Kind); 8] = [
        ("samples of the load", |kind| matches!(kind, EventKind::LoadSampled { load, .. } if load == SURGE)),
        (
            "samples of the visitors",
            |kind| matches!(kind, EventKind::LoadSampled { load, .. } if load == VISITORS),
        ),
        ("statistics", |kind| matches!(kind, EventKind::LoadMeasured { .. })),
        ("burn rates", |kind| matches!(kind, EventKind::SloSampled(_))),
        ("autoscaler", |kind| matches!(kind, EventKind::AutoscalerObserved(_))),
        ("replicas", |kind| matches!(kind, EventKind::WorkloadObserved(_))),
        ("budget", |kind| matches!(kind, EventKind::BudgetObserved(_))),
        ("usage", |kind| matches!(kind, EventKind::SloMeasured(_))),
    ];
    for (name, is) in kinds {
        let verdict = changed(|kind| (!is(&kind)).then_some(kind));
        assert_ne!(verdict.outcome, Outcome::Passed, "passed without {name}");
    }
}

#[test]
fn a_log_that_breaks_off_never_passes() {
    let kinds = surge_run();
    for length in 1..kinds.len() {
        assert_ne!(verdict(kinds[..length].to_vec()).outcome, Outcome::Passed, "passed after {length} facts");
    }
}

fn all_fail(status: Option<u16>) -> Verdict {
    changed(move |kind| {
        Some(match kind {
            EventKind::LoadSampled { load, mut sample } if load == SURGE => {
                sample.failed = sample.requests;
                EventKind::LoadSampled { load, sample }
            }
            EventKind::LoadMeasured { load, phase, step, mut stats } if load == SURGE => {
                stats.failed = stats.requests;
                stats.statuses = status.map(|status| (status, stats.requests)).into_iter().collect();
                stats.errors =
                    status.is_none().then(|| ("connect".to_owned(), stats.requests)).into_iter().collect();
                EventKind::LoadMeasured { load, phase, step, stats }
            }
            kind => kind,
        })
    })
}

#[test]
fn a_load_that_reaches_nobody_strikes_nobody() {
    let missing = all_fail(Some(404));
    assert_reason(&missing, "load \"surge\": nobody answered as expected: 404 (12000 times)");
    assert_check(&missing, UP, CheckOutcome::Inconclusive, "404 (12000 times)");
    assert_check(&missing, ERRORS, CheckOutcome::Inconclusive, "nobody answered as expected");
    assert_reason(&all_fail(None), "connect (12000 times)");
}

#[test]
fn visitors_that_only_ever_get_404_prove_nothing() {
    let lost = |step: bool| {
        changed(move |kind| {
            Some(match kind {
                EventKind::LoadMeasured { load, phase: LoadPhase::Before, step: of, mut stats }
                    if load == VISITORS && (!step || of.is_some()) =>
                {
                    stats.failed = stats.requests;
                    stats.statuses = [(404, stats.requests)].into();
                    EventKind::LoadMeasured { load, phase: LoadPhase::Before, step: of, stats }
                }
                kind => kind,
            })
        })
    };
    assert_reason(
        &lost(false),
        "load \"visitors\": nobody answered as expected before anything was done to the system: 404 (300",
    );
    assert_reason(&lost(true), "nobody answered step \"image\" as expected before");
    assert!(
        lost(false).checks.iter().all(|check| check.outcome == CheckOutcome::Passed),
        "nothing was expected of it"
    );
}

#[test]
fn a_worker_that_dies_makes_everything_inconclusive() {
    let dead = |name: &'static str| {
        changed(move |kind| match kind {
            EventKind::LoadFinished { load, .. } if load == name => {
                Some(EventKind::LoadFailed { load, error: "the worker died: signal 9".into() })
            }
            EventKind::LoadMeasured { load, .. } if load == name => None,
            kind => Some(kind),
        })
    };
    let surge = dead(SURGE);
    assert_reason(&surge, "load \"surge\" could not be carried out: the worker died: signal 9");
    for id in [P99, ERRORS, UP, LAG, TURNS, DOWN, BUDGET, BURN, SPENT] {
        assert_check(&surge, id, CheckOutcome::Inconclusive, "the worker died");
    }
    assert_reason(&dead(VISITORS), "load \"visitors\" could not be carried out");
    assert!(dead(VISITORS).left_behind.is_empty());
}

fn finished(name: &'static str, change: impl Fn(&mut u64, &mut u64, &mut String)) -> Verdict {
    changed(move |kind| {
        Some(match kind {
            EventKind::LoadFinished { load, ended_at, mut reason, mut begun, mut due, most_behind }
                if load == name =>
            {
                change(&mut begun, &mut due, &mut reason);
                EventKind::LoadFinished { load, ended_at, reason, begun, due, most_behind }
            }
            kind => kind,
        })
    })
}

#[test]
fn a_load_that_was_another_one_proves_nothing() {
    let behind = finished(VISITORS, |begun, due, _| (*begun, *due) = (3100, 3300));
    assert_reason(&behind, "fell behind its schedule: 3100 of 3300 due requests were begun");
    assert_eq!(finished(VISITORS, |begun, _, _| *begun = 3299).outcome, Outcome::Passed);
    let late = finished(VISITORS, |begun, _, _| *begun = 3200);
    assert_check(
        &late,
        "load/visitors/after/p95",
        CheckOutcome::Inconclusive,
        "100 requests that were due were never begun",
    );

    let short = finished(SURGE, |begun, _, reason| (*begun, *reason) = (9000, "stopped".into()));
    assert_reason(&short, "load \"surge\" ended after 9000 of 12000 requests (stopped)");
    let kinds =
        planned(|plan| (plan.loads[1].requests, plan.loads[1].duration) = (None, Some(Millis(12_000))));
    let stopped = kinds.into_iter().map(|kind| match kind {
        EventKind::LoadFinished { load, ended_at, begun, due, most_behind, .. } if load == SURGE => {
            EventKind::LoadFinished { load, ended_at, reason: "stopped".into(), begun, due, most_behind }
        }
        kind => kind,
    });
    assert_reason(&verdict(stopped.collect()), "load \"surge\" was stopped before its time was over");
}

#[test]
fn a_load_in_the_background_may_go_on_until_the_end_of_the_run() {
    let of_visitors = |kind: &EventKind| match kind {
        EventKind::LoadFinished { load, .. } | EventKind::LoadMeasured { load, .. } => load == VISITORS,
        _ => false,
    };
    let going_on = log(surge_run().into_iter().filter(|kind| !of_visitors(kind)).collect());
    assert!(Verdict::would_pass(&going_on));
    assert_reason(&Verdict::of(&going_on), "load \"visitors\" did not come to its end");
    let surge_too =
        going_on.into_iter().filter(|event| !matches!(event.kind, EventKind::LoadFinished { .. }));
    assert!(!Verdict::would_pass(&surge_too.collect::<Vec<_>>()));
}

#[test]
fn visitors_must_be_there_all_the_time() {
    let hole = |from: i64, to: i64| {
        changed(move |kind| match kind {
            EventKind::LoadSampled { load, sample }
                if load == VISITORS && sample.from >= at(from) && sample.from < at(to) =>
            {
                None
            }
            kind => Some(kind),
        })
    };
    assert_eq!(hole(10_000, 13_000).outcome, Outcome::Passed);
    assert_reason(&hole(10_000, 14_000), "nothing is known of load \"visitors\" for 4s from 04:40:10.000 on");
    assert_reason(&hole(0, 5000), "nothing is known of load \"visitors\" for 4s from 04:40:01.000 on");
    assert_reason(&hole(30_000, 40_000), "nothing is known of load \"visitors\" for 4s from 04:40:30.000 on");
    let gone = changed(|kind| match kind {
        EventKind::LoadFinished { load, reason, begun, due, most_behind, .. } if load == VISITORS => {
            Some(EventKind::LoadFinished { load, ended_at: at(10_000), reason, begun, due, most_behind })
        }
        kind => Some(kind),
    });
    assert_reason(&gone, "ended before the end of the faults");
}

#[test]
fn figures_need_requests() {
    let few = |requests: u64, failed: u64| {
        changed(move |kind| match kind {
            EventKind::LoadMeasured { load, phase, step: None, .. } if load == SURGE => {
                load_measured(SURGE, phase, 4000, 16_000, requests, failed).into_iter().next()
            }
            kind => Some(kind),
        })
    };
    assert_check(&few(999, 0), P99, CheckOutcome::Inconclusive, "p99 needs at least 1000 requests");
    assert_check(&few(1000, 0), P99, CheckOutcome::Passed, "(1000 requests, ");
    assert_check(
        &few(999, 0),
        ERRORS,
        CheckOutcome::Inconclusive,
        "a ratio of 0.001 needs at least 1000 requests",
    );
    assert_check(&few(999, 1), ERRORS, CheckOutcome::Failed, "error ratio 0.001001 (999 requests");
    assert_check(
        &few(0, 0),
        P99,
        CheckOutcome::Inconclusive,
        "no request of load \"surge\" in phase \"during\" was measured",
    );
    let slow = planned(|plan| {
        plan.expectations[1] =
            load_expected(SURGE, LoadPhase::During, LoadMeasure::P99, CompareOp::Less, 150.0)
    });
    assert_check(
        &verdict(slow),
        P99,
        CheckOutcome::Failed,
        "p99 200ms (12000 requests, closed model: 100 users), not < p99 150ms",
    );
}

/// The run with other states of the autoscaler.
fn autoscaler(change: impl Fn(&mut ObservedAutoscaler)) -> Verdict {
    changed(|kind| {
        Some(match kind {
            EventKind::AutoscalerObserved(mut state) => {
                change(&mut state);
                EventKind::AutoscalerObserved(state)
            }
            kind => kind,
        })
    })
}

fn without_scaling() -> Vec<EventKind> {
    let change = |kind: &EventKind| match kind {
        EventKind::WorkloadObserved(seen) => seen.seen_at > at(1000),
        EventKind::AutoscalerObserved(seen) => seen.seen_at > at(1000),
        _ => false,
    };
    surge_run().into_iter().filter(|kind| !change(kind)).collect()
}

fn inserted(mut kinds: Vec<EventKind>, more: impl IntoIterator<Item = EventKind>) -> Verdict {
    let index = kinds.iter().position(|kind| matches!(kind, EventKind::Note { .. })).unwrap();
    kinds.splice(index..index, more);
    verdict(kinds)
}

#[test]
fn an_autoscaler_that_is_gone_or_another_one_proves_nothing() {
    let deleted = autoscaler(|state| state.exists = state.seen_at < at(9000));
    for id in [UP, LAG, TURNS, DOWN, BUDGET] {
        assert_check(
            &deleted,
            id,
            CheckOutcome::Inconclusive,
            "autoscaler \"images\" was deleted at 04:40:09.010",
        );
    }
    let never = autoscaler(|state| state.exists = false);
    assert_check(&never, UP, CheckOutcome::Inconclusive, "did not exist");
    let other = autoscaler(|state| state.min = if state.seen_at > at(7000) { 6 } else { 2 });
    assert_check(
        &other,
        UP,
        CheckOutcome::Inconclusive,
        "minReplicas of autoscaler \"images\" was changed from 2 to 6",
    );
    let late = changed(|kind| match kind {
        EventKind::AutoscalerObserved(state) if state.seen_at < at(4000) => None,
        kind => Some(kind),
    });
    assert_check(&late, UP, CheckOutcome::Inconclusive, "first seen only 3.01s after the start");
}

#[test]
fn a_limit_or_a_load_that_is_too_small_fails_with_its_reason() {
    let limited = without_scaling().into_iter().map(|kind| match kind {
        EventKind::AutoscalerObserved(mut state) => {
            state.max = 2;
            EventKind::AutoscalerObserved(state)
        }
        kind => kind,
    });
    let limited = inserted(limited.collect(), []);
    assert_check(
        &limited,
        UP,
        CheckOutcome::Failed,
        "no more than 2 of 6 replicas were ready, 2 were asked for; maxReplicas is 2",
    );
    let small = inserted(without_scaling(), [autoscaled(8000, 2, 2, None, 31)]);
    assert_check(&small, UP, CheckOutcome::Failed, "images: cpu: 31%/50%");
    assert_check(&small, DOWN, CheckOutcome::Inconclusive, "never had more than 2 replicas");
    assert_check(&small, LAG, CheckOutcome::Inconclusive, "no raise of deployment/images was ready");
    assert_check(&small, TURNS, CheckOutcome::Passed, "2 all the time");
}

#[test]
fn without_metrics_nothing_is_scaled() {
    let EventKind::AutoscalerObserved(mut blind) = autoscaled(8000, 2, 2, None, 0) else { unreachable!() };
    blind.metrics = vec!["cpu: <unknown>/50%".into()];
    blind.conditions = vec![
        "AbleToScale=True(SucceededGetScale)".into(),
        "ScalingActive=False(FailedGetResourceMetric)".into(),
    ];
    let blind = inserted(without_scaling(), [EventKind::AutoscalerObserved(blind)]);
    let reason = "images: ScalingActive=False(FailedGetResourceMetric), cpu: <unknown>/50%";
    assert_check(&blind, UP, CheckOutcome::Failed, reason);
    assert_check(&blind, TURNS, CheckOutcome::Inconclusive, reason);
    assert_check(&blind, LAG, CheckOutcome::Inconclusive, reason);
}

#[test]
fn a_scale_up_by_hand_is_not_the_autoscalers() {
    let by_hand = inserted(
        without_scaling(),
        [
            scaled(7000, 6, 2),
            scaled(9000, 6, 6),
            autoscaled(12_000, 6, 6, None, 50),
            scaled(24_000, 2, 6),
            scaled(25_000, 2, 2),
        ],
    );
    let reason = "replicas were raised from 2 to 6 at 04:40:07.000, but not by autoscaler \"images\"";
    for id in [UP, LAG, TURNS, DOWN] {
        assert_check(&by_hand, id, CheckOutcome::Inconclusive, reason);
    }
    // The autoscaler began, and somebody helped: it then finds that 10 is right, but its last scaling is the old one.
    let helped = inserted(
        without_scaling(),
        [
            scaled(7000, 4, 2),
            autoscaled(7010, 2, 4, Some(7000), 152),
            scaled(10_000, 10, 4),
            autoscaled(10_500, 10, 10, Some(7000), 50),
            scaled(12_000, 10, 10),
        ],
    );
    assert_check(&helped, UP, CheckOutcome::Inconclusive, "raised from 4 to 10");
    // Its record says that it scaled, but long before.
    let old = autoscaler(|state| state.last_scale_at = state.last_scale_at.map(|at| at - Millis(60_000)));
    assert_check(&old, UP, CheckOutcome::Inconclusive, "not by autoscaler");
    // Taken away by hand: the way up is its own, the way down is not.
    let down = changed(|kind| match kind {
        EventKind::AutoscalerObserved(state) if state.seen_at > at(20_000) => None,
        kind => Some(kind),
    });
    assert_check(&down, UP, CheckOutcome::Passed, "");
    assert_check(&down, DOWN, CheckOutcome::Inconclusive, "lowered from 6 to 2");
}

#[test]
fn scaled_before_the_load_is_not_scaled_by_it() {
    let early = inserted(without_scaling(), [autoscaled(2000, 6, 6, Some(1000), 50), scaled(2000, 6, 6)]);
    assert_check(&early, UP, CheckOutcome::Inconclusive, "had 6 replicas already before the start");
}

#[test]
fn deadlines_of_scaling_count() {
    let goals = |up: i64, lag: i64, down: i64| {
        let kinds = planned(|plan| {
            for (index, goal) in [
                (4, AutoscalerGoal::ScalesUpTo { replicas: Some(6), within: Millis(up) }),
                (5, AutoscalerGoal::ReadyLag { at_most: Millis(lag) }),
                (7, AutoscalerGoal::ScalesDownTo { replicas: Some(2), within: Millis(down) }),
            ] {
                let id = ["up", "lag", "", "down"][index - 4];
                plan.expectations[index] = autoscaler_expected(id, goal);
            }
        });
        verdict(kinds)
    };
    assert_eq!(goals(7000, 2000, 9000).outcome, Outcome::Passed);
    assert_check(&goals(6900, 2000, 9000), UP, CheckOutcome::Failed, "6 ready only after 7s, 100ms too late");
    assert_check(
        &goals(7000, 1900, 9000),
        LAG,
        CheckOutcome::Failed,
        "6 replicas were ready only after 2s, at most 1.90s allowed",
    );
    assert_check(
        &goals(7000, 2000, 8900),
        DOWN,
        CheckOutcome::Failed,
        "back to 2 only after 9s, 100ms too late",
    );
    // The run ended before anybody could know.
    let open = changed(|kind| match &kind {
        EventKind::WorkloadObserved(seen) if seen.seen_at == at(11_000) => None,
        _ => Some(kind),
    });
    assert_check(
        &open,
        UP,
        CheckOutcome::Failed,
        "no more than 4 of 6 replicas were ready, 6 were asked for",
    );
    let kinds = planned(|plan| {
        plan.expectations[4] =
            autoscaler_expected("up", AutoscalerGoal::ScalesUpTo { replicas: None, within: Millis(60_000) });
    });
    assert_check(&verdict(kinds), UP, CheckOutcome::Inconclusive, "no more than 6 of 10 replicas");
}

#[test]
fn replicas_that_are_never_ready_are_late_even_if_they_are_withdrawn() {
    let lost = changed(|kind| match &kind {
        EventKind::WorkloadObserved(seen) if seen.seen_at == at(11_000) => None,
        _ => Some(kind),
    });
    assert_check(
        &lost,
        LAG,
        CheckOutcome::Failed,
        "6 replicas were not ready until fewer were asked for after 15s",
    );
}

#[test]
fn flapping_fails_and_back_up_is_not_back() {
    let flapping =
        with([scaled(27_000, 4, 2), autoscaled(27_010, 2, 4, Some(27_000), 80), scaled(28_000, 4, 4)]);
    assert_check(
        &flapping,
        TURNS,
        CheckOutcome::Failed,
        "2 changes of direction (2, 4, 6, 2, 4), at most 1 allowed",
    );
    assert_check(&flapping, DOWN, CheckOutcome::Failed, "still 4 replicas wanted and 4 ready at the end");
}

#[test]
fn what_nobody_watched_is_not_known() {
    let blind = |observer: &str| {
        with([
            EventKind::ObserverFailed { observer: observer.into(), error: "gone".into() },
            EventKind::ObserverRecovered { observer: observer.into() },
        ])
    };
    let autoscaler = blind(EventKind::AUTOSCALER_OBSERVER);
    let workload = blind(EventKind::WORKLOAD_OBSERVER);
    for id in [UP, LAG, TURNS, DOWN, BUDGET] {
        assert_check(&autoscaler, id, CheckOutcome::Inconclusive, "images could not be watched from");
        assert_check(
            &workload,
            id,
            CheckOutcome::Inconclusive,
            "deployment/images could not be watched from",
        );
    }
    assert_check(
        &blind(EventKind::BUDGET_OBSERVER),
        BUDGET,
        CheckOutcome::Inconclusive,
        "could not be watched",
    );
}

#[test]
fn a_budget_is_kept_all_the_time_or_not_at_all() {
    let breach = with([budgeted(12_000, 2, 3), budgeted(12_100, 3, 3)]);
    assert_check(&breach, BUDGET, CheckOutcome::Failed, "2 healthy pods at 04:40:12.000, 3 demanded");
    let stale = |ms: i64| {
        let EventKind::BudgetObserved(mut state) = budgeted(ms, 1, 3) else { unreachable!() };
        state.up_to_date = false;
        EventKind::BudgetObserved(state)
    };
    assert_check(&with([stale(26_000), budgeted(27_000, 2, 1)]), BUDGET, CheckOutcome::Passed, "");
    assert_check(
        &with([stale(26_000), budgeted(32_000, 2, 1)]),
        BUDGET,
        CheckOutcome::Inconclusive,
        "not up to date from 04:40:26.000",
    );
    assert_check(&with([stale(26_000)]), BUDGET, CheckOutcome::Inconclusive, "not up to date");
    let nothing = changed(|kind| match kind {
        EventKind::BudgetObserved(state) => Some(budgeted((state.seen_at - START).0, state.healthy, 0)),
        kind => Some(kind),
    });
    assert_check(&nothing, BUDGET, CheckOutcome::Inconclusive, "demands no healthy pod");
}

/// The run with other burn rates over one hour.
fn burning(rate: impl Fn(Timestamp) -> Option<f64>, history: Millis) -> Verdict {
    changed(|kind| {
        Some(match kind {
            EventKind::SloSampled(sample) => {
                let ms = (sample.sampled_at - START).0;
                slo_sample(ms, [Some(0.5), Some(0.2), rate(sample.sampled_at), Some(0.02)], history)
            }
            kind => kind,
        })
    })
}

const LONG: Millis = Millis(7 * 86_400_000);

#[test]
fn a_budget_must_have_been_watched_to_be_kept() {
    let breach = |at_: Timestamp| Some(if at_ == at(20_000) { 15.0 } else { 0.1 });
    assert_check(
        &burning(breach, LONG),
        BURN,
        CheckOutcome::Failed,
        "burn rate over 1h at most 15 in 15000 requests, not <= 14.4",
    );
    let hole = |at_: Timestamp| (at_ < at(20_000) || at_ > at(24_000)).then_some(0.1);
    assert_check(
        &burning(hole, LONG),
        BURN,
        CheckOutcome::Inconclusive,
        "has no error ratio (no traffic, or no data) for 6s from 04:40:19.000",
    );
    assert_check(&burning(|_| None, LONG), BURN, CheckOutcome::Inconclusive, "has no error ratio");
    assert_check(
        &burning(|_| Some(f64::INFINITY), LONG),
        BURN,
        CheckOutcome::Inconclusive,
        "has no error ratio",
    );
    let early = changed(|kind| match kind {
        EventKind::SloSampled(sample) if sample.sampled_at > at(28_000) => None,
        kind => Some(kind),
    });
    for id in [BURN, SPENT] {
        assert_check(&early, id, CheckOutcome::Inconclusive, "was not evaluated for 6s from 04:40:28.000 on");
    }
}

#[test]
fn a_window_longer_than_its_history_can_acquit_but_not_convict() {
    let minutes = |minutes: i64| Millis(minutes * 60_000);
    let calm = burning(|_| Some(0.1), minutes(2));
    assert_check(&calm, BURN, CheckOutcome::Passed, "; the window rests on 2m00s of data");
    assert!(
        calm.caveats
            .iter()
            .any(|caveat| caveat.contains("the windows 5m, 30m, 1h, 6h rest on 2m00s of data (C19)")),
        "{:?}",
        calm.caveats
    );
    let breach = burning(|_| Some(15.0), minutes(2));
    assert_check(&breach, BURN, CheckOutcome::Inconclusive, "over all of it the rate may be lower");
    let certain = burning(|_| Some(600.0), minutes(2));
    assert_check(&certain, BURN, CheckOutcome::Failed, "at most 600");
    let forgetful = burning(|_| Some(0.1), Millis(5000));
    assert_check(&forgetful, BURN, CheckOutcome::Inconclusive, "not to the start of the run's own errors");
}

fn used(change: impl Fn(&mut SloUsage)) -> Verdict {
    let mut usage = slo_usage();
    change(&mut usage);
    changed(move |kind| {
        Some(match kind {
            EventKind::SloMeasured(_) => EventKind::SloMeasured(usage.clone()),
            kind => kind,
        })
    })
}

#[test]
fn a_ratio_of_few_requests_proves_nothing() {
    for id in [BURN, SPENT] {
        assert_check(
            &used(|usage| usage.total = Some(999.0)),
            id,
            CheckOutcome::Inconclusive,
            "low traffic: 999 requests",
        );
        assert_check(&used(|usage| usage.total = None), id, CheckOutcome::Inconclusive, "is not known");
        assert_check(
            &used(|usage| usage.total = Some(f64::NAN)),
            id,
            CheckOutcome::Inconclusive,
            "is not known",
        );
        assert_check(
            &used(|usage| usage.from = at(12_000)),
            id,
            CheckOutcome::Inconclusive,
            "not the whole time since the start",
        );
        assert_check(
            &used(|usage| usage.to = at(20_000)),
            id,
            CheckOutcome::Inconclusive,
            "not the whole time since the start",
        );
    }
    assert_check(&used(|usage| usage.budget_spent = None), SPENT, CheckOutcome::Inconclusive, "is not known");
    assert_check(
        &used(|usage| usage.budget_spent = Some(0.02)),
        SPENT,
        CheckOutcome::Failed,
        "2% of the error budget of 30d",
    );
    assert_check(&used(|usage| usage.peaks[2] = Some(20.0)), BURN, CheckOutcome::Failed, "at most 20");
}

#[test]
fn an_slo_that_prometheus_does_not_know_or_a_window_that_it_has_not() {
    let missing = changed(|kind| match kind {
        EventKind::SloDefined(definition) => {
            Some(EventKind::SloMissing { slo: definition.slo, error: "no sloth_slo_info".into() })
        }
        kind => Some(kind),
    });
    assert_check(&missing, BURN, CheckOutcome::Inconclusive, "is not known to Prometheus: no sloth_slo_info");
    let kinds = planned(|plan| {
        plan.expectations[9] =
            slo_expected("burn", SloGoal::BurnStaysBelow { window: Millis(7_200_000), rate: 1.0 });
    });
    assert_check(
        &verdict(kinds),
        BURN,
        CheckOutcome::Inconclusive,
        "has no window of 2h, only 5m, 30m, 1h, 6h",
    );
}

#[test]
fn caveats_are_part_of_a_pass() {
    let compressed =
        with([EventKind::TimeCompressed { factor: 30, unscaled: vec!["Slow: time() - x > 60".into()] }]);
    assert_eq!(compressed.outcome, Outcome::Passed);
    assert!(
        compressed.caveats[0].starts_with("compressed x30, not a latency claim"),
        "{:?}",
        compressed.caveats
    );
    assert!(compressed.caveats[1].contains("Slow: time() - x > 60"));
    let own = used(|usage| usage.caveats = vec!["counters started above zero".into()]);
    assert!(own.caveats.contains(&format!("SLO {SLO}: counters started above zero")), "{:?}", own.caveats);
    let closed = verdict(surge_run()).caveats;
    assert!(
        closed.iter().any(|caveat| caveat.starts_with("load surge: closed model, 100 users")),
        "{closed:?}"
    );
    assert!(!closed.iter().any(|caveat| caveat.starts_with("load visitors")), "{closed:?}");
}

#[test]
fn every_event_of_a_surge_reads_back_as_it_was() {
    let extra = [
        EventKind::LoadFailed { load: SURGE.into(), error: "died".into() },
        EventKind::TimeCompressed { factor: 30, unscaled: vec!["x".into()] },
        EventKind::SloMissing { slo: SLO.into(), error: "none".into() },
    ];
    let events = log(surge_run().into_iter().chain(extra).collect());
    let text: String = events.iter().map(|event| crate::to_line(event).unwrap()).collect();
    assert_eq!(crate::read_log(text.as_bytes()).unwrap().events, events);
}
