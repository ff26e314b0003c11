//! Figures that look well because something is missing in them.

use super::{super::testkit::*, *};
use crate::{LoadPhase, Millis, SloUsage};

fn surged(change: impl Fn(&mut crate::LoadStats)) -> Verdict {
    changed(|kind| {
        Some(match kind {
            EventKind::LoadMeasured { load, phase: LoadPhase::During, step, mut stats } if load == SURGE => {
                change(&mut stats);
                EventKind::LoadMeasured { load, phase: LoadPhase::During, step, stats }
            }
            kind => kind,
        })
    })
}

fn spent(change: impl Fn(&mut SloUsage)) -> Verdict {
    changed(|kind| {
        Some(match kind {
            EventKind::SloMeasured(mut usage) => {
                change(&mut usage);
                EventKind::SloMeasured(usage)
            }
            kind => kind,
        })
    })
}

/// Failing takes no time: 121 of 12,000 are more than a 99th percentile leaves out.
#[test]
fn failures_are_no_fast_answers() {
    assert_check(&surged(|stats| stats.failed = 120), P99, CheckOutcome::Passed, "");
    let failing = surged(|stats| stats.failed = 121);
    assert_check(
        &failing,
        P99,
        CheckOutcome::Inconclusive,
        "121 of them failed, and how long an answer would",
    );
    // Slow and failing is slow.
    let slow = surged(|stats| (stats.failed, stats.latency.p99) = (121, 60_000_000));
    assert_check(&slow, P99, CheckOutcome::Failed, "");
}

/// The last scrape was before the end of the surge: what failed after it is in no figure.
#[test]
fn a_budget_that_was_read_too_early_proves_nothing() {
    for id in [BURN, SPENT] {
        let early = spent(|usage| usage.known_until = Some(at(10_000)));
        assert_check(&early, id, CheckOutcome::Inconclusive, "before the faults and loads did");
        let unknown = spent(|usage| usage.known_until = None);
        assert_check(&unknown, id, CheckOutcome::Inconclusive, "it is not known how far the data");
    }
    // The rules that record burn rates lag behind.
    let lagging = spent(|usage| usage.recorded_until = Some(at(10_000)));
    assert_check(&lagging, BURN, CheckOutcome::Inconclusive, "the record of SLO");
    assert_check(&lagging, SPENT, CheckOutcome::Passed, "");
}

/// All pods that count were away for a while: no errors were counted, and no requests.
#[test]
fn a_time_in_which_nobody_counted_is_not_free_of_errors() {
    assert_check(&spent(|usage| usage.blind = Some(Millis(2000))), SPENT, CheckOutcome::Passed, "");
    let blind = spent(|usage| usage.blind = Some(Millis(20_000)));
    assert_check(&blind, SPENT, CheckOutcome::Inconclusive, "there was nothing that counted");
    let unknown = spent(|usage| usage.blind = None);
    assert_check(
        &unknown,
        SPENT,
        CheckOutcome::Inconclusive,
        "it is not known whether all of it was counted",
    );
    // Too much is too much, whatever else is missing.
    let over = spent(|usage| (usage.blind, usage.budget_spent) = (None, Some(0.5)));
    assert_check(&over, SPENT, CheckOutcome::Failed, "50%");
}

/// Without its visitors the run was another experiment: what did not come then is nobody's failure.
#[test]
fn a_dead_worker_convicts_nobody() {
    let over = |kind| match kind {
        EventKind::SloMeasured(mut usage) => {
            usage.budget_spent = Some(0.5);
            EventKind::SloMeasured(usage)
        }
        kind => kind,
    };
    let mut kinds: Vec<EventKind> = surge_run().into_iter().map(over).collect();
    assert_eq!(verdict(kinds.clone()).outcome, Outcome::Failed);
    let index = kinds.iter().position(|kind| matches!(kind, EventKind::Note { .. })).unwrap();
    kinds.insert(index, EventKind::LoadFailed { load: VISITORS.into(), error: "it was killed".into() });
    let lost = verdict(kinds);
    assert_eq!(lost.outcome, Outcome::Inconclusive);
    assert_reason(&lost, "it was killed");
}
