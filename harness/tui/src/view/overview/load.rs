//! Load: the selected one with its series, the others in a line each.

use harness_event::state::{LoadStage, LoadView, Series};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, focused, layout::Want};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
    view::{chart, rows, text},
};

/// Rows of series: rate, errors, three percentiles.
const SERIES: u16 = 5;

pub(super) fn want(cx: &Cx<'_>) -> Want {
    match cx.state.loads.len() {
        0 => Want::default(),
        many => Want { least: 2, most: 1 + u16::try_from(many).unwrap_or(u16::MAX - 9) + SERIES },
    }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let order = rows::order(cx, List::Loads, cx.state.loads.len());
    let focused = focused(cx, List::Loads);
    let inner = paint::panel(buf, cx.theme, area, "load", &order, focused);
    if cx.state.loads.is_empty() && inner.height > 0 {
        Pen::new(buf, cx.theme, inner, 0).put("  none", Role::Dim);
        return;
    }
    let lines = u16::try_from(cx.index.loads.len()).unwrap_or(u16::MAX).min(inner.height);
    // Series only where each load has its line.
    let series = if inner.height >= lines + 3 { (inner.height - lines).min(SERIES) } else { 0 };
    let list = Rect { height: inner.height - series, ..inner };
    rows::rows(cx, List::Loads, focused, list, buf, |pen, row| {
        if let Some(load) = cx.index.loads.get(row).and_then(|place| cx.state.loads.get(*place)) {
            line(cx, pen, load);
        }
    });
    let chosen = if focused { cx.ui.lists[List::Loads].cursor } else { rows::running(cx) };
    let load = cx.index.loads.get(chosen).and_then(|place| cx.state.loads.get(*place));
    if let Some(load) = load.filter(|_| series > 0) {
        let below = Rect { y: inner.y + lines, height: series, ..inner };
        charts(cx, load, below, buf);
    }
}

fn line(cx: &Cx<'_>, pen: &mut Pen<'_>, load: &LoadView) {
    let symbols = cx.theme.symbols();
    let (mark, role, stage) = match &load.stage {
        LoadStage::Waiting => (symbols.not_yet, Role::Dim, "not yet".to_owned()),
        LoadStage::Running => (symbols.load, Role::Load, String::new()),
        LoadStage::Ended(how) => (symbols.good, Role::Dim, format!("ended ({how})")),
        LoadStage::Failed(why) => (symbols.bad, Role::Bad, format!("FAILED: {why}")),
    };
    let name = paint::width(&load.spec.name).clamp(8, (pen.left() / 3).max(8));
    pen.put(mark, role).skip(1).cell(&load.spec.name, name, false, Role::Strong).skip(1);
    if !stage.is_empty() {
        pen.put(&stage, role).skip(1);
    }
    match (&load.last, &load.stage) {
        (Some(_), LoadStage::Running) => {
            let rate = load.rate.last().map_or("-".into(), text::short);
            pen.put(&format!("{rate}/s"), Role::Plain);
            errors(pen, load.error_ratio.last());
            let p95 = load.p95.last().map_or("-".into(), text::latency);
            pen.put(&format!("  p95 {p95}"), Role::Plain);
            behind(cx, pen, load);
        }
        (Some(_), _) => {
            pen.put(&format!("{} requests", load.requests), Role::Plain);
            errors(pen, (load.requests > 0).then(|| load.failed as f64 / load.requests as f64));
        }
        (None, _) => {}
    }
}

fn errors(pen: &mut Pen<'_>, ratio: Option<f64>) {
    match ratio {
        None => pen.put("  no answers", Role::Warn),
        Some(0.0) => pen.put("  0% errors", Role::Plain),
        Some(ratio) => pen.put(&format!("  {} ERRORS", text::percent(ratio)), Role::Bad),
    };
}

fn behind(cx: &Cx<'_>, pen: &mut Pen<'_>, load: &LoadView) {
    let behind = load.last.as_ref().map(|sample| sample.behind).unwrap_or_default();
    if behind.0 >= 1000 {
        pen.put(&format!("  behind {}", text::length(behind)), Role::Warn);
    } else if let Some(wanted) = load.scheduled_rate(cx.now) {
        pen.put(&format!("  of {}/s", text::short(wanted)), Role::Dim);
    }
}

/// Name, values, meaning, and how a value is written.
type Chart<'a> = (&'static str, &'a Series, Role, fn(f64) -> String);

fn charts(cx: &Cx<'_>, load: &LoadView, area: Rect, buf: &mut Buffer) {
    let shown: [Chart<'_>; 5] = [
        ("rate", &load.rate, Role::Load, |rate| format!("{}/s", text::short(rate))),
        ("errors", &load.error_ratio, Role::Bad, text::percent),
        ("p99", &load.p99, Role::Plain, text::latency),
        ("p50", &load.p50, Role::Plain, text::latency),
        ("p95", &load.p95, Role::Plain, text::latency),
    ];
    // What matters most comes first where rows are few; where all fit they are in order.
    let mut rows: Vec<_> = shown.into_iter().take(usize::from(area.height)).collect();
    rows.sort_by_key(|(name, ..)| match *name {
        "p50" => 2,
        "p95" => 3,
        "p99" => 4,
        "rate" => 0,
        _ => 1,
    });
    for (row, (name, series, role, value)) in rows.into_iter().enumerate() {
        let mut pen = Pen::new(buf, cx.theme, area, row as u16);
        let last = series.last().map_or_else(|| "-".to_owned(), value);
        pen.skip(3).cell(name, 6, false, Role::Dim).skip(1).cell(&last, 8, true, Role::Plain).skip(1);
        let columns = pen.left();
        let span = chart::span(cx.ui.timescale, cx.now, columns);
        let drawn = chart::columns(series, span, columns, chart::SECONDLY);
        // A ratio is a part of one: a hundredth of errors must not look like a wall.
        let at_least = if name == "errors" { 0.1 } else { 0.0 };
        let role =
            if name == "errors" && series.last().is_none_or(|last| last == 0.0) { Role::Plain } else { role };
        chart::sparkline(&mut pen, cx.theme, &drawn, at_least, role);
    }
}
