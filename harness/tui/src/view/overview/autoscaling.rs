//! Autoscalers, `current -> wanted, bounds, metric against target, replicas over time`, and disruption budgets.

use harness_event::state::{AutoscalerView, BudgetView};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, layout::Want};
use crate::{
    paint::{self, Pen},
    theme::Role,
    view::chart,
};

pub(super) fn want(cx: &Cx<'_>) -> Want {
    match cx.state.autoscalers.len() + cx.state.budgets.len() {
        0 => Want::default(),
        many => Want { least: 2, most: u16::try_from(many).unwrap_or(u16::MAX - 1) + 1 },
    }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let inner = paint::panel(buf, cx.theme, area, "autoscaling", "", false);
    let names = cx.state.autoscalers.keys().chain(cx.state.budgets.keys());
    let name = names.map(|name| paint::width(name)).max().unwrap_or(0).clamp(4, 16);
    let mut row = 0;
    for (key, autoscaler) in &cx.state.autoscalers {
        if row == inner.height {
            return;
        }
        scaler(cx, &mut Pen::new(buf, cx.theme, inner, row), key, name, autoscaler);
        row += 1;
    }
    for (key, view) in &cx.state.budgets {
        if row == inner.height {
            return;
        }
        budget(cx, &mut Pen::new(buf, cx.theme, inner, row), key, name, view);
        row += 1;
    }
}

fn scaler(cx: &Cx<'_>, pen: &mut Pen<'_>, key: &str, name: usize, view: &AutoscalerView) {
    let seen = &view.seen;
    pen.skip(2).cell(key, name, false, Role::Strong).skip(1);
    if !seen.exists {
        pen.put("deleted", Role::Bad);
        return;
    }
    let (word, role) = match seen.desired.cmp(&seen.current) {
        std::cmp::Ordering::Greater => ("up", Role::Warn),
        std::cmp::Ordering::Less => ("down", Role::Warn),
        std::cmp::Ordering::Equal if seen.current >= seen.max => ("at max", Role::Warn),
        std::cmp::Ordering::Equal => ("steady", Role::Dim),
    };
    let replicas = format!("{}{}{}", seen.current, cx.theme.symbols().arrow, seen.desired);
    pen.cell(&replicas, 6, false, Role::Plain).cell(word, 7, false, role);
    pen.cell(&format!("{}..{}", seen.min, seen.max), 7, false, Role::Dim);
    let metric = seen.metrics.first().map_or("no metric", String::as_str);
    let role = if metric.contains("<unknown>") || metric == "no metric" { Role::Warn } else { Role::Plain };
    pen.cell(metric, 16, false, role).skip(1);
    let columns = pen.left();
    let span = chart::span(cx.ui.timescale, cx.now, columns);
    // Replicas hold until they change: what was last seen is still so.
    let drawn = chart::columns(&view.current, span, columns, None);
    chart::sparkline(pen, cx.theme, &drawn, f64::from(seen.max.max(1)), Role::Load);
}

fn budget(cx: &Cx<'_>, pen: &mut Pen<'_>, key: &str, name: usize, view: &BudgetView) {
    let seen = &view.seen;
    let symbols = cx.theme.symbols();
    pen.skip(2).cell(key, name, false, Role::Plain).skip(1);
    let text = format!("{} healthy, {} demanded", seen.healthy, seen.demanded);
    let (mark, role, word) = match (seen.exists, seen.up_to_date, seen.healthy >= seen.demanded) {
        (false, ..) => (symbols.bad, Role::Bad, "disruption budget deleted"),
        (_, false, _) => (symbols.unsure, Role::Warn, "disruption budget not up to date"),
        (_, _, true) => (symbols.good, Role::Good, "disruption budget kept"),
        (_, _, false) => (symbols.bad, Role::Bad, "disruption budget BROKEN"),
    };
    pen.put(mark, role).put(" ", Role::Plain).put(word, role).put(": ", Role::Plain).put(&text, Role::Plain);
}
