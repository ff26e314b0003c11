//! The end of a game day, for people and for machines.

use harness_event::{
    AlertSeries, EventKind, LoadStart, Millis, Plan, RunMode, Verdict,
    verdict::testkit::{self, at},
};
use harness_report::{RunResult, Style, junit, summary};

/// The test kit's database failure, injected by hand, with a load and remarks beside it.
fn game_day() -> Vec<harness_event::Event> {
    let started = match testkit::run_started(Plan { faults: vec![], expectations: vec![], ..testkit::plan() })
        .kind
    {
        EventKind::RunStarted { format, run, harness, scenario_sha256, plan, .. } => EventKind::RunStarted {
            format,
            run,
            harness,
            scenario: String::new(),
            scenario_sha256,
            mode: RunMode::GameDay,
            plan: Plan { title: "Game day".into(), ..plan },
        },
        _ => unreachable!(),
    };
    let mut kinds = testkit::passing_run();
    kinds[0] = started;
    let fault = testkit::plan().faults.remove(0);
    let planned = kinds.iter().position(|kind| matches!(kind, EventKind::FaultPlanned { .. })).unwrap();
    kinds.insert(planned, EventKind::FaultRequested { spec: fault });
    let load = || "visitors".to_owned();
    let rest = [
        EventKind::LoadRequested { spec: testkit::load_spec("visitors", LoadStart::After(Millis(0))) },
        EventKind::LoadStarted { load: load(), started_at: at(1000) },
        EventKind::LoadStopped { load: load() },
        EventKind::LoadFinished {
            load: load(),
            ended_at: at(31_000),
            reason: "stopped".into(),
            begun: 300,
            due: 0,
            most_behind: Millis(0),
        },
        EventKind::NoteWritten { text: "the pager rang".into() },
    ];
    let verdict = kinds.iter().position(|kind| matches!(kind, EventKind::PhaseStarted { .. })).unwrap();
    for (number, kind) in rest.into_iter().enumerate() {
        kinds.insert(verdict + number, kind);
    }
    testkit::log(kinds)
}

#[test]
fn it_lists_what_was_done_and_what_was_seen() {
    let events = game_day();
    let verdict = Verdict::of(&events);
    let lines = summary(&events, &verdict, Style { color: false, unicode: true }).join("\n");
    insta::assert_snapshot!(lines);
}

#[test]
fn an_alert_that_goes_on_is_not_said_to_be_over() {
    let mut events = game_day();
    for event in &mut events {
        if let EventKind::AlertHistoryRead { series, .. } = &mut event.kind {
            let all = series.iter_mut().flat_map(|one: &mut AlertSeries| &mut one.intervals);
            all.for_each(|interval| interval.end = harness_event::IntervalEnd::Open);
        }
    }
    let lines = summary(&events, &Verdict::of(&events), Style { color: false, unicode: true }).join("\n");
    assert!(lines.contains("still active"), "{lines}");
}

#[test]
fn machines_are_told_that_it_ended() {
    let events = game_day();
    let verdict = Verdict::of(&events);
    let result = RunResult::of(&events, &verdict).unwrap();
    assert_eq!((result.exit_code, result.verdict.outcome.to_string().as_str()), (0, "ended"));
    let xml = junit(&events, &verdict).unwrap();
    assert!(xml.contains("failures=\"0\"") && xml.contains("errors=\"0\""), "{xml}");
}
