//! Error budgets: what is left, and the burn rate of each window. A burn rate of one spends the whole budget in its period.

use harness_event::{Millis, SloDefinition, state::SloView};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, layout::Want};
use crate::{
    paint::{self, Pen},
    theme::Role,
    view::{chart, text},
};

/// Rows of one SLO.
const ROWS: u16 = 2;
/// Burn rate of Sloth's fastest page: 2 % of the budget of 30 days in an hour.
const FAST: f64 = 14.4;
/// Rules are evaluated every few seconds.
const HOLD: Option<Millis> = Some(Millis::from_secs(60));

pub(super) fn want(cx: &Cx<'_>) -> Want {
    match cx.state.slos.len() {
        0 => Want::default(),
        many => Want { least: 1 + ROWS, most: 1 + ROWS * u16::try_from(many).unwrap_or(u16::MAX / 4) },
    }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let inner = paint::panel(buf, cx.theme, area, "error budgets", "", false);
    for (place, (name, slo)) in cx.state.slos.iter().enumerate() {
        let row = place as u16 * ROWS;
        if row >= inner.height {
            break;
        }
        budget(cx, &mut Pen::new(buf, cx.theme, inner, row), name, slo);
        if row + 1 < inner.height {
            burn(cx, &mut Pen::new(buf, cx.theme, inner, row + 1), slo);
        }
    }
}

fn budget(cx: &Cx<'_>, pen: &mut Pen<'_>, name: &str, slo: &SloView) {
    let wide = pen.left();
    pen.skip(2).cell(name, (wide / 2).clamp(12, 34), false, Role::Strong).skip(1);
    let Some(definition) = &slo.definition else {
        let why = slo.missing.as_deref().unwrap_or("its rules were not read yet");
        pen.put("unknown: ", Role::Warn).put(why, Role::Warn);
        return;
    };
    if let Some(left) = left(definition, slo) {
        let role = if left > 0.25 { Role::Good } else { Role::Bad };
        let word = if left > 0.0 { format!(" {} left", text::percent(left)) } else { " NOTHING LEFT".into() };
        chart::gauge(pen, cx.theme, left, (wide / 6).clamp(5, 16), role);
        pen.put(&word, role);
        if is_short(definition, slo) {
            // The window is longer than the data: what is left may be less, or more.
            pen.put("?", Role::Warn);
        }
    }
    match slo.usage.as_ref().map(|usage| usage.budget_spent) {
        Some(Some(spent)) => pen.put(&format!("  this run spent {}", text::percent(spent)), Role::Plain),
        Some(None) => pen.put("  spent: unknown", Role::Warn),
        None => {
            let of = format!("  of {}", objective(definition));
            let of = if paint::width(&of) <= pen.left() { of } else { String::new() };
            pen.put(&of, Role::Dim)
        }
    };
}

fn objective(definition: &SloDefinition) -> String {
    let objective = format!("{:.4}", definition.objective * 100.0);
    let objective = objective.trim_end_matches('0').trim_end_matches('.');
    format!("{objective}% in {}", text::window(definition.period))
}

/// Share of the period's budget that is left, where the whole period is a recorded window.
fn left(definition: &SloDefinition, slo: &SloView) -> Option<f64> {
    let whole = definition.windows.iter().position(|window| window.window == definition.period)?;
    let burned = slo.last.as_ref()?.burn_rates.get(whole).copied().flatten()?;
    Some(1.0 - burned)
}

/// The data does not go back as far as the longest window.
fn is_short(definition: &SloDefinition, slo: &SloView) -> bool {
    let longest = definition.windows.iter().map(|window| window.length).max();
    slo.last.as_ref().zip(longest).is_some_and(|(sample, longest)| sample.history < longest)
}

fn burn(cx: &Cx<'_>, pen: &mut Pen<'_>, slo: &SloView) {
    let (Some(definition), Some(sample)) = (&slo.definition, &slo.last) else {
        pen.skip(4).put("no sample yet", Role::Dim);
        return;
    };
    pen.skip(4).put("burn", Role::Dim);
    // The longest window is the gauge above.
    let shown =
        definition.windows.iter().zip(&sample.burn_rates).filter(|(w, _)| w.window != definition.period);
    let symbols = cx.theme.symbols();
    let keep = 12.min(pen.left() / 4);
    for (window, rate) in shown {
        let value = rate.map_or_else(|| symbols.missing.to_owned(), text::short);
        let (role, mark) = match rate {
            None => (Role::Dim, ""),
            Some(rate) if *rate >= FAST => (Role::Bad, "!!"),
            Some(rate) if *rate >= 1.0 => (Role::Warn, "!"),
            Some(_) => (Role::Plain, ""),
        };
        let name = text::window(window.window);
        if pen.left() < paint::width(&name) + paint::width(&value) + mark.len() + 3 + keep {
            break;
        }
        pen.put(&format!("  {name} "), Role::Dim).put(&format!("{value}{mark}"), role);
    }
    if let Some(shortest) = slo.burn.first() {
        pen.skip(2);
        let columns = pen.left();
        let span = chart::span(cx.ui.timescale, cx.now, columns);
        chart::sparkline(pen, cx.theme, &chart::columns(shortest, span, columns, HOLD), 1.0, Role::Fault);
    }
}
