//! The series of containers. Init containers have the same under other names.

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

use super::family::{Lines, amount, resource, text};

/// Adds the lines of a pod's containers.
pub fn describe(pod: &Pod, lines: &mut Lines) {
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let node = spec.and_then(|spec| spec.node_name.as_deref()).unwrap_or_default();
    let mut all = |prefix: &str, containers: &[Container], statuses: &[ContainerStatus]| {
        for container in containers {
            resources(prefix, container, node, lines);
            if let Some(status) = statuses.iter().find(|status| status.name == container.name) {
                info(prefix, container, status, lines);
            }
        }
        for status in statuses {
            state(prefix, status, lines);
        }
    };
    let init = status.and_then(|status| status.init_container_statuses.as_deref()).unwrap_or_default();
    all("kube_pod_init_container", spec.and_then(|s| s.init_containers.as_deref()).unwrap_or_default(), init);
    let main = status.and_then(|status| status.container_statuses.as_deref()).unwrap_or_default();
    all("kube_pod_container", spec.map_or(&[], |spec| &spec.containers), main);
}

fn resources(prefix: &str, container: &Container, node: &str, lines: &mut Lines) {
    let Some(resources) = &container.resources else { return };
    for (which, list) in [("limits", &resources.limits), ("requests", &resources.requests)] {
        for (name, quantity) in list.iter().flatten() {
            if let (Some((name, unit)), Some(value)) = (resource(name), amount(quantity)) {
                let labels = [
                    ("container", container.name.as_str()),
                    ("node", node),
                    ("resource", &name),
                    ("unit", unit),
                ];
                lines.add(&format!("{prefix}_resource_{which}"), &labels, value);
            }
        }
    }
}

fn info(prefix: &str, container: &Container, status: &ContainerStatus, lines: &mut Lines) {
    let mut labels = vec![
        ("container", status.name.as_str()),
        ("image_spec", text(&container.image)),
        ("image", &status.image),
        ("image_id", &status.image_id),
        ("container_id", text(&status.container_id)),
    ];
    if prefix.contains("init") {
        labels.push(("restart_policy", text(&container.restart_policy)));
    }
    lines.add(&format!("{prefix}_info"), &labels, 1);
}

fn state(prefix: &str, status: &ContainerStatus, lines: &mut Lines) {
    let own = [("container", status.name.as_str())];
    let mut flag = |name: &str, value: bool| {
        lines.add(&format!("{prefix}_status_{name}"), &own, value);
    };
    let state = status.state.clone().unwrap_or_default();
    flag("ready", status.ready);
    flag("waiting", state.waiting.is_some());
    flag("running", state.running.is_some());
    flag("terminated", state.terminated.is_some());
    lines.add(&format!("{prefix}_status_restarts_total"), &own, status.restart_count);
    let mut reason = |name: &str, reason: &str| {
        let labels = [("container", status.name.as_str()), ("reason", reason)];
        lines.add(&format!("{prefix}_status_{name}"), &labels, 1);
    };
    if let Some(waiting) = &state.waiting {
        reason("waiting_reason", text(&waiting.reason));
    }
    if let Some(terminated) = &state.terminated {
        reason("terminated_reason", text(&terminated.reason));
    }
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    if let Some(last) = last {
        reason("last_terminated_reason", text(&last.reason));
        lines.add(&format!("{prefix}_status_last_terminated_exitcode"), &own, last.exit_code);
        let name = format!("{prefix}_status_last_terminated_timestamp");
        lines.add_time(&name, &own, last.finished_at.as_ref());
    }
    let started = state.running.as_ref().and_then(|running| running.started_at.as_ref());
    let started = started.or_else(|| state.terminated.as_ref()?.started_at.as_ref());
    lines.add_time(&format!("{prefix}_state_started"), &own, started);
}
