//! Watches the Deployments and pods of a namespace.

use std::collections::HashMap;

use harness_event::{EventKind, ObservedPod, ObservedWorkload, Timestamp, WorkloadRef};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentStatus},
    core::v1::Pod,
};
use kube::{Client, ResourceExt};
use tokio_util::sync::CancellationToken;

use super::{
    changes::{Change, Key, Scope, watch},
    pod::observed_pod,
};
use crate::log::Log;

/// Name of the observer of pods. No verdict looks at it.
pub const POD_OBSERVER: &str = "watch of pods";

/// Reports every change of replicas and of pods, until told to stop.
pub async fn watch_workloads(client: Client, scope: Scope, log: Log, stop: CancellationToken) {
    let deployments = watch_deployments(&client, &scope, log.clone(), stop.clone());
    tokio::join!(deployments, watch_pods(&client, &scope, log, stop));
}

async fn watch_deployments(client: &Client, scope: &Scope, log: Log, stop: CancellationToken) {
    let mut known: HashMap<Key, (i32, i32, i32)> = HashMap::new();
    let observe = |change: Change<Deployment>| {
        let (key, replicas) = match change {
            Change::Was(deployment) | Change::Is(deployment) => {
                let (key, replicas) = (Key::of(&deployment), replicas(&deployment));
                if known.insert(key.clone(), replicas) == Some(replicas) {
                    return None;
                }
                (key, replicas)
            }
            // What is gone has no replicas.
            Change::Gone(key) => match known.remove(&key) {
                Some((0, 0, 0)) | None => return None,
                Some(_) => (key, (0, 0, 0)),
            },
        };
        let (desired, ready, available) = replicas;
        let workload = WorkloadRef { kind: "Deployment".to_owned(), name: scope.name(&key) };
        let seen_at = Timestamp::now();
        Some(EventKind::WorkloadObserved(ObservedWorkload { workload, seen_at, desired, ready, available }))
    };
    watch(scope.api(client), EventKind::WORKLOAD_OBSERVER, log, stop, observe).await;
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

async fn watch_pods(client: &Client, scope: &Scope, log: Log, stop: CancellationToken) {
    // With the UID: a pod that was deleted and made again between two lists is another one.
    let mut known: HashMap<Key, (Option<String>, ObservedPod)> = HashMap::new();
    let observe = |change: Change<Pod>| match change {
        Change::Was(pod) | Change::Is(pod) => {
            let seen = (pod.uid(), observed_pod(&pod));
            let same = known.insert(Key::of(&pod), seen.clone()).is_some_and(|old| old == seen);
            (!same).then_some(EventKind::PodObserved(seen.1))
        }
        Change::Gone(key) => {
            let (_, last) = known.remove(&key)?;
            Some(EventKind::PodObserved(ObservedPod {
                gone: true,
                ready: false,
                ready_containers: 0,
                message: None,
                ..last
            }))
        }
    };
    watch(scope.api(client), POD_OBSERVER, log, stop, observe).await;
}
