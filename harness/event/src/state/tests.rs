//! Tests of the fold.

use proptest::prelude::*;

use super::*;
use crate::{
    BaselineAlert, CheckOutcome, ClusterEvent, Event, EventKind, FaultAction, FaultSpec, Labels, Millis,
    ObservedPod, PodUsage, RunMode, Verdict, WorkloadRef,
    verdict::testkit::{self, at},
};

fn fold(events: &[Event]) -> RunState {
    let mut state = RunState::default();
    events.iter().for_each(|event| state.apply(event));
    state
}

/// Applies facts one second apart, from `from` seconds on.
fn go_on(state: &mut RunState, from: i64, kinds: impl IntoIterator<Item = EventKind>) {
    for (index, kind) in kinds.into_iter().enumerate() {
        let ms = (from + index as i64) * 1000;
        state.apply(&Event { seq: state.events, at: at(ms), elapsed: Millis(ms), kind });
    }
}

fn seen(name: &str, state: &str, active_at: Option<i64>) -> EventKind {
    EventKind::AlertSeen {
        labels: labels(name),
        state: state.into(),
        active_at: active_at.map(at),
        value: Some("1".into()),
    }
}

fn labels(name: &str) -> Labels {
    Labels::from([("alertname".to_owned(), name.to_owned()), ("severity".to_owned(), "page".to_owned())])
}

fn progress<'s>(state: &'s RunState, id: &str) -> &'s Progress {
    &state.expectations.iter().find(|view| view.id == id).expect("in the plan").progress
}

fn met(ms: i64) -> Progress {
    Progress::Met { after: Some(Millis(ms)) }
}

/// The passing run up to the effect of its fault at 5 s.
fn until_effect() -> RunState {
    let mut state = RunState::default();
    let fault = || testkit::FAULT.to_owned();
    go_on(
        &mut state,
        0,
        [testkit::run_started(testkit::plan()).kind, EventKind::BaselineTaken { alerts: vec![] }],
    );
    go_on(
        &mut state,
        5,
        [
            EventKind::FaultApplied { fault: fault(), sent_at: at(4000) },
            EventKind::FaultEffectObserved { fault: fault(), effect_at: at(5000), detail: "0 ready".into() },
        ],
    );
    state
}

fn reverted(state: &mut RunState) {
    let fault = || testkit::FAULT.to_owned();
    let kinds = [
        EventKind::FaultRevertStarted { fault: fault(), sent_at: at(25_000) },
        EventKind::FaultRevertVerified { fault: fault(), effect_at: at(27_000), detail: "1 ready".into() },
    ];
    go_on(state, 27, kinds);
}

fn steady(ms: i64, ok: bool) -> EventKind {
    EventKind::SteadyStateChecked {
        check: "portal answers".into(),
        asked_at: at(ms),
        ok,
        detail: "200".into(),
    }
}

#[test]
fn a_passing_run_is_shown_as_it_went() {
    let events = testkit::log(testkit::passing_run());
    let mut state = fold(&events);
    let fault = &state.faults[0];
    assert_eq!((fault.applied, fault.effect), (Some(Millis(4000)), Some(Millis(5000))));
    assert_eq!((fault.reverting, fault.reverted), (Some(Millis(25_000)), Some(Millis(27_000))));
    assert_eq!(fault.stage, FaultStage::Reverted);
    state.conclude(Verdict::of(&events));
    let judged = |view: &ExpectationView| {
        matches!(view.progress, Progress::Judged { outcome: CheckOutcome::Passed, .. })
    };
    assert!(state.expectations.iter().all(judged), "{:#?}", state.expectations);
    assert_eq!(state.log.back().unwrap().text, "verdict: passed, 9 of 9 checks passed");
}

#[test]
fn an_alert_is_followed_through_its_states() {
    let mut state = until_effect();
    assert_eq!(*progress(&state, "alert/APIServiceDown/pending"), Progress::Waiting { since: Millis(5000) });
    assert_eq!(*progress(&state, "alert/APIServiceDown/resolved"), Progress::NotStarted);
    go_on(&mut state, 8, [seen(testkit::ALERT, "pending", Some(6500))]);
    assert_eq!(*progress(&state, "alert/APIServiceDown/pending"), met(1500), "Prometheus' own time");
    go_on(&mut state, 12, [seen(testkit::ALERT, "firing", Some(6500))]);
    assert_eq!(*progress(&state, "alert/APIServiceDown/firing"), met(7000), "the poll's time");
    go_on(&mut state, 13, [testkit::notification(12_500, "firing")]);
    assert_eq!(*progress(&state, "alert/APIServiceDown/delivered"), met(7500));
    let alert = &state.alerts[&labels(testkit::ALERT)];
    assert_eq!(alert.kind, AlertKind::Expected);
    assert_eq!(alert.delivered, Some((Millis(12_500), "harness".into())));
    reverted(&mut state);
    go_on(&mut state, 30, [seen(testkit::ALERT, "inactive", None)]);
    assert!(
        matches!(progress(&state, "alert/APIServiceDown/resolved"), Progress::Waiting { .. }),
        "not healthy"
    );
    go_on(&mut state, 31, [steady(30_500, true)]);
    assert_eq!(*progress(&state, "alert/APIServiceDown/resolved"), met(3000));
    go_on(&mut state, 32, [seen(testkit::ALERT, "pending", Some(31_500))]);
    assert!(matches!(progress(&state, "alert/APIServiceDown/resolved"), Progress::Waiting { .. }), "back");
    let alert = &state.alerts[&labels(testkit::ALERT)];
    assert_eq!(
        (alert.history.len(), &alert.delivered),
        (4, &None),
        "a new episode has its own notifications"
    );
}

#[test]
fn a_deadline_that_is_over_is_no_miss_and_what_comes_later_is_late() {
    let mut state = until_effect();
    go_on(&mut state, 20, [EventKind::Note { text: "still nothing".into() }]);
    let id = "alert/APIServiceDown/firing";
    assert_eq!(*progress(&state, id), Progress::Waiting { since: Millis(5000) });
    go_on(&mut state, 21, [seen(testkit::ALERT, "firing", None)]);
    assert_eq!(*progress(&state, id), Progress::Late { after: Millis(16_000) });
}

#[test]
fn what_was_active_before_the_fault_says_nothing_about_it() {
    let started = testkit::run_started(testkit::plan()).kind;
    let alert = BaselineAlert { labels: labels(testkit::ALERT), state: "firing".into() };
    let mut state = RunState::default();
    go_on(&mut state, 0, [started, seen(testkit::ALERT, "firing", Some(-60_000))]);
    go_on(&mut state, 2, [EventKind::BaselineTaken { alerts: vec![alert] }]);
    let fault = || testkit::FAULT.to_owned();
    let effect =
        EventKind::FaultEffectObserved { fault: fault(), effect_at: at(5000), detail: String::new() };
    go_on(&mut state, 4, [EventKind::FaultApplied { fault: fault(), sent_at: at(4000) }, effect]);
    go_on(&mut state, 9, [seen(testkit::ALERT, "inactive", None), seen(testkit::ALERT, "firing", None)]);
    let id = "alert/APIServiceDown/firing";
    assert!(matches!(progress(&state, id), Progress::Waiting { .. }), "{:?}", progress(&state, id));
}

#[test]
fn a_delivery_counts_only_for_an_alert_that_prometheus_has() {
    let mut state = until_effect();
    go_on(&mut state, 13, [testkit::notification(12_000, "firing")]);
    assert!(matches!(progress(&state, "alert/APIServiceDown/delivered"), Progress::Waiting { .. }));
    go_on(&mut state, 14, [seen(testkit::ALERT, "firing", None)]);
    assert_eq!(*progress(&state, "alert/APIServiceDown/delivered"), met(7000));
}

#[test]
fn an_unexpected_alert_that_fires_is_a_miss() {
    let mut state = until_effect();
    let id = "alerts/none-unexpected";
    go_on(&mut state, 8, [seen("Stranger", "pending", None)]);
    assert_eq!(state.alerts[&labels("Stranger")].kind, AlertKind::Unexpected);
    assert!(matches!(progress(&state, id), Progress::Waiting { .. }), "pending is no alert yet");
    go_on(&mut state, 9, [seen("Stranger", "firing", None)]);
    assert_eq!(
        *progress(&state, id),
        Progress::Missed { reason: "Stranger fires, which is not expected".into() }
    );
    go_on(&mut state, 10, [EventKind::FaultStopped { fault: testkit::FAULT.into() }]);
    assert!(
        matches!(progress(&state, id), Progress::Waiting { .. }),
        "a run changed by hand convicts nobody"
    );
}

#[test]
fn what_was_active_in_the_baseline_and_goes_on_is_no_surprise() {
    let mut state = RunState::default();
    let known = |state: &str| BaselineAlert { labels: labels("Old"), state: state.into() };
    go_on(&mut state, 0, [testkit::run_started(testkit::plan()).kind, seen("Old", "pending", None)]);
    assert_eq!(state.alerts[&labels("Old")].kind, AlertKind::Unexpected);
    go_on(&mut state, 2, [EventKind::BaselineTaken { alerts: vec![known("pending")] }]);
    assert_eq!(state.alerts[&labels("Old")].kind, AlertKind::Unjudged);
    go_on(&mut state, 3, [seen("Old", "firing", None)]);
    assert_eq!(state.alerts[&labels("Old")].kind, AlertKind::Unexpected, "it was only pending");
}

#[test]
fn answers_are_followed_in_their_windows() {
    let answer = |ms: i64, status: u16| EventKind::ProbeAnswered {
        probe: "user".into(),
        step: "login".into(),
        round: 0,
        sent_at: at(ms),
        latency_us: 10_000,
        status: Some(status),
        body: String::new(),
        error: None,
        healthy: status == 200,
    };
    let mut state = until_effect();
    go_on(&mut state, 7, [answer(4500, 200), answer(6000, 200), answer(7000, 503)]);
    assert_eq!(*progress(&state, "http/503"), met(2010), "the first expected one");
    assert_eq!(*progress(&state, "http/200"), Progress::NotStarted);
    go_on(&mut state, 12, [answer(11_000, 200)]);
    assert_eq!(
        *progress(&state, "http/503"),
        Progress::Missed { reason: "answered 200, 6.01s into the window".into() },
        "every answer from then on must be so"
    );
    // One that was on its way when the revert began belongs to neither side.
    let mut state = until_effect();
    go_on(&mut state, 7, [answer(6000, 503)]);
    go_on(&mut state, 26, [answer(24_995, 200)]);
    assert!(matches!(progress(&state, "http/503"), Progress::Missed { .. }));
    reverted(&mut state);
    assert_eq!(*progress(&state, "http/503"), met(1010));
}

#[test]
fn the_steady_state_and_replicas_count_from_the_revert() {
    let mut state = until_effect();
    reverted(&mut state);
    go_on(&mut state, 29, [steady(24_000, true)]);
    assert!(matches!(progress(&state, "recovery"), Progress::Waiting { .. }), "asked before the revert");
    go_on(&mut state, 30, [steady(29_000, true)]);
    assert_eq!(*progress(&state, "recovery"), met(4000));
    go_on(&mut state, 31, [steady(30_000, false)]);
    assert!(matches!(progress(&state, "recovery"), Progress::Waiting { .. }));
}

#[test]
fn the_recorded_run_is_shown_as_its_verdict_sees_it() {
    let events = testkit::recorded_run();
    let mut state = fold(&events);
    let live = state.expectations.clone();
    let verdict = Verdict::of(&events);
    state.conclude(verdict.clone());
    let mut known = 0;
    for (view, check) in live.iter().zip(&verdict.checks) {
        if let (Progress::Met { after: Some(after) }, Some(measured)) = (&view.progress, check.measured) {
            // Alerts are polled once a second.
            assert!((*after - measured).0.abs() <= 1500, "{}: {after} and {measured}", view.id);
            known += 1;
        }
    }
    assert_eq!(known, 7, "six states of alerts, and recovery");
    assert_eq!(state.compressed, Some(30));
    assert_eq!(state.faults[0].stage, FaultStage::Reverted);
    assert!(state.loads.iter().all(|load| matches!(load.stage, LoadStage::Ended(_))));
    assert_eq!(state.loads.iter().find(|load| load.spec.name == "crowd").unwrap().requests, 100_000);
    assert!(
        state.pods.keys().all(|(namespace, _)| namespace == "gallery"),
        "the plan's, where none is written"
    );
    let burning = state.alerts.values().filter(|alert| alert.kind == AlertKind::Expected);
    assert!(burning.clone().all(|alert| alert.delivered.is_some() && alert.resolved_delivered.is_some()));
    assert_eq!(burning.count(), 2);
    assert!(state.finished && state.phases.iter().all(|span| span.to.is_some()));
}

#[test]
fn what_is_done_by_hand_is_part_of_the_state() {
    let mut plan = testkit::plan();
    (plan.faults, plan.expectations) = (vec![], vec![]);
    let EventKind::RunStarted { format, run, harness, scenario, scenario_sha256, .. } =
        testkit::run_started(testkit::plan()).kind
    else {
        unreachable!()
    };
    let started = EventKind::RunStarted {
        format,
        run,
        harness,
        scenario,
        scenario_sha256,
        mode: RunMode::GameDay,
        plan,
    };
    let action = FaultAction::Scale {
        workload: WorkloadRef { kind: "Deployment".into(), name: "api".into() },
        replicas: 0,
    };
    let spec = FaultSpec {
        name: "mine".into(),
        action: action.clone(),
        start: Millis(3000),
        duration: Millis(30_000),
        effect_within: Millis(5000),
    };
    let mine = || "mine".to_owned();
    let mut state = RunState::default();
    go_on(
        &mut state,
        0,
        [
            started,
            EventKind::FaultRequested { spec },
            EventKind::FaultPlanned {
                fault: mine(),
                action,
                targets: vec!["deployment/api".into()],
                inverse: "scale to 2".into(),
            },
            EventKind::FaultApplied { fault: mine(), sent_at: at(3000) },
            EventKind::FaultEffectObserved { fault: mine(), effect_at: at(4000), detail: "0 of 0".into() },
            EventKind::NoteWritten { text: "pager\nrang".into() },
            seen("Stranger", "firing", None),
        ],
    );
    let fault = state.fault("mine").unwrap();
    assert!(fault.by_hand);
    assert_eq!(fault.ends_at(), Some(Millis(34_000)));
    assert_eq!(state.alerts[&labels("Stranger")].kind, AlertKind::Unjudged);
    go_on(&mut state, 10, [EventKind::FaultStopped { fault: mine() }]);
    let told: Vec<_> = state.log.iter().map(|line| line.text.as_str()).collect();
    assert!(told.contains(&"fault mine is asked for: scales to 0: deployment/api, for 30s"), "{told:#?}");
    assert!(told.contains(&"fault mine is stopped before its time"), "{told:#?}");
    assert!(told.contains(&"note: pager rang"), "no control characters: {told:#?}");
}

fn pod(name: &str, status: &str, ready: bool, gone: bool) -> EventKind {
    let (pod, status) = (name.to_owned(), status.to_owned());
    EventKind::PodObserved(ObservedPod { pod, status, ready, gone, ..ObservedPod::default() })
}

#[test]
fn pods_that_are_gone_stay_for_a_while() {
    let mut state = fold(&[testkit::run_started(testkit::plan())]);
    go_on(&mut state, 1, [pod("api", "Running", true, false), pod("api", "Terminating", false, false)]);
    go_on(&mut state, 3, [pod("api", "Terminating", false, true)]);
    let key = ("gallery".to_owned(), "api".to_owned());
    let history: Vec<_> = state.pods[&key].history.iter().map(|(_, status)| status.as_str()).collect();
    assert_eq!(history, ["Running, ready", "Terminating", "gone"]);
    go_on(&mut state, 13, [EventKind::Note { text: String::new() }]);
    assert!(state.pods.contains_key(&key));
    go_on(&mut state, 14, [EventKind::Note { text: String::new() }]);
    assert!(state.pods.is_empty());
}

#[test]
fn everything_is_bounded() {
    let mut state = fold(&[testkit::run_started(testkit::plan())]);
    for round in 0..2_500_i64 {
        let name = format!("api-{round}");
        let usage =
            PodUsage { namespace: String::new(), pod: "api".into(), cpu_millicores: 1, memory_bytes: 1 };
        let event = ClusterEvent {
            namespace: "gallery".into(),
            object: format!("pod/{name}"),
            severity: "Warning".into(),
            reason: "BackOff".into(),
            message: format!("round {round}"),
            count: 1,
            seen_at: at(round * 100),
        };
        let of_one = ClusterEvent { object: "pod/api".into(), ..event.clone() };
        let kinds = [
            pod("api", &format!("Status{round}"), true, false),
            pod(&name, "Running", true, false),
            pod(&name, "Running", false, true),
            EventKind::PodsMeasured { sampled_at: at(0), pods: vec![usage] },
            EventKind::ClusterEventSeen(event),
            EventKind::ClusterEventSeen(of_one),
            seen(&name, "firing", None),
            seen(&name, "inactive", None),
            seen("Flapping", if round % 2 == 0 { "firing" } else { "inactive" }, None),
            testkit::notification(round * 100, "firing"),
            EventKind::Note { text: "x".repeat(5000) },
        ];
        for kind in kinds {
            let (seq, ms) = (state.events, round * 100);
            state.apply(&Event { seq, at: at(ms), elapsed: Millis(ms), kind });
        }
    }
    for flap in 0..10_000_i64 {
        let kind = seen("Flapping", if flap % 2 == 0 { "firing" } else { "inactive" }, None);
        let (seq, ms) = (state.events, 250_000 + flap);
        state.apply(&Event { seq, at: at(ms), elapsed: Millis(ms), kind });
    }
    assert_eq!(state.log.len(), LOG_LENGTH);
    assert!(state.log.iter().all(|line| line.text.len() <= LOG_LINE_LENGTH));
    assert!(state.alerts.len() <= ALERTS_KEPT, "{}", state.alerts.len());
    assert!(state.memo.quiet_alerts.len() <= 4 * ALERTS_KEPT);
    assert!(state.pods.len() <= 110, "{}", state.pods.len());
    assert!(state.memo.gone_pods.len() <= 110);
    assert_eq!(state.cluster_events.len(), OBJECTS_WITH_EVENTS);
    assert!(state.cluster_events.values().all(|events| events.len() <= EVENTS_KEPT));
    assert_eq!(state.notifications.len(), NOTIFICATIONS_KEPT);
    let api = &state.pods[&("gallery".to_owned(), "api".to_owned())];
    assert_eq!((api.history.len(), api.cpu.points().len()), (HISTORY_KEPT, POD_SERIES_LENGTH));
    assert_eq!(state.alerts[&labels("Flapping")].history.len(), HISTORY_KEPT);
}

/// Some of the recorded run's events, in their order.
fn some_events() -> impl Strategy<Value = Vec<Event>> {
    let all = testkit::recorded_run();
    let keep = proptest::collection::vec(proptest::bool::weighted(0.7), all.len());
    keep.prop_map(move |keep| {
        let kept = all.iter().zip(keep).enumerate().filter(|(index, (_, keep))| *index == 0 || *keep);
        kept.map(|(_, (event, _))| event.clone()).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is lost, what is left is shown; what is said to be met or missed, the same facts do not prove to be otherwise.
    #[test]
    fn no_loss_does_harm(events in some_events(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(events.len());
        let mut state = fold(&events[..cut]);
        let whole = fold(&events);
        events[cut..].iter().for_each(|event| state.apply(event));
        prop_assert_eq!(&state, &whole);
        let verdict = Verdict::of(&events);
        for (view, check) in whole.expectations.iter().zip(&verdict.checks) {
            match view.progress {
                Progress::Missed { .. } => prop_assert_ne!(check.outcome, CheckOutcome::Passed, "{}", view.id),
                Progress::Met { .. } => prop_assert_ne!(check.outcome, CheckOutcome::Failed, "{}", view.id),
                _ => {}
            }
        }
    }
}
