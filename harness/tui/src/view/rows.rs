//! Rows of a list with a cursor.

use harness_event::state::LoadStage;
use ratatui::{buffer::Buffer, layout::Rect};

use super::Cx;
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
};

/// Draws rows of a list so that the cursor is in sight. `draw` gets a pen after the mark of the selected row, and the row's number.
pub fn rows(
    cx: &Cx<'_>,
    list: List,
    focused: bool,
    area: Rect,
    buf: &mut Buffer,
    mut draw: impl FnMut(&mut Pen<'_>, usize),
) {
    let length = cx.index.rows(list);
    let shown = usize::from(area.height);
    let cursor = cx.ui.lists[list].cursor;
    // Without the focus the top of the list matters, but of the log its end, and of loads the last that runs.
    let looked_at = match list {
        _ if focused => cursor,
        List::Log => cursor,
        List::Loads => running(cx),
        _ => 0,
    };
    let first = paint::first_row(length, shown, looked_at);
    for row in 0..shown.min(length - first.min(length)) {
        let selected = focused && first + row == cursor;
        let mut pen = Pen::new(buf, cx.theme, area, row as u16);
        pen.put(if selected { cx.theme.symbols().selected } else { " " }, Role::Accent);
        draw(&mut pen, first + row);
        if selected {
            let line = Rect { y: area.y + row as u16, height: 1, ..area };
            paint::over(buf, cx.theme, line, Role::Selected);
        }
    }
    if length == 0 && !cx.ui.lists[list].filter.is_empty() {
        Pen::new(buf, cx.theme, area, 0).put("  nothing matches the filter", Role::Dim);
    }
}

/// The row of the load that matters if nobody has chosen: the last of those that run.
#[must_use]
pub fn running(cx: &Cx<'_>) -> usize {
    let runs =
        |place: &usize| cx.state.loads.get(*place).is_some_and(|load| load.stage == LoadStage::Running);
    cx.index.loads.iter().rposition(runs).unwrap_or(0)
}

/// What a list's title says of its order: `/filter`, `by name`, `12 of 5000`.
#[must_use]
pub fn order(cx: &Cx<'_>, list: List, all: usize) -> String {
    let order = &cx.ui.lists[list];
    let mut parts = Vec::new();
    if !order.filter.is_empty() {
        parts.push(format!("/{} ({} of {all})", order.filter, cx.index.rows(list)));
    }
    if order.column > 0 || order.reverse {
        let column = list.columns().get(order.column).copied().unwrap_or_default();
        let what = match list {
            List::Log if order.column == 0 => String::new(),
            List::Log => format!("only {column}"),
            _ => format!("by {column}"),
        };
        let turned = if order.reverse { "reversed" } else { "" };
        let words = [what, turned.to_owned()];
        parts.extend(words.into_iter().filter(|word| !word.is_empty()).reduce(|a, b| a + " " + &b));
    }
    parts.join(", ")
}
