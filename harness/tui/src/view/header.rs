//! The run in one or two rows.
//!
//! ```text
//! Title of the scenario  20261121-100000-abcd              sources ok  compressed x60  merged 12  lagging
//! FAULT 0:34 of about 1:20  what matters now: the verdict, a cancellation, PAUSED, what is waited for
//! ```

use harness_event::{CancelReason, CheckOutcome, Outcome, Verdict};
use ratatui::{buffer::Buffer, layout::Rect};

use super::{Cx, schedule::Schedule, text};
use crate::{
    keys::Mode,
    paint::{self, Pen},
    theme::Role,
};

/// Rows that the header takes.
pub(super) fn rows(_cx: &Cx<'_>, area: Rect) -> u16 {
    if area.height < 12 { 1 } else { 2 }
}

/// Draws it.
pub(super) fn render(cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
    if area.height < 2 {
        let mut pen = Pen::new(buf, cx.theme, area, 0);
        state(cx, &mut pen);
        return;
    }
    let remarks = remarks(cx);
    let needed: usize = remarks.iter().map(|(text, _)| paint::width(text) + 2).sum();
    let names = Rect { width: area.width.saturating_sub(needed as u16), ..area };
    let mut pen = Pen::new(buf, cx.theme, names, 0);
    pen.put(&title(cx), Role::Strong);
    if pen.left() > 2 + cx.state.run.len() {
        pen.put("  ", Role::Plain).put(&cx.state.run, Role::Dim);
    }
    let mut pen = Pen::new(buf, cx.theme, area, 0);
    pen.right(needed);
    for (text, role) in &remarks {
        pen.put("  ", Role::Plain).put(text, *role);
    }
    let mut pen = Pen::new(buf, cx.theme, area, 1);
    state(cx, &mut pen);
}

fn title(cx: &Cx<'_>) -> String {
    let title = cx.state.plan.as_ref().map(|plan| plan.title.as_str()).filter(|title| !title.is_empty());
    match (cx.ui.mode, title) {
        (Mode::Watch, _) => match &cx.state.target {
            Some(target) => format!("watching {}", target.context),
            None => "watching".into(),
        },
        (_, Some(title)) => title.to_owned(),
        (Mode::GameDay, None) => "game day".into(),
        (_, None) if cx.state.scenario.is_empty() => "harness".into(),
        (_, None) => cx.state.scenario.clone(),
    }
}

/// Connections, compression, and what is not as it should be in the view itself.
fn remarks(cx: &Cx<'_>) -> Vec<(String, Role)> {
    let symbols = cx.theme.symbols();
    let mut remarks = Vec::new();
    let lost: Vec<_> = cx.state.connections.iter().filter(|(_, source)| source.error.is_some()).collect();
    match lost[..] {
        [] if cx.state.target.is_none() => {}
        [] => remarks.push((format!("{} sources ok", symbols.good), Role::Good)),
        [(name, source)] => {
            let since = text::length(cx.now - source.since);
            remarks.push((format!("{} {name} lost {since}", symbols.bad), Role::Bad));
        }
        _ => remarks.push((format!("{} {} sources lost", symbols.bad, lost.len()), Role::Bad)),
    }
    if let Some(factor) = cx.state.compressed {
        remarks.push((format!("compressed x{factor}"), Role::Warn));
    }
    if cx.ui.merged > 0 {
        remarks.push((format!("merged {}", cx.ui.merged), Role::Warn));
    }
    if cx.ui.lagging {
        remarks.push(("lagging".into(), Role::Warn));
    }
    remarks
}

/// Phase, time, and what matters now.
fn state(cx: &Cx<'_>, pen: &mut Pen<'_>) {
    let phase = match (cx.state.phase(), cx.ui.mode) {
        _ if cx.state.finished => "OVER".to_owned(),
        (_, Mode::Watch) => "WATCH".to_owned(),
        (Some(phase), _) => phase.to_string().to_uppercase(),
        (None, Mode::GameDay) => "GAME DAY".to_owned(),
        (None, _) => "STARTING".to_owned(),
    };
    pen.put(&phase, Role::Strong).put(" ", Role::Plain).put(&text::clock(cx.now), Role::Strong);
    let undoing = cx.ui.aborting.is_some() || cx.ui.finishing || cx.state.cancelled.is_some();
    if cx.ui.mode == Mode::Replay {
        replay(cx, pen);
    } else if cx.ui.mode == Mode::Scenario
        && !cx.state.finished
        && !undoing
        && let Some(end) = Schedule::of(cx.state).end
    {
        let left = end - cx.now;
        if left.0 > 0 {
            pen.put(&format!(" of about {}, {} left", text::clock(end), text::clock(left)), Role::Plain);
        } else {
            pen.put(&format!(" planned for {}", text::clock(end)), Role::Dim);
        }
    }
    pen.put("  ", Role::Plain);
    if cx.ui.paused.is_some() {
        pen.put("PAUSED", Role::Warn).put(" (space goes on)  ", Role::Plain);
    }
    for (text, role) in condition(cx) {
        pen.put(&text, role);
    }
}

fn replay(cx: &Cx<'_>, pen: &mut Pen<'_>) {
    let playback = &cx.ui.playback;
    pen.put(&format!(" of {}", text::clock(playback.length)), Role::Plain);
    let how = if playback.playing { "playing" } else { "standing" };
    pen.put(&format!("  REPLAY {how} x{}", playback.speed), Role::Accent);
}

/// What matters now, most important first: one thing.
fn condition(cx: &Cx<'_>) -> Vec<(String, Role)> {
    if let Some(verdict) = &cx.state.verdict {
        return verdict_in_words(verdict);
    }
    let doing = cx.ui.progress.back().cloned().unwrap_or_default();
    if let Some(reason) = &cx.state.cancelled {
        let why = match reason {
            CancelReason::Signal(signal) => format!("by {signal}"),
            CancelReason::Internal(error) => format!("because of an internal error: {error}"),
            CancelReason::Recovered => "and rolled back by recover".to_owned(),
        };
        if cx.state.finished {
            return vec![(format!("CANCELLED {why}"), Role::Warn)];
        }
        return vec![
            ("CANCELLING".into(), Role::Warn),
            (format!(" {why}: {}", rollback(cx, &doing)), Role::Plain),
        ];
    }
    if cx.ui.aborting.is_some() && !cx.ui.over {
        return vec![("CANCELLING".into(), Role::Warn), (format!(": {}", rollback(cx, &doing)), Role::Plain)];
    }
    if cx.ui.finishing && !cx.ui.over {
        return vec![("ENDING".into(), Role::Warn), (format!(": {}", rollback(cx, &doing)), Role::Plain)];
    }
    if let Some(reason) = cx.state.stopped.last() {
        return vec![("NOTHING WAS INJECTED".into(), Role::Bad), (format!(": {reason}"), Role::Plain)];
    }
    if !doing.is_empty() {
        return vec![(doing, Role::Dim)];
    }
    match (cx.ui.over, cx.state.events) {
        (true, _) => vec![("the run is over".into(), Role::Strong)],
        (false, 0) => vec![("waiting for the first event".into(), Role::Dim)],
        _ => Vec::new(),
    }
}

/// What is left to undo.
fn rollback(cx: &Cx<'_>, doing: &str) -> String {
    let left: Vec<_> = cx
        .state
        .faults
        .iter()
        .filter(|fault| fault.applied.is_some() && fault.reverted.is_none())
        .map(|fault| fault.spec.name.as_str())
        .collect();
    match (doing, &left[..]) {
        ("", []) => "finishing".into(),
        ("", left) => format!("undoing {}", left.join(", ")),
        (doing, []) => doing.to_owned(),
        (doing, left) => format!("{doing} (to undo: {})", left.join(", ")),
    }
}

/// The verdict as a word, and why.
fn verdict_in_words(verdict: &Verdict) -> Vec<(String, Role)> {
    let role = match verdict.outcome {
        Outcome::Passed => Role::Good,
        Outcome::Inconclusive | Outcome::Aborted => Role::Warn,
        Outcome::Ended => Role::Strong,
        _ => Role::Bad,
    };
    let passed = verdict.checks.iter().filter(|check| check.outcome == CheckOutcome::Passed).count();
    let mut words = vec![(verdict.outcome.to_string().to_uppercase(), role)];
    if !verdict.checks.is_empty() {
        words.push((format!(" {passed} of {} checks passed", verdict.checks.len()), Role::Plain));
    }
    let left = verdict.left_behind.first();
    let failed = verdict.checks.iter().find(|check| check.outcome == CheckOutcome::Failed);
    let why = left.cloned().or_else(|| failed.map(|check| format!("{}: {}", check.title, check.reason)));
    if verdict.outcome != Outcome::Passed
        && let Some(why) = why.or_else(|| verdict.reasons.first().cloned())
    {
        words.push((format!(": {why}"), Role::Plain));
    }
    words
}
