//! Ready replicas after the revert.

use super::{alerts::Judged, facts::Facts, outcome::CheckOutcome};
use crate::{EventKind, ObservedWorkload, WorkloadExpectation};

/// The workload has so many ready replicas by the deadline, and until the end.
pub(super) fn judge(facts: &Facts<'_>, fault: &str, expected: &WorkloadExpectation) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let sent = match facts.effect(fault) {
        Ok((fault, _)) => fault.revert_sent,
        Err(reason) => return inconclusive(reason),
    };
    let Some(sent) = sent else { return inconclusive(facts.not_over(fault)) };
    let observed: Vec<_> =
        facts.workloads.iter().filter(|observed| observed.workload == expected.workload).collect();
    let Some(last) = observed.last() else {
        return inconclusive(format!("{} was never observed", expected.workload));
    };
    let enough = |observed: &ObservedWorkload| observed.ready >= expected.ready;
    if !enough(last) {
        let reason = format!("{} of {} replicas ready at the end", last.ready, expected.ready);
        return match facts.ended_at.is_some_and(|end| end >= sent + expected.within) {
            true => (CheckOutcome::Failed, reason, None),
            false => inconclusive(format!("{reason}; but the run ended before the deadline")),
        };
    }
    let unwatched = facts.outages(EventKind::WORKLOAD_OBSERVER);
    if unwatched.last().is_some_and(|(_, end)| end.is_none()) {
        return inconclusive(format!("{} could not be watched until the end", expected.workload));
    }
    // The start of the last unbroken stretch of enough ready replicas. What was not watched does not count.
    let since = observed
        .iter()
        .rev()
        .take_while(|observed| enough(observed))
        .last()
        .map_or(last.seen_at, |first| first.seen_at);
    let watched = unwatched.iter().filter_map(|(_, end)| *end).max();
    let measured = since.max(sent).max(watched.unwrap_or(sent)) - sent;
    if measured > expected.within {
        let reason = format!(
            "{} ready only after {measured}, {} too late",
            expected.ready,
            measured - expected.within
        );
        return (CheckOutcome::Failed, reason, Some(measured));
    }
    (CheckOutcome::Passed, format!("{} ready after {measured}", last.ready), Some(measured))
}
