//! The run's log: one writer, recorder first, then subscribers.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    time::Instant,
};

use harness_event::{Event, EventKind, Millis, Timestamp, to_line};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Records facts in one total order. Clones share the log.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    file: Option<File>,
    started: Instant,
    elapsed_before: Millis,
    /// Number of the next event.
    next: u64,
    /// The events so far; none where they are not kept.
    events: Vec<Event>,
    keep: bool,
    subscriber: Option<mpsc::Sender<Event>>,
    listeners: Vec<Listener>,
    error: Option<io::Error>,
}

/// A part of the engine that acts on facts.
struct Listener {
    wants: fn(&EventKind) -> bool,
    sender: UnboundedSender<Event>,
}

impl Log {
    /// Creates the log file, which must not exist yet.
    ///
    /// # Errors
    /// If the file cannot be created.
    pub fn create(path: &Path, subscriber: Option<mpsc::Sender<Event>>) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).append(true).open(path)?;
        Ok(Self::over(Some(file), Vec::new(), subscriber))
    }

    /// A log in memory only, for what is no run.
    pub fn unrecorded() -> Self {
        Self::over(None, Vec::new(), None)
    }

    /// A log that only passes events on: nothing is recorded and none is kept, so that it can go on for days. [`Log::events`] is
    /// empty.
    pub fn passing(subscriber: mpsc::Sender<Event>) -> Self {
        let log = Self::over(None, Vec::new(), Some(subscriber));
        log.lock().keep = false;
        log
    }

    /// Goes on with the log of an interrupted run. A torn last line is cut off first.
    ///
    /// # Errors
    /// If the file cannot be opened or cut.
    pub fn reopen(
        path: &Path,
        events: Vec<Event>,
        torn: bool,
        subscriber: Option<mpsc::Sender<Event>>,
    ) -> io::Result<Self> {
        if torn {
            let text = std::fs::read(path)?;
            let keep = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            OpenOptions::new().write(true).open(path)?.set_len(keep as u64)?;
        }
        let file = OpenOptions::new().append(true).open(path)?;
        Ok(Self::over(Some(file), events, subscriber))
    }

    fn over(file: Option<File>, events: Vec<Event>, subscriber: Option<mpsc::Sender<Event>>) -> Self {
        // For readers: the log is being written for as long as somebody holds this lock, and a log without an end that nobody
        // holds is of a run that was interrupted. Where there are no locks (some network file systems), nothing depends on it.
        if let Some(file) = &file {
            let _ = file.try_lock();
        }
        let elapsed_before = events.last().map_or(Millis(0), |event| event.elapsed);
        let inner = Inner {
            file,
            started: Instant::now(),
            elapsed_before,
            next: events.len() as u64,
            events,
            keep: true,
            subscriber,
            listeners: Vec::new(),
            error: None,
        };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Records one fact: on disk first, then to the subscriber. Facts about faults are on stable storage when this returns.
    /// A write error is kept for [`Log::failure`]; the fact still counts in memory.
    pub fn record(&self, kind: EventKind) {
        let mut inner = self.lock();
        let elapsed = inner.elapsed_before + Millis::from(inner.started.elapsed());
        let event = Event { seq: inner.next, at: Timestamp::now(), elapsed, kind };
        inner.next += 1;
        if let Err(error) = inner.write(&event) {
            inner.error.get_or_insert(error);
        }
        if let Some(subscriber) = &inner.subscriber {
            // A view that has gone away does not stop a run.
            let _ = subscriber.send(event.clone());
        }
        inner.listeners.retain(|listener| {
            // One that has gone away is forgotten with the next fact that it would have wanted.
            !(listener.wants)(&event.kind) || listener.sender.send(event.clone()).is_ok()
        });
        if inner.keep {
            inner.events.push(event);
        }
    }

    /// Facts of some kinds, from now on.
    pub fn listen(&self, wants: fn(&EventKind) -> bool) -> UnboundedReceiver<Event> {
        let (sender, receiver) = unbounded_channel();
        self.lock().listeners.push(Listener { wants, sender });
        receiver
    }

    /// Records a remark for people.
    pub fn note(&self, text: impl Into<String>) {
        self.record(EventKind::Note { text: text.into() });
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Event> {
        self.lock().events.clone()
    }

    /// Time since the run began.
    pub fn elapsed(&self) -> Millis {
        let inner = self.lock();
        inner.elapsed_before + Millis::from(inner.started.elapsed())
    }

    /// The first write error, if there was one: the log is not complete then, and nobody could check a verdict.
    pub fn failure(&self) -> Option<String> {
        self.lock().error.as_ref().map(ToString::to_string)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, event: &Event) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let line = to_line(event).map_err(io::Error::other)?;
        file.write_all(line.as_bytes())?;
        let about_fault = matches!(
            event.kind,
            EventKind::FaultPlanned { .. }
                | EventKind::FaultRevertVerified { .. }
                | EventKind::FaultRevertFailed { .. }
                | EventKind::RunFinished { .. }
        );
        if about_fault { file.sync_data() } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness_event::{read_log, verdict::testkit};

    #[test]
    fn an_interrupted_log_goes_on_where_it_was_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        let log = Log::create(&path, None).unwrap();
        log.record(testkit::run_started(testkit::plan()).kind);
        log.note("before");
        drop(log);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"seq\":2,\"at").unwrap();
        let read = read_log(std::fs::read(&path).unwrap().as_slice()).unwrap();
        assert!(read.torn);
        let log = Log::reopen(&path, read.events, read.torn, None).unwrap();
        log.note("after");
        let read = read_log(std::fs::read(&path).unwrap().as_slice()).unwrap();
        assert_eq!((read.events.len(), read.torn), (3, false));
        assert_eq!(log.failure(), None);
    }

    #[test]
    fn a_log_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events.ndjson");
        assert!(Log::create(&path, None).is_ok());
        assert!(Log::create(&path, None).is_err());
    }

    #[test]
    fn a_log_that_passes_on_keeps_nothing_and_counts_all_the_same() {
        let (sender, receiver) = mpsc::channel();
        let log = Log::passing(sender);
        let is_note = |kind: &EventKind| matches!(kind, EventKind::Note { .. });
        let mut listener = log.listen(is_note);
        log.note("one");
        log.record(EventKind::NoteWritten { text: "of a person".into() });
        log.note("two");
        assert!(log.events().is_empty());
        let seen: Vec<u64> = receiver.try_iter().map(|event| event.seq).collect();
        assert_eq!(seen, [0, 1, 2]);
        let heard: Vec<u64> =
            std::iter::from_fn(|| listener.try_recv().ok()).map(|event| event.seq).collect();
        assert_eq!(heard, [0, 2]);
        drop(listener);
        log.note("three");
        assert!(log.lock().listeners.is_empty());
    }

    #[test]
    fn a_full_disk_is_noticed() {
        // /dev/full takes no byte.
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let log = Log::over(Some(file), Vec::new(), None);
        log.note("lost");
        assert!(log.failure().is_some());
        assert_eq!(log.events().len(), 1);
    }
}
