//! The end of the log: `time  mark  text`.

use harness_event::{
    Timestamp,
    state::{LogLineView, Tone},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, focused};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::{Role, Theme},
    view::{rows, text},
};

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let order = rows::order(cx, List::Log, cx.state.log.len());
    let focused = focused(cx, List::Log);
    let inner = paint::panel(buf, cx.theme, area, "log", &order, focused);
    rows::rows(cx, List::Log, focused, inner, buf, |pen, row| {
        if let Some(line) = cx.index.log.get(row).and_then(|place| cx.state.log.get(*place)) {
            write(cx, pen, line);
        }
    });
}

/// One line of the log.
pub(super) fn write(cx: &Cx<'_>, pen: &mut Pen<'_>, line: &LogLineView) {
    let time = if cx.ui.wall_clock { time_of_day(line.at) } else { text::clock(line.elapsed) };
    let (mark, role) = mark(cx.theme, line.tone);
    pen.cell(&time, if cx.ui.wall_clock { 8 } else { 6 }, true, Role::Dim).skip(1);
    pen.put(mark, role).skip(1).put(&line.text, role);
}

fn time_of_day(at: Timestamp) -> String {
    at.clock().chars().take(8).collect()
}

/// What a tone looks like, beside its colour.
fn mark(theme: &Theme, tone: Tone) -> (&'static str, Role) {
    let symbols = theme.symbols();
    let mark = match tone {
        Tone::Good => symbols.good,
        Tone::Bad => symbols.bad,
        Tone::Warn => "!",
        Tone::Dim | Tone::Strong | Tone::Plain => " ",
    };
    (mark, tone.into())
}
