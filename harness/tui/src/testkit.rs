//! What tests of views share.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use harness_event::Event;
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Rect};

use crate::{
    Options,
    app::{App, Effect},
    mailbox::Message,
    screen,
};

#[path = "../examples/script/mod.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "shared with the example and the benchmark")]
pub(crate) mod script;

/// A view after these facts.
pub(crate) fn app(events: Vec<Event>) -> App {
    with(Options::default(), events)
}

/// A view with these options after these facts.
pub(crate) fn with(options: Options, events: Vec<Event>) -> App {
    let mut app = App::new(&options);
    app.update(Message::Resized(120, 40));
    for event in events {
        app.update(Message::Tick(Duration::from_millis(u64::try_from(event.elapsed.0).unwrap_or_default())));
        app.update(Message::Event(Box::new(event)));
    }
    app
}

/// Presses a character.
pub(crate) fn press(app: &mut App, char: char) -> Vec<Effect> {
    key(app, KeyCode::Char(char), KeyModifiers::NONE)
}

/// Presses a key.
pub(crate) fn key(app: &mut App, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    app.update(Message::Key(KeyEvent::new(code, modifiers)))
}

/// Presses Ctrl-C.
pub(crate) fn ctrl_c(app: &mut App) -> Vec<Effect> {
    key(app, KeyCode::Char('c'), KeyModifiers::CONTROL)
}

/// A frame of this size, through a terminal.
pub(crate) fn draw(app: &mut App, width: u16, height: u16) -> Buffer {
    app.update(Message::Resized(width, height));
    app.prepare();
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| app.render(frame.area(), frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

/// Its text.
pub(crate) fn text(app: &mut App, width: u16, height: u16) -> String {
    screen::text(&draw(app, width, height), false)
}

/// The first place of a text in a frame.
pub(crate) fn find(buffer: &Buffer, wanted: &str) -> Option<Rect> {
    let area = buffer.area;
    for y in area.top()..area.bottom() {
        let row: Vec<&str> = (area.left()..area.right()).map(|x| buffer[(x, y)].symbol()).collect();
        for x in 0..row.len() {
            let mut rest = wanted;
            let mut end = x;
            while let Some(shorter) = row.get(end).and_then(|symbol| rest.strip_prefix(symbol)) {
                rest = shorter;
                end += 1;
                if rest.is_empty() {
                    return Some(Rect::new(x as u16, y, (end - x) as u16, 1));
                }
            }
        }
    }
    None
}
