//! Watches the Deployments and pods of a namespace.

use std::collections::HashMap;

use futures::StreamExt;
use harness_event::{EventKind, ObservedWorkload, Timestamp, WorkloadRef};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use tokio_util::sync::CancellationToken;

use super::outage::report_outages;
use crate::log::Log;

/// Reports every change of replicas and of pods, until told to stop.
pub async fn watch_workloads(client: Client, namespace: String, log: Log, stop: CancellationToken) {
    let deployments = watch_deployments(Api::namespaced(client.clone(), &namespace), log.clone());
    let pods = watch_pods(Api::namespaced(client, &namespace), log);
    tokio::select! {
        () = stop.cancelled() => {}
        ((), ()) = async { tokio::join!(deployments, pods) } => {}
    }
}

async fn watch_deployments(api: Api<Deployment>, log: Log) {
    let mut known: HashMap<String, ObservedWorkload> = HashMap::new();
    let stream = watcher(api, watcher::Config::default()).default_backoff();
    let mut stream = report_outages(stream.boxed(), EventKind::WORKLOAD_OBSERVER, log.clone()).boxed();
    while let Some(event) = stream.next().await {
        let deployment = match event {
            watcher::Event::Apply(deployment) | watcher::Event::InitApply(deployment) => deployment,
            // What is gone has no replicas.
            watcher::Event::Delete(mut deployment) => {
                (deployment.spec.replicas, deployment.status) = (Some(0), None);
                deployment
            }
            watcher::Event::Init | watcher::Event::InitDone => continue,
        };
        let (name, status) = (deployment.name_any(), deployment.status.clone().unwrap_or_default());
        let seen = ObservedWorkload {
            workload: WorkloadRef { kind: "Deployment".to_owned(), name: name.clone() },
            seen_at: Timestamp::now(),
            desired: deployment.spec.replicas.unwrap_or(1),
            ready: status.ready_replicas.unwrap_or(0),
            available: status.available_replicas.unwrap_or(0),
        };
        let same = |old: &ObservedWorkload| {
            (old.desired, old.ready, old.available) == (seen.desired, seen.ready, seen.available)
        };
        if !known.get(&name).is_some_and(same) {
            log.record(EventKind::WorkloadObserved(seen.clone()));
            known.insert(name, seen);
        }
    }
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
            log.record(EventKind::PodObserved { pod: name, status, ready, restarts, gone });
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
