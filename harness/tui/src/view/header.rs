//! The run in one or two rows.

use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, text};
use crate::{paint::Pen, theme::Role};

/// Rows that the header takes.
pub(super) fn rows(_cx: &Cx<'_>, _area: Rect) -> u16 {
    1
}

/// Draws it.
pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    Pen::new(buf, cx.theme, area, 0)
        .put(&cx.state.run, Role::Strong)
        .put(" ", Role::Plain)
        .put(&text::clock(cx.now), Role::Plain);
}
