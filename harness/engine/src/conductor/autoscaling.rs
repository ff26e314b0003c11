//! Autoscalers and disruption budgets: what cannot be met is refused before the run, and an autoscaler that is not at rest
//! when the baseline ends proves nothing.

use std::time::Duration;

use harness_event::{
    AutoscalerExpectation, AutoscalerGoal, Event, EventKind, Expectation, ExpectationKind, FaultAction,
    Millis, ObservedAutoscaler, Plan,
};
use k8s_openapi::{
    api::{
        autoscaling::v2::{HPAScalingRules, HorizontalPodAutoscaler},
        policy::v1::PodDisruptionBudget,
    },
    serde::de::DeserializeOwned,
};
use kube::{Api, Client, Resource, ResourceExt, api::ListParams};

use super::prepare::Stopped;
use crate::{monitor::suggestion, observe::is_served};

/// Time limit of one API call.
const CALL_LIMIT: Duration = Duration::from_secs(10);
/// What the controller waits for before it scales down where neither the autoscaler nor its own flag says otherwise.
const DEFAULT_WINDOW: Millis = Millis::from_secs(300);

/// What a look at the autoscalers says about a plan.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Why the run would be pointless.
    pub(super) problems: Vec<String>,
    /// Things to know.
    pub(super) notes: Vec<String>,
}

/// Compares everything that is expected of autoscalers with those that are there. Asks nothing if nothing is expected.
pub(super) async fn check(plan: &Plan, client: &Client) -> Result<Found, Stopped> {
    let mut found = Found { problems: fought_over(plan, client).await, ..Found::default() };
    let expected: Vec<_> = expected(plan).collect();
    if expected.is_empty() {
        return Ok(found);
    }
    let autoscalers: Vec<HorizontalPodAutoscaler> = match list(client, &plan.namespace).await? {
        Some(autoscalers) => autoscalers,
        None => {
            found
                .problems
                .push("the cluster does not serve autoscaling/v2 HorizontalPodAutoscalers".to_owned());
            return Ok(found);
        }
    };
    let budgets: Vec<PodDisruptionBudget> = list(client, &plan.namespace).await?.unwrap_or_default();
    for (expectation, expected) in expected {
        match autoscalers.iter().find(|autoscaler| autoscaler.name_any() == expected.autoscaler) {
            Some(autoscaler) => check_goal(expectation, expected, autoscaler, &mut found),
            None => found.problems.push(missing(
                "HorizontalPodAutoscaler",
                &expected.autoscaler,
                plan,
                &autoscalers,
            )),
        }
        if let AutoscalerGoal::KeepsBudget { budget } = &expected.goal
            && !budgets.iter().any(|found| found.name_any() == *budget)
        {
            found.problems.push(missing("PodDisruptionBudget", budget, plan, &budgets));
        }
    }
    for list in [&mut found.problems, &mut found.notes] {
        let mut seen = std::collections::BTreeSet::new();
        list.retain(|text| seen.insert(text.clone()));
    }
    Ok(found)
}

/// Faults that scale what an autoscaler scales: it would undo them at once, and be undone with them. At zero it stands still. Where
/// autoscalers cannot be listed, nothing is said: the fault needs no right to do so.
pub(super) async fn fought_over(plan: &Plan, client: &Client) -> Vec<String> {
    let scaled: Vec<_> = plan
        .faults
        .iter()
        .filter_map(|fault| match &fault.action {
            FaultAction::Scale { workload, replicas } if *replicas > 0 => Some((&fault.name, workload)),
            _ => None,
        })
        .collect();
    if scaled.is_empty() {
        return Vec::new();
    }
    let autoscalers: Vec<HorizontalPodAutoscaler> =
        list(client, &plan.namespace).await.ok().flatten().unwrap_or_default();
    let mut problems = Vec::new();
    for (fault, workload) in scaled {
        let of_it = |autoscaler: &&HorizontalPodAutoscaler| {
            let target = &autoscaler.spec.scale_target_ref;
            (&target.kind, &target.name) == (&workload.kind, &workload.name)
        };
        if let Some(autoscaler) = autoscalers.iter().find(of_it) {
            problems.push(format!(
                "fault {fault:?} scales {workload}, which HorizontalPodAutoscaler {} scales too: it would undo the fault. \
                 Scale to 0, where it stands still, or delete pods",
                autoscaler.name_any()
            ));
        }
    }
    problems
}

fn expected(plan: &Plan) -> impl Iterator<Item = (&Expectation, &AutoscalerExpectation)> {
    plan.expectations.iter().filter_map(|expectation| match &expectation.kind {
        ExpectationKind::Autoscaler(expected) => Some((expectation, expected)),
        _ => None,
    })
}

/// All objects of a kind; none if the cluster does not serve it.
pub(super) async fn list<K>(client: &Client, namespace: &str) -> Result<Option<Vec<K>>, Stopped>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned,
{
    let not_ready = |reason: String| Stopped::NotReady { component: "Kubernetes API".to_owned(), reason };
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    match tokio::time::timeout(CALL_LIMIT, api.list(&ListParams::default())).await {
        Ok(Ok(list)) => Ok(Some(list.items)),
        Ok(Err(kube::Error::Api(status))) if status.code == 404 && !is_served::<K>(client).await => Ok(None),
        Ok(Err(error)) => Err(Stopped::not_ready("Kubernetes API", &error)),
        Err(_) => Err(not_ready(format!("no answer in time about {}", K::plural(&())))),
    }
}

fn missing<K: Resource>(kind: &str, name: &str, plan: &Plan, there: &[K]) -> String {
    let names: Vec<String> = there.iter().map(ResourceExt::name_any).collect();
    format!("{kind} {name} does not exist in namespace {}. {}", plan.namespace, suggestion(name, &names))
}

fn check_goal(
    expectation: &Expectation,
    expected: &AutoscalerExpectation,
    autoscaler: &HorizontalPodAutoscaler,
    found: &mut Found,
) {
    let spec = &autoscaler.spec;
    let (min, max) = (spec.min_replicas.unwrap_or(1), spec.max_replicas);
    let name = format!("HorizontalPodAutoscaler {}", expected.autoscaler);
    let id = &expectation.id;
    let behavior = spec.behavior.as_ref();
    match &expected.goal {
        AutoscalerGoal::ScalesUpTo { replicas, within } => {
            let wanted = replicas.unwrap_or(max);
            if wanted > max {
                found.problems.push(format!(
                    "{id}: {wanted} replicas can never be reached, because {name} has maxReplicas {max}. Raise it, or expect less"
                ));
            } else if wanted <= min {
                found.problems.push(format!(
                    "{id}: {wanted} replicas prove nothing, because {name} never has fewer than its minReplicas {min}"
                ));
            }
            let rules = behavior.and_then(|behavior| behavior.scale_up.as_ref());
            let window = rules.and_then(window_of).unwrap_or_default();
            check_direction(id, *within, &name, "scaleUp", rules, window, "lowest", found);
        }
        AutoscalerGoal::ScalesDownTo { replicas, within } => {
            let wanted = replicas.unwrap_or(min);
            if wanted < min {
                found.problems.push(format!(
                    "{id}: {wanted} replicas can never be reached, because {name} has minReplicas {min}. Lower it, or expect more"
                ));
            }
            let rules = behavior.and_then(|behavior| behavior.scale_down.as_ref());
            let window = rules.and_then(window_of);
            if window.is_none() && *within <= DEFAULT_WINDOW {
                found.notes.push(format!(
                    "{id} within {within}: {name} does not say how long it holds on to its highest recommendation \
                     (spec.behavior.scaleDown.stabilizationWindowSeconds); unless the controller was told otherwise, that is \
                     {DEFAULT_WINDOW}"
                ));
            }
            check_direction(
                id,
                *within,
                &name,
                "scaleDown",
                rules,
                window.unwrap_or_default(),
                "highest",
                found,
            );
        }
        AutoscalerGoal::ReadyLag { .. }
        | AutoscalerGoal::DirectionChanges { .. }
        | AutoscalerGoal::KeepsBudget { .. } => {}
    }
}

fn window_of(rules: &HPAScalingRules) -> Option<Millis> {
    rules.stabilization_window_seconds.map(|seconds| Millis::from_secs(seconds.into()))
}

/// Is the direction open at all, and can its stabilization window be over by the deadline? The window is full of what was
/// recommended before, so that nothing happens in less.
#[allow(clippy::too_many_arguments, reason = "the parts of one sentence")]
fn check_direction(
    id: &str,
    within: Millis,
    name: &str,
    direction: &str,
    rules: Option<&HPAScalingRules>,
    window: Millis,
    extreme: &str,
    found: &mut Found,
) {
    if rules.and_then(|rules| rules.select_policy.as_deref()) == Some("Disabled") {
        found.problems.push(format!(
            "{id}: can never be met, because {name} has spec.behavior.{direction}.selectPolicy Disabled"
        ));
    } else if window > Millis(0) && window >= within {
        found.problems.push(format!(
            "{id} within {within}: can never be met, because {name} follows the {extreme} recommendation of the last {window} \
             (spec.behavior.{direction}.stabilizationWindowSeconds). Shorten the window, or set the deadline to more than {window}"
        ));
    }
}

/// Ok if every autoscaler of which something is expected is active and at rest: at its minimum if it must scale up.
pub(super) fn at_rest(plan: &Plan, events: &[Event]) -> Result<(), String> {
    for (_, expected) in expected(plan) {
        let name = &expected.autoscaler;
        let last = events.iter().rev().find_map(|event| match &event.kind {
            EventKind::AutoscalerObserved(seen) if seen.autoscaler == *name => Some(seen),
            _ => None,
        });
        let seen = last.ok_or_else(|| format!("HorizontalPodAutoscaler {name} has not been seen yet"))?;
        resting(seen, matches!(expected.goal, AutoscalerGoal::ScalesUpTo { .. }), events)
            .map_err(|why| format!("HorizontalPodAutoscaler {name} {why}"))?;
    }
    Ok(())
}

fn resting(seen: &ObservedAutoscaler, at_minimum: bool, events: &[Event]) -> Result<(), String> {
    if !seen.exists {
        return Err("was deleted".to_owned());
    }
    let metrics = seen.metrics.join(", ");
    if !seen.conditions.iter().any(|condition| condition.starts_with("ScalingActive=True")) {
        let conditions = seen.conditions.join(", ");
        return Err(format!(
            "is not active: {} ({metrics})",
            if conditions.is_empty() { "no conditions" } else { &conditions }
        ));
    }
    if seen.desired != seen.current {
        return Err(format!("is scaling: {} replicas of {} ({metrics})", seen.current, seen.desired));
    }
    if at_minimum && seen.current != seen.min {
        return Err(format!("has {} replicas, not its minimum of {} ({metrics})", seen.current, seen.min));
    }
    let workload = events.iter().rev().find_map(|event| match &event.kind {
        EventKind::WorkloadObserved(workload) if workload.workload == seen.target => Some(workload),
        _ => None,
    });
    match workload {
        Some(workload) if workload.ready != seen.current => {
            Err(format!("has {} replicas, of which {} are ready", seen.current, workload.ready))
        }
        // A target of another kind than those that are watched: its readiness is not known here.
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "autoscaling_tests.rs"]
mod tests;
