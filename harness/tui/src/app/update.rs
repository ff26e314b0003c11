//! The reducer.

use std::time::Duration;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use harness_event::{Event, EventKind, Millis, RunState, state::FaultStage, state::LoadStage};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Aborting, Confirm, Dialog, Frozen, Index, List, Timescale, Ui, View, index::Stale};
use crate::{
    Options, ReplayCommand, Reply, Request, gameday,
    keys::{self, Action, Key, Mode},
    mailbox::{Message, RunClock},
    theme::{Role, Theme},
    view::{self, Cx, dialog::TextField},
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
    stale: Stale,
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

    /// Does what a key of a view means.
    pub fn act(&mut self, action: Action, effects: &mut Vec<Effect>) {
        if self.hooked(action, effects) {
            return;
        }
        match action {
            Action::Help => self.ui.dialog = Some(Dialog::Help { scroll: 0 }),
            Action::Quit => self.quit(false, effects),
            Action::QuitKeeping => self.quit(true, effects),
            Action::Abort => self.abort(effects),
            Action::Back => self.back(),
            Action::NextPanel => self.panel(1),
            Action::PreviousPanel => self.panel(List::ALL.len() - 1),
            Action::ShowOverview => self.show(View::Overview),
            Action::ShowPods => self.show(View::Pods),
            Action::ShowAlerts => self.show(View::Alerts),
            Action::ShowLoad => self.show(View::Load),
            Action::ShowFaults => self.show(View::Faults),
            Action::ShowLog => self.show(View::Log),
            Action::Down => self.step(1),
            Action::Up => self.step(-1),
            Action::PageDown => self.step(self.page()),
            Action::PageUp => self.step(-self.page()),
            Action::Top => self.step(isize::MIN),
            Action::Bottom => self.step(isize::MAX),
            Action::Details => self.details(effects),
            Action::Filter => self.filter(),
            Action::Sort => self.sort(),
            Action::Reverse => {
                let list = self.ui.list();
                self.ui.lists[list].reverse ^= true;
                self.stale.mark(list);
            }
            Action::Wrap => self.ui.wrap ^= true,
            Action::Timestamps => self.ui.wall_clock ^= true,
            Action::Pause => self.pause(),
            Action::ZoomOut => self.zoom(1),
            Action::ZoomIn => self.zoom(-1),
            Action::ZoomAuto => self.ui.timescale = Timescale::Auto,
            Action::Stop => self.stop(),
            Action::Note => self.ui.dialog = Some(Dialog::Note(TextField::default())),
            // The pods view takes these when it is there; elsewhere they mean nothing.
            Action::Describe | Action::ClusterEvents | Action::Logs | Action::PreviousLogs => {}
            // The game day takes these.
            Action::Inject | Action::Loads => {}
            Action::PlayPause => replay(ReplayCommand::PlayOrPause, effects),
            Action::StepForward => replay(ReplayCommand::Step(1), effects),
            Action::StepBack => replay(ReplayCommand::Step(-1), effects),
            Action::SkipForward => replay(ReplayCommand::Skip(Millis::from_secs(10)), effects),
            Action::SkipBack => replay(ReplayCommand::Skip(Millis::from_secs(-10)), effects),
            Action::NextMark => replay(ReplayCommand::Mark(1), effects),
            Action::PreviousMark => replay(ReplayCommand::Mark(-1), effects),
            Action::ToStart => replay(ReplayCommand::Start, effects),
            Action::ToEnd => replay(ReplayCommand::End, effects),
            Action::Faster => replay(ReplayCommand::Faster, effects),
            Action::Slower => replay(ReplayCommand::Slower, effects),
        }
    }

    /// Offers an action to the view that is shown, then to the game day.
    fn hooked(&mut self, action: Action, effects: &mut Vec<Effect>) -> bool {
        self.prepare();
        // Views look at what is shown, and change what is chosen: for that time the frozen state is taken out.
        let frozen = self.ui.paused.take();
        let state = frozen.as_ref().map_or(&self.state, |frozen| &frozen.state);
        let mut hook = Hook { ui: &mut self.ui, state, index: &self.index, effects };
        let taken = match hook.ui.view {
            View::Overview => false,
            View::Pods => view::pods::act(&mut hook, action),
            View::Alerts => view::alerts::act(&mut hook, action),
            View::Load => view::load::act(&mut hook, action),
            View::Faults => view::faults::act(&mut hook, action),
            View::Log => view::log::act(&mut hook, action),
        };
        let taken = taken || (hook.ui.mode == Mode::GameDay && gameday::act(&mut hook, action));
        self.ui.paused = frozen;
        taken
    }

    fn show(&mut self, view: View) {
        if self.ui.view != view {
            self.ui.view = view;
            self.ui.details = false;
            self.ui.scroll = 0;
        }
    }

    fn back(&mut self) {
        let list = self.ui.list();
        if self.ui.details {
            self.ui.details = false;
            self.ui.scroll = 0;
        } else if !self.ui.lists[list].filter.is_empty() {
            self.set_filter(list, String::new());
        } else if self.ui.view != View::Overview {
            self.show(View::Overview);
        } else {
            self.ui.toasts.clear();
        }
    }

    fn panel(&mut self, by: usize) {
        if self.ui.view == View::Overview {
            let panels = view::overview::panels(self.ui.size);
            let at = panels.iter().position(|list| *list == self.ui.focus);
            let next = at.map_or(0, |at| (at + by) % panels.len().max(1));
            if let Some(list) = panels.get(next) {
                self.ui.focus = *list;
            }
        } else {
            let next = View::ALL.iter().position(|view| *view == self.ui.view).unwrap_or(0);
            let step = if by == 1 { 1 } else { View::ALL.len() - 1 };
            self.show(View::ALL[(next + step) % View::ALL.len()]);
        }
    }

    fn page(&self) -> isize {
        isize::from(i16::try_from(self.ui.size.1.saturating_sub(8).max(1)).unwrap_or(i16::MAX))
    }

    fn step(&mut self, by: isize) {
        let list = self.ui.list();
        if self.ui.details && list != List::Log {
            // A render shows no more than there is; a text's end is known there only.
            self.ui.scroll = self.ui.scroll.saturating_add_signed(by).min(isize::MAX as usize);
            return;
        }
        self.prepare();
        let last = self.index.rows(list).saturating_sub(1);
        let order = &mut self.ui.lists[list];
        order.cursor = order.cursor.saturating_add_signed(by).min(last);
        order.held = true;
        order.follow = list == List::Log && order.cursor == if order.reverse { 0 } else { last };
    }

    fn details(&mut self, effects: &mut Vec<Effect>) {
        let list = self.ui.list();
        if self.ui.view == View::Overview && list == List::Expectations {
            self.prepare();
            let frozen = self.ui.paused.as_deref();
            let (state, now) =
                frozen.map_or_else(|| (&self.state, self.now()), |frozen| (&frozen.state, frozen.now));
            let place = self.index.expectations.get(self.ui.lists[list].cursor);
            self.ui.dialog = place.and_then(|place| view::dialog::expectation(state, *place, now));
            return;
        }
        if self.ui.view == View::Overview {
            let view = match list {
                List::Pods => View::Pods,
                List::Alerts => View::Alerts,
                List::Loads => View::Load,
                List::Faults => View::Faults,
                List::Expectations | List::Log => View::Log,
            };
            self.show(view);
            if matches!(list, List::Pods | List::Alerts | List::Loads | List::Faults) {
                // As if it had been pressed there.
                self.act(Action::Details, effects);
            }
            return;
        }
        if self.index.rows(list) > 0 {
            self.ui.lists[list].held = true;
            self.ui.details = true;
            self.ui.scroll = 0;
        }
    }

    fn filter(&mut self) {
        let list = self.ui.list();
        let order = &self.ui.lists[list];
        let before = order.filter.clone();
        let recalled = if before.is_empty() { order.last_filter.clone() } else { before.clone() };
        self.set_filter(list, recalled.clone());
        self.ui.dialog = Some(Dialog::Filter { list, before, field: TextField::with(recalled) });
    }

    fn set_filter(&mut self, list: List, filter: String) {
        let order = &mut self.ui.lists[list];
        if order.filter != filter {
            order.filter = filter;
            self.stale.mark(list);
        }
    }

    fn sort(&mut self) {
        let list = self.ui.list();
        let columns = list.columns();
        let order = &mut self.ui.lists[list];
        order.column = (order.column + 1) % columns.len();
        if columns.len() > 1 {
            let column = columns[order.column];
            let told = match list {
                List::Log if order.column == 0 => "every line".to_owned(),
                List::Log => format!("only lines about: {column}"),
                _ => format!("sorted by {column}"),
            };
            self.ui.toast(told, Role::Dim);
        }
        self.stale.mark(list);
    }

    fn pause(&mut self) {
        self.ui.paused = match self.ui.paused.take() {
            Some(_) => None,
            None => Some(Box::new(Frozen { state: self.state.clone(), now: self.now() })),
        };
        self.stale = Stale::ALL;
    }

    fn zoom(&mut self, by: isize) {
        let steps = Timescale::STEPS;
        let seconds = match self.ui.timescale {
            Timescale::Auto => self.now().0 / 1000,
            Timescale::Last(seconds) => seconds,
        };
        let next = if by > 0 {
            steps.iter().find(|step| **step > seconds)
        } else {
            steps.iter().rev().find(|step| **step < seconds)
        };
        let end = if by > 0 { steps[steps.len() - 1] } else { steps[0] };
        self.ui.timescale = Timescale::Last(*next.unwrap_or(&end));
    }

    /// Asks whether a fault or a load is to be stopped: the selected one, or the only one.
    fn stop(&mut self) {
        self.prepare();
        let state = &self.state;
        let shown = self.ui.paused.as_ref().map_or(state, |frozen| &frozen.state);
        let list = self.ui.list();
        let row = self.ui.lists[list].cursor;
        if list == List::Loads {
            let name = self.index.loads.get(row).map(|place| shown.loads[*place].spec.name.clone());
            let running = |name: &String| {
                state.loads.iter().any(|load| load.spec.name == *name && load.stage == LoadStage::Running)
            };
            return match (name, self.ui.mode) {
                (Some(name), Mode::GameDay) if running(&name) => self.ask_to_stop_load(name),
                (Some(name), Mode::GameDay) => self.ui.toast(format!("{name} is not running"), Role::Warn),
                (Some(_), _) => self
                    .ui
                    .toast("loads of a scenario are not stopped by hand; Ctrl-C aborts the run", Role::Warn),
                (None, _) => self.ui.toast("there is no load", Role::Warn),
            };
        }
        let active: Vec<_> = state.faults.iter().filter(|fault| is_on(&fault.stage)).collect();
        let selected = (list == List::Faults)
            .then(|| self.index.faults.get(row))
            .flatten()
            .and_then(|place| shown.faults.get(*place))
            .map(|fault| fault.spec.name.clone());
        let chosen = match (&selected, &active[..]) {
            (Some(name), _) => active.iter().find(|fault| fault.spec.name == *name).copied(),
            (None, [only]) => Some(*only),
            _ => None,
        };
        if let Some(fault) = chosen {
            let name = fault.spec.name.clone();
            let mut consequences = vec![format!("It is undone now: {}", fault.inverse)];
            if self.ui.mode == Mode::Scenario {
                consequences.push("The run is then not the experiment that the scenario describes.".into());
            }
            let question = format!("Undo {name} before its time?");
            let request = Request::StopFault { fault: name };
            self.ui.dialog = Some(Dialog::Confirm(Confirm { question, consequences, request }));
        } else if let Some(name) = selected {
            self.ui.toast(format!("{name} is not active"), Role::Warn);
        } else if active.is_empty() {
            self.ui.toast("no fault is active", Role::Warn);
        } else {
            self.ui.toast("several faults are active: select one (5)", Role::Warn);
        }
    }

    fn ask_to_stop_load(&mut self, load: String) {
        let question = format!("Stop the load {load}?");
        let request = Request::StopLoad { load };
        self.ui.dialog = Some(Dialog::Confirm(Confirm { question, consequences: Vec::new(), request }));
    }

    fn quit(&mut self, keep: bool, effects: &mut Vec<Effect>) {
        if !keep && self.ui.details {
            return self.back();
        }
        if !keep && self.ui.view != View::Overview {
            return self.show(View::Overview);
        }
        if self.ui.over || self.ui.mode == Mode::Replay {
            effects.push(Effect::Quit { keep });
            return;
        }
        match self.ui.mode {
            Mode::Watch => {
                // Nothing was changed: there is nothing to wait for.
                if !self.ui.finishing {
                    effects.push(Effect::Request(Request::Finish));
                }
                self.ui.finishing = true;
                effects.push(Effect::Quit { keep });
            }
            Mode::GameDay if self.ui.finishing => self.ui.toast("the game day is ending", Role::Dim),
            Mode::GameDay => {
                let active = self.state.faults.iter().filter(|fault| is_on(&fault.stage)).count();
                let faults = match active {
                    0 => "No fault is active.".to_owned(),
                    1 => "The active fault is undone first.".to_owned(),
                    many => format!("{many} active faults are undone first."),
                };
                let question = "End the game day?".to_owned();
                let consequences = vec![faults, "Its log stays; loads are stopped.".into()];
                let request = Request::Finish;
                self.ui.dialog = Some(Dialog::Confirm(Confirm { question, consequences, request }));
            }
            _ if self.ui.aborting.is_some() => {
                self.ui.toast("rolling back: the view can be left when that is done", Role::Warn)
            }
            _ => self.ui.toast("the run goes on: Ctrl-C aborts it and undoes what it changed", Role::Warn),
        }
    }

    fn abort(&mut self, effects: &mut Vec<Effect>) {
        if self.ui.over || self.ui.mode == Mode::Replay {
            effects.push(Effect::Quit { keep: false });
            return;
        }
        if self.ui.mode == Mode::Watch {
            effects.push(Effect::Request(Request::Finish));
            effects.push(Effect::Quit { keep: false });
            return;
        }
        self.ui.dialog = None;
        self.ui.paused = None;
        self.stale = Stale::ALL;
        if self.ui.aborting.is_some() {
            self.ui.toast("the rollback goes on: stopping it would leave the system broken", Role::Warn);
            return;
        }
        self.ui.aborting = Some(Aborting { since: self.now() });
        effects.push(Effect::Request(Request::Abort));
    }

    fn dialog_key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        let Some(dialog) = self.ui.dialog.take() else { return };
        match dialog {
            Dialog::Help { scroll } => {
                let lines = view::dialog::help_lines(self.ui.mode, self.ui.size.0).len();
                if let Some(scroll) = self.scrolled(key.code, scroll, lines) {
                    self.ui.dialog = Some(Dialog::Help { scroll });
                }
            }
            Dialog::Text { title, text, scroll } => {
                if let Some(scroll) = self.scrolled(key.code, scroll, text.len()) {
                    self.ui.dialog = Some(Dialog::Text { title, text, scroll });
                }
            }
            Dialog::Confirm(confirm) => match key.code {
                // A held key does not confirm.
                KeyCode::Char('y' | 'Y') if key.kind == KeyEventKind::Press => {
                    self.ui.finishing |= confirm.request == Request::Finish;
                    effects.push(Effect::Request(confirm.request));
                }
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc => {}
                _ => self.ui.dialog = Some(Dialog::Confirm(confirm)),
            },
            Dialog::Note(mut field) => match key.code {
                KeyCode::Esc => {}
                KeyCode::Enter => {
                    let text = field.text().trim().to_owned();
                    if !text.is_empty() {
                        effects.push(Effect::Request(Request::WriteNote { text }));
                    }
                }
                _ => {
                    field.key(&key);
                    self.ui.dialog = Some(Dialog::Note(field));
                }
            },
            Dialog::Filter { list, before, mut field } => match key.code {
                KeyCode::Esc => self.set_filter(list, before),
                KeyCode::Enter => {
                    let filter = field.text().to_owned();
                    if !filter.is_empty() {
                        self.ui.lists[list].last_filter.clone_from(&filter);
                    }
                    self.set_filter(list, filter);
                }
                _ => {
                    field.key(&key);
                    self.set_filter(list, field.text().to_owned());
                    self.ui.dialog = Some(Dialog::Filter { list, before, field });
                }
            },
            Dialog::GameDay => {
                self.ui.dialog = Some(Dialog::GameDay);
                let mut hook = Hook { ui: &mut self.ui, state: &self.state, index: &self.index, effects };
                gameday::key(&mut hook, &key);
            }
        }
    }

    /// Where a text of so many lines is shown from after a key; none: it is closed.
    fn scrolled(&self, code: KeyCode, scroll: usize, lines: usize) -> Option<usize> {
        let most = lines.saturating_sub(1);
        let scroll = match code {
            KeyCode::Down | KeyCode::Char('j') => scroll + 1,
            KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
            KeyCode::PageDown | KeyCode::Char(' ') => scroll.saturating_add_signed(self.page()),
            KeyCode::PageUp => scroll.saturating_add_signed(-self.page()),
            KeyCode::Home | KeyCode::Char('g') => 0,
            KeyCode::End | KeyCode::Char('G') => most,
            KeyCode::Esc | KeyCode::Char('?' | 'q') | KeyCode::Enter => return None,
            _ => scroll,
        };
        Some(scroll.min(most))
    }

    /// Time since the view's start, as the last tick said.
    #[must_use]
    pub fn time(&self) -> Duration {
        self.ui.time
    }
}

fn replay(command: ReplayCommand, effects: &mut Vec<Effect>) {
    effects.push(Effect::Request(Request::Replay(command)));
}

/// Is there something to undo?
pub(crate) fn is_on(stage: &FaultStage) -> bool {
    matches!(stage, FaultStage::Applying | FaultStage::Applied | FaultStage::Active)
}
