//! What the detail views share: a list with more about the selected row, and text of many lines.
//!
//! ```text
//! small screen, or after Enter         large screen, before Enter
//! ┌──────────────────────────┐         ┌──────────────────────────┐
//! │ list                     │         │ list                     │
//! │                          │  Enter  │                          │
//! │                          │ ──────▶ ├──────────────────────────┤
//! │                          │         │ more about the selected  │
//! └──────────────────────────┘         └──────────────────────────┘
//! ```

use harness_event::Millis;
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, text};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
};

/// From this height on a list leaves room for more about the selected row.
const PREVIEW_FROM: u16 = 26;

/// Where the list and the details go.
pub(super) fn split(cx: &Cx<'_>, list: List, area: Rect) -> (Option<Rect>, Option<Rect>) {
    if cx.ui.details && cx.index.rows(list) > 0 {
        return (None, Some(area));
    }
    if area.height < PREVIEW_FROM || cx.index.rows(list) == 0 {
        return (Some(area), None);
    }
    // Title, head, and a row each.
    let wanted = u16::try_from(cx.index.rows(list)).unwrap_or(u16::MAX).saturating_add(2);
    let height = wanted.clamp(4, area.height * 2 / 5);
    let rest = Rect { y: area.y + height, height: area.height - height, ..area };
    (Some(Rect { height, ..area }), Some(rest))
}

/// Part of a line.
type Part = (String, Role);

/// Lines that can be scrolled.
#[derive(Debug, Default)]
pub(super) struct Text {
    lines: Vec<Vec<Part>>,
    columns: usize,
}

/// Width of the labels on the left.
const LABEL: usize = 14;

impl Text {
    /// For an area of this width.
    pub(super) fn new(columns: u16) -> Self {
        Self { lines: Vec::new(), columns: usize::from(columns) }
    }

    /// A line of parts.
    pub(super) fn line(&mut self, parts: Vec<Part>) -> &mut Self {
        self.lines.push(parts);
        self
    }

    /// Columns that there are.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn blank(&mut self) -> &mut Self {
        self.line(Vec::new())
    }

    /// A heading, with a blank line before it.
    pub(super) fn heading(&mut self, text: &str) -> &mut Self {
        if !self.lines.is_empty() {
            self.blank();
        }
        self.line(vec![(text.to_owned(), Role::Strong)])
    }

    /// A label and its value; long values go on below it.
    pub(super) fn field(&mut self, label: &str, value: &str, role: Role) -> &mut Self {
        let columns = self.columns.saturating_sub(LABEL).max(8);
        for (index, line) in paint::wrap(value, columns).into_iter().enumerate() {
            let label = if index == 0 { format!("{label:<LABEL$}") } else { " ".repeat(LABEL) };
            self.line(vec![(label, Role::Dim), (line, role)]);
        }
        self
    }

    /// A text after a blank margin, wrapped.
    pub(super) fn wrapped(&mut self, margin: usize, text: &str, role: Role) -> &mut Self {
        let columns = self.columns.saturating_sub(margin).max(8);
        for line in paint::wrap(text, columns) {
            self.line(vec![(" ".repeat(margin), Role::Plain), (line, role)]);
        }
        self
    }

    /// A line as it is: cut at the right, or wrapped if the person wants that.
    pub(super) fn raw(&mut self, cx: &Cx<'_>, margin: usize, text: &str, role: Role) -> &mut Self {
        match cx.ui.wrap {
            true => self.wrapped(margin, text, role),
            false => self.line(vec![(" ".repeat(margin), Role::Plain), (text.to_owned(), role)]),
        }
    }

    /// Draws what is in sight under a title. The scroll position counts only when the details have the keys.
    pub(super) fn render(&self, cx: &Cx<'_>, area: Rect, buf: &mut Buffer, title: &str, note: &str) {
        let first = if cx.ui.details { cx.ui.scroll } else { 0 };
        self.render_from(cx, first, area, buf, title, note);
    }

    /// Draws the end of it.
    pub(super) fn render_end(&self, cx: &Cx<'_>, area: Rect, buf: &mut Buffer, title: &str, note: &str) {
        self.render_from(cx, usize::MAX, area, buf, title, note);
    }

    fn render_from(&self, cx: &Cx<'_>, first: usize, area: Rect, buf: &mut Buffer, title: &str, note: &str) {
        let room = usize::from(area.height.saturating_sub(1));
        let first = first.min(self.lines.len().saturating_sub(room));
        let told = if self.lines.len() > room {
            let separator = if note.is_empty() { "" } else { "  " };
            let last = (first + room).min(self.lines.len());
            format!("{note}{separator}{}-{last} of {}", first + 1, self.lines.len())
        } else {
            note.to_owned()
        };
        let inner = paint::panel(buf, cx.theme, area, title, &told, cx.ui.details);
        let rows = self.lines.iter().skip(first).take(usize::from(inner.height));
        for (row, parts) in rows.enumerate() {
            let mut pen = Pen::new(buf, cx.theme, inner, row as u16);
            for (text, role) in parts {
                pen.put(text, *role);
            }
        }
    }
}

/// A time of the run: since its start, or the time of day in UTC.
pub(super) fn time(cx: &Cx<'_>, at: Millis) -> String {
    match cx.ui.wall_clock {
        true => {
            let clock = (cx.state.started_at + at).clock();
            clock.get(..clock.len() - 2).unwrap_or(&clock).to_owned()
        }
        false => format!("+{}", text::length(at)),
    }
}

/// A time of the run in the columns that [`time`] needs at most.
pub(super) const TIME: usize = 10;

/// How long after something before it: ` (2.1s later)`.
pub(super) fn later(from: Option<Millis>, to: Millis) -> String {
    from.map_or_else(String::new, |from| format!(" ({} later)", text::length(to - from)))
}

#[cfg(test)]
mod tests;
