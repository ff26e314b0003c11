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
            None => Err(facts.not_over(fault)),
        },
    }
}

/// The expected answer comes by the deadline, and from then on every answer is so.
pub(super) fn judge(facts: &Facts<'_>, fault: &str, expected: &HttpExpectation) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let (from, to) = match window(facts, fault, expected.window) {
        Ok(window) => window,
        Err(reason) => return inconclusive(reason),
    };
    let step = |answer: &&Answer<'_>| answer.probe == expected.probe && answer.step == expected.step;
    let asked: Vec<_> = facts.answers.iter().filter(step).collect();
    // An answer that was on its way when the window ended belongs to neither side.
    let inside: Box<dyn Fn(&Answer<'_>) -> bool> = match never_broken_since(facts, fault, expected) {
        Some(applied) => Box::new(move |answer| answer.done_at() >= applied && answer.done_at() <= to),
        None => Box::new(move |answer| answer.sent_at >= from && answer.done_at() <= to),
    };
    let answers: Vec<_> = asked.iter().copied().filter(|answer| inside(answer)).collect();
    let Some(last) = answers.last() else {
        return inconclusive("no request of this step was answered in the window".to_owned());
    };
    let Some(first) = answers.iter().position(|answer| good(expected, answer).is_ok()) else {
        let reason = format!(
            "expected {}; none of {} answers was so, the last: {}",
            wanted(expected),
            answers.len(),
            last.describe()
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
    let out =
        asked.iter().find(|answer| answer.sent_at >= from && answer.sent_at < to && answer.done_at() > to);
    if let (Some(answer), Some(limit)) = (out, expected.max_latency)
        && to - answer.sent_at > limit
    {
        let waited = to - answer.sent_at;
        let reason = format!("no answer within {waited} at the end of the window (at most {limit} allowed)");
        return (CheckOutcome::Failed, reason, Some(measured));
    }
    let (silent, patience) = (to - last.done_at(), patience(facts, expected, &answers));
    if silent > patience {
        let reason = format!("nothing is known of the last {silent} of the window: no request was answered");
        return inconclusive(reason);
    }
    if expected.within == Millis(0) {
        return match first {
            0 if answers[0].sent_at - from > patience => {
                let late = answers[0].sent_at - from;
                inconclusive(format!("nothing is known of the first {late} of the window"))
            }
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

/// If a healthy answer is asked for at all times while the fault is on: when the fault's call was sent. What the call itself
/// breaks, before the watch shows its effect and in requests that are on their way, is what users notice first.
fn never_broken_since(facts: &Facts<'_>, fault: &str, expected: &HttpExpectation) -> Option<Timestamp> {
    let always = expected.window == Window::During && expected.within == Millis(0);
    facts.faults.get(fault).and_then(|fault| fault.applied_at).filter(|_| always)
}

/// How long a probe may be silent about a step without hiding anything: two of its rounds, in which the other steps may take
/// all the time that they are given. A request that hangs for longer is an outage of which there is no answer yet.
fn patience(facts: &Facts<'_>, expected: &HttpExpectation, answers: &[&Answer<'_>]) -> Millis {
    let probe = facts.plan.and_then(|plan| plan.probes.iter().find(|probe| probe.name == expected.probe));
    let others = probe.iter().flat_map(|probe| &probe.steps).filter(|step| step.name != expected.step);
    let others: Millis = others.map(|step| step.timeout).sum();
    let slowest = answers.iter().map(|answer| answer.latency).max().unwrap_or_default();
    let round = slowest.max(Millis::from_secs(1)).max(probe.map_or(Millis(0), |probe| probe.every));
    round + round + others
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
