//! The log view: every line that people may want, with a filter by text and by subject.
//!
//! ```text
//! ▸log  only alert  /api (12 of 830)───────────────────────────
//!    +0.1s  run      embedded (https://127.0.0.1:1), Kubernetes
//!   +13.7s  alert    alert pending: APIServiceDown{service="api"}
//! ▸ +18.7s  alert    alert firing: APIServiceDown{service="api"}
//! ─event 812 of the run─────────────────────────────────────────   after Enter: the whole of a long line,
//!   alert firing: ...                                               and the end of a log excerpt that it is about
//! ```

use harness_event::{
    PodLog,
    state::{LogLineView, Subject, Tone},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Cx,
    detail::{self, TIME},
    rows,
};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
};

/// Columns of the subject.
const SUBJECT: usize = 8;
/// Columns before the text: mark of the cursor, time, mark of the tone, subject.
const MARGIN: usize = 1 + TIME + 1 + 2 + SUBJECT + 1;
/// Rows of the whole line, title included.
const WHOLE: u16 = 6;

/// Draws the view.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let chosen = cx.index.log.get(cx.ui.lists[List::Log].cursor).and_then(|place| cx.state.log.get(*place));
    let whole = chosen.filter(|_| cx.ui.details && area.height >= 2 * WHOLE);
    let excerpt = whole.and_then(|line| excerpt(cx, line));
    let below = match (whole, excerpt) {
        (None, _) => 0,
        (Some(_), None) => WHOLE,
        (Some(_), Some(_)) => area.height / 2,
    };
    let list = Rect { height: area.height - below, ..area };
    let order = rows::order(cx, List::Log, cx.state.log.len());
    let inner = paint::panel(buf, cx.theme, list, "log", &order, true);
    if cx.state.log.is_empty() {
        Pen::new(buf, cx.theme, inner, 0).put("  nothing yet", Role::Dim);
    }
    match cx.ui.wrap {
        true => wrapped(cx, inner, buf),
        false => rows::rows(cx, List::Log, true, inner, buf, |pen, row| {
            if let Some(line) = cx.index.log.get(row).and_then(|place| cx.state.log.get(*place)) {
                head(cx, pen, line);
                pen.put(&spelled(cx, &line.text), line.tone.into());
            }
        }),
    }
    if let Some(line) = whole {
        let area = Rect { y: list.bottom(), height: below, ..area };
        let mut text = detail::Text::new(area.width);
        text.wrapped(2, &spelled(cx, &line.text), line.tone.into());
        for line in excerpt.iter().flat_map(|log| &log.lines) {
            text.raw(cx, 2, &line.text, Role::Plain);
        }
        text.render_end(cx, area, buf, &format!("event {} of the run", line.seq), &line.at.to_string());
    }
}

/// The excerpt of a pod's log that a line is about.
fn excerpt<'a>(cx: &Cx<'a>, line: &LogLineView) -> Option<&'a PodLog> {
    if line.subject != Subject::Cluster || !line.text.starts_with("log of pod/") {
        return None;
    }
    cx.state.pod_logs.iter().find(|log| harness_event::narrate::excerpt(log) == line.text)
}

/// Time, tone and subject. The tone has a symbol as well as a colour.
fn head(cx: &Cx<'_>, pen: &mut Pen<'_>, line: &LogLineView) {
    let symbols = cx.theme.symbols();
    let mark = match line.tone {
        Tone::Good => symbols.good,
        Tone::Bad => symbols.bad,
        Tone::Warn => "!",
        Tone::Dim | Tone::Strong | Tone::Plain => " ",
    };
    pen.cell(&detail::time(cx, line.elapsed), TIME, true, Role::Dim).skip(1);
    pen.put(mark, line.tone.into()).skip(1).cell(name(line.subject), SUBJECT, false, Role::Dim).skip(1);
}

/// Lines of several rows each: as many as fit around the cursor.
fn wrapped(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let rows = usize::from(area.height);
    let columns = usize::from(area.width).saturating_sub(MARGIN).max(8);
    let line = |row: usize| cx.index.log.get(row).and_then(|place| cx.state.log.get(*place));
    let broken = |row: usize| line(row).map(|line| paint::wrap(&spelled(cx, &line.text), columns));
    let cursor = cx.ui.lists[List::Log].cursor;
    // From the cursor up, as far as half of the rows go, or all of them at the end of the log.
    let last = cursor + 1 >= cx.index.log.len();
    let (mut first, mut used) = (cursor, broken(cursor).map_or(0, |lines| lines.len()));
    while first > 0 {
        let more = broken(first - 1).map_or(0, |lines| lines.len());
        if used + more > if last { rows } else { rows.div_ceil(2) } {
            break;
        }
        (first, used) = (first - 1, used + more);
    }
    let mut y = 0;
    for row in first.. {
        let (Some(line), Some(lines)) = (line(row), broken(row)) else { return };
        let from = y;
        for (index, text) in lines.iter().enumerate() {
            if y >= area.height {
                break;
            }
            let mut pen = Pen::new(buf, cx.theme, area, y);
            let selected = row == cursor && index == 0;
            pen.put(if selected { cx.theme.symbols().selected } else { " " }, Role::Accent);
            match index {
                0 => head(cx, &mut pen, line),
                _ => {
                    pen.skip(MARGIN - 1);
                }
            }
            pen.put(text, line.tone.into());
            y += 1;
        }
        if row == cursor {
            paint::over(buf, cx.theme, Rect { y: area.y + from, height: y - from, ..area }, Role::Selected);
        }
        if y >= area.height {
            return;
        }
    }
}

/// The narrator writes arrows in Unicode.
fn spelled<'t>(cx: &Cx<'_>, text: &'t str) -> std::borrow::Cow<'t, str> {
    match cx.theme.unicode || !text.contains('→') {
        true => text.into(),
        false => text.replace('→', "->").into(),
    }
}

/// Name of a subject, as the filter knows it.
pub(crate) fn name(subject: Subject) -> &'static str {
    match subject {
        Subject::Run => "run",
        Subject::Fault => "fault",
        Subject::Load => "load",
        Subject::Alert => "alert",
        Subject::Cluster => "cluster",
        Subject::Slo => "slo",
        Subject::Probe => "probe",
        Subject::Note => "note",
    }
}
