//! Watches the Deployments and pods of a namespace.

use std::collections::HashMap;

use futures::StreamExt;
use harness_event::{EventKind, ObservedPod, ObservedWorkload, Timestamp, WorkloadRef};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus},
    core::v1::Pod,
};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio_util::sync::CancellationToken;

use super::{
    changes::{Change, watch},
    outage::report_outages,
};
use crate::log::Log;

/// Reports every change of replicas and of pods, until told to stop.
pub async fn watch_workloads(client: Client, namespace: String, log: Log, stop: CancellationToken) {
    let deployments =
        watch_deployments(Api::namespaced(client.clone(), &namespace), log.clone(), stop.clone());
    let pods = watch_pods(Api::namespaced(client, &namespace), log);
    tokio::select! {
        () = stop.cancelled() => {}
        ((), ()) = async { tokio::join!(deployments, pods) } => {}
    }
}

async fn watch_deployments(api: Api<Deployment>, log: Log, stop: CancellationToken) {
    let mut known: HashMap<String, (i32, i32, i32)> = HashMap::new();
    let observe = |change: Change<Deployment>| {
        let (name, replicas) = match change {
            Change::Is(deployment) => (deployment.name_any(), replicas(&deployment)),
            // What is gone has no replicas.
            Change::Gone(name) => (name, (0, 0, 0)),
        };
        if known.insert(name.clone(), replicas) == Some(replicas) {
            return None;
        }
        let (desired, ready, available) = replicas;
        let workload = WorkloadRef { kind: "Deployment".to_owned(), name };
        let seen_at = Timestamp::now();
        Some(EventKind::WorkloadObserved(ObservedWorkload { workload, seen_at, desired, ready, available }))
    };
    watch(api, EventKind::WORKLOAD_OBSERVER, log, stop, observe).await;
}

/// Replicas wanted, ready and available.
fn replicas(deployment: &Deployment) -> (i32, i32, i32) {
    let status = deployment.status.as_ref();
    let number = |of: fn(&DeploymentStatus) -> Option<i32>| status.and_then(of).unwrap_or(0);
    (
        deployment.spec.replicas.unwrap_or(1),
        number(|status| status.ready_replicas),
        number(|status| status.available_replicas),
    )
}

async fn watch_pods(api: Api<Pod>, log: Log) {
    let mut known: HashMap<String, (String, bool, i32, bool)> = HashMap::new();
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    let mut stream = report_outages(stream.boxed(), "watch of pods", log.clone()).boxed();
    while let Some(event) = stream.next().await {
        let (pod, gone) = match event {
            watcher::Event::Apply(pod) | watcher::Event::InitApply(pod) => (pod, false),
            watcher::Event::Delete(pod) => (pod, true),
            watcher::Event::Init | watcher::Event::InitDone => continue,
        };
        let (name, status) = (pod.name_any(), pod_status(&pod));
        let statuses =
            pod.status.as_ref().and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
        let restarts = statuses.iter().map(|container| container.restart_count).sum();
        let conditions =
            pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
        let ready =
            conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let seen = (status.clone(), ready, restarts, gone);
        if known.insert(name.clone(), seen.clone()) != Some(seen) {
            log.record(EventKind::PodObserved(ObservedPod {
                pod: name,
                status,
                ready,
                restarts,
                gone,
                ..ObservedPod::default()
            }));
        }
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
