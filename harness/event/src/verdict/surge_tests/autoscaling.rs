use super::{super::testkit::*, *};
use crate::{AutoscalerGoal, Millis, ObservedAutoscaler};

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
    for helped_at in [7500, 8900, 10_000] {
        let helped = inserted(
            without_scaling(),
            [
                scaled(7000, 4, 2),
                autoscaled(7010, 2, 4, Some(7000), 152),
                scaled(helped_at, 10, 4),
                autoscaled(helped_at + 100, 10, 10, Some(7000), 50),
                scaled(12_000, 10, 10),
            ],
        );
        assert_check(&helped, UP, CheckOutcome::Inconclusive, "raised from 4 to 10");
    }
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
