//! A load worker's process: started in a process group of its own, so that Ctrl-C in a terminal does not reach it, ended by
//! the end of its standard input, killed if that is not enough.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use harness_load::{Assignment, Command as Order, Message};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

/// Longest line of a worker: far more than any frame needs.
const LINE_LIMIT: usize = 8 << 20;
/// So much of what it writes to standard error is kept, from the end.
const STDERR_KEPT: usize = 1024;
/// Lines that may wait for a worker that does not read.
const WAITING_LINES: usize = 16;
/// How long a dead worker's last words on standard error are waited for.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How a load worker is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// What came from a worker.
#[derive(Debug)]
pub(super) enum Said {
    /// A message.
    Message(Message),
    /// Something that is none.
    Garbage(String),
    /// It has closed its standard output.
    Nothing,
}

/// A running worker.
pub(super) struct Worker {
    child: Child,
    stdout: BufReader<ChildStdout>,
    line: Vec<u8>,
    stderr: Arc<Mutex<VecDeque<u8>>>,
    listener: JoinHandle<()>,
}

impl Worker {
    /// Starts a worker and sends it what to do.
    pub(super) fn start(command: &WorkerCommand, assignment: &Assignment) -> io::Result<(Self, Orders)> {
        let mut child = Command::new(&command.program)
            .args(&command.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("a standard stream is missing");
        let stdin = child.stdin.take().ok_or_else(missing)?;
        let stdout = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let pipe = child.stderr.take().ok_or_else(missing)?;
        let stderr = Arc::default();
        let listener = tokio::spawn(listen(pipe, Arc::clone(&stderr)));
        let orders = Orders::over(stdin);
        orders.write(line_of(assignment)?, None)?;
        Ok((Self { child, stdout, line: Vec::new(), stderr, listener }, orders))
    }

    /// The next message. May be dropped and called again without losing anything.
    pub(super) async fn next(&mut self) -> Said {
        loop {
            let buffer = match self.stdout.fill_buf().await {
                Ok(buffer) => buffer,
                Err(error) => return Said::Garbage(format!("its output cannot be read: {error}")),
            };
            if buffer.is_empty() {
                return match self.line.is_empty() {
                    true => Said::Nothing,
                    false => self.parse(),
                };
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            self.line.extend_from_slice(&buffer[..end.unwrap_or(taken)]);
            self.stdout.consume(taken);
            if self.line.len() > LINE_LIMIT {
                return Said::Garbage(format!("a line of more than {LINE_LIMIT} bytes"));
            }
            if end.is_some() {
                return self.parse();
            }
        }
    }

    fn parse(&mut self) -> Said {
        let line = std::mem::take(&mut self.line);
        match serde_json::from_slice(&line) {
            Ok(message) => Said::Message(message),
            Err(error) => {
                let start: String = String::from_utf8_lossy(&line).chars().take(80).collect();
                Said::Garbage(format!("{start:?} ({error})"))
            }
        }
    }

    /// Waits for the end of the process.
    pub(super) async fn exited(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the process by force, if it has not ended.
    pub(super) async fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.start_kill();
        let _ = self.child.wait().await;
    }

    /// The end of what it wrote to standard error, on one line. Complete once the process has ended.
    pub(super) async fn last_words(&mut self) -> String {
        // Somebody else may hold the pipe open: the worker's own children.
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.listener).await;
        let kept: Vec<u8> =
            self.stderr.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect();
        String::from_utf8_lossy(&kept).split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Reads standard error to its end, so that the worker never blocks on it, and keeps the last part.
async fn listen(mut pipe: ChildStderr, kept: Arc<Mutex<VecDeque<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = pipe.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(&buffer[..length]);
        let surplus = kept.len().saturating_sub(STDERR_KEPT);
        kept.drain(..surplus);
    }
}

/// A worker's standard input. Dropping the last clone closes it, which ends the worker.
#[derive(Clone)]
pub(super) struct Orders {
    lines: mpsc::Sender<(String, Option<oneshot::Sender<()>>)>,
}

impl Orders {
    fn over(mut stdin: ChildStdin) -> Self {
        let (lines, mut waiting) = mpsc::channel::<(String, Option<oneshot::Sender<()>>)>(WAITING_LINES);
        tokio::spawn(async move {
            while let Some((line, written)) = waiting.recv().await {
                // A worker that has gone is noticed by its output.
                if stdin.write_all(line.as_bytes()).await.is_err() || stdin.flush().await.is_err() {
                    return;
                }
                if let Some(written) = written {
                    let _ = written.send(());
                }
            }
        });
        Self { lines }
    }

    /// Sends an order without waiting.
    pub(super) fn send(&self, order: &Order) -> io::Result<()> {
        self.write(line_of(order)?, None)
    }

    /// Sends an order and waits until it is in the pipe.
    pub(super) async fn deliver(&self, order: &Order, limit: Duration) -> io::Result<()> {
        let (written, done) = oneshot::channel();
        self.write(line_of(order)?, Some(written))?;
        match tokio::time::timeout(limit, done).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::other("it has closed its standard input")),
            Err(_) => Err(io::Error::other("it does not read its standard input")),
        }
    }

    fn write(&self, line: String, written: Option<oneshot::Sender<()>>) -> io::Result<()> {
        self.lines.try_send((line, written)).map_err(|error| {
            io::Error::other(match error {
                mpsc::error::TrySendError::Full(_) => "it does not read its standard input",
                mpsc::error::TrySendError::Closed(_) => "it has closed its standard input",
            })
        })
    }
}

fn line_of(value: &impl serde::Serialize) -> io::Result<String> {
    let mut line = serde_json::to_string(value).map_err(io::Error::other)?;
    line.push('\n');
    Ok(line)
}
