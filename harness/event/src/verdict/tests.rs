use super::testkit::*;
use crate::{
    AlertSeries, BaselineAlert, CancelReason, CheckOutcome, EventKind, IntervalEnd, Labels, Millis, Outcome,
    Resolution, Verdict,
};

pub(super) fn verdict(kinds: Vec<EventKind>) -> Verdict {
    Verdict::of(&log(kinds))
}

/// The passing run with its facts changed, removed (`None`) or kept (`Some`).
pub(super) fn changed(change: impl Fn(EventKind) -> Option<EventKind>) -> Verdict {
    verdict(passing_run().into_iter().filter_map(change).collect())
}

/// The passing run with other alert series.
pub(super) fn with_history(series: Vec<AlertSeries>) -> Verdict {
    changed(|kind| match kind {
        EventKind::AlertHistoryRead { .. } => Some(history(series.clone())),
        kind => Some(kind),
    })
}

fn outcome_of(verdict: &Verdict, id: &str) -> (CheckOutcome, String) {
    let check = verdict.checks.iter().find(|check| check.id == id).unwrap();
    (check.outcome, check.reason.clone())
}

#[track_caller]
pub(super) fn assert_check(verdict: &Verdict, id: &str, outcome: CheckOutcome, reason: &str) {
    let (found, text) = outcome_of(verdict, id);
    assert_eq!(found, outcome, "{text}");
    assert!(text.contains(reason), "{text:?} does not say {reason:?}");
}

pub(super) const PENDING: &str = "alert/APIServiceDown/pending";
pub(super) const FIRING: &str = "alert/APIServiceDown/firing";
pub(super) const DELIVERED: &str = "alert/APIServiceDown/delivered";
pub(super) const RESOLVED: &str = "alert/APIServiceDown/resolved";

#[test]
fn a_run_in_which_all_is_well_passes() {
    let verdict = verdict(passing_run());
    assert_eq!(verdict.outcome, Outcome::Passed, "{verdict:#?}");
    let measured: Vec<_> =
        verdict.checks.iter().map(|check| check.measured.map(|measured| measured.0)).collect();
    let expected = [
        Some(1000),
        Some(6000),
        Some(7000),
        Some(2000),
        None,
        Some(1010),
        Some(1010),
        Some(2000),
        Some(3500),
    ];
    assert_eq!(measured, expected);
    let detection = &verdict.detections[0];
    assert_eq!(verdict.detections.len(), 1);
    assert_eq!((detection.firing_at, detection.resolved_at), (Some(at(11_000)), Some(at(29_000))));
    assert_eq!(
        (detection.delivered_at, detection.resolved_delivered_at),
        (Some(at(12_000)), Some(at(30_000)))
    );
    assert_eq!((detection.resolution, detection.episodes), (Some(Resolution::Explicit), 1));
}

/// Whatever single fact is missing, the run does not pass: a missing observation never looks like success.
#[test]
fn no_single_fact_may_be_missing() {
    let spare = |kind: &EventKind| {
        matches!(
            kind,
            EventKind::Note { .. } | EventKind::PhaseStarted { .. } | EventKind::FaultPlanned { .. }
        )
    };
    // The baseline has its own gate before the fault.
    let baseline = |kind: &EventKind| matches!(kind, EventKind::SteadyStateChecked { asked_at, .. } if *asked_at < at(4000));
    for (missing, kind) in passing_run().into_iter().enumerate() {
        let resolved_note = matches!(&kind, EventKind::NotificationReceived(notification) if notification.status == "resolved");
        let gone = matches!(&kind, EventKind::WorkloadObserved(observed) if observed.ready == 0);
        // Either of the two suffices.
        let one_of_two = matches!(&kind, EventKind::ProbeAnswered { sent_at, .. } if *sent_at <= at(7000));
        if spare(&kind) || baseline(&kind) || resolved_note || gone || one_of_two {
            continue;
        }
        let rest = passing_run()
            .into_iter()
            .enumerate()
            .filter(|(index, _)| *index != missing)
            .map(|(_, kind)| kind);
        let verdict = verdict(rest.collect());
        assert_ne!(verdict.outcome, Outcome::Passed, "passed without {kind:?}");
    }
}

#[test]
fn an_alert_that_never_comes_fails_with_the_reason() {
    let silent = with_history(vec![]);
    assert_eq!(silent.outcome, Outcome::Failed);
    assert_check(&silent, PENDING, CheckOutcome::Failed, "never became active");
    assert_check(&silent, RESOLVED, CheckOutcome::Failed, "nothing to resolve");

    let pending_only = with_history(vec![series("pending", 6000, 9000)]);
    assert_check(&pending_only, PENDING, CheckOutcome::Passed, "");
    assert_check(&pending_only, FIRING, CheckOutcome::Failed, "its `for` was never met");

    let mut other = series("firing", 11_000, 29_000);
    other.labels.insert("severity".into(), "ticket".into());
    let other = with_history(vec![other]);
    assert_check(&other, FIRING, CheckOutcome::Failed, r#"severity="ticket" (expected severity="page")"#);
}

#[test]
fn late_is_failed_and_inside_the_clocks_uncertainty_is_inconclusive() {
    let late = with_history(vec![series("pending", 6000, 16_500), series("firing", 16_500, 29_000)]);
    assert_check(&late, FIRING, CheckOutcome::Failed, "1.50s too late");
    let edge = with_history(vec![series("pending", 6000, 15_001), series("firing", 15_001, 29_000)]);
    assert_check(&edge, FIRING, CheckOutcome::Inconclusive, "uncertainty");
}

#[test]
fn an_alert_without_for_is_pending_when_it_fires() {
    assert_check(
        &with_history(vec![series("firing", 6000, 29_000)]),
        PENDING,
        CheckOutcome::Passed,
        "after 1s",
    );
}

#[test]
fn an_alert_active_before_the_fault_proves_nothing() {
    let early = with_history(vec![series("firing", 1000, 29_000)]);
    assert_check(&early, FIRING, CheckOutcome::Inconclusive, "already firing before the fault");
    assert_eq!(early.outcome, Outcome::Inconclusive);

    let baseline = changed(|kind| match kind {
        EventKind::BaselineTaken { .. } => {
            let alert = BaselineAlert { labels: alert_labels(), state: "pending".into() };
            Some(EventKind::BaselineTaken { alerts: vec![alert] })
        }
        kind => Some(kind),
    });
    assert_check(&baseline, PENDING, CheckOutcome::Inconclusive, "already pending before the fault");

    let over = with_history(vec![
        series("firing", -9000, -5000),
        series("pending", 6000, 11_000),
        series("firing", 11_000, 29_000),
    ]);
    assert_eq!(over.outcome, Outcome::Passed, "an episode that was over is the past");
}

#[test]
fn resolving_must_be_explicit_final_and_after_the_revert() {
    let open = |kind: &str| {
        let mut open = series(kind, 11_000, 29_000);
        open.intervals[0].end = IntervalEnd::Open;
        open
    };
    assert_check(&with_history(vec![open("firing")]), RESOLVED, CheckOutcome::Failed, "still firing");
    let mut lost = series("firing", 11_000, 29_000);
    lost.intervals[0].end = IntervalEnd::Unknown;
    assert_check(&with_history(vec![lost]), RESOLVED, CheckOutcome::Inconclusive, "samples stop");
    let early = with_history(vec![series("firing", 11_000, 15_000)]);
    assert_check(&early, RESOLVED, CheckOutcome::Failed, "before the fault was lifted");
    let again = with_history(vec![series("firing", 11_000, 29_000), open("pending")]);
    assert_check(&again, RESOLVED, CheckOutcome::Failed, "pending again");
    let absent = changed(|kind| match kind {
        EventKind::AlertInputsChecked { alert, resolved_at, .. } => Some(EventKind::AlertInputsChecked {
            alert,
            resolved_at,
            present: false,
            detail: "up: 0 of 1".into(),
        }),
        kind => Some(kind),
    });
    assert_check(&absent, RESOLVED, CheckOutcome::Inconclusive, "resolved by absence");
    assert_eq!(absent.detections[0].resolution, Some(Resolution::Absence));
}

#[test]
fn delivery_is_judged_by_the_receiver() {
    let silent = changed(|kind| (!matches!(kind, EventKind::NotificationReceived(_))).then_some(kind));
    assert_check(&silent, DELIVERED, CheckOutcome::Failed, "fired, but no notification reached harness");
    let held = changed(|kind| match kind {
        EventKind::NotificationReceived(_) => {
            Some(EventKind::AlertSuppressed { labels: alert_labels(), by: "silence 42".into() })
        }
        kind => Some(kind),
    });
    assert_check(&held, DELIVERED, CheckOutcome::Failed, "held it back: silence 42");
    let elsewhere = changed(|kind| match kind {
        EventKind::NotificationReceived(mut notification) => {
            notification.receiver = "slack".into();
            Some(EventKind::NotificationReceived(notification))
        }
        kind => Some(kind),
    });
    assert_check(&elsewhere, DELIVERED, CheckOutcome::Failed, "harness was not told; slack was");
}

#[test]
fn a_disturbed_monitoring_system_makes_alerts_inconclusive() {
    for (index, reason) in
        [(0, "restarted"), (1, "configuration"), (2, "missed rule evaluations"), (3, "evaluations failed")]
    {
        let mut kinds = passing_run();
        let last =
            kinds.iter().rposition(|kind| matches!(kind, EventKind::MonitoringObserved { .. })).unwrap();
        if let EventKind::MonitoringObserved { prometheus: Some(health), .. } = &mut kinds[last] {
            match index {
                0 => health.started_at = at(9000),
                1 => health.config_loaded_at = at(9000),
                2 => health.iterations_missed = 1,
                _ => health.evaluation_failures = 1,
            }
        }
        let verdict = verdict(kinds);
        assert_check(&verdict, FIRING, CheckOutcome::Inconclusive, reason);
        assert_eq!(verdict.outcome, Outcome::Inconclusive);
        assert!(verdict.reasons.iter().any(|text| text.contains(reason)), "{:?}", verdict.reasons);
    }
    let gone = changed(|kind| match kind {
        EventKind::AlertHistoryRead { .. } => {
            Some(EventKind::AlertHistoryMissing { error: "connection refused".into() })
        }
        kind => Some(kind),
    });
    assert_check(&gone, FIRING, CheckOutcome::Inconclusive, "connection refused");
    let lost = {
        let mut kinds = passing_run();
        let observer = EventKind::RECEIVER_OBSERVER.to_owned();
        kinds.insert(10, EventKind::ObserverFailed { observer, error: "timed out".into() });
        verdict(kinds)
    };
    assert_check(&lost, DELIVERED, CheckOutcome::Inconclusive, "timed out");
    assert_check(&lost, FIRING, CheckOutcome::Passed, "");
}

#[test]
fn an_unexpected_alert_fails_the_run_unless_it_was_there_before() {
    let stranger = || {
        let mut stranger = series("firing", 12_000, 29_000);
        stranger.labels = Labels::from([("alertname".to_owned(), "DiskFull".to_owned())]);
        stranger
    };
    let usual = || vec![series("pending", 6000, 11_000), series("firing", 11_000, 29_000), stranger()];
    assert_check(&with_history(usual()), "alerts/none-unexpected", CheckOutcome::Failed, "DiskFull");
    let before = changed(|kind| match kind {
        EventKind::AlertHistoryRead { .. } => Some(history(usual())),
        EventKind::BaselineTaken { .. } => Some(EventKind::BaselineTaken {
            alerts: vec![BaselineAlert { labels: stranger().labels, state: "firing".into() }],
        }),
        kind => Some(kind),
    });
    assert_eq!(before.outcome, Outcome::Passed);
    let mut pending = stranger();
    pending.state = "pending".into();
    let blip = with_history(vec![series("firing", 11_000, 29_000), pending.clone()]);
    assert_check(&blip, "alerts/none-unexpected", CheckOutcome::Passed, "pending for a while: DiskFull");
    pending.intervals[0].end = IntervalEnd::Open;
    let open = with_history(vec![series("firing", 11_000, 29_000), pending]);
    assert_check(&open, "alerts/none-unexpected", CheckOutcome::Inconclusive, "may fire yet");
}

#[test]
fn a_breach_in_the_middle_counts() {
    let breach = {
        let mut kinds = passing_run();
        let index = kinds
            .iter()
            .position(|kind| matches!(kind, EventKind::ProbeAnswered { status: Some(503), .. }))
            .unwrap();
        let mut answer = kinds[index].clone();
        if let EventKind::ProbeAnswered { sent_at, status, .. } = &mut answer {
            (*sent_at, *status) = (at(6500), Some(200));
        }
        kinds.insert(index + 1, answer);
        verdict(kinds)
    };
    assert_check(&breach, "http/503", CheckOutcome::Failed, "answered 200");
    assert_eq!(breach.outcome, Outcome::Failed);
}

#[test]
fn a_fault_without_effect_proves_nothing() {
    let kinds = passing_run().into_iter().map(|kind| match kind {
        EventKind::FaultEffectObserved { fault, .. } => {
            EventKind::FaultEffectMissing { fault, detail: "still 1 ready".into() }
        }
        kind => kind,
    });
    let verdict = verdict(kinds.collect());
    assert_eq!(verdict.outcome, Outcome::Inconclusive);
    assert!(verdict.reasons[0].contains("still 1 ready"), "{:?}", verdict.reasons);
    assert_check(&verdict, FIRING, CheckOutcome::Inconclusive, "still 1 ready");
}

#[test]
fn cancelled_and_rolled_back_is_aborted_and_left_behind_is_worse() {
    let mut kinds = passing_run();
    let reason = CancelReason::Signal("SIGINT".into());
    kinds.insert(11, EventKind::RunCancelled { reason });
    assert_eq!(verdict(kinds.clone()).outcome, Outcome::Aborted);
    kinds.retain(|kind| !matches!(kind, EventKind::FaultRevertVerified { .. }));
    let left = verdict(kinds);
    assert_eq!(left.outcome, Outcome::RollbackIncomplete);
    assert_eq!(left.left_behind, ["database-down: not reverted"]);
}

#[test]
fn a_run_that_checks_nothing_does_not_pass() {
    let empty = changed(|kind| match kind {
        EventKind::RunStarted { .. } => {
            let mut plan = plan();
            plan.expectations.clear();
            Some(run_started(plan).kind)
        }
        kind => Some(kind),
    });
    assert_eq!(empty.outcome, Outcome::Inconclusive);
    assert_eq!(empty.reasons, ["nothing was checked"]);
}

#[test]
fn refused_and_not_ready_have_their_own_outcomes() {
    let started = || run_started(plan()).kind;
    let refused = verdict(vec![started(), EventKind::RunRefused { problems: vec!["no rule X".into()] }]);
    assert_eq!((refused.outcome, refused.outcome.exit_code()), (Outcome::Refused, 2));
    let not_ready =
        EventKind::NotReady { component: "Prometheus".into(), reason: "connection refused".into() };
    assert_eq!(verdict(vec![started(), not_ready]).outcome.exit_code(), 4);
    assert_eq!(verdict(vec![started()]).outcome, Outcome::Inconclusive);
}

#[test]
fn prometheus_clock_is_corrected() {
    let ahead = changed(|kind| match kind {
        EventKind::ClockMeasured { bound, .. } => {
            Some(EventKind::ClockMeasured { offset: Millis(500), bound })
        }
        kind => Some(kind),
    });
    assert_eq!(ahead.checks[0].measured, Some(Millis(500)));
}
