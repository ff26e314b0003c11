//! The reducer.

use std::time::Duration;

use crossterm::event::{KeyEvent, KeyEventKind};
use harness_event::{Event, EventKind, Millis, RunState, state::FaultStage};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Index, List, Ui, index::Stale};
use crate::{
    Options, Reply, Request, gameday,
    keys::{self, Action, Key, Mode},
    mailbox::{Message, RunClock},
    theme::{Role, Theme},
    view::{self, Cx},
};

/// So many messages in one frame mean that the view is behind.
const LAGGING: usize = 2_000;

/// What is to be done outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ask the host.
    Request(Request),
    /// The view ends.
    Quit {
        /// Its last screen stays in the terminal.
        keep: bool,
    },
}

/// The view's whole state.
#[derive(Clone, Debug)]
pub struct App {
    /// What is known of the run.
    pub state: RunState,
    /// What the person has chosen.
    pub ui: Ui,
    /// Colours and symbols.
    pub theme: Theme,
    /// Lists, as of the last [`Self::prepare`].
    pub index: Index,
    pub(super) stale: Stale,
    clock: RunClock,
}

/// What a view's keys may touch.
pub struct Hook<'a> {
    /// What the person has chosen.
    pub ui: &'a mut Ui,
    /// What is shown of the run: as it is, or frozen.
    pub state: &'a RunState,
    /// The lists.
    pub index: &'a Index,
    /// What is to be done outside.
    pub effects: &'a mut Vec<Effect>,
}

impl Hook<'_> {
    /// Asks the host.
    pub fn request(&mut self, request: Request) {
        self.effects.push(Effect::Request(request));
    }
}

impl App {
    /// Before the first event.
    #[must_use]
    pub fn new(options: &Options) -> Self {
        Self {
            state: RunState::default(),
            ui: Ui::new(options),
            theme: Theme { color: options.color, unicode: options.unicode },
            index: Index::default(),
            stale: Stale::ALL,
            clock: RunClock::default(),
        }
    }

    /// The run's time now: its last event's, and what has passed since.
    #[must_use]
    pub fn now(&self) -> Millis {
        if self.ui.mode == Mode::Replay {
            return self.ui.playback.position.max(self.state.elapsed);
        }
        if self.ui.over || self.state.finished {
            return self.state.elapsed;
        }
        self.clock.at(self.ui.time).map_or(self.state.elapsed, |now| now.max(self.state.elapsed))
    }

    /// Takes in a message. Returns what is to be done outside.
    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let mut effects = Vec::new();
        match message {
            Message::Event(event) => self.event(&event),
            Message::Reply(reply) => self.reply(&reply),
            Message::Concluded(verdict) => {
                self.state.conclude(*verdict);
                self.stale.mark(List::Expectations);
            }
            Message::Progress(text) => self.ui.progress(text),
            Message::Closed => self.closed(&mut effects),
            Message::Leave => effects.push(Effect::Quit { keep: false }),
            Message::Orphaned => {
                self.ui.toast(
                    "the run's process ended without a word: what is shown may not be the end",
                    Role::Bad,
                );
                self.closed(&mut effects);
            }
            Message::Replaced(state) => {
                self.state = *state;
                self.stale = Stale::ALL;
            }
            Message::Playback(playback) => self.ui.playback = playback,
            Message::Key(key) => self.key(key, &mut effects),
            Message::Resized(width, height) => self.ui.size = (width, height),
            Message::Tick(time) => {
                self.ui.time = time;
                self.ui.toasts.retain(|toast| toast.until > time);
            }
            // The loop ends with an error by itself.
            Message::InputLost(_) => {}
            Message::Panicked(text) => self.ui.toast(format!("internal error: {text}"), Role::Bad),
        }
        effects
    }

    /// So many messages came at once, and so many were merged before.
    pub fn received(&mut self, messages: usize, merged: u64) {
        self.ui.merged += merged;
        self.ui.lagging = messages > LAGGING;
    }

    fn event(&mut self, event: &Event) {
        self.clock.heard(event.elapsed, self.ui.time);
        let (pods, alerts) = (self.state.pods.len(), self.state.alerts.len());
        self.state.apply(event);
        self.stale.mark(List::Log);
        // Any event may be the time at which something that is gone is forgotten.
        if self.state.pods.len() != pods {
            self.stale.mark(List::Pods);
        }
        if self.state.alerts.len() != alerts {
            self.stale.mark(List::Alerts);
        }
        match &event.kind {
            EventKind::RunStarted { mode, .. } => {
                if self.ui.mode != Mode::Replay {
                    self.ui.mode = (*mode).into();
                }
                self.stale = Stale::ALL;
            }
            EventKind::PodObserved(_) | EventKind::PodsMeasured { .. } => self.stale.mark(List::Pods),
            EventKind::AlertSeen { .. }
            | EventKind::AlertSuppressed { .. }
            | EventKind::AlertHistoryRead { .. }
            | EventKind::NotificationReceived(_) => {
                self.stale.mark(List::Alerts);
                self.stale.mark(List::Expectations);
            }
            EventKind::LoadRequested { .. }
            | EventKind::LoadStarted { .. }
            | EventKind::LoadSampled { .. }
            | EventKind::LoadFinished { .. }
            | EventKind::LoadFailed { .. }
            | EventKind::LoadStopped { .. } => {
                self.stale.mark(List::Loads);
                self.stale.mark(List::Expectations);
            }
            EventKind::FaultRequested { .. }
            | EventKind::FaultPlanned { .. }
            | EventKind::FaultApplied { .. }
            | EventKind::FaultApplyFailed { .. }
            | EventKind::FaultEffectObserved { .. }
            | EventKind::FaultEffectMissing { .. }
            | EventKind::FaultStopped { .. }
            | EventKind::FaultRevertStarted { .. }
            | EventKind::FaultRevertVerified { .. }
            | EventKind::FaultRevertFailed { .. } => {
                self.stale.mark(List::Faults);
                self.stale.mark(List::Expectations);
            }
            _ => self.stale.mark(List::Expectations),
        }
    }

    fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Failed { error, .. } => self.ui.toast(error.clone(), Role::Bad),
            Reply::Done { request: Request::WriteNote { .. } } => self.ui.toast("written down", Role::Good),
            Reply::Done { request: Request::StopFault { fault } } => {
                self.ui.toast(format!("{fault} is being undone"), Role::Good);
            }
            _ => {}
        }
        view::pods::reply(&mut self.ui, reply);
        gameday::reply(&mut self.ui, reply);
    }

    fn closed(&mut self, effects: &mut Vec<Effect>) {
        self.ui.over = true;
        if self.ui.paused.is_some() {
            self.ui.toast("the run is over: space shows its end", Role::Warn);
        }
        if self.ui.leave_when_over || self.ui.finishing {
            effects.push(Effect::Quit { keep: false });
        }
    }

    /// Makes stale lists anew. Once before each frame; a view that stands keeps its lists, unless the person changes their order.
    pub fn prepare(&mut self) {
        if !self.stale.any() {
            return;
        }
        let state = self.ui.paused.as_ref().map_or(&self.state, |frozen| &frozen.state);
        self.index.rebuild(state, &mut self.ui.lists, std::mem::take(&mut self.stale));
    }

    /// Draws a frame.
    pub fn render(&self, area: Rect, buf: &mut Buffer) {
        let frozen = self.ui.paused.as_deref();
        let cx = Cx {
            state: frozen.map_or(&self.state, |frozen| &frozen.state),
            ui: &self.ui,
            theme: &self.theme,
            index: &self.index,
            now: frozen.map_or_else(|| self.now(), |frozen| frozen.now),
        };
        view::render(&cx, area, buf);
    }

    fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let action = keys::action(self.ui.mode, Key::of(&key));
        if action == Some(Action::Abort) {
            // Ctrl-C works everywhere, whatever is typed.
            if key.kind == KeyEventKind::Press {
                self.abort(effects);
            }
            return;
        }
        if self.ui.dialog.is_some() {
            return self.dialog_key(key, effects);
        }
        let Some(action) = action else { return };
        let moves = matches!(
            action,
            Action::Down
                | Action::Up
                | Action::PageDown
                | Action::PageUp
                | Action::SkipForward
                | Action::SkipBack
                | Action::StepForward
                | Action::StepBack
        );
        if key.kind == KeyEventKind::Repeat && !moves {
            return;
        }
        self.act(action, effects);
    }

    /// Time since the view's start, as the last tick said.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.ui.time
    }
}

/// Is there something to undo?
pub(crate) fn is_on(stage: &FaultStage) -> bool {
    matches!(stage, FaultStage::Applying | FaultStage::Applied | FaultStage::Active)
}

/// Can somebody have it undone now? In a game day also what could not be undone before.
pub(crate) fn can_be_undone(stage: &FaultStage, mode: Mode) -> bool {
    is_on(stage) || (mode == Mode::GameDay && matches!(stage, FaultStage::LeftBehind(_)))
}
