//! The faults view.
//!
//! ```text
//! ▸faults────────────────────────────────────────────────────────────────────────────────
//!    STAGE      FAULT            LEFT    WHAT
//! ▸█ active     database-down    12.4s   scales to 0: deployment/postgres
//!  · not yet    auth-lost        at +40s deletes 2 of the pods app=auth
//! ─database-down──────────────────────────────────────────────────────────────────────────
//!  what it does, to what, what undoes it · applied → effect → reverting → reverted · what counts from it
//! ```

use harness_event::{
    FaultAction, Millis,
    narrate::fault_does,
    state::{FaultStage, FaultView},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Cx, alerts,
    detail::{self, Text, later, time},
    rows, text,
};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::Role,
};

/// Draws the view.
pub fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (top, below) = detail::split(cx, List::Faults, area);
    if let Some(area) = top {
        list(cx, area, buf);
    }
    let chosen = cx.index.faults.get(cx.ui.lists[List::Faults].cursor);
    if let (Some(area), Some(fault)) = (below, chosen.and_then(|place| cx.state.faults.get(*place))) {
        let note = if fault.by_hand { "by hand" } else { "" };
        details(cx, fault, area.width).render(cx, area, buf, &fault.spec.name, note);
    }
}

fn list(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let order = rows::order(cx, List::Faults, cx.state.faults.len());
    let inner = paint::panel(buf, cx.theme, area, "faults", &order, true);
    if cx.state.faults.is_empty() {
        Pen::new(buf, cx.theme, inner, 0).put("  none", Role::Dim);
        return;
    }
    let width = usize::from(inner.width);
    let name = (width / 4).clamp(10, 32);
    let mut pen = Pen::new(buf, cx.theme, inner, 0);
    pen.skip(3).cell("STAGE", 12, false, Role::Dim).cell("FAULT", name, false, Role::Dim).skip(1);
    pen.cell("LEFT", 9, true, Role::Dim).skip(2).put("WHAT", Role::Dim);
    let below = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    rows::rows(cx, List::Faults, true, below, buf, |pen, row| {
        if let Some(fault) = cx.index.faults.get(row).and_then(|place| cx.state.faults.get(*place)) {
            let (mark, role, stage) = stage(cx, fault);
            pen.put(mark, role).skip(1).cell(stage, 12, false, role);
            pen.cell(&fault.spec.name, name, false, Role::Strong).skip(1);
            pen.cell(&left(cx, fault), 9, true, Role::Plain).skip(2);
            pen.put(&what(fault), Role::Plain);
            if fault.by_hand {
                pen.put(" (by hand)", Role::Dim);
            }
        }
    });
}

/// Symbol, meaning and word of a stage.
fn stage(cx: &Cx<'_>, fault: &FaultView) -> (&'static str, Role, &'static str) {
    let symbols = cx.theme.symbols();
    match &fault.stage {
        FaultStage::Waiting => (symbols.not_yet, Role::Dim, "not yet"),
        FaultStage::Applying => (symbols.waiting, Role::Fault, "applying"),
        FaultStage::Applied => (symbols.waiting, Role::Fault, "applied"),
        FaultStage::Active => (symbols.fault, Role::Fault, "ACTIVE"),
        FaultStage::Reverting => (symbols.waiting, Role::Warn, "reverting"),
        FaultStage::Reverted if fault.failure.is_some() => (symbols.unsure, Role::Warn, "undone"),
        FaultStage::Reverted => (symbols.good, Role::Good, "undone"),
        FaultStage::Failed(_) => (symbols.bad, Role::Bad, "FAILED"),
        FaultStage::LeftBehind(_) => (symbols.bad, Role::Bad, "LEFT BEHIND"),
    }
}

/// How long it is still on, or when it begins.
fn left(cx: &Cx<'_>, fault: &FaultView) -> String {
    match (&fault.stage, fault.ends_at()) {
        (FaultStage::Waiting, _) => match begins(cx, fault) {
            Some(at) => format!("in {}", text::length((at - cx.now).max(Millis(0)))),
            None => "-".into(),
        },
        (FaultStage::Active, Some(ends)) => text::length((ends - cx.now).max(Millis(0))),
        _ => "-".into(),
    }
}

/// When it begins: known once the baseline is over.
fn begins(cx: &Cx<'_>, fault: &FaultView) -> Option<Millis> {
    if fault.by_hand {
        return Some(fault.spec.start);
    }
    let spans = &cx.state.phases;
    let baseline = spans.iter().find(|span| span.phase == harness_event::Phase::Baseline)?.to?;
    Some(baseline + fault.spec.start)
}

/// What it does, in a line.
fn what(fault: &FaultView) -> String {
    let aim = match (&fault.targets[..], &fault.spec.action) {
        ([], FaultAction::Scale { workload, .. } | FaultAction::Restart { workload }) => workload.to_string(),
        ([], FaultAction::DeletePods { selector, count, .. }) => match count {
            Some(count) => format!("{count} of the pods {selector}"),
            None => format!("pods {selector}"),
        },
        (targets, _) => targets.join(", "),
    };
    format!("{} {aim}", fault_does(&fault.spec.action))
}

fn details(cx: &Cx<'_>, fault: &FaultView, width: u16) -> Text {
    let mut text = Text::new(width);
    let (symbol, role, word) = stage(cx, fault);
    let left = match left(cx, fault).as_str() {
        "-" => String::new(),
        left if fault.stage == FaultStage::Waiting => format!(", {left}"),
        left => format!(", {left} left"),
    };
    text.field("stage", &format!("{symbol} {word}{left}"), role);
    match &fault.stage {
        FaultStage::LeftBehind(what) => {
            text.field("LEFT BEHIND", what, Role::Bad);
            text.field("", "`harness recover` undoes what is left", Role::Strong);
        }
        _ => {
            if let Some(why) = &fault.failure {
                text.field("failed", why, Role::Bad);
            }
        }
    }
    if fault.stopped_by_hand {
        text.field("by hand", "stopped before its time: this is not the scenario's experiment", Role::Warn);
    }
    text.field("does", &what(fault), Role::Plain);
    if fault.targets.len() > 1 {
        text.field("targets", &fault.targets.join("\n"), Role::Plain);
    }
    let undone = if fault.inverse.is_empty() { "known when it is planned" } else { &fault.inverse };
    text.field("undone by", undone, Role::Plain);
    text.field("lasts", &fault.spec.duration.to_string(), Role::Plain);
    text.field("effect within", &fault.spec.effect_within.to_string(), Role::Plain);
    times(cx, fault, &mut text);
    if !fault.detail.is_empty() {
        text.heading("seen last");
        text.wrapped(2, &fault.detail, Role::Plain);
    }
    expectations(cx, fault, &mut text);
    text
}

fn times(cx: &Cx<'_>, fault: &FaultView, text: &mut Text) {
    text.heading("times");
    if fault.applied.is_none() && fault.stage == FaultStage::Waiting {
        let told = begins(cx, fault).map_or_else(
            || format!("begins {} after the baseline", fault.spec.start),
            |at| format!("begins at {}", time(cx, at)),
        );
        text.wrapped(2, &told, Role::Dim);
        return;
    }
    let steps = [
        ("applied", fault.applied, "the call was sent"),
        ("effect", fault.effect, "seen in the cluster: detection counts from here"),
        ("reverting", fault.reverting, "the inverse was sent: recovery counts from here"),
        ("reverted", fault.reverted, "the world is as before: resolution counts from here"),
    ];
    let mut before = None;
    for (name, at, meaning) in steps {
        let line = match at {
            Some(at) => vec![
                (format!("  {name:<11}"), Role::Strong),
                (format!("{:>1$}", time(cx, at), detail::TIME), Role::Plain),
                (format!("{:<16}", later(before, at)), Role::Plain),
                (meaning.to_owned(), Role::Dim),
            ],
            None => {
                vec![(format!("  {name:<11}"), Role::Dim), (format!("{:>1$}", "-", detail::TIME), Role::Dim)]
            }
        };
        text.line(line);
        before = at.or(before);
    }
}

fn expectations(cx: &Cx<'_>, fault: &FaultView, text: &mut Text) {
    let Some(plan) = &cx.state.plan else { return };
    let counting = plan.expectations.iter().zip(&cx.state.expectations);
    let mut begun = false;
    for (_, view) in counting.filter(|(expectation, _)| expectation.fault == fault.spec.name) {
        if !std::mem::replace(&mut begun, true) {
            text.heading("expected of it");
        }
        alerts::standing(cx, view, text);
    }
}
