//! Alerts: `state  age  name  labels  expected or not  countdown to the next deadline`.

use harness_event::{
    ExpectationKind, LabelMatcher, Labels, Millis,
    state::{AlertKind, AlertPhase, AlertView, Progress},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, focused, layout::Want};
use crate::{
    app::{List, has_fired},
    paint::{self, Pen},
    theme::Role,
    view::{rows, text},
};

/// Columns that a name and its labels get at least, if there are any.
const NAME: usize = 24;

pub(super) fn want(cx: &Cx<'_>) -> Want {
    let rows = u16::try_from(cx.index.alerts.len()).unwrap_or(u16::MAX - 1).max(1);
    Want { least: 2 + u16::from(rows > 1), most: rows + 1 }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let order = rows::order(cx, List::Alerts, cx.state.alerts.len());
    let focused = focused(cx, List::Alerts);
    let inner = paint::panel(buf, cx.theme, area, &summary(cx), &order, focused);
    if cx.state.alerts.is_empty() && inner.height > 0 {
        Pen::new(buf, cx.theme, inner, 0).put("  none was active", Role::Dim);
        return;
    }
    rows::rows(cx, List::Alerts, focused, inner, buf, |pen, row| {
        if let Some(labels) = cx.index.alerts.get(row)
            && let Some(alert) = cx.state.alerts.get(labels)
        {
            line(cx, pen, alert);
        }
    });
}

/// `alerts 2 firing (1 UNEXPECTED), 1 pending`.
pub(super) fn summary(cx: &Cx<'_>) -> String {
    let (firing, unexpected) = cx.index.firing;
    let mut parts = vec![match unexpected {
        0 => format!("alerts {firing} firing"),
        _ => format!("alerts {firing} firing ({unexpected} UNEXPECTED)"),
    }];
    if cx.index.pending > 0 {
        parts.push(format!("{} pending", cx.index.pending));
    }
    parts.join(", ")
}

fn line(cx: &Cx<'_>, pen: &mut Pen<'_>, alert: &AlertView) {
    let (mark, role) = mark(cx, alert);
    let state = match alert.state {
        AlertPhase::Pending => "pending",
        AlertPhase::Firing => "firing",
        AlertPhase::Inactive => "inactive",
    };
    let kind = match alert.kind {
        AlertKind::Expected => "expected",
        AlertKind::Allowed => "allowed",
        AlertKind::Unexpected if alert.state == AlertPhase::Inactive && !has_fired(alert) => "never fired",
        AlertKind::Unexpected => "UNEXPECTED",
        AlertKind::Unjudged => "",
    };
    let bad = kind == "UNEXPECTED";
    pen.put(mark, role).skip(1).cell(state, 8, false, role).skip(1);
    pen.cell(&text::brief((cx.now - alert.since).max(Millis(0))), 6, true, Role::Plain).skip(1);
    // An alert with a deadline is an expected one: where room is short, that is enough.
    let told = told(cx, alert);
    let both = [kind, &told].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(", ");
    let room = pen.left();
    let said = match paint::width(&both) + NAME < room {
        true => both,
        false if bad || told.is_empty() => kind.to_owned(),
        false => told,
    };
    let right = if said.is_empty() { 0 } else { (paint::width(&said) + 1).min(room.saturating_sub(8)) };
    let whole = named(cx, &alert.labels);
    let narrow = paint::width(&whole) > room - right && room < 2 * NAME;
    let name = if narrow { alert.name() } else { &whole };
    pen.cell(
        &paint::middle(name, room - right, cx.theme),
        room - right,
        false,
        if bad { role } else { Role::Plain },
    );
    if right > 0 {
        let role = if bad { Role::Bad } else { Role::Dim };
        pen.skip(1).cell(&said, right - 1, true, role);
    }
}

/// Symbol and meaning of an alert.
pub(super) fn mark(cx: &Cx<'_>, alert: &AlertView) -> (&'static str, Role) {
    let symbols = cx.theme.symbols();
    match (alert.state, alert.kind) {
        (AlertPhase::Inactive, AlertKind::Unexpected) if has_fired(alert) => (symbols.bad, Role::Warn),
        (AlertPhase::Inactive, _) => (symbols.not_yet, Role::Dim),
        (AlertPhase::Firing, AlertKind::Unexpected) => (symbols.bad, Role::Bad),
        (AlertPhase::Pending, AlertKind::Unexpected) => ("!", Role::Warn),
        (AlertPhase::Firing, _) => (symbols.firing, Role::Alert),
        (AlertPhase::Pending, _) => (symbols.pending, Role::Alert),
    }
}

/// Name and the labels that tell it from others; those of every alert of the namespace are left out.
fn named(cx: &Cx<'_>, labels: &Labels) -> String {
    let known = |(key, value): &(&String, &String)| {
        let own = *key == "namespace" && *value == cx.state.namespace();
        own || ["alertname", "cluster"].contains(&key.as_str()) || key.starts_with("sloth_")
    };
    let name = labels.get("alertname").map_or("?", String::as_str);
    let others = labels.iter().filter(|label| !known(label)).map(|(_, value)| value.as_str());
    std::iter::once(name).chain(others).collect::<Vec<_>>().join(" ")
}

/// What is waited for with this alert, or what became of it at Alertmanager.
fn told(cx: &Cx<'_>, alert: &AlertView) -> String {
    if let Some((state, left)) = countdown(cx, &alert.labels) {
        return match left.0 >= 0 {
            true => format!("{state} in {}", text::brief(left)),
            false => format!("{state} overdue {}", text::brief(Millis(-left.0))),
        };
    }
    if alert.suppressed.is_some() {
        return "held back".into();
    }
    match (&alert.resolved_delivered, &alert.delivered, alert.state) {
        (Some(_), _, AlertPhase::Inactive) => "resolved told".into(),
        (_, Some(_), AlertPhase::Firing) => "delivered".into(),
        _ => String::new(),
    }
}

/// The nearest deadline of an expectation about this alert whose clock runs: the state that must be reached, and the time left.
pub(crate) fn countdown(cx: &Cx<'_>, labels: &Labels) -> Option<(String, Millis)> {
    let plan = cx.state.plan.as_ref()?;
    let about = plan.expectations.iter().zip(&cx.state.expectations);
    let waiting = about.filter_map(|(expectation, view)| {
        let ExpectationKind::Alert(alert) = &expectation.kind else { return None };
        let Progress::Waiting { since } = view.progress else { return None };
        // The name first: matchers may be regular expressions.
        let same = labels.get("alertname") == Some(&alert.alert) && LabelMatcher::all(&alert.labels, labels);
        same.then(|| (alert.state.to_string(), since + alert.within - cx.now))
    });
    waiting.min_by_key(|(_, left)| *left)
}
