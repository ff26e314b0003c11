//! The arithmetic of disruption budgets, as in Kubernetes' `pkg/controller/disruption`.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    api::{
        core::v1::Pod,
        policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus},
    },
    apimachinery::pkg::{
        apis::meta::v1::{Condition, Time},
        util::intstr::IntOrString,
    },
    jiff::{Timestamp, Unit},
};
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};

use crate::controllers::pods;

/// Time in which an evicted pod must be seen as being deleted; after that the eviction no longer counts.
pub const DELETION_TIMEOUT: Duration = Duration::from_secs(120);
/// Reason of the condition when the budget cannot be computed.
pub const SYNC_FAILED: &str = "SyncFailed";

const ALLOWED: &str = "DisruptionAllowed";

/// Which pods a budget selects. No selector selects nothing, an empty one the whole namespace.
#[derive(Debug)]
pub struct Selects(Option<Selector>);

impl Selects {
    /// The selector of a budget; one that cannot be read selects nothing.
    pub fn of(budget: &PodDisruptionBudget) -> Self {
        let selector = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
        Self(selector.and_then(|selector| Selector::try_from(selector).ok()))
    }

    /// True if the pod is selected.
    pub fn matches(&self, pod: &Pod) -> bool {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        let labels = pod.metadata.labels.as_ref().unwrap_or(NONE);
        self.0.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

/// A pod whose controller the budget's numbers depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scale {
    /// The pod has no controller.
    Unmanaged,
    /// The controller cannot be found or has no scale.
    Unknown,
    /// The controller with that uid wants so many pods.
    Of(String, i32),
}

/// What a budget asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// Pods that should be there.
    pub pods: i32,
    /// Pods that must be healthy.
    pub healthy: i32,
    /// True if pods without a controller were left out.
    pub unmanaged: bool,
}

/// Numbers that a budget asks for; `scale` tells what the controller of a pod wants.
pub fn expected(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    scale: impl Fn(&Pod) -> Scale,
) -> Result<Expected, String> {
    let Some(spec) = &budget.spec else { return Ok(Expected { pods: 0, healthy: 0, unmanaged: false }) };
    match (&spec.max_unavailable, &spec.min_available) {
        (Some(amount), _) => {
            let (count, unmanaged) = expected_scale(pods, scale)?;
            let unavailable = scaled(amount, count)?;
            Ok(Expected { pods: count, healthy: (count - unavailable).max(0), unmanaged })
        }
        (None, Some(IntOrString::Int(amount))) => {
            let count = i32::try_from(pods.len()).unwrap_or(i32::MAX);
            Ok(Expected { pods: count, healthy: *amount, unmanaged: false })
        }
        (None, Some(amount @ IntOrString::String(_))) => {
            let (count, unmanaged) = expected_scale(pods, scale)?;
            Ok(Expected { pods: count, healthy: scaled(amount, count)?, unmanaged })
        }
        (None, None) => Ok(Expected { pods: 0, healthy: 0, unmanaged: false }),
    }
}

/// Sum of what the controllers of the pods want; true if some pods have none.
fn expected_scale(pods: &[Arc<Pod>], scale: impl Fn(&Pod) -> Scale) -> Result<(i32, bool), String> {
    let (mut controllers, mut unmanaged) = (BTreeMap::new(), false);
    for pod in pods {
        match scale(pod) {
            Scale::Unmanaged => unmanaged = true,
            Scale::Unknown => return Err(format!("found no controllers for pod {:?}", pod.name_any())),
            Scale::Of(uid, replicas) => {
                controllers.insert(uid, replicas);
            }
        }
    }
    Ok((controllers.values().fold(0, |sum: i32, replicas| sum.saturating_add(*replicas)), unmanaged))
}

/// A number, or a percentage of `total` rounded up.
fn scaled(amount: &IntOrString, total: i32) -> Result<i32, String> {
    match amount {
        IntOrString::Int(number) => Ok(*number),
        IntOrString::String(text) => {
            let percent = text.strip_suffix('%').and_then(|digits| digits.parse::<i64>().ok());
            let percent = percent.ok_or_else(|| format!("invalid value for IntOrString: {text:?}"))?;
            Ok(i32::try_from((percent * i64::from(total) + 99).div_euclid(100)).unwrap_or(i32::MAX))
        }
    }
}

/// Evictions under way.
#[derive(Debug, Default, PartialEq)]
pub struct Evictions {
    /// Pods that were evicted and are not being deleted yet.
    pub pending: BTreeMap<String, Time>,
    /// Pods that should be gone, and are still there.
    pub overdue: Vec<String>,
    /// Time until the next one is overdue.
    pub recheck: Option<Duration>,
}

/// Looks through the evictions that a budget's status remembers.
pub fn evictions(budget: &PodDisruptionBudget, pods: &[Arc<Pod>], now: Timestamp) -> Evictions {
    let mut found = Evictions::default();
    let remembered = budget.status.as_ref().and_then(|status| status.disrupted_pods.as_ref());
    let Some(remembered) = remembered else { return found };
    for pod in pods.iter().filter(|pod| !pods::is_terminating(pod)) {
        let name = pod.name_any();
        let Some(time) = remembered.get(&name) else { continue };
        let passed = Duration::try_from(now.duration_since(time.0)).unwrap_or_default();
        match DELETION_TIMEOUT.checked_sub(passed) {
            Some(left) if !left.is_zero() => {
                found.pending.insert(name, time.clone());
                found.recheck = Some(found.recheck.map_or(left, |other| other.min(left)));
            }
            _ => found.overdue.push(name),
        }
    }
    found
}

/// The status of a budget.
pub fn status(
    budget: &PodDisruptionBudget,
    pods: &[Arc<Pod>],
    expected: Expected,
    evictions: &Evictions,
    now: Timestamp,
) -> PodDisruptionBudgetStatus {
    let healthy = pods.iter().filter(|pod| {
        !pods::is_terminating(pod) && !evictions.pending.contains_key(&pod.name_any()) && pods::is_ready(pod)
    });
    let healthy = i32::try_from(healthy.count()).unwrap_or(i32::MAX);
    let allowed = if expected.pods <= 0 { 0 } else { healthy.saturating_sub(expected.healthy).max(0) };
    let mut status = PodDisruptionBudgetStatus {
        conditions: budget.status.as_ref().and_then(|status| status.conditions.clone()),
        current_healthy: Some(healthy),
        desired_healthy: Some(expected.healthy),
        disrupted_pods: (!evictions.pending.is_empty()).then(|| evictions.pending.clone()),
        disruptions_allowed: Some(allowed),
        expected_pods: Some(expected.pods),
        observed_generation: budget.metadata.generation,
    };
    set_allowed_condition(&mut status, now);
    status
}

/// The status of a budget that cannot be computed: nothing is allowed.
pub fn failed(budget: &PodDisruptionBudget, why: &str, now: Timestamp) -> PodDisruptionBudgetStatus {
    let mut status = PodDisruptionBudgetStatus {
        disruptions_allowed: Some(0),
        observed_generation: budget.metadata.generation,
        ..budget.status.clone().unwrap_or_default()
    };
    set_condition(&mut status, "False", SYNC_FAILED, why, now);
    status
}

/// Brings the condition `DisruptionAllowed` in line with the number of allowed disruptions.
pub fn set_allowed_condition(status: &mut PodDisruptionBudgetStatus, now: Timestamp) {
    if status.disruptions_allowed.unwrap_or(0) > 0 {
        set_condition(status, "True", "SufficientPods", "", now);
    } else {
        set_condition(status, "False", "InsufficientPods", "", now);
    }
}

fn set_condition(
    status: &mut PodDisruptionBudgetStatus,
    value: &str,
    reason: &str,
    message: &str,
    now: Timestamp,
) {
    let observed_generation = status.observed_generation;
    let conditions = status.conditions.get_or_insert_default();
    let wanted = Condition {
        type_: ALLOWED.to_owned(),
        status: value.to_owned(),
        reason: reason.to_owned(),
        message: message.to_owned(),
        observed_generation,
        last_transition_time: whole_seconds(now),
    };
    match conditions.iter_mut().find(|condition| condition.type_ == ALLOWED) {
        Some(old) => {
            let since =
                if old.status == value { old.last_transition_time.clone() } else { whole_seconds(now) };
            *old = Condition { last_transition_time: since, ..wanted };
        }
        None => conditions.push(wanted),
    }
}

/// A time as objects carry it.
pub fn whole_seconds(now: Timestamp) -> Time {
    Time(now.round(Unit::Second).unwrap_or(now))
}

/// Whether two statuses say the same, whatever the form.
pub fn same(old: Option<&PodDisruptionBudgetStatus>, new: &PodDisruptionBudgetStatus) -> bool {
    let disrupted = |status: &PodDisruptionBudgetStatus| status.disrupted_pods.clone().unwrap_or_default();
    old.is_some_and(|old| {
        disrupted(old) == disrupted(new)
            && PodDisruptionBudgetStatus { disrupted_pods: new.disrupted_pods.clone(), ..old.clone() } == *new
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::jiff::SignedDuration;
    use serde_json::{Value, json};

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn budget(spec: Value, status: Value) -> PodDisruptionBudget {
        let object = json!({"metadata": {"name": "web", "generation": 1}, "spec": spec, "status": status});
        serde_json::from_value(object).unwrap()
    }

    fn pod(name: &str, ready: bool, leaving: bool) -> Arc<Pod> {
        let status = if ready { "True" } else { "False" };
        let mut object = json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": status}]}});
        if leaving {
            object["metadata"]["deletionTimestamp"] = json!("2026-11-21T11:59:00Z");
        }
        Arc::new(serde_json::from_value(object).unwrap())
    }

    fn of_five(_: &Pod) -> Scale {
        Scale::Of("uid".to_owned(), 5)
    }

    fn empty() -> Value {
        json!({"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0})
    }

    #[test]
    fn numbers_and_percentages_round_towards_more_healthy_pods() {
        let pods: Vec<_> = (0..4).map(|at| pod(&format!("p{at}"), true, false)).collect();
        let cases = [
            (json!({"minAvailable": 2}), 4, 2),
            (json!({"minAvailable": "50%"}), 5, 3),
            (json!({"maxUnavailable": 1}), 5, 4),
            // 30 % of 5 is 1.5: two may be unavailable.
            (json!({"maxUnavailable": "30%"}), 5, 3),
            (json!({"maxUnavailable": 9}), 5, 0),
        ];
        for (spec, count, healthy) in cases {
            let found = expected(&budget(spec.clone(), empty()), &pods, of_five).unwrap();
            assert_eq!((found.pods, found.healthy), (count, healthy), "{spec}");
        }
        let percent = budget(json!({"minAvailable": "50%"}), empty());
        assert!(expected(&percent, &pods, |_| Scale::Unmanaged).unwrap().unmanaged);
        let error = expected(&percent, &pods, |_| Scale::Unknown).unwrap_err();
        assert_eq!(error, "found no controllers for pod \"p0\"");
    }

    /// `watch/10-eviction`: an eviction counts as a loss until its pod is seen as leaving, then the pod does.
    #[test]
    fn an_eviction_is_paid_until_the_pod_leaves() {
        let evicted = json!({"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2,
            "observedGeneration": 1, "disruptedPods": {"a": "2026-11-21T11:59:59Z"}});
        let budget = budget(json!({"minAvailable": 1}), evicted);
        let pods = [pod("a", true, false), pod("b", true, false)];
        let wanted = expected(&budget, &pods, of_five).unwrap();
        let evictions_now = evictions(&budget, &pods, now());
        let found = status(&budget, &pods, wanted, &evictions_now, now());
        assert_eq!(
            (found.current_healthy, found.disruptions_allowed, found.expected_pods),
            (Some(1), Some(0), Some(2))
        );
        assert!(found.disrupted_pods.is_some());
        assert_eq!(evictions_now.recheck, Some(Duration::from_secs(119)));

        let pods = [pod("a", true, true), pod("b", true, false), pod("c", false, false)];
        let wanted = expected(&budget, &pods, of_five).unwrap();
        let found = status(&budget, &pods, wanted, &evictions(&budget, &pods, now()), now());
        assert_eq!(
            (found.current_healthy, found.disruptions_allowed, found.expected_pods),
            (Some(1), Some(0), Some(3))
        );
        assert!(found.disrupted_pods.is_none());

        // Two minutes later the eviction is forgotten: it was never carried out.
        let pods = [pod("a", true, false), pod("b", true, false)];
        let evicted: Timestamp = "2026-11-21T11:59:59Z".parse().unwrap();
        let late = evictions(&budget, &pods, evicted + SignedDuration::from_mins(2));
        assert_eq!((late.pending.len(), late.overdue.as_slice()), (0, &["a".to_owned()][..]));
    }

    #[test]
    fn the_condition_keeps_its_time_while_it_stays() {
        let later: Timestamp = "2026-11-21T12:05:00Z".parse().unwrap();
        let mut status = PodDisruptionBudgetStatus { disruptions_allowed: Some(1), ..Default::default() };
        set_allowed_condition(&mut status, now());
        set_allowed_condition(&mut status, later);
        let condition = &status.conditions.as_ref().unwrap()[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "SufficientPods"));
        assert_eq!(condition.last_transition_time.0, now());
        status.disruptions_allowed = Some(0);
        set_allowed_condition(&mut status, later);
        assert_eq!(status.conditions.unwrap()[0].last_transition_time.0, later);
    }

    #[test]
    fn without_a_selector_nothing_is_protected_and_with_an_empty_one_all() {
        let pod = pod("a", true, false);
        assert!(!Selects::of(&budget(json!({"minAvailable": 1}), empty())).matches(&pod));
        assert!(Selects::of(&budget(json!({"minAvailable": 1, "selector": {}}), empty())).matches(&pod));
    }
}
