//! A pod as facts have it.

use harness_event::{ObservedPod, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod, PodStatus};
use kube::ResourceExt;

use super::redact::{plain, redact};

/// The label that a Deployment puts on its pods, and whose value ends its ReplicaSets' names.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// What people want to know of a pod at a glance.
pub(crate) fn observed_pod(pod: &Pod) -> ObservedPod {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    let ready = condition(pod, "Ready").is_some_and(|(holds, _)| holds);
    let ready_containers = statuses.iter().filter(|container| container.ready).count();
    let containers = pod.spec.as_ref().map_or(0, |spec| spec.containers.len());
    ObservedPod {
        namespace: pod.namespace().unwrap_or_default(),
        pod: pod.name_any(),
        status: pod_status(pod),
        ready,
        restarts: statuses.iter().map(|container| container.restart_count).sum(),
        gone: false,
        ready_containers: u32::try_from(ready_containers).unwrap_or(u32::MAX),
        containers: u32::try_from(containers).unwrap_or(u32::MAX),
        owner: owner(pod),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).filter(|node| !node.is_empty()),
        created_at: pod.metadata.creation_timestamp.as_ref().map(|at| Timestamp(at.0.as_millisecond())),
        message: if ready { None } else { message(pod) },
    }
}

/// STATUS as `kubectl get pods` shows it: the reason of a container that waits or ended, else the phase.
fn pod_status(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let Some(status) = &pod.status else { return "Pending".to_owned() };
    let reason = status.container_statuses.iter().flatten().find_map(|container| {
        let state = container.state.as_ref()?;
        let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
        waiting.or_else(|| state.terminated.as_ref()?.reason.clone())
    });
    reason
        .or_else(|| status.reason.clone())
        .or_else(|| status.phase.clone())
        .unwrap_or_else(|| "Pending".to_owned())
}

/// What made it, as far up as its name tells: the ReplicaSet of a Deployment is named after it and the hash of the pods' template.
pub(crate) fn owner(pod: &Pod) -> Option<String> {
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    let owner = owners.iter().find(|owner| owner.controller == Some(true)).or(owners.first())?;
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get(TEMPLATE_HASH));
    if owner.kind == "ReplicaSet"
        && let Some(hash) = hash
        && let Some(deployment) = owner.name.strip_suffix(hash).and_then(|name| name.strip_suffix('-'))
    {
        return Some(format!("deployment/{deployment}"));
    }
    Some(format!("{}/{}", owner.kind.to_lowercase(), owner.name))
}

/// Does a condition hold, and why not?
fn condition<'a>(pod: &'a Pod, name: &str) -> Option<(bool, Option<&'a str>)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let found = conditions.iter().find(|condition| condition.type_ == name)?;
    Some((found.status == "True", found.message.as_deref().filter(|message| !message.is_empty())))
}

/// Why it is not ready: what a container says of itself, else what the scheduler and the kubelet say.
fn message(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let of_container = containers(status).find_map(of_state);
    let of_condition = || {
        ["PodScheduled", "Initialized", "Ready", "ContainersReady"].into_iter().find_map(|name| {
            let (holds, message) = condition(pod, name)?;
            if holds { None } else { message.map(str::to_owned) }
        })
    };
    let text = of_container.or_else(|| status.message.clone()).or_else(of_condition)?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // A container's last words may hold anything.
    Some(redact(&plain(&line)))
}

fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

fn of_state(container: &ContainerStatus) -> Option<String> {
    let state = container.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let message = waiting.message.clone().filter(|message| !message.is_empty())?;
        return Some(format!("{}: {message}", container.name));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let how = match ended.signal.filter(|signal| *signal != 0) {
        Some(signal) => format!("killed by signal {signal}"),
        None => format!("exit code {}", ended.exit_code),
    };
    let message = ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty());
    Some(match message {
        Some(message) => format!("{}: {how}: {message}", container.name),
        None => format!("{}: {how}", container.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::serde_json::{Value, from_value, json};

    fn seen(metadata: Value, status: Value) -> ObservedPod {
        let spec = json!({ "nodeName": "node-1", "containers": [{ "name": "web" }, { "name": "sidecar" }] });
        observed_pod(&from_value(json!({ "metadata": metadata, "spec": spec, "status": status })).unwrap())
    }

    fn named() -> Value {
        json!({
            "name": "web-7d4f9c-x2x4k", "namespace": "shop", "creationTimestamp": "2026-11-21T10:57:13Z",
            "labels": { "pod-template-hash": "7d4f9c" },
            "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4f9c", "uid": "1", "controller": true }],
        })
    }

    #[test]
    fn a_healthy_pod_has_nothing_to_say() {
        let container = |name: &str| {
            json!({ "name": name, "ready": true, "restartCount": 1, "image": "", "imageID": "",
                    "state": { "running": {} } })
        };
        let status = json!({
            "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }],
            "containerStatuses": [container("web"), container("sidecar")],
        });
        let pod = seen(named(), status);
        assert_eq!((pod.namespace.as_str(), pod.pod.as_str()), ("shop", "web-7d4f9c-x2x4k"));
        assert_eq!((pod.status.as_str(), pod.ready, pod.restarts), ("Running", true, 2));
        assert_eq!((pod.ready_containers, pod.containers), (2, 2));
        assert_eq!(pod.owner.as_deref(), Some("deployment/web"));
        assert_eq!(pod.node.as_deref(), Some("node-1"));
        assert_eq!(pod.created_at, Timestamp::parse("2026-11-21T10:57:13Z"));
        assert_eq!(pod.message, None);
    }

    #[test]
    fn a_pod_that_is_not_ready_says_why() {
        let status = |container: Value| {
            json!({
                "phase": "Running",
                "conditions": [{ "type": "Ready", "status": "False", "message": "containers with unready status: [web]" }],
                "containerStatuses": [container],
            })
        };
        let container = |state: Value| json!({ "name": "web", "ready": false, "restartCount": 3, "image": "", "imageID": "", "state": state });
        let waiting =
            json!({ "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 10s\nrestarting" } });
        let pod = seen(named(), status(container(waiting)));
        assert_eq!(pod.status, "CrashLoopBackOff");
        assert_eq!(pod.message.as_deref(), Some("web: back-off 10s restarting"));
        let ended = json!({ "terminated": { "exitCode": 1, "reason": "Error", "message": "bad password=hunter2\u{1b}[2J" } });
        let pod = seen(named(), status(container(ended)));
        assert_eq!(pod.message.as_deref(), Some("web: exit code 1: bad password=[redacted]"));
        let ended = json!({ "terminated": { "exitCode": 137, "signal": 9, "reason": "OOMKilled" } });
        let pod = seen(named(), status(container(ended)));
        assert_eq!(
            (pod.status.as_str(), pod.message.as_deref()),
            ("OOMKilled", Some("web: killed by signal 9"))
        );
        let running = seen(named(), status(container(json!({ "running": {} }))));
        assert_eq!(running.message.as_deref(), Some("containers with unready status: [web]"));
        let unscheduled = json!({
            "phase": "Pending",
            "conditions": [{ "type": "PodScheduled", "status": "False", "message": "0/3 nodes are available" }],
        });
        assert_eq!(seen(named(), unscheduled).message.as_deref(), Some("0/3 nodes are available"));
    }

    #[test]
    fn owners_are_named_as_far_up_as_names_tell() {
        let owned = |kind: &str, name: &str, labels: Value| {
            let owner = json!({ "apiVersion": "v1", "kind": kind, "name": name, "uid": "1" });
            seen(json!({ "name": "x", "labels": labels, "ownerReferences": [owner] }), json!({}))
                .owner
                .unwrap()
        };
        assert_eq!(owned("ReplicaSet", "web-7d4f", json!({ "pod-template-hash": "7d4f" })), "deployment/web");
        // A ReplicaSet of its own, whatever its name looks like.
        assert_eq!(owned("ReplicaSet", "web-7d4f", json!({})), "replicaset/web-7d4f");
        assert_eq!(owned("StatefulSet", "db", json!({})), "statefulset/db");
        assert_eq!(seen(json!({ "name": "alone" }), json!({})).owner, None);
    }
}
