//! The pods view.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, overview};
use crate::{
    app::{Hook, List},
    keys::Action,
};

/// What the person has chosen in this view.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodsUi {}

/// An action in this view. True if it was taken; else the view's frame does what it always does.
pub fn act(_hook: &mut Hook<'_>, _action: Action) -> bool {
    false
}

/// Draws the view.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    overview::panel(cx, List::Pods, area, buf);
}

/// An answer of the host: descriptions and logs.
pub fn reply(_ui: &mut crate::app::Ui, _reply: &crate::Reply) {}
