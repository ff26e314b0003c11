//! `harness replay` of a recorded run: as lines where there is no terminal, and in a real terminal (tmux). No stack is needed.
#![allow(missing_docs)]

mod common;

use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use common::{Place, Ran};

/// A real run of `slo-fast-burn`, 84 seconds long, that passed.
const LOG: &str = include_str!("../event/fixtures/slo-fast-burn.ndjson");
/// Nothing that is waited for takes longer than this.
const PATIENCE: Duration = Duration::from_secs(60);
const ID: &str = "20261121-181648-wn2w";

fn recorded(log: &str) -> Place {
    let place = Place::new();
    let run = place.path().join("state/runs").join(ID);
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("events.ndjson"), log).unwrap();
    place
}

#[test]
fn without_a_terminal_the_lines_are_written() {
    let ran = recorded(LOG).run(&["replay", "last"]).expect(0);
    assert_eq!(ran.err, "no terminal to draw on: these are the lines of the plain view\n");
    for text in
        ["fault auth-lost", "alert firing: PortalAvailabilityBudgetBurn", "PASSED: 13 of 13 checks passed"]
    {
        assert!(ran.out.contains(text), "{text}: {}", ran.out);
    }
}

#[test]
fn of_a_damaged_log_what_is_there_is_shown_without_a_verdict() {
    let mut lines: Vec<_> = LOG.lines().collect();
    lines[50] = "{\"seq\":50,";
    lines.remove(200);
    let text = lines.join("\n");
    let ran = recorded(&text[..text.len() - 40]).run(&["replay", ID]).expect(0);
    for text in [
        "line 51 is damaged",
        "line 201: the event before it is missing",
        "the last line is incomplete",
        "without a verdict",
    ] {
        assert!(ran.err.contains(text), "{text}: {}", ran.err);
    }
    assert!(ran.out.contains("fault auth-lost") && !ran.out.contains("PASSED"), "{}", ran.out);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let ran = recorded("nonsense\n").run(&["replay", "last"]).expect(2);
    assert!(ran.err.contains("line 1 of the event log is damaged"), "{}", ran.err);
    recorded(LOG).run(&["replay", "20250101"]).expect(2);
    let ran = recorded(LOG).run(&["replay", "last", "--speed", "0"]).expect(2);
    assert!(ran.err.contains("it must be from 0.0625 to 1024"), "{}", ran.err);
}

/// A terminal of its own, gone when this is dropped.
struct Terminal(String);

impl Terminal {
    fn tmux(&self, args: &[&str]) -> Ran {
        Ran::from(Command::new("tmux").args(["-L", &self.0, "-f", "/dev/null"]).args(args).output().unwrap())
    }

    /// The screen, once it contains all of these.
    #[track_caller]
    fn until(&self, wanted: &[&str]) -> String {
        let limit = Instant::now() + PATIENCE;
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]).out;
            if wanted.iter().all(|text| screen.contains(text)) {
                return screen;
            }
            assert!(Instant::now() < limit, "{wanted:?}:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat()).expect(0);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A replay from half a minute on, in a terminal; none without tmux.
fn replayed(place: &Place, name: &str) -> Option<Terminal> {
    if Command::new("tmux").arg("-V").output().is_err() {
        eprintln!("skipped: tmux is not installed");
        return None;
    }
    let terminal = Terminal(format!("harness-{name}-{}", std::process::id()));
    let shell = format!(
        "env -u CI LC_ALL=C.UTF-8 SRE_HARNESS_STATE='{}' '{}' replay last --from 30s; echo ended with $?; exec cat",
        place.path().join("state").display(),
        env!("CARGO_BIN_EXE_harness")
    );
    terminal.tmux(&["new-session", "-d", "-x", "120", "-y", "40", &shell]).expect(0);
    Some(terminal)
}

/// It has ended with this code and given the terminal back.
#[track_caller]
fn ended(terminal: &Terminal, code: i32) -> String {
    let screen = terminal.until(&[&format!("ended with {code}")]);
    let modes = terminal.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).out;
    assert_eq!(modes.trim(), "0 1", "the main screen, with its cursor");
    screen
}

#[test]
fn a_signal_ends_a_replay_and_the_terminal_is_given_back() {
    let place = recorded(LOG);
    let Some(terminal) = replayed(&place, "stopped") else { return };
    terminal.until(&["REPLAY", "auth-lost"]);
    let shell = terminal.tmux(&["display-message", "-p", "#{pane_pid}"]).out;
    let shell = shell.trim();
    let children = fs::read_to_string(format!("/proc/{shell}/task/{shell}/children")).unwrap();
    assert!(Command::new("kill").arg(children.trim()).status().unwrap().success());
    let screen = ended(&terminal, 5);
    assert!(screen.contains("stopped by SIGTERM"), "{screen}");
}

#[test]
fn in_a_terminal_the_run_is_played_and_moved_in() {
    let place = recorded(LOG);
    let Some(terminal) = replayed(&place, "replay") else { return };
    terminal.until(&["REPLAY", "auth-lost", "PortalAvailabilityBudget"]);
    terminal.keys(&["Space"]);
    terminal.until(&["standing"]);
    terminal.keys(&["{"]);
    terminal.until(&["0:04 of 1:24"]);
    terminal.keys(&["]", "]"]);
    terminal.keys(&["}"]);
    terminal.until(&["1:24 of 1:24", "PASSED"]);
    terminal.keys(&["5", "Enter"]);
    terminal.until(&["undone by", "scale deployment/auth to 2", "resolution counts from here"]);
    terminal.keys(&["q", "q", "q"]);
    ended(&terminal, 0);
}
