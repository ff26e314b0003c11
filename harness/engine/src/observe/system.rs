//! Everything that is watched through the Kubernetes API.

use k8s_openapi::api::{autoscaling::v2::HorizontalPodAutoscaler, policy::v1::PodDisruptionBudget};
use kube::Client;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{
    autoscaling::{is_served, watch_autoscalers, watch_budgets},
    changes::Scope,
    cluster_events::watch_cluster_events,
    usage::watch_usage,
    workload::watch_workloads,
};
use crate::log::Log;

/// Starts the observers of a system: Deployments and pods, autoscalers and disruption budgets where the cluster serves them,
/// Events, and what pods use.
pub async fn watch_system(
    client: &Client,
    scope: &Scope,
    log: &Log,
    stop: &CancellationToken,
    observers: &mut JoinSet<()>,
) {
    let (client, scope, log, stop) = (client.clone(), scope.clone(), log.clone(), stop.clone());
    observers.spawn(watch_workloads(client.clone(), scope.clone(), log.clone(), stop.clone()));
    observers.spawn(watch_cluster_events(client.clone(), scope.clone(), log.clone(), stop.clone()));
    observers.spawn(watch_usage(client.clone(), scope.clone(), log.clone(), stop.clone()));
    // A cluster may serve neither, and most scenarios need neither.
    if is_served::<HorizontalPodAutoscaler>(&client).await {
        observers.spawn(watch_autoscalers(client.clone(), scope.clone(), log.clone(), stop.clone()));
    }
    if is_served::<PodDisruptionBudget>(&client).await {
        observers.spawn(watch_budgets(client, scope, log, stop));
    }
}
