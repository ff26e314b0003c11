//! Lanes of the steady state and of the probes: when they held, when not, and when nobody asked.

use super::{
    axis::Axis,
    lanes::Lane,
    log::Log,
    runs_of::{Run, runs},
};

/// Lanes of this kind at most.
const MOST: usize = 24;

/// A lane for each check and each step of a probe, those with failures first, and how many more there are.
pub(super) fn lanes(log: &Log<'_>, axis: &Axis) -> (Vec<Lane>, usize) {
    let mut lanes = Vec::new();
    for check in names(log.steady.iter().map(|steady| steady.check)) {
        let answers = log.steady.iter().filter(|steady| steady.check == check);
        let said = answers.map(|steady| (steady.at, steady.ok, steady.detail.to_owned()));
        lanes.push(lane(axis, check.to_owned(), "steady state", &runs(said.collect())));
    }
    for (probe, step) in names(log.answers.iter().map(|answer| (answer.probe, answer.step))) {
        let answers = log.answers.iter().filter(|answer| (answer.probe, answer.step) == (probe, step));
        let said = answers.map(|answer| {
            let text = match answer.status {
                Some(status) => status.to_string(),
                None => answer.error.unwrap_or("no answer").to_owned(),
            };
            (answer.at, answer.healthy, text)
        });
        lanes.push(lane(axis, format!("{probe}: {step}"), "probe", &runs(said.collect())));
    }
    // Stable: what failed comes first, in its own order.
    lanes.sort_by_key(|lane| lane.tone != "bad");
    let left_out = lanes.len().saturating_sub(MOST);
    lanes.truncate(MOST);
    (lanes, left_out)
}

/// Each once, in the order of their first appearance.
fn names<T: PartialEq + Copy>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn lane(axis: &Axis, name: String, what: &'static str, runs: &[Run]) -> Lane {
    let mut lane = Lane::new(name, what);
    for run in runs {
        let (look, label) = match (run.ok, what) {
            (true, _) => ("holds", "holds"),
            (false, "probe") => ("broken", "unhealthy"),
            (false, _) => ("broken", "does not hold"),
        };
        let said = super::text::short(&run.text, 160);
        let more = format!("{} × {said}", run.count);
        // An answer tells of the time until the next one, if that comes when it should.
        lane.bar(axis, (run.from, Some(run.until)), look, label, &more);
        if !run.ok {
            lane.tone = "bad";
        }
    }
    lane
}
