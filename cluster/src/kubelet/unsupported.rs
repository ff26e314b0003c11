//! Fields of a pod that a real cluster honours and this one does not.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::cgroup::Unavailable;

/// Their names, for one warning per pod.
pub fn fields(pod: &Pod) -> Vec<String> {
    let Some(spec) = &pod.spec else { return Vec::new() };
    let mut found = Vec::new();
    let mut check = |present: bool, name: &str| {
        if present {
            found.push(format!("spec.{name}"));
        }
    };
    check(spec.host_pid == Some(true), "hostPID");
    check(spec.host_ipc == Some(true), "hostIPC");
    check(spec.share_process_namespace == Some(true), "shareProcessNamespace");
    check(spec.dns_config.is_some(), "dnsConfig");
    check(spec.host_aliases.as_ref().is_some_and(|aliases| !aliases.is_empty()), "hostAliases");
    check(spec.runtime_class_name.is_some(), "runtimeClassName");
    check(spec.ephemeral_containers.as_ref().is_some_and(|list| !list.is_empty()), "ephemeralContainers");
    if let Some(affinity) = &spec.affinity {
        check(affinity.pod_affinity.is_some(), "affinity.podAffinity");
        check(affinity.pod_anti_affinity.is_some(), "affinity.podAntiAffinity");
    }
    check(
        spec.topology_spread_constraints.as_ref().is_some_and(|constraints| !constraints.is_empty()),
        "topologySpreadConstraints",
    );
    if let Some(context) = &spec.security_context {
        check(context.supplemental_groups.is_some(), "securityContext.supplementalGroups");
        check(context.sysctls.is_some(), "securityContext.sysctls");
    }
    for container in spec.init_containers.iter().flatten().chain(&spec.containers) {
        let prefix = format!("spec.containers[{}]", container.name);
        found.extend(container_fields(container).into_iter().map(|field| format!("{prefix}.{field}")));
    }
    found
}

fn container_fields(container: &Container) -> Vec<&'static str> {
    let mut found = Vec::new();
    let mut check = |present: bool, name: &'static str| {
        if present {
            found.push(name);
        }
    };
    check(container.stdin == Some(true), "stdin");
    check(container.tty == Some(true), "tty");
    check(container.volume_devices.as_ref().is_some_and(|devices| !devices.is_empty()), "volumeDevices");
    check(container.ports.iter().flatten().any(|port| port.host_port.is_some()), "ports.hostPort");
    let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
    let limited = |name: &str| limits.is_some_and(|limits| limits.contains_key(name));
    check(limited("ephemeral-storage"), "resources.limits.ephemeral-storage");
    if let Some(context) = &container.security_context {
        check(context.privileged == Some(true), "securityContext.privileged");
        check(
            context.capabilities.as_ref().is_some_and(|c| c.add.as_ref().is_some_and(|add| !add.is_empty())),
            "securityContext.capabilities.add",
        );
    }
    let probes = [&container.startup_probe, &container.liveness_probe, &container.readiness_probe];
    for probe in probes.into_iter().flatten() {
        check(probe.grpc.is_some(), "probe.grpc (the probe fails)");
    }
    found
}

/// Limits of the pod that have no effect, with the reason, for one event per pod.
pub fn limits(pod: &Pod, unavailable: &Unavailable) -> Option<String> {
    let spec = pod.spec.as_ref()?;
    let all: Vec<&Container> = spec.init_containers.iter().flatten().chain(&spec.containers).collect();
    let about = |name: &str, why: &Option<String>| {
        let limited = |container: &&&Container| {
            let limits = container.resources.as_ref().and_then(|resources| resources.limits.as_ref());
            limits.is_some_and(|limits| limits.contains_key(name))
        };
        let names: Vec<&str> = all.iter().filter(limited).map(|container| container.name.as_str()).collect();
        let why = why.as_ref().filter(|_| !names.is_empty())?;
        Some(format!("resources.limits.{name} of containers {} not enforced: {why}", names.join(", ")))
    };
    let found: Vec<String> = [about("cpu", &unavailable.cpu), about("memory", &unavailable.memory)]
        .into_iter()
        .flatten()
        .collect();
    (!found.is_empty()).then(|| found.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_named() {
        let pod = |spec: serde_json::Value| serde_json::from_value::<Pod>(json!({"spec": spec})).unwrap();
        let plain = json!({"containers": [{"name": "main", "resources": {"requests": {"cpu": "1"}}}]});
        assert_eq!(fields(&pod(plain)), Vec::<String>::new());
        let loaded = json!({
            "hostPID": true,
            "containers": [{"name": "main", "tty": true, "resources": {"limits": {"memory": "1Mi", "ephemeral-storage": "1Mi"}}}],
        });
        let expected = [
            "spec.hostPID",
            "spec.containers[main].tty",
            "spec.containers[main].resources.limits.ephemeral-storage",
        ];
        assert_eq!(fields(&pod(loaded)), expected);
    }

    #[test]
    fn limits_that_cannot_be_enforced_are_named_with_the_reason() {
        let pod: Pod = serde_json::from_value(json!({"spec": {"containers": [
            {"name": "a", "resources": {"limits": {"cpu": "1", "memory": "1Mi"}}},
            {"name": "b", "resources": {"limits": {"cpu": "1"}}},
        ]}}))
        .unwrap();
        assert_eq!(limits(&pod, &Unavailable::default()), None);
        let unavailable = Unavailable { cpu: Some("no cpu controller".to_owned()), memory: None };
        assert_eq!(
            limits(&pod, &unavailable).unwrap(),
            "resources.limits.cpu of containers a, b not enforced: no cpu controller"
        );
    }
}
