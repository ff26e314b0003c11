//! What the person at the keys has chosen: nothing of the run itself.

use std::{collections::VecDeque, time::Duration};

use harness_event::{Millis, RunState};

use super::{List, Lists};
use crate::{Options, Playback, Request, gameday, keys::Mode, theme::Role, view};

/// What fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum View {
    /// Everything on one screen.
    #[default]
    Overview,
    /// Pods.
    Pods,
    /// Alerts.
    Alerts,
    /// Loads.
    Load,
    /// Faults.
    Faults,
    /// The log.
    Log,
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [Self; 6] =
        [Self::Overview, Self::Pods, Self::Alerts, Self::Load, Self::Faults, Self::Log];

    /// For people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "overview",
            Self::Pods => "pods",
            Self::Alerts => "alerts",
            Self::Load => "load",
            Self::Faults => "faults",
            Self::Log => "log",
        }
    }
}

/// What the time axes show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timescale {
    /// The run from its start to its planned end.
    #[default]
    Auto,
    /// The last so many seconds.
    Last(i64),
}

impl Timescale {
    /// Lengths in seconds that can be chosen.
    pub const STEPS: [i64; 8] = [15, 30, 60, 120, 300, 600, 1800, 3600];
}

/// What lies over the view and gets the keys.
#[derive(Clone, Debug, PartialEq)]
pub enum Dialog {
    /// The table of keys.
    Help {
        /// First line that is shown.
        scroll: usize,
    },
    /// A text to read.
    Text {
        /// What it is about.
        title: String,
        /// Its lines; long ones are wrapped.
        text: Vec<String>,
        /// First line that is shown.
        scroll: usize,
    },
    /// A question.
    Confirm(Confirm),
    /// A remark is typed.
    Note(view::dialog::TextField),
    /// A filter is typed.
    Filter {
        /// Of which list.
        list: List,
        /// The filter as it was, for Esc.
        before: String,
        /// The text.
        field: view::dialog::TextField,
    },
    /// One of the game day's: [`gameday`] has its state and gets its keys.
    GameDay,
}

/// A question before something that cannot be taken back.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// What is about to happen.
    pub question: String,
    /// What that means, in lines.
    pub consequences: Vec<String>,
    /// What is asked of the host after `y`.
    pub request: Request,
}

/// A message for some seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Toast {
    /// The text.
    pub text: String,
    /// What it means.
    pub role: Role,
    /// When it goes, since the view's start.
    pub until: Duration,
}

/// The view stands while the run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Frozen {
    /// As it was.
    pub state: RunState,
    /// The run's time then.
    pub now: Millis,
}

/// Somebody pressed Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Aborting {
    /// The run's time then.
    pub since: Millis,
}

/// Everything that the person at the keys has chosen, and what only the view knows.
#[derive(Clone, Debug)]
pub struct Ui {
    /// What is viewed.
    pub mode: Mode,
    /// What fills the screen.
    pub view: View,
    /// Which panel of the overview has the focus.
    pub focus: List,
    /// How each list is shown.
    pub lists: Lists,
    /// More about the selected row is shown.
    pub details: bool,
    /// First line of the details' text that is shown.
    pub scroll: usize,
    /// What the time axes show.
    pub timescale: Timescale,
    /// Long lines are wrapped.
    pub wrap: bool,
    /// Time of day instead of time since the start.
    pub wall_clock: bool,
    /// The view stands.
    pub paused: Option<Box<Frozen>>,
    /// What lies over the view.
    pub dialog: Option<Dialog>,
    /// Messages for some seconds, newest last.
    pub toasts: VecDeque<Toast>,
    /// Size of the screen in columns and rows.
    pub size: (u16, u16),
    /// Time since the view's start.
    pub time: Duration,
    /// The host was asked to abort.
    pub aborting: Option<Aborting>,
    /// The host was asked to end a game day or a watch.
    pub finishing: bool,
    /// No more facts come.
    pub over: bool,
    /// What the host said that it is doing, newest last, bounded.
    pub progress: VecDeque<String>,
    /// Telemetry that was merged because too much came.
    pub merged: u64,
    /// Messages that came with the last frame: so many that the view is behind.
    pub lagging: bool,
    /// Where a replay is.
    pub playback: Playback,
    /// The view ends as soon as the run does.
    pub leave_when_over: bool,
    /// Of the pods view.
    pub pods: view::pods::PodsUi,
    /// Of game days.
    pub gameday: gameday::GameDayUi,
}

impl Ui {
    /// Lines of the host that are kept.
    const PROGRESS: usize = 100;
    /// Messages that are kept.
    const TOASTS: usize = 5;
    /// How long a message stays.
    const TOAST: Duration = Duration::from_secs(6);

    /// As a view begins.
    pub fn new(options: &Options) -> Self {
        Self {
            mode: options.mode,
            view: View::default(),
            focus: List::Pods,
            lists: Lists::default(),
            details: false,
            scroll: 0,
            timescale: Timescale::default(),
            wrap: false,
            wall_clock: false,
            paused: None,
            dialog: None,
            toasts: VecDeque::new(),
            size: (0, 0),
            time: Duration::ZERO,
            aborting: None,
            finishing: false,
            over: false,
            progress: VecDeque::new(),
            merged: 0,
            lagging: false,
            playback: Playback::default(),
            leave_when_over: options.leave_when_over,
            pods: Default::default(),
            gameday: Default::default(),
        }
    }

    /// The list that keys move in.
    pub fn list(&self) -> List {
        match self.view {
            View::Overview => self.focus,
            View::Pods => List::Pods,
            View::Alerts => List::Alerts,
            View::Load => List::Loads,
            View::Faults => List::Faults,
            View::Log => List::Log,
        }
    }

    /// Shows a message for some seconds.
    pub fn toast(&mut self, text: impl Into<String>, role: Role) {
        let text = text.into();
        // The same again only stays longer.
        self.toasts.retain(|toast| toast.text != text);
        if self.toasts.len() == Self::TOASTS {
            self.toasts.pop_front();
        }
        self.toasts.push_back(Toast { text, role, until: self.time + Self::TOAST });
    }

    /// The host is doing something.
    pub(super) fn progress(&mut self, text: String) {
        if self.progress.len() == Self::PROGRESS {
            self.progress.pop_front();
        }
        self.progress.push_back(text);
    }
}
