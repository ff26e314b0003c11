//! The timeline: lanes and charts on one axis.

use serde::Serialize;

use super::{
    axis::{Axis, Tick},
    lanes::{self, Lane},
    lanes_of_alerts, lanes_of_health,
    log::Log,
    plot::Chart,
    series, series_of_system,
    text::count,
};

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct Timeline {
    /// For the script: the axis in milliseconds since the start, and the wall clock at zero.
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) zero: i64,
    /// The wall clock at the beginning and at the end.
    pub(super) clocks: (String, String),
    pub(super) ticks: Vec<Tick>,
    /// Lanes under their heads.
    pub(super) groups: Vec<Group>,
    pub(super) bands: Vec<Band>,
    pub(super) charts: Vec<Chart>,
    /// What never changed, or is left out.
    pub(super) steady: Vec<String>,
    /// Phases to which one can zoom.
    pub(super) zooms: Vec<Zoom>,
}

/// Lanes of one kind.
#[derive(Debug, Serialize)]
pub(super) struct Group {
    pub(super) name: &'static str,
    pub(super) lanes: Vec<Lane>,
}

/// A time in which a fault or a timed load was on, through all charts.
#[derive(Debug, Serialize)]
pub(super) struct Band {
    pub(super) x: String,
    pub(super) width: String,
    pub(super) look: &'static str,
}

/// A stretch to zoom to.
#[derive(Debug, Serialize)]
pub(super) struct Zoom {
    pub(super) name: String,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// The axis of a run: from its first event, or the first fact that is older, to its last event.
pub(super) fn axis(log: &Log<'_>) -> Axis {
    let faults = log.faults.iter().filter_map(|fault| fault.sent);
    let loads = log.loads.iter().filter_map(|load| load.from);
    let steady = log.steady.iter().map(|steady| steady.at);
    let answers = log.answers.iter().map(|answer| answer.at);
    let first = faults.chain(loads).chain(steady).chain(answers).min().unwrap_or(log.first);
    Axis::new(first.min(log.first), log.end, log.zero)
}

impl Timeline {
    pub(super) fn of(log: &Log<'_>, axis: &Axis) -> Self {
        let (alerts, more_alerts) = lanes_of_alerts::lanes(log, axis);
        let (health, more_health) = lanes_of_health::lanes(log, axis);
        let (system, mut steady) = series_of_system::sketches(log);
        let groups = [
            ("Run", vec![lanes::phases(log, axis)]),
            ("Faults", lanes::faults(log, axis)),
            ("Loads", lanes::loads(log, axis)),
            ("Alerts", alerts),
            ("Steady state and probes", health),
        ];
        let mut groups: Vec<_> = groups.into_iter().filter(|(_, lanes)| !lanes.is_empty()).collect();
        groups.iter_mut().flat_map(|(_, lanes)| lanes).for_each(|lane| lane.thin(axis));
        let groups = groups.into_iter();
        let (of_users, more_charts) = series::sketches(log);
        let sketches = system.into_iter().chain(of_users);
        if more_charts > 0 {
            steady.push(format!("{more_charts} more loads and probes"));
        }
        if more_alerts > 0 {
            steady.push(format!("{} that nobody expected left out", count(more_alerts, "more alert")));
        }
        if more_health > 0 {
            steady.push(format!("{} or probes left out", count(more_health, "more check")));
        }
        let bands = log.disturbed().into_iter().map(|(look, _, stretch)| Band {
            x: axis.x(stretch.from),
            width: axis.width(stretch.from, stretch.to.unwrap_or(axis.to)),
            look,
        });
        let zooms = log.phases.iter().map(|(phase, stretch)| {
            let to = stretch.to.unwrap_or(axis.to).clamp(axis.from, axis.to);
            Zoom { name: phase.to_string(), from: stretch.from.clamp(axis.from, axis.to), to }
        });
        let clock = |at: i64| (axis.zero + harness_event::Millis(at)).clock();
        Self {
            from: axis.from,
            to: axis.to,
            zero: axis.zero.0,
            clocks: (clock(axis.from), clock(axis.to)),
            ticks: axis.ticks(),
            groups: groups.map(|(name, lanes)| Group { name, lanes }).collect(),
            bands: bands.collect(),
            charts: sketches.filter_map(|sketch| sketch.drawn(axis)).collect(),
            steady,
            zooms: zooms.filter(|zoom| zoom.to > zoom.from).collect(),
        }
    }
}
