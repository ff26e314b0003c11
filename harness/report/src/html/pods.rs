//! What Kubernetes said, and what the pods wrote.

use harness_event::PodLog;
use serde::Serialize;

use super::{
    log::Log,
    table::Table,
    text::{Anchors, elapsed, short},
};

/// Excerpts at most, and lines of each.
const MOST_LOGS: usize = 24;
const MOST_LINES: usize = 150;
/// Characters of a line at most.
const LONGEST: usize = 500;
/// Characters of all excerpts together at most.
const ALL: usize = 200_000;

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Pods {
    pub(super) events: Option<Table>,
    pub(super) logs: Vec<Excerpt>,
    pub(super) note: String,
}

/// Lines of one container.
#[derive(Debug, Serialize)]
pub(super) struct Excerpt {
    pub(super) anchor: String,
    pub(super) title: String,
    pub(super) why: String,
    pub(super) error: String,
    pub(super) cut: String,
    pub(super) lines: Vec<PodLine>,
    /// It has lines of the time of a fault.
    pub(super) open: bool,
}

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct PodLine {
    pub(super) at: String,
    pub(super) text: String,
    pub(super) marked: bool,
}

impl Pods {
    pub(super) fn of(log: &Log<'_>, anchors: &mut Anchors) -> Self {
        let (mut room, mut logs) = (ALL, Vec::new());
        for one in log.pod_logs.iter().take(MOST_LOGS) {
            logs.push(excerpt(log, one, &mut room, anchors));
        }
        let left_out = log.pod_logs.len().saturating_sub(MOST_LOGS);
        let note = match left_out {
            0 => String::new(),
            number => format!("{number} more excerpts are in the log of the run."),
        };
        Self { events: events(log), logs, note }
    }
}

fn events(log: &Log<'_>) -> Option<Table> {
    let mut table = Table::new(
        "Events of Kubernetes",
        &[
            ("since start", true),
            ("severity", false),
            ("object", false),
            ("reason", false),
            ("message", false),
            ("times", true),
        ],
    );
    let mut all = log.cluster_events.clone();
    all.sort_by_key(|event| event.seen_at);
    for event in all {
        let cells = [
            elapsed(log.ms(event.seen_at)),
            event.severity.clone(),
            event.object.clone(),
            event.reason.clone(),
            short(&event.message, 400),
            event.count.to_string(),
        ];
        table.row(cells).tone = if event.severity == "Normal" { "" } else { "warn" };
    }
    table.if_any()
}

fn excerpt(log: &Log<'_>, one: &PodLog, room: &mut usize, anchors: &mut Anchors) -> Excerpt {
    let disturbed = log.disturbed();
    let on = |at: i64| disturbed.iter().any(|(.., one)| one.from <= at && one.to.is_none_or(|to| at <= to));
    let mut lines: Vec<PodLine> = Vec::new();
    let marked_at = |line: &harness_event::LogLine| line.written_at.is_some_and(|at| on(log.ms(at)));
    // Too many: the time of the fault is what people look for.
    let first_marked =
        one.lines.iter().position(marked_at).unwrap_or(one.lines.len().saturating_sub(MOST_LINES));
    let from = first_marked.saturating_sub(10).min(one.lines.len().saturating_sub(MOST_LINES));
    for line in one.lines.iter().skip(from).take(MOST_LINES) {
        let text = short(&line.text, LONGEST);
        if text.len() > *room {
            break;
        }
        *room -= text.len();
        let at = line.written_at.map(|at| elapsed(log.ms(at))).unwrap_or_default();
        lines.push(PodLine { at, text, marked: marked_at(line) });
    }
    let missing = one.lines.len() - lines.len();
    let cut = match (missing, one.cut) {
        (0, false) => String::new(),
        (0, true) => "There was more than was kept.".to_owned(),
        (missing, _) => format!("{missing} more lines are in the log of the run."),
    };
    let instance = if one.previous { ", before its last restart" } else { "" };
    let title = format!("{}/{}, container {}{instance}", one.namespace, one.pod, one.container);
    Excerpt {
        anchor: anchors.new_for("log-", &one.pod),
        title,
        why: format!("{}; read at {}", one.why, elapsed(log.ms(one.read_at))),
        error: one.error.clone().unwrap_or_default(),
        cut,
        open: lines.iter().any(|line| line.marked),
        lines,
    }
}
