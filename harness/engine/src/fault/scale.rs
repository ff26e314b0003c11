//! `scale`: sets the replicas of a workload.

use std::time::Duration;

use harness_event::WorkloadRef;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::watcher,
};
use serde_json::json;

use super::{
    planned::{FaultError, Observed, Snapshot},
    wait::{Seen, call, until},
};

/// The Deployment behind a workload reference.
pub(super) fn deployments(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
) -> Result<Api<Deployment>, FaultError> {
    match workload.kind.as_str() {
        "Deployment" => Ok(Api::namespaced(client.clone(), namespace)),
        kind => Err(FaultError::Kind(kind.to_owned())),
    }
}

/// Reads a Deployment that must exist.
pub(super) async fn get(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
) -> Result<Deployment, FaultError> {
    let api = deployments(client, namespace, workload)?;
    let found = call(&format!("reading {workload}"), api.get_opt(&workload.name)).await?;
    found
        .ok_or_else(|| FaultError::NoTarget { target: workload.to_string(), namespace: namespace.to_owned() })
}

/// `spec.replicas` and `status.readyReplicas`.
pub(super) fn replicas(deployment: &Deployment) -> (i32, i32) {
    let desired = deployment.spec.replicas.unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    (desired, ready)
}

/// True if the controller has seen the latest change of the spec, so that the status speaks of it.
pub(super) fn current(deployment: &Deployment) -> bool {
    let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
    observed >= deployment.metadata.generation
}

pub(super) async fn snapshot(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    to: i32,
) -> Result<Snapshot, FaultError> {
    let (desired, ready) = replicas(&get(client, namespace, workload).await?);
    if desired == to {
        return Err(FaultError::NothingToDo(format!(
            "{workload} already has {desired} replicas, so scaling it to {to} changes nothing"
        )));
    }
    if ready < desired {
        let reason =
            format!("{workload} has {ready} of {desired} replicas ready: it is broken before the fault");
        return Err(FaultError::NothingToDo(reason));
    }
    Ok(Snapshot::Scale { workload: workload.clone(), replicas: desired, ready })
}

/// Patches the scale subresource.
pub(super) async fn set(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    replicas: i32,
) -> Result<(), FaultError> {
    let api = deployments(client, namespace, workload)?;
    let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    let what = format!("scaling {workload} to {replicas}");
    call(&what, api.patch_scale(&workload.name, &PatchParams::default(), &patch)).await?;
    Ok(())
}

/// Watches one Deployment and returns as soon as `look` says yes.
pub(super) async fn until_deployment(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    limit: Duration,
    look: impl Fn(&Deployment) -> Seen,
) -> Result<Observed, FaultError> {
    let api = deployments(client, namespace, workload)?;
    let config = watcher::Config::default().fields(&format!("metadata.name={}", workload.name));
    until(api, config, limit, |found: &[Deployment]| match found.first() {
        Some(deployment) => look(deployment),
        None => Seen::NotYet(format!("{workload} is gone")),
    })
    .await
}

/// Waits until the workload has exactly `desired` in its spec and, by its controller's word, `ready` ready replicas (at least,
/// when it is brought back; exactly, when it was taken down).
pub(super) async fn wait_replicas(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    desired: i32,
    ready: i32,
    limit: Duration,
) -> Result<Observed, FaultError> {
    until_deployment(client, namespace, workload, limit, |deployment| {
        let (has, is_ready) = replicas(deployment);
        let text = format!("{workload} has {is_ready} of {has} replicas ready");
        let enough = if ready < desired { is_ready >= ready } else { is_ready == desired };
        match has == desired && enough && current(deployment) {
            true => Seen::Yes(text),
            false => Seen::NotYet(format!("{text}, not {ready} of {desired}")),
        }
    })
    .await
}
