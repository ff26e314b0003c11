//! The two lines to the harness: standard input and output.

use std::{
    fs::File,
    io::{self, BufRead, Write},
    os::fd::AsFd,
    thread,
};

use tokio::sync::mpsc;

use crate::Message;

/// Lines that were read and not yet looked at.
const LINES: usize = 64;
/// What the process ends with when the harness is gone.
const ORPHANED: i32 = 1;

/// The only way to the harness. Standard output itself leads to standard error from then on, whoever prints to it.
pub(super) struct Output(File);

impl Output {
    /// Takes standard output for itself.
    pub(super) fn take() -> io::Result<Self> {
        let real = io::stdout().as_fd().try_clone_to_owned()?;
        rustix::stdio::dup2_stdout(io::stderr())?;
        Ok(Self(File::from(real)))
    }

    /// Writes one message as one line, at once.
    pub(super) fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.0.write_all(&line)
    }
}

/// Reads standard input in a thread. When it ends, the harness is gone: nobody would ever stop the load, so the process ends
/// from that very thread, whatever else it is busy with.
pub(super) fn read() -> io::Result<mpsc::Receiver<String>> {
    let (sender, receiver) = mpsc::channel(LINES);
    thread::Builder::new().name("commands".to_owned()).spawn(move || {
        for line in io::stdin().lock().lines() {
            match line {
                Ok(line) => {
                    if sender.blocking_send(line).is_err() {
                        // The load has come to its end by itself.
                        return;
                    }
                }
                Err(error) => {
                    eprintln!("load worker: can't read standard input: {error}");
                    break;
                }
            }
        }
        if !sender.is_closed() {
            std::process::exit(ORPHANED);
        }
    })?;
    Ok(receiver)
}
