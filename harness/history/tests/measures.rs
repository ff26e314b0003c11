//! What is measured in scripted runs.
#![allow(missing_docs)]

use harness_event::{EventKind, verdict::testkit};
use harness_history::{Better, CATALOGUE, Measure, measures};

fn lines(all: &[Measure]) -> String {
    let line = |one: &Measure| {
        let deadline = one.deadline.map_or_else(String::new, |most| format!(" of {most}"));
        format!(
            "{} = {}{deadline} {:?} {:?} ±{}\n",
            one.id(),
            one.value,
            one.unit,
            one.better,
            one.resolution
        )
    };
    all.iter().map(line).collect()
}

#[test]
fn a_failure_is_measured_by_its_alert_its_fault_and_its_recovery() {
    insta::assert_snapshot!(lines(&measures(&testkit::log(testkit::passing_run()))));
}

#[test]
fn a_surge_is_measured_by_its_load_its_autoscaler_and_its_budget() {
    insta::assert_snapshot!(lines(&measures(&testkit::log(testkit::surge_run()))));
}

#[test]
fn names_and_directions_are_those_of_the_catalogue() {
    let docs = include_str!("../../../docs/history.md");
    for (name, ..) in CATALOGUE {
        assert!(docs.contains(&format!("`{name}`")), "docs/history.md says nothing of {name}");
    }
    for run in [testkit::passing_run(), testkit::surge_run()] {
        for one in measures(&testkit::log(run)) {
            let (_, unit, better, _) = *CATALOGUE.iter().find(|(name, ..)| *name == one.name).unwrap();
            assert_eq!(one.unit, unit);
            assert!(one.better == better || (one.name == "request_rate" && one.better == Better::None));
        }
    }
}

/// What was never seen has no value, least of all zero.
#[test]
fn what_did_not_happen_is_not_measured() {
    let without = |gone: fn(&EventKind) -> bool| {
        let kinds = testkit::passing_run().into_iter().filter(|kind| !gone(kind));
        measures(&testkit::log(kinds.collect()))
    };
    let has = |all: &[Measure], name: &str| all.iter().any(|one| one.name == name);
    let all = without(|kind| matches!(kind, EventKind::AlertHistoryRead { .. }));
    assert!(!has(&all, "alert_firing") && has(&all, "fault_effect"), "{}", lines(&all));
    let all = without(|kind| matches!(kind, EventKind::FaultEffectObserved { .. }));
    assert!(!has(&all, "fault_effect") && !has(&all, "alert_firing"), "{}", lines(&all));
    assert_eq!(measures(&[]), []);
}

/// An alert that is gone because its data are gone did not recover.
#[test]
fn resolved_by_absence_is_no_recovery() {
    let kinds = testkit::passing_run().into_iter().map(|kind| match kind {
        EventKind::AlertInputsChecked { alert, resolved_at, detail, .. } => {
            EventKind::AlertInputsChecked { alert, resolved_at, present: false, detail }
        }
        other => other,
    });
    let all = measures(&testkit::log(kinds.collect()));
    assert!(all.iter().any(|one| one.name == "alert_firing"));
    assert!(!all.iter().any(|one| one.name.starts_with("alert_resolved")), "{}", lines(&all));
}

/// Several alerts of one name are told apart by what the scenario expects of them.
#[test]
fn alerts_of_one_name_are_told_apart_by_their_labels() {
    let mut plan = testkit::plan();
    let mut other = plan.expectations[1].clone();
    other.id += "#2";
    if let harness_event::ExpectationKind::Alert(alert) = &mut other.kind {
        alert.labels = vec![harness_event::LabelMatcher::equal("severity", "ticket")];
    }
    plan.expectations.push(other);
    let mut kinds = testkit::passing_run();
    kinds[0] = testkit::run_started(plan).kind;
    let mut ticket = testkit::series("firing", 15_000, 30_000);
    ticket.labels.insert("severity".into(), "ticket".into());
    for kind in &mut kinds {
        if let EventKind::AlertHistoryRead { series, .. } = kind {
            series.push(ticket.clone());
        }
    }
    let all = measures(&testkit::log(kinds));
    let firing: Vec<_> =
        all.iter().filter(|one| one.name == "alert_firing").map(|one| (one.id(), one.value)).collect();
    assert_eq!(
        firing,
        [
            ("alert_firing/APIServiceDown{severity=\"page\"}".to_owned(), 6000.0),
            ("alert_firing/APIServiceDown{severity=\"ticket\"}".to_owned(), 10_000.0),
        ]
    );
}

/// The command line's tests use this log; it also keeps old logs readable.
#[test]
fn the_recorded_log_is_the_scripted_run() {
    let recorded = harness_event::read_log(include_str!("fixtures/passing.ndjson").as_bytes()).unwrap();
    assert_eq!(measures(&recorded.events), measures(&testkit::log(testkit::passing_run())));
}
