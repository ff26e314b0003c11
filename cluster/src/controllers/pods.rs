//! What controllers need to know of a pod: is it active, ready, available, and which one should go first.

use std::{
    cmp::{Ordering, Reverse},
    time::Duration,
};

use k8s_openapi::{
    api::core::v1::{Pod, PodCondition},
    jiff::Timestamp,
};
use kube::ResourceExt;

/// Annotation with the cost of deleting a pod; pods with a lower cost go first.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Phase, `Unknown` if there is none.
pub fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Unknown")
}

/// True if the pod ended for good.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// True if the pod is being deleted.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// True if the pod counts for its controller: neither ended nor being deleted.
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_terminating(pod)
}

/// The condition of that type.
pub fn condition<'a>(pod: &'a Pod, type_: &str) -> Option<&'a PodCondition> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// True if the Ready condition is true.
pub fn is_ready(pod: &Pod) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.status == "True")
}

/// Since when the pod is ready.
fn ready_since(pod: &Pod) -> Option<Timestamp> {
    let ready = condition(pod, "Ready").filter(|ready| ready.status == "True")?;
    ready.last_transition_time.as_ref().map(|time| time.0)
}

/// True if the pod has been ready for `min_ready_seconds`.
pub fn is_available(pod: &Pod, min_ready_seconds: i32, now: Timestamp) -> bool {
    if min_ready_seconds <= 0 {
        return is_ready(pod);
    }
    let min_ready = Duration::from_secs(min_ready_seconds.unsigned_abs().into());
    ready_since(pod)
        .is_some_and(|since| now.duration_since(since).unsigned_abs() >= min_ready && since <= now)
}

/// Order in which a ReplicaSet deletes its pods, the first ones first (Kubernetes' `ActivePodsWithRanks`): not assigned,
/// pending, not ready, cheap to delete, ready for a shorter time, restarted more often, newer. Times are compared by the
/// logarithm of the age; pods of about the same age go in a random but stable order, that of their uids. The rank by pods on the
/// same node is the same for all, as there is one node.
///
/// Kubernetes falls back to the uid at the first pair of times of the same magnitude but not at equal times, which is no total
/// order; here the uid comes last.
pub fn deletion_order(one: &Pod, other: &Pod, now: Timestamp) -> Ordering {
    deletion_rank(one, now).cmp(&deletion_rank(other, now))
}

type Rank = (bool, u8, bool, i32, Option<i64>, Reverse<i32>, Option<i64>, Option<String>);

fn deletion_rank(pod: &Pod, now: Timestamp) -> Rank {
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.as_ref());
    let phase = match phase(pod) {
        "Pending" => 0,
        "Running" => 2,
        _ => 1,
    };
    let cost = pod.annotations().get(DELETION_COST).and_then(|cost| cost.parse().ok()).unwrap_or(0);
    let magnitude = |since: Timestamp| match now.as_nanosecond().saturating_sub(since.as_nanosecond()) {
        age @ 1.. => i64::from(age.ilog2()),
        _ => -1,
    };
    let ready = ready_since(pod).map(magnitude);
    let created = pod.creation_timestamp().map(|time| magnitude(time.0));
    let assigned = node.is_some_and(|node| !node.is_empty());
    (assigned, phase, is_ready(pod), cost, ready, Reverse(restarts(pod)), created, pod.uid())
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.as_ref().and_then(|status| status.container_statuses.as_ref());
    statuses.into_iter().flatten().map(|status| status.restart_count).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn now() -> Timestamp {
        "2026-01-01T12:00:00Z".parse().unwrap()
    }

    fn pod(name: &str, node: &str, phase: &str, ready: Option<&str>, created: &str, restarts: i32) -> Pod {
        let status = if ready.is_some() { "True" } else { "False" };
        serde_json::from_value(json!({
            "metadata": { "name": name, "uid": name, "creationTimestamp": created },
            "spec": { "nodeName": node, "containers": [] },
            "status": {
                "phase": phase,
                "conditions": [{ "type": "Ready", "status": status, "lastTransitionTime": ready }],
                "containerStatuses": [{ "name": "main", "restartCount": restarts, "image": "", "imageID": "", "ready": true }],
            },
        }))
        .unwrap()
    }

    #[test]
    fn scale_down_takes_the_least_useful_pod_first() {
        let (old, recent) = ("2026-01-01T10:00:00Z", "2026-01-01T11:59:50Z");
        let expected = [
            pod("unassigned", "", "Pending", None, old, 0),
            pod("pending", "n", "Pending", None, old, 0),
            pod("not-ready", "n", "Running", None, old, 0),
            pod("newly-ready", "n", "Running", Some(recent), old, 0),
            pod("restarted", "n", "Running", Some(old), old, 3),
            pod("new", "n", "Running", Some(old), recent, 0),
            pod("best", "n", "Running", Some(old), old, 0),
        ];
        let mut shuffled: Vec<Pod> = expected.iter().rev().cloned().collect();
        shuffled.swap(1, 4);
        shuffled.sort_by(|one, other| deletion_order(one, other, now()));
        let names = |pods: &[Pod]| pods.iter().map(ResourceExt::name_any).collect::<Vec<_>>();
        assert_eq!(names(&shuffled), names(&expected));
    }

    /// A rollout of 50 pods found it: equal and nearly equal times mixed, with different uids.
    #[test]
    fn the_order_is_total() {
        let times =
            ["2026-01-01T11:59:50Z", "2026-01-01T11:59:50Z", "2026-01-01T11:59:49Z", "2026-01-01T11:59:48Z"];
        let pods: Vec<Pod> = (0..64)
            .map(|at: usize| {
                pod(&format!("{:x}", at * 37 % 64), "n", "Running", Some(times[at % 4]), times[at / 4 % 4], 0)
            })
            .collect();
        for (one, two, three) in (0..64).flat_map(|i| (0..64).map(move |j| (i, j, (i * 7 + j * 3) % 64))) {
            let order = |first: usize, second: usize| deletion_order(&pods[first], &pods[second], now());
            assert_eq!(order(one, two), order(two, one).reverse());
            if order(one, two).is_lt() && order(two, three).is_lt() {
                assert!(order(one, three).is_lt(), "{one} < {two} < {three}");
            }
        }
    }

    #[test]
    fn a_pod_with_a_lower_deletion_cost_goes_first_whatever_its_age() {
        let old = "2026-01-01T10:00:00Z";
        let mut cheap = pod("a", "n", "Running", Some(old), old, 0);
        cheap.annotations_mut().insert(DELETION_COST.into(), "-5".into());
        let newer = pod("b", "n", "Running", Some("2026-01-01T11:59:59Z"), old, 9);
        assert_eq!(deletion_order(&cheap, &newer, now()), Ordering::Less);
    }

    #[test]
    fn available_only_after_min_ready_seconds() {
        let pod = pod("a", "n", "Running", Some("2026-01-01T11:59:50Z"), "2026-01-01T11:00:00Z", 0);
        assert!(is_available(&pod, 0, now()));
        assert!(is_available(&pod, 10, now()));
        assert!(!is_available(&pod, 11, now()));
    }
}
