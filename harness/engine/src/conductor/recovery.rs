//! Recovery: the run goes on until everything that is expected after the faults was seen, or its deadline has passed.

use std::time::Duration;

use harness_event::{
    AlertState, Event, EventKind, Expectation, ExpectationKind, Millis, Outcome, PromqlMode, Timestamp,
    Verdict, Window,
};
use tokio::time::interval;

use super::{evidence, session::Session};

/// Time between two looks.
const EVERY: Duration = Duration::from_millis(500);
/// After the last deadline: an evaluation, two scrapes and the commit of what they brought, at intervals up to this, are in.
const LATE_DATA: Millis = Millis::from_secs(4);

/// Waits, and returns the evidence. Each look is judged by the same fold that gives the verdict; the run ends as soon as that
/// would pass, and otherwise when no more time could change it.
pub(super) async fn wait(session: &Session) -> Vec<EventKind> {
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
            || (now >= earliest(session, &events) && would_pass(session, &events, &facts))
        {
            return facts;
        }
    }
}

fn would_pass(session: &Session, events: &[Event], facts: &[EventKind]) -> bool {
    let mut events = events.to_vec();
    // Both of now: if they did not agree with the other events' times, it would look as if the clock had been set.
    let (at, elapsed) = (Timestamp::now(), session.log.elapsed());
    let finished = EventKind::RunFinished { demanded: Millis(0), bring_up: Millis(0) };
    for kind in facts.iter().cloned().chain([finished]) {
        events.push(Event { seq: events.len() as u64, at, elapsed, kind });
    }
    Verdict::of(&events).outcome == Outcome::Passed
}

/// When a fault was healed: the start of everything that is expected after it. Nothing is to be waited for after a fault
/// whose effect was not seen: whatever came would prove nothing.
fn healed_at(events: &[Event], fault: &str) -> Option<Timestamp> {
    let bit = |event: &Event| matches!(&event.kind, EventKind::FaultEffectObserved { fault: name, .. } if name == fault);
    if !events.iter().any(bit) {
        return None;
    }
    events.iter().rev().find_map(|event| match &event.kind {
        EventKind::FaultRevertVerified { fault: name, effect_at, .. } if name == fault => Some(*effect_at),
        _ => None,
    })
}

fn earliest(session: &Session, events: &[Event]) -> Timestamp {
    let needs = |expectation: &Expectation| {
        Some(healed_at(events, &expectation.fault)? + evidence::needs_after_heal(expectation))
    };
    session.plan.expectations.iter().filter_map(needs).max().unwrap_or_default()
}

/// When the last deadline has passed and its data must be there. A deadline that counts from the beginning of the revert is
/// taken from its end: later, and simpler.
fn latest(session: &Session, events: &[Event]) -> Timestamp {
    let deadline = |expectation: &Expectation| {
        let within = match &expectation.kind {
            ExpectationKind::Alert(alert) if alert.state == AlertState::Resolved => alert.within,
            ExpectationKind::Http(http) if http.window == Window::After => http.within,
            ExpectationKind::Promql(promql) if promql.window == Window::After => match promql.mode {
                PromqlMode::Within(limit) | PromqlMode::Stays(limit) | PromqlMode::Until(limit) => limit,
            },
            ExpectationKind::Workload(workload) => workload.within,
            ExpectationKind::Recovery { within } => *within,
            _ => Millis(0),
        };
        Some(healed_at(events, &expectation.fault)? + within)
    };
    let last = session.plan.expectations.iter().filter_map(deadline).max();
    last.unwrap_or_default() + LATE_DATA
}
