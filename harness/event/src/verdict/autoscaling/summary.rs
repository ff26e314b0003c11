//! What an autoscaler did in a run, for reports.

use serde::{Deserialize, Serialize};

use super::{
    super::facts::Facts,
    case::changes_of,
    goals::{Lag, lags, turns},
};
use crate::{Event, Millis, ObservedWorkload, WorkloadRef};

/// What became of an autoscaler's target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Scaling {
    /// The autoscaler.
    pub autoscaler: String,
    /// What it scales.
    pub target: WorkloadRef,
    /// Its `minReplicas` at the end.
    pub min: i32,
    /// Its `maxReplicas` at the end.
    pub max: i32,
    /// Replicas wanted when the first fault or timed load began.
    pub from: i32,
    /// The most that were wanted and ready at the same time since then.
    pub most: i32,
    /// Time from there until so many were ready; absent if there were never more.
    pub reached_after: Option<Millis>,
    /// Replicas wanted at the end.
    pub to: i32,
    /// Time from the end of the last fault or timed load until they were back at that number; absent if nothing was taken away.
    pub back_after: Option<Millis>,
    /// How often the number of wanted replicas changed its direction.
    pub direction_changes: u32,
    /// The longest time until more wanted replicas were ready.
    pub worst_lag: Option<Millis>,
}

impl Scaling {
    /// One per autoscaler that was observed together with its target.
    pub fn of(events: &[Event]) -> Vec<Self> {
        let facts = Facts::collect(events);
        let mut names: Vec<_> = facts.autoscalers.iter().map(|state| state.autoscaler.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().filter_map(|name| scaling(&facts, name)).collect()
    }
}

fn scaling(facts: &Facts<'_>, name: &str) -> Option<Scaling> {
    let last = facts.autoscalers.iter().rfind(|state| state.autoscaler == name)?;
    let all: Vec<&ObservedWorkload> =
        facts.workloads.iter().copied().filter(|seen| seen.workload == last.target).collect();
    let effects = facts.faults.values().filter_map(|fault| fault.effect.as_ref());
    let start = effects.map(|(at, _)| *at).min().or_else(|| Some(all.first()?.seen_at))?;
    let end = facts.faults.values().filter_map(|fault| fault.revert_sent).max();
    let first = all.iter().rfind(|seen| seen.seen_at <= start).or(all.first())?;
    let since: Vec<_> = all.iter().copied().filter(|seen| seen.seen_at >= first.seen_at).collect();
    let have = |seen: &ObservedWorkload| seen.desired.min(seen.ready);
    let most = since.iter().map(|seen| have(seen)).max()?;
    let reached = since.iter().find(|seen| have(seen) == most).filter(|_| most > first.desired);
    let now = all.last()?;
    let rests = |seen: &&&&ObservedWorkload| seen.desired == now.desired && seen.ready <= now.desired;
    let shrunk = since.iter().any(|seen| seen.desired > now.desired);
    let back = since.iter().rev().take_while(|seen| rests(&seen)).last().filter(|_| shrunk);
    let states: Vec<_> = facts.autoscalers.iter().copied().filter(|state| state.autoscaler == name).collect();
    let ready = lags(&since, &states, facts.end()).into_iter().filter_map(|(_, lag)| match lag {
        Lag::Ready(length) => Some(length),
        Lag::Withdrawn(_) | Lag::Open(_) => None,
    });
    Some(Scaling {
        autoscaler: name.to_owned(),
        target: last.target.clone(),
        min: last.min,
        max: last.max,
        from: first.desired,
        most,
        reached_after: reached.map(|seen| seen.seen_at - start),
        to: now.desired,
        back_after: back.zip(end).map(|(seen, end)| seen.seen_at.max(end) - end),
        direction_changes: turns(&changes_of(&all)),
        worst_lag: ready.max(),
    })
}
