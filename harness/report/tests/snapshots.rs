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
