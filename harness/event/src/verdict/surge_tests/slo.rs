use super::{super::testkit::*, *};
use crate::{
    AlertExpectation, AlertState, ExpectationKind, LabelMatcher, Labels, Millis, SloGoal, SloUsage, Timestamp,
};

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
    let already = |at_: Timestamp| Some(if at_ <= at(8000) { 15.0 } else { 0.1 });
    let reason = "the burn rate over 1h was 15 already before the start, not <= 14.4";
    assert_check(&burning(already, LONG), BURN, CheckOutcome::Inconclusive, reason);
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
    let young = |kind| match kind {
        EventKind::SloSampled(mut sample) => {
            sample.history = minutes(2);
            EventKind::SloSampled(sample)
        }
        kind => kind,
    };
    let mut compressed: Vec<_> = surge_run().into_iter().map(young).collect();
    compressed.insert(1, EventKind::TimeCompressed { factor: 10, unscaled: vec![] });
    assert_check(
        &verdict(compressed),
        BURN,
        CheckOutcome::Passed,
        "rests on 2m00s of data, 20m00s in its own time",
    );
    let breach = burning(|at_| Some(if at_ > at(9000) { 15.0 } else { 0.1 }), minutes(2));
    assert_check(&breach, BURN, CheckOutcome::Inconclusive, "over all of it the rate may be lower");
    let certain = burning(|at_| Some(if at_ > at(9000) { 600.0 } else { 0.1 }), minutes(2));
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

/// A counter that is born with errors in it: no rate sees them.
#[test]
fn errors_that_no_rate_sees_may_be_the_ones_too_many() {
    let unseen = |errors: Option<f64>| used(|usage| usage.unseen_errors = errors);
    assert_eq!(unseen(Some(100.0)).outcome, Outcome::Passed);
    assert_eq!(unseen(None).outcome, Outcome::Passed);
    // 15,000 requests of 99.9 %: 215 errors more are a burn rate of 14.3, which with 0.1 is at the limit.
    let over = unseen(Some(216.0));
    assert_check(&over, BURN, CheckOutcome::Inconclusive, "up to 216 errors are missing in it");
    assert_check(&over, SPENT, CheckOutcome::Passed, "");
    let nearly = used(|usage| (usage.budget_spent, usage.unseen_errors) = (Some(0.009_9), Some(200.0)));
    assert_check(&nearly, SPENT, CheckOutcome::Inconclusive, "up to 200 errors are missing in it");
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
    // One of which nothing is expected is a remark.
    let caveats = |kinds: Vec<EventKind>| verdict(kinds).caveats.join("\n");
    let watched = planned(|plan| plan.slos.push("other".into()));
    assert!(caveats(watched).contains("SLO other: nothing is known of it"));
    assert!(missing.caveats.join("\n").contains("not known to Prometheus: no sloth_slo_info"));
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
    let kinds = planned(|plan| {
        plan.history = Some(crate::PlannedHistory { length: Millis(9_000_000), rate: 20.0 });
    });
    let made = "Prometheus was given a past of 150m00s at 20 requests/s without an error";
    assert!(verdict(kinds).caveats[0].starts_with(made));
    let closed = verdict(surge_run()).caveats;
    assert!(
        closed.iter().any(|caveat| caveat.starts_with("load surge: closed model, 100 users")),
        "{closed:?}"
    );
    assert!(!closed.iter().any(|caveat| caveat.starts_with("load visitors")), "{closed:?}");
}

/// A burn alert that is expected by name, and fires with the SLO's labels.
#[test]
fn a_burn_alert_on_young_data_is_too_fast_to_be_true() {
    let labels = Labels::from([
        ("alertname".to_owned(), "ImagesBurn".to_owned()),
        ("sloth_id".to_owned(), SLO.to_owned()),
    ]);
    let judged = |matchers: Vec<LabelMatcher>, history: Millis| {
        let kinds = planned(|plan| {
            let alert = AlertExpectation {
                alert: "ImagesBurn".into(),
                labels: matchers.clone(),
                state: AlertState::Firing,
                within: Millis(10_000),
                receiver: None,
            };
            plan.expectations
                .push(surge_expectation("alert/ImagesBurn/firing", ExpectationKind::Alert(alert)));
        });
        let kinds = kinds.into_iter().map(|kind| match kind {
            EventKind::SloSampled(mut sample) => {
                sample.history = history;
                EventKind::SloSampled(sample)
            }
            EventKind::AlertHistoryRead { .. } => {
                let mut burn = series("firing", 9000, 20_000);
                burn.labels = labels.clone();
                self::history(vec![burn])
            }
            kind => kind,
        });
        verdict(kinds.collect())
    };
    let said = |verdict: &Verdict| {
        verdict.caveats.iter().any(|caveat| caveat.starts_with("alert ImagesBurn: its times are not"))
    };
    for matchers in [vec![], vec![LabelMatcher::equal("sloth_id", SLO)]] {
        let young = judged(matchers.clone(), Millis(120_000));
        assert_check(&young, "alert/ImagesBurn/firing", CheckOutcome::Passed, "firing after 5s");
        assert!(said(&young), "{:?}", young.caveats);
        assert!(!said(&judged(matchers, LONG)));
    }
}
