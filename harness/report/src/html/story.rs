//! What happened, line by line.

use harness_event::{
    EventKind,
    narrate::{Detail, Narrator},
};
use serde::Serialize;

use super::{
    log::Log,
    text::{elapsed, short},
};

/// Lines at most; a log has any number.
const MOST: usize = 1200;
/// Characters of a line at most.
const LONGEST: usize = 400;

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Story {
    pub(super) lines: Vec<StoryLine>,
    pub(super) note: String,
}

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct StoryLine {
    pub(super) at: String,
    pub(super) text: String,
    /// A phase begins.
    pub(super) phase: bool,
    /// While a fault or a timed load was on.
    pub(super) marked: bool,
}

impl Story {
    pub(super) fn of(log: &Log<'_>) -> Self {
        let disturbed = log.disturbed();
        let on =
            |at: i64| disturbed.iter().any(|(.., one)| one.from <= at && one.to.is_none_or(|to| at <= to));
        let mut narrator = Narrator::new(true, Detail::Brief);
        let mut lines = Vec::new();
        for event in log.events {
            let at = event.elapsed.0;
            // The phases have no line of their own.
            if let EventKind::PhaseStarted { phase } = &event.kind {
                lines.push(StoryLine {
                    at: elapsed(at),
                    text: format!("phase {phase}"),
                    phase: true,
                    marked: on(at),
                });
            }
            if let Some(told) = narrator.tell(event).filter(|_| event.seq > 0) {
                let text = short(&told.text, LONGEST);
                lines.push(StoryLine { at: elapsed(at), text, phase: false, marked: on(at) });
            }
        }
        let left_out = lines.len().saturating_sub(MOST);
        if left_out > 0 {
            lines.drain(MOST / 2..MOST / 2 + left_out);
        }
        let note = match left_out {
            0 => String::new(),
            number => {
                format!("{number} lines in the middle are left out; `harness replay` and the log have them.")
            }
        };
        Self { lines, note }
    }
}
