//! Text for the user: whether it is coloured, where it goes, and what happens when nobody reads it.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use clap::ValueEnum;

/// `--color`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless `NO_COLOR` is set or `TERM` is `dumb`.
    #[default]
    Auto,
    /// Also into files and pipes.
    Always,
    /// Never.
    Never,
}

/// Colours by meaning. The text says the same without them.
pub use harness_report::Tone as Style;

/// One output stream. A reader that closes it early (`| head`) is not an error: what follows is dropped.
pub struct Output {
    state: Mutex<State>,
    color: bool,
    terminal: bool,
}

struct State {
    sink: Box<dyn Write + Send>,
    closed: bool,
    /// The first failure to write that was no closed pipe.
    failed: Option<io::Error>,
    /// A text without newline stands in the terminal's last line.
    transient: bool,
}

impl Output {
    /// Standard output.
    pub fn stdout(color: ColorArg) -> Self {
        Self::new(Box::new(io::stdout()), io::stdout().is_terminal() && !is_dumb(), color)
    }

    /// Standard error.
    pub fn stderr(color: ColorArg) -> Self {
        Self::new(Box::new(io::stderr()), io::stderr().is_terminal() && !is_dumb(), color)
    }

    /// Takes everything and shows nothing.
    pub fn nowhere() -> Self {
        Self::new(Box::new(io::sink()), false, ColorArg::Never)
    }

    /// Any sink; `terminal` says whether lines may be rewritten and, with [`ColorArg::Auto`], coloured.
    pub fn new(sink: Box<dyn Write + Send>, terminal: bool, color: ColorArg) -> Self {
        let color = match color {
            ColorArg::Always => true,
            ColorArg::Never => false,
            ColorArg::Auto => {
                terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb()
            }
        };
        Self {
            state: Mutex::new(State { sink, closed: false, failed: None, transient: false }),
            color,
            terminal,
        }
    }

    /// True if styles become escape sequences.
    pub fn colored(&self) -> bool {
        self.color
    }

    /// True if the stream is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// True if what is written reaches nobody any more.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// The text in a style, or without one when colours are off. Each of its lines loses what could command a terminal.
    pub fn paint(&self, style: Style, text: impl Display) -> String {
        let painter = harness_report::Style { color: self.color, unicode: false };
        let text = text.to_string();
        text.split('\n').map(|line| painter.paint(style, line)).collect::<Vec<_>>().join("\n")
    }

    /// Writes a line.
    pub fn line(&self, text: impl Display) {
        let mut state = self.lock();
        let clear = if std::mem::take(&mut state.transient) { "\r\x1b[2K" } else { "" };
        state.write(&format!("{clear}{text}\n"));
    }

    /// Writes a value as one JSON document.
    ///
    /// # Errors
    /// None in practice: what is shown is plain data.
    pub fn json(&self, value: &impl serde::Serialize) -> Result<(), crate::expected_error::ExpectedError> {
        let text = serde_json::to_string_pretty(value).map_err(|source| {
            crate::expected_error::ExpectedError::Internal {
                what: "the result could not be written as JSON".to_owned(),
                source: source.into(),
            }
        })?;
        self.line(text);
        Ok(())
    }

    /// Shows a text that the next one replaces; nothing if the stream is no terminal.
    pub fn transient(&self, text: impl Display) {
        if !self.terminal {
            return;
        }
        let mut state = self.lock();
        let text = text.to_string();
        let whole = if text.is_empty() && !state.transient { return } else { format!("\r\x1b[2K{text}") };
        state.transient = !text.is_empty();
        state.write(&whole);
    }

    /// Takes a transient text off the screen.
    pub fn clear(&self) {
        self.transient("");
    }

    /// Flushes, and gives the first error that was not a closed pipe.
    pub fn finish(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.write("");
        state.failed.take().map_or(Ok(()), Err)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A terminal that says so can neither colour nor rewrite its lines.
fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}

impl State {
    fn write(&mut self, text: &str) {
        if self.closed {
            return;
        }
        if let Err(error) = self.sink.write_all(text.as_bytes()).and_then(|()| self.sink.flush()) {
            self.closed = true;
            if error.kind() != io::ErrorKind::BrokenPipe {
                self.failed = Some(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Shared {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_no_error_but_a_full_disk_is() {
        let piped = Output::new(Box::new(Failing(io::ErrorKind::BrokenPipe)), false, ColorArg::Auto);
        piped.line("one");
        assert!(piped.finish().is_ok());
        let full = Output::new(Box::new(Failing(io::ErrorKind::StorageFull)), false, ColorArg::Auto);
        full.line("one");
        assert_eq!(full.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn colours_only_where_asked_for() {
        let plain = Output::new(Box::new(Shared::default()), false, ColorArg::Auto);
        assert_eq!(plain.paint(Style::Bad, "x"), "x");
        let always = Output::new(Box::new(Shared::default()), false, ColorArg::Always);
        assert_eq!(always.paint(Style::Bad, "x"), "\x1b[31mx\x1b[0m");
    }

    #[test]
    fn a_transient_text_is_replaced_on_a_terminal_and_never_reaches_a_file() {
        let (screen, file) = (Shared::default(), Shared::default());
        for (sink, terminal) in [(&screen, true), (&file, false)] {
            let output = Output::new(Box::new(sink.clone()), terminal, ColorArg::Never);
            output.transient("waiting");
            output.line("done");
        }
        assert_eq!(screen.text(), "\r\x1b[2Kwaiting\r\x1b[2Kdone\n");
        assert_eq!(file.text(), "done\n");
    }
}
