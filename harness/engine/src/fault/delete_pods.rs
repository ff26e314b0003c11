//! `delete_pods`: deletes pods, which their controllers replace.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, Preconditions},
    core::{Selector, SelectorExt},
    runtime::watcher,
};

use super::{
    planned::{FaultError, Observed, Snapshot},
    scale::replicas,
    wait::{Seen, call, following, until},
};

/// True if the pod's Ready condition holds and it is not on its way out.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    pod.metadata.deletion_timestamp.is_none()
        && conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// The ready pods of a selector.
pub(crate) async fn ready_pods(
    client: &Client,
    namespace: &str,
    selector: &str,
) -> Result<Vec<Pod>, FaultError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let params = ListParams::default().labels(selector);
    let mut pods = call(&format!("listing pods of {selector}"), api.list(&params)).await?.items;
    pods.retain(is_ready);
    Ok(pods)
}

pub(super) async fn snapshot(
    client: &Client,
    namespace: &str,
    selector: &str,
    count: Option<u32>,
) -> Result<Snapshot, FaultError> {
    let mut ready = ready_pods(client, namespace, selector).await?;
    if ready.is_empty() {
        let target = format!("a ready pod with labels {selector}");
        return Err(FaultError::NoTarget { target, namespace: namespace.to_owned() });
    }
    if let Some(count) = count.filter(|count| *count as usize > ready.len()) {
        let reason =
            format!("{count} pods of {selector} should be deleted, but only {} are ready", ready.len());
        return Err(FaultError::NothingToDo(reason));
    }
    if let Some(orphan) =
        ready.iter().find(|pod| pod.owner_references().iter().all(|owner| owner.controller != Some(true)))
    {
        let reason = format!("pod {} has no controller: nothing would bring it back", orphan.name_any());
        return Err(FaultError::NothingToDo(reason));
    }
    // The same pods for the same cluster: by name.
    ready.sort_by_key(|pod| pod.name_any());
    let number = count.map_or(ready.len(), |count| count as usize);
    let chosen =
        ready.iter().take(number).map(|pod| (pod.name_any(), pod.uid().unwrap_or_default())).collect();
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let deployments = call("listing deployments", api.list(&ListParams::default())).await?.items;
    Ok(Snapshot::Pods {
        selector: selector.to_owned(),
        chosen,
        ready: ready.len(),
        deployments: by_deployment(&deployments, &ready),
    })
}

/// How many of the pods are of which Deployment. A Deployment has its pods through a ReplicaSet.
fn by_deployment(deployments: &[Deployment], pods: &[Pod]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for pod in pods {
        let replicated = pod.owner_references().iter().any(|owner| owner.kind == "ReplicaSet");
        let holds = |deployment: &&Deployment| {
            let selector = Selector::try_from(deployment.spec.selector.clone());
            selector.is_ok_and(|selector| selector.matches(pod.labels()))
        };
        if let Some(deployment) = deployments.iter().find(holds).filter(|_| replicated) {
            *found.entry(deployment.name_any()).or_default() += 1;
        }
    }
    found
}

pub(super) async fn delete(
    client: &Client,
    namespace: &str,
    chosen: &[(String, String)],
    grace: Option<u32>,
) -> Result<(), FaultError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for (name, uid) in chosen {
        // The UID makes sure that no later pod of the same name is hit.
        let preconditions = Some(Preconditions { uid: Some(uid.clone()), resource_version: None });
        let params = DeleteParams { grace_period_seconds: grace, preconditions, ..DeleteParams::default() };
        call(&format!("deleting pod {name}"), api.delete(name, &params)).await?;
    }
    Ok(())
}

/// Waits until none of the chosen pods serves any more: gone, or on its way out.
pub(super) async fn wait_gone(
    client: &Client,
    namespace: &str,
    chosen: &[(String, String)],
    limit: Duration,
) -> Result<Observed, FaultError> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    until(api, watcher::Config::default(), limit, |pods: &[Pod]| {
        let serving = |pod: &&Pod| {
            pod.uid().is_some_and(|uid| chosen.iter().any(|(_, chosen)| *chosen == uid)) && is_ready(pod)
        };
        let left: Vec<_> = pods.iter().filter(serving).map(ResourceExt::name_any).collect();
        match left.is_empty() {
            true => Seen::Yes(format!(
                "{} deleted",
                chosen.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
            )),
            false => Seen::NotYet(format!("still serving: {}", left.join(", "))),
        }
    })
    .await
}

/// Waits until as many pods as before are ready, or all that their Deployments want by now if that is less: an autoscaler may have
/// scaled down meanwhile, and nothing brings the old number back then. A chosen pod counts if it is not on its way out: then it was never deleted,
/// because the call was refused or the run was interrupted before it.
pub(super) async fn wait_ready(
    client: &Client,
    namespace: &str,
    selector: &str,
    before: usize,
    deployments: &BTreeMap<String, usize>,
    limit: Duration,
) -> Result<Observed, FaultError> {
    let wanted = || wanted(client, namespace, before, deployments);
    following(limit, wanted, |wanted, limit| {
        let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
        until(api, watcher::Config::default().labels(selector), limit, move |pods: &[Pod]| {
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            let text = format!("{ready} of {wanted} pods of {selector} ready");
            if ready >= wanted { Seen::Yes(text) } else { Seen::NotYet(text) }
        })
    })
    .await
}

/// How many pods must be ready now.
async fn wanted(
    client: &Client,
    namespace: &str,
    before: usize,
    deployments: &BTreeMap<String, usize>,
) -> usize {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    let mut wanted = before;
    for (name, had) in deployments {
        // As many as before where it does not say, and where it is gone: then it is not as it was.
        if let Ok(Some(deployment)) = call(&format!("reading deployment/{name}"), api.get_opt(name)).await {
            let wants = usize::try_from(replicas(&deployment).0).unwrap_or(0);
            wanted = wanted.saturating_sub(had.saturating_sub(wants));
        }
    }
    wanted
}
