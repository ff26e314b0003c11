//! Runs that look as if they had passed.

use super::{testkit::*, tests::*};
use crate::{
    AlertSeries, BaselineAlert, CheckOutcome, CompareOp, Comparison, Event, EventKind, Expectation,
    ExpectationKind, FaultAction, FaultSpec, HttpStep, IntervalEnd, Labels, Millis, Outcome, Plan, ProbeSpec,
    PromqlExpectation, PromqlMode, Sample, Verdict, Window, WorkloadRef,
};

const HTTP_DURING: &str = "http/503";
const WORKLOAD: &str = "workload/deployment/postgres";
const UNEXPECTED: &str = "alerts/none-unexpected";

/// The passing run with another plan.
fn planned(change: impl Fn(&mut Plan)) -> Vec<EventKind> {
    let mut plan = plan();
    change(&mut plan);
    let rest = passing_run().into_iter().skip(1);
    std::iter::once(run_started(plan).kind).chain(rest).collect()
}

/// With facts that come before the verdict phase.
fn with(mut kinds: Vec<EventKind>, more: impl IntoIterator<Item = EventKind>) -> Vec<EventKind> {
    let index = kinds.iter().position(|kind| matches!(kind, EventKind::Note { .. })).unwrap();
    kinds.splice(index..index, more);
    kinds
}

fn answer(from: i64, to: i64, status: Option<u16>) -> EventKind {
    EventKind::ProbeAnswered {
        probe: "user".into(),
        step: "login".into(),
        round: 0,
        sent_at: at(from),
        latency_us: ((to - from) * 1000) as u64,
        status,
        body: String::new(),
        error: None,
        healthy: status == Some(200),
    }
}

/// The run with other answers.
fn answered(kinds: Vec<EventKind>, answers: impl IntoIterator<Item = EventKind>) -> Verdict {
    let others = kinds.into_iter().filter(|kind| !matches!(kind, EventKind::ProbeAnswered { .. }));
    verdict(with(others.collect(), answers))
}

/// The `during` expectation as it is for a fault that users must not notice: 200, all the time.
fn always_served(max_latency: Option<Millis>) -> Vec<EventKind> {
    planned(|plan| {
        for expectation in &mut plan.expectations {
            if let ExpectationKind::Http(http) = &mut expectation.kind
                && http.window == Window::During
            {
                (http.status, http.within, http.max_latency) = (200, Millis(0), max_latency);
            }
        }
    })
}

fn every_second(from: i64, to: i64) -> impl Iterator<Item = EventKind> {
    (from..to).step_by(1000).map(|ms| answer(ms, ms + 10, Some(200)))
}

fn two_episodes(first: (i64, i64), second: (i64, i64)) -> AlertSeries {
    let mut both = series("firing", first.0, first.1);
    both.intervals.extend(series("firing", second.0, second.1).intervals);
    both
}

#[test]
fn an_alert_that_flaps_while_the_fault_is_on_did_not_last() {
    let flapping = with_history(vec![two_episodes((11_000, 15_000), (18_000, 29_000))]);
    assert_check(&flapping, RESOLVED, CheckOutcome::Failed, "resolved 10s before the fault was lifted");
    let after = with_history(vec![two_episodes((11_000, 28_000), (29_000, 31_000))]);
    assert_check(&after, RESOLVED, CheckOutcome::Passed, "resolved after 4s");
    let mut other = series("firing", 14_000, 29_000);
    other.labels.insert("instance".into(), "b".into());
    let handed_over = with_history(vec![series("firing", 11_000, 15_000), other]);
    assert_check(&handed_over, RESOLVED, CheckOutcome::Passed, "");
}

#[test]
fn a_notification_needs_an_alert_that_fired() {
    let never = with_history(vec![series("pending", 6000, 9000)]);
    assert_check(&never, DELIVERED, CheckOutcome::Failed, "its `for` was never met");
    let before = with_history(vec![series("pending", 6000, 14_000), series("firing", 14_000, 29_000)]);
    assert_check(&before, DELIVERED, CheckOutcome::Failed, "no notification reached harness");
}

#[test]
fn the_service_must_have_been_asked_since_the_fault() {
    let kinds = planned(|plan| {
        plan.expectations.retain(|one| !matches!(one.kind, ExpectationKind::Recovery { .. }));
    });
    assert_eq!(verdict(kinds.clone()).outcome, Outcome::Passed);
    let early = |kind: &EventKind| !matches!(kind, EventKind::SteadyStateChecked { asked_at, .. } if *asked_at > at(5000));
    let unasked = verdict(kinds.into_iter().filter(early).collect());
    assert_check(&unasked, RESOLVED, CheckOutcome::Inconclusive, "was not checked after the fault");
}

#[test]
fn a_check_that_hangs_is_no_recovery() {
    let mut events = log(passing_run());
    let is_steady = |event: &Event| matches!(event.kind, EventKind::SteadyStateChecked { .. });
    let index = events.iter().rposition(is_steady).unwrap();
    for event in &mut events[..=index] {
        (event.at, event.elapsed) = (at(28_600), Millis(28_600));
    }
    let hung = Verdict::of(&events);
    assert_check(&hung, "recovery", CheckOutcome::Inconclusive, "in the last 5.40s of the run");
}

#[test]
fn a_record_that_begins_too_late_or_clocks_that_moved_prove_nothing() {
    let late = changed(|kind| match kind {
        EventKind::AlertHistoryRead { to, series, sha256, .. } => {
            Some(EventKind::AlertHistoryRead { from: at(4500), to, series, sha256 })
        }
        kind => Some(kind),
    });
    assert_check(&late, FIRING, CheckOutcome::Inconclusive, "begins only after the fault");
    assert_check(&late, UNEXPECTED, CheckOutcome::Inconclusive, "begins only after the fault");

    let again = |offset| EventKind::ClockMeasured { offset: Millis(offset), bound: Millis(2) };
    assert_eq!(verdict(with(passing_run(), [again(30)])).outcome, Outcome::Passed);
    let moved = verdict(with(passing_run(), [again(900), again(0)]));
    assert_check(&moved, FIRING, CheckOutcome::Inconclusive, "clock moved by 896ms");

    let mut events = log(passing_run());
    let set_forward = |event: &mut Event| event.at = event.at + Millis(3000);
    set_forward(&mut events[12]);
    assert_eq!(Verdict::of(&events).outcome, Outcome::Passed, "one late reading is no jump");
    events[13..].iter_mut().for_each(set_forward);
    let jumped = Verdict::of(&events);
    assert_check(&jumped, FIRING, CheckOutcome::Inconclusive, "clock was changed by 3s");
    assert_ne!(jumped.outcome, Outcome::Passed);
}

#[test]
fn a_known_stranger_that_comes_back_is_unexpected() {
    let stranger = |mut series: AlertSeries| {
        series.labels = Labels::from([("alertname".to_owned(), "DiskFull".to_owned())]);
        series
    };
    let judged = |state: &str, series: AlertSeries| {
        let own = [self::series("pending", 6000, 11_000), self::series("firing", 11_000, 29_000)];
        let all: Vec<_> = own.into_iter().chain([stranger(series)]).collect();
        let labels = all[2].labels.clone();
        changed(|kind| match kind {
            EventKind::AlertHistoryRead { .. } => Some(history(all.clone())),
            EventKind::BaselineTaken { .. } => Some(EventKind::BaselineTaken {
                alerts: vec![BaselineAlert { labels: labels.clone(), state: state.into() }],
            }),
            kind => Some(kind),
        })
    };
    assert_eq!(judged("firing", series("firing", -5000, 34_000)).outcome, Outcome::Passed);
    let back = judged("firing", two_episodes((-5000, 8000), (12_000, 15_000)));
    assert_check(&back, UNEXPECTED, CheckOutcome::Failed, "DiskFull");
    let fired = judged("pending", series("firing", 12_000, 15_000));
    assert_check(&fired, UNEXPECTED, CheckOutcome::Failed, "DiskFull");
    let mut hole = two_episodes((-5000, 8000), (12_000, 15_000));
    hole.intervals[0].end = IntervalEnd::Unknown;
    assert_check(&judged("firing", hole), UNEXPECTED, CheckOutcome::Passed, "");
}

#[test]
fn data_of_every_label_set_must_be_there() {
    for (first, second) in [(false, true), (true, false)] {
        let input = |present| EventKind::AlertInputsChecked {
            alert: ALERT.into(),
            resolved_at: at(29_000),
            present,
            detail: "up".into(),
        };
        let kinds = passing_run().into_iter().flat_map(|kind| match kind {
            EventKind::AlertInputsChecked { .. } => vec![input(first), input(second)],
            kind => vec![kind],
        });
        assert_check(&verdict(kinds.collect()), RESOLVED, CheckOutcome::Inconclusive, "by absence");
    }
}

#[test]
fn users_that_hang_are_not_served() {
    let after = || every_second(28_000, 34_000);
    let sound = || every_second(3000, 25_000).chain(after());
    assert_eq!(answered(always_served(None), sound()).outcome, Outcome::Passed);

    // A request that is out when the window ends, answered only by the healed system, or not before the run ended.
    let hung = |last: Option<EventKind>| every_second(5000, 8000).chain(last).chain(after());
    for last in [Some(answer(8000, 26_000, Some(200))), None] {
        let hung = answered(always_served(None), hung(last));
        assert_check(&hung, HTTP_DURING, CheckOutcome::Inconclusive, "nothing is known of the last");
    }
    let slow = answered(always_served(Some(Millis(500))), hung(Some(answer(8000, 26_000, Some(200)))));
    assert_check(&slow, HTTP_DURING, CheckOutcome::Failed, "at most 500ms allowed");

    let late = answered(always_served(None), every_second(15_000, 25_000).chain(after()));
    assert_check(&late, HTTP_DURING, CheckOutcome::Inconclusive, "nothing is known of the first");
    let end = answered(
        passing_run(),
        [answer(6000, 6010, Some(503)), answer(24_000, 24_010, Some(503)), answer(28_000, 28_010, Some(200))],
    );
    assert_check(&end, "http/200", CheckOutcome::Inconclusive, "nothing is known of the last");
}

#[test]
fn what_the_faults_call_breaks_is_noticed_by_users() {
    let rest = || every_second(5000, 25_000).chain(every_second(28_000, 34_000));
    // The call is sent at 4 s, its effect is seen at 5 s.
    for broken in [answer(3900, 4100, None), answer(4200, 4300, Some(502)), answer(4900, 5100, None)] {
        let broken = answered(always_served(None), std::iter::once(broken).chain(rest()));
        assert_check(&broken, HTTP_DURING, CheckOutcome::Failed, "");
    }
    let before = std::iter::once(answer(3800, 3900, Some(502)));
    assert_eq!(answered(always_served(None), before.chain(rest())).outcome, Outcome::Passed);
}

#[test]
fn other_steps_may_take_their_time() {
    let step = |name: &str| HttpStep {
        name: name.into(),
        method: "GET".into(),
        url: "http://portal/".into(),
        headers: Default::default(),
        json: None,
        body: None,
        status: 200,
        timeout: Millis(9000),
    };
    let mut kinds = always_served(None);
    if let EventKind::RunStarted { plan, .. } = &mut kinds[0] {
        let steps = vec![step("register"), step("login")];
        plan.probes = vec![ProbeSpec { name: "user".into(), every: Millis(500), setup: vec![], steps }];
    }
    let verdict = answered(kinds, every_second(5000, 16_000).chain(every_second(28_000, 34_000)));
    assert_check(&verdict, HTTP_DURING, CheckOutcome::Passed, "all 11 answers");
}

#[test]
fn replicas_that_nobody_watched_are_not_ready() {
    let lost =
        || EventKind::ObserverFailed { observer: EventKind::WORKLOAD_OBSERVER.into(), error: "gone".into() };
    let back = || EventKind::ObserverRecovered { observer: EventKind::WORKLOAD_OBSERVER.into() };
    let blind = verdict(with(passing_run(), [lost()]));
    assert_check(&blind, WORKLOAD, CheckOutcome::Inconclusive, "could not be watched until the end");
    // The log's facts are recorded at 34 s: nine seconds after the revert began.
    let again = verdict(with(passing_run(), [lost(), back()]));
    assert_check(&again, WORKLOAD, CheckOutcome::Passed, "after 9s");
}

#[test]
fn a_second_try_to_revert_does_not_start_the_clocks_anew() {
    let fault = || FAULT.to_owned();
    let mut kinds = passing_run();
    let index = kinds.iter().position(|kind| matches!(kind, EventKind::FaultRevertStarted { .. })).unwrap();
    let again = [
        EventKind::FaultRevertFailed { fault: fault(), error: "not ready".into() },
        EventKind::FaultRevertStarted { fault: fault(), sent_at: at(26_900) },
    ];
    kinds.splice(index + 1..index + 1, again);
    let verdict = verdict(kinds);
    assert_check(&verdict, WORKLOAD, CheckOutcome::Passed, "after 2s");
    assert_check(&verdict, "recovery", CheckOutcome::Passed, "after 3.50s");
}

#[test]
fn every_fault_of_the_scenario_must_have_bitten() {
    let second = planned(|plan| {
        let workload = WorkloadRef { kind: "Deployment".into(), name: "redis".into() };
        plan.faults.push(FaultSpec {
            name: "cache-down".into(),
            action: FaultAction::Scale { workload, replicas: 0 },
            start: Millis(1000),
            duration: Millis(10_000),
            effect_within: Millis(5000),
        });
    });
    let verdict = verdict(second);
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert_eq!(verdict.reasons, ["fault \"cache-down\" was not injected"]);
}

fn promql(mode: PromqlMode, samples: &[(i64, f64)]) -> (CheckOutcome, String) {
    let id = "promql/up";
    let expected = PromqlExpectation {
        query: "up".into(),
        is: Comparison { op: CompareOp::Equal, value: 1.0 },
        window: Window::During,
        mode,
    };
    let kinds = planned(|plan| {
        plan.expectations.push(Expectation {
            id: id.into(),
            title: id.into(),
            line: 1,
            fault: FAULT.into(),
            kind: ExpectationKind::Promql(expected.clone()),
        });
    });
    let samples = samples.iter().map(|(ms, value)| Sample { at: at(*ms), values: vec![*value] }).collect();
    let read = EventKind::PromqlRead { expectation: id.into(), samples, error: None };
    let verdict = verdict(with(kinds, [read]));
    let check = verdict.checks.into_iter().find(|check| check.id == id).unwrap();
    (check.outcome, check.reason)
}

#[test]
fn a_condition_must_have_been_evaluated_over_all_of_its_window() {
    let seconds = |to: i64| (4..=to).map(|second| (second * 1000, 1.0)).collect::<Vec<_>>();
    let stays = |samples: &[(i64, f64)]| promql(PromqlMode::Stays(Millis(10_000)), samples).0;
    assert_eq!(stays(&seconds(15)), CheckOutcome::Passed);
    assert_eq!(stays(&seconds(12)), CheckOutcome::Inconclusive, "asked too early");
    assert_eq!(stays(&seconds(15)[3..]), CheckOutcome::Inconclusive, "begins too late");
    assert_eq!(stays(&[(5000, 1.0)]), CheckOutcome::Inconclusive, "one sample is no window");
    let (outcome, reason) = promql(PromqlMode::Within(Millis(1000)), &[(5000, 0.0), (6001, 1.0)]);
    assert_eq!(outcome, CheckOutcome::Inconclusive, "{reason}");
}
