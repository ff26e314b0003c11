//! The one table of keys. Footer, help and `docs/terminal-view.md` are made of it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use harness_event::RunMode;

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The table of keys.
    Help,
    /// Leave the view, or the program when the run is over.
    Quit,
    /// The same, and leave the last screen in the terminal.
    QuitKeeping,
    /// Abort the run and undo what it did.
    Abort,
    /// Close what was opened last.
    Back,
    /// The next panel.
    NextPanel,
    /// The panel before.
    PreviousPanel,
    /// Everything on one screen.
    ShowOverview,
    /// Pods.
    ShowPods,
    /// Alerts.
    ShowAlerts,
    /// Loads.
    ShowLoad,
    /// Faults.
    ShowFaults,
    /// The log.
    ShowLog,
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// A screen down.
    PageDown,
    /// A screen up.
    PageUp,
    /// The first row.
    Top,
    /// The last row.
    Bottom,
    /// More about the selected row.
    Details,
    /// Keep only rows that contain a text.
    Filter,
    /// Sort by the next column.
    Sort,
    /// Turn the order around.
    Reverse,
    /// Long lines are wrapped, or cut.
    Wrap,
    /// Time of day, or time since the start.
    Timestamps,
    /// Stop the view, not the run.
    Pause,
    /// More time on the axes.
    ZoomOut,
    /// Less time on the axes.
    ZoomIn,
    /// As much time as fits the run.
    ZoomAuto,
    /// `kubectl describe` of a pod.
    Describe,
    /// Events of a pod.
    ClusterEvents,
    /// Log of a pod.
    Logs,
    /// Log of a container before its last restart.
    PreviousLogs,
    /// Undo a fault, or stop a load, before its time.
    Stop,
    /// Write a remark into the log of the run.
    Note,
    /// Inject a fault.
    Inject,
    /// Start or stop a load.
    Loads,
    /// Replay: play or stand.
    PlayPause,
    /// Replay: one event on.
    StepForward,
    /// Replay: one event back.
    StepBack,
    /// Replay: ten seconds on.
    SkipForward,
    /// Replay: ten seconds back.
    SkipBack,
    /// Replay: the next mark.
    NextMark,
    /// Replay: the mark before.
    PreviousMark,
    /// Replay: the beginning.
    ToStart,
    /// Replay: the end.
    ToEnd,
    /// Replay: faster.
    Faster,
    /// Replay: slower.
    Slower,
}

/// Where a key works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// In every view and in every dialog.
    Everywhere,
    /// In every view.
    Views,
    /// In views of something that goes on.
    Live,
    /// In runs of a scenario and in game days.
    Runs,
    /// In game days.
    GameDay,
    /// In replays.
    Replay,
    /// In the pods view.
    Pods,
    /// In the log, and in texts.
    Texts,
}

/// What the view is a view of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Mode {
    /// A run of a scenario.
    #[default]
    Scenario,
    /// A game day.
    GameDay,
    /// A cluster, without a run.
    Watch,
    /// A recorded run.
    Replay,
}

impl From<RunMode> for Mode {
    fn from(mode: RunMode) -> Self {
        match mode {
            RunMode::Scenario => Self::Scenario,
            RunMode::GameDay => Self::GameDay,
            RunMode::Watch => Self::Watch,
        }
    }
}

impl Mode {
    /// All.
    pub const ALL: [Self; 4] = [Self::Scenario, Self::GameDay, Self::Watch, Self::Replay];
}

impl Scope {
    /// Does a key of this scope work in that mode?
    pub fn is_in(self, mode: Mode) -> bool {
        match self {
            Self::Everywhere | Self::Views | Self::Pods | Self::Texts => true,
            Self::Live => mode != Mode::Replay,
            Self::Runs => matches!(mode, Mode::Scenario | Mode::GameDay),
            Self::GameDay => mode == Mode::GameDay,
            Self::Replay => mode == Mode::Replay,
        }
    }

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Everywhere => "everywhere",
            Self::Views => "views",
            Self::Live => "live views",
            Self::Runs => "runs, game days",
            Self::GameDay => "game days",
            Self::Replay => "replays",
            Self::Pods => "pods",
            Self::Texts => "log, texts",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What is done.
    pub action: Action,
    /// Keys that do it; the first one is shown in the footer.
    pub keys: &'static [Key],
    /// One or two words, for the footer.
    pub short: &'static str,
    /// A sentence.
    pub help: &'static str,
    /// It changes the system or ends the run: what is done against a key pressed by mistake. Empty if nothing can happen.
    pub danger: &'static str,
    /// Where it works.
    pub scope: Scope,
    /// Place in the footer, most important first; 0: not there.
    pub footer: u8,
}

/// A key, as people name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with Ctrl.
    Ctrl(char),
    /// Another key.
    Named(KeyCode),
}

impl Key {
    /// The key of an event from the terminal.
    pub fn of(event: &KeyEvent) -> Self {
        match event.code {
            KeyCode::Char(char) if event.modifiers.contains(KeyModifiers::CONTROL) => {
                Self::Ctrl(char.to_ascii_lowercase())
            }
            KeyCode::Char(char) => Self::Char(char),
            code => Self::Named(code),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match self {
            Self::Char(' ') => "space",
            Self::Char(char) => return write!(out, "{char}"),
            Self::Ctrl(char) => return write!(out, "Ctrl-{}", char.to_ascii_uppercase()),
            Self::Named(code) => match code {
                KeyCode::Enter => "Enter",
                KeyCode::Esc => "Esc",
                KeyCode::Tab => "Tab",
                KeyCode::BackTab => "Shift-Tab",
                KeyCode::Down => "Down",
                KeyCode::Up => "Up",
                KeyCode::Left => "Left",
                KeyCode::Right => "Right",
                KeyCode::PageDown => "PgDn",
                KeyCode::PageUp => "PgUp",
                KeyCode::Home => "Home",
                KeyCode::End => "End",
                other => return write!(out, "{other}"),
            },
        };
        out.write_str(name)
    }
}

const fn named(code: KeyCode) -> Key {
    Key::Named(code)
}

macro_rules! bindings {
    ($($action:ident [$($key:expr),+] $short:literal, $help:literal, $danger:literal, $scope:ident, $footer:literal;)+) => {
        /// All keys.
        pub static BINDINGS: &[Binding] = &[$(Binding {
            action: Action::$action,
            keys: &[$($key),+],
            short: $short,
            help: $help,
            danger: $danger,
            scope: Scope::$scope,
            footer: $footer,
        }),+];

        #[cfg(test)]
        const fn listed(action: Action) -> bool {
            match action { $(Action::$action => true),+ }
        }
    };
}

use Key::{Char, Ctrl};

bindings! {
    Help [Char('?')] "help", "show all keys", "", Views, 1;
    ShowOverview [Char('1')] "overview", "everything on one screen", "", Views, 0;
    ShowPods [Char('2')] "pods", "pods: status, usage, what Kubernetes says, logs", "", Views, 0;
    ShowAlerts [Char('3')] "alerts", "alerts: rule, value, labels, history, notifications", "", Views, 0;
    ShowLoad [Char('4')] "load", "loads: steps, latencies", "", Views, 0;
    ShowFaults [Char('5')] "faults", "faults: targets, times, what undoes them", "", Views, 0;
    ShowLog [Char('6')] "log", "the whole log, with a filter", "", Views, 0;
    NextPanel [named(KeyCode::Tab)] "panel", "go to the next panel", "", Views, 12;
    PreviousPanel [named(KeyCode::BackTab)] "panel before", "go to the panel before", "", Views, 0;
    Down [Char('j'), named(KeyCode::Down)] "down", "one row down", "", Views, 0;
    Up [Char('k'), named(KeyCode::Up)] "up", "one row up", "", Views, 0;
    PageDown [named(KeyCode::PageDown), Ctrl('d')] "page down", "a screen down", "", Views, 0;
    PageUp [named(KeyCode::PageUp), Ctrl('u')] "page up", "a screen up", "", Views, 0;
    Top [Char('g'), named(KeyCode::Home)] "first", "the first row", "", Views, 0;
    Bottom [Char('G'), named(KeyCode::End)] "last", "the last row", "", Views, 0;
    Details [named(KeyCode::Enter)] "details", "more about the selected row", "", Views, 9;
    Back [named(KeyCode::Esc)] "back", "close what was opened last, clear the filter, go back to the overview", "", Views, 0;
    Filter [Char('/')] "filter", "keep only rows that contain a text; the last one is there again", "", Views, 10;
    Sort [Char('s')] "sort", "sort by the next column", "", Views, 11;
    Reverse [Char('S')] "reverse", "turn the order around", "", Views, 0;
    Wrap [Char('w')] "wrap", "wrap long lines, or cut them", "", Texts, 0;
    Timestamps [Char('t')] "times", "time of day (UTC), or time since the start", "", Texts, 0;
    ZoomOut [Char('-')] "zoom out", "more time on the time axes", "", Views, 0;
    ZoomIn [Char('+'), Char('=')] "zoom in", "less time on the time axes", "", Views, 13;
    ZoomAuto [Char('a')] "auto", "as much time as the run takes", "", Views, 0;
    Pause [Char(' ')] "pause", "freeze the view; the run goes on, and nothing is lost", "", Live, 8;
    Describe [Char('d')] "describe", "of a pod: as `kubectl describe pod`", "", Pods, 0;
    ClusterEvents [Char('e')] "events", "of a pod: its Events", "", Pods, 0;
    Logs [Char('l')] "logs", "of a pod: the end of its log", "", Pods, 0;
    PreviousLogs [Char('p')] "previous", "of a pod: the log before its last restart", "", Pods, 0;
    Stop [Char('x')] "stop", "undo the selected (or the only active) fault, or stop a load, before its time", "asks first", Runs, 6;
    Note [Char('n')] "note", "write a remark, with the time, into the run's log", "", Runs, 7;
    Inject [Char('i')] "inject", "inject a fault", "shows what it would do, then asks", GameDay, 2;
    Loads [Char('o')] "loads", "start or stop a load", "asks first", GameDay, 3;
    PlayPause [Char(' ')] "play/pause", "play, or stand", "", Replay, 2;
    StepForward [Char('.')] "step", "one event on", "", Replay, 3;
    StepBack [Char(',')] "step back", "one event back", "", Replay, 0;
    SkipForward [named(KeyCode::Right)] "+10 s", "ten seconds on", "", Replay, 4;
    SkipBack [named(KeyCode::Left)] "-10 s", "ten seconds back", "", Replay, 0;
    NextMark [Char(']')] "next mark", "to the next phase, fault, or change of an alert", "", Replay, 5;
    PreviousMark [Char('[')] "previous mark", "to the phase, fault, or change of an alert before", "", Replay, 0;
    ToStart [Char('{')] "start", "to the beginning of the run", "", Replay, 0;
    ToEnd [Char('}')] "end", "to the end of the run", "", Replay, 0;
    Faster [Char('>')] "faster", "play twice as fast", "", Replay, 6;
    Slower [Char('<')] "slower", "play half as fast", "", Replay, 0;
    Quit [Char('q')] "quit", "close details, go back to the overview, and leave it when the run is over", "asks before it ends a game day", Views, 5;
    QuitKeeping [Char('Q')] "quit, keep screen", "leave when the run is over, and leave the last screen in the terminal", "asks before it ends a game day", Views, 0;
    Abort [Ctrl('c')] "abort", "abort the run and undo what it changed; leaves watches, replays, and runs that are over", "undoes everything first; a second one does not hurry it", Everywhere, 4;
}

/// What a key does in a mode, if anything.
pub fn action(mode: Mode, key: Key) -> Option<Action> {
    let found = BINDINGS.iter().find(|binding| binding.scope.is_in(mode) && binding.keys.contains(&key));
    found.map(|binding| binding.action)
}

/// The row of an action.
pub fn binding(action: Action) -> Option<&'static Binding> {
    BINDINGS.iter().find(|binding| binding.action == action)
}

/// The table as Markdown, for the documentation.
pub fn markdown() -> String {
    use std::fmt::Write;
    let mut table = String::from("| Key | Does | Where | Safety |\n| --- | --- | --- | --- |\n");
    for binding in BINDINGS {
        let keys: Vec<_> = binding.keys.iter().map(|key| format!("`{key}`")).collect();
        let (keys, help, place) = (keys.join(" "), binding.help, binding.scope.name());
        // Writing to a String does not fail.
        let _ = writeln!(table, "| {keys} | {help} | {place} | {} |", binding.danger);
    }
    table
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn no_key_does_two_things_in_the_same_mode() {
        for mode in Mode::ALL {
            let mut taken = HashMap::new();
            for binding in BINDINGS.iter().filter(|binding| binding.scope.is_in(mode)) {
                for key in binding.keys {
                    let other = taken.insert(*key, binding.action);
                    assert_eq!(other, None, "{key} in {mode:?}: also {:?}", binding.action);
                }
            }
        }
    }

    #[test]
    fn every_action_has_a_key_and_a_description() {
        for binding in BINDINGS {
            // `listed` matches without a wildcard: an action that is not in the table does not compile.
            assert!(listed(binding.action));
            assert!(!binding.keys.is_empty() && !binding.help.is_empty() && !binding.short.is_empty());
        }
        let actions: std::collections::HashSet<_> = BINDINGS.iter().map(|binding| binding.action).collect();
        assert_eq!(actions.len(), BINDINGS.len(), "one row for an action");
    }

    #[test]
    fn what_changes_the_system_says_what_is_done_against_mistakes() {
        for action in [Action::Abort, Action::Stop, Action::Inject, Action::Loads, Action::Quit] {
            assert!(binding(action).is_some_and(|binding| !binding.danger.is_empty()), "{action:?}");
        }
    }

    #[test]
    fn keys_of_the_terminal_are_found() {
        let press = |code, modifiers| Key::of(&KeyEvent::new(code, modifiers));
        let found = |mode, code, modifiers| action(mode, press(code, modifiers));
        assert_eq!(found(Mode::Watch, KeyCode::Char('G'), KeyModifiers::SHIFT), Some(Action::Bottom));
        assert_eq!(found(Mode::Scenario, KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Abort));
        assert_eq!(found(Mode::Scenario, KeyCode::Char(' '), KeyModifiers::NONE), Some(Action::Pause));
        assert_eq!(found(Mode::Replay, KeyCode::Char(' '), KeyModifiers::NONE), Some(Action::PlayPause));
        assert_eq!(found(Mode::Scenario, KeyCode::Char('i'), KeyModifiers::NONE), None);
        assert_eq!(found(Mode::Watch, KeyCode::Char('x'), KeyModifiers::NONE), None);
    }
}
