//! The keyboard, read on a thread of its own.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crossterm::event::{self, Event, KeyEvent, KeyEventKind};

use crate::mailbox::{Message, Sender};

/// How long the thread takes to notice that it is to end.
const PATIENCE: Duration = Duration::from_millis(50);

/// Reads until it is dropped.
pub(crate) struct Input {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Input {
    /// Starts to read.
    pub(crate) fn start(sender: Sender) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let read = move || {
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
        let thread = thread::Builder::new().name("keyboard".into()).spawn(read)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It does not panic; if it did, the hook has told it.
            let _ = thread.join();
        }
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
