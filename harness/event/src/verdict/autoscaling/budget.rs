//! A PodDisruptionBudget over the run.

use super::{
    super::{alerts::Judged, outcome::CheckOutcome},
    case::Case,
};
use crate::{EventKind, Millis, ObservedBudget};

/// So long may the budget's status be behind its object, as after a change of the number of pods.
const CATCHES_UP: Millis = Millis::from_secs(5);

/// The budget has the healthy pods that it demands, whenever its status is up to date.
pub(super) fn kept(case: &Case<'_>, name: &str) -> Result<Judged, String> {
    let states: Vec<_> = case.facts.budgets.iter().copied().filter(|one| one.budget == name).collect();
    let Some(first) = states.first() else {
        return Err(format!("disruption budget {name:?} was never observed"));
    };
    if first.seen_at > case.effect {
        return Err(format!(
            "disruption budget {name:?} was first seen only {} after the start",
            first.seen_at - case.effect
        ));
    }
    if let Some(gone) = states.iter().find(|state| !state.exists) {
        return Err(format!("disruption budget {name:?} did not exist at {}", gone.seen_at.clock()));
    }
    let known = || states.iter().filter(|state| state.up_to_date);
    if let Some(breach) = known().find(|state| state.healthy < state.demanded) {
        let reason = format!(
            "{} healthy pods at {}, {} demanded",
            breach.healthy,
            breach.seen_at.clock(),
            breach.demanded
        );
        return Ok((CheckOutcome::Failed, reason, None));
    }
    case.watched(EventKind::BUDGET_OBSERVER, &format!("disruption budget {name:?}"))?;
    if let Some(since) = stale(&states, case) {
        return Err(format!(
            "the status of disruption budget {name:?} was not up to date from {} on",
            since.seen_at.clock()
        ));
    }
    let Some(least) = known().min_by_key(|state| state.healthy.saturating_sub(state.demanded)) else {
        return Err(format!("disruption budget {name:?} has no status"));
    };
    if known().all(|state| state.demanded <= 0) {
        return Err(format!("disruption budget {name:?} demands no healthy pod: it cannot be broken"));
    }
    let text = format!("at least {} healthy, {} demanded", least.healthy, least.demanded);
    Ok((CheckOutcome::Passed, text, None))
}

/// The beginning of a time in which its status said nothing, longer than it takes to catch up.
fn stale<'f>(states: &[&'f ObservedBudget], case: &Case<'_>) -> Option<&'f ObservedBudget> {
    let mut since: Option<&ObservedBudget> = None;
    for state in states {
        match (state.up_to_date, since) {
            (true, Some(begin)) if state.seen_at - begin.seen_at > CATCHES_UP => return Some(begin),
            (true, _) => since = None,
            (false, None) => since = Some(state),
            (false, Some(_)) => {}
        }
    }
    // At the end there is nothing later that would tell.
    since.filter(|begin| case.end > begin.seen_at)
}
