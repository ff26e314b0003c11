//! The loop: take everything that waits, then draw at most once.

use std::{
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use ratatui::{Terminal, backend::Backend, buffer::Buffer, layout::Rect};

use crate::{
    Request,
    app::{App, Effect},
    input::Input,
    keys::Mode,
    limiter::FrameLimiter,
    mailbox::{Feed, Message},
    screen,
    terminal::{Guard, while_taken},
};

/// How the view looks and behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Colours are used.
    pub color: bool,
    /// Symbols outside ASCII are used.
    pub unicode: bool,
    /// What is viewed. The first event's mode counts, except for replays.
    pub mode: Mode,
    /// The view ends as soon as the run does. Else it stays until the person leaves it.
    pub leave_when_over: bool,
    /// Panics are written here before anything else.
    pub panic_log: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { color: true, unicode: true, mode: Mode::default(), leave_when_over: false, panic_log: None }
    }
}

impl Options {
    /// As the environment asks for: no colours with a `NO_COLOR` that is not empty (<https://no-color.org>) or on a dumb terminal;
    /// ASCII only unless the locale (`LC_ALL`, else `LC_CTYPE`, else `LANG`) is UTF-8.
    #[must_use]
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase().replace('-', "");
        Self {
            color: set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb"),
            unicode: locale.ends_with("utf8"),
            ..Self::default()
        }
    }
}

/// How the view ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exit {
    /// The last screen, to be left in the terminal: lines with escape sequences for the styles if colours are on. Present if the
    /// person asked for it.
    pub last_screen: Option<String>,
}

/// Shows a run until the person leaves it (or it ends, with [`Options::leave_when_over`]). Takes the terminal, gives it back, and
/// blocks its thread; `on_request` is called on it and must not block.
///
/// # Errors
/// If the terminal cannot be used, or is gone. What the run does then is the host's decision.
pub fn run(options: Options, feed: &Feed, on_request: impl FnMut(Request)) -> io::Result<Exit> {
    let guard = Guard::take(options.panic_log.clone(), feed.sender())?;
    let mut terminal = guard.screen()?;
    let input = Input::start(feed.sender())?;
    let write = |app: &mut App| while_taken(|| draw(&mut terminal, app)).transpose();
    let ended = drive(&options, feed, on_request, write);
    drop(input);
    drop(guard);
    ended
}

/// The loop of [`run`], on whatever `draw` draws on: for tests and measurements. `draw` gives nothing when there is no terminal any
/// more, which ends the view.
///
/// # Errors
/// Those of `draw`, and if the keyboard was lost.
pub fn drive(
    options: &Options,
    feed: &Feed,
    mut on_request: impl FnMut(Request),
    mut draw: impl FnMut(&mut App) -> io::Result<Option<()>>,
) -> io::Result<Exit> {
    let started = Instant::now();
    let mut app = App::new(options);
    let mut limiter = FrameLimiter::default();
    loop {
        if limiter.due(started.elapsed()) {
            if draw(&mut app)?.is_none() {
                return Ok(Exit::default());
            }
            limiter.drawn(started.elapsed());
        }
        let (messages, merged) = feed.take(limiter.wait(started.elapsed()));
        app.update(Message::Tick(started.elapsed()));
        app.received(messages.len(), merged);
        if !messages.is_empty() {
            limiter.want();
        }
        for message in messages {
            if let Message::InputLost(error) = message {
                return Err(io::Error::other(format!("the keyboard cannot be read: {error}")));
            }
            for effect in app.update(message) {
                match effect {
                    Effect::Request(request) => on_request(request),
                    Effect::Quit { keep } => {
                        let last_screen = keep.then(|| last_screen(&mut app, options.color));
                        return Ok(Exit { last_screen });
                    }
                }
            }
        }
    }
}

fn last_screen(app: &mut App, styled: bool) -> String {
    app.prepare();
    let (width, height) = app.ui.size;
    let mut screen = Buffer::empty(Rect::new(0, 0, width, height));
    app.render(screen.area, &mut screen);
    screen::text(&screen, styled)
}

/// Draws a frame.
///
/// # Errors
/// Those of the terminal.
pub fn draw<B: Backend>(terminal: &mut Terminal<B>, app: &mut App) -> Result<(), B::Error> {
    app.prepare();
    terminal.draw(|frame| {
        let area = frame.area();
        app.ui.size = (area.width, area.height);
        app.render(area, frame.buffer_mut());
    })?;
    Ok(())
}

/// Longest time from a fact to the screen: a frame's gap, and drawing it.
pub const PROMPT: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel;

    fn from(pairs: &[(&str, &str)]) -> (bool, bool) {
        let variable =
            |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let options = Options::from_environment(variable);
        (options.color, options.unicode)
    }

    #[test]
    fn the_environment_says_what_a_terminal_can_do() {
        assert_eq!(from(&[("LANG", "de_CH.UTF-8"), ("TERM", "xterm")]), (true, true));
        assert_eq!(from(&[("LANG", "C.utf8"), ("NO_COLOR", "1")]), (false, true));
        assert_eq!(from(&[("LANG", "de_CH.UTF-8"), ("NO_COLOR", "")]), (true, true), "empty is not set");
        assert_eq!(from(&[("LC_ALL", "C"), ("LANG", "de_CH.UTF-8")]), (true, false), "LC_ALL wins");
        assert_eq!(from(&[("TERM", "dumb")]), (false, false));
        assert_eq!(from(&[]), (true, false));
    }

    /// Runs the loop over what is in the mailbox; every frame is drawn for a screen of this size.
    fn driven(options: &Options, messages: Vec<Message>) -> (io::Result<Exit>, Vec<Request>, usize) {
        let (host, feed) = channel();
        let sender = feed.sender();
        messages.into_iter().for_each(|message| sender.push(message));
        let (mut requests, mut frames) = (Vec::new(), 0);
        let ended = drive(
            options,
            &feed,
            |request| requests.push(request),
            |app| {
                app.update(Message::Resized(80, 24));
                frames += 1;
                // Nobody waits for ever if the loop does not end by itself.
                Ok((frames < 100).then_some(()))
            },
        );
        drop(host);
        (ended, requests, frames)
    }

    fn key(char: char) -> Message {
        Message::Key(crossterm::event::KeyCode::Char(char).into())
    }

    #[test]
    fn the_loop_ends_when_the_person_leaves_and_keeps_the_screen_if_asked() {
        let (ended, requests, frames) = driven(&Options::default(), vec![Message::Closed, key('q')]);
        assert_eq!((ended.unwrap(), requests.len(), frames), (Exit { last_screen: None }, 0, 1));
        let plain = Options { color: false, ..Options::default() };
        let (ended, ..) = driven(&plain, vec![Message::Closed, key('Q')]);
        assert!(ended.unwrap().last_screen.is_some_and(|screen| screen.contains("the run is over")));
    }

    #[test]
    fn the_loop_ends_with_the_run_if_it_is_to() {
        let leave = Options { leave_when_over: true, ..Options::default() };
        assert_eq!(driven(&leave, vec![Message::Closed]).0.unwrap(), Exit::default());
        let watch = Options { mode: Mode::Watch, ..Options::default() };
        let (ended, requests, _) = driven(&watch, vec![key('q')]);
        assert_eq!((ended.unwrap(), requests), (Exit::default(), vec![Request::Finish]));
    }

    #[test]
    fn a_keyboard_that_is_lost_is_an_error_since_nobody_could_abort() {
        let (ended, ..) = driven(&Options::default(), vec![Message::InputLost("gone".into())]);
        assert_eq!(ended.unwrap_err().to_string(), "the keyboard cannot be read: gone");
    }

    #[test]
    fn a_terminal_that_was_given_back_is_not_drawn_on() {
        let (_host, feed) = channel();
        let ended = drive(&Options::default(), &feed, drop, |_| Ok(None));
        assert_eq!(ended.unwrap(), Exit::default());
        let ended = drive(&Options::default(), &feed, drop, |_| Err(io::Error::other("no terminal")));
        assert_eq!(ended.unwrap_err().to_string(), "no terminal");
    }
}
