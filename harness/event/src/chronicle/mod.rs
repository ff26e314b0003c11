//! [`Chronicle`]: what was done in a run, and which alerts were seen of it, whoever expected them.
//!
//! For people who look back at a game day, and for those who make a scenario of it. No verdict rests on it: a verdict knows what
//! it looks for, and is strict; this tells what there was.

mod alerts;
mod deeds;
#[cfg(test)]
mod tests;

pub use alerts::SeenAlert;
pub use deeds::{Deed, DeedKind};

use std::collections::BTreeSet;

use crate::{BaselineAlert, Event, EventKind, Labels, Millis, Timestamp};

/// What was done, seen and remarked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chronicle {
    /// Faults and loads, in the order in which they began; those that never did, in the order in which they were wanted, last.
    pub deeds: Vec<Deed>,
    /// Episodes of alerts that reach into the time since the first deed, in the order of their beginnings.
    pub alerts: Vec<SeenAlert>,
    /// Alerts that were active before anything was done.
    pub active_before: Vec<BaselineAlert>,
    /// Names of alerts whose data was not there any more when they resolved: that they did says nothing.
    pub resolved_by_absence: BTreeSet<String>,
    /// Remarks of people.
    pub notes: Vec<WrittenNote>,
    /// Alert times are those of Prometheus' own record; otherwise they are those of polling, some of them missing.
    pub exact: bool,
}

/// A remark of somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenNote {
    /// Since the beginning of the run.
    pub elapsed: Millis,
    /// When it was written down.
    pub at: Timestamp,
    /// The text.
    pub text: String,
}

impl Chronicle {
    /// Folds a log.
    pub fn of(events: &[Event]) -> Self {
        let deeds = deeds::of(events);
        let began = deeds.iter().filter_map(|deed| deed.began_at).min();
        let offset = events.iter().find_map(|event| match event.kind {
            EventKind::ClockMeasured { offset, .. } => Some(offset),
            _ => None,
        });
        let (exact, alerts) = alerts::of(events, offset.unwrap_or_default());
        let since =
            |alert: &SeenAlert| began.is_some_and(|began| alert.ended_at.is_none_or(|end| end >= began));
        let mut alerts: Vec<_> = alerts.into_iter().filter(since).collect();
        for alert in &mut alerts {
            alert.after = cause(&deeds, alert.began_at);
        }
        let active_before = events.iter().find_map(|event| match &event.kind {
            EventKind::BaselineTaken { alerts } => Some(alerts.clone()),
            _ => None,
        });
        Self {
            deeds,
            alerts,
            active_before: active_before.unwrap_or_default(),
            resolved_by_absence: resolved_by_absence(events),
            notes: notes(events),
            exact,
        }
    }

    /// True if an alert with these labels was active before anything was done.
    pub fn was_active_before(&self, labels: &Labels) -> bool {
        self.active_before.iter().any(|alert| alert.labels == *labels)
    }
}

/// What an alert that began then most probably belongs to: the last fault that was on, else the last load that was, else the last
/// thing that was done at all.
fn cause(deeds: &[Deed], at: Timestamp) -> Option<usize> {
    let begun = deeds.iter().enumerate().filter_map(|(index, deed)| {
        let began = deed.began_at.filter(|began| *began <= at)?;
        let is_on = deed.over_at.is_none_or(|over| over >= at);
        Some((index, (is_on, is_on && deed.fault().is_some(), began)))
    });
    begun.max_by_key(|(_, rank)| *rank).map(|(index, _)| index)
}

fn resolved_by_absence(events: &[Event]) -> BTreeSet<String> {
    let gone = events.iter().filter_map(|event| match &event.kind {
        EventKind::AlertInputsChecked { alert, present: false, .. } => Some(alert.clone()),
        _ => None,
    });
    gone.collect()
}

fn notes(events: &[Event]) -> Vec<WrittenNote> {
    let note = |event: &Event| match &event.kind {
        EventKind::NoteWritten { text } => {
            Some(WrittenNote { elapsed: event.elapsed, at: event.at, text: text.clone() })
        }
        _ => None,
    };
    events.iter().filter_map(note).collect()
}
