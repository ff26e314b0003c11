//! The end of a run for people: the way of each alert, each check, the verdict.

use harness_event::{
    Check, CheckOutcome, Detection, Event, EventKind, Millis, Outcome, Resolution, Scaling, Verdict,
};

use crate::{
    duration::between,
    game_day,
    loads::{self, LoadReport},
    objectives::{self, SloReport},
    result::Timing,
    style::{Style, Tone},
    table,
};

/// The summary's lines.
pub fn summary(events: &[Event], verdict: &Verdict, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let touched = events.iter().any(|event| touches(events, &event.kind));
    // Where nothing was done, or the run was stopped half-way, the reason says it all.
    let tells = touched && verdict.outcome != Outcome::Aborted;
    if touched {
        lines.extend(game_day::lines(events, style));
    }
    if tells && !verdict.detections.is_empty() {
        lines.push(String::new());
        lines.extend(detections(&verdict.detections, style));
    }
    if tells {
        lines.extend(loads::lines(&LoadReport::of(events), style));
        lines.extend(scalings(&Scaling::of(events), style));
        lines.extend(objectives::lines(&SloReport::of(events), style));
    }
    if tells && !verdict.checks.is_empty() {
        lines.push(String::new());
        lines.extend(verdict.checks.iter().map(|check| check_line(check, style)));
    }
    lines.push(String::new());
    lines.extend(outcome(verdict, style, tells));
    lines.extend(timing(events, style));
    lines
}

/// The least that is to be said of a run's end: what is not as expected, the verdict with its reasons, what limits it.
pub fn conclusion(events: &[Event], verdict: &Verdict, style: Style) -> Vec<String> {
    let touched = events.iter().any(|event| touches(events, &event.kind));
    let tells = touched && verdict.outcome != Outcome::Aborted;
    let bad = verdict.checks.iter().filter(|check| tells && check.outcome != CheckOutcome::Passed);
    bad.map(|check| check_line(check, style)).chain(outcome(verdict, style, tells)).collect()
}

/// The verdict with its reasons and what limits it.
fn outcome(verdict: &Verdict, style: Style, tells: bool) -> Vec<String> {
    let mut lines = vec![verdict_line(verdict, style, tells)];
    lines.extend(verdict.reasons.iter().map(|reason| style.paint(Tone::Plain, &format!("  {reason}"))));
    let caveats = verdict.caveats.iter().filter(|_| tells);
    lines.extend(caveats.map(|caveat| style.paint(Tone::Warn, &format!("  note: {caveat}"))));
    if verdict.outcome == Outcome::RollbackIncomplete {
        lines.push(format!("  {}", style.paint(Tone::Bad, "run `harness recover` to undo what is left")));
    }
    lines
}

/// True if something happened to the system: a fault, or a load that is no background.
fn touches(events: &[Event], kind: &EventKind) -> bool {
    let timed = |name: &str| {
        let load = loads::plan(events).and_then(|plan| plan.load(name));
        load.is_some_and(|load| !load.is_background())
    };
    match kind {
        EventKind::FaultPlanned { .. } | EventKind::LoadRequested { .. } => true,
        EventKind::LoadStarted { load, .. } => timed(load),
        _ => false,
    }
}

/// What became of the scaled workloads.
fn scalings(scalings: &[Scaling], style: Style) -> Vec<String> {
    const HEAD: [&str; 7] =
        ["autoscaler", "limits", "replicas", "most after", "back after", "turns", "ready within"];
    if scalings.is_empty() {
        return Vec::new();
    }
    let time = |length: Option<Millis>| length.map_or_else(|| "-".to_owned(), |length| length.to_string());
    let arrow = style.arrow();
    let row = |one: &Scaling| {
        [
            one.autoscaler.clone(),
            format!("{} to {}", one.min, one.max),
            format!("{} {arrow} {} {arrow} {}", one.from, one.most, one.to),
            time(one.reached_after),
            time(one.back_after),
            one.direction_changes.to_string(),
            time(one.worst_lag),
        ]
    };
    let mut lines = vec![String::new()];
    lines.extend(table::lines(HEAD, scalings.iter().map(row).collect(), style));
    lines
}

fn check_line(check: &Check, style: Style) -> String {
    let deadline = check
        .deadline
        .map(|deadline| style.paint(Tone::Dim, &format!(" (deadline {deadline})")))
        .unwrap_or_default();
    let text = style.paint(Tone::Plain, &format!("{:<52}  {}", check.id, check.reason));
    format!("{}  {text}{deadline}", style.check(check.outcome))
}

fn verdict_line(verdict: &Verdict, style: Style, tells: bool) -> String {
    let passed = verdict.checks.iter().filter(|check| check.outcome == CheckOutcome::Passed).count();
    let counts = if tells && !verdict.checks.is_empty() {
        format!(": {passed} of {} checks passed", verdict.checks.len())
    } else {
        String::new()
    };
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
        style.paint(if number == 0 { Tone::Dim } else { Tone::Plain }, &text)
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
