//! The way of an alert through the pipeline: each part's time, as bars.

use harness_event::{AlertState, Detection, Expectation, Millis, Resolution, Timestamp};
use serde::Serialize;

use super::{checks, log::Log, table::Table, text::elapsed};

/// Both ways: to the notification, and back.
#[derive(Debug, Serialize)]
pub(super) struct Way {
    pub(super) legs: Vec<Leg>,
    pub(super) table: Option<Table>,
    pub(super) note: String,
}

/// One way.
#[derive(Debug, Serialize)]
pub(super) struct Leg {
    pub(super) name: &'static str,
    pub(super) told: String,
    pub(super) parts: Vec<Part>,
}

/// A part of it. Percent of the width.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) x: f64,
    pub(super) width: f64,
    pub(super) look: &'static str,
    pub(super) label: String,
    pub(super) told: String,
}

struct Step {
    name: &'static str,
    look: &'static str,
    at: Option<Timestamp>,
    state: AlertState,
}

impl Way {
    pub(super) fn of(log: &Log<'_>, expectation: &Expectation, detection: &Detection) -> Self {
        let there = [
            Step {
                name: "pending",
                look: "to-pending",
                at: detection.pending_at,
                state: AlertState::Pending,
            },
            Step { name: "firing", look: "to-firing", at: detection.firing_at, state: AlertState::Firing },
            Step {
                name: "delivered",
                look: "to-delivered",
                at: detection.delivered_at,
                state: AlertState::Delivered,
            },
        ];
        let back = [
            Step {
                name: "resolved",
                look: "to-resolved",
                at: detection.resolved_at,
                state: AlertState::Resolved,
            },
            Step {
                name: "resolved delivered",
                look: "to-told",
                at: detection.resolved_delivered_at,
                state: AlertState::Delivered,
            },
        ];
        let length = |from: Timestamp, steps: &[Step]| {
            steps.iter().filter_map(|step| Some((step.at? - from).0)).max().unwrap_or(0)
        };
        let longest = detection
            .healed_at
            .map_or(0, |healed| length(healed, &back))
            .max(length(detection.effect_at, &there))
            .max(1);
        let mut table = Table::new(
            format!("Way of {}", detection.alert),
            &[
                ("step", false),
                ("since start", true),
                ("wall clock, UTC", true),
                ("took", true),
                ("in all", true),
                ("the configuration allows", false),
            ],
        );
        let mut legs = Vec::new();
        let bound = |state| checks::bound(log, expectation, state).map(checks::terms).unwrap_or_default();
        legs.extend(leg(
            log,
            "effect to delivered",
            "effect",
            detection.effect_at,
            &there,
            longest,
            &mut table,
            &bound,
        ));
        if let Some(healed) = detection.healed_at {
            // The way back of a notification has no bound of its own.
            let bound = |state| if state == AlertState::Resolved { bound(state) } else { String::new() };
            legs.extend(leg(
                log,
                "healed to resolved delivered",
                "healed",
                healed,
                &back,
                longest,
                &mut table,
                &bound,
            ));
        }
        Self { legs, table: table.if_any(), note: note(detection) }
    }
}

fn note(detection: &Detection) -> String {
    let how = match detection.resolution {
        Some(Resolution::Explicit) => {
            "It resolved because its expression stopped holding, with its inputs there."
        }
        Some(Resolution::Absence) => "It resolved because its inputs were gone: no data is not health.",
        Some(Resolution::Unknown) => "Its samples stop without an end: nobody knows how it resolved.",
        None => "",
    };
    match detection.episodes {
        0 | 1 => how.to_owned(),
        more => format!("It fired {more} times. {how}").trim_end().to_owned(),
    }
}

#[allow(clippy::too_many_arguments, reason = "one call site each way")]
fn leg(
    log: &Log<'_>,
    name: &'static str,
    begin: &'static str,
    from: Timestamp,
    steps: &[Step],
    longest: i64,
    table: &mut Table,
    bound: &dyn Fn(AlertState) -> String,
) -> Option<Leg> {
    let clock = |at: Timestamp| [elapsed(log.ms(at)), at.clock()];
    let [since, wall] = clock(from);
    table.row([begin.to_owned(), since, wall, String::new(), String::new(), String::new()]);
    let percent = |ms: i64| (ms as f64 / longest as f64 * 10_000.0).round() / 100.0;
    let (mut parts, mut last, mut told) = (Vec::new(), from, vec![]);
    for step in steps {
        let Some(at) = step.at else {
            table
                .row([
                    step.name.to_owned(),
                    "never".to_owned(),
                    String::new(),
                    String::new(),
                    String::new(),
                    bound(step.state),
                ])
                .tone = "bad";
            told.push(format!("{} never", step.name));
            continue;
        };
        let (took, all) = (at - last, at - from);
        let [since, wall] = clock(at);
        table.row([step.name.to_owned(), since, wall, took.to_string(), all.to_string(), bound(step.state)]);
        told.push(format!("{} after {all}", step.name));
        if took > Millis(0) {
            let start = (last - from).0.max(0);
            parts.push(Part {
                x: percent(start),
                width: percent((all.0 - start).max(0)),
                look: step.look,
                label: format!("{} {took}", step.name),
                told: format!("{} took {took}, {all} in all", step.name),
            });
        }
        last = last.max(at);
    }
    Some(Leg { name, told: told.join(", "), parts })
}
