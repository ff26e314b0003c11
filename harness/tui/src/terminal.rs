//! The terminal, and that it is given back as it was: when the view ends, on errors, and on panics.

use std::{
    fs::OpenOptions,
    io::{self, Stdout, Write},
    panic::PanicHookInfo,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use crossterm::{
    cursor::{Hide, Show},
    execute,
    terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
};
use ratatui::{Terminal, backend::CrosstermBackend};

use crate::mailbox::{Message, Sender};

/// The terminal belongs to a view.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Held while a frame is written: nobody gives the terminal back in the middle of one.
static WRITING: Mutex<()> = Mutex::new(());
/// A frame takes no longer than this. If it does, its thread is the one that panicked in it.
const FRAME: Duration = Duration::from_millis(200);

/// Writes a frame, unless the terminal was given back meanwhile. `None`: it was.
pub(crate) fn while_taken<T>(write: impl FnOnce() -> T) -> Option<T> {
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    is_taken().then(write)
}

/// Gives the terminal back, if a view has it. May be called from anywhere, any number of times: a host that ends the process by
/// itself calls it first.
pub fn restore_terminal() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        let since = Instant::now();
        while matches!(WRITING.try_lock(), Err(TryLockError::WouldBlock)) && since.elapsed() < FRAME {
            thread::yield_now();
        }
        // Nothing can be done about errors here, and every step is tried.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
    }
}

/// True while a view has the terminal.
pub(crate) fn is_taken() -> bool {
    TAKEN.load(Ordering::SeqCst)
}

type Hook = Arc<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Has the terminal as long as it lives.
pub(crate) struct Guard {
    previous: Hook,
}

impl Guard {
    /// Takes the terminal. Panics are told to `log` first, then the terminal is given back, then they are printed. Panics of other
    /// threads than this and the main one leave the view standing, which shows them.
    pub(crate) fn take(log: Option<PathBuf>, sender: Sender) -> io::Result<Self> {
        let previous: Hook = Arc::from(std::panic::take_hook());
        let (hook, view) = (Arc::clone(&previous), thread::current().id());
        std::panic::set_hook(Box::new(move |info| on_panic(info, view, log.as_ref(), &sender, &hook)));
        let guard = Self { previous };
        // From here on the guard's drop undoes what was done, also in part.
        TAKEN.store(true, Ordering::SeqCst);
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(guard)
    }

    /// The screen.
    pub(crate) fn screen(&self) -> io::Result<Terminal<CrosstermBackend<Stdout>>> {
        let mut terminal = Terminal::new(CrosstermBackend::new(io::stdout()))?;
        terminal.clear()?;
        Ok(terminal)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        restore_terminal();
        if !thread::panicking() {
            let previous = Arc::clone(&self.previous);
            std::panic::set_hook(Box::new(move |info| previous(info)));
        }
    }
}

fn on_panic(
    info: &PanicHookInfo<'_>,
    view: ThreadId,
    log: Option<&PathBuf>,
    sender: &Sender,
    previous: &Hook,
) {
    if let Some(path) = log
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{info}");
    }
    let here = thread::current();
    if here.id() == view || here.name() == Some("main") {
        restore_terminal();
        previous(info);
    } else if is_taken() {
        sender.push(Message::Panicked(info.to_string()));
    } else {
        previous(info);
    }
}
