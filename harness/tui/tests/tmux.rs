//! The view in a real terminal, driven by tmux: it starts, takes keys, is resized, aborts, and gives the terminal back as it was, also
//! after a panic. Skipped, with a message, where there is no tmux.

use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

/// For a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A terminal with a shell in it.
struct Terminal {
    socket: String,
}

impl Terminal {
    /// None if there is no tmux.
    fn open() -> Option<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        if Command::new("tmux").arg("-V").output().is_err() {
            eprintln!("skipped: tmux is not installed (scripts/tools.sh --tmux gets it)");
            return None;
        }
        let socket = format!("harness-tui-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let terminal = Self { socket };
        let started = terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "120",
            "-y",
            "40",
            "env",
            "-i",
            "PATH=/usr/bin:/bin",
            "TERM=screen",
            "LANG=C.UTF-8",
            "PS1=ready> ",
            "ENV=/dev/null",
            "sh",
        ]);
        assert!(started.status.success(), "{started:?}");
        terminal.tmux(&["set-option", "-g", "window-size", "manual"]);
        terminal.wait("the shell's prompt", |screen| screen.contains("ready>"));
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        Command::new("tmux").args(["-L", &self.socket]).args(arguments).output().unwrap()
    }

    fn keys(&self, keys: &[&str]) {
        assert!(self.tmux(&[&["send-keys"], keys].concat()).status.success());
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    fn wait(&self, what: &str, seen: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let screen = self.screen();
            if seen(&screen) {
                return screen;
            }
            assert!(since.elapsed() < PATIENCE, "{what} is not on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    fn start(&self, environment: &str) {
        self.keys(&[&format!("{environment} {}; echo code $?", demo().display()), "Enter"]);
        self.wait("the view", |screen| screen.contains("sources ok") && screen.contains("database-down"));
    }

    /// The shell has its terminal as it left it.
    fn is_sane(&self) {
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"]);
        assert_eq!(String::from_utf8_lossy(&modes.stdout).trim(), "0 1 0", "alternate screen, cursor, mouse");
        self.keys(&["clear; stty -a; echo settings 'shown'", "Enter"]);
        let shown = self.wait("the terminal's settings", |screen| screen.contains("settings shown"));
        let words: Vec<&str> = shown.split_whitespace().collect();
        for wanted in ["echo", "icanon", "isig", "icrnl", "opost"] {
            assert!(words.contains(&wanted), "{wanted} is off:\n{shown}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output());
    }
}

/// The example, beside this test's own program. Built if only this test was.
fn demo() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let path = own.ancestors().nth(2).unwrap().join("examples/demo");
    if !path.exists() {
        let arguments = ["build", "--locked", "-q", "-p", "harness-tui", "--example", "demo"];
        assert!(Command::new(env!("CARGO")).args(arguments).status().unwrap().success());
    }
    path
}

#[test]
fn a_run_is_watched_aborted_and_left() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.start("DEMO_FROM=33000");
    terminal.keys(&["?"]);
    terminal.wait("the keys", |screen| screen.contains("show all keys"));
    terminal.keys(&["Escape"]);
    terminal.wait("the overview", |screen| !screen.contains("show all keys"));

    terminal.resize(80, 24);
    terminal.wait("the small overview", |screen| {
        screen.lines().count() <= 24 && screen.contains("pods 5/6 ready")
    });
    terminal.resize(12, 3);
    terminal.wait("a word about the size", |screen| screen.contains("terminal t"));
    terminal.resize(1, 1);
    terminal.resize(120, 40);
    terminal.wait("the overview", |screen| screen.contains("APIServiceDown"));

    terminal.keys(&["2", "/"]);
    terminal.keys(&["-l", "api"]);
    terminal.wait("the filter", |screen| screen.contains("/api") && !screen.contains("redis-0"));
    terminal.keys(&["C-c"]);
    terminal.wait("the rollback", |screen| {
        screen.contains("CANCELLING") && screen.contains("scaling deployment/postgres")
    });
    terminal.keys(&["C-c"]);
    terminal.wait("that it goes on", |screen| screen.contains("the rollback goes on"));
    terminal.wait("the end", |screen| screen.contains("ABORTED") || screen.contains("OVER"));
    terminal.keys(&["q", "q"]);
    terminal.wait("the prompt", |screen| screen.contains("code 0"));
    terminal.is_sane();
}

#[test]
fn the_last_screen_stays_when_that_is_asked_for() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.start("DEMO_FROM=33000 DEMO_MODE=watch");
    terminal.keys(&["Q"]);
    let shown = terminal.wait("the prompt", |screen| screen.contains("code 0"));
    assert!(shown.contains("APIServiceDown"), "the last screen:\n{shown}");
    terminal.is_sane();
}

#[test]
fn a_plain_terminal_gets_neither_colours_nor_symbols() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.start("DEMO_FROM=33000 NO_COLOR=1 LC_ALL=C");
    let styled = terminal.tmux(&["capture-pane", "-p", "-e"]).stdout;
    let styled = String::from_utf8_lossy(&styled);
    assert!(styled.is_ascii(), "{styled}");
    // "Select graphic rendition": 3x is a colour of text, 4x of the background, but 39 and 49, which are the terminal's own.
    let codes = styled.split('\u{1b}').skip(1).filter_map(|rest| rest.strip_prefix('[')?.split_once('m'));
    let colours = codes
        .flat_map(|(codes, _)| codes.split(';'))
        .filter(|code| code.len() == 2 && code.starts_with(['3', '4']) && !code.ends_with('9'))
        .count();
    assert_eq!(colours, 0, "{styled}");
    terminal.keys(&["C-c"]);
    terminal.wait("the end", |screen| screen.contains("ABORTED"));
    terminal.keys(&["q"]);
    terminal.wait("the prompt", |screen| screen.contains("code 0"));
    terminal.is_sane();
}

#[test]
fn a_panic_of_the_view_gives_the_terminal_back_before_it_is_printed() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.start("DEMO_FROM=33000 DEMO_PANIC=view");
    terminal.keys(&["n"]);
    terminal.wait("the note", |screen| screen.contains("write it into the log"));
    terminal.keys(&["-l", "x"]);
    terminal.keys(&["Enter"]);
    let shown = terminal.wait("the prompt", |screen| screen.contains("code 101"));
    assert!(shown.contains("the demo was asked to panic in its view"), "{shown}");
    terminal.is_sane();
}

#[test]
fn a_panic_of_the_main_thread_gives_the_terminal_back_too() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.start("DEMO_FROM=33000 DEMO_PANIC=main");
    let shown = terminal.wait("the prompt", |screen| screen.contains("code 101"));
    assert!(shown.contains("the demo was asked to panic"), "{shown}");
    terminal.is_sane();
}

#[test]
fn a_panic_elsewhere_is_shown_in_the_view() {
    let Some(terminal) = Terminal::open() else { return };
    terminal.start("DEMO_FROM=33000 DEMO_PANIC=other");
    terminal.wait("the message", |screen| {
        screen.contains("internal error") && screen.contains("panic elsewhere")
    });
    terminal.keys(&["C-c"]);
    terminal.wait("the end", |screen| screen.contains("ABORTED"));
    terminal.keys(&["q"]);
    terminal.wait("the prompt", |screen| screen.contains("code 0"));
    terminal.is_sane();
}
