//! What lies over the view: the table of keys, questions, texts that are typed.

mod field;
mod help;

use harness_event::{Millis, RunState, state::Progress};

use ratatui::{buffer::Buffer, layout::Rect};

pub use field::TextField;
pub use help::help_lines;

use super::Cx;
use crate::{
    app::Dialog,
    gameday,
    paint::{self, Pen},
    theme::Role,
};

/// Draws lines of a text from `scroll` on, and at the lower border how many more there are.
fn lines(
    cx: &Cx<'_>,
    inner: Rect,
    buf: &mut Buffer,
    scroll: usize,
    length: usize,
    draw: impl Fn(&mut Pen<'_>, usize),
) {
    let rows = usize::from(inner.height);
    let first = scroll.min(length.saturating_sub(rows));
    for row in 0..rows.min(length - first) {
        draw(&mut Pen::new(buf, cx.theme, inner, row as u16), first + row);
    }
    if first + rows < length && rows > 0 {
        let more = format!(" {} more ", length - first - rows);
        let border = Rect { y: inner.bottom(), height: 1, ..inner };
        Pen::new(buf, cx.theme, border, 0).right(paint::width(&more)).put(&more, Role::Strong);
    }
}

/// What there is to say about an expectation.
#[must_use]
pub fn expectation(state: &RunState, place: usize, now: Millis) -> Option<Dialog> {
    let view = state.expectations.get(place)?;
    let planned = state.plan.as_ref().and_then(|plan| plan.expectations.get(place));
    let mut text = vec![view.title.clone(), String::new(), super::overview::progress(view, now)];
    if let Some(planned) = planned {
        text.push(format!("Its clock starts with {}.", planned.fault));
        text.push(format!("Line {} of {}.", planned.line, state.scenario));
    }
    if !matches!(view.progress, Progress::Judged { .. }) {
        text.push("So far this is what polling shows; the verdict rests on the recorded evidence.".into());
    }
    Some(Dialog::Text { title: view.id.clone(), text, scroll: 0 })
}

/// Draws the open dialog, if any.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    match &cx.ui.dialog {
        None => {}
        Some(Dialog::Help { scroll }) => help::render(cx, *scroll, area, buf),
        Some(Dialog::Confirm(confirm)) => {
            let columns = area.width.saturating_sub(4).min(64);
            let mut lines = Vec::new();
            for line in &confirm.consequences {
                lines.extend(paint::wrap(line, usize::from(columns)));
            }
            let question = paint::wrap(&confirm.question, usize::from(columns));
            let rows = (question.len() + lines.len() + 3) as u16;
            let inner = paint::dialog(buf, cx.theme, area, columns, rows, "confirm");
            let mut row = 0;
            for line in &question {
                Pen::new(buf, cx.theme, inner, row).put(line, Role::Strong);
                row += 1;
            }
            for line in &lines {
                Pen::new(buf, cx.theme, inner, row).put(line, Role::Plain);
                row += 1;
            }
            // The answer must be in sight, whatever else is not.
            let row = (row + 1).min(inner.height.saturating_sub(1));
            paint::blank(buf, Rect { y: inner.y + row, height: u16::from(inner.height > 0), ..inner });
            Pen::new(buf, cx.theme, inner, row)
                .put("y", Role::Accent)
                .put(" yes  ", Role::Plain)
                .put("n", Role::Accent)
                .put(" no", Role::Plain);
        }
        Some(Dialog::Note(field)) => {
            let columns = area.width.saturating_sub(4).min(76);
            let inner = paint::dialog(buf, cx.theme, area, columns, 3, "note");
            field.render(cx, Rect { height: 1.min(inner.height), ..inner }, buf);
            Pen::new(buf, cx.theme, inner, 2)
                .put("Enter", Role::Accent)
                .put(" write it into the log  ", Role::Plain)
                .put("Esc", Role::Accent)
                .put(" leave it", Role::Plain);
        }
        Some(Dialog::Filter { field, .. }) => {
            // In the footer's row: the list above shows what it does.
            let row = Rect { y: area.bottom().saturating_sub(1), height: 1.min(area.height), ..area };
            paint::blank(buf, row);
            Pen::new(buf, cx.theme, row, 0).put("/", Role::Accent);
            let rest = Rect { x: row.x + 1.min(row.width), width: row.width.saturating_sub(1), ..row };
            field.render(cx, rest, buf);
            let hint = "Enter keep  Esc as before  !text not";
            if usize::from(row.width) > paint::width(hint) + 30 {
                Pen::new(buf, cx.theme, row, 0).right(paint::width(hint)).put(hint, Role::Dim);
            }
        }
        Some(Dialog::Text { title, text, scroll }) => {
            let columns = area.width.saturating_sub(4).min(76);
            let lines: Vec<String> =
                text.iter().flat_map(|line| paint::wrap(line, usize::from(columns))).collect();
            let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX);
            let inner = paint::dialog(buf, cx.theme, area, columns, rows, title);
            self::lines(cx, inner, buf, *scroll, lines.len(), |pen, row| {
                pen.put(&lines[row], Role::Plain);
            });
        }
        Some(Dialog::GameDay) => gameday::render(cx, area, buf),
    }
}
