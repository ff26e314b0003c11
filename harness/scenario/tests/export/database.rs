//! One fault, one alert, and what becomes of them.

use harness_event::{
    EventKind, ExpectationKind, FaultAction, FaultSpec, Millis, ObservedPod, ObservedWorkload, WorkloadRef,
    verdict::testkit,
};
use harness_scenario::{
    export::{ExportError, ExportOptions, export},
    parse,
};

use super::{by_hand, exported, game_day, passing_run, surroundings};

#[test]
fn what_was_seen_is_what_must_be_seen() {
    let mut run = by_hand();
    run.push(EventKind::NoteWritten { text: "the pager\n[[fault]]\nname = \"x\" # rang".into() });
    let found = exported(run, ExportOptions::default());
    insta::assert_snapshot!(found.text);
    let scenario = parse("exported", &found.text).unwrap();
    assert_eq!(scenario.warnings, []);
    let deadlines: Vec<_> = scenario
        .plan
        .expectations
        .iter()
        .map(|one| match &one.kind {
            ExpectationKind::Alert(alert) => (one.id.as_str(), alert.within.0),
            ExpectationKind::Recovery { within } => (one.id.as_str(), within.0),
            ExpectationKind::Workload(workload) => (one.id.as_str(), workload.within.0),
            _ => (one.id.as_str(), 0),
        })
        .collect();
    assert_eq!(
        deadlines,
        [
            ("alert/APIServiceDown/pending", 4000),
            ("alert/APIServiceDown/firing", 9000),
            ("alert/APIServiceDown/delivered", 10_000),
            ("alert/APIServiceDown/resolved", 5000),
            ("recovery", 7000),
            ("alerts/none-unexpected", 0),
        ]
    );
    let fault = &scenario.plan.faults[0];
    assert_eq!((fault.start, fault.duration), (Millis(0), Millis(20_000)));
}

/// The fault ends at this time instead of 20 s after its effect.
fn short(ms: i64) -> Vec<EventKind> {
    let change = |kind| match kind {
        EventKind::FaultRevertStarted { fault, .. } => {
            EventKind::FaultRevertStarted { fault, sent_at: testkit::at(5000 + ms) }
        }
        kind => kind,
    };
    by_hand().into_iter().map(change).collect()
}

#[test]
fn what_came_too_late_for_the_fault_is_not_expected_unless_it_is_made_longer() {
    // Firing after 6 s, delivered after 7 s.
    let found = exported(short(7500), ExportOptions::default());
    assert!(found.text.contains("duration = \"7500ms\""), "{}", found.text);
    assert!(found.text.contains("firing_within = \"7500ms\"  # measured 6s"), "{}", found.text);
    assert!(!found.text.contains("delivered_within"), "{}", found.text);
    assert!(found.text.contains("delivered after 7s, too close to the end"), "{}", found.text);

    let found = exported(short(7500), ExportOptions { lengthen: true });
    assert!(found.text.contains("delivered_within = \"10s\"  # measured 7s"), "{}", found.text);
    assert!(found.text.contains("duration = \"11s\"  # it was 7.50s"), "{}", found.text);
}

#[test]
fn an_alert_that_was_there_before_is_allowed_only() {
    let run = by_hand().into_iter().map(|kind| match kind {
        EventKind::BaselineTaken { .. } => EventKind::BaselineTaken {
            alerts: vec![harness_event::BaselineAlert {
                labels: [("alertname".to_owned(), "Watchdog".to_owned())].into(),
                state: "firing".into(),
            }],
        },
        kind => kind,
    });
    let scenario = parse("exported", &exported(run.collect(), ExportOptions::default()).text).unwrap();
    assert_eq!(scenario.plan.allowed_alerts.len(), 1);
    assert_eq!(scenario.plan.allowed_alerts[0][0].value, "Watchdog");
}

#[test]
fn an_alert_whose_data_was_gone_is_not_expected_to_resolve() {
    let run = by_hand().into_iter().map(|kind| match kind {
        EventKind::AlertInputsChecked { alert, resolved_at, detail, .. } => {
            EventKind::AlertInputsChecked { alert, resolved_at, present: false, detail }
        }
        kind => kind,
    });
    let found = exported(run.collect(), ExportOptions::default());
    assert!(!found.text.contains("resolved_within"), "{}", found.text);
    assert!(found.text.contains("# Its data was gone when it resolved"), "{}", found.text);
}

#[test]
fn the_workload_of_deleted_pods_has_them_again() {
    let action =
        FaultAction::DeletePods { selector: "app=api".into(), count: Some(1), grace_period_seconds: None };
    let workload = WorkloadRef { kind: "Deployment".into(), name: "api".into() };
    let replicas = |ms: i64, ready| {
        EventKind::WorkloadObserved(ObservedWorkload {
            workload: workload.clone(),
            seen_at: testkit::at(ms),
            desired: 2,
            ready,
            available: ready,
        })
    };
    let pod =
        ObservedPod { pod: "api-1".into(), owner: Some("deployment/api".into()), ..ObservedPod::default() };
    let mut run: Vec<_> = by_hand()
        .into_iter()
        .map(|kind| match kind {
            EventKind::FaultRequested { spec } => {
                EventKind::FaultRequested { spec: FaultSpec { action: action.clone(), ..spec } }
            }
            EventKind::FaultPlanned { fault, inverse, .. } => EventKind::FaultPlanned {
                fault,
                action: action.clone(),
                targets: vec!["pod/api-1".into()],
                inverse,
            },
            kind => kind,
        })
        .collect();
    for kind in [replicas(26_000, 2), replicas(5500, 1), replicas(0, 2), EventKind::PodObserved(pod)] {
        run.insert(1, kind);
    }
    let scenario = parse("exported", &exported(run, ExportOptions::default()).text).unwrap();
    let expected = scenario.plan.expectations.iter().find(|one| one.id == "workload/deployment/api").unwrap();
    let ExpectationKind::Workload(expected) = &expected.kind else { panic!("{expected:?}") };
    assert_eq!((expected.ready, expected.within), (2, Millis(4000)));
}

#[test]
fn a_scenarios_run_can_be_exported_too() {
    let found = exported(passing_run(), ExportOptions::default());
    let scenario = parse("exported", &found.text).unwrap();
    assert_eq!(scenario.plan.faults[0].name, testkit::FAULT);
    assert!(found.text.contains("of a run"));
}

#[test]
fn where_nothing_was_injected_there_is_nothing_to_export() {
    let nothing = vec![game_day(surroundings()), EventKind::NoteWritten { text: "quiet".into() }];
    assert!(matches!(
        export(&testkit::log(nothing), ExportOptions::default()),
        Err(ExportError::NothingDone)
    ));
    let unseen = by_hand().into_iter().filter(|kind| !matches!(kind, EventKind::FaultEffectObserved { .. }));
    let unseen = testkit::log(unseen.collect());
    assert!(matches!(export(&unseen, ExportOptions::default()), Err(ExportError::NothingDone)));
    assert!(matches!(export(&[], ExportOptions::default()), Err(ExportError::NoRun)));
}
