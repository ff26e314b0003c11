//! The threads of a view.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

use harness_event::{Event, Verdict};
use harness_report::{LineView, Style};
use harness_tui::{Options, Request, Sender, channel, restore_terminal};
use tokio::sync::{mpsc::unbounded_channel, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Wishes, aside::Aside, choice::Kind};
use crate::{expected_error::chain, output::Output};

/// Lines that are kept, to be shown should the terminal view fail.
const KEPT: usize = 500;
/// How long the terminal view may take to leave the screen when the run is told to end.
const LEAVE_LIMIT: std::time::Duration = std::time::Duration::from_secs(2);

/// How things are shown.
pub(crate) struct ViewOptions {
    /// As what.
    pub(crate) kind: Kind,
    /// Where lines go.
    pub(crate) out: Output,
    /// How lines look, and with which colours and symbols the terminal view is drawn.
    pub(crate) style: Style,
    /// What the terminal view shows before the first event, and how it ends.
    pub(crate) terminal: Options,
    /// Where standard error goes while the terminal view has the screen.
    pub(crate) stderr: PathBuf,
    /// Cancelled when nobody reads the lines any more (`| head`).
    pub(crate) unread: CancellationToken,
}

/// A view of events, in threads of its own: a reader that does not read must not hold up a run, least of all its rollback.
pub(crate) struct Live {
    forwarder: thread::JoinHandle<()>,
    /// The verdict, once all events are through.
    conclusion: mpsc::Sender<Option<Verdict>>,
    screen: Option<Screen>,
}

/// What the threads know of each other.
#[derive(Debug, Default)]
struct State {
    /// All events are through.
    over: AtomicBool,
    /// The person wants to leave, and what is viewed ends.
    leaving: AtomicBool,
    /// There is no terminal view any more, and things go on.
    failed: AtomicBool,
}

struct Screen {
    sender: Sender,
    /// Answered when the person has left it, or it failed.
    left: oneshot::Receiver<()>,
}

impl Live {
    /// Starts a view of the events of a log. The requests are those of the terminal view; there are none from lines.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub(crate) fn start(options: ViewOptions, events: mpsc::Receiver<Event>) -> io::Result<(Self, Wishes)> {
        let (asking, wishes) = unbounded_channel();
        let (conclusion, concluded) = mpsc::channel();
        let state = Arc::new(State::default());
        let mut screen = None;
        let view = LineView::new(options.style);
        let mut lines = Lines { view, out: options.out, aside: None, unread: options.unread };
        if options.kind == Kind::Terminal {
            lines.aside = Some(Vec::new());
            let (sender, feed) = channel();
            let (leaving, left) = oneshot::channel();
            let (state, terminal, stderr) = (state.clone(), options.terminal, options.stderr);
            thread::Builder::new().name("terminal view".to_owned()).spawn(move || {
                let asked = state.clone();
                let ask = move |request| {
                    asked.leaving.fetch_or(request == Request::Finish, Ordering::Release);
                    // Nobody answers any more when all is over.
                    let _ = asking.send(request);
                };
                let as_it_should = show(terminal, &feed, ask, &stderr);
                // A view that ends while things go on, and without having been asked to, has failed, whatever it says.
                let expected = state.over.load(Ordering::Acquire) || state.leaving.load(Ordering::Acquire);
                state.failed.store(!as_it_should || !expected, Ordering::Release);
                let _ = leaving.send(());
            })?;
            screen = Some(Screen { sender, left });
        }
        let sender = screen.as_ref().map(|screen| screen.sender.clone());
        let forwarder = thread::Builder::new()
            .name("events for the view".to_owned())
            .spawn(move || forward(&events, &concluded, sender, &state, lines))?;
        Ok((Self { forwarder, conclusion, screen }, wishes))
    }

    /// The terminal view, to answer its requests.
    pub(crate) fn sender(&self) -> Option<Sender> {
        self.screen.as_ref().map(|screen| screen.sender.clone())
    }

    /// Says what was proven, once every event is through: the last clone of the log must be gone, or go soon. Returns when all is
    /// shown and the person has left the view, or `leave` is cancelled.
    pub(crate) async fn conclude(self, verdict: Option<Verdict>, leave: &CancellationToken) {
        // The forwarder ends with the events, whatever happens to the verdict.
        let _ = self.conclusion.send(verdict);
        let forwarder = self.forwarder;
        let through = tokio::task::spawn_blocking(move || {
            // If it panicked, the message is on stderr already.
            let _ = forwarder.join();
        });
        let _ = through.await;
        let Some(Screen { sender, mut left }) = self.screen else { return };
        tokio::select! {
            _ = &mut left => {}
            () = leave.cancelled() => {
                sender.leave();
                // A terminal that takes no output any more must not keep the run from its end.
                let _ = tokio::time::timeout(LEAVE_LIMIT, left).await;
            }
        }
    }
}

/// Has the terminal until the person leaves the view, or it fails: false then. Either way the terminal is as before.
fn show(
    options: Options,
    feed: &harness_tui::Feed,
    ask: impl FnMut(harness_tui::Request),
    stderr: &std::path::Path,
) -> bool {
    let aside = Aside::take(stderr);
    let color = options.color;
    let result = catch_unwind(AssertUnwindSafe(|| harness_tui::run(options, feed, ask)));
    restore_terminal();
    if let Ok(aside) = aside {
        drop(aside);
    }
    // These go to standard error, which does not panic when it is gone, too.
    let err =
        Output::stderr(if color { crate::output::ColorArg::Auto } else { crate::output::ColorArg::Never });
    match result {
        Ok(Ok(exit)) => {
            if let Some(screen) = exit.last_screen {
                Output::stdout(crate::output::ColorArg::Never).line(screen.trim_end_matches('\n'));
            }
            return true;
        }
        Ok(Err(error)) => err.line(format_args!("warning: the terminal view has ended: {}", chain(&error))),
        Err(_) => err.line("warning: the terminal view has ended: an internal error (see above)"),
    }
    false
}

/// Passes events on, in their order, and after the last of them the verdict.
fn forward(
    events: &mpsc::Receiver<Event>,
    concluded: &mpsc::Receiver<Option<Verdict>>,
    sender: Option<Sender>,
    state: &State,
    mut lines: Lines,
) {
    for event in events {
        if lines.aside.is_some() && state.failed.load(Ordering::Acquire) {
            // It failed while things go on: they are shown as lines from here on, and what happened so far, too.
            lines.show_from_now_on();
        }
        lines.tell(&event);
        if let Some(sender) = &sender {
            sender.event(event);
        }
    }
    let verdict = concluded.recv().ok().flatten();
    state.over.store(true, Ordering::Release);
    if let Some(sender) = sender {
        if let Some(verdict) = verdict {
            sender.conclude(verdict);
        }
        sender.close();
    }
}

/// The line view. While the terminal view has the screen, lines are kept aside.
struct Lines {
    view: LineView,
    out: Output,
    aside: Option<Vec<String>>,
    unread: CancellationToken,
}

impl Lines {
    fn tell(&mut self, event: &Event) {
        let lines = self.view.lines(event);
        match &mut self.aside {
            Some(aside) => {
                aside.extend(lines);
                let more = aside.len().saturating_sub(KEPT);
                aside.drain(..more);
            }
            None => {
                lines.iter().for_each(|line| self.out.line(line));
                if self.out.is_closed() {
                    self.unread.cancel();
                }
            }
        }
    }

    fn show_from_now_on(&mut self) {
        self.aside.take().into_iter().flatten().for_each(|line| self.out.line(line));
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Mutex, PoisonError},
        time::Duration,
    };

    use harness_engine::Log;
    use harness_tui::{Feed, mailbox::Message};

    use super::*;
    use crate::output::ColorArg;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(sink: &Shared, aside: bool) -> Lines {
        let out = Output::new(Box::new(sink.clone()), false, ColorArg::Never);
        let style = Style { color: false, unicode: false };
        let unread = CancellationToken::new();
        Lines { view: LineView::new(style), out, aside: aside.then(Vec::new), unread }
    }

    /// Facts and a verdict through the forwarder; `failed` says whether the terminal view has failed before the second note.
    fn forwarded(failed: bool) -> (String, Feed) {
        let (sink, (sender, feed)) = (Shared::default(), channel());
        let (events, received) = mpsc::channel();
        let (conclusion, concluded) = mpsc::channel();
        let state = State::default();
        let log = Log::passing(events);
        log.note("first");
        thread::scope(|scope| {
            let forwarder = {
                let (lines, state) = (lines(&sink, true), &state);
                scope.spawn(move || forward(&received, &concluded, Some(sender), state, lines))
            };
            // The first is through before the view fails.
            let (mut seen, deadline) = (Vec::new(), std::time::Instant::now() + Duration::from_secs(30));
            while seen.is_empty() {
                assert!(std::time::Instant::now() < deadline);
                seen = feed.take(Duration::from_millis(10)).0;
            }
            state.failed.store(failed, Ordering::Release);
            log.note("second");
            conclusion.send(Some(Verdict::of(&[]))).unwrap();
            drop(log);
            forwarder.join().unwrap();
        });
        (sink.text(), feed)
    }

    #[test]
    fn the_terminal_view_gets_all_facts_before_the_verdict_and_lines_are_kept_back() {
        let (text, feed) = forwarded(false);
        assert_eq!(text, "");
        let messages = feed.take(Duration::ZERO).0;
        assert!(
            matches!(&messages[..], [Message::Event(_), Message::Concluded(_), Message::Closed]),
            "{messages:?}"
        );
    }

    #[test]
    fn when_the_terminal_view_fails_lines_tell_everything() {
        let (text, _) = forwarded(true);
        let places = [text.find("first"), text.find("second")];
        assert!(places[0].is_some() && places[0] < places[1], "{text}");
    }

    #[test]
    fn a_reader_that_goes_away_is_noticed() {
        struct Gone;
        impl Write for Gone {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let unread = CancellationToken::new();
        let style = Style { color: false, unicode: false };
        let out = Output::new(Box::new(Gone), false, ColorArg::Never);
        let mut lines = Lines { view: LineView::new(style), out, aside: None, unread: unread.clone() };
        let (events, received) = mpsc::channel();
        Log::passing(events).note("to nobody");
        received.try_iter().for_each(|event| lines.tell(&event));
        assert!(unread.is_cancelled());
    }

    #[test]
    fn lines_that_are_kept_are_bounded() {
        let sink = Shared::default();
        let mut lines = lines(&sink, true);
        let (events, received) = mpsc::channel();
        let log = Log::passing(events);
        (0..KEPT + 10).for_each(|number| log.note(format!("note {number}.")));
        received.try_iter().for_each(|event| lines.tell(&event));
        lines.show_from_now_on();
        let text = sink.text();
        assert!(!text.contains("note 9.") && text.contains("note 10."), "{text}");
        log.note("at once");
        received.try_iter().for_each(|event| lines.tell(&event));
        assert!(sink.text().contains("at once"));
    }
}
