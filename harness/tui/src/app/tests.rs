//! Messages in, state and effects out.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use harness_event::{Event, EventKind, FaultSpec, Millis, Outcome, RunMode, Verdict, state::FaultStage};

use super::{App, Dialog, Effect, List, Timescale, View};
use crate::{
    Mode, Options, Playback, ReplayCommand, Reply, Request,
    mailbox::Message,
    testkit::{app, ctrl_c, draw, find, key, press, script, text, with},
};

fn event(ms: i64, kind: EventKind) -> Message {
    let at = harness_event::verdict::testkit::at(ms);
    Message::Event(Box::new(Event { seq: 9_999, at, elapsed: Millis(ms), kind }))
}

fn in_mode(mode: RunMode, until: i64) -> App {
    let mut events = script::until(until);
    events[0].kind = script::started(mode);
    app(events)
}

fn quits(effects: &[Effect]) -> bool {
    effects.iter().any(|effect| matches!(effect, Effect::Quit { .. }))
}

fn named(app: &mut App, code: KeyCode) -> Vec<Effect> {
    key(app, code, KeyModifiers::NONE)
}

fn typed(app: &mut App, text: &str) {
    text.chars().for_each(|char| drop(press(app, char)));
}

#[test]
fn ctrl_c_aborts_once_and_says_that_the_rollback_goes_on() {
    let mut app = app(script::until(33_000));
    assert_eq!(ctrl_c(&mut app), [Effect::Request(Request::Abort)]);
    assert!(text(&mut app, 120, 40).contains("CANCELLING: undoing database-down"));
    app.update(Message::Progress("scaling deployment/postgres to 1".into()));
    assert!(
        text(&mut app, 120, 40)
            .contains("CANCELLING: scaling deployment/postgres to 1 (to undo: database-down)")
    );
    assert_eq!(ctrl_c(&mut app), [], "asked once");
    assert!(text(&mut app, 120, 40).contains("the rollback goes on"));
    assert_eq!(press(&mut app, 'q'), [], "nobody leaves a rollback");
    app.update(Message::Closed);
    assert_eq!(ctrl_c(&mut app), [Effect::Quit { keep: false }], "when all is over it leaves");
}

#[test]
fn ctrl_c_works_in_every_dialog() {
    for opening in ['?', '/', 'n', 'x'] {
        let mut app = app(script::until(33_000));
        press(&mut app, opening);
        assert!(app.ui.dialog.is_some(), "{opening}");
        assert_eq!(ctrl_c(&mut app), [Effect::Request(Request::Abort)], "{opening}");
        assert_eq!(app.ui.dialog, None);
    }
    let mut app = in_mode(RunMode::GameDay, 33_000);
    app.ui.dialog = Some(Dialog::GameDay);
    assert_eq!(ctrl_c(&mut app), [Effect::Request(Request::Abort)]);
}

#[test]
fn a_run_cannot_be_left_while_it_goes_on_and_can_when_it_is_over() {
    let mut app = app(script::until(33_000));
    assert_eq!(press(&mut app, 'q'), []);
    assert!(text(&mut app, 80, 24).contains("the run goes on"));
    press(&mut app, '2');
    app.update(Message::Closed);
    assert_eq!(press(&mut app, 'q'), [], "back to the overview first");
    assert_eq!(app.ui.view, View::Overview);
    assert_eq!(press(&mut app, 'Q'), [Effect::Quit { keep: true }]);
    assert_eq!(press(&mut app, 'q'), [Effect::Quit { keep: false }]);
}

#[test]
fn a_view_that_is_to_leave_when_the_run_is_over_does() {
    let options = Options { leave_when_over: true, ..Options::default() };
    let mut app = with(options, script::until(script::END));
    assert_eq!(app.update(Message::Closed), [Effect::Quit { keep: false }]);
}

#[test]
fn a_host_that_is_gone_is_not_taken_for_a_run_that_ended() {
    let mut app = app(script::until(33_000));
    assert_eq!(app.update(Message::Orphaned), []);
    assert!(text(&mut app, 120, 40).contains("ended without a word"));
    assert!(quits(&press(&mut app, 'q')));
}

#[test]
fn a_watch_ends_at_once_and_a_game_day_after_a_question() {
    let mut watch = in_mode(RunMode::Watch, 33_000);
    assert_eq!(press(&mut watch, 'q'), [Effect::Request(Request::Finish), Effect::Quit { keep: false }]);

    let mut day = in_mode(RunMode::GameDay, 33_000);
    assert_eq!(press(&mut day, 'q'), []);
    let shown = text(&mut day, 80, 24);
    assert!(
        shown.contains("End the game day?") && shown.contains("The active fault is undone first."),
        "{shown}"
    );
    assert_eq!(press(&mut day, 'n'), []);
    assert_eq!(day.ui.dialog, None);
    press(&mut day, 'q');
    assert_eq!(press(&mut day, 'y'), [Effect::Request(Request::Finish)]);
    assert_eq!(day.update(Message::Closed), [Effect::Quit { keep: false }], "it was asked for");
}

#[test]
fn a_fault_is_stopped_after_a_question_only() {
    let mut app = app(script::until(33_000));
    assert_eq!(press(&mut app, 'x'), []);
    let shown = text(&mut app, 80, 24);
    assert!(shown.contains("Undo database-down before its time?"), "{shown}");
    assert!(shown.contains("not the experiment that the scenario describes"), "{shown}");
    let held = KeyEvent::new_with_kind(KeyCode::Char('y'), KeyModifiers::NONE, KeyEventKind::Repeat);
    assert_eq!(app.update(Message::Key(held)), [], "a held key does not confirm");
    assert_eq!(press(&mut app, 'z'), []);
    assert!(app.ui.dialog.is_some(), "another key is no answer");
    let request = Request::StopFault { fault: "database-down".into() };
    assert_eq!(press(&mut app, 'y'), [Effect::Request(request.clone())]);
    app.update(Message::Reply(Reply::Failed { request, error: "it is being undone already".into() }));
    assert!(text(&mut app, 80, 24).contains("it is being undone already"));
}

#[test]
fn what_could_not_be_undone_is_tried_again_in_a_game_day_only() {
    let failed = || {
        event(33_100, EventKind::FaultRevertFailed { fault: "database-down".into(), error: "refused".into() })
    };
    let mut day = in_mode(RunMode::GameDay, 33_000);
    day.update(failed());
    press(&mut day, 'x');
    assert!(text(&mut day, 80, 24).contains("Try again to undo database-down?"));
    let request = Request::StopFault { fault: "database-down".into() };
    assert_eq!(press(&mut day, 'y'), [Effect::Request(request)]);
    let mut run = app(script::until(33_000));
    run.update(failed());
    press(&mut run, 'x');
    assert_eq!(run.ui.dialog, None, "a run's rollback does that by itself");
}

#[test]
fn without_an_active_fault_there_is_nothing_to_stop() {
    let mut app = app(script::until(8_000));
    press(&mut app, 'x');
    assert_eq!(app.ui.dialog, None);
    assert!(text(&mut app, 80, 24).contains("no fault is active"));
}

#[test]
fn with_several_faults_one_is_selected_first() {
    let mut app = app(script::until(33_000));
    let spec = FaultSpec { name: "second".into(), ..script::plan().faults[0].clone() };
    app.update(event(33_100, EventKind::FaultRequested { spec }));
    app.update(event(
        33_200,
        EventKind::FaultApplied { fault: "second".into(), sent_at: Default::default() },
    ));
    assert_eq!(app.state.fault("second").map(|fault| &fault.stage), Some(&FaultStage::Applied));
    press(&mut app, 'x');
    assert_eq!(app.ui.dialog, None);
    assert!(text(&mut app, 80, 24).contains("several faults are active"));
    press(&mut app, '5');
    press(&mut app, 'j');
    press(&mut app, 'x');
    let effects = press(&mut app, 'y');
    assert_eq!(effects, [Effect::Request(Request::StopFault { fault: "second".into() })]);
}

#[test]
fn a_note_is_typed_and_written() {
    let mut app = app(script::until(33_000));
    press(&mut app, 'n');
    typed(&mut app, "Zürich calls, q?");
    let effects = named(&mut app, KeyCode::Enter);
    assert_eq!(effects, [Effect::Request(Request::WriteNote { text: "Zürich calls, q?".into() })]);
    press(&mut app, 'n');
    assert_eq!(named(&mut app, KeyCode::Enter), [], "nothing is not written");
    press(&mut app, 'n');
    typed(&mut app, "x");
    assert_eq!(named(&mut app, KeyCode::Esc), []);
    assert_eq!(app.ui.dialog, None);
}

#[test]
fn pausing_freezes_what_is_shown_and_nothing_else() {
    let mut app = app(script::until(33_000));
    let before = text(&mut app, 120, 40);
    press(&mut app, ' ');
    let events = app.state.events;
    for late in script::until(48_000).split_off(events as usize) {
        app.update(Message::Tick(Duration::from_millis(late.elapsed.0 as u64)));
        app.update(Message::Event(Box::new(late)));
    }
    assert!(app.state.events > events, "the state goes on");
    let paused = text(&mut app, 120, 40);
    assert!(paused.contains("PAUSED (space goes on)"));
    let same = |text: &str| text.lines().skip(2).take(36).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(same(&before), same(&paused), "the picture stands");
    press(&mut app, 's');
    app.update(Message::Closed);
    assert!(text(&mut app, 120, 40).contains("the run is over: space shows its end"));
    press(&mut app, ' ');
    let after = text(&mut app, 120, 40);
    assert!(!after.contains("PAUSED") && after.contains("RECOVERY"), "{after}");
}

#[test]
fn a_filter_is_seen_while_it_is_typed_and_recalled() {
    let mut app = app(script::until(33_000));
    press(&mut app, '2');
    press(&mut app, '/');
    typed(&mut app, "API-");
    app.prepare();
    assert_eq!(app.index.pods.len(), 1, "in any case");
    named(&mut app, KeyCode::Enter);
    assert!(text(&mut app, 120, 40).contains("/API- (1 of 6)"));
    named(&mut app, KeyCode::Esc);
    app.prepare();
    assert_eq!(app.index.pods.len(), 6, "Esc clears it");
    assert_eq!(app.ui.view, View::Pods);
    press(&mut app, '/');
    app.prepare();
    assert_eq!(app.index.pods.len(), 1, "the last one is there again");
    named(&mut app, KeyCode::Esc);
    app.prepare();
    assert_eq!(app.index.pods.len(), 6, "as before");
    press(&mut app, '/');
    key(&mut app, KeyCode::Char('u'), KeyModifiers::CONTROL);
    typed(&mut app, "!api-");
    app.prepare();
    assert_eq!(app.index.pods.len(), 5, "all others");
    key(&mut app, KeyCode::Char('u'), KeyModifiers::CONTROL);
    typed(&mut app, "zzz");
    assert!(text(&mut app, 120, 40).contains("nothing matches the filter"));
}

#[test]
fn pods_are_sorted_and_the_cursor_stays_with_its_row() {
    let mut app = app(script::until(33_000));
    app.prepare();
    assert_eq!(app.index.pods[0].1, "api-7d9c", "what is not ready comes first");
    press(&mut app, '2');
    press(&mut app, 'j');
    press(&mut app, 'j');
    let chosen = app.index.pods[2].clone();
    for _ in 0..4 {
        press(&mut app, 's');
        app.prepare();
        let row = app.ui.lists[List::Pods].cursor;
        assert_eq!(app.index.pods[row], chosen, "{:?}", app.index.pods);
    }
    assert_eq!(app.ui.lists[List::Pods].column, 4);
    let cpu = |app: &App| {
        let usage = |key| app.state.pods[key].usage.as_ref().map_or(-1, |usage| usage.cpu_millicores as i64);
        app.index.pods.iter().map(usage).collect::<Vec<_>>()
    };
    assert!(cpu(&app).is_sorted_by(|a, b| a >= b), "{:?}", cpu(&app));
    press(&mut app, 'S');
    app.prepare();
    assert!(cpu(&app).is_sorted());
}

#[test]
fn the_cursor_stays_in_the_list() {
    let mut app = app(script::until(33_000));
    press(&mut app, '2');
    for key in ['k', 'G', 'j', 'j'] {
        press(&mut app, key);
    }
    assert_eq!(app.ui.lists[List::Pods].cursor, 5);
    named(&mut app, KeyCode::PageUp);
    assert_eq!(app.ui.lists[List::Pods].cursor, 0);
    named(&mut app, KeyCode::PageDown);
    assert_eq!(app.ui.lists[List::Pods].cursor, 5);
    press(&mut app, 'g');
    assert_eq!(app.ui.lists[List::Pods].cursor, 0);
}

#[test]
fn the_log_follows_its_end_until_somebody_looks_back() {
    let mut app = app(script::until(33_000));
    press(&mut app, '6');
    app.prepare();
    assert_eq!(app.ui.lists[List::Log].cursor, app.state.log.len() - 1);
    press(&mut app, 'k');
    let row = app.ui.lists[List::Log].cursor;
    app.update(event(33_100, EventKind::Note { text: "more".into() }));
    app.prepare();
    assert_eq!(app.ui.lists[List::Log].cursor, row);
    press(&mut app, 'G');
    app.update(event(33_200, EventKind::Note { text: "and more".into() }));
    app.prepare();
    assert_eq!(app.ui.lists[List::Log].cursor, app.state.log.len() - 1);
}

#[test]
fn ten_thousand_repeats_of_a_key_are_one_frame() {
    let mut app = app(script::until(33_000));
    press(&mut app, '6');
    let held = KeyEvent::new_with_kind(KeyCode::Up, KeyModifiers::NONE, KeyEventKind::Repeat);
    for _ in 0..10_000 {
        app.update(Message::Key(held));
    }
    assert_eq!(app.ui.lists[List::Log].cursor, 0);
    let quit = KeyEvent::new_with_kind(KeyCode::Char('2'), KeyModifiers::NONE, KeyEventKind::Repeat);
    app.update(Message::Key(quit));
    assert_eq!(app.ui.view, View::Log, "only movements repeat");
}

#[test]
fn panels_and_views_are_gone_through() {
    let mut app = app(script::until(33_000));
    let mut seen = vec![app.ui.focus];
    for _ in 0..5 {
        named(&mut app, KeyCode::Tab);
        seen.push(app.ui.focus);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 6, "every list");
    named(&mut app, KeyCode::Tab);
    assert_eq!(app.ui.focus, List::Pods);
    named(&mut app, KeyCode::BackTab);
    assert_eq!(app.ui.focus, List::Faults);
    for (key, view) in ('1'..='6').zip(View::ALL) {
        press(&mut app, key);
        assert_eq!(app.ui.view, view);
    }
    named(&mut app, KeyCode::Esc);
    assert_eq!(app.ui.view, View::Overview);
}

#[test]
fn the_time_axis_is_zoomed() {
    let mut app = app(script::until(33_000));
    press(&mut app, '+');
    assert_eq!(app.ui.timescale, Timescale::Last(30));
    press(&mut app, '+');
    assert_eq!(app.ui.timescale, Timescale::Last(15));
    press(&mut app, '+');
    assert_eq!(app.ui.timescale, Timescale::Last(15), "no further");
    press(&mut app, '-');
    press(&mut app, '-');
    assert_eq!(app.ui.timescale, Timescale::Last(60));
    (0..20).for_each(|_| drop(press(&mut app, '-')));
    assert_eq!(app.ui.timescale, Timescale::Last(3600));
    press(&mut app, 'a');
    assert_eq!(app.ui.timescale, Timescale::Auto);
}

#[test]
fn a_replay_is_driven_by_requests_and_left_at_any_time() {
    let options = Options { mode: Mode::Replay, ..Options::default() };
    let mut app = with(options, script::until(33_000));
    assert_eq!(app.ui.mode, Mode::Replay, "the recorded mode does not count");
    let asked = |app: &mut App, code| match named(app, code).as_slice() {
        [Effect::Request(Request::Replay(command))] => Some(*command),
        _ => None,
    };
    assert_eq!(asked(&mut app, KeyCode::Char(' ')), Some(ReplayCommand::PlayOrPause));
    assert_eq!(asked(&mut app, KeyCode::Char('.')), Some(ReplayCommand::Step(1)));
    assert_eq!(asked(&mut app, KeyCode::Left), Some(ReplayCommand::Skip(Millis(-10_000))));
    assert_eq!(asked(&mut app, KeyCode::Char('}')), Some(ReplayCommand::End));
    app.update(Message::Playback(Playback {
        playing: true,
        speed: 2.0,
        position: Millis(34_000),
        length: Millis(70_000),
    }));
    assert!(text(&mut app, 120, 40).contains("0:34 of 1:10  REPLAY playing x2"));
    app.update(Message::Replaced(Box::default()));
    assert_eq!(app.state.events, 0);
    assert!(quits(&ctrl_c(&mut app)));
    assert!(quits(&press(&mut app, 'q')));
}

#[test]
fn the_runs_clock_goes_on_between_events_and_stops_at_the_end() {
    let mut app = app(script::until(33_000));
    let last = app.state.elapsed;
    app.update(Message::Tick(Duration::from_secs(60)));
    assert_eq!(app.now(), Millis(60_000));
    assert!(app.now() > last);
    app.update(Message::Closed);
    assert_eq!(app.now(), last);
}

#[test]
fn messages_go_after_some_seconds() {
    let mut app = app(script::until(33_000));
    press(&mut app, 'q');
    assert_eq!(app.ui.toasts.len(), 1);
    press(&mut app, 'q');
    assert_eq!(app.ui.toasts.len(), 1, "the same is not said twice");
    app.update(Message::Tick(Duration::from_secs(120)));
    assert_eq!(app.ui.toasts.len(), 0);
}

#[test]
fn merged_telemetry_and_panics_of_others_are_shown() {
    let mut app = app(script::until(33_000));
    app.received(5_000, 123);
    assert!(text(&mut app, 120, 40).contains("merged 123  lagging"));
    app.received(1, 0);
    let shown = text(&mut app, 120, 40);
    assert!(shown.contains("merged 123") && !shown.contains("lagging"));
    app.update(Message::Panicked("thread 'x' panicked at y".into()));
    assert!(text(&mut app, 120, 40).contains("internal error: thread 'x' panicked"));
}

#[test]
fn the_verdict_is_said_in_words() {
    let mut app = app(script::until(script::END));
    app.update(Message::Concluded(Box::new(Verdict::of(&script::until(script::END)))));
    app.update(Message::Closed);
    let verdict = app.state.verdict.clone().unwrap();
    assert_ne!(verdict.outcome, Outcome::Passed, "an unexpected alert fired");
    let buffer = draw(&mut app, 120, 40);
    let word = verdict.outcome.to_string().to_uppercase();
    assert!(find(&buffer, &word).is_some(), "{word}");
}

#[test]
fn details_of_the_overview_open_their_view() {
    let mut app = app(script::until(33_000));
    named(&mut app, KeyCode::Enter);
    assert_eq!(app.ui.view, View::Pods);
    named(&mut app, KeyCode::Esc);
    named(&mut app, KeyCode::Esc);
    assert_eq!(app.ui.view, View::Overview);
}

#[test]
fn an_expectation_is_read_in_full() {
    let mut app = app(script::until(33_000));
    while app.ui.focus != List::Expectations {
        named(&mut app, KeyCode::Tab);
    }
    press(&mut app, 'j');
    named(&mut app, KeyCode::Enter);
    let shown = text(&mut app, 80, 24);
    assert!(shown.contains("APIServiceDown fires 20 s after the effect"), "{shown}");
    assert!(shown.contains("what polling shows"), "{shown}");
    named(&mut app, KeyCode::Esc);
    assert_eq!((&app.ui.dialog, app.ui.view), (&None, View::Overview));
}
