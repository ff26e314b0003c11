//! Whatever a game day was, what is exported is a scenario.

use harness_event::{
    AlertInterval, AlertSeries, BaselineAlert, EventKind, FaultAction, FaultSpec, IntervalEnd, Labels,
    LoadSpec, LoadStart, Millis, Notification, NotifiedAlert, ObservedWorkload, RateStage, WorkloadRef,
    verdict::testkit::{self, at},
};
use harness_scenario::{
    export::{ExportError, ExportOptions, export},
    parse,
};
use proptest::prelude::*;

use super::{game_day, surroundings};

fn workload(number: u8) -> WorkloadRef {
    WorkloadRef { kind: "Deployment".into(), name: format!("w{number}") }
}

/// A fault with everything that may become of it.
fn fault() -> impl Strategy<Value = (FaultSpec, i64, [i64; 3], u8)> {
    let action = prop_oneof![
        (0..3_u8, 0..5)
            .prop_map(|(number, replicas)| FaultAction::Scale { workload: workload(number), replicas }),
        (0..3_u8).prop_map(|number| FaultAction::Restart { workload: workload(number) }),
        prop::option::of(1..4_u32).prop_map(|count| FaultAction::DeletePods {
            selector: "app=api".into(),
            count,
            grace_period_seconds: None
        }),
    ];
    let spec = (action, 1..100_000_i64).prop_map(|(action, duration)| FaultSpec {
        name: "fault".into(),
        action,
        start: Millis(0),
        duration: Millis(duration),
        effect_within: Millis(10_000),
    });
    (spec, 0..200_000_000_i64, [0..3000_i64, 0..60_000, 0..20_000], 0..6_u8)
}

fn stage() -> impl Strategy<Value = RateStage> {
    let rate = prop_oneof![Just(0.0), 0.5..100.0];
    (rate.clone(), prop::option::of(rate), 1..30_000_i64).prop_map(|(rate, to, length)| RateStage {
        rate,
        to,
        length: Some(Millis(length)),
    })
}

/// A load: its schedule, when it began, how long it was, and how it ended.
fn load() -> impl Strategy<Value = (LoadSpec, i64, i64, &'static str)> {
    let stages = (prop::collection::vec(stage(), 0..3), any::<bool>()).prop_map(|(mut stages, open)| {
        if let (true, Some(last)) = (open, stages.last_mut()) {
            (last.length, last.to) = (None, None);
        }
        let silent = |stage: &RateStage| stage.rate == 0.0 && stage.to.is_none_or(|to| to == 0.0);
        if stages.iter().all(silent) { Vec::new() } else { stages }
    });
    let ends = prop_oneof![Just("stopped"), Just("requests"), Just("duration"), Just("")];
    (stages, [0..20_000_i64, 0..20_000_i64], 0..100_000_i64, 0..50_000_i64, ends).prop_map(
        |(stages, [ramp, warm_up], began, took, reason)| {
            let open = stages.last().is_some_and(|stage| stage.length.is_none());
            let spec = LoadSpec {
                // What a game day makes of a load that nothing ends.
                duration: (stages.is_empty() || open).then_some(Millis(24 * 3_600_000)),
                requests: (reason == "requests").then_some(10),
                ramp: Millis(ramp),
                warm_up: Millis(warm_up),
                stages,
                ..testkit::load_spec("load", LoadStart::After(Millis(began)))
            };
            (spec, began, took, reason)
        },
    )
}

fn alert() -> impl Strategy<Value = (Labels, bool, i64, i64, u8)> {
    let name = prop_oneof![
        Just("Down".to_owned()),
        Just("Slow".to_owned()),
        Just("=~x".to_owned()),
        any::<String>()
    ];
    let severity =
        prop_oneof![Just(String::new()), Just("page".to_owned()), Just("=~page".to_owned()), any::<String>()];
    (name, severity, any::<bool>(), 0..300_000_i64, 1..60_000_i64, 0..4_u8).prop_map(
        |(name, severity, firing, from, length, end)| {
            let mut labels = Labels::from([("alertname".to_owned(), name)]);
            if !severity.is_empty() {
                labels.insert("severity".to_owned(), severity);
            }
            (labels, firing, from, length, end)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn it_can_be_run_again(
        faults in prop::collection::vec(fault(), 0..5),
        loads in prop::collection::vec(load(), 0..3),
        alerts in prop::collection::vec(alert(), 0..8),
        notes in prop::collection::vec(any::<String>(), 0..3),
        before in prop::option::of(any::<String>()),
        bare in any::<bool>(),
        lengthen in any::<bool>(),
    ) {
        let mut plan = surroundings();
        if bare {
            plan.steady_state.clear();
        }
        let mut kinds = vec![game_day(plan)];
        kinds.extend((0..3_u8).map(|number| EventKind::WorkloadObserved(ObservedWorkload {
            workload: workload(number), seen_at: at(-1000), desired: 2, ready: 2, available: 2,
        })));
        kinds.extend(before.map(|name| EventKind::BaselineTaken { alerts: vec![BaselineAlert {
            labels: Labels::from([("alertname".to_owned(), name)]), state: "firing".into(),
        }] }));
        for (number, (spec, began, [effect, length, heal], fate)) in faults.into_iter().enumerate() {
            let name = format!("fault-{number}");
            kinds.push(EventKind::FaultRequested { spec: FaultSpec { name: name.clone(), ..spec } });
            if fate > 0 {
                kinds.push(EventKind::FaultApplied { fault: name.clone(), sent_at: at(began) });
            }
            let effect_at = began + effect;
            if fate > 1 {
                kinds.push(EventKind::FaultEffectObserved { fault: name.clone(), effect_at: at(effect_at), detail: String::new() });
            }
            kinds.push(EventKind::FaultRevertStarted { fault: name.clone(), sent_at: at(effect_at + length) });
            kinds.push(match fate {
                2 => EventKind::FaultRevertFailed { fault: name, error: "gone\n[[fault]]".into() },
                _ => EventKind::FaultRevertVerified { fault: name, effect_at: at(effect_at + length + heal), detail: String::new() },
            });
        }
        for (number, (spec, began, took, reason)) in loads.into_iter().enumerate() {
            let name = format!("load-{number}");
            kinds.push(EventKind::LoadRequested { spec: LoadSpec { name: name.clone(), ..spec } });
            kinds.push(EventKind::LoadStarted { load: name.clone(), started_at: at(began) });
            if !reason.is_empty() {
                kinds.push(EventKind::LoadFinished {
                    load: name, ended_at: at(began + took), reason: reason.into(), begun: 1, due: 1, most_behind: Millis(0),
                });
            }
        }
        let mut series = Vec::new();
        for (labels, firing, from, length, end) in alerts {
            let state = if firing { "firing" } else { "pending" };
            let end = match end {
                0 => IntervalEnd::Open,
                1 => IntervalEnd::Unknown,
                _ => IntervalEnd::Stale(at(from + length)),
            };
            series.push(AlertSeries {
                labels: labels.clone(),
                state: state.into(),
                intervals: vec![AlertInterval { from: at(from), last: at(from + length), end }],
            });
            kinds.push(EventKind::NotificationReceived(Notification {
                receiver: "team".into(),
                received_at: at(from + 500),
                status: "firing".into(),
                alerts: vec![NotifiedAlert {
                    status: "firing".into(), labels, starts_at: at(from), ends_at: None, fingerprint: String::new(),
                }],
            }));
        }
        kinds.push(EventKind::AlertHistoryRead { from: at(-10_000), to: at(400_000), series, sha256: String::new() });
        kinds.extend(notes.into_iter().map(|text| EventKind::NoteWritten { text }));
        kinds.push(EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) });

        match export(&testkit::log(kinds), ExportOptions { lengthen }) {
            Ok(exported) => {
                let parsed = parse("exported", &exported.text);
                prop_assert!(parsed.is_ok(), "{}\n{}", parsed.unwrap_err(), exported.text);
            }
            Err(ExportError::NothingDone) => {}
            Err(ExportError::Invalid(problems)) => prop_assert!(false, "{}", problems),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }
}
