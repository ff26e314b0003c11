//! What ends something: a fault, a load, the run, the view.

use harness_event::state::{FaultStage, LoadStage};

use super::{Aborting, App, Confirm, Dialog, Effect, List, View, can_be_undone, index::Stale, is_on};
use crate::{Request, keys::Mode, theme::Role};

impl App {
    /// Asks whether a fault or a load is to be stopped: the selected one, or the only one.
    pub(super) fn stop(&mut self) {
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
        let mode = self.ui.mode;
        let active: Vec<_> = state.faults.iter().filter(|fault| can_be_undone(&fault.stage, mode)).collect();
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
            let question = match fault.stage {
                FaultStage::LeftBehind(_) => format!("Try again to undo {name}?"),
                _ => format!("Undo {name} before its time?"),
            };
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

    pub(super) fn quit(&mut self, keep: bool, effects: &mut Vec<Effect>) {
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

    pub(super) fn abort(&mut self, effects: &mut Vec<Effect>) {
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
}
