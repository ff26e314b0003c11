//! Expectations, with what polling shows of them: `waiting 8.3s of 20s`, `met +8.3s of 20s`, `missed`, and at last the verdict.

use harness_event::{
    CheckOutcome, Millis,
    state::{ExpectationView, Progress},
};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, focused, layout::Want};
use crate::{
    app::List,
    paint::{self, Pen},
    theme::{Role, Symbols},
    view::{rows, text},
};

/// Below so many columns only the most important part of a row is shown.
const NARROW: usize = 44;

pub(super) fn want(cx: &Cx<'_>) -> Want {
    match cx.state.expectations.len() {
        0 => Want::default(),
        many => Want { least: 4.min(many as u16 + 1), most: u16::try_from(many).unwrap_or(u16::MAX - 1) + 1 },
    }
}

pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    let order = rows::order(cx, List::Expectations, cx.state.expectations.len());
    let focused = focused(cx, List::Expectations);
    let inner = paint::panel(buf, cx.theme, area, &summary(cx), &order, focused);
    rows::rows(cx, List::Expectations, focused, inner, buf, |pen, row| {
        let Some(place) = cx.index.expectations.get(row) else { return };
        let Some(expectation) = cx.state.expectations.get(*place) else { return };
        line(cx, pen, expectation);
    });
}

/// `expectations: 3 met, 2 waiting, 1 missed of 9`.
pub(super) fn summary(cx: &Cx<'_>) -> String {
    let mut counts: Vec<(&str, usize)> =
        ["passed", "met", "waiting", "overdue", "late", "missed", "failed", "inconclusive"]
            .map(|word| (word, 0))
            .into();
    for expectation in &cx.state.expectations {
        let word = word(expectation, cx.now);
        if let Some(count) = counts.iter_mut().find(|(name, _)| *name == word) {
            count.1 += 1;
        }
    }
    let counted: Vec<_> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(word, count)| format!("{count} {word}"))
        .collect();
    let of = format!("of {}", cx.state.expectations.len());
    match counted.is_empty() {
        true => format!("expectations 0 {of}"),
        false => format!("expectations {} {of}", counted.join(", ")),
    }
}

/// The deadline is over, as far as polling can tell; the evidence will decide.
fn overdue(expectation: &ExpectationView, since: Millis, now: Millis) -> bool {
    expectation.deadline.is_some_and(|deadline| now - since > deadline)
}

fn word(expectation: &ExpectationView, now: Millis) -> &'static str {
    match &expectation.progress {
        Progress::NotStarted => "not yet",
        Progress::Waiting { since } if overdue(expectation, *since, now) => "overdue",
        Progress::Waiting { .. } => "waiting",
        Progress::Met { .. } => "met",
        Progress::Late { .. } => "late",
        Progress::Missed { .. } => "missed",
        Progress::Judged { outcome: CheckOutcome::Passed, .. } => "passed",
        Progress::Judged { outcome: CheckOutcome::Failed, .. } => "failed",
        Progress::Judged { outcome: CheckOutcome::Inconclusive, .. } => "inconclusive",
    }
}

fn line(cx: &Cx<'_>, pen: &mut Pen<'_>, expectation: &ExpectationView) {
    let (mark, role) = mark(cx.theme.symbols(), expectation, cx.now);
    let wide = pen.left();
    let mut progress = progress(expectation, cx.now);
    if wide < NARROW
        && let Some(deadline) = expectation.deadline
        && let Some(short) = progress.strip_suffix(&format!(" of {}", text::length(deadline)))
    {
        // The time without its deadline, so that the name has room.
        progress.truncate(short.len());
    }
    let column = paint::width(&progress).min(wide * 3 / 5);
    let name = wide.saturating_sub(column + 3);
    pen.put(mark, role).skip(1);
    // The sentence where it fits, else the name.
    let fits = paint::width(&expectation.title) <= name || name >= 60;
    let shown = match fits {
        true => expectation.title.as_str().into(),
        false if wide < NARROW => {
            let id = expectation.id.strip_prefix("alert/").unwrap_or(&expectation.id);
            paint::middle(id, name, cx.theme)
        }
        false => paint::middle(&expectation.id, name, cx.theme),
    };
    pen.cell(&shown, name, false, Role::Plain).skip(1);
    pen.cell(&progress, column, true, role);
}

fn mark(symbols: &'static Symbols, expectation: &ExpectationView, now: Millis) -> (&'static str, Role) {
    match &expectation.progress {
        Progress::NotStarted => (symbols.not_yet, Role::Dim),
        Progress::Waiting { since } if overdue(expectation, *since, now) => ("!", Role::Bad),
        Progress::Waiting { .. } => (symbols.waiting, Role::Warn),
        Progress::Met { .. } | Progress::Judged { outcome: CheckOutcome::Passed, .. } => {
            (symbols.good, Role::Good)
        }
        Progress::Late { .. } | Progress::Judged { outcome: CheckOutcome::Inconclusive, .. } => {
            (symbols.unsure, Role::Warn)
        }
        Progress::Missed { .. } | Progress::Judged { outcome: CheckOutcome::Failed, .. } => {
            (symbols.bad, Role::Bad)
        }
    }
}

/// How it stands, in words.
pub(crate) fn progress(expectation: &ExpectationView, now: Millis) -> String {
    let of =
        expectation.deadline.map(|deadline| format!(" of {}", text::length(deadline))).unwrap_or_default();
    match &expectation.progress {
        Progress::NotStarted => "not yet".into(),
        Progress::Waiting { since } => {
            let word = if overdue(expectation, *since, now) { "overdue" } else { "waiting" };
            format!("{word} {}{of}", text::length((now - *since).max(Millis(0))))
        }
        Progress::Met { after: Some(after) } => format!("met +{}{of}", text::length(*after)),
        Progress::Met { after: None } => "met".into(),
        Progress::Late { after } => format!("late +{}{of}", text::length(*after)),
        Progress::Missed { reason } => format!("missed: {reason}"),
        Progress::Judged { outcome, reason, measured } => match (outcome, measured) {
            (CheckOutcome::Passed, Some(measured)) => format!("passed +{}{of}", text::length(*measured)),
            (CheckOutcome::Passed, None) => "passed".into(),
            (CheckOutcome::Failed, _) => format!("failed: {reason}"),
            (CheckOutcome::Inconclusive, _) => format!("inconclusive: {reason}"),
        },
    }
}
