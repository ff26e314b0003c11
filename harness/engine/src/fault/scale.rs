//! `scale`: sets the replicas of a workload.

use std::time::Duration;

use harness_event::WorkloadRef;
use k8s_openapi::api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler};
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
    runtime::watcher,
};
use serde_json::json;

use super::{
    planned::{FaultError, Observed, Snapshot},
    wait::{Seen, call, following, until},
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

/// Waits until the workload has exactly `desired` in its spec and, by its controller's word, as many ready replicas.
pub(super) async fn wait_replicas(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    desired: i32,
    limit: Duration,
) -> Result<Observed, FaultError> {
    until_deployment(client, namespace, workload, limit, |deployment| {
        let (has, is_ready) = replicas(deployment);
        let text = format!("{workload} has {is_ready} of {has} replicas ready");
        match has == desired && is_ready == desired && current(deployment) {
            true => Seen::Yes(text),
            false => Seen::NotYet(format!("{text}, not {desired} of {desired}")),
        }
    })
    .await
}

/// Waits until the workload has its old number of replicas again, or the one that its autoscaler wants by now: once it has replicas
/// again, they are the autoscaler's. Of either, as many are ready as were.
pub(super) async fn wait_restored(
    client: &Client,
    namespace: &str,
    workload: &WorkloadRef,
    before: i32,
    ready: i32,
    limit: Duration,
) -> Result<Observed, FaultError> {
    following(
        limit,
        || autoscaled(client, namespace, workload),
        |autoscaled, limit| async move {
            until_deployment(client, namespace, workload, limit, |deployment| {
                let (has, is_ready) = replicas(deployment);
                let text = format!("{workload} has {is_ready} of {has} replicas ready");
                let old =
                    has == before && if ready < before { is_ready >= ready } else { is_ready == before };
                let new = autoscaled == Some(has) && is_ready >= ready.min(has);
                match (old || new) && current(deployment) {
                    true => Seen::Yes(text),
                    false => Seen::NotYet(match autoscaled {
                        Some(wanted) => {
                            format!("{text}, not {ready} of {before}, and its autoscaler wants {wanted}")
                        }
                        None => format!("{text}, not {ready} of {before}"),
                    }),
                }
            })
            .await
        },
    )
    .await
}

/// What the autoscaler of a workload wants. None without one, and while it stands still: then it wants 0.
async fn autoscaled(client: &Client, namespace: &str, workload: &WorkloadRef) -> Option<i32> {
    let api: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
    // Where autoscalers cannot be read, only the old number is right.
    let found = call("listing autoscalers", api.list(&ListParams::default())).await.ok()?;
    let of_it = |autoscaler: &&HorizontalPodAutoscaler| {
        let target = &autoscaler.spec.scale_target_ref;
        (&target.kind, &target.name) == (&workload.kind, &workload.name)
    };
    let wanted = found.items.iter().find(of_it)?.status.as_ref()?.desired_replicas;
    (wanted >= 1).then_some(wanted)
}
