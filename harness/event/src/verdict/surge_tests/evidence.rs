use proptest::prelude::*;

use super::{super::testkit::*, *};
use crate::LoadPhase;

#[test]
fn a_surge_in_which_all_is_well_passes() {
    let verdict = verdict(surge_run());
    assert_eq!(verdict.outcome, Outcome::Passed, "{verdict:#?}");
    assert_check(&verdict, P99, CheckOutcome::Passed, "p99 200ms (12000 requests, closed model: 100 users)");
    assert_check(
        &verdict,
        "load/visitors/after/p95",
        CheckOutcome::Passed,
        "open model, from the intended start",
    );
    assert_check(&verdict, UP, CheckOutcome::Passed, "from 2 to 6 ready after 7s");
    assert_check(
        &verdict,
        LAG,
        CheckOutcome::Passed,
        "more replicas asked for 2 times, ready after 2s at most",
    );
    assert_check(&verdict, TURNS, CheckOutcome::Passed, "1 change of direction (2, 4, 6, 2)");
    assert_check(&verdict, DOWN, CheckOutcome::Passed, "from 6 back to 2 after 9s");
    assert_check(&verdict, BUDGET, CheckOutcome::Passed, "at least 2 healthy, 1 demanded");
    assert_check(&verdict, BURN, CheckOutcome::Passed, "burn rate over 1h at most 0.1 in 15000 requests");
    assert_check(&verdict, SPENT, CheckOutcome::Passed, "3 errors in 15000 requests");
    assert_eq!(verdict.left_behind, Vec::<String>::new());
}

/// Facts whose absence changes nothing, because another one says the same or nobody asked.
fn is_spare(kind: &EventKind) -> bool {
    match kind {
        EventKind::Note { .. } | EventKind::PhaseStarted { .. } | EventKind::SteadyStateChecked { .. } => {
            true
        }
        // Without it, every alert would count as new.
        EventKind::BaselineTaken { .. } => true,
        // One second more or less is no gap.
        EventKind::LoadSampled { .. } | EventKind::SloSampled(_) => true,
        // Only what is expected of it, and what must have been answered, is needed of a phase.
        EventKind::LoadMeasured { load, phase, .. } => load == VISITORS && *phase == LoadPhase::During,
        // A state on the way: the ones around it tell the same.
        EventKind::WorkloadObserved(seen) => {
            [at(7000), at(8500), at(9000), at(24_000)].contains(&seen.seen_at)
        }
        EventKind::BudgetObserved(seen) => seen.seen_at != at(500),
        _ => false,
    }
}

#[test]
fn no_single_fact_may_be_missing() {
    for (missing, kind) in surge_run().into_iter().enumerate() {
        if is_spare(&kind) {
            continue;
        }
        let rest =
            surge_run().into_iter().enumerate().filter(|(index, _)| *index != missing).map(|(_, kind)| kind);
        assert_ne!(verdict(rest.collect()).outcome, Outcome::Passed, "passed without {kind:?}");
    }
}

/// Whole kinds of evidence, of which single ones are spare.
#[test]
fn no_kind_of_evidence_may_be_missing() {
    type Kind = fn(&EventKind) -> bool;
    let kinds: [(&str, Kind); 8] = [
        ("samples of the load", |kind| matches!(kind, EventKind::LoadSampled { load, .. } if load == SURGE)),
        (
            "samples of the visitors",
            |kind| matches!(kind, EventKind::LoadSampled { load, .. } if load == VISITORS),
        ),
        ("statistics", |kind| matches!(kind, EventKind::LoadMeasured { .. })),
        ("burn rates", |kind| matches!(kind, EventKind::SloSampled(_))),
        ("autoscaler", |kind| matches!(kind, EventKind::AutoscalerObserved(_))),
        ("replicas", |kind| matches!(kind, EventKind::WorkloadObserved(_))),
        ("budget", |kind| matches!(kind, EventKind::BudgetObserved(_))),
        ("usage", |kind| matches!(kind, EventKind::SloMeasured(_))),
    ];
    for (name, is) in kinds {
        let verdict = changed(|kind| (!is(&kind)).then_some(kind));
        assert_ne!(verdict.outcome, Outcome::Passed, "passed without {name}");
    }
}

#[test]
fn a_log_that_breaks_off_never_passes() {
    let kinds = surge_run();
    for length in 1..kinds.len() {
        assert_ne!(verdict(kinds[..length].to_vec()).outcome, Outcome::Passed, "passed after {length} facts");
    }
}

#[test]
fn every_event_of_a_surge_reads_back_as_it_was() {
    let extra = [
        EventKind::LoadFailed { load: SURGE.into(), error: "died".into() },
        EventKind::TimeCompressed { factor: 30, unscaled: vec!["x".into()] },
        EventKind::SloMissing { slo: SLO.into(), error: "none".into() },
    ];
    let events = log(surge_run().into_iter().chain(extra).collect());
    let text: String = events.iter().map(|event| crate::to_line(event).unwrap()).collect();
    assert_eq!(crate::read_log(text.as_bytes()).unwrap().events, events);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is lost of a log: if the rest passes, everything was in it that a pass rests on. The autoscaler's and its target's
    /// watches tell of the same steps, so that one step may be missing in both.
    #[test]
    fn what_passes_has_all_its_evidence(lost in prop::collection::vec(prop::bool::weighted(0.04), surge_run().len())) {
        let step = |kind: &EventKind| matches!(kind, EventKind::AutoscalerObserved(seen) if seen.desired == 4);
        let needed = |kind: &EventKind| !is_spare(kind) && !step(kind);
        let lacks = surge_run().iter().zip(&lost).any(|(kind, lost)| *lost && needed(kind));
        let rest = surge_run().into_iter().zip(&lost).filter(|(_, lost)| !**lost).map(|(kind, _)| kind);
        let outcome = verdict(rest.collect()).outcome;
        prop_assert!(outcome != Outcome::Passed || !lacks);
    }

    /// The order in which facts of different sources are recorded is chance.
    #[test]
    fn the_order_of_sources_does_not_matter(seed in any::<u64>()) {
        let mut kinds = surge_run();
        let end = kinds.iter().position(|kind| matches!(kind, EventKind::PhaseStarted { .. })).unwrap();
        // The load's facts after all others: they come from another process.
        let (mut others, loads): (Vec<_>, Vec<_>) = kinds.drain(1..end).partition(|kind| !is_of_load(kind));
        let place = (seed as usize) % (others.len() + 1);
        others.splice(place..place, loads);
        kinds.splice(1..1, others);
        prop_assert_eq!(verdict(kinds).outcome, Outcome::Passed);
    }
}

fn is_of_load(kind: &EventKind) -> bool {
    matches!(
        kind,
        EventKind::LoadStarted { .. }
            | EventKind::LoadSampled { .. }
            | EventKind::LoadMeasured { .. }
            | EventKind::LoadFinished { .. }
    )
}
