//! The keyboard, read on a thread of its own.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, channel},
    },
    thread,
    time::Duration,
};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind};

use crate::mailbox::{Message, Sender};

/// How long the thread takes to notice that it is to end.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long its end is waited for. With a terminal that was hung up, crossterm's `poll` never returns.
const END: Duration = Duration::from_millis(500);

/// Reads until it is dropped.
pub(crate) struct Input {
    stop: Arc<AtomicBool>,
    /// Disconnected when the thread has ended.
    alive: Receiver<()>,
}

impl Input {
    /// Starts to read.
    pub(crate) fn start(sender: Sender) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let (living, alive) = channel();
        let read = move || {
            let _living: mpsc::Sender<()> = living;
            while !stopped.load(Ordering::Relaxed) {
                match next() {
                    Ok(Some(message)) => sender.push(message),
                    Ok(None) => {}
                    Err(error) => {
                        sender.push(Message::InputLost(error.to_string()));
                        break;
                    }
                }
            }
        };
        thread::Builder::new().name("keyboard".into()).spawn(read)?;
        Ok(Self { stop, alive })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // A key that is pressed after the view is for what comes after it. A thread that cannot end must not keep the run from its end.
        let _ = self.alive.recv_timeout(END);
    }
}

fn next() -> io::Result<Option<Message>> {
    if !event::poll(PATIENCE)? {
        return Ok(None);
    }
    Ok(match event::read()? {
        Event::Key(key) => pressed(key).map(Message::Key),
        Event::Resize(width, height) => Some(Message::Resized(width, height)),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Paste(_) => None,
    })
}

/// Only terminals with an extended protocol tell releases and repeats; a held key that repeats counts as pressed again.
pub(crate) fn pressed(key: KeyEvent) -> Option<KeyEvent> {
    (key.kind != KeyEventKind::Release).then_some(key)
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};

    use super::*;

    #[test]
    fn releases_are_not_presses() {
        let key = |kind| KeyEvent::new_with_kind(KeyCode::Char('j'), KeyModifiers::NONE, kind);
        assert!(pressed(key(KeyEventKind::Press)).is_some());
        assert!(pressed(key(KeyEventKind::Repeat)).is_some());
        assert!(pressed(key(KeyEventKind::Release)).is_none());
    }
}
