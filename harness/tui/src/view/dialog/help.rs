//! The table of keys.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    keys::{BINDINGS, Binding, Mode},
    paint,
    theme::Role,
    view::Cx,
};

/// Widest text beside the keys.
const TEXT: usize = 78;

/// Keys and what they do, for a mode, on a screen of so many columns: a row has keys, or goes on with the text before.
#[must_use]
pub fn help_lines(mode: Mode, columns: u16) -> Vec<(String, String)> {
    let shown = || BINDINGS.iter().filter(|binding| binding.scope.is_in(mode));
    let widest = shown().map(|binding| paint::width(&keys(binding))).max().unwrap_or(0) + 2;
    let text = usize::from(columns).saturating_sub(widest + 4).clamp(8, TEXT);
    let mut lines = Vec::new();
    for binding in shown() {
        let help = match binding.danger {
            "" => binding.help.to_owned(),
            danger => format!("{} ({danger})", binding.help),
        };
        for (row, line) in paint::wrap(&help, text).into_iter().enumerate() {
            lines.push((if row == 0 { keys(binding) } else { String::new() }, line));
        }
    }
    lines
}

fn keys(binding: &Binding) -> String {
    binding.keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// Draws the table, from its line `scroll` on.
pub(super) fn render(cx: &Cx<'_>, scroll: usize, area: Rect, buf: &mut Buffer) {
    let lines = help_lines(cx.ui.mode, area.width);
    let keys = lines.iter().map(|(keys, _)| paint::width(keys)).max().unwrap_or(0) + 2;
    let text = lines.iter().map(|(_, help)| paint::width(help)).max().unwrap_or(0);
    let title = "keys (Esc closes, j k scroll)";
    let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let inner = paint::dialog(buf, cx.theme, area, (keys + text) as u16, rows, title);
    super::lines(cx, inner, buf, scroll, lines.len(), |pen, row| {
        let (key, help) = &lines[row];
        let column = keys.min(pen.left() / 2);
        pen.cell(key, column, false, Role::Accent).put(help, Role::Plain);
    });
}
