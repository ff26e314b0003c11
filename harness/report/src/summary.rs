//! The end of a run for people: the way of each alert, each check, the verdict.

use harness_event::{Check, Detection, Event, EventKind, Millis, Outcome, Resolution, Verdict};

use crate::{
    duration::between,
    result::Timing,
    style::{Style, Tone},
};

/// The summary's lines.
pub fn summary(events: &[Event], verdict: &Verdict, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let touched = events.iter().any(|event| matches!(event.kind, EventKind::FaultPlanned { .. }));
    // Where nothing was done, or the run was stopped half-way, the reason says it all.
    let tells = touched && verdict.outcome != Outcome::Aborted;
    if tells && !verdict.detections.is_empty() {
        lines.push(String::new());
        lines.extend(detections(&verdict.detections, style));
    }
    if tells && !verdict.checks.is_empty() {
        lines.push(String::new());
        lines.extend(verdict.checks.iter().map(|check| check_line(check, style)));
    }
    lines.push(String::new());
    lines.push(verdict_line(verdict, style, tells));
    lines.extend(verdict.reasons.iter().map(|reason| format!("  {reason}")));
    if verdict.outcome == Outcome::RollbackIncomplete {
        lines.push(format!("  {}", style.paint(Tone::Bad, "run `harness recover` to undo what is left")));
    }
    lines.extend(timing(events, style));
    lines
}

fn check_line(check: &Check, style: Style) -> String {
    let deadline = check
        .deadline
        .map(|deadline| style.paint(Tone::Dim, &format!(" (deadline {deadline})")))
        .unwrap_or_default();
    format!("{}  {:<52}  {}{deadline}", style.check(check.outcome), check.id, check.reason)
}

fn verdict_line(verdict: &Verdict, style: Style, tells: bool) -> String {
    let passed =
        verdict.checks.iter().filter(|check| check.outcome == harness_event::CheckOutcome::Passed).count();
    let counts =
        if tells { format!(": {passed} of {} checks passed", verdict.checks.len()) } else { String::new() };
    format!("{}{counts}", style.outcome(verdict.outcome))
}

/// Detection breakdown: each step's time counts from the effect, `resolved` from the heal.
fn detections(detections: &[Detection], style: Style) -> Vec<String> {
    const HEAD: [&str; 7] = ["alert", "effect", "pending", "firing", "delivered", "resolved", "told"];
    let row = |detection: &Detection| {
        let since_effect = |at| between(detection.effect_at, at);
        let since_heal =
            |at| detection.healed_at.map_or_else(|| "-".to_owned(), |healed| between(healed, at));
        let how = match detection.resolution {
            Some(Resolution::Absence) => " by absence",
            Some(Resolution::Unknown) => " (unknown how)",
            Some(Resolution::Explicit) | None => "",
        };
        [
            detection.alert.clone(),
            detection.effect_at.clock(),
            since_effect(detection.pending_at),
            since_effect(detection.firing_at),
            since_effect(detection.delivered_at),
            format!("{}{how}", since_heal(detection.resolved_at)),
            since_heal(detection.resolved_delivered_at),
        ]
    };
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(detections.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let line = |(number, row): (usize, &[String; 7])| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let gap = if number == 0 {
            format!(" {} ", style.arrow())
        } else {
            " ".repeat(2 + style.arrow().chars().count())
        };
        let text = cells.join(&gap).trim_end().to_owned();
        if number == 0 { style.paint(Tone::Dim, &text) } else { text }
    };
    rows.iter().enumerate().map(line).collect()
}

fn timing(events: &[Event], style: Style) -> Vec<String> {
    let timing = Timing::of(events);
    let Some(demanded) = timing.demanded.filter(|demanded| *demanded > Millis(0)) else { return Vec::new() };
    let up = match timing.bring_up {
        Millis(0) => String::new(),
        length => format!(", bringing the stack up {length}"),
    };
    let rest = timing.duration - demanded - timing.bring_up - timing.readiness;
    if rest < Millis(0) {
        // Stopped before it was through: what the scenario demands was not waited for.
        return vec![style.paint(Tone::Dim, &format!("took {}", timing.duration))];
    }
    let text = format!(
        "took {}: the scenario itself demands {demanded}{up}, proving readiness {}, the rest {rest}",
        timing.duration, timing.readiness
    );
    vec![style.paint(Tone::Dim, &text)]
}
