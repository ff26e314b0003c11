//! What was done and seen in a game day, for people.

use harness_event::{
    Chronicle, Deed, DeedKind, Event, EventKind, FaultAction, Millis, RunMode, SeenAlert, Timestamp,
    WrittenNote,
};

use crate::{
    duration::{between, offset},
    style::{Style, Tone},
    table,
};

/// True for the log of a game day.
pub(crate) fn is_game_day(events: &[Event]) -> bool {
    matches!(events.first(), Some(Event { kind: EventKind::RunStarted { mode: RunMode::GameDay, .. }, .. }))
}

/// Faults with their times, alerts with theirs relative to the faults, remarks. Nothing of other runs.
pub(crate) fn lines(events: &[Event], style: Style) -> Vec<String> {
    if !is_game_day(events) {
        return Vec::new();
    }
    let chronicle = Chronicle::of(events);
    let start = events.first().map_or(Timestamp(0), |event| event.at);
    let mut lines = Vec::new();
    if !chronicle.deeds.is_empty() {
        lines.push(String::new());
        lines.extend(deeds(&chronicle, start, style));
    }
    let alerts = alerts(&chronicle, style);
    if alerts.len() > 1 {
        lines.push(String::new());
        lines.extend(alerts);
        if !chronicle.exact {
            lines.push("  alert times are those of polling: Prometheus' own record was not read".to_owned());
        }
    }
    if !chronicle.notes.is_empty() {
        lines.push(String::new());
        let note = |note: &WrittenNote| format!("{:>9}  {}", offset(note.elapsed), note.text);
        lines.extend(chronicle.notes.iter().map(|one| style.paint(Tone::Plain, &note(one))));
    }
    lines
}

fn deeds(chronicle: &Chronicle, start: Timestamp, style: Style) -> Vec<String> {
    const HEAD: [&str; 6] = ["done", "what", "at", "effect", "lasted", "undone"];
    let row = |deed: &Deed| {
        let effect = match deed.what {
            DeedKind::Fault(_) => deed.began_at.map_or_else(dash, |began| between(began, deed.effect_at)),
            DeedKind::Load(_) => String::new(),
        };
        let undone = match (&deed.what, deed.ending_at) {
            (DeedKind::Fault(_), Some(ending)) => between(ending, deed.over_at),
            (DeedKind::Load(_), _) => deed.reason.clone().unwrap_or_else(dash),
            (DeedKind::Fault(_), None) => dash(),
        };
        let mut remarks = Vec::new();
        if deed.stopped {
            remarks.push("stopped by hand".to_owned());
        }
        remarks.extend(deed.error.clone());
        let remarks = if remarks.is_empty() { String::new() } else { format!(" ({})", remarks.join("; ")) };
        [
            deed.name().to_owned(),
            what(deed),
            deed.began_at.map_or_else(dash, |began| offset(Millis((began - start).0.max(0)))),
            effect,
            deed.effect_at.map_or_else(dash, |effect| between(effect, deed.ending_at)),
            format!("{undone}{remarks}"),
        ]
    };
    table::lines(HEAD, chronicle.deeds.iter().map(row).collect(), style)
}

fn dash() -> String {
    "-".to_owned()
}

fn what(deed: &Deed) -> String {
    match &deed.what {
        DeedKind::Load(_) => "load".to_owned(),
        DeedKind::Fault(spec) => match &spec.action {
            FaultAction::Scale { workload, replicas } => format!("{workload} scaled to {replicas}"),
            FaultAction::Restart { workload } => format!("{workload} restarted"),
            FaultAction::DeletePods { selector, .. } => format!("pods of {selector} deleted"),
        },
    }
}

/// Alerts of one name and one cause in one row: each step's time counts from the effect, `resolved` from the end of the cause.
fn alerts(chronicle: &Chronicle, style: Style) -> Vec<String> {
    const HEAD: [&str; 6] = ["alert", "after", "pending", "firing", "delivered", "resolved"];
    let mut rows: Vec<(String, Option<usize>, Vec<&SeenAlert>)> = Vec::new();
    // What only went on is no news.
    let news = |alert: &&SeenAlert| alert.after.is_some() || !chronicle.was_active_before(&alert.labels);
    for alert in chronicle.alerts.iter().filter(news) {
        let name = match alert.labels.get("severity") {
            Some(severity) => format!("{} ({severity})", alert.name()),
            None => alert.name().to_owned(),
        };
        match rows.iter_mut().find(|(known, after, _)| *known == name && *after == alert.after) {
            Some((_, _, episodes)) => episodes.push(alert),
            None => rows.push((name, alert.after, vec![alert])),
        }
    }
    let row = |(name, after, episodes): (String, Option<usize>, Vec<&SeenAlert>)| {
        let deed = after.and_then(|index| chronicle.deeds.get(index));
        let since =
            |from: Option<Timestamp>, at: Option<Timestamp>| from.map_or_else(dash, |from| between(from, at));
        let effect = deed.and_then(|deed| deed.effect_at.or(deed.began_at));
        let over = deed.and_then(|deed| deed.over_at);
        let first =
            |time: fn(&SeenAlert) -> Option<Timestamp>| episodes.iter().filter_map(|one| time(one)).min();
        // All of them, or it is not over.
        let how = match episodes.first().is_some_and(|one| chronicle.resolved_by_absence.contains(one.name()))
        {
            true => " by absence",
            false => "",
        };
        let ended: Option<Vec<_>> = episodes.iter().map(|one| one.ended_at).collect();
        let ended = ended.and_then(|ends| ends.into_iter().max());
        [
            name,
            deed.map_or_else(dash, |deed| deed.name().to_owned()),
            since(effect, first(|one| Some(one.began_at))),
            since(effect, first(|one| one.firing_at)),
            since(effect, first(|one| one.delivered.as_ref().map(|(at, _)| *at))),
            match ended {
                None => "still active".to_owned(),
                ended => format!("{}{how}", since(over, ended)),
            },
        ]
    };
    table::lines(HEAD, rows.into_iter().map(row).collect(), style)
}
