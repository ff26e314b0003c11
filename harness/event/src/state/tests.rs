//! Tests of the fold.

use super::*;
use crate::{CheckOutcome, Event, Millis, Verdict, verdict::testkit};

fn fold(events: &[Event]) -> RunState {
    let mut state = RunState::default();
    events.iter().for_each(|event| state.apply(event));
    state
}

#[test]
fn a_passing_run_is_shown_as_it_went() {
    let events = testkit::log(testkit::passing_run());
    let mut state = fold(&events);
    let fault = &state.faults[0];
    assert_eq!((fault.applied, fault.effect), (Some(Millis(4000)), Some(Millis(5000))));
    assert_eq!((fault.reverting, fault.reverted), (Some(Millis(25_000)), Some(Millis(27_000))));
    assert_eq!(fault.stage, FaultStage::Reverted);
    state.conclude(Verdict::of(&events));
    let judged = |view: &ExpectationView| {
        matches!(view.progress, Progress::Judged { outcome: CheckOutcome::Passed, .. })
    };
    assert!(state.expectations.iter().all(judged), "{:#?}", state.expectations);
}
