//! Everything on one screen.

use ratatui::{buffer::Buffer, layout::Rect};

use super::Cx;
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
};

/// Panels that can have the focus on a screen of this size, in their order.
#[must_use]
pub fn panels(_size: (u16, u16)) -> Vec<List> {
    List::ALL.to_vec()
}

/// Draws the overview.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    panel(cx, cx.ui.focus, area, buf);
}

/// Draws one list as it stands in the overview, with its title.
pub fn panel(cx: &Cx<'_>, list: List, area: Rect, buf: &mut Buffer) {
    let inner = paint::panel(buf, cx.theme, area, &format!("{list:?}"), "", true);
    Pen::new(buf, cx.theme, inner, 0).put(&cx.index.rows(list).to_string(), Role::Plain);
}
