//! Telling what goes on while the stack comes up.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::output::{Output, Style};

/// Takes what goes on during a bring-up.
pub trait Progress: Send + Sync {
    /// What is going on; replaces the text before.
    fn now(&self, text: &str);
    /// Something that is finished, or worth keeping on the screen.
    fn done(&self, text: &str);
    /// Another program is about to write to the terminal.
    fn yield_terminal(&self);
}

/// Progress as text. On a terminal, the current step is a line that is rewritten. Elsewhere (a log of CI) a step is a line of
/// its own, and only if the last one is some time ago, so that a quick bring-up prints next to nothing.
pub struct OutputProgress<'a> {
    output: &'a Output,
    quiet: bool,
    state: Mutex<State>,
}

struct State {
    /// Start of what is going on.
    since: Instant,
    /// Time of the last line, where lines cannot be rewritten.
    printed: Instant,
    /// What is going on; empty if nothing is.
    current: String,
    /// What was shown last.
    shown: String,
}

/// Shortest time between two lines where lines cannot be rewritten.
const QUIET: Duration = Duration::from_secs(3);
/// The same for a line that says nothing new.
const UNCHANGED: Duration = Duration::from_secs(15);
/// How often the time that has passed is shown anew.
const TICK: Duration = Duration::from_millis(500);
/// Longest text that fits on one row of a usual terminal; a longer one would leave parts behind when it is rewritten.
const ROW: usize = 78;

impl<'a> OutputProgress<'a> {
    /// Progress on the given stream, or none at all.
    pub fn new(output: &'a Output, quiet: bool) -> Self {
        let now = Instant::now();
        let state = State { since: now, printed: now, current: String::new(), shown: String::new() };
        Self { output, quiet, state: Mutex::new(state) }
    }

    /// Does some work, and shows meanwhile for how long it has gone on.
    pub async fn alive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(TICK) => self.tick(),
            }
        }
    }

    /// Shows the current text again, with the time that has passed.
    fn tick(&self) {
        let mut state = self.lock();
        if !state.current.is_empty() {
            self.show(&mut state);
        }
    }

    fn show(&self, state: &mut State) {
        if self.quiet {
            return;
        }
        let elapsed = format!(" ({} s)", state.since.elapsed().as_secs());
        if self.output.is_terminal() {
            let row = format!("{}{elapsed}", shorten(&state.current, ROW - elapsed.len()));
            if state.shown != row {
                self.output.transient(self.output.paint(Style::Dim, &row));
                state.shown = row;
            }
        } else if state.printed.elapsed() >= if state.shown == state.current { UNCHANGED } else { QUIET } {
            state.shown.clone_from(&state.current);
            state.printed = Instant::now();
            self.output.line(format_args!("{}{elapsed}", state.current));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for OutputProgress<'_> {
    fn now(&self, text: &str) {
        let mut state = self.lock();
        text.clone_into(&mut state.current);
        self.show(&mut state);
    }

    fn done(&self, text: &str) {
        let mut state = self.lock();
        if !self.quiet {
            self.output.line(text);
        }
        (state.current, state.shown) = (String::new(), String::new());
        state.printed = Instant::now();
        state.since = state.printed;
    }

    fn yield_terminal(&self) {
        let mut state = self.lock();
        (state.current, state.shown) = (String::new(), String::new());
        self.output.clear();
    }
}

impl Drop for OutputProgress<'_> {
    fn drop(&mut self) {
        self.output.clear();
    }
}

fn shorten(text: &str, length: usize) -> String {
    if text.chars().count() <= length {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(length - 1).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use std::{io, sync::Arc};

    use super::*;
    use crate::output::ColorArg;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn quiet_is_quiet() {
        let sink = Sink::default();
        let output = Output::new(Box::new(sink.clone()), true, ColorArg::Never);
        for quiet in [true, false] {
            let progress = OutputProgress::new(&output, quiet);
            progress.now("waiting");
            progress.done("done");
            drop(progress);
            let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
            assert_eq!(text.is_empty(), quiet, "{text:?}");
        }
    }

    #[tokio::test]
    async fn what_takes_long_is_alive() {
        let sink = Sink::default();
        let output = Output::new(Box::new(sink.clone()), true, ColorArg::Never);
        let progress = OutputProgress::new(&output, false);
        progress.now("waiting for auth");
        let shown = || String::from_utf8(sink.0.lock().unwrap().clone()).unwrap().matches("waiting").count();
        // Nobody says anything new, and yet it is shown again.
        let work = async {
            while shown() < 2 {
                progress.lock().shown.clear();
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), progress.alive(work)).await.unwrap();
    }

    #[test]
    fn a_long_text_fits_on_one_row() {
        assert_eq!(shorten("short", 10), "short");
        assert_eq!(shorten("0123456789", 10), "0123456789");
        assert_eq!(shorten("üüüüüüüüüüüü", 10), "üüüüüüüüü…");
    }
}
