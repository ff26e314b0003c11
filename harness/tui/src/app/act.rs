//! What keys of views do.

use harness_event::Millis;

use super::{App, Dialog, Effect, Frozen, Hook, List, Timescale, View, index::Stale};
use crate::{
    ReplayCommand, Request, gameday,
    keys::{Action, Mode},
    theme::Role,
    view::{self, dialog::TextField},
};

impl App {
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
            View::Pods => view::pods::act(&mut hook, action),
            View::Overview | View::Alerts | View::Load | View::Faults | View::Log => false,
        };
        let taken = taken || (hook.ui.mode == Mode::GameDay && gameday::act(&mut hook, action));
        self.ui.paused = frozen;
        taken
    }

    pub(super) fn show(&mut self, view: View) {
        if self.ui.view != view {
            self.ui.view = view;
            self.ui.details = false;
            self.ui.scroll = 0;
        }
    }

    pub(super) fn back(&mut self) {
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

    pub(super) fn page(&self) -> isize {
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

    pub(super) fn set_filter(&mut self, list: List, filter: String) {
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
}

fn replay(command: ReplayCommand, effects: &mut Vec<Effect>) {
    effects.push(Effect::Request(Request::Replay(command)));
}
