//! The overview at the sizes that matter, in the states that matter.

use std::time::Duration;

use harness_event::{Event, EventKind, Labels, Millis, Outcome, Verdict, state::RunState};
use insta::assert_snapshot;
use ratatui::{
    buffer::Buffer,
    style::{Color, Modifier},
};

use crate::{
    Options, Playback,
    app::{App, View},
    keys::Mode,
    mailbox::Message,
    testkit::{app, ctrl_c, draw, find, press, script, text, with},
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];

fn plain(until: i64) -> App {
    with(Options { color: false, unicode: false, ..Options::default() }, script::until(until))
}

fn over() -> App {
    let events = script::until(script::END);
    let mut app = app(events.clone());
    app.update(Message::Concluded(Box::new(Verdict::of(&events))));
    app.update(Message::Closed);
    app
}

#[test]
fn before_the_fault() {
    assert_snapshot!("baseline_120x40", text(&mut app(script::until(8_000)), 120, 40));
}

#[test]
fn while_the_fault_is_on() {
    for (width, height) in SIZES {
        let name = format!("fault_{width}x{height}");
        assert_snapshot!(name, text(&mut app(script::until(33_000)), width, height));
    }
}

#[test]
fn with_ascii_only() {
    let shown = text(&mut plain(48_000), 120, 40);
    assert!(shown.is_ascii(), "{shown}");
    for view in '1'..='6' {
        let mut app = plain(33_000);
        press(&mut app, view);
        let shown = text(&mut app, 120, 40);
        assert!(shown.is_ascii(), "{shown}");
    }
    assert_snapshot!("recovery_ascii_120x40", shown);
}

#[test]
fn an_unexpected_alert_and_a_missed_expectation() {
    assert_snapshot!("recovery_80x24", text(&mut app(script::until(48_000)), 80, 24));
}

#[test]
fn the_last_screen() {
    assert_snapshot!("verdict_120x40", text(&mut over(), 120, 40));
}

#[test]
fn cancelling() {
    let mut app = app(script::until(33_000));
    ctrl_c(&mut app);
    app.update(Message::Progress("scaling deployment/postgres to 1".into()));
    assert_snapshot!("cancelling_80x24", text(&mut app, 80, 24));
}

#[test]
fn zoomed_to_the_last_seconds_and_paused() {
    let mut app = app(script::until(33_000));
    press(&mut app, '+');
    press(&mut app, ' ');
    assert_snapshot!("zoomed_120x40", text(&mut app, 120, 40));
}

#[test]
fn a_replay() {
    let options = Options { mode: Mode::Replay, ..Options::default() };
    let mut app = with(options, script::until(33_000));
    let playback = Playback { playing: false, speed: 4.0, position: Millis(33_000), length: Millis(70_000) };
    app.update(Message::Playback(playback));
    assert_snapshot!("replay_80x24", text(&mut app, 80, 24));
}

#[test]
fn small_screens_show_what_matters_most() {
    assert_snapshot!("fault_60x15", text(&mut app(script::until(38_000)), 60, 15));
    assert_snapshot!("fault_30x6", text(&mut app(script::until(38_000)), 30, 6));
    assert_eq!(text(&mut app(script::until(33_000)), 18, 4), "terminal too small");
    assert_eq!(text(&mut app(script::until(33_000)), 1, 1), "…");
}

#[test]
fn dialogs() {
    let mut help = app(script::until(33_000));
    press(&mut help, '?');
    assert_snapshot!("help_120x40", text(&mut help, 120, 40));
    let mut confirm = app(script::until(33_000));
    press(&mut confirm, 'x');
    assert_snapshot!("confirm_80x24", text(&mut confirm, 80, 24));
    let mut note = app(script::until(33_000));
    press(&mut note, 'n');
    "a remark".chars().for_each(|char| drop(press(&mut note, char)));
    assert_snapshot!("note_80x24", text(&mut note, 80, 24));
}

#[test]
fn before_the_first_event() {
    let mut app = App::new(&Options::default());
    assert_snapshot!("nothing_yet_80x24", text(&mut app, 80, 24));
}

fn colours(buffer: &Buffer) -> usize {
    buffer.content.iter().filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
}

#[test]
fn without_colours_nothing_is_coloured() {
    let without = |events| with(Options { color: false, ..Options::default() }, events);
    for view in '1'..='6' {
        let mut app = without(script::until(48_000));
        press(&mut app, view);
        assert_eq!(colours(&draw(&mut app, 120, 40)), 0, "view {view}");
    }
    assert!(colours(&draw(&mut app(script::until(48_000)), 120, 40)) > 100);
}

#[test]
fn an_unexpected_alert_is_told_by_a_word_as_well_as_by_its_colour() {
    let mut app = app(script::until(38_000));
    let buffer = draw(&mut app, 120, 40);
    let name = find(&buffer, "RedisQueueStuck page").expect("the alert's row");
    let row: String = (60..120).map(|x| buffer[(x, name.y)].symbol()).collect();
    assert!(row.contains("UNEXPECTED") && row.contains("firing"), "{row}");
    assert_eq!(buffer[(name.x, name.y)].fg, Color::Red);
}

#[test]
fn a_pod_that_changed_has_a_mark_for_some_seconds() {
    let mut app = app(script::until(48_000));
    let marked = |app: &mut App| find(&draw(app, 120, 40), "◆api-7d9c").is_some();
    assert!(marked(&mut app));
    app.update(Message::Tick(Duration::from_millis(52_500)));
    assert!(!marked(&mut app));
}

#[test]
fn a_selected_row_is_reversed_and_has_a_mark() {
    let mut app = app(script::until(33_000));
    let buffer = draw(&mut app, 120, 40);
    let mark = find(&buffer, "▸ api-7d9c").expect("the row");
    assert!(buffer[(mark.x + 3, mark.y)].modifier.contains(Modifier::REVERSED));
}

#[test]
fn lost_sources_are_named() {
    let mut app = app(script::until(40_000));
    assert!(text(&mut app, 120, 40).contains("✗ alertmanager lost 1."));
}

/// Names that nobody expects: empty, endless, wide, right to left, with escape sequences.
fn garbage() -> Vec<Event> {
    let names = [
        "",
        "\u{1b}[2J\u{1b}]0;owned\u{7}",
        "水平線水平線水平線水平線",
        "\u{202e}txt.exe",
        "e\u{301}\u{301}\u{301}",
        "👩‍👩‍👧‍👦",
    ];
    let long = "x".repeat(5_000);
    let mut events = script::until(33_000);
    let mut add = |kind| {
        let (seq, at) = (events.len() as u64, harness_event::verdict::testkit::at(33_000));
        events.push(Event { seq, at, elapsed: Millis(33_000), kind });
    };
    for name in names.into_iter().chain([long.as_str()]) {
        add(script::pod(name, name, (0, 0), i32::MAX));
        let labels = Labels::from([("alertname".into(), name.into()), (name.into(), name.into())]);
        add(EventKind::AlertSeen {
            labels,
            state: "firing".into(),
            active_at: None,
            value: Some(name.into()),
        });
        let spec = harness_event::FaultSpec {
            name: name.into(),
            start: Millis(i64::MIN / 4),
            duration: Millis(i64::MAX / 4),
            ..script::plan().faults[0].clone()
        };
        add(EventKind::FaultRequested { spec });
        add(EventKind::LoadRequested {
            spec: harness_event::verdict::testkit::load_spec(
                name,
                harness_event::LoadStart::After(Millis(0)),
            ),
        });
        add(EventKind::LoadStarted { load: name.into(), started_at: Default::default() });
        let sample = harness_event::LoadSample {
            requests: u64::MAX,
            failed: u64::MAX,
            p99_us: u64::MAX,
            ..Default::default()
        };
        add(EventKind::LoadSampled { load: name.into(), sample });
        add(EventKind::SloMissing { slo: name.into(), error: name.into() });
        add(EventKind::ObserverFailed { observer: name.into(), error: name.into() });
        add(EventKind::Note { text: name.into() });
    }
    events
}

fn empty_plan() -> Vec<Event> {
    let mut events = script::until(0);
    if let EventKind::RunStarted { plan, .. } = &mut events[0].kind {
        plan.title = String::new();
        plan.expectations.clear();
        plan.faults.clear();
        plan.loads.clear();
        plan.baseline = Millis(i64::MAX);
    }
    events
}

#[test]
fn no_size_no_view_and_no_name_makes_it_panic() {
    for events in [vec![], empty_plan(), script::until(48_000), garbage()] {
        let mut app = app(events);
        for (place, view) in View::ALL.into_iter().enumerate() {
            app.ui.view = view;
            for details in [false, true] {
                app.ui.details = details;
                app.prepare();
                for width in (1..=140).step_by(13) {
                    for height in (1..=50).step_by(7) {
                        let mut buffer =
                            Buffer::empty(ratatui::layout::Rect::new(0, 0, width + place as u16, height));
                        app.render(buffer.area, &mut buffer);
                    }
                }
            }
        }
        for opening in ['?', 'n', '/', 'x'] {
            press(&mut app, opening);
            for (width, height) in [(1, 1), (2, 2), (3, 9), (20, 5), (21, 6), (80, 24)] {
                draw(&mut app, width, height);
            }
            app.ui.dialog = None;
        }
    }
}

#[test]
fn every_small_size_is_drawn() {
    let mut app = app(script::until(48_000));
    app.prepare();
    for width in 1..=84 {
        for height in 1..=26 {
            let mut buffer = Buffer::empty(ratatui::layout::Rect::new(0, 0, width, height));
            app.render(buffer.area, &mut buffer);
        }
    }
}

#[test]
fn what_the_cluster_says_does_not_reach_the_terminal_as_commands() {
    let mut app = app(garbage());
    for view in '1'..='6' {
        press(&mut app, view);
        let shown = text(&mut app, 140, 50);
        assert!(
            !shown.chars().any(|char| (char.is_control() && char != '\n') || char == '\u{202e}'),
            "view {view}"
        );
    }
}

#[test]
fn an_empty_state_is_drawn_in_all_modes() {
    for mode in Mode::ALL {
        let mut app = App::new(&Options { mode, ..Options::default() });
        assert_eq!(app.state, RunState::default());
        for (width, height) in SIZES {
            assert!(!text(&mut app, width, height).is_empty());
        }
    }
}

#[test]
fn a_verdict_that_is_not_passed_says_why() {
    let mut app = over();
    let verdict = app.state.verdict.clone().expect("a verdict");
    assert_ne!(verdict.outcome, Outcome::Passed);
    let buffer = draw(&mut app, 120, 40);
    let word = find(&buffer, &verdict.outcome.to_string().to_uppercase()).expect("the word");
    assert_ne!(buffer[(word.x, word.y)].fg, Color::Green);
}
