//! `restart`: restarts a rollout, as `kubectl rollout restart` does.

use std::time::Duration;

use harness_event::{Timestamp, WorkloadRef};
use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::json;

use super::{
    delete_pods::is_ready,
    planned::{FaultError, Observed, Snapshot},
    scale::{current, deployments, get, replicas, until_deployment},
    wait::{Seen, call, until},
};

/// The annotation that kubectl sets.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

pub(super) async fn snapshot(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
) -> Result<Snapshot, FaultError> {
    let deployment = get(client, namespace, workload).await?;
    let (desired, ready) = replicas(&deployment);
    if deployment.spec.paused == Some(true) {
        return Err(FaultError::NothingToDo(format!(
            "{workload} is paused: a restart would not be rolled out"
        )));
    }
    if desired == 0 || ready == 0 {
        return Err(FaultError::NothingToDo(format!("{workload} has no ready pods to restart")));
    }
    let selector = selector(&deployment)?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pods =
        call(&format!("listing pods of {workload}"), pods.list(&ListParams::default().labels(&selector)))
            .await?;
    let pods = pods.items.iter().filter(|pod| is_ready(pod)).filter_map(ResourceExt::uid).collect();
    Ok(Snapshot::Rollout { workload: workload.clone(), pods, ready })
}

/// A Deployment's selector as the API takes it.
fn selector(deployment: &Deployment) -> Result<String, FaultError> {
    match kube::core::Selector::try_from(deployment.spec.selector.clone()) {
        Ok(selector) => Ok(selector.to_string()),
        Err(_) => Err(FaultError::NothingToDo(format!(
            "deployment/{} has no usable selector",
            deployment.name_any()
        ))),
    }
}

pub(super) async fn restart(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
) -> Result<(), FaultError> {
    let api = deployments(client, namespace, workload)?;
    let annotations = json!({ RESTARTED_AT: Timestamp::now().to_string() });
    let patch =
        Patch::Strategic(json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } }));
    call(&format!("restarting {workload}"), api.patch(&workload.name, &PatchParams::default(), &patch))
        .await?;
    Ok(())
}

/// Waits until the first of the old pods stops serving.
pub(super) async fn wait_replaced(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    old: &[String],
    limit: Duration,
) -> Result<Observed, FaultError> {
    let selector = selector(&get(client, namespace, workload).await?)?;
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    until(api, watcher::Config::default().labels(&selector), limit, |pods: &[Pod]| {
        let serving = pods
            .iter()
            .filter(|pod| is_ready(pod) && pod.uid().is_some_and(|uid| old.contains(&uid)))
            .count();
        let text = format!("{serving} of {} old pods of {workload} still serve", old.len());
        if serving < old.len() { Seen::Yes(text) } else { Seen::NotYet(text) }
    })
    .await
}

/// Waits until the rollout is complete: every replica is of the new template, ready and available.
pub(super) async fn wait_rolled_out(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    ready: i32,
    limit: Duration,
) -> Result<Observed, FaultError> {
    until_deployment(client, namespace, workload, limit, |deployment| {
        let (desired, is_ready) = replicas(deployment);
        let status = deployment.status.clone().unwrap_or_default();
        let (updated, all) = (status.updated_replicas.unwrap_or(0), status.replicas.unwrap_or(0));
        let text = format!("{workload}: {updated} updated, {is_ready} ready of {desired}");
        match current(deployment) && updated == desired && all == desired && is_ready >= ready.min(desired) {
            true => Seen::Yes(text),
            false => Seen::NotYet(text),
        }
    })
    .await
}
