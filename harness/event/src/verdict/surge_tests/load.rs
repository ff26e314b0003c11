use super::{super::testkit::*, *};
use crate::{CompareOp, ExpectationKind, LoadMeasure, LoadPhase, Millis};

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
    let lost = changed(|kind| {
        Some(match kind {
            EventKind::LoadMeasured { load, phase: LoadPhase::Before, step, mut stats }
                if load == VISITORS =>
            {
                stats.failed = stats.requests;
                stats.statuses = [(404, stats.requests)].into();
                EventKind::LoadMeasured { load, phase: LoadPhase::Before, step, stats }
            }
            kind => kind,
        })
    });
    let reason = "load \"visitors\": nobody answered as expected before anything was done to the system: 404 (300 times)";
    assert_reason(&lost, reason);
    assert!(
        lost.checks.iter().all(|check| check.outcome == CheckOutcome::Passed),
        "nothing was expected of it"
    );

    // Only the warm-up was before the surge: then that counts.
    let warm = |failed: u64| {
        changed(move |kind| {
            Some(match kind {
                EventKind::LoadMeasured { load, phase: LoadPhase::Before, .. } if load == VISITORS => {
                    load_measured(VISITORS, LoadPhase::WarmUp, None, (1000, 4000), (300, failed))
                }
                kind => kind,
            })
        })
    };
    assert_eq!(warm(0).outcome, Outcome::Passed);
    assert_reason(&warm(300), "nobody answered as expected before");
    assert_eq!(warm(150).outcome, Outcome::Passed);
    assert_reason(&warm(151), "only 149 of 300 requests were answered as expected before");
}

#[test]
fn every_step_must_reach_somebody() {
    let kinds = |upload_failed: u64| {
        let mut kinds = planned(|plan| {
            for load in &mut plan.loads {
                let step = crate::LoadStep { name: "upload".into(), ..load.steps[0].clone() };
                load.steps.push(step);
            }
            plan.expectations.truncate(2);
            if let ExpectationKind::Load(expected) = &mut plan.expectations[1].kind {
                expected.step = Some("image".into());
            }
        });
        let end = kinds.iter().position(|kind| matches!(kind, EventKind::Note { .. })).unwrap();
        let image = load_measured(SURGE, LoadPhase::During, Some("image"), (4000, 16_000), (11_000, 0));
        let upload = (1000, upload_failed);
        let upload = load_measured(SURGE, LoadPhase::During, Some("upload"), (4000, 16_000), upload);
        kinds.splice(end..end, [image, upload]);
        verdict(kinds)
    };
    assert_eq!(kinds(0).outcome, Outcome::Passed);
    assert_check(&kinds(0), P99, CheckOutcome::Passed, "(11000 requests, ");
    assert_eq!(kinds(999).outcome, Outcome::Passed);
    assert_reason(
        &kinds(1000),
        "load \"surge\": nobody answered step \"upload\" as expected: 503 (1000 times)",
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
        EventKind::LoadSampled { load, sample } if load == VISITORS && sample.from >= at(10_000) => None,
        kind => Some(kind),
    });
    assert_reason(&gone, "ended before the end of the faults");
}

#[test]
fn figures_need_requests() {
    let few = |requests: u64, failed: u64| {
        changed(move |kind| match kind {
            EventKind::LoadMeasured { load, phase, step, .. } if load == SURGE => {
                Some(load_measured(SURGE, phase, step.as_deref(), (4000, 16_000), (requests, failed)))
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
