//! Lines for people, written by a thread of their own: a reader that does not read must not hold up what the lines tell of, least of
//! all the end of a fault.

use std::{io, sync::mpsc, thread};

use crate::output::{Output, Style};

/// Takes lines, and never waits.
pub(super) struct Lines(mpsc::Sender<String>);

/// The thread that writes them.
pub(super) struct Writer(thread::JoinHandle<()>);

/// Starts writing.
///
/// # Errors
/// If there can be no thread.
pub(super) fn start(out: Output) -> io::Result<(Lines, Writer)> {
    let (lines, written) = mpsc::channel::<String>();
    let write = move || {
        for line in written {
            out.line(out.paint(Style::Dim, line));
        }
    };
    let writer = thread::Builder::new().name("answers to commands".to_owned()).spawn(write)?;
    Ok((Lines(lines), Writer(writer)))
}

impl Lines {
    /// Has a line written.
    pub(super) fn show(&self, text: &str) {
        // Nobody writes any more only if writing panicked; the message is on standard error.
        let _ = self.0.send(text.to_owned());
    }
}

impl Writer {
    /// Waits until everything is written: who has lines to show must be gone.
    pub(super) async fn finish(self) {
        let _ = tokio::task::spawn_blocking(move || self.0.join()).await;
    }
}
