//! Answers of a probe in a window.

use super::{
    alerts::Judged,
    facts::{Answer, Facts},
    outcome::CheckOutcome,
};
use crate::{HttpExpectation, Millis, Timestamp, Window};

/// A window of the run: where its clock starts and where it ends.
pub(super) fn window(
    facts: &Facts<'_>,
    fault: &str,
    window: Window,
) -> Result<(Timestamp, Timestamp), String> {
    let (fault_facts, effect) = facts.effect(fault)?;
    let ended = facts.ended_at.unwrap_or(effect);
    match window {
        Window::During => Ok((effect, fault_facts.revert_sent.unwrap_or(ended))),
        Window::After => match &fault_facts.reverted {
            Some((healed, _)) => Ok((*healed, ended)),
            None => Err(format!("fault {fault:?} was not reverted")),
        },
    }
}

/// The expected answer comes by the deadline, and from then on every answer is so.
pub(super) fn judge(facts: &Facts<'_>, fault: &str, expected: &HttpExpectation) -> Judged {
    let (from, to) = match window(facts, fault, expected.window) {
        Ok(window) => window,
        Err(reason) => return (CheckOutcome::Inconclusive, reason, None),
    };
    let step = |answer: &&Answer<'_>| answer.probe == expected.probe && answer.step == expected.step;
    // An answer that was on its way when the window ended belongs to neither side.
    let inside = |answer: &&Answer<'_>| answer.sent_at >= from && answer.done_at() <= to;
    let answers: Vec<_> = facts.answers.iter().filter(step).filter(inside).collect();
    if answers.is_empty() {
        return (
            CheckOutcome::Inconclusive,
            "no request of this step was answered in the window".to_owned(),
            None,
        );
    }
    let Some(first) = answers.iter().position(|answer| good(expected, answer).is_ok()) else {
        let last = answers.last().map(|answer| answer.describe()).unwrap_or_default();
        let reason = format!(
            "expected {}; none of {} answers was so, the last: {last}",
            wanted(expected),
            answers.len()
        );
        return (CheckOutcome::Failed, reason, None);
    };
    let measured = answers[first].done_at() - from;
    let breach = answers.iter().skip(first).find_map(|answer| Some((answer, good(expected, answer).err()?)));
    if let Some((answer, why)) = breach {
        let reason =
            format!("{why} at {}, {} into the window", answer.sent_at.clock(), answer.sent_at - from);
        return (CheckOutcome::Failed, reason, Some(measured));
    }
    if expected.within == Millis(0) {
        return match first {
            0 => (CheckOutcome::Passed, format!("all {} answers: {}", answers.len(), wanted(expected)), None),
            _ => (CheckOutcome::Failed, format!("the first answer was {}", answers[0].describe()), None),
        };
    }
    if measured > expected.within {
        let reason =
            format!("{} only after {measured}, {} too late", wanted(expected), measured - expected.within);
        return (CheckOutcome::Failed, reason, Some(measured));
    }
    let held = answers.len() - first;
    (
        CheckOutcome::Passed,
        format!("{} after {measured}, and in all {held} answers from then on", wanted(expected)),
        Some(measured),
    )
}

fn wanted(expected: &HttpExpectation) -> String {
    match &expected.body_contains {
        Some(text) => format!("{} with {text:?}", expected.status),
        None => expected.status.to_string(),
    }
}

fn good(expected: &HttpExpectation, answer: &Answer<'_>) -> Result<(), String> {
    let body_ok = expected.body_contains.as_deref().is_none_or(|text| answer.body.contains(text));
    if answer.status != Some(expected.status) || !body_ok {
        return Err(format!("answered {}", answer.describe()));
    }
    match expected.max_latency {
        Some(limit) if answer.latency > limit => {
            Err(format!("took {} (at most {limit} allowed)", answer.latency))
        }
        _ => Ok(()),
    }
}
