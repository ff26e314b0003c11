//! Game days: dialogs to inject faults and to start and stop loads by hand.
//!
//! Seams to the rest of the view: [`act`] gets every action that no view took (`i` and `o` open the dialogs: set
//! `ui.dialog = Some(Dialog::GameDay)`), [`key`] every key while a dialog is open but Ctrl-C, [`reply`] every answer of the host, and
//! [`render`] draws over the view.

use crossterm::event::{KeyCode, KeyEvent};
use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    Reply,
    app::{Hook, Ui},
    keys::Action,
    view::Cx,
};

/// State of the dialogs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GameDayUi {}

/// An action in a game day. True if it was taken.
pub fn act(_hook: &mut Hook<'_>, _action: Action) -> bool {
    false
}

/// A key while a dialog is open.
pub fn key(hook: &mut Hook<'_>, key: &KeyEvent) {
    if key.code == KeyCode::Esc {
        hook.ui.dialog = None;
    }
}

/// An answer of the host.
pub fn reply(_ui: &mut Ui, _reply: &Reply) {}

/// Draws the open dialog over the view.
pub fn render(_cx: &Cx<'_>, _area: Rect, _buf: &mut Buffer) {}
