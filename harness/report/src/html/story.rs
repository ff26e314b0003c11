//! What happened, line by line.

use serde::Serialize;

use super::{
    log::Log,
    text::{elapsed, short},
};
use crate::{LineView, Style};

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
    /// While a fault or a timed load was on.
    pub(super) marked: bool,
}

impl Story {
    pub(super) fn of(log: &Log<'_>) -> Self {
        let disturbed = log.disturbed();
        let on =
            |at: i64| disturbed.iter().any(|(.., one)| one.from <= at && one.to.is_none_or(|to| at <= to));
        let mut view = LineView::new(Style { color: false, unicode: true });
        let mut lines = Vec::new();
        for event in &log.events[1..] {
            let at = event.elapsed.0;
            for line in view.lines(event) {
                // The margin holds the time, which has a column of its own here.
                let text = line.trim_start().split_once(' ').map_or(line.as_str(), |(_, rest)| rest).trim();
                lines.push(StoryLine { at: elapsed(at), text: short(text, LONGEST), marked: on(at) });
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
