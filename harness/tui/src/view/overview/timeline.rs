//! Phases, faults, loads and alerts on one time axis, with a mark for now.
//!
//! ```text
//! ─timeline────────────────────────────────────────────────────────────
//!  phases         prepare│baseline│fault           │heal│recovery   │
//!  database-down  ░░░░░░░░░░░░░░░░░████████████████████┃░░░
//!  visitors                  ▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅┃
//!  APIServiceDown                       ▒▒▒▒██████████┃
//!                 0:00────────0:30────────1:00────────┃1:30───
//! ```

use harness_event::{
    Millis,
    state::{AlertKind, AlertPhase, AlertView, FaultStage, FaultView, LoadView},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, focused, layout::Want};
use crate::{
    app::{List, Timescale, has_fired},
    keys::Mode,
    paint::{self, Pen},
    theme::Role,
    view::{
        chart,
        schedule::{Schedule, Span},
        text,
    },
};

/// Columns for the names of the rows, on narrow screens and on others.
const NAMES: [u16; 2] = [16, 22];
/// Most rows for alerts.
const ALERTS: usize = 5;
/// Lengths between two numbers on the axis, in seconds.
const STEPS: [i64; 14] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600];

pub(super) fn want(cx: &Cx<'_>) -> Want {
    let rows = 3 + cx.state.faults.len() + cx.state.loads.len() + alerts(cx).count();
    let rows = u16::try_from(rows).unwrap_or(u16::MAX);
    Want { least: rows.min(5), most: rows.min(14) }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let scale = match cx.ui.timescale {
        Timescale::Auto => String::new(),
        Timescale::Last(seconds) => format!("last {}", text::window(Millis::from_secs(seconds))),
    };
    let order = crate::view::rows::order(cx, List::Faults, cx.state.faults.len());
    let note = [scale, order].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
    let inner = paint::panel(buf, cx.theme, area, "timeline", &note, focused(cx, List::Faults));
    if inner.height < 2 || inner.width <= NAMES[1] + 8 {
        return;
    }
    let axis = Axis::new(cx, inner);
    let body = Rect { height: inner.height - 1, ..inner };
    draw_phases(cx, &axis, body, buf);
    for (row, item) in (1..).zip(items(cx, usize::from(body.height - 1))) {
        match item {
            Item::Fault(fault, selected) => draw_fault(cx, &axis, fault, selected, body, row, buf),
            Item::Load(load) => draw_load(cx, &axis, load, body, row, buf),
            Item::Alert(alert) => draw_alert(cx, &axis, alert, body, row, buf),
        }
    }
    draw_axis(cx, &axis, inner, buf);
}

enum Item<'a> {
    Fault(&'a FaultView, bool),
    Load(&'a LoadView),
    Alert(&'a AlertView),
}

/// Rows, so many at most: every kind has its share, and what goes on comes before what is over.
fn items<'a>(cx: &Cx<'a>, rows: usize) -> Vec<Item<'a>> {
    let cursor = focused(cx, List::Faults).then(|| cx.ui.lists[List::Faults].cursor);
    let mut faults: Vec<_> = cx
        .index
        .faults
        .iter()
        .enumerate()
        .filter_map(|(row, place)| Some((cx.state.faults.get(*place)?, cursor == Some(row))))
        .collect();
    let mut loads: Vec<_> = cx.state.loads.iter().collect();
    let mut alerts: Vec<_> = alerts(cx).collect();
    let share = |others: usize| rows.saturating_sub(others.min(rows / 2)).max(1);
    if faults.len() > share(loads.len() + alerts.len()) {
        faults.sort_by_key(|(fault, selected)| (!selected, fault.stage == FaultStage::Reverted));
        faults.truncate(share(loads.len() + alerts.len()));
    }
    let rest = rows.saturating_sub(faults.len());
    let for_loads =
        if alerts.is_empty() { rest } else { rest.saturating_sub(alerts.len().min(rest.div_ceil(2))) };
    if loads.len() > for_loads {
        loads.sort_by_key(|load| load.ended.is_some());
        loads.truncate(for_loads);
    }
    alerts.truncate(rest.saturating_sub(loads.len()));
    let faults = faults.into_iter().map(|(fault, selected)| Item::Fault(fault, selected));
    faults
        .chain(loads.into_iter().map(Item::Load))
        .chain(alerts.into_iter().map(Item::Alert))
        .take(rows)
        .collect()
}

/// Alerts worth a row: those that are active first, then others that were.
fn alerts<'a>(cx: &Cx<'a>) -> impl Iterator<Item = &'a AlertView> + use<'a> {
    let (state, index) = (cx.state, cx.index);
    let views = index.alerts.iter().filter_map(move |labels| state.alerts.get(labels));
    let tells = |alert: &&AlertView| alert.state != AlertPhase::Inactive || has_fired(alert);
    views.filter(|alert| alert.kind != AlertKind::Allowed).filter(tells).take(ALERTS)
}

/// The time that is shown, on the columns right of the names.
struct Axis {
    x: u16,
    columns: u16,
    from: Millis,
    to: Millis,
    now: Millis,
    zero: Option<Millis>,
}

impl Axis {
    fn new(cx: &Cx<'_>, area: Rect) -> Self {
        let schedule = Schedule::of(cx.state);
        let (from, to) = match cx.ui.timescale {
            Timescale::Last(seconds) => (cx.now - Millis::from_secs(seconds), cx.now),
            Timescale::Auto => {
                // A replay knows its end; a run that is over has one.
                let planned = schedule.end.filter(|_| !cx.state.finished && cx.ui.mode != Mode::Replay);
                let end = planned.unwrap_or(cx.ui.playback.length).max(cx.now);
                (Millis(0), end.max(Millis::from_secs(10)))
            }
        };
        let columns = area.width - names(area);
        Self { x: area.x + names(area), columns, from, to, now: cx.now, zero: schedule.zero }
    }

    /// The column of a time, also outside of what is shown.
    fn column(&self, at: Millis) -> i64 {
        let length = (self.to - self.from).0.max(1);
        let offset = i128::from(at.0) - i128::from(self.from.0);
        (offset * i128::from(self.columns.saturating_sub(1)) / i128::from(length)) as i64
    }

    /// Columns from a time to another, as far as they are shown: first, and how many.
    fn range(&self, from: Millis, to: Millis) -> (u16, u16) {
        let last = i64::from(self.columns) - 1;
        let (first, end) = (self.column(from).clamp(0, last + 1), self.column(to).clamp(-1, last));
        if end < 0 || first > last {
            return (0, 0);
        }
        (first as u16, (end - first + 1).max(0) as u16)
    }

    fn pen<'a>(&self, cx: &'a Cx<'_>, buf: &'a mut Buffer, area: Rect, row: u16, column: u16) -> Pen<'a> {
        let skipped = (self.x - area.x) + column;
        let rest = Rect { x: area.x + skipped, width: area.width.saturating_sub(skipped), ..area };
        Pen::new(buf, cx.theme, rest, row)
    }

    /// Fills the columns from a time to another.
    fn bar(
        &self,
        cx: &Cx<'_>,
        buf: &mut Buffer,
        (area, row): (Rect, u16),
        (from, to): (Millis, Millis),
        symbol: &str,
        role: Role,
    ) {
        let (first, many) = self.range(from, to);
        if many > 0 {
            self.pen(cx, buf, area, row, first).put(&symbol.repeat(usize::from(many)), role);
        }
    }

    /// The mark for now, over what is there.
    fn now(&self, cx: &Cx<'_>, buf: &mut Buffer, area: Rect, row: u16) {
        let column = self.column(self.now);
        if (0..i64::from(self.columns)).contains(&column) {
            self.pen(cx, buf, area, row, column as u16).put(cx.theme.symbols().now, Role::Accent);
        }
    }
}

fn names(area: Rect) -> u16 {
    if area.width < 110 { NAMES[0] } else { NAMES[1] }
}

fn name(cx: &Cx<'_>, buf: &mut Buffer, area: Rect, row: u16, mark: &str, text: &str, role: Role) {
    let mut pen = Pen::new(buf, cx.theme, area, row);
    pen.put(mark, role).cell(text, usize::from(names(area)) - 2, false, role);
}

fn draw_phases(cx: &Cx<'_>, axis: &Axis, area: Rect, buf: &mut Buffer) {
    name(cx, buf, area, 0, " ", "phases", Role::Dim);
    for (place, span) in cx.state.phases.iter().enumerate() {
        // The verdict's phase ends with the run.
        let to = span.to.unwrap_or(axis.now);
        let (first, many) = axis.range(span.from, to);
        if many == 0 {
            continue;
        }
        let current = place + 1 == cx.state.phases.len() && !cx.state.finished;
        let mut pen = axis.pen(cx, buf, area, 0, first);
        pen.put(cx.theme.symbols().vertical, Role::Dim);
        let text = span.phase.to_string();
        let room = usize::from(many - 1);
        let role = if current { Role::Strong } else { Role::Dim };
        if current {
            pen.put(&text, role);
        } else if room > 0 {
            pen.cell(&text, room, false, role);
        }
    }
}

fn draw_fault(
    cx: &Cx<'_>,
    axis: &Axis,
    fault: &FaultView,
    selected: bool,
    area: Rect,
    row: u16,
    buf: &mut Buffer,
) {
    let symbols = cx.theme.symbols();
    let (mark, role) = match &fault.stage {
        FaultStage::Waiting => (symbols.not_yet, Role::Dim),
        FaultStage::Applying | FaultStage::Applied | FaultStage::Active | FaultStage::Reverting => {
            (symbols.fault, Role::Fault)
        }
        FaultStage::Reverted => (symbols.good, Role::Plain),
        FaultStage::Failed(_) | FaultStage::LeftBehind(_) => (symbols.bad, Role::Bad),
    };
    name(cx, buf, area, row, if selected { symbols.selected } else { mark }, &fault.spec.name, role);
    let span = Span::of_fault(fault, axis.zero);
    if let (Some(start), Some(end)) = (span.start, span.end) {
        axis.bar(cx, buf, (area, row), (start, end), symbols.planned, Role::Dim);
    }
    if let Some(applied) = fault.applied {
        let real = fault.reverted.unwrap_or(axis.now);
        axis.bar(cx, buf, (area, row), (applied, real), symbols.fault, Role::Fault);
    }
    axis.now(cx, buf, area, row);
    let at = span.end.unwrap_or(axis.now).max(axis.now);
    let said = match &fault.stage {
        FaultStage::Active => {
            fault.ends_at().map(|end| format!("{} left", text::length((end - cx.now).max(Millis(0)))))
        }
        FaultStage::Applying | FaultStage::Applied => Some("no effect seen yet".into()),
        FaultStage::Reverting => Some("being undone".into()),
        FaultStage::Failed(_) => Some("FAILED".into()),
        FaultStage::LeftBehind(_) => Some("LEFT BEHIND".into()),
        FaultStage::Waiting | FaultStage::Reverted => None,
    };
    if let Some(said) = said {
        beside(cx, axis, area, row, buf, at, &said, role);
    }
}

/// Writes beside the end of a bar, where there is room: right of it, else over its planned part.
#[allow(clippy::too_many_arguments, reason = "a place and a text")]
fn beside(
    cx: &Cx<'_>,
    axis: &Axis,
    area: Rect,
    row: u16,
    buf: &mut Buffer,
    at: Millis,
    text: &str,
    role: Role,
) {
    let width = paint::width(text) as i64;
    let last = i64::from(axis.columns);
    let column = (axis.column(at) + 2).clamp(0, last);
    let column = if column + width <= last { column } else { (axis.column(axis.now) + 2).max(last - width) };
    if column > axis.column(axis.now) && column + width <= last {
        axis.pen(cx, buf, area, row, column as u16).put(text, role);
    }
}

fn draw_load(cx: &Cx<'_>, axis: &Axis, load: &LoadView, area: Rect, row: u16, buf: &mut Buffer) {
    let symbols = cx.theme.symbols();
    name(
        cx,
        buf,
        area,
        row,
        symbols.load,
        &load.spec.name,
        if load.ended.is_some() { Role::Plain } else { Role::Load },
    );
    let span = Span::of_load(load, axis.zero);
    if let Some(start) = span.start {
        let end = span.end.unwrap_or(if load.spec.is_background() { axis.to } else { start }).max(start);
        axis.bar(cx, buf, (area, row), (start, end), symbols.planned, Role::Dim);
    }
    if let Some(started) = load.started {
        let end = load.ended.unwrap_or(axis.now).min(axis.now);
        let (first, many) = axis.range(started, end);
        // Its bar is its rate.
        let all = usize::from(axis.columns);
        let drawn = chart::columns(&load.rate, (axis.from, axis.to), all, chart::SECONDLY);
        let from = usize::from(first).min(all);
        let to = (from + usize::from(many)).min(all);
        paint::blank(buf, Rect { x: axis.x + first, y: area.y + row, width: many, height: 1 });
        let mut pen = axis.pen(cx, buf, area, row, first);
        chart::sparkline(&mut pen, cx.theme, &drawn[from..to], 0.0, Role::Load);
    }
    axis.now(cx, buf, area, row);
}

fn draw_alert(cx: &Cx<'_>, axis: &Axis, alert: &AlertView, area: Rect, row: u16, buf: &mut Buffer) {
    let symbols = cx.theme.symbols();
    let unexpected = alert.kind == AlertKind::Unexpected;
    let (mark, role) = match (unexpected, has_fired(alert)) {
        (true, true) => (symbols.bad, Role::Bad),
        (true, false) => ("!", Role::Warn),
        (false, _) => (symbols.firing, Role::Alert),
    };
    name(cx, buf, area, row, mark, alert.name(), role);
    let mut states = alert.history.iter().peekable();
    while let Some((from, state)) = states.next() {
        let to = states.peek().map_or(axis.now, |(next, _)| *next);
        let symbol = match state {
            AlertPhase::Inactive => continue,
            AlertPhase::Pending => symbols.pending,
            AlertPhase::Firing => symbols.firing,
        };
        axis.bar(cx, buf, (area, row), (*from, to), symbol, role);
    }
    axis.now(cx, buf, area, row);
    let said = match alert.state {
        AlertPhase::Pending => "pending",
        AlertPhase::Firing => "firing",
        AlertPhase::Inactive => return,
    };
    beside(cx, axis, area, row, buf, axis.now, said, role);
}

fn draw_axis(cx: &Cx<'_>, axis: &Axis, area: Rect, buf: &mut Buffer) {
    let row = area.height - 1;
    let symbols = cx.theme.symbols();
    axis.pen(cx, buf, area, row, 0).put(&symbols.axis.repeat(usize::from(axis.columns)), Role::Dim);
    let length = (axis.to - axis.from).0.max(1);
    // A number takes up to eight columns.
    let least = length * 10 / i64::from(axis.columns).max(1) / 1000 + 1;
    let step = STEPS.iter().copied().find(|step| *step >= least).unwrap_or(86_400);
    let mut second = (axis.from.0.div_euclid(1000).div_euclid(step)) * step;
    while second * 1000 <= axis.to.0 {
        let (at, label) = (Millis::from_secs(second), text::clock(Millis::from_secs(second)));
        let column = axis.column(at);
        if second >= 0 && column >= 0 && column + paint::width(&label) as i64 + 1 < i64::from(axis.columns) {
            axis.pen(cx, buf, area, row, column as u16).put(symbols.tick, Role::Dim).put(&label, Role::Dim);
        }
        second += step;
    }
    axis.now(cx, buf, area, row);
}
