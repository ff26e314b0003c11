//! The alerts view.
//!
//! ```text
//! ▸alerts  2 firing (1 UNEXPECTED), 1 pending──────────────────────────────────────────────
//!    STATE     SINCE   FOR    ALERT                                  KIND        VALUE  TOLD
//! ▸▒ pending   +13.7s  4.1s   APIServiceDown{service="api"}          expected    0
//!  █ firing    +18.7s  2.0s   PostgresDown{service="postgres"}       expected    0      harness
//! ─APIServiceDown──────────────────────────────────────────────────────────────────────────
//!  state, value · rule: expression, for, group · expectations · history · what Alertmanager did with it · labels, annotations
//! ```

use harness_event::{
    AlertRule, ExpectationKind, LabelMatcher, Labels, Millis,
    narrate::describe_alert,
    state::{AlertKind, AlertPhase, AlertView, ExpectationView, Progress},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{
    Cx,
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
    let (top, below) = detail::split(cx, List::Alerts, area);
    if let Some(area) = top {
        list(cx, area, buf);
    }
    let labels = cx.index.alerts.get(cx.ui.lists[List::Alerts].cursor);
    if let (Some(area), Some(alert)) = (below, labels.and_then(|labels| cx.state.alerts.get(labels))) {
        details(cx, alert, area.width).render(cx, area, buf, alert.name(), "");
    }
}

fn list(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let (firing, unexpected) = cx.index.firing;
    let strange = if unexpected > 0 { format!(" ({unexpected} UNEXPECTED)") } else { String::new() };
    let title = format!("alerts {firing} firing{strange}, {} pending", cx.index.pending);
    let order = rows::order(cx, List::Alerts, cx.state.alerts.len());
    let inner = paint::panel(buf, cx.theme, area, &title, &order, true);
    if cx.state.alerts.is_empty() {
        Pen::new(buf, cx.theme, inner, 0).put("  none was active", Role::Dim);
        return;
    }
    let columns = Columns::new(cx, usize::from(inner.width));
    columns.head(&mut Pen::new(buf, cx.theme, inner, 0));
    let below = Rect { y: inner.y.saturating_add(1), height: inner.height.saturating_sub(1), ..inner };
    rows::rows(cx, List::Alerts, true, below, buf, |pen, row| {
        if let Some(alert) = cx.index.alerts.get(row).and_then(|labels| cx.state.alerts.get(labels)) {
            columns.row(cx, pen, alert);
        }
    });
}

/// Columns that fit.
struct Columns<'a> {
    name: usize,
    since: bool,
    value: bool,
    told: bool,
    /// Labels that all alerts have in common: they tell nothing.
    common: Vec<(&'a String, &'a String)>,
}

impl<'a> Columns<'a> {
    fn new(cx: &Cx<'a>, width: usize) -> Self {
        let (since, value, told) = (width >= 60, width >= 90, width >= 76);
        let taken = 3
            + 9
            + 8
            + 11
            + if since { detail::TIME + 1 } else { 0 }
            + if value { 9 } else { 0 }
            + if told { 14 } else { 0 };
        Self { name: width.saturating_sub(taken + 1).max(8), since, value, told, common: common(cx) }
    }

    fn head(&self, pen: &mut Pen<'_>) {
        pen.skip(3).cell("STATE", 9, false, Role::Dim);
        if self.since {
            pen.cell("SINCE", detail::TIME, true, Role::Dim).skip(1);
        }
        pen.cell("FOR", 7, true, Role::Dim).skip(1).cell("ALERT", self.name, false, Role::Dim).skip(1);
        pen.cell("KIND", 11, false, Role::Dim);
        if self.value {
            pen.cell("VALUE", 8, true, Role::Dim).skip(1);
        }
        if self.told {
            pen.cell("ALERTMANAGER", 14, false, Role::Dim);
        }
    }

    fn row(&self, cx: &Cx<'_>, pen: &mut Pen<'_>, alert: &AlertView) {
        let (mark, role) = mark(cx, alert);
        pen.put(mark, role).skip(1).cell(phase(alert.state), 9, false, role);
        if self.since {
            pen.cell(&time(cx, alert.since), detail::TIME, true, Role::Plain).skip(1);
        }
        let age = (cx.now - alert.since).max(Millis(0));
        pen.cell(&text::length(age), 7, true, Role::Plain).skip(1);
        let mut labels = alert.labels.clone();
        labels.retain(|name, value| {
            // What an SLO's alert is about is in its name and its severity.
            let sloth = name.starts_with("sloth_") && name != "sloth_severity";
            let common = || self.common.iter().any(|(of, same)| *of == name && *same == value);
            name == "alertname" || !(sloth || common())
        });
        let name = describe_alert(&labels);
        pen.cell(&name, self.name, false, if role == Role::Bad { Role::Bad } else { Role::Plain }).skip(1);
        let (word, meaning) = match alert.kind {
            AlertKind::Unexpected if fired(alert) => ("UNEXPECTED", Role::Bad),
            AlertKind::Unexpected if alert.state == AlertPhase::Pending => ("unexpected", Role::Warn),
            of => (kind(of), Role::Dim),
        };
        pen.cell(word, 11, false, meaning);
        if self.value {
            pen.cell(&value(alert), 8, true, Role::Plain).skip(1);
        }
        if self.told {
            let (told, role) = told(alert);
            pen.cell(&told, 14, false, role);
        }
    }
}

/// Labels that all alerts have in common, if there are several.
fn common<'a>(cx: &Cx<'a>) -> Vec<(&'a String, &'a String)> {
    let mut all = cx.state.alerts.keys();
    let mut common: Vec<_> = all.next().into_iter().flatten().collect();
    if cx.state.alerts.len() < 2 {
        common.clear();
    }
    for labels in all {
        common.retain(|(name, value)| labels.get(*name) == Some(value));
    }
    common
}

/// It was more than pending.
fn fired(alert: &AlertView) -> bool {
    alert.history.iter().any(|(_, state)| *state == AlertPhase::Firing)
}

/// A value as Prometheus writes it, in fewer digits.
fn value(alert: &AlertView) -> String {
    let Some(value) = alert.value.as_deref() else { return "-".into() };
    value.parse::<f64>().ok().filter(|value| value.is_finite()).map_or_else(|| value.to_owned(), text::short)
}

/// What became of it at Alertmanager.
fn told(alert: &AlertView) -> (String, Role) {
    match (&alert.suppressed, &alert.delivered, &alert.resolved_delivered) {
        (Some(_), _, _) => ("held back".into(), Role::Warn),
        (None, Some(_), Some(_)) => ("resolved told".into(), Role::Dim),
        (None, Some((_, receiver)), None) => (format!("told {receiver}"), Role::Plain),
        (None, None, _) => ("-".into(), Role::Dim),
    }
}

/// Symbol and meaning of an alert's state.
fn mark(cx: &Cx<'_>, alert: &AlertView) -> (&'static str, Role) {
    let symbols = cx.theme.symbols();
    match (alert.state, alert.kind) {
        (AlertPhase::Inactive, AlertKind::Unexpected) if fired(alert) => (symbols.bad, Role::Warn),
        (AlertPhase::Inactive, _) => (symbols.not_yet, Role::Dim),
        (AlertPhase::Firing, AlertKind::Unexpected) => (symbols.bad, Role::Bad),
        (AlertPhase::Pending, AlertKind::Unexpected) => ("!", Role::Warn),
        (AlertPhase::Firing, _) => (symbols.firing, Role::Alert),
        (AlertPhase::Pending, _) => (symbols.pending, Role::Alert),
    }
}

fn phase(phase: AlertPhase) -> &'static str {
    match phase {
        AlertPhase::Pending => "pending",
        AlertPhase::Firing => "firing",
        AlertPhase::Inactive => "inactive",
    }
}

fn kind(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::Expected => "expected",
        AlertKind::Allowed => "allowed",
        AlertKind::Unexpected => "unexpected",
        AlertKind::Unjudged => "-",
    }
}

fn details(cx: &Cx<'_>, alert: &AlertView, width: u16) -> Text {
    let mut text = Text::new(width);
    let (symbol, role) = mark(cx, alert);
    let age = text::length((cx.now - alert.since).max(Millis(0)));
    text.field(
        "state",
        &format!("{symbol} {} since {}, for {age}", phase(alert.state), time(cx, alert.since)),
        role,
    );
    let meaning = match alert.kind {
        AlertKind::Expected => ("expected by the scenario", Role::Plain),
        AlertKind::Allowed => ("allowed by the scenario", Role::Plain),
        AlertKind::Unexpected => {
            ("UNEXPECTED: it fails the run if it fires after the first fault", Role::Bad)
        }
        AlertKind::Unjudged => ("nothing is said against it", Role::Dim),
    };
    text.field("kind", meaning.0, meaning.1);
    // As Prometheus writes it, `1e+00`, but where that is a plain number.
    let plain = |value: &String| value.parse::<f64>().ok().filter(|value| value.is_finite());
    let value =
        alert.value.as_ref().map(|value| plain(value).map_or_else(|| value.clone(), |it| it.to_string()));
    text.field("value", value.as_deref().unwrap_or("not known"), Role::Plain);
    if let Some(at) = alert.active_at {
        text.field("active since", &format!("{at}, as Prometheus says"), Role::Plain);
    }
    rule(cx, alert, &mut text);
    expectations(cx, &alert.labels, &mut text);
    text.heading("history");
    let mut before = None;
    for (at, state) in &alert.history {
        let role = if *state == AlertPhase::Inactive { Role::Good } else { Role::Alert };
        text.line(vec![
            (format!("  {:>1$}  ", time(cx, *at), detail::TIME), Role::Dim),
            (phase(*state).to_owned(), role),
            (later(before, *at), Role::Dim),
        ]);
        before = Some(*at);
    }
    alertmanager(cx, alert, &mut text);
    text.heading("labels");
    for (name, value) in &alert.labels {
        text.wrapped(2, &format!("{name}={value:?}"), Role::Plain);
    }
    text
}

fn rule(cx: &Cx<'_>, alert: &AlertView, text: &mut Text) {
    text.heading("rule");
    let rules = cx.state.rules.get(alert.name()).map(Vec::as_slice).unwrap_or_default();
    let Some(rule) = rules.iter().find(|rule| made(rule, &alert.labels)).or(rules.first()) else {
        text.wrapped(2, "not recorded: the log does not say which rules Prometheus had loaded", Role::Dim);
        return;
    };
    text.field("  expression", &rule.expression, Role::Plain);
    text.field("  for", &rule.pending_for.to_string(), Role::Plain);
    if rule.keep_firing_for > Millis(0) {
        text.field("  keep firing", &rule.keep_firing_for.to_string(), Role::Plain);
    }
    text.field("  group", &rule.group, Role::Plain);
    for (name, value) in &rule.annotations {
        text.field(&format!("  {name}"), value, Role::Plain);
    }
}

/// True if the rule's own labels are the alert's. Those with templates are not compared.
fn made(rule: &AlertRule, labels: &Labels) -> bool {
    let same = |(name, value): (&String, &String)| value.contains("{{") || labels.get(name) == Some(value);
    rule.labels.iter().all(same)
}

fn expectations(cx: &Cx<'_>, labels: &Labels, text: &mut Text) {
    let Some(plan) = &cx.state.plan else { return };
    let about = plan.expectations.iter().zip(&cx.state.expectations).filter(|(expectation, _)| {
        let ExpectationKind::Alert(alert) = &expectation.kind else { return false };
        labels.get("alertname") == Some(&alert.alert) && LabelMatcher::all(&alert.labels, labels)
    });
    let mut begun = false;
    for (_, view) in about {
        if !std::mem::replace(&mut begun, true) {
            text.heading("expected");
        }
        standing(cx, view, text);
    }
}

/// How an expectation stands: in a line if it fits.
pub(super) fn standing(cx: &Cx<'_>, view: &ExpectationView, text: &mut Text) {
    let symbols = cx.theme.symbols();
    let of = view.deadline.map_or_else(String::new, |deadline| format!(" of {}", text::length(deadline)));
    let (symbol, role, told) = match &view.progress {
        Progress::NotStarted => (symbols.not_yet, Role::Dim, "not yet".to_owned()),
        Progress::Waiting { since } => match view.deadline.map(|deadline| *since + deadline - cx.now) {
            Some(left) if left.0 >= 0 => {
                (symbols.waiting, Role::Plain, format!("waiting, {} left{of}", text::length(left)))
            }
            Some(over) => (
                symbols.unsure,
                Role::Warn,
                format!("not seen, deadline over by {}", text::length(Millis(-over.0))),
            ),
            None => (symbols.waiting, Role::Plain, "waiting for the evidence".to_owned()),
        },
        Progress::Met { after: Some(after) } => {
            (symbols.good, Role::Good, format!("met at +{}{of}", text::length(*after)))
        }
        Progress::Met { after: None } => (symbols.good, Role::Good, "met".to_owned()),
        Progress::Late { after } => {
            (symbols.unsure, Role::Warn, format!("seen only at +{}{of}", text::length(*after)))
        }
        Progress::Missed { reason } => (symbols.bad, Role::Bad, format!("missed: {reason}")),
        Progress::Judged { outcome, reason, .. } => {
            let (symbol, role, word) = match outcome {
                harness_event::CheckOutcome::Passed => (symbols.good, Role::Good, "passed"),
                harness_event::CheckOutcome::Failed => (symbols.bad, Role::Bad, "FAILED"),
                harness_event::CheckOutcome::Inconclusive => (symbols.unsure, Role::Warn, "inconclusive"),
            };
            (symbol, role, format!("{word}: {reason}"))
        }
    };
    let name = format!("  {symbol} {}", view.id);
    if paint::width(&name) + 2 + paint::width(&told) <= text.columns() {
        text.line(vec![(name, role), ("  ".into(), Role::Plain), (told, role)]);
    } else {
        text.line(vec![(name, role)]).wrapped(6, &told, role);
    }
}

fn alertmanager(cx: &Cx<'_>, alert: &AlertView, text: &mut Text) {
    text.heading("Alertmanager");
    if let Some(by) = &alert.suppressed {
        text.field("  held back", by, Role::Warn);
    }
    let mut told = false;
    for notification in &cx.state.notifications {
        let Some(about) = notification.alerts.iter().find(|about| about.labels == alert.labels) else {
            continue;
        };
        told = true;
        let at = (notification.received_at - cx.state.started_at).max(Millis(0));
        // The time at which Alertmanager was told is not known; when the alert began to fire, or ended, is.
        let since = match about.status.as_str() {
            "resolved" => about.ends_at,
            _ => Some(about.starts_at),
        };
        let latency = since.map_or_else(String::new, |since| {
            let word = if about.status == "resolved" { "it ended" } else { "it fired" };
            format!(", {} after {word}", text::length(notification.received_at - since))
        });
        text.line(vec![
            (format!("  {:>1$}  ", time(cx, at), detail::TIME), Role::Dim),
            (format!("{} {} {}", about.status, cx.theme.symbols().arrow, notification.receiver), Role::Plain),
            (latency, Role::Dim),
        ]);
    }
    if !told {
        text.wrapped(2, "no notification about it arrived", Role::Dim);
    }
}
