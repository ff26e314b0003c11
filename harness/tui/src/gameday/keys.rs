//! What keys and answers do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use harness_event::{RunState, state::LoadStage};

use super::{
    form::{Form, FormStep},
    state::Step,
};
use crate::{
    Reply, Request,
    app::{Confirm, Dialog, Hook, Ui},
    keys::Action,
    theme::Role,
};

/// An action in a game day. True if it was taken.
pub fn act(hook: &mut Hook<'_>, action: Action) -> bool {
    let step = match action {
        Action::Inject => Step::Kinds,
        Action::Loads => Step::Loads,
        _ => return false,
    };
    if hook.ui.over || hook.ui.finishing || hook.ui.aborting.is_some() {
        hook.ui.toast("the game day is ending: nothing more is injected", Role::Warn);
        return true;
    }
    hook.ui.gameday.step = step;
    hook.ui.gameday.cursor = 0;
    hook.ui.dialog = Some(Dialog::GameDay);
    // What is there changes: it is asked for each time, and what was there last is shown meanwhile.
    hook.request(Request::ReadCatalogue);
    true
}

/// A key while a dialog is open.
pub fn key(hook: &mut Hook<'_>, key: &KeyEvent) {
    match std::mem::take(&mut hook.ui.gameday.step) {
        Step::Kinds => {
            hook.ui.gameday.step = Step::Kinds;
            if chosen(hook, key) {
                choose_kind(hook);
            }
        }
        Step::Loads => {
            hook.ui.gameday.step = Step::Loads;
            if chosen(hook, key) {
                ask_about_load(hook);
            }
        }
        Step::Form(mut form) => {
            hook.ui.gameday.step = match form.key(key) {
                FormStep::Stays => Step::Form(form),
                FormStep::Leaves => Step::Kinds,
                FormStep::Plan => {
                    hook.request(Request::PlanFault(form.filled()));
                    Step::Plan(form, None)
                }
            };
        }
        Step::Plan(form, preview) => match key.code {
            // A held key does not confirm.
            KeyCode::Char('y' | 'Y') if preview.is_some() && key.kind == KeyEventKind::Press => {
                hook.ui.dialog = None;
                hook.request(Request::InjectFault(form.filled()));
            }
            KeyCode::Esc | KeyCode::Char('n' | 'N' | 'q') => hook.ui.gameday.step = Step::Form(form),
            _ => hook.ui.gameday.step = Step::Plan(form, preview),
        },
    }
}

/// Moves in a list, or leaves it. True if its row was chosen.
fn chosen(hook: &mut Hook<'_>, key: &KeyEvent) -> bool {
    let last = hook.ui.gameday.rows().saturating_sub(1);
    let cursor = &mut hook.ui.gameday.cursor;
    match key.code {
        KeyCode::Down | KeyCode::Char('j') | KeyCode::Tab => *cursor = (*cursor + 1).min(last),
        KeyCode::Up | KeyCode::Char('k') | KeyCode::BackTab => *cursor = cursor.saturating_sub(1),
        KeyCode::Home | KeyCode::Char('g') => *cursor = 0,
        KeyCode::End | KeyCode::Char('G') => *cursor = last,
        KeyCode::Esc | KeyCode::Char('q') => hook.ui.dialog = None,
        KeyCode::Enter => return key.kind == KeyEventKind::Press,
        _ => {}
    }
    false
}

fn choose_kind(hook: &mut Hook<'_>) {
    let gameday = &mut hook.ui.gameday;
    let entry = gameday.catalogue.as_ref().and_then(|catalogue| catalogue.faults.get(gameday.cursor));
    if let Some(entry) = entry {
        gameday.step = Step::Form(Form::new(entry.clone()));
    }
}

fn ask_about_load(hook: &mut Hook<'_>) {
    let gameday = &hook.ui.gameday;
    let Some(choice) = gameday.catalogue.as_ref().and_then(|all| all.loads.get(gameday.cursor)) else {
        return;
    };
    let (question, request, consequences) = match running(hook.state, &choice.load) {
        Some(name) => (
            format!("Stop the load {name}?"),
            Request::StopLoad { load: name.to_owned() },
            vec!["Requests that are under way are answered first.".to_owned()],
        ),
        None => (
            format!("Start the load {}?", choice.load),
            Request::StartLoad { load: choice.load.clone() },
            vec![choice.summary.clone()],
        ),
    };
    hook.ui.dialog = Some(Dialog::Confirm(Confirm { question, consequences, request }));
}

/// The name under which a load of the catalogue is running. Started again, it has a number behind its name.
pub(super) fn running<'s>(state: &'s RunState, load: &str) -> Option<&'s str> {
    let of_it = |name: &str| {
        name.strip_prefix(load).is_some_and(|rest| {
            let number = rest.strip_prefix('-').unwrap_or("x");
            rest.is_empty() || number.chars().all(|char| char.is_ascii_digit())
        })
    };
    let on = |stage: &LoadStage| matches!(stage, LoadStage::Waiting | LoadStage::Running);
    let loads = state.loads.iter().filter(|view| view.by_hand && on(&view.stage));
    loads.map(|view| view.spec.name.as_str()).find(|name| of_it(name))
}

/// An answer of the host.
pub fn reply(ui: &mut Ui, reply: &Reply) {
    match reply {
        Reply::Catalogue(catalogue) => {
            ui.gameday.catalogue = Some(catalogue.clone());
            ui.gameday.cursor = ui.gameday.cursor.min(ui.gameday.rows().saturating_sub(1));
        }
        Reply::FaultPlanned { form, preview } => {
            if let Step::Plan(open, waiting @ None) = &mut ui.gameday.step
                && open.filled() == *form
            {
                match preview {
                    Ok(preview) => *waiting = Some(preview.clone()),
                    Err(problems) => back_to_form(ui, problems.clone()),
                }
            }
        }
        Reply::Failed { request: Request::PlanFault(form), error } => {
            if matches!(&ui.gameday.step, Step::Plan(open, None) if open.filled() == *form) {
                back_to_form(ui, vec![error.clone()]);
            }
        }
        Reply::Done { request: Request::InjectFault(form) } => {
            let target = form.values.get("workload").or_else(|| form.values.get("selector"));
            let target = target.map_or_else(String::new, |target| format!(" {target}"));
            ui.toast(format!("injected: {}{target}", form.kind), Role::Fault);
        }
        Reply::Done { request: Request::StartLoad { load } } => {
            ui.toast(format!("{load} has started"), Role::Load)
        }
        Reply::Done { request: Request::StopLoad { load } } => {
            ui.toast(format!("{load} is being stopped"), Role::Load);
        }
        _ => {}
    }
}

fn back_to_form(ui: &mut Ui, problems: Vec<String>) {
    if let Step::Plan(mut form, _) = std::mem::take(&mut ui.gameday.step) {
        form.problems = problems;
        ui.gameday.step = Step::Form(form);
    }
}
