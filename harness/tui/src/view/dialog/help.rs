//! The table of keys.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    keys::{BINDINGS, Mode},
    paint::{self, Pen},
    theme::Role,
    view::Cx,
};

/// Keys and what they do, for a mode.
#[must_use]
pub fn help_lines(mode: Mode) -> Vec<(String, String)> {
    let shown = BINDINGS.iter().filter(|binding| binding.scope.is_in(mode));
    let line = |binding: &crate::keys::Binding| {
        let keys: Vec<_> = binding.keys.iter().map(ToString::to_string).collect();
        let danger = match binding.danger {
            "" => String::new(),
            danger => format!(" ({danger})"),
        };
        (keys.join(" "), format!("{}{danger}", binding.help))
    };
    shown.map(line).collect()
}

/// Draws the table, from its line `scroll` on.
pub(super) fn render(cx: &Cx<'_>, scroll: usize, area: Rect, buf: &mut Buffer) {
    let lines = help_lines(cx.ui.mode);
    let keys = lines.iter().map(|(keys, _)| paint::width(keys)).max().unwrap_or(0) + 2;
    let text = lines.iter().map(|(_, help)| paint::width(help)).max().unwrap_or(0);
    let title = "keys (Esc closes, j k scroll)";
    let inner = paint::dialog(buf, cx.theme, area, (keys + text) as u16, lines.len() as u16, title);
    let rows = usize::from(inner.height);
    let first = scroll.min(lines.len().saturating_sub(rows));
    for (row, (key, help)) in lines.iter().skip(first).take(rows).enumerate() {
        let mut pen = Pen::new(buf, cx.theme, inner, row as u16);
        pen.cell(key, keys.min(usize::from(inner.width) / 2), false, Role::Accent).put(help, Role::Plain);
    }
    if first + rows < lines.len() && rows > 0 {
        let more = format!(" {} more ", lines.len() - first - rows);
        let last = Rect { y: inner.bottom(), height: 1, ..inner };
        Pen::new(buf, cx.theme, last, 0).right(paint::width(&more)).put(&more, Role::Strong);
    }
}
