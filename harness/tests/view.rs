//! The terminal view of a run and of a watch, in a real terminal (tmux) on the real stack.
//!
//! This test needs tmux and the programs that `make tools` provides; where one is missing it fails and says so.
#![allow(missing_docs)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use common::Place;

/// Nothing that is waited for takes longer than this.
const PATIENCE: Duration = Duration::from_secs(60);

/// A fault that lasts until somebody ends it.
const SCENARIO: &str = r#"
title = "The portal is lost for a while"
namespace = "gallery"
[steady_state]
for = "300ms"
[[steady_state.http]]
name = "portal-page"
url = "service://gallery/portal:18080/"
[[fault]]
name = "portal-lost"
duration = "300s"
scale = { workload = "deployment/portal", replicas = 0 }
[expect]
recovery_within = "30s"
allow_alerts = [{ alert = "Watchdog" }, { alert = "TargetDown" }]
"#;

#[track_caller]
fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(found) => return found,
            Err(seen) => assert!(Instant::now() < deadline, "{what} did not happen:\n{seen}"),
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A terminal with a shell command in it. Gone when this is dropped.
struct Terminal {
    server: String,
}

impl Terminal {
    /// Runs `harness ARGS`, tells its exit code and how the terminal is then, and waits to be looked at.
    fn start(place: &Place, args: &[&str]) -> Self {
        static STARTED: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = STARTED.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let terminal = Self { server: format!("harness-view-{}-{number}", std::process::id()) };
        let command = place.command(args);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let state = place.path().join("state");
        let shell = format!(
            "env -u CI -u NO_COLOR LC_ALL=C.UTF-8 TERM=screen-256color SRE_HARNESS_STATE='{}' {}; echo left with $?; \
             stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo -e -icanon -e -echo; exec sleep 1000",
            state.display(),
            words.join(" ")
        );
        terminal.tmux(&["new-session", "-d", "-x", "120", "-y", "40", &shell]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-L", &self.server, "-f", "/dev/null"])
            .args(args)
            .output()
            .expect("tmux is needed: apt-get install tmux");
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Waits until all of these are on the screen.
    #[track_caller]
    fn shows(&self, texts: &[&str]) -> String {
        until(&format!("{texts:?} on the screen"), || {
            let screen = self.screen();
            if texts.iter().all(|text| screen.contains(text)) { Ok(screen) } else { Err(screen) }
        })
    }

    /// It has ended with this code and the terminal is as before. What is on the screen then.
    #[track_caller]
    fn ended(&self, code: u8) -> String {
        let screen = self.shows(&[&format!("left with {code}\nicanon\necho")]);
        assert_eq!(self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]).trim(), "0 1");
        screen
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.server, "kill-server"]).output();
    }
}

/// The log of the newest run.
fn newest(state: &Path) -> Result<String, String> {
    let mut runs: Vec<PathBuf> =
        fs::read_dir(state.join("runs")).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    runs.sort();
    let path = runs.last().ok_or("no run")?.join("events.ndjson");
    fs::read_to_string(path).map_err(|error| error.to_string())
}

/// Waits until the log of the newest run has all of these.
#[track_caller]
fn recorded(state: &Path, texts: &[&str]) -> String {
    until(&format!("{texts:?} in the log"), || {
        let log = newest(state)?;
        if texts.iter().all(|text| log.contains(text)) { Ok(log) } else { Err(log) }
    })
}

/// A run is aborted and a watch is left, by keys; the terminal is as before each time.
#[test]
fn a_run_is_aborted_from_its_view_and_a_watch_is_left() {
    let place = Place::new();
    let state = place.path().join("state");
    place.run(&["up"]).expect(0);
    let scenario = place.path().join("lost.toml");
    fs::write(&scenario, SCENARIO).unwrap();

    let run = Terminal::start(&place, &["run", scenario.to_str().unwrap()]);
    let effect = "\"event\":\"fault_effect_observed\"";
    let finished = "\"event\":\"run_finished\"";
    let undone = "\"event\":\"fault_revert_verified\"";
    recorded(&state, &[effect]);
    run.shows(&["The portal is lost for a while", "portal-lost", "help"]);
    run.tmux(&["resize-window", "-x", "1", "-y", "1"]);
    run.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    run.press("C-c");
    recorded(&state, &[undone, r#"{"signal":"Ctrl-C"}"#, finished]);
    // The end stays on the screen until a key is pressed.
    run.shows(&["ABORTED", "quit"]);
    run.press("q");
    let screen = run.ended(5);
    assert!(screen.contains("cancelled by Ctrl-C; everything is rolled back"), "{screen}");
    assert!(screen.contains("recorded in"), "{screen}");
    fs::remove_dir_all(state.join("runs")).unwrap();

    // Somebody closes the window: the fault is undone all the same.
    let run = Terminal::start(&place, &["run", scenario.to_str().unwrap()]);
    recorded(&state, &[effect]);
    drop(run);
    recorded(&state, &[undone, r#"{"signal":"SIGHUP"}"#, finished]);

    let watch = Terminal::start(&place, &["watch"]);
    watch.shows(&["WATCH", "portal-", "Running"]);
    watch.press("q");
    watch.ended(0);
}

#[test]
fn a_view_that_cannot_be_is_refused_before_anything_happens() {
    let place = Place::new();
    let scenario = place.path().join("lost.toml");
    fs::write(&scenario, SCENARIO).unwrap();
    let ran = place.run(&["run", "--view", "tui", scenario.to_str().unwrap()]).expect(2);
    assert!(ran.err.contains("--view tui needs a terminal"), "{}", ran.err);
    assert!(ran.err.contains("hint: `--view line`"), "{}", ran.err);
    assert!(!place.path().join("state").exists());

    let ran = place.run(&["watch"]).expect(2);
    assert!(ran.err.contains("no embedded stack is up"), "{}", ran.err);
    assert!(ran.err.contains("hint: `harness up`"), "{}", ran.err);
    let kubeconfig = place.path().join("kubeconfig");
    let nowhere = "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
                   clusters: [{name: c, cluster: {server: \"http://127.0.0.1:9\"}}]\n\
                   contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n";
    fs::write(&kubeconfig, nowhere).unwrap();
    let ran = place.run(&["--kubeconfig", kubeconfig.to_str().unwrap(), "watch"]).expect(4);
    assert!(ran.err.contains("http://127.0.0.1:9") && ran.err.contains("hint:"), "{}", ran.err);
}
