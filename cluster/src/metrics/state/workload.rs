//! The series of Deployments and ReplicaSets.

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
};

use super::family::{Family, Lines, gauge, identity, text};

/// What is told about Deployments.
pub static DEPLOYMENTS: [Family; 16] = [
    gauge("kube_deployment_owner", "Information about the Deployment's owner."),
    gauge("kube_deployment_created", "Unix creation timestamp"),
    gauge("kube_deployment_status_replicas", "The number of replicas per deployment."),
    gauge("kube_deployment_status_replicas_ready", "The number of ready replicas per deployment."),
    gauge("kube_deployment_status_replicas_available", "The number of available replicas per deployment."),
    gauge(
        "kube_deployment_status_replicas_unavailable",
        "The number of unavailable replicas per deployment.",
    ),
    gauge("kube_deployment_status_replicas_updated", "The number of updated replicas per deployment."),
    gauge(
        "kube_deployment_status_terminating_replicas",
        "The number of terminating replicas per deployment.",
    ),
    gauge(
        "kube_deployment_status_observed_generation",
        "The generation observed by the deployment controller.",
    ),
    gauge("kube_deployment_status_condition", "The current status conditions of a deployment."),
    gauge("kube_deployment_spec_replicas", "Number of desired pods for a deployment."),
    gauge(
        "kube_deployment_spec_paused",
        "Whether the deployment is paused and will not be processed by the deployment controller.",
    ),
    gauge(
        "kube_deployment_spec_strategy_rollingupdate_max_unavailable",
        "Maximum number of unavailable replicas during a rolling update of a deployment.",
    ),
    gauge(
        "kube_deployment_spec_strategy_rollingupdate_max_surge",
        "Maximum number of replicas that can be scheduled above the desired number of replicas during a rolling update of \
         a deployment.",
    ),
    gauge(
        "kube_deployment_metadata_generation",
        "Sequence number representing a specific generation of the desired state.",
    ),
    gauge("kube_deployment_deletion_timestamp", "Unix deletion timestamp"),
];

/// What is told about ReplicaSets.
pub static REPLICA_SETS: [Family; 9] = [
    gauge("kube_replicaset_created", "Unix creation timestamp"),
    gauge("kube_replicaset_status_replicas", "The number of replicas per ReplicaSet."),
    gauge(
        "kube_replicaset_status_fully_labeled_replicas",
        "The number of fully labeled replicas per ReplicaSet.",
    ),
    gauge("kube_replicaset_status_ready_replicas", "The number of ready replicas per ReplicaSet."),
    gauge(
        "kube_replicaset_status_terminating_replicas",
        "The number of terminating replicas per ReplicaSet.",
    ),
    gauge(
        "kube_replicaset_status_observed_generation",
        "The generation observed by the ReplicaSet controller.",
    ),
    gauge("kube_replicaset_spec_replicas", "Number of desired pods for a ReplicaSet."),
    gauge(
        "kube_replicaset_metadata_generation",
        "Sequence number representing a specific generation of the desired state.",
    ),
    gauge("kube_replicaset_owner", "Information about the ReplicaSet's owner."),
];

/// Reasons of conditions that are told by their name.
const REASONS: [&str; 11] = [
    "ReplicaSetUpdated",
    "ReplicaSetCreateError",
    "NewReplicaSetCreated",
    "FoundNewReplicaSet",
    "NewReplicaSetAvailable",
    "ProgressDeadlineExceeded",
    "DeploymentPaused",
    "DeploymentResumed",
    "MinimumReplicasAvailable",
    "MinimumReplicasUnavailable",
    "",
];

/// A generation as a value: exact up to 2^53.
fn number(value: Option<i64>) -> f64 {
    value.unwrap_or(0) as f64
}

/// The lines of a Deployment.
pub fn deployment(object: &Deployment) -> Lines {
    let metadata = &object.metadata;
    let mut lines = Lines::new(&DEPLOYMENTS, identity("deployment", metadata));
    lines.add_owners("kube_deployment_owner", metadata, false);
    lines.add_time("kube_deployment_created", &[], metadata.creation_timestamp.as_ref());
    lines.add_time("kube_deployment_deletion_timestamp", &[], metadata.deletion_timestamp.as_ref());
    lines.add("kube_deployment_metadata_generation", &[], number(metadata.generation));
    let status = object.status.clone().unwrap_or_default();
    let counts = [
        ("kube_deployment_status_replicas", status.replicas),
        ("kube_deployment_status_replicas_ready", status.ready_replicas),
        ("kube_deployment_status_replicas_available", status.available_replicas),
        ("kube_deployment_status_replicas_unavailable", status.unavailable_replicas),
        ("kube_deployment_status_replicas_updated", status.updated_replicas),
    ];
    for (name, count) in counts {
        lines.add(name, &[], count.unwrap_or(0));
    }
    lines.add_some("kube_deployment_status_terminating_replicas", status.terminating_replicas);
    lines.add("kube_deployment_status_observed_generation", &[], number(status.observed_generation));
    for condition in status.conditions.iter().flatten() {
        let reason = text(&condition.reason);
        let reason = if REASONS.contains(&reason) { reason } else { "unknown" };
        let labels = [("reason", reason), ("condition", text(&condition.type_))];
        lines.add_condition("kube_deployment_status_condition", &labels, "status", text(&condition.status));
    }
    let spec = &object.spec;
    lines.add_some("kube_deployment_spec_replicas", spec.replicas);
    lines.add("kube_deployment_spec_paused", &[], spec.paused == Some(true));
    let rolling = spec.strategy.as_ref().and_then(|strategy| strategy.rolling_update.as_ref());
    if let (Some(rolling), Some(replicas)) = (rolling, spec.replicas) {
        let prefix = "kube_deployment_spec_strategy_rollingupdate";
        let unavailable =
            rolling.max_unavailable.as_ref().and_then(|value| scaled(value, replicas, f64::floor));
        lines.add_some(&format!("{prefix}_max_unavailable"), unavailable);
        let surge = rolling.max_surge.as_ref().and_then(|value| scaled(value, replicas, f64::ceil));
        lines.add_some(&format!("{prefix}_max_surge"), surge);
    }
    lines
}

/// A number, or a percentage of the replicas.
fn scaled(value: &IntOrString, replicas: i32, round: fn(f64) -> f64) -> Option<f64> {
    match value {
        IntOrString::Int(number) => Some(f64::from(*number)),
        IntOrString::String(text) => {
            let percent: f64 = text.strip_suffix('%')?.parse().ok()?;
            Some(round(percent * f64::from(replicas) / 100.0))
        }
    }
}

/// The lines of a ReplicaSet.
pub fn replica_set(object: &ReplicaSet) -> Lines {
    let metadata = &object.metadata;
    let mut lines = Lines::new(&REPLICA_SETS, identity("replicaset", metadata));
    lines.add_time("kube_replicaset_created", &[], metadata.creation_timestamp.as_ref());
    lines.add("kube_replicaset_metadata_generation", &[], number(metadata.generation));
    lines.add_owners("kube_replicaset_owner", metadata, true);
    let status = object.status.clone().unwrap_or_default();
    lines.add("kube_replicaset_status_replicas", &[], status.replicas);
    let fully = status.fully_labeled_replicas.unwrap_or(0);
    lines.add("kube_replicaset_status_fully_labeled_replicas", &[], fully);
    lines.add("kube_replicaset_status_ready_replicas", &[], status.ready_replicas.unwrap_or(0));
    lines.add_some("kube_replicaset_status_terminating_replicas", status.terminating_replicas);
    lines.add("kube_replicaset_status_observed_generation", &[], number(status.observed_generation));
    lines.add_some("kube_replicaset_spec_replicas", object.spec.replicas);
    lines
}
