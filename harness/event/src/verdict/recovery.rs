//! Time from the beginning of the revert until the steady state holds for good.

use super::{alerts::Judged, facts::Facts, outcome::CheckOutcome};
use crate::{Millis, Plan, Timestamp};

/// The whole steady state holds by the deadline, and until the end.
pub(super) fn judge(facts: &Facts<'_>, plan: &Plan, fault: &str, within: Millis) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let sent = match facts.effect(fault) {
        Ok((fault, _)) => fault.revert_sent,
        Err(reason) => return inconclusive(reason),
    };
    let Some(sent) = sent else { return inconclusive(facts.not_over(fault)) };
    let mut latest = sent;
    for check in &plan.steady_state {
        match held_since(facts, &check.name, sent) {
            Held::Since(at) => latest = latest.max(at),
            Held::NotAtEnd(detail) if facts.ended_at.is_some_and(|end| end >= sent + within) => {
                return (
                    CheckOutcome::Failed,
                    format!("{:?} does not hold at the end: {detail}", check.name),
                    None,
                );
            }
            Held::NotAtEnd(detail) => {
                return inconclusive(format!(
                    "{:?} does not hold ({detail}), but the run ended before the deadline",
                    check.name
                ));
            }
            Held::NeverAsked => {
                return inconclusive(format!("{:?} was not checked after the revert", check.name));
            }
            Held::NotAnswered(silent) => {
                let name = &check.name;
                return inconclusive(format!("nothing is known of {name:?} in the last {silent} of the run"));
            }
        }
    }
    let measured = latest - sent;
    match measured <= within {
        true => (CheckOutcome::Passed, format!("steady state again after {measured}"), Some(measured)),
        false => (
            CheckOutcome::Failed,
            format!("steady state only after {measured}, {} too late", measured - within),
            Some(measured),
        ),
    }
}

enum Held<'f> {
    Since(Timestamp),
    NotAtEnd(&'f str),
    NeverAsked,
    NotAnswered(Millis),
}

/// So long may a check be silent, beside the time of two answers like its last: one that hangs is an outage.
const SILENCE: Millis = Millis::from_secs(5);

fn held_since<'f>(facts: &'f Facts<'_>, check: &str, sent: Timestamp) -> Held<'f> {
    let results: Vec<_> =
        facts.steady.iter().filter(|steady| steady.check == check && steady.asked_at >= sent).collect();
    match results.last() {
        None => Held::NeverAsked,
        Some(last) if !last.ok => Held::NotAtEnd(last.detail),
        Some(last) => {
            let silent = facts.ended_at.map_or(Millis(0), |end| end - last.answered_at);
            let answer = last.answered_at - last.asked_at;
            if silent > SILENCE + answer + answer {
                return Held::NotAnswered(silent);
            }
            let first = results.iter().rev().take_while(|steady| steady.ok).last();
            Held::Since(first.map_or(last.asked_at, |first| first.asked_at))
        }
    }
}
