//! Replays against the live view.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use harness_event::{Event, EventKind, Millis, RunState, Timestamp, Verdict, verdict::testkit};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Deck, Player, Step, Tape};
use crate::{
    Options, ReplayCommand, Reply, Request,
    app::{App, View},
    channel,
    keys::Mode,
    mailbox::Message,
};

fn tape() -> Tape {
    let events = testkit::recorded_run();
    let verdict = Verdict::of(&events);
    Tape::new(events, Some(verdict))
}

fn app(mode: Mode) -> App {
    let mut app = App::new(&Options { mode, color: false, ..Options::default() });
    app.update(Message::Resized(120, 40));
    app
}

fn show(app: &mut App, steps: Vec<Step>) {
    for step in steps {
        let message = match step {
            Step::Event(event) => Message::Event(event),
            Step::Concluded(verdict) => Message::Concluded(verdict),
            Step::Replaced(state) => Message::Replaced(state),
        };
        app.update(message);
    }
}

/// The rows between the header and the footer, which say that it is a replay.
fn body(app: &mut App, view: View) -> Vec<String> {
    app.ui.view = view;
    app.prepare();
    let mut buf = Buffer::empty(Rect::new(0, 0, 120, 40));
    let area = buf.area;
    app.render(area, &mut buf);
    let row = |y| (0..area.width).map(|x| buf[(x, y)].symbol()).collect::<String>();
    (2..area.height - 1).map(row).collect()
}

#[test]
fn the_last_screen_is_that_of_the_live_view() {
    let tape = Arc::new(tape());
    let mut live = app(Mode::Scenario);
    for event in tape.events() {
        live.update(Message::Event(Box::new(event.clone())));
    }
    live.update(Message::Concluded(Box::new(tape.verdict().unwrap().clone())));
    live.update(Message::Closed);

    // Played in real time; jumped to the end; to the end, back, and on.
    let played = |steps: &mut dyn FnMut(&mut Player, &mut App)| {
        let (mut player, mut replay) = (Player::new(Arc::clone(&tape), 1.0), app(Mode::Replay));
        steps(&mut player, &mut replay);
        replay.update(Message::Playback(player.playback()));
        assert_eq!(player.shown(), tape.events().len());
        replay
    };
    let at_pace = played(&mut |player, app| {
        let start = player.command(ReplayCommand::Start);
        show(app, start);
        while player.playback().playing {
            let steps = player.pass(Duration::from_millis(400));
            show(app, steps);
        }
    });
    let jumped = played(&mut |player, app| {
        let steps = player.command(ReplayCommand::End);
        show(app, steps);
    });
    let to_and_fro = played(&mut |player, app| {
        for command in [
            ReplayCommand::End,
            ReplayCommand::Skip(Millis::from_secs(-30)),
            ReplayCommand::Step(-3),
            ReplayCommand::Mark(-2),
            ReplayCommand::End,
        ] {
            let steps = player.command(command);
            show(app, steps);
        }
    });
    for mut replay in [at_pace, jumped, to_and_fro] {
        assert_eq!(replay.state, live.state);
        for view in View::ALL {
            assert_eq!(body(&mut replay, view), body(&mut live, view), "{view:?}");
        }
    }
}

#[test]
fn every_place_of_the_tape_has_the_state_of_its_events() {
    let tape = tape();
    let mut state = RunState::default();
    for (index, event) in tape.events().iter().enumerate().take(tape.events().len() - 1) {
        state.apply(event);
        if index % 37 == 0 {
            assert_eq!(tape.state_after(index + 1), state, "after {}", index + 1);
        }
    }
    assert_eq!(tape.state_after(0), RunState::default());
    assert!(tape.state_after(usize::MAX).verdict.is_some());
}

#[test]
fn keys_move_in_the_run() {
    let tape = Arc::new(tape());
    let mut player = Player::new(Arc::clone(&tape), 10.0);
    player.command(ReplayCommand::Start);
    assert!(player.playback().playing);
    let passed = player.playback().position;
    player.pass(Duration::from_millis(500));
    assert_eq!(player.playback().position - passed, Millis(5000), "ten times as fast");
    player.command(ReplayCommand::PlayOrPause);
    assert_eq!(player.pass(Duration::from_secs(5)), []);
    let shown = player.shown();
    assert!(matches!(player.command(ReplayCommand::Step(1))[..], [Step::Event(_)]));
    assert!(matches!(player.command(ReplayCommand::Step(-1))[..], [Step::Replaced(_)]));
    assert_eq!(player.shown(), shown);
    let mark = |player: &mut Player, by| {
        player.command(ReplayCommand::Mark(by));
        tape.events()[player.shown() - 1].kind.clone()
    };
    player.command(ReplayCommand::Start);
    let kind = mark(&mut player, 1);
    assert!(matches!(kind, EventKind::PhaseStarted { .. }), "{kind:?}");
    let first = player.shown();
    let kind = mark(&mut player, 1);
    assert!(matches!(kind, EventKind::AlertSeen { .. }), "{kind:?}");
    mark(&mut player, -1);
    assert_eq!(player.shown(), first);
    player.command(ReplayCommand::Mark(-100));
    player.command(ReplayCommand::Step(-100));
    assert_eq!(player.shown(), 1, "the first event is always shown");
    for _ in 0..40 {
        player.command(ReplayCommand::Faster);
    }
    assert_eq!(player.playback().speed, Player::SPEEDS.1);
    player.command(ReplayCommand::End);
    assert!(!player.playback().playing);
    assert_eq!(player.next_in(), None);
    player.command(ReplayCommand::PlayOrPause);
    assert_eq!(
        (player.playback().position, player.playback().playing),
        (tape.start(), true),
        "from the start"
    );
}

#[test]
fn slow_speeds_lose_no_time() {
    let tape = Arc::new(tape());
    let mut player = Player::new(tape, 1.0 / 16.0);
    let from = player.playback().position;
    for _ in 0..16_000 {
        player.pass(Duration::from_millis(1));
    }
    let passed = player.playback().position - from;
    assert!((passed - Millis(1000)).0.abs() <= 1, "{passed}");
}

fn long_log(events: u64) -> Vec<Event> {
    let mut kinds = testkit::recorded_run();
    let start = kinds.remove(0);
    let tail: Vec<_> =
        kinds.into_iter().filter(|event| !matches!(event.kind, EventKind::RunFinished { .. })).collect();
    let later = (0..events).zip(tail.iter().cycle()).map(|(index, event)| {
        let ms = start.elapsed.0 + index as i64 * 10;
        Event {
            seq: index + 1,
            at: Timestamp(start.at.0 + index as i64 * 10),
            elapsed: Millis(ms),
            kind: event.kind.clone(),
        }
    });
    std::iter::once(start.clone()).chain(later).collect()
}

/// The bound of [`Tape::SEEK`] is for the optimised build; an unoptimised one on a busy machine is given twenty times that.
#[test]
fn a_seek_back_in_a_long_log_is_quick() {
    let tape = Arc::new(Tape::new(long_log(100_000), None));
    let mut player = Player::new(Arc::clone(&tape), 1.0);
    player.command(ReplayCommand::End);
    let bound = if cfg!(debug_assertions) { 20 * Tape::SEEK } else { Tape::SEEK };
    let mut quickest = Duration::MAX;
    for _ in 0..5 {
        let before = Instant::now();
        let steps = player.command(ReplayCommand::Skip(Millis::from_secs(-1)));
        quickest = quickest.min(before.elapsed());
        assert!(matches!(steps[..], [Step::Replaced(_)]));
    }
    assert!(quickest < bound, "{quickest:?}");
}

#[test]
fn a_deck_plays_to_a_view_and_answers_what_it_cannot_know() {
    let (sender, feed) = channel();
    let end = tape().end();
    let deck = Deck::start(tape(), sender, Millis::from_secs(30), 1024.0).unwrap();
    let mut app = app(Mode::Replay);
    let limit = Instant::now() + Duration::from_secs(30);
    while app.state.verdict.is_none() {
        assert!(Instant::now() < limit, "{:?}", app.ui.playback);
        for message in feed.take(Duration::from_millis(100)).0 {
            app.update(message);
        }
    }
    assert_eq!((app.state.elapsed, app.now()), (end, end));
    deck.request(Request::DescribePod { namespace: "gallery".into(), pod: "api".into() });
    deck.request(Request::Replay(ReplayCommand::Start));
    let mut refused = false;
    while app.ui.playback.position > tape().start() || !refused {
        assert!(Instant::now() < limit, "{:?}", app.ui.playback);
        for message in feed.take(Duration::from_millis(100)).0 {
            refused |= matches!(&message, Message::Reply(Reply::Failed { error, .. }) if error.contains("not recorded"));
            app.update(message);
        }
    }
    drop(deck);
}

#[test]
fn a_clock_that_went_back_does_no_harm() {
    let mut events = testkit::recorded_run();
    let count = events.len();
    events[count / 2].elapsed = Millis(0);
    let tape = Arc::new(Tape::new(events, None));
    let mut player = Player::new(Arc::clone(&tape), 10.0);
    let mut shown = 0;
    while player.playback().playing {
        shown += player
            .pass(Duration::from_millis(100))
            .iter()
            .filter(|step| matches!(step, Step::Event(_)))
            .count();
    }
    assert!(shown > 0 && player.shown() == count);
    assert!(tape.state_after(count).verdict.is_none(), "nobody judged it");
}
