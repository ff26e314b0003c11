//! The scheduler: binds pods to the one node, or says why not.

use std::{collections::BTreeMap, collections::HashMap, sync::Arc};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Binding, Node as NodeObject, NodeSelectorRequirement, Pod, Taint, Toleration,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Node,
    events::{EventType, reference},
    quantity,
    status::whole_seconds,
};

/// A message to the scheduler.
#[derive(Debug)]
pub enum ToSchedule {
    /// A pod without a node.
    Pod(Arc<Pod>),
    /// A pod that got a node or is gone.
    Forget(String),
    /// The node changed: pods that did not fit are tried again.
    Node(Box<NodeObject>),
}

/// Binds pods as they come, until the sender is dropped.
pub async fn run(node: Arc<Node>, mut inbox: mpsc::UnboundedReceiver<ToSchedule>) {
    let mut target: Option<NodeObject> = None;
    let mut waiting: HashMap<String, Arc<Pod>> = HashMap::new();
    while let Some(message) = inbox.recv().await {
        match message {
            ToSchedule::Forget(uid) => {
                waiting.remove(&uid);
            }
            ToSchedule::Pod(pod) => {
                let uid = pod.metadata.uid.clone().unwrap_or_default();
                match &target {
                    Some(target) if schedule(&node, target, &pod).await => {
                        waiting.remove(&uid);
                    }
                    _ => {
                        waiting.insert(uid, pod);
                    }
                }
            }
            ToSchedule::Node(new) => {
                let changed = target
                    .as_ref()
                    .is_none_or(|old| old.spec != new.spec || old.metadata.labels != new.metadata.labels);
                target = Some(*new);
                if let Some(target) = target.as_ref().filter(|_| changed) {
                    for (uid, pod) in std::mem::take(&mut waiting) {
                        if !schedule(&node, target, &pod).await {
                            waiting.insert(uid, pod);
                        }
                    }
                }
            }
        }
    }
}

/// Returns true if the pod needs no further attempt.
async fn schedule(node: &Node, target: &NodeObject, pod: &Pod) -> bool {
    let spec = pod.spec.clone().unwrap_or_default();
    if spec.scheduler_name.as_deref().is_some_and(|name| name != "default-scheduler") {
        return true;
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let api: Api<Pod> = Api::namespaced(node.client.clone(), namespace);
    if spec.scheduling_gates.as_ref().is_some_and(|gates| !gates.is_empty()) {
        unschedulable(
            &api,
            pod,
            "SchedulingGated",
            "Scheduling is blocked due to non-empty scheduling gates",
        )
        .await;
        return false;
    }
    if let Some(reason) = unfit(target, pod) {
        let message = format!(
            "0/1 nodes are available: 1 {reason}. no new claims to deallocate, preemption: 0/1 nodes are available: 1 \
             Preemption is not helpful for scheduling."
        );
        node.recorder.scheduler(
            reference(pod, None),
            EventType::Warning,
            "FailedScheduling",
            "Scheduling",
            &message,
        );
        unschedulable(&api, pod, "Unschedulable", &message).await;
        return false;
    }
    let binding: Binding = match serde_json::from_value(json!({
        "metadata": {"namespace": namespace, "name": name, "uid": pod.metadata.uid},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node.name},
    })) {
        Ok(binding) => binding,
        Err(error) => {
            tracing::error!(%error, "a binding could not be built");
            return true;
        }
    };
    let result: kube::Result<serde_json::Value> =
        api.create_subresource("binding", name, &PostParams::default(), &binding).await;
    match result {
        Ok(_) => {
            let message = format!("Successfully assigned {namespace}/{name} to {}", node.name);
            node.recorder.scheduler(
                reference(pod, None),
                EventType::Normal,
                "Scheduled",
                "Binding",
                &message,
            );
            true
        }
        // Bound by somebody else, or gone.
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => true,
        Err(error) => {
            tracing::warn!(pod = name, %error, "a pod could not be bound");
            false
        }
    }
}

async fn unschedulable(api: &Api<Pod>, pod: &Pod, reason: &str, message: &str) {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let old = conditions.iter().find(|condition| condition.type_ == "PodScheduled");
    if old.is_some_and(|old| old.reason.as_deref() == Some(reason) && old.message.as_deref() == Some(message))
    {
        return;
    }
    let mut all: Vec<serde_json::Value> = conditions
        .iter()
        .filter(|condition| condition.type_ != "PodScheduled")
        .filter_map(|condition| serde_json::to_value(condition).ok())
        .collect();
    let since = old.filter(|old| old.status == "False").and_then(|old| old.last_transition_time.clone());
    all.push(json!({
        "type": "PodScheduled",
        "status": "False",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since.unwrap_or_else(|| whole_seconds(Timestamp::now())),
    }));
    let patch = json!({"status": {"phase": "Pending", "conditions": all}});
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    if let Err(error) = api.patch_status(name, &PatchParams::default(), &Patch::Merge(patch)).await {
        tracing::debug!(pod = name, %error, "a pod's scheduling condition could not be written");
    }
}

/// Why the pod cannot run on the node, in the scheduler's words.
fn unfit(node: &NodeObject, pod: &Pod) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let none = BTreeMap::new();
    let labels = node.metadata.labels.as_ref().unwrap_or(&none);
    let node_spec = node.spec.clone().unwrap_or_default();
    let tolerations = spec.tolerations.as_deref().unwrap_or_default();
    let mut taints = node_spec.taints.unwrap_or_default();
    if node_spec.unschedulable == Some(true)
        && !taints.iter().any(|taint| taint.key == "node.kubernetes.io/unschedulable")
    {
        let key = "node.kubernetes.io/unschedulable".to_owned();
        taints.push(Taint { key, effect: "NoSchedule".to_owned(), ..Taint::default() });
    }
    let untolerated = taints
        .iter()
        .filter(|taint| taint.effect != "PreferNoSchedule")
        .find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)));
    if let Some(taint) = untolerated {
        if taint.key == "node.kubernetes.io/unschedulable" {
            return Some("node(s) were unschedulable".to_owned());
        }
        let value = taint.value.as_deref().unwrap_or_default();
        return Some(format!("node(s) had untolerated taint {{{}: {value}}}", taint.key));
    }
    let selected = spec.node_selector.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    let affinity = spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    let required =
        affinity.and_then(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_ref());
    let affine = required.is_none_or(|required| {
        required.node_selector_terms.iter().any(|term| {
            let expressions = term.match_expressions.iter().flatten();
            let fields = term.match_fields.iter().flatten();
            let name = BTreeMap::from([(
                "metadata.name".to_owned(),
                node.metadata.name.clone().unwrap_or_default(),
            )]);
            expressions.clone().count() + fields.clone().count() > 0
                && expressions.clone().all(|requirement| meets(requirement, labels))
                && fields.clone().all(|requirement| meets(requirement, &name))
        })
    });
    if !selected || !affine {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    let allocatable = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
    let insufficient = ["cpu", "memory"].into_iter().find(|name| {
        let wanted: i128 = spec
            .containers
            .iter()
            .filter_map(|container| container.resources.as_ref()?.requests.as_ref()?.get(*name))
            .filter_map(quantity::milli)
            .sum();
        let have = allocatable.and_then(|allocatable| allocatable.get(*name)).and_then(quantity::milli);
        have.is_some_and(|have| wanted > have)
    });
    insufficient.map(|name| format!("Insufficient {name}"))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().unwrap_or_default();
    let key = toleration.key.as_deref().unwrap_or_default();
    (effect.is_empty() || effect == taint.effect)
        && (key.is_empty() || key == taint.key)
        && match toleration.operator.as_deref().unwrap_or("Equal") {
            "Exists" => true,
            _ => {
                !key.is_empty()
                    && toleration.value.as_deref().unwrap_or_default()
                        == taint.value.as_deref().unwrap_or_default()
            }
        }
}

fn meets(requirement: &NodeSelectorRequirement, labels: &BTreeMap<String, String>) -> bool {
    let values = requirement.values.as_deref().unwrap_or_default();
    let value = labels.get(&requirement.key);
    let number = |text: &String| text.parse::<i64>().ok();
    match requirement.operator.as_str() {
        "In" => value.is_some_and(|value| values.contains(value)),
        "NotIn" => value.is_none_or(|value| !values.contains(value)),
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => value.and_then(number) > values.first().and_then(number),
        "Lt" => {
            matches!((value.and_then(number), values.first().and_then(number)), (Some(a), Some(b)) if a < b)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(node: serde_json::Value, pod: serde_json::Value) -> Option<String> {
        let mut object = json!({
            "metadata": {"name": "node-1", "labels": {"disk": "ssd", "zone": "3"}},
            "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}},
        });
        object["spec"] = node;
        let node = serde_json::from_value(object).unwrap();
        unfit(&node, &serde_json::from_value(json!({"spec": pod})).unwrap())
    }

    #[test]
    fn reasons_are_the_schedulers() {
        let expression = |operator: &str, values: &[&str]| {
            json!({"containers": [], "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": operator, "values": values}]}],
            }}}})
        };
        let selector = Some("node(s) didn't match Pod's node affinity/selector");
        let taint = json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]});
        let cases = [
            (json!({}), json!({"containers": []}), None),
            (json!({}), json!({"containers": [], "nodeSelector": {"disk": "ssd"}}), None),
            (json!({}), json!({"containers": [], "nodeSelector": {"disk": "hdd"}}), selector),
            (json!({}), expression("In", &["3"]), None),
            (json!({}), expression("Gt", &["3"]), selector),
            (json!({}), expression("Lt", &["4"]), None),
            (json!({"unschedulable": true}), json!({"containers": []}), Some("node(s) were unschedulable")),
            (taint.clone(), json!({"containers": []}), Some("node(s) had untolerated taint {k: v}")),
            (taint, json!({"containers": [], "tolerations": [{"key": "k", "operator": "Exists"}]}), None),
            (
                json!({}),
                json!({"containers": [{"name": "a", "resources": {"requests": {"cpu": "100"}}}]}),
                Some("Insufficient cpu"),
            ),
        ];
        for (node, pod, expected) in cases {
            assert_eq!(fit(node, pod.clone()).as_deref(), expected, "{pod}");
        }
    }
}
