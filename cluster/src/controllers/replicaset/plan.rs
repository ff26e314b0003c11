//! How many pods to create or delete, and the counts: pure.

use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetCondition, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::ResourceExt;

use crate::controllers::{deployment::plan::replicas_of, pods};

/// Pods created or deleted in one pass at most.
const BURST: usize = 500;

/// What to do with the pods of a ReplicaSet.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Nothing.
    Keep,
    /// That many new ones.
    Create(usize),
    /// These have to go: uid and name.
    Delete(Vec<(String, String)>),
}

/// Compares the active pods with `spec.replicas`.
pub fn step(set: &ReplicaSet, active: &[&Pod], now: Timestamp) -> Step {
    let wanted = usize::try_from(replicas_of(set)).unwrap_or(0);
    if active.len() < wanted {
        return Step::Create((wanted - active.len()).min(BURST));
    }
    if active.len() == wanted {
        return Step::Keep;
    }
    let mut ranked = active.to_vec();
    ranked.sort_by(|one, other| pods::deletion_order(one, other, now));
    let surplus = (active.len() - wanted).min(BURST);
    let identify = |pod: &&Pod| (pod.uid().unwrap_or_default(), pod.name_any());
    Step::Delete(ranked[..surplus].iter().map(identify).collect())
}

/// Why pods could not be created or deleted: reason and message of the ReplicaFailure condition.
pub type Failure = (&'static str, String);

/// Counts of a ReplicaSet.
pub fn status(
    set: &ReplicaSet,
    active: &[&Pod],
    terminating: usize,
    failure: Option<Failure>,
    now: Timestamp,
) -> ReplicaSetStatus {
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let template = set.spec.template.as_ref().and_then(|template| template.metadata.as_ref());
    let labels = template.and_then(|metadata| metadata.labels.as_ref());
    let carries_all =
        |pod: &Pod| labels.is_none_or(|labels| labels.iter().all(|(k, v)| pod.labels().get(k) == Some(v)));
    let count = |keep: &dyn Fn(&Pod) -> bool| {
        i32::try_from(active.iter().filter(|pod| keep(pod)).count()).unwrap_or(i32::MAX)
    };
    let non_zero = |count: i32| (count != 0).then_some(count);
    ReplicaSetStatus {
        replicas: count(&|_| true),
        fully_labeled_replicas: non_zero(count(&carries_all)),
        ready_replicas: non_zero(count(&pods::is_ready)),
        available_replicas: non_zero(count(&|pod| pods::is_available(pod, min_ready, now))),
        terminating_replicas: Some(i32::try_from(terminating).unwrap_or(i32::MAX)),
        observed_generation: set.metadata.generation,
        conditions: failure_condition(set, failure, now),
    }
}

fn failure_condition(
    set: &ReplicaSet,
    failure: Option<Failure>,
    now: Timestamp,
) -> Option<Vec<ReplicaSetCondition>> {
    let (reason, message) = failure?;
    let present = set.status.as_ref().and_then(|status| status.conditions.clone());
    if present.iter().flatten().any(|condition| condition.reason.as_deref() == Some(reason)) {
        return present;
    }
    Some(vec![ReplicaSetCondition {
        type_: Some("ReplicaFailure".to_owned()),
        status: Some("True".to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_transition_time: Some(Time(now)),
    }])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(replicas: i32) -> ReplicaSet {
        let spec = json!({ "replicas": replicas, "selector": {}, "template": { "metadata": { "labels": { "app": "web" } } } });
        serde_json::from_value(json!({ "metadata": { "generation": 4 }, "spec": spec })).unwrap()
    }

    fn pod(name: &str, ready: bool, labels: serde_json::Value) -> Pod {
        let status = if ready { "True" } else { "False" };
        let conditions =
            json!([{ "type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z" }]);
        serde_json::from_value(json!({
            "metadata": { "name": name, "uid": name, "labels": labels },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": "Running", "conditions": conditions },
        }))
        .unwrap()
    }

    #[test]
    fn creates_what_is_missing_and_deletes_the_surplus_not_ready_first() {
        let (ready, other) = (pod("ready", true, json!({})), pod("other", false, json!({})));
        let now = Timestamp::now();
        assert_eq!(step(&set(5), &[&ready, &other], now), Step::Create(3));
        assert_eq!(step(&set(2), &[&ready, &other], now), Step::Keep);
        assert_eq!(
            step(&set(1), &[&ready, &other], now),
            Step::Delete(vec![("other".into(), "other".into())])
        );
    }

    /// Shapes of `watch/01-deployment-create`: counts of zero are left out, except `replicas` and `terminatingReplicas`.
    #[test]
    fn counts_have_the_recorded_shape() {
        let (one, two) = (pod("a", true, json!({ "app": "web" })), pod("b", false, json!({})));
        let counts = |active: &[&Pod], terminating| {
            serde_json::to_value(status(&set(3), active, terminating, None, Timestamp::now())).unwrap()
        };
        assert_eq!(
            counts(&[], 0),
            json!({ "replicas": 0, "terminatingReplicas": 0, "observedGeneration": 4 })
        );
        let expected = json!({
            "replicas": 2, "fullyLabeledReplicas": 1, "readyReplicas": 1, "availableReplicas": 1,
            "terminatingReplicas": 3, "observedGeneration": 4,
        });
        assert_eq!(counts(&[&one, &two], 3), expected);
    }
}
