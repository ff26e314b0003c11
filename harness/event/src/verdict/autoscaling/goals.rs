//! The goals, one by one.

use super::{
    super::{alerts::Judged, facts::Facts, outcome::CheckOutcome},
    budget,
    case::{Case, Change, SAME_SCALING, at_work, changes_of},
};
use crate::{AutoscalerExpectation, AutoscalerGoal, Millis, ObservedAutoscaler, ObservedWorkload, Timestamp};

fn inconclusive(reason: impl Into<String>) -> Judged {
    (CheckOutcome::Inconclusive, reason.into(), None)
}

fn failed(reason: impl Into<String>) -> Judged {
    (CheckOutcome::Failed, reason.into(), None)
}

/// Judges what is expected of an autoscaler.
pub(in super::super) fn judge(facts: &Facts<'_>, fault: &str, expected: &AutoscalerExpectation) -> Judged {
    let case = match Case::new(facts, fault, &expected.autoscaler) {
        Ok(case) => case,
        Err(reason) => return inconclusive(reason),
    };
    let judged = match &expected.goal {
        AutoscalerGoal::ScalesUpTo { replicas, within } => {
            scales_up(&case, replicas.unwrap_or(case.before.max), *within)
        }
        AutoscalerGoal::ReadyLag { at_most } => ready_lag(&case, *at_most),
        AutoscalerGoal::DirectionChanges { at_most } => direction_changes(&case, *at_most),
        AutoscalerGoal::ScalesDownTo { replicas, within } => {
            scales_down(&case, fault, replicas.unwrap_or(case.before.min), *within)
        }
        AutoscalerGoal::KeepsBudget { budget } => budget::kept(&case, budget),
    };
    judged.unwrap_or_else(inconclusive)
}

/// So many replicas are wanted and ready by the deadline, and each raise on the way was the autoscaler's own.
fn scales_up(case: &Case<'_>, replicas: i32, within: Millis) -> Result<Judged, String> {
    let had = case.replicas_before.desired.max(case.replicas_before.ready).max(case.before.desired);
    if had >= replicas {
        return Err(format!("{} had {had} replicas already before the start", case.target()));
    }
    // More may be ready than are wanted while a rollout replaces pods.
    let enough = |one: &&ObservedWorkload| one.ready >= replicas && one.desired >= replicas;
    let reached = case.since_effect().find(enough).map(|one| one.seen_at);
    case.only_by_autoscaler(reached.unwrap_or(case.end))?;
    let Some(at) = reached else { return not_scaled_up(case, replicas, within) };
    let measured = at - case.effect;
    if measured > within {
        let reason = format!("{replicas} ready only after {measured}, {} too late", measured - within);
        return Ok((CheckOutcome::Failed, reason, Some(measured)));
    }
    let from = case.replicas_before.desired;
    Ok((CheckOutcome::Passed, format!("from {from} to {replicas} ready after {measured}"), Some(measured)))
}

fn not_scaled_up(case: &Case<'_>, replicas: i32, within: Millis) -> Result<Judged, String> {
    let wanted = case.since_effect().map(|one| one.desired).max().unwrap_or(case.replicas_before.desired);
    let ready =
        case.since_effect().map(|one| one.ready.min(one.desired)).max().unwrap_or(case.replicas_before.ready);
    let deadline = case.effect + within;
    // What the autoscaler says while it is under load tells why; what it says afterwards does not.
    let looked_at = case.fault.revert_sent.map_or(deadline, |sent| sent.min(deadline));
    let limit = match case.before.max {
        max if max < replicas => format!("; maxReplicas is {max}"),
        _ => String::new(),
    };
    let what = format!(
        "no more than {ready} of {replicas} replicas were ready, {wanted} were asked for{limit}{}",
        case.its_reason(looked_at)
    );
    if case.end < deadline {
        return Err(format!("{what}; but the run ended before the deadline"));
    }
    Ok(failed(what))
}

/// Back to so many replicas by the deadline, and no more until the end; each step on the way was the autoscaler's own.
fn scales_down(case: &Case<'_>, fault: &str, replicas: i32, within: Millis) -> Result<Judged, String> {
    let Some(sent) = case.fault.revert_sent else { return Err(case.facts.not_over(fault)) };
    let most = case.since_effect().map(|one| one.desired).max().unwrap_or_default();
    if most <= replicas {
        return Err(format!(
            "{} never had more than {replicas} replicas, so there was nothing to take away",
            case.target()
        ));
    }
    case.only_by_autoscaler(case.end)?;
    let few = |one: &&ObservedWorkload| one.desired <= replicas && one.ready <= replicas;
    let Some(since) = case.since_effect().rev().take_while(few).last().map(|one| one.seen_at) else {
        let last = case.since_effect().last().unwrap_or(case.replicas_before);
        let what = format!(
            "still {} replicas wanted and {} ready at the end, not {replicas}{}",
            last.desired,
            last.ready,
            case.its_reason(case.end)
        );
        return match case.end >= sent + within {
            true => Ok(failed(what)),
            false => Err(format!("{what}; but the run ended before the deadline")),
        };
    };
    let measured = since.max(sent) - sent;
    if measured > within {
        let reason = format!("back to {replicas} only after {measured}, {} too late", measured - within);
        return Ok((CheckOutcome::Failed, reason, Some(measured)));
    }
    Ok((CheckOutcome::Passed, format!("from {most} back to {replicas} after {measured}"), Some(measured)))
}

/// How long a raise took until it was ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lag {
    /// After so long.
    Ready(Millis),
    /// Fewer were asked for after so long.
    Withdrawn(Millis),
    /// Not until the end, after so long.
    Open(Millis),
}

impl Lag {
    /// The time without enough ready replicas.
    pub(super) fn length(self) -> Millis {
        match self {
            Self::Ready(length) | Self::Withdrawn(length) | Self::Open(length) => length,
        }
    }
}

/// The lag of each raise, from the first of the two watches that showed it: the target's or the autoscaler's.
pub(super) fn lags(
    replicas: &[&ObservedWorkload],
    states: &[&ObservedAutoscaler],
    end: Timestamp,
) -> Vec<(Change, Lag)> {
    let raises = changes_of(replicas).into_iter().filter(|change| change.to > change.from);
    let lag = |change: Change| {
        let near = |state: &&&ObservedAutoscaler| {
            state.desired == change.to
                && state.seen_at <= change.at
                && change.at - state.seen_at <= SAME_SCALING
        };
        let asked = states.iter().filter(near).map(|state| state.seen_at).min().unwrap_or(change.at);
        (change, lag(replicas, change, asked, end))
    };
    raises.map(lag).collect()
}

fn lag(replicas: &[&ObservedWorkload], raise: Change, asked: Timestamp, end: Timestamp) -> Lag {
    for one in replicas.iter().filter(|one| one.seen_at >= raise.at) {
        if one.desired < raise.to && one.seen_at > raise.at {
            return Lag::Withdrawn(one.seen_at - asked);
        }
        if one.ready >= raise.to {
            return Lag::Ready(one.seen_at - asked);
        }
    }
    Lag::Open(end - asked)
}

fn ready_lag(case: &Case<'_>, at_most: Millis) -> Result<Judged, String> {
    case.only_by_autoscaler(case.end)?;
    refused(case, at_most)?;
    let lags = lags(&case.replicas, &case.states, case.end);
    let lags: Vec<_> = lags.into_iter().filter(|(change, _)| change.at >= case.effect).collect();
    if let Some((change, late)) =
        lags.iter().filter(|(_, lag)| lag.length() > at_most).max_by_key(|(_, lag)| lag.length())
    {
        let measured = late.length();
        let what = match late {
            Lag::Ready(_) => format!("{} replicas were ready only after {measured}", change.to),
            Lag::Withdrawn(_) => {
                format!("{} replicas were not ready until fewer were asked for after {measured}", change.to)
            }
            Lag::Open(_) => {
                format!("{} replicas were not ready {measured} after they were asked for", change.to)
            }
        };
        let reason = format!("{what}, at most {at_most} allowed");
        return Ok((CheckOutcome::Failed, reason, Some(measured)));
    }
    if let Some((change, lag)) = lags.iter().find(|(_, lag)| matches!(lag, Lag::Open(_))) {
        let length = lag.length();
        return Err(format!(
            "{} replicas were not ready {length} after they were asked for, when the run ended",
            change.to
        ));
    }
    let ready: Vec<_> =
        lags.iter().filter(|(_, lag)| matches!(lag, Lag::Ready(_))).map(|(_, lag)| lag.length()).collect();
    match ready.iter().max() {
        Some(worst) => {
            let text = format!("more replicas asked for {} times, ready after {worst} at most", ready.len());
            Ok((CheckOutcome::Passed, text, Some(*worst)))
        }
        None => Err(format!(
            "no raise of {} was ready: there is no time to judge{}",
            case.target(),
            case.its_reason(case.end)
        )),
    }
}

/// # Errors
/// If the autoscaler asked for more than its target was ever set to, for longer than that: its wish was not carried out, and nothing
/// can be said about how long it takes.
fn refused(case: &Case<'_>, at_most: Millis) -> Result<(), String> {
    for (index, state) in case.states.iter().enumerate().filter(|(_, state)| state.seen_at >= case.effect) {
        let until = case.states[index + 1..].iter().find(|later| later.desired < state.desired);
        let until = until.map_or(case.end, |later| later.seen_at);
        let now = case.replicas.iter().rfind(|one| one.seen_at <= state.seen_at);
        let later = case.replicas.iter().filter(|one| one.seen_at > state.seen_at && one.seen_at <= until);
        let taken = now.into_iter().chain(later).any(|one| one.desired >= state.desired);
        if until - state.seen_at > at_most && !taken {
            let reason = case.its_reason(state.seen_at);
            return Err(format!(
                "{} was never set to the {} replicas that were asked for{reason}",
                case.target(),
                state.desired
            ));
        }
    }
    Ok(())
}

/// How often the direction changes. A surge that comes and goes has one change.
fn direction_changes(case: &Case<'_>, at_most: u32) -> Result<Judged, String> {
    case.only_by_autoscaler(case.end)?;
    let changes = changes_of(&case.replicas);
    let way = |from: i32| {
        let steps = changes.iter().map(|change| change.to.to_string());
        std::iter::once(from.to_string()).chain(steps).collect::<Vec<_>>().join(", ")
    };
    let Some(first) = changes.first() else {
        let last = case.state_at(case.end);
        if !at_work(last) {
            return Err(format!(
                "the replicas never changed, but the autoscaler was not at work{}",
                case.its_reason(case.end)
            ));
        }
        return Ok((CheckOutcome::Passed, format!("{} all the time", case.replicas_before.desired), None));
    };
    let turns = turns(&changes);
    let plural = if turns == 1 { "change" } else { "changes" };
    let text = format!("{turns} {plural} of direction ({})", way(first.from));
    Ok(match turns <= at_most {
        true => (CheckOutcome::Passed, text, None),
        false => failed(format!("{text}, at most {at_most} allowed")),
    })
}

/// Changes of direction.
pub(super) fn turns(changes: &[Change]) -> u32 {
    let turn = |two: &&[Change]| (two[0].to > two[0].from) != (two[1].to > two[1].from);
    changes.windows(2).filter(turn).count() as u32
}
