//! Every report of scripted runs, as people and programs see it.

use harness_event::{CancelReason, Event, EventKind, Verdict, verdict::testkit};
use harness_report::{LineView, RunResult, Style, junit, summary};

const PLAIN: Style = Style { color: false, unicode: true };

fn lines(events: &[Event], style: Style) -> String {
    let mut view = LineView::new(style);
    let verdict = Verdict::of(events);
    let lines: Vec<_> =
        events.iter().flat_map(|event| view.lines(event)).chain(summary(events, &verdict, style)).collect();
    lines.join("\n")
}

fn passing() -> Vec<Event> {
    testkit::log(testkit::passing_run())
}

fn failing() -> Vec<Event> {
    let late = |kind| match kind {
        EventKind::AlertHistoryRead { .. } => testkit::history(vec![
            testkit::series("pending", 6000, 17_000),
            testkit::series("firing", 17_000, 29_000),
        ]),
        EventKind::AlertInputsChecked { alert, resolved_at, .. } => {
            EventKind::AlertInputsChecked { alert, resolved_at, present: false, detail: "up: 0 of 1".into() }
        }
        kind => kind,
    };
    testkit::log(testkit::passing_run().into_iter().map(late).collect())
}

fn left_behind() -> Vec<Event> {
    let kinds = testkit::passing_run().into_iter().map(|kind| match kind {
        EventKind::FaultRevertVerified { fault, .. } => {
            EventKind::FaultRevertFailed { fault, error: "connection refused".into() }
        }
        EventKind::BaselineTaken { alerts } => EventKind::BaselineTaken { alerts },
        kind => kind,
    });
    let reason = CancelReason::Signal("SIGTERM".into());
    testkit::log(kinds.chain([EventKind::RunCancelled { reason }]).collect())
}

#[test]
fn lines_of_a_passing_run() {
    insta::assert_snapshot!(lines(&passing(), PLAIN));
}

#[test]
fn lines_of_a_failing_run() {
    insta::assert_snapshot!(lines(&failing(), PLAIN));
}

#[test]
fn lines_of_a_run_that_left_a_fault_behind() {
    insta::assert_snapshot!(lines(&left_behind(), Style::default()));
}

#[test]
fn lines_of_an_aborted_run_do_not_list_what_was_never_looked_at() {
    let reason = CancelReason::Signal("SIGINT".into());
    let kinds = testkit::passing_run().into_iter().chain([EventKind::RunCancelled { reason }]);
    let text = lines(&testkit::log(kinds.collect()), PLAIN);
    assert!(text.contains("ABORTED\n  cancelled by SIGINT; everything is rolled back"), "{text}");
    assert!(!text.contains("inconclusive"), "{text}");
}

/// The surge with its seconds at their time, errors for a while, a second autoscaler without metrics, compressed time.
fn surging() -> Vec<Event> {
    let mut kinds = testkit::surge_run();
    let errors = |kind: &mut EventKind| match kind {
        EventKind::LoadSampled { load, sample } if load == testkit::SURGE => {
            let second = (sample.from - testkit::START).0 / 1000;
            sample.failed = if (10..12).contains(&second) { 2 } else { 0 };
        }
        EventKind::SloSampled(sample) => {
            let second = (sample.sampled_at - testkit::START).0 / 1000;
            sample.burn_rates[0] = Some(if (10..20).contains(&second) { 7.5 } else { 0.5 });
        }
        _ => {}
    };
    kinds.iter_mut().for_each(errors);
    kinds.insert(1, EventKind::TimeCompressed { factor: 30, unscaled: vec!["Slow: time() - x > 60".into()] });
    testkit::log(kinds)
}

/// Nobody answers, nothing is scaled, the budget is broken, the SLO is not known.
fn surge_into_nothing() -> Vec<Event> {
    let kinds = testkit::surge_run().into_iter().filter_map(|kind| {
        Some(match kind {
            EventKind::LoadFinished { load, .. } if load == testkit::SURGE => {
                EventKind::LoadFailed { load, error: "the worker died: signal 9".into() }
            }
            EventKind::LoadMeasured { load, .. } if load == testkit::SURGE => return None,
            EventKind::WorkloadObserved(seen) if seen.seen_at > testkit::at(1000) => return None,
            EventKind::AutoscalerObserved(mut seen) if seen.seen_at > testkit::at(1000) => {
                seen.desired = 2;
                seen.conditions = vec!["ScalingActive=False(FailedGetResourceMetric)".into()];
                seen.metrics = vec!["cpu: <unknown>/50%".into()];
                seen.exists = seen.seen_at < testkit::at(20_000);
                EventKind::AutoscalerObserved(seen)
            }
            EventKind::BudgetObserved(mut seen) => {
                seen.healthy -= i32::from(seen.seen_at == testkit::at(8500)) * 3;
                EventKind::BudgetObserved(seen)
            }
            EventKind::SloDefined(definition) => {
                EventKind::SloMissing { slo: definition.slo, error: "no sloth_slo_info".into() }
            }
            EventKind::SloSampled(_) | EventKind::SloMeasured(_) => return None,
            kind => kind,
        })
    });
    testkit::log(kinds.collect())
}

#[test]
fn lines_of_a_surge() {
    insta::assert_snapshot!(lines(&surging(), PLAIN));
}

#[test]
fn lines_of_a_surge_into_nothing() {
    insta::assert_snapshot!(lines(&surge_into_nothing(), Style::default()));
}

#[test]
fn result_json_of_a_surge() {
    let events = surging();
    let result = RunResult::of(&events, &Verdict::of(&events)).unwrap();
    let text = result.to_json().unwrap();
    assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap(), result);
    // Checks and reasons have their own snapshots.
    let parts = (result.compressed, &result.loads, &result.autoscalers, &result.slos);
    insta::assert_snapshot!(serde_json::to_string_pretty(&parts).unwrap());
}

#[test]
fn a_result_without_loads_is_still_read() {
    let events = passing();
    let result = RunResult::of(&events, &Verdict::of(&events)).unwrap();
    let mut json = serde_json::to_value(&result).unwrap();
    for field in ["compressed", "loads", "autoscalers", "slos"] {
        json.as_object_mut().unwrap().remove(field);
    }
    assert_eq!(serde_json::from_value::<RunResult>(json).unwrap(), result);
}

#[test]
fn caveats_are_in_every_output() {
    let events = surging();
    let verdict = Verdict::of(&events);
    assert_eq!(verdict.outcome, harness_event::Outcome::Passed, "{verdict:#?}");
    let text = lines(&events, PLAIN);
    let xml = junit(&events, &verdict).unwrap();
    let json = RunResult::of(&events, &verdict).unwrap().to_json().unwrap();
    for caveat in &verdict.caveats {
        assert!(text.contains(&format!("note: {caveat}")), "{text}");
        assert!(json.contains(caveat.as_str()), "{json}");
    }
    assert_eq!(xml.matches("<property name=\"caveat\"").count(), verdict.caveats.len(), "{xml}");
    assert_eq!(xml.matches("compressed x30, not a latency claim").count(), 2, "{xml}");
}

#[test]
fn colours_only_where_asked_for() {
    assert!(!lines(&failing(), PLAIN).contains('\u{1b}'));
    assert!(lines(&failing(), Style { color: true, unicode: true }).contains("\u{1b}[31m"));
    assert!(lines(&failing(), Style::default()).is_ascii());
}

#[test]
fn result_json() {
    let events = failing();
    let result = RunResult::of(&events, &Verdict::of(&events)).unwrap();
    let text = result.to_json().unwrap();
    assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap(), result);
    insta::assert_snapshot!(text);
}

#[test]
fn junit_xml() {
    let events = failing();
    insta::assert_snapshot!(junit(&events, &Verdict::of(&events)).unwrap());
}

#[test]
fn junit_of_a_run_that_never_began_is_not_green() {
    let mut kinds = vec![testkit::run_started(testkit::plan()).kind];
    kinds.push(EventKind::NotReady { component: "Prometheus".into(), reason: "connection refused".into() });
    let events = testkit::log(kinds);
    let xml = junit(&events, &Verdict::of(&events)).unwrap();
    assert!(xml.contains(r#"<error message="Prometheus: connection refused" type="not ready"/>"#), "{xml}");
}
