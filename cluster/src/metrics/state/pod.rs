//! The series of pods.

use k8s_openapi::api::core::v1::{Pod, PodCondition};

use super::{
    container,
    family::{Family, Lines, counter, gauge, identity, seconds, text},
};

/// What is told about pods.
pub static FAMILIES: [Family; 46] = [
    gauge("kube_pod_completion_time", "Completion time in unix timestamp for a pod."),
    gauge("kube_pod_container_info", "Information about a container in a pod."),
    gauge("kube_pod_container_resource_limits", "The number of requested limit resource by a container."),
    gauge("kube_pod_container_resource_requests", "The number of requested request resource by a container."),
    gauge("kube_pod_container_state_started", "Start time in unix timestamp for a pod container."),
    gauge(
        "kube_pod_container_status_last_terminated_reason",
        "Describes the last reason the container was in terminated state.",
    ),
    gauge(
        "kube_pod_container_status_last_terminated_exitcode",
        "Describes the exit code for the last container in terminated state.",
    ),
    gauge(
        "kube_pod_container_status_last_terminated_timestamp",
        "Last terminated time for a pod container in unix timestamp.",
    ),
    gauge("kube_pod_container_status_ready", "Describes whether the containers readiness check succeeded."),
    counter("kube_pod_container_status_restarts_total", "The number of container restarts per container."),
    gauge(
        "kube_pod_container_status_running",
        "Describes whether the container is currently in running state.",
    ),
    gauge(
        "kube_pod_container_status_terminated",
        "Describes whether the container is currently in terminated state.",
    ),
    gauge(
        "kube_pod_container_status_terminated_reason",
        "Describes the reason the container is currently in terminated state.",
    ),
    gauge(
        "kube_pod_container_status_waiting",
        "Describes whether the container is currently in waiting state.",
    ),
    gauge(
        "kube_pod_container_status_waiting_reason",
        "Describes the reason the container is currently in waiting state.",
    ),
    gauge("kube_pod_created", "Unix creation timestamp"),
    gauge("kube_pod_deletion_timestamp", "Unix deletion timestamp"),
    gauge("kube_pod_info", "Information about pod."),
    gauge("kube_pod_init_container_info", "Information about an init container in a pod."),
    gauge(
        "kube_pod_init_container_resource_limits",
        "The number of requested limit resource by an init container.",
    ),
    gauge(
        "kube_pod_init_container_resource_requests",
        "The number of requested request resource by an init container.",
    ),
    gauge("kube_pod_init_container_state_started", "Start time in unix timestamp for a pod init container."),
    gauge(
        "kube_pod_init_container_status_last_terminated_reason",
        "Describes the last reason the init container was in terminated state.",
    ),
    gauge(
        "kube_pod_init_container_status_last_terminated_exitcode",
        "Describes the exit code for the last init container in terminated state.",
    ),
    gauge(
        "kube_pod_init_container_status_last_terminated_timestamp",
        "Last terminated time for a pod init container in unix timestamp.",
    ),
    gauge(
        "kube_pod_init_container_status_ready",
        "Describes whether the init containers readiness check succeeded.",
    ),
    counter(
        "kube_pod_init_container_status_restarts_total",
        "The number of restarts for the init container.",
    ),
    gauge(
        "kube_pod_init_container_status_running",
        "Describes whether the init container is currently in running state.",
    ),
    gauge(
        "kube_pod_init_container_status_terminated",
        "Describes whether the init container is currently in terminated state.",
    ),
    gauge(
        "kube_pod_init_container_status_terminated_reason",
        "Describes the reason the init container is currently in terminated state.",
    ),
    gauge(
        "kube_pod_init_container_status_waiting",
        "Describes whether the init container is currently in waiting state.",
    ),
    gauge(
        "kube_pod_init_container_status_waiting_reason",
        "Describes the reason the init container is currently in waiting state.",
    ),
    gauge("kube_pod_owner", "Information about the Pod's owner."),
    gauge("kube_pod_restart_policy", "Describes the restart policy in use by this pod."),
    gauge(
        "kube_pod_spec_volumes_persistentvolumeclaims_info",
        "Information about persistentvolumeclaim and ephemeral volumes in a pod.",
    ),
    gauge("kube_pod_start_time", "Start time in unix timestamp for a pod."),
    gauge("kube_pod_status_phase", "The pods current phase."),
    gauge("kube_pod_status_qos_class", "The pods current qosClass."),
    gauge("kube_pod_status_ready", "Describes whether the pod is ready to serve requests."),
    gauge("kube_pod_status_ready_time", "Readiness achieved time in unix timestamp for a pod."),
    gauge("kube_pod_status_initialized_time", "Initialized time in unix timestamp for a pod."),
    gauge(
        "kube_pod_status_container_ready_time",
        "Readiness achieved time in unix timestamp for a pod containers.",
    ),
    gauge("kube_pod_status_reason", "The pod status reasons"),
    gauge("kube_pod_status_scheduled", "Describes the status of the scheduling process for the pod."),
    gauge("kube_pod_status_scheduled_time", "Unix timestamp when pod moved into scheduled status"),
    gauge("kube_pod_status_unschedulable", "Describes the unschedulable status for the pod."),
];

/// Reasons that are told by their name.
const REASONS: [&str; 8] = [
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "PreemptionByScheduler",
    "SchedulingGated",
    "Shutdown",
    "TerminationByKubelet",
    "UnexpectedAdmissionError",
];

/// The lines of a pod.
pub fn describe(pod: &Pod) -> Lines {
    let mut identity = identity("pod", &pod.metadata);
    identity.push(("uid", text(&pod.metadata.uid).to_owned()));
    let mut lines = Lines::new(&FAMILIES, identity);
    metadata_and_spec(pod, &mut lines);
    status(pod, &mut lines);
    container::describe(pod, &mut lines);
    lines
}

fn metadata_and_spec(pod: &Pod, lines: &mut Lines) {
    let metadata = &pod.metadata;
    lines.add_time("kube_pod_created", &[], metadata.creation_timestamp.as_ref());
    lines.add_time("kube_pod_deletion_timestamp", &[], metadata.deletion_timestamp.as_ref());
    lines.add_owners("kube_pod_owner", metadata, true);
    let Some(spec) = &pod.spec else { return };
    let owners = metadata.owner_references.iter().flatten();
    let (created_by_kind, created_by_name) = owners
        .filter(|owner| owner.controller == Some(true))
        .map(|owner| (owner.kind.as_str(), owner.name.as_str()))
        .next()
        .unwrap_or_default();
    let status = pod.status.as_ref();
    let labels = [
        ("host_ip", status.map_or("", |status| text(&status.host_ip))),
        ("pod_ip", status.map_or("", |status| text(&status.pod_ip))),
        ("node", text(&spec.node_name)),
        ("created_by_kind", created_by_kind),
        ("created_by_name", created_by_name),
        ("priority_class", text(&spec.priority_class_name)),
        ("host_network", if spec.host_network == Some(true) { "true" } else { "false" }),
    ];
    lines.add("kube_pod_info", &labels, 1);
    lines.add("kube_pod_restart_policy", &[("type", text(&spec.restart_policy))], 1);
    for volume in spec.volumes.iter().flatten() {
        if let Some(claim) = &volume.persistent_volume_claim {
            let labels = [
                ("volume", volume.name.as_str()),
                ("persistentvolumeclaim", &claim.claim_name),
                ("ephemeral", "false"),
            ];
            lines.add("kube_pod_spec_volumes_persistentvolumeclaims_info", &labels, 1);
        }
    }
}

fn status(pod: &Pod, lines: &mut Lines) {
    let Some(status) = &pod.status else { return };
    lines.add_time("kube_pod_start_time", &[], status.start_time.as_ref());
    if let Some(phase) = &status.phase {
        let phases = ["Pending", "Succeeded", "Failed", "Unknown", "Running"];
        lines.add_states("kube_pod_status_phase", "phase", &phases, phase);
    }
    if let Some(class) = &status.qos_class {
        let classes = ["BestEffort", "Burstable", "Guaranteed"];
        lines.add_states("kube_pod_status_qos_class", "qos_class", &classes, class);
    }
    for condition in status.conditions.iter().flatten() {
        self::condition(condition, lines);
    }
    let ends = status.container_statuses.iter().flatten();
    let ends = ends.filter_map(|status| status.state.as_ref()?.terminated.as_ref());
    let last = ends.clone().filter_map(|end| end.finished_at.as_ref()).map(seconds).fold(0.0, f64::max);
    if last > 0.0 {
        lines.add("kube_pod_completion_time", &[], last);
    }
    let ended_for = |reason: &str| ends.clone().any(|end| end.reason.as_deref() == Some(reason));
    let conditioned =
        |reason: &str| status.conditions.iter().flatten().any(|c| c.reason.as_deref() == Some(reason));
    for reason in REASONS {
        if status.reason.as_deref() == Some(reason) || conditioned(reason) || ended_for(reason) {
            lines.add("kube_pod_status_reason", &[("reason", reason)], 1);
        }
    }
    if status.reason.as_deref().is_some_and(|reason| !reason.is_empty() && !REASONS.contains(&reason)) {
        lines.add("kube_pod_status_reason", &[("reason", "Other")], 1);
    }
}

fn condition(condition: &PodCondition, lines: &mut Lines) {
    let (holds, since) = (condition.status == "True", condition.last_transition_time.as_ref());
    let mut reached = |name: &str| {
        if holds {
            lines.add_time(name, &[], since);
        }
    };
    match condition.type_.as_str() {
        "Ready" => {
            reached("kube_pod_status_ready_time");
            lines.add_condition("kube_pod_status_ready", &[], "condition", &condition.status);
        }
        "Initialized" => reached("kube_pod_status_initialized_time"),
        "ContainersReady" => reached("kube_pod_status_container_ready_time"),
        "PodScheduled" => {
            reached("kube_pod_status_scheduled_time");
            lines.add_condition("kube_pod_status_scheduled", &[], "condition", &condition.status);
            if condition.status == "False" {
                lines.add("kube_pod_status_unschedulable", &[], 1);
            }
        }
        _ => {}
    }
}
