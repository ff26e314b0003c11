//! Lanes of the timeline: phases, faults, loads.

use serde::Serialize;

use super::{
    axis::Axis,
    log::Log,
    log_faults::{FaultStory, LoadStory},
    text::elapsed,
};

/// Bars and marks of a lane at most.
const MOST: i64 = 240;

/// How much a look deserves to be seen.
fn badness(look: &str) -> u8 {
    match look.split(' ').next() {
        Some("broken" | "firing") => 2,
        Some("pending") => 1,
        _ => 0,
    }
}

/// One lane.
#[derive(Debug, Default, Serialize)]
pub(super) struct Lane {
    pub(super) name: String,
    /// Labels that tell it apart.
    pub(super) detail: String,
    /// What it is: `fault`, `expected alert` …
    pub(super) what: &'static str,
    /// `good`, `warn`, `bad` or nothing.
    pub(super) tone: &'static str,
    /// What an empty lane means.
    pub(super) empty: &'static str,
    pub(super) bars: Vec<Bar>,
    pub(super) marks: Vec<Mark>,
}

/// A stretch of time in which something was so.
#[derive(Debug, Serialize)]
pub(super) struct Bar {
    pub(super) x: String,
    pub(super) width: String,
    /// Class of its look.
    pub(super) look: &'static str,
    #[serde(skip)]
    from: i64,
    #[serde(skip)]
    to: i64,
    /// Written on it, as far as there is room.
    pub(super) label: String,
    /// All about it.
    pub(super) told: String,
}

/// A point in time.
#[derive(Debug, Serialize)]
pub(super) struct Mark {
    #[serde(skip)]
    at: i64,
    pub(super) x: String,
    /// Name of its shape.
    pub(super) look: &'static str,
    pub(super) told: String,
}

impl Lane {
    pub(super) fn new(name: impl Into<String>, what: &'static str) -> Self {
        let name = name.into();
        // An alert's labels have a line of their own.
        let (name, detail) = match name.split_once('{') {
            Some((name, labels)) => (name.to_owned(), format!("{{{labels}")),
            None => (name, String::new()),
        };
        Self { name, detail, what, empty: "nothing to show", ..Self::default() }
    }

    /// A bar, if any of it is on the axis. Open: until the end of the run.
    pub(super) fn bar(
        &mut self,
        axis: &Axis,
        (from, to): (i64, Option<i64>),
        look: &'static str,
        label: &str,
        more: &str,
    ) {
        let end = to.unwrap_or(axis.to);
        if !axis.shows(from, end) || end < from {
            return;
        }
        let until = match to {
            Some(to) => format!("to {}, {} long", elapsed(to), harness_event::Millis(to - from)),
            None => "and goes on at the end of the run".to_owned(),
        };
        let more = if more.is_empty() { String::new() } else { format!(": {more}") };
        let told = format!("{label}{more}, from {} {until}", axis.told(from));
        let (x, width) = (axis.x(from), axis.width(from, end));
        self.bars.push(Bar { x, width, look, from, to: end, label: label.to_owned(), told });
    }

    pub(super) fn mark(&mut self, axis: &Axis, at: i64, look: &'static str, text: &str) {
        if axis.shows(at, at) {
            self.marks.push(Mark { at, x: axis.x(at), look, told: format!("{text}, {}", axis.told(at)) });
        }
    }

    /// Joins what is too close together to be told apart, where there is very much: the worst of it shows.
    pub(super) fn thin(&mut self, axis: &Axis) {
        let column = |at: i64| axis.unit(at) * MOST / super::axis::WIDTH;
        if self.bars.len() as i64 > MOST {
            self.bars.sort_by_key(|bar| bar.from);
            let mut joined: Vec<(Bar, usize)> = Vec::new();
            for bar in std::mem::take(&mut self.bars) {
                match joined.last_mut() {
                    Some((last, count)) if column(last.from) == column(bar.from) => {
                        *count += 1;
                        last.to = last.to.max(bar.to);
                        last.width = axis.width(last.from, last.to);
                        if badness(bar.look) > badness(last.look) {
                            (last.look, last.label) = (bar.look, bar.label);
                        }
                    }
                    _ => joined.push((bar, 1)),
                }
            }
            for (bar, count) in joined.iter_mut().filter(|(_, count)| *count > 1) {
                bar.told = format!(
                    "{count} stretches of time, the worst of them: {}, from {} to {}",
                    bar.label,
                    axis.told(bar.from),
                    elapsed(bar.to)
                );
            }
            self.bars = joined.into_iter().map(|(bar, _)| bar).collect();
        }
        if self.marks.len() as i64 > MOST {
            self.marks.sort_by_key(|mark| (column(mark.at), mark.look));
            self.marks.dedup_by_key(|mark| (column(mark.at), mark.look));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bars.is_empty() && self.marks.is_empty()
    }
}

/// The phases in one lane, with notes.
pub(super) fn phases(log: &Log<'_>, axis: &Axis) -> Lane {
    let mut lane = Lane::new("Phases", "");
    for (number, (phase, stretch)) in log.phases.iter().enumerate() {
        let look = if number % 2 == 0 { "phase" } else { "phase other" };
        lane.bar(axis, (stretch.from, stretch.to), look, &phase.to_string(), "phase");
    }
    for (at, text) in &log.notes {
        lane.mark(axis, *at, "note", &format!("note: {}", super::text::short(text, 200)));
    }
    lane
}

/// A lane for each fault that was tried.
pub(super) fn faults(log: &Log<'_>, axis: &Axis) -> Vec<Lane> {
    let tried =
        log.faults.iter().filter(|fault| fault.planned.or(fault.sent).is_some() || !fault.errors.is_empty());
    tried.map(|fault| of_fault(fault, axis)).collect()
}

fn of_fault(fault: &FaultStory<'_>, axis: &Axis) -> Lane {
    let mut lane = Lane::new(fault.name, if fault.by_hand { "fault by hand" } else { "fault" });
    let action = fault.action();
    if let Some(sent) = fault.sent {
        let taking_effect = fault.effect.or(fault.revert_sent).or(fault.healed);
        lane.bar(
            axis,
            (sent, taking_effect),
            "applied",
            "applied",
            &format!("{action}; until its effect is seen"),
        );
    }
    if let Some(effect) = fault.effect {
        let end = fault.revert_sent.or(fault.healed);
        lane.bar(axis, (effect, end), "effect", "in effect", fault.seen);
    }
    if let Some(sent) = fault.revert_sent {
        lane.bar(axis, (sent, fault.healed), "revert", "being undone", fault.inverse);
    }
    if let Some(healed) = fault.healed {
        lane.mark(axis, healed, "healed", "healed: the world is as before");
    }
    if let Some(stopped) = fault.stopped {
        lane.mark(axis, stopped, "stop", "stopped by hand before its time");
    }
    for (at, what, error) in &fault.errors {
        lane.mark(axis, *at, "failed", &format!("{what}: {}", super::text::short(error, 200)));
        lane.tone = "bad";
    }
    lane
}

/// A lane for each load that was started.
pub(super) fn loads(log: &Log<'_>, axis: &Axis) -> Vec<Lane> {
    let started = log.loads.iter().filter(|load| load.from.is_some() || load.error.is_some());
    started.map(|load| of_load(load, axis)).collect()
}

fn of_load(load: &LoadStory<'_>, axis: &Axis) -> Lane {
    let mut lane = Lane::new(load.name, if load.timed { "load" } else { "background load" });
    if let Some(from) = load.from {
        let look = if load.timed { "load" } else { "load background" };
        let model = if load.spec.is_open() { "requests by schedule" } else { "users that wait for answers" };
        let label = format!("{} users", load.spec.users);
        lane.bar(
            axis,
            (from, load.to),
            look,
            &label,
            &format!("{model}; ended by: {}", or_dash(load.reason)),
        );
    }
    if let Some((at, error)) = load.error {
        lane.mark(
            axis,
            at,
            "failed",
            &format!("could not be carried out: {}", super::text::short(error, 200)),
        );
        lane.tone = "bad";
    }
    lane
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

#[cfg(test)]
mod tests {
    use harness_event::Timestamp;

    use super::*;

    #[test]
    fn very_many_stretches_are_joined_and_the_worst_of_them_shows() {
        let axis = Axis::new(0, 1_000_000, Timestamp(0));
        let mut lane = Lane::new("check", "steady state");
        for number in 0..10_000 {
            let look = if number == 5432 { "broken" } else { "holds" };
            lane.bar(&axis, (number * 100, Some(number * 100 + 99)), look, look, "");
            lane.mark(&axis, number * 100, "told", "told");
        }
        lane.thin(&axis);
        assert!(lane.bars.len() as i64 <= MOST + 1 && lane.marks.len() as i64 <= MOST + 1);
        let broken: Vec<_> = lane.bars.iter().filter(|bar| bar.look == "broken").collect();
        assert_eq!(broken.len(), 1);
        assert!(
            broken[0].told.contains("stretches of time, the worst of them: broken"),
            "{}",
            broken[0].told
        );
    }
}
