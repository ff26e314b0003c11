//! What can be broken, and what a fault touches.

use std::collections::BTreeSet;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Client, ResourceExt,
    core::{Selector, SelectorExt},
};

use super::super::{autoscaling::list, prepare::Stopped};
use crate::{
    fault::{Snapshot, ready_pods},
    monitor::chain,
};

/// Labels that are made by controllers, of which no two generations of pods have the same.
const GENERATED: [&str; 4] = [
    "pod-template-hash",
    "controller-revision-hash",
    "pod-template-generation",
    "statefulset.kubernetes.io/pod-name",
];

/// What can be broken now, in the order of the alphabet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Deployments, as `deployment/NAME`.
    pub workloads: Vec<String>,
    /// Label selectors, each of which some pods have.
    pub selectors: Vec<String>,
}

/// Reads what is there.
pub(super) async fn read(client: &Client, namespace: &str) -> Result<Targets, String> {
    let (deployments, pods) =
        tokio::join!(list::<Deployment>(client, namespace), list::<Pod>(client, namespace));
    let deployments = deployments.map_err(why)?.unwrap_or_default();
    let pods = pods.map_err(why)?.unwrap_or_default();
    let workloads: BTreeSet<String> = deployments.iter().map(workload).collect();
    // A pod without a controller would not come back.
    let kept =
        pods.iter().filter(|pod| pod.owner_references().iter().any(|owner| owner.controller == Some(true)));
    let selectors: BTreeSet<String> = kept
        .flat_map(|pod| pod.labels())
        .filter(|(key, value)| !value.is_empty() && !GENERATED.contains(&key.as_str()))
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    Ok(Targets { workloads: workloads.into_iter().collect(), selectors: selectors.into_iter().collect() })
}

/// Everything that a fault changes or waits for, and what holds it: pods and the Deployments that they are of. Of a selector these are
/// all ready pods, also those that were not chosen: it is undone when as many of the selector are ready as before.
pub(super) async fn touched(
    client: &Client,
    namespace: &str,
    snapshot: &Snapshot,
) -> Result<BTreeSet<String>, String> {
    let (selector, chosen) = match snapshot {
        Snapshot::Scale { workload, .. } | Snapshot::Rollout { workload, .. } => {
            return Ok(BTreeSet::from([workload.to_string()]));
        }
        Snapshot::Pods { selector, chosen, .. } => (selector, chosen),
    };
    let (deployments, pods) =
        tokio::join!(list::<Deployment>(client, namespace), ready_pods(client, namespace, selector));
    let deployments = deployments.map_err(why)?.unwrap_or_default();
    let pods = pods.map_err(|error| chain(&error))?;
    let holds = |deployment: &&Deployment| {
        let selector = Selector::try_from(deployment.spec.selector.clone());
        selector.is_ok_and(|selector| pods.iter().any(|pod| selector.matches(pod.labels())))
    };
    let names = pods.iter().map(ResourceExt::name_any).chain(chosen.iter().map(|(name, _)| name.clone()));
    Ok(deployments
        .iter()
        .filter(holds)
        .map(workload)
        .chain(names.map(|name| format!("pod/{name}")))
        .collect())
}

fn workload(deployment: &Deployment) -> String {
    format!("deployment/{}", deployment.name_any())
}

fn why(stopped: Stopped) -> String {
    match stopped {
        Stopped::NotReady { component, reason } => format!("{component}: {reason}"),
        Stopped::Refused(problems) => problems.join("; "),
        Stopped::Cancelled => "the game day is over".to_owned(),
    }
}
