//! The load view.
//!
//! ```text
//! ▸load───────────────────────────────────────────────────────────────────────────────
//!    STAGE     LOAD        USERS    RATE  REQUESTS  ERRORS     P50     P95     P99  BEHIND
//! ▸▅ running   crowd          20  1843/s     34210      0%   2.1ms    14ms    31ms      0s
//! ─crowd──────────────────────────────────────────────────────────────────────────────
//!  model, schedule, stages · rate against its schedule, errors, p50, p95, p99 as charts
//!  phases and steps: requests, rate, errors, p50 ... max · distribution of latencies · statuses and errors by kind
//! ```

use harness_event::{
    LoadPhase, LoadSpec, LoadStats, Millis, RateStage,
    state::{LoadStage, LoadView, Series},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Cx, chart,
    detail::{self, Text, time},
    rows, text,
};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
};

/// Draws the view.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (top, below) = detail::split(cx, List::Loads, area);
    if let Some(area) = top {
        list(cx, area, buf);
    }
    let chosen = cx.index.loads.get(cx.ui.lists[List::Loads].cursor);
    if let (Some(area), Some(load)) = (below, chosen.and_then(|place| cx.state.loads.get(*place))) {
        // Charts stand above what is scrolled: they are what one looks at while it runs.
        let charts = if load.last.is_some() && area.height >= 16 { CHARTS + 1 } else { 0 };
        let top = Rect { height: charts, ..area };
        let below = Rect { y: area.y + charts, height: area.height - charts, ..area };
        if charts > 0 {
            draw_charts(cx, load, top, buf);
        }
        let note = if load.by_hand { "by hand" } else { "" };
        details(cx, load, area.width).render(cx, below, buf, &load.spec.name, note);
    }
}

fn list(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let order = rows::order(cx, List::Loads, cx.state.loads.len());
    let inner = paint::panel(buf, cx.theme, area, "load", &order, true);
    if cx.state.loads.is_empty() {
        Pen::new(buf, cx.theme, inner, 0).put("  none", Role::Dim);
        return;
    }
    let width = usize::from(inner.width);
    let wide = width >= 96;
    let name = width.saturating_sub(if wide { 79 } else { 63 }).clamp(8, 40);
    let mut pen = Pen::new(buf, cx.theme, inner, 0);
    pen.skip(3).cell("STAGE", 10, false, Role::Dim).cell("LOAD", name, false, Role::Dim);
    let mut heads = vec![("USERS", 7), ("RATE", 9), ("REQUESTS", 10), ("ERRORS", 8)];
    if wide {
        heads.push(("P50", 8));
    }
    heads.extend([("P95", 8), ("P99", 8)]);
    if wide {
        heads.push(("BEHIND", 8));
    }
    for (head, columns) in &heads {
        pen.cell(head, *columns, true, Role::Dim);
    }
    let below = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    rows::rows(cx, List::Loads, true, below, buf, |pen, row| {
        if let Some(load) = cx.index.loads.get(row).and_then(|place| cx.state.loads.get(*place)) {
            line(cx, pen, load, name, wide);
        }
    });
}

fn line(cx: &Cx<'_>, pen: &mut Pen<'_>, load: &LoadView, name: usize, wide: bool) {
    let (mark, role, stage) = stage(cx, load);
    pen.put(mark, role).skip(1).cell(stage, 10, false, role).cell(&load.spec.name, name, false, Role::Strong);
    let running = load.stage == LoadStage::Running;
    let dash = || "-".to_owned();
    let users = load.last.as_ref().filter(|_| running).map(|sample| sample.users);
    pen.cell(&users.map_or_else(dash, |users| users.to_string()), 7, true, Role::Plain);
    let rate = load.rate.last().filter(|_| running);
    pen.cell(&rate.map_or_else(dash, |rate| format!("{}/s", text::short(rate))), 9, true, Role::Plain);
    pen.cell(&load.requests.to_string(), 10, true, Role::Plain);
    let errors = (load.requests > 0).then(|| load.failed as f64 / load.requests as f64);
    let bad = if load.failed > 0 { Role::Bad } else { Role::Plain };
    pen.cell(&errors.map_or_else(dash, text::percent), 8, true, bad);
    let latency = |series: &Series| series.last().filter(|_| running).map_or_else(dash, text::latency);
    if wide {
        pen.cell(&latency(&load.p50), 8, true, Role::Plain);
    }
    pen.cell(&latency(&load.p95), 8, true, Role::Plain).cell(&latency(&load.p99), 8, true, Role::Plain);
    if wide {
        let behind =
            load.last.as_ref().filter(|_| running && load.spec.is_open()).map(|sample| sample.behind);
        let late = behind.is_some_and(|behind| behind >= Millis::from_secs(1));
        let told = behind.map_or_else(dash, |behind| behind.to_string());
        pen.cell(&told, 8, true, if late { Role::Warn } else { Role::Plain });
    }
}

fn stage(cx: &Cx<'_>, load: &LoadView) -> (&'static str, Role, &'static str) {
    let symbols = cx.theme.symbols();
    match &load.stage {
        LoadStage::Waiting => (symbols.not_yet, Role::Dim, "not yet"),
        LoadStage::Running => (symbols.load, Role::Load, "running"),
        LoadStage::Ended(_) => (symbols.good, Role::Dim, "ended"),
        LoadStage::Failed(_) => (symbols.bad, Role::Bad, "FAILED"),
    }
}

/// How a value is written.
type Written = fn(f64) -> String;

/// Rows of charts.
const CHARTS: u16 = 6;

fn draw_charts(cx: &Cx<'_>, load: &LoadView, area: Rect, buf: &mut Buffer) {
    let wanted = load
        .scheduled_rate(cx.now)
        .map_or_else(String::new, |rate| format!("its schedule asks for {}/s now", text::short(rate)));
    let inner = paint::panel(buf, cx.theme, area, "by second", &wanted, false);
    let shown: [(&str, &Series, Role, Written); 5] = [
        ("rate", &load.rate, Role::Load, |rate| format!("{}/s", text::short(rate))),
        ("errors", &load.error_ratio, Role::Bad, text::percent),
        ("p50", &load.p50, Role::Plain, text::latency),
        ("p95", &load.p95, Role::Plain, text::latency),
        ("p99", &load.p99, Role::Plain, text::latency),
    ];
    // A load that has ended shows its last seconds, not the nothing since then.
    let now = load.ended.map_or(cx.now, |ended| ended.min(cx.now));
    for (row, (name, series, role, value)) in shown.into_iter().enumerate() {
        let mut pen = Pen::new(buf, cx.theme, inner, row as u16);
        let last = series.last().map_or_else(|| "-".to_owned(), value);
        pen.skip(2).cell(name, 7, false, Role::Dim).cell(&last, 8, true, Role::Plain).skip(1);
        let most = series.points().filter_map(|(_, value)| value).fold(f64::NAN, f64::max);
        let most = format!(" most {}", if most.is_finite() { value(most) } else { "-".into() });
        let columns = pen.left().saturating_sub(MOST);
        let span = chart::span(cx.ui.timescale, now, columns);
        let drawn = chart::columns(series, span, columns, chart::SECONDLY);
        // A ratio is a part of one: a hundredth of errors must not look like a wall.
        let at_least = if name == "errors" { 0.1 } else { 0.0 };
        let role = if name == "errors" && load.failed == 0 { Role::Plain } else { role };
        chart::sparkline(&mut pen, cx.theme, &drawn, at_least, role);
        pen.put(&most, Role::Dim);
    }
}

/// Columns of the largest value.
const MOST: usize = 14;

fn details(cx: &Cx<'_>, load: &LoadView, width: u16) -> Text {
    let mut text = Text::new(width);
    let (symbol, role, word) = stage(cx, load);
    let told = match &load.stage {
        LoadStage::Ended(how) => format!("{symbol} {word}: {}", ended(how)),
        LoadStage::Failed(why) => format!("{symbol} {word}: {why}"),
        LoadStage::Waiting | LoadStage::Running => format!("{symbol} {word}"),
    };
    text.field("stage", &told, role);
    if load.stopped_by_hand {
        text.field("by hand", "stopped before its time", Role::Warn);
    }
    let times = [("from", load.started), ("to", load.ended)];
    let times: Vec<_> =
        times.iter().filter_map(|(word, at)| Some(format!("{word} {}", time(cx, (*at)?)))).collect();
    if !times.is_empty() {
        text.field("time", &times.join(" "), Role::Plain);
    }
    text.field("model", &model(&load.spec), Role::Plain);
    for stage in &load.spec.stages {
        text.field("rate", &described(stage), Role::Plain);
    }
    schedule(load, &mut text);
    measured(load, &mut text);
    distribution(cx, load, &mut text);
    answers(load, &mut text);
    steps(cx, load, &mut text);
    text
}

fn ended(how: &str) -> &str {
    match how {
        "requests" => "all requests were done",
        "duration" => "its time was over",
        "stopped" => "it was stopped",
        other => other,
    }
}

fn model(spec: &LoadSpec) -> String {
    let start = if spec.is_background() { ", in the background of the whole run" } else { "" };
    let requests = spec.requests.map_or_else(String::new, |requests| format!(", {requests} requests in all"));
    match spec.is_open() {
        true => format!(
            "open: starts come from a schedule, at most {} requests in flight{requests}{start}",
            spec.users
        ),
        false => {
            format!("closed: {} users, each waits for its answer{requests}{start}", spec.users)
        }
    }
}

fn described(stage: &RateStage) -> String {
    let length =
        stage.length.map_or_else(|| "until the load ends".to_owned(), |length| format!("for {length}"));
    match stage.to {
        Some(to) => format!("{}/s to {}/s {length}", text::short(stage.rate), text::short(to)),
        None => format!("{}/s {length}", text::short(stage.rate)),
    }
}

fn schedule(load: &LoadView, text: &mut Text) {
    if !load.spec.is_open() {
        return;
    }
    let behind = format!("at most {} behind", load.most_behind);
    let told = match load.due {
        Some((due, begun)) => format!("{begun} of {due} due requests were begun, {behind}"),
        None => format!("{behind} so far"),
    };
    let late = load.most_behind >= Millis::from_secs(1) || load.due.is_some_and(|(due, begun)| begun < due);
    text.field("schedule", &told, if late { Role::Warn } else { Role::Plain });
}

/// Phases and steps with their statistics.
fn measured(load: &LoadView, text: &mut Text) {
    text.heading("phases and steps");
    if load.measured.is_empty() {
        let told = match load.stage {
            LoadStage::Waiting | LoadStage::Running => "measured when the load has ended",
            LoadStage::Ended(_) | LoadStage::Failed(_) => "nothing was measured",
        };
        text.wrapped(2, told, Role::Dim);
        return;
    }
    let name = load.measured.iter().filter_map(|(_, step, _)| step.as_ref()).map(|step| paint::width(step));
    let name = name.max().unwrap_or(0).clamp(5, 24);
    // Two columns are left out where they do not fit.
    let few = text.columns() < 12 + name + 9 * 9;
    let head = ["requests", "rate", "errors", "p50", "p90", "p95", "p99", "p99.9", "max"].into_iter();
    let head = head.filter(|one| !(few && matches!(*one, "p90" | "p99.9")));
    let mut parts = vec![(format!("  {:<8} {:<name$}", "phase", "step"), Role::Dim)];
    parts.extend(head.map(|one| (format!(" {one:>8}"), Role::Dim)));
    text.line(parts);
    for phase in LoadPhase::ALL {
        let rows = load.measured.iter().filter(|(of, ..)| *of == phase);
        for (_, step, stats) in rows {
            let label = format!("  {:<8} {:<name$}", phase.to_string(), step.as_deref().unwrap_or("all"));
            let role = if step.is_none() { Role::Strong } else { Role::Plain };
            let (before, errors, after) = figures(stats, few);
            let bad = if stats.failed > 0 { Role::Bad } else { Role::Plain };
            text.line(vec![
                (label, role),
                (before, Role::Plain),
                (format!(" {errors:>8}"), bad),
                (after, Role::Plain),
            ]);
        }
    }
}

/// Cells of statistics: before the errors, the errors, after them.
fn figures(stats: &LoadStats, few: bool) -> (String, String, String) {
    let dash = || "-".to_owned();
    let rate = stats.rate().map_or_else(dash, |rate| format!("{}/s", text::short(rate)));
    let errors = stats.error_ratio().map_or_else(dash, text::percent);
    let of = &stats.latency;
    let latencies = match few {
        true => vec![of.p50, of.p95, of.p99, of.max],
        false => vec![of.p50, of.p90, of.p95, of.p99, of.p999, of.max],
    };
    let shown = latencies.into_iter().map(|us| match stats.requests {
        0 => dash(),
        _ => text::latency(us as f64 / 1000.0),
    });
    let after = shown.map(|latency| format!(" {latency:>8}")).collect();
    (format!(" {:>8} {rate:>8}", stats.requests), errors, after)
}

/// The phase that matters most: what happened to the system, else the latest.
fn chief(load: &LoadView) -> Option<(LoadPhase, &LoadStats)> {
    let all = || load.measured.iter().filter(|(_, step, stats)| step.is_none() && stats.requests > 0);
    let found = all().find(|(phase, ..)| *phase == LoadPhase::During).or_else(|| all().next_back());
    found.map(|(phase, _, stats)| (*phase, stats))
}

/// Latencies below which so large a share of the requests stayed, as bars on a logarithmic scale: a tail is many times a median.
fn distribution(cx: &Cx<'_>, load: &LoadView, text: &mut Text) {
    let Some((phase, stats)) = chief(load) else { return };
    text.heading(&format!("latencies of all steps, {phase} (bars are logarithmic)"));
    let of = &stats.latency;
    let points = [
        ("50%", of.p50),
        ("90%", of.p90),
        ("95%", of.p95),
        ("99%", of.p99),
        ("99.9%", of.p999),
        ("100%", of.max),
    ];
    // From a tenth of the median on.
    let least = (of.p50 as f64 / 10.0).max(1.0);
    let most = (of.max as f64).max(least * 10.0);
    let columns = text.columns().saturating_sub(24).min(60);
    for (share, us) in points {
        let part = ((us as f64).max(least) / least).ln() / (most / least).ln();
        let filled = ((part.clamp(0.0, 1.0) * columns as f64).round() as usize).max(1);
        text.line(vec![
            (format!("  {share:>6} "), Role::Dim),
            (format!("{:>8}  ", text::latency(us as f64 / 1000.0)), Role::Plain),
            (cx.theme.symbols().full.repeat(filled), Role::Load),
        ]);
    }
    text.line(vec![
        (format!("  {:>6} ", "mean"), Role::Dim),
        (format!("{:>8}", text::latency(of.mean / 1000.0)), Role::Plain),
    ]);
}

/// Answers by status code, and requests without one by kind of error.
fn answers(load: &LoadView, text: &mut Text) {
    let Some((phase, stats)) = chief(load) else { return };
    text.heading(&format!("answers, {phase}"));
    let share = |count: u64| text::percent(count as f64 / stats.requests.max(1) as f64);
    for (status, count) in &stats.statuses {
        let line = format!("  {status:<12} {count:>10} {:>8}", share(*count));
        text.line(vec![(line, Role::Plain)]);
    }
    for (kind, count) in &stats.errors {
        let line = format!("  {kind:<12} {count:>10} {:>8}", share(*count));
        text.line(vec![(line, Role::Bad)]);
    }
}

/// What is sent.
fn steps(cx: &Cx<'_>, load: &LoadView, text: &mut Text) {
    let order = if load.spec.in_order { "in order" } else { "by weight" };
    text.heading(&format!("requests, {order}"));
    for step in &load.spec.steps {
        let weight = if load.spec.in_order { String::new() } else { format!("  weight {}", step.weight) };
        text.raw(
            cx,
            2,
            &format!(
                "{}: {} {} {} {}{weight}",
                step.name,
                step.method,
                step.url,
                cx.theme.symbols().arrow,
                step.status
            ),
            Role::Plain,
        );
    }
}
