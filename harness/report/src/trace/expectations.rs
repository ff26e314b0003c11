//! Expectations: from the start of their clock to what was measured, or to their deadline.

use harness_event::{
    AlertState, AutoscalerGoal, Check, CheckOutcome, Event, EventKind, Expectation, ExpectationKind, Phase,
    Timestamp, Verdict, Window,
};
use serde_json::json;

use super::model::{Group, Look, Trace};
use crate::loads::plan;

pub(super) fn add(trace: &mut Trace, events: &[Event], verdict: &Verdict) {
    let Some(plan) = plan(events) else { return };
    let clocks = Clocks::of(trace, events);
    for expectation in &plan.expectations {
        let Some(check) = verdict.checks.iter().find(|check| check.id == expectation.id) else { continue };
        // Without its fault's effect its clock never ran.
        let Some((from, until)) = clocks.span(expectation) else { continue };
        let length = check.measured.or(check.deadline);
        let to = length.map_or(until, |length| from + length);
        let track = trace.track(Group::Expectations, &expectation.id);
        let args = json!({
            "outcome": check.outcome,
            "title": check.title,
            "reason": check.reason,
            "measured_ms": check.measured,
            "deadline_ms": check.deadline,
            "line": check.line,
        });
        trace.span(track, &name(check), (from, to), look(check.outcome), args);
        if let Some(deadline) = check.deadline {
            trace.instant(track, "deadline", from + deadline, json!({}));
        }
    }
}

fn name(check: &Check) -> String {
    let word = match check.outcome {
        CheckOutcome::Passed => "passed",
        CheckOutcome::Failed => "failed",
        CheckOutcome::Inconclusive => "inconclusive",
    };
    match check.measured {
        Some(measured) => format!("{word} after {measured}"),
        None => word.to_owned(),
    }
}

fn look(outcome: CheckOutcome) -> Look {
    match outcome {
        CheckOutcome::Passed => Look::Good,
        CheckOutcome::Failed => Look::Bad,
        CheckOutcome::Inconclusive => Look::Warn,
    }
}

/// When the clocks of one fault (or timed load) start.
struct Clock {
    name: String,
    effect: Option<Timestamp>,
    revert: Option<Timestamp>,
    healed: Option<Timestamp>,
}

struct Clocks {
    clocks: Vec<Clock>,
    /// The end of what was watched.
    end: Timestamp,
}

impl Clocks {
    fn of(trace: &Trace, events: &[Event]) -> Self {
        let timeline = &trace.timeline;
        let faults = timeline.faults.iter().map(|fault| Clock {
            name: fault.fault.clone(),
            effect: fault.effect_at,
            revert: fault.revert_at,
            healed: fault.healed_at,
        });
        let loads = timeline.loads.iter().filter(|load| !load.background).map(|load| Clock {
            name: load.load.clone(),
            effect: Some(load.from),
            revert: load.to,
            healed: load.to,
        });
        let end = events.iter().find_map(|event| match event.kind {
            EventKind::PhaseStarted { phase: Phase::Verdict } => Some(event.at),
            _ => None,
        });
        Self { clocks: faults.chain(loads).collect(), end: end.unwrap_or(timeline.to) }
    }

    /// The clock's start, and the end of what the expectation looks at.
    fn span(&self, expectation: &Expectation) -> Option<(Timestamp, Timestamp)> {
        let clock = self.clocks.iter().find(|clock| clock.name == expectation.fault)?;
        let during = || Some((clock.effect?, clock.revert.unwrap_or(self.end)));
        let after = || Some((clock.healed?, self.end));
        let undoing = || Some((clock.revert?, self.end));
        let whole = || Some((clock.effect?, self.end));
        match &expectation.kind {
            ExpectationKind::Alert(alert) if alert.state == AlertState::Resolved => after(),
            ExpectationKind::Alert(_) => whole(),
            ExpectationKind::Http(http) if http.window == Window::After => after(),
            ExpectationKind::Http(_) => during(),
            ExpectationKind::Promql(promql) if promql.window == Window::After => after(),
            ExpectationKind::Promql(_) => during(),
            ExpectationKind::Workload(_) | ExpectationKind::Recovery { .. } => undoing(),
            ExpectationKind::Autoscaler(expected) => match expected.goal {
                AutoscalerGoal::ScalesDownTo { .. } => undoing(),
                _ => whole(),
            },
            ExpectationKind::NoUnexpectedAlert | ExpectationKind::Load(_) | ExpectationKind::Slo(_) => {
                whole()
            }
        }
    }
}
