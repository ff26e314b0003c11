//! A log that holds escape sequences does not command the terminal that it is shown on.

use harness_event::{
    CancelReason, Event, EventKind, LoadStart, RunMode, Verdict,
    verdict::testkit::{self, ALERT, AUTOSCALER, FAULT, SLO, SURGE, VISITORS},
};
use harness_report::{LineView, MarkdownOptions, Style, conclusion, markdown, summary};
use serde_json::Value;

/// A title of the window, a link, a bell, a return to the line's start, an 8-bit control sequence, text from right to left.
const EVIL: &str = "\u{1b}[2J\u{1b}]8;;http://e.example\u{1b}\\x\u{7}\r\u{9b}31m\u{202e}\u{2066}\u{7f}\n";
/// Names, which stand in several fields.
const NAMES: [&str; 6] = [ALERT, AUTOSCALER, FAULT, SLO, SURGE, VISITORS];
/// Fields of free text.
const TEXTS: [&str; 15] = [
    "title",
    "description",
    "scenario",
    "run",
    "id",
    "error",
    "reason",
    "detail",
    "inverse",
    "text",
    "component",
    "step",
    "service",
    "receiver",
    "probe",
];

/// The same facts, with every name and every text in them made to break out of where it stands.
fn hostile(kinds: Vec<EventKind>) -> Vec<Event> {
    let spoilt = |event: &Event| {
        let mut value = serde_json::to_value(event).unwrap();
        spoil(&mut value, "");
        serde_json::from_value(value).unwrap()
    };
    testkit::log(kinds).iter().map(spoilt).collect()
}

fn spoil(value: &mut Value, key: &str) {
    match value {
        Value::String(text) if TEXTS.contains(&key) || NAMES.contains(&text.as_str()) => *text += EVIL,
        Value::Array(all) => all.iter_mut().for_each(|one| spoil(one, key)),
        Value::Object(fields) => fields.iter_mut().for_each(|(key, one)| spoil(one, key)),
        _ => {}
    }
}

fn logs() -> Vec<Vec<Event>> {
    let start = |mode: RunMode| {
        let mut kind = testkit::run_started(testkit::plan()).kind;
        if let EventKind::RunStarted { mode: of, plan, .. } = &mut kind {
            *of = mode;
            plan.description = "What it is for.".into();
        }
        kind
    };
    let with = |change: &dyn Fn(EventKind) -> EventKind, more: Vec<EventKind>| {
        let run = testkit::passing_run().into_iter().skip(1).map(change);
        hostile([start(RunMode::Scenario)].into_iter().chain(run).chain(more).collect())
    };
    let failing = |kind| match kind {
        EventKind::AlertInputsChecked { alert, resolved_at, .. } => {
            EventKind::AlertInputsChecked { alert, resolved_at, present: false, detail: "up: 0 of 1".into() }
        }
        kind => kind,
    };
    let left_behind = |kind| match kind {
        EventKind::FaultRevertVerified { fault, .. } => {
            EventKind::FaultRevertFailed { fault, error: "connection refused".into() }
        }
        kind => kind,
    };
    let not_ready =
        EventKind::NotReady { component: "Prometheus".into(), reason: "connection refused".into() };
    let load_failed = EventKind::LoadFailed { load: SURGE.into(), error: "no sockets".into() };
    let mut game_day = testkit::passing_run();
    game_day[0] = start(RunMode::GameDay);
    let planned = game_day.iter().position(|kind| matches!(kind, EventKind::FaultPlanned { .. })).unwrap();
    let asked = [
        EventKind::FaultRequested { spec: testkit::plan().faults.remove(0) },
        EventKind::LoadRequested {
            spec: testkit::load_spec(VISITORS, LoadStart::After(harness_event::Millis(0))),
        },
        EventKind::LoadFailed { load: VISITORS.into(), error: "no sockets".into() },
        EventKind::NoteWritten { text: "the pager rang".into() },
    ];
    game_day.splice(planned..planned, asked);
    let game_day = game_day.into_iter().map(left_behind).collect();
    vec![
        with(&|kind| kind, vec![]),
        with(&failing, vec![]),
        with(&left_behind, vec![EventKind::RunCancelled { reason: CancelReason::Signal("SIGTERM".into()) }]),
        hostile(vec![start(RunMode::Scenario), not_ready]),
        hostile(vec![start(RunMode::Scenario), EventKind::RunRefused { problems: vec![EVIL.into()] }]),
        hostile(vec![start(RunMode::Watch)]),
        hostile(testkit::surge_run().into_iter().chain([load_failed]).collect()),
        hostile(game_day),
    ]
}

fn commands(line: &str) -> bool {
    line.chars().any(|c| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
}

#[test]
fn no_line_of_a_hostile_log_commands_the_terminal() {
    for (number, events) in logs().iter().enumerate() {
        let verdict = Verdict::of(events);
        for style in [Style { color: false, unicode: true }, Style { color: true, unicode: true }] {
            let mut view = LineView::new(style);
            let told: Vec<_> = events.iter().flat_map(|event| view.lines(event)).collect();
            let end = [summary(events, &verdict, style), conclusion(events, &verdict, style)].concat();
            let whole = [told, end].concat();
            // What was hostile is shown, but as text.
            assert!(whole.iter().any(|line| line.contains("e.example")), "{number}: {whole:#?}");
            for line in &whole {
                // Our own colours.
                let colours =
                    ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"];
                let bare = colours.iter().fold(line.clone(), |line, colour| {
                    if style.color { line.replace(colour, "") } else { line }
                });
                assert!(!commands(&bare), "{number}: {line:?}");
            }
        }
        let page = markdown(events, &verdict, &MarkdownOptions::default());
        assert!(page.lines().all(|line| !commands(line)), "{number}: {page:?}");
    }
}

#[test]
fn a_log_cannot_colour_its_lines() {
    let mut kinds = testkit::passing_run();
    if let EventKind::RunStarted { plan, .. } = &mut kinds[0] {
        plan.title = "\u{1b}[32mPASSED\u{1b}[0m".into();
        plan.description = "\u{1b}[32mPASSED\u{1b}[0m".into();
    }
    let style = Style { color: true, unicode: true };
    let lines = LineView::new(style).lines(&testkit::log(kinds)[0]);
    assert_eq!(lines[0], "\u{1b}[1m?[32mPASSED?[0m\u{1b}[0m");
    assert_eq!(lines[2], "  ?[32mPASSED?[0m");
}
