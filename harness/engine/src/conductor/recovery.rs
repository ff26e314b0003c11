//! Recovery: the run goes on until everything that is expected after the faults and loads was seen, or its deadline has passed.

use std::time::Duration;

use harness_event::{
    AlertState, AutoscalerGoal, Event, EventKind, Expectation, ExpectationKind, LoadPhase, Millis, Outcome,
    Phase, PromqlMode, Timestamp, Verdict, Window,
};
use tokio::time::interval;

use super::{evidence, session::Session, stimulus};
use crate::load::Loads;

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// After the last deadline: an evaluation, two scrapes and the commit of what they brought, at intervals up to this, are in.
const LATE_DATA: Millis = Millis::from_secs(4);

/// Waits, and returns the evidence. Each look is judged by the same fold that gives the verdict; the run ends as soon as that
/// would pass, and otherwise when no more time could change it.
pub(super) async fn wait(session: &Session, loads: &Loads) -> Vec<EventKind> {
    let mut ticks = interval(EVERY);
    loop {
        let cancelled = tokio::select! {
            () = session.cancel.cancelled() => true,
            _ = ticks.tick() => false,
        };
        let events = session.log.events();
        let facts = evidence::read(session, &events).await;
        let now = Timestamp::now();
        if cancelled
            || now >= latest(session, &events)
            || (now >= earliest(session, &events) && would_pass(session, &events, &facts, loads))
        {
            return facts;
        }
    }
}

fn would_pass(session: &Session, events: &[Event], facts: &[EventKind], loads: &Loads) -> bool {
    let mut events = events.to_vec();
    // Such a run never passes. When it has seen what a run without it would have to see, there is nothing more to wait for.
    events.retain(|event| !matches!(event.kind, EventKind::FaultStopped { .. }));
    // Both of now: if they did not agree with the other events' times, it would look as if the clock had been set.
    let (at, elapsed) = (Timestamp::now(), session.log.elapsed());
    let finished = EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) };
    // Loads in the background end with the run: judged as if they ended now.
    for kind in loads.provisional().into_iter().chain(facts.iter().cloned()).chain([finished]) {
        events.push(Event { seq: events.len() as u64, at, elapsed, kind });
    }
    Verdict::of(&events).outcome == Outcome::Passed
}

/// When a fault was healed or a load had ended: the start of everything that is expected after it. Nothing is to be waited for
/// after a fault whose effect was not seen, or a load that failed: whatever came would prove nothing.
fn healed_at(events: &[Event], name: &str) -> Option<Timestamp> {
    stimulus::effect_at(events, name)?;
    stimulus::ended_at(events, name)
}

/// When everything was healed and had ended: the start of the loads' last phase.
fn all_healed_at(events: &[Event]) -> Option<Timestamp> {
    let recovering =
        |event: &&Event| matches!(event.kind, EventKind::PhaseStarted { phase: Phase::Recovery });
    events.iter().find(recovering).map(|event| event.at)
}

fn earliest(session: &Session, events: &[Event]) -> Timestamp {
    let needs = |expectation: &Expectation| {
        let healed = healed_at(events, &expectation.fault)?;
        let from = match &expectation.kind {
            ExpectationKind::Load(_) => all_healed_at(events)?,
            _ => healed,
        };
        Some(from + evidence::needs_after_heal(expectation))
    };
    session.plan.expectations.iter().filter_map(needs).max().unwrap_or_default()
}

/// When the last deadline has passed and its data must be there. A deadline that counts from the beginning of the revert is
/// taken from its end: later, and simpler.
fn latest(session: &Session, events: &[Event]) -> Timestamp {
    let deadline = |expectation: &Expectation| {
        let healed = healed_at(events, &expectation.fault)?;
        let within = match &expectation.kind {
            ExpectationKind::Alert(alert) if alert.state == AlertState::Resolved => alert.within,
            ExpectationKind::Http(http) if http.window == Window::After => http.within,
            ExpectationKind::Promql(promql) if promql.window == Window::After => match promql.mode {
                PromqlMode::Within(limit) | PromqlMode::Stays(limit) | PromqlMode::Until(limit) => limit,
            },
            ExpectationKind::Workload(workload) => workload.within,
            ExpectationKind::Recovery { within } => *within,
            ExpectationKind::Autoscaler(expected) => match expected.goal {
                AutoscalerGoal::ScalesDownTo { within, .. } => within,
                // It may take longer than the load does.
                AutoscalerGoal::ScalesUpTo { within, .. } => {
                    let deadline = stimulus::effect_at(events, &expectation.fault)? + within;
                    return Some(deadline.max(healed));
                }
                AutoscalerGoal::ReadyLag { .. }
                | AutoscalerGoal::DirectionChanges { .. }
                | AutoscalerGoal::KeepsBudget { .. } => Millis(0),
            },
            ExpectationKind::Load(expected) if expected.phase == LoadPhase::After => {
                return Some(all_healed_at(events)? + evidence::LOAD_AFTER_LIMIT);
            }
            // Its data must reach to the end of all that happened, and the rules must have seen it.
            ExpectationKind::Slo(expected) => {
                let slo = session.slos.iter().find(|slo| slo.definition.slo == expected.slo);
                return Some(all_healed_at(events)? + slo.map_or(Millis(0), |slo| slo.settles_in()));
            }
            // What is expected of a load in another phase is decided by the end, whenever that is.
            ExpectationKind::Alert(_)
            | ExpectationKind::NoUnexpectedAlert
            | ExpectationKind::Http(_)
            | ExpectationKind::Promql(_)
            | ExpectationKind::Load(_) => Millis(0),
        };
        Some(healed + within)
    };
    let last = session.plan.expectations.iter().filter_map(deadline).max();
    last.unwrap_or_default() + LATE_DATA
}
