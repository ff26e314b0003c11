//! A pod for people, as `kubectl describe pod` writes it.

use std::{fmt::Write as _, time::Duration};

use harness_event::{Millis, Timestamp};
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStatus, EnvVar, Event, Pod, PodSpec, PodStatus, Probe,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::{Api, Client, ResourceExt, api::ListParams};

use super::{
    cluster_events::cluster_event,
    pod::{observed_pod, owner},
    pod_log::said,
    redact::{plain, redact, redact_lines, redact_named, redact_words},
};

/// Time limit of each answer.
const LIMIT: Duration = Duration::from_secs(5);
/// An annotation that repeats the whole object, as it was applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Everything that Kubernetes says about a pod. No value of a Secret is asked for: where one is used, its name is shown.
///
/// # Errors
/// For people: if there is no such pod, or no answer.
pub async fn describe_pod(client: &Client, namespace: &str, name: &str) -> Result<String, String> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let pod = match tokio::time::timeout(LIMIT, pods.get(name)).await {
        Ok(Ok(pod)) => pod,
        Ok(Err(error)) => return Err(said(&error)),
        Err(_) => return Err(format!("no answer within {} s", LIMIT.as_secs())),
    };
    let events: Api<Event> = Api::namespaced(client.clone(), namespace);
    let of_pod = ListParams::default().fields(&format!("involvedObject.kind=Pod,involvedObject.name={name}"));
    let events = match tokio::time::timeout(LIMIT, events.list(&of_pod)).await {
        // A pod of the same name that was there before has another UID.
        Ok(Ok(list)) => Ok(list
            .items
            .into_iter()
            .filter(|event| event.involved_object.uid.is_none() || event.involved_object.uid == pod.uid())
            .collect()),
        Ok(Err(error)) => Err(said(&error)),
        Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs())),
    };
    Ok(text(&pod, events, Timestamp::now()))
}

fn text(pod: &Pod, events: Result<Vec<Event>, String>, now: Timestamp) -> String {
    let mut page = Page::default();
    metadata(&mut page, pod, now);
    let (spec, status) = (pod.spec.clone().unwrap_or_default(), pod.status.clone().unwrap_or_default());
    containers(
        &mut page,
        "Init Containers",
        spec.init_containers.as_deref(),
        status.init_container_statuses.as_deref(),
        now,
    );
    containers(&mut page, "Containers", Some(&spec.containers), status.container_statuses.as_deref(), now);
    conditions(&mut page, &status);
    volumes(&mut page, &spec);
    let seen = match events {
        Ok(events) => events,
        Err(error) => {
            page.field(0, "Events", format_args!("could not be read: {error}"));
            return page.0;
        }
    };
    if seen.is_empty() {
        page.field(0, "Events", "<none>");
        return page.0;
    }
    page.line(0, "Events:");
    let mut seen: Vec<_> = seen.iter().map(cluster_event).collect();
    seen.sort_by_key(|event| event.seen_at);
    for event in seen {
        let times = if event.count > 1 { format!(" (x{})", event.count) } else { String::new() };
        let ago = age(now - event.seen_at);
        page.line(1, format_args!("{} {} {ago} ago{times}: {}", event.severity, event.reason, event.message));
    }
    page.0
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, depth: usize, text: impl std::fmt::Display) {
        // Writing to a String does not fail.
        let text = text.to_string();
        let _ = writeln!(self.0, "{:width$}{}", "", plain(&text), width = depth * 2);
    }

    fn field(&mut self, depth: usize, name: &str, value: impl std::fmt::Display) {
        let name = format!("{name}:");
        self.line(depth, format_args!("{name:<16} {value}"));
    }

    /// A list under a name; nothing if it is empty.
    fn list(&mut self, depth: usize, name: &str, items: impl IntoIterator<Item = String>) {
        for (place, item) in items.into_iter().enumerate() {
            let name = if place == 0 { format!("{name}:") } else { String::new() };
            self.line(depth, format_args!("{name:<16} {item}"));
        }
    }
}

fn metadata(page: &mut Page, pod: &Pod, now: Timestamp) {
    let seen = observed_pod(pod);
    let spec = pod.spec.as_ref();
    let status = pod.status.as_ref();
    page.field(0, "Name", &seen.pod);
    page.field(0, "Namespace", &seen.namespace);
    page.field(0, "Node", seen.node.as_deref().unwrap_or("<none>"));
    if let Some(class) = spec.and_then(|spec| spec.priority_class_name.as_deref()) {
        page.field(0, "Priority Class", class);
    }
    if let Some(account) = spec.and_then(|spec| spec.service_account_name.as_deref()) {
        page.field(0, "Service Account", account);
    }
    if let Some(created) = seen.created_at {
        page.field(0, "Created", format_args!("{created} ({} ago)", age(now - created)));
    }
    let pairs = |map: Option<&std::collections::BTreeMap<String, String>>| {
        let all = map.into_iter().flatten().filter(|(name, _)| *name != LAST_APPLIED);
        all.map(|(name, value)| redact_named(name, value)).collect::<Vec<_>>()
    };
    page.list(0, "Labels", pairs(pod.metadata.labels.as_ref()));
    page.list(0, "Annotations", pairs(pod.metadata.annotations.as_ref()));
    page.field(0, "Status", &seen.status);
    if let Some(at) = &pod.metadata.deletion_timestamp {
        let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or(0);
        page.field(0, "Terminating", format_args!("until {} (grace period {grace} s)", at.0));
    }
    if let Some(message) = &seen.message {
        page.field(0, "Message", redact(message));
    }
    page.field(0, "Restarts", seen.restarts);
    let ip = status.and_then(|status| status.pod_ip.as_deref()).filter(|ip| !ip.is_empty());
    page.field(0, "IP", ip.unwrap_or("<none>"));
    if let Some(host) = status.and_then(|status| status.host_ip.as_deref()) {
        page.field(0, "Host IP", host);
    }
    page.field(0, "Controlled By", owner(pod).as_deref().unwrap_or("<none>"));
    if let Some(class) = status.and_then(|status| status.qos_class.as_deref()) {
        page.field(0, "QoS Class", class);
    }
}

fn containers(
    page: &mut Page,
    title: &str,
    containers: Option<&[Container]>,
    statuses: Option<&[ContainerStatus]>,
    now: Timestamp,
) {
    let Some(containers) = containers.filter(|containers| !containers.is_empty()) else { return };
    page.line(0, format_args!("{title}:"));
    for one in containers {
        page.line(1, format_args!("{}:", one.name));
        let status = statuses.unwrap_or_default().iter().find(|status| status.name == one.name);
        page.field(2, "Image", one.image.as_deref().unwrap_or("<none>"));
        let ports = one.ports.iter().flatten().map(|port| {
            let name = port.name.as_deref().map_or_else(String::new, |name| format!(" ({name})"));
            format!("{}/{}{name}", port.container_port, port.protocol.as_deref().unwrap_or("TCP"))
        });
        page.list(2, "Ports", ports);
        let words = |words: &Option<Vec<String>>| redact_words(words.as_deref().unwrap_or_default());
        for (name, text) in [("Command", words(&one.command)), ("Args", words(&one.args))] {
            if !text.is_empty() {
                page.field(2, name, text);
            }
        }
        if let Some(status) = status {
            state(page, "State", status.state.as_ref(), now);
            let last = status.last_state.as_ref().filter(|last| last.terminated.is_some());
            if last.is_some() {
                state(page, "Last State", last, now);
            }
            page.field(2, "Ready", status.ready);
            page.field(2, "Restart Count", status.restart_count);
        }
        let resources = one.resources.clone().unwrap_or_default();
        for (name, amounts) in [("Limits", resources.limits), ("Requests", resources.requests)] {
            let amounts: Vec<_> =
                amounts.into_iter().flatten().map(|(name, amount)| format!("{name}={}", amount.0)).collect();
            if !amounts.is_empty() {
                page.field(2, name, amounts.join(", "));
            }
        }
        let probes = [
            ("Liveness", &one.liveness_probe),
            ("Readiness", &one.readiness_probe),
            ("Startup", &one.startup_probe),
        ];
        for (name, probe) in probes {
            if let Some(probe) = probe {
                page.field(2, name, described_probe(probe));
            }
        }
        let from = one.env_from.iter().flatten().filter_map(|from| {
            let config = from.config_map_ref.as_ref().map(|one| format!("all of ConfigMap {}", one.name));
            config.or_else(|| Some(format!("all of Secret {}", from.secret_ref.as_ref()?.name)))
        });
        page.list(2, "Environment", from.chain(one.env.iter().flatten().map(variable)).collect::<Vec<_>>());
        let mounts = one.volume_mounts.iter().flatten().map(|mount| {
            let access = if mount.read_only == Some(true) { "ro" } else { "rw" };
            format!("{} from {} ({access})", mount.mount_path, mount.name)
        });
        page.list(2, "Mounts", mounts.collect::<Vec<_>>());
    }
}

/// A variable: its value where the manifest has it (without what looks like a secret), else where it comes from.
fn variable(variable: &EnvVar) -> String {
    let name = &variable.name;
    let Some(from) = &variable.value_from else {
        return redact_named(name, variable.value.as_deref().unwrap_or(""));
    };
    if let Some(secret) = &from.secret_key_ref {
        return format!("{name}=<key {} of Secret {}>", secret.key, secret.name);
    }
    if let Some(config) = &from.config_map_key_ref {
        return format!("{name}=<key {} of ConfigMap {}>", config.key, config.name);
    }
    if let Some(field) = &from.field_ref {
        return format!("{name}=<{}>", field.field_path);
    }
    match &from.resource_field_ref {
        Some(resource) => format!("{name}=<{}>", resource.resource),
        None => format!("{name}=<another source>"),
    }
}

fn state(page: &mut Page, name: &str, state: Option<&ContainerState>, now: Timestamp) {
    let ago = |at: &Option<Time>| {
        let at = at.as_ref().map(|at| age(now - Timestamp(at.0.as_millisecond())));
        at.map_or_else(String::new, |age| format!(", {age} ago"))
    };
    let Some(state) = state else { return page.field(2, name, "Unknown") };
    if let Some(running) = &state.running {
        let since = running.started_at.as_ref().map(|at| age(now - Timestamp(at.0.as_millisecond())));
        let since = since.map_or_else(String::new, |since| format!(" for {since}"));
        page.field(2, name, format_args!("Running{since}"));
    } else if let Some(ended) = &state.terminated {
        let signal = ended.signal.filter(|signal| *signal != 0);
        let how = signal.map_or_else(
            || format!("exit code {}", ended.exit_code),
            |signal| format!("killed by signal {signal}"),
        );
        let reason = ended.reason.as_deref().unwrap_or("Terminated");
        page.field(2, name, format_args!("{reason}: {how}{}", ago(&ended.finished_at)));
        if let Some(message) = ended.message.as_deref().filter(|message| !message.trim().is_empty()) {
            page.list(3, "Message", redact_lines(message).lines().map(str::to_owned).collect::<Vec<_>>());
        }
    } else if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().unwrap_or("Waiting");
        let message =
            waiting.message.as_deref().map_or_else(String::new, |text| format!(": {}", redact_lines(text)));
        page.field(2, name, format_args!("{reason}{message}"));
    } else {
        page.field(2, name, "Waiting");
    }
}

fn described_probe(probe: &Probe) -> String {
    let port = |port: &IntOrString| match port {
        IntOrString::Int(number) => number.to_string(),
        IntOrString::String(name) => name.clone(),
    };
    let what = if let Some(get) = &probe.http_get {
        let scheme = get.scheme.as_deref().unwrap_or("HTTP").to_lowercase();
        let host = get.host.as_deref().unwrap_or("");
        redact(&format!("{scheme}-get {host}:{}{}", port(&get.port), get.path.as_deref().unwrap_or("/")))
    } else if let Some(socket) = &probe.tcp_socket {
        format!("tcp-socket :{}", port(&socket.port))
    } else if let Some(exec) = &probe.exec {
        format!("exec {}", redact_words(exec.command.as_deref().unwrap_or_default()))
    } else if let Some(grpc) = &probe.grpc {
        format!("grpc :{}", grpc.port)
    } else {
        "unknown".to_owned()
    };
    format!(
        "{what} delay={}s timeout={}s period={}s #success={} #failure={}",
        probe.initial_delay_seconds.unwrap_or(0),
        probe.timeout_seconds.unwrap_or(1),
        probe.period_seconds.unwrap_or(10),
        probe.success_threshold.unwrap_or(1),
        probe.failure_threshold.unwrap_or(3),
    )
}

fn conditions(page: &mut Page, status: &PodStatus) {
    let conditions = status.conditions.iter().flatten().map(|condition| {
        let reason = condition.reason.as_deref().filter(|reason| !reason.is_empty());
        let message = condition.message.as_deref().filter(|message| !message.is_empty());
        let why: Vec<&str> = reason.into_iter().chain(message).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join(": ")) };
        format!("{}={}{why}", condition.type_, condition.status)
    });
    page.list(0, "Conditions", conditions.collect::<Vec<_>>());
}

fn volumes(page: &mut Page, spec: &PodSpec) {
    let volumes = spec.volumes.iter().flatten().map(|volume| {
        let source = if let Some(config) = &volume.config_map {
            format!("ConfigMap {}", config.name)
        } else if let Some(secret) = &volume.secret {
            format!("Secret {}", secret.secret_name.as_deref().unwrap_or("<none>"))
        } else if let Some(claim) = &volume.persistent_volume_claim {
            format!("PersistentVolumeClaim {}", claim.claim_name)
        } else if volume.empty_dir.is_some() {
            "EmptyDir".to_owned()
        } else if let Some(path) = &volume.host_path {
            format!("HostPath {}", path.path)
        } else if volume.projected.is_some() {
            "Projected".to_owned()
        } else {
            "another kind".to_owned()
        };
        format!("{}: {source}", volume.name)
    });
    page.list(0, "Volumes", volumes.collect::<Vec<_>>());
}

/// `12s`, `3m`, `5h12m`, `4d`: as kubectl writes ages.
fn age(length: Millis) -> String {
    let seconds = (length.0 / 1000).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::serde_json::{from_value, json};

    fn pod() -> Pod {
        let object = json!({
            "metadata": {
                "name": "web-7d4f-x", "namespace": "shop", "creationTimestamp": "2026-11-21T10:00:00Z", "uid": "1",
                "labels": { "app": "web", "pod-template-hash": "7d4f" },
                "annotations": { LAST_APPLIED: "{\"password\": \"s3cr3t\"}", "note": "token=s3cr3t" },
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4f", "uid": "2", "controller": true }],
            },
            "spec": {
                "nodeName": "node-1", "serviceAccountName": "web",
                "containers": [{
                    "name": "web", "image": "shop/web:1.2",
                    "command": ["web", "--db-password", "s3cr3t"],
                    "ports": [{ "name": "http", "containerPort": 8080 }],
                    "env": [
                        { "name": "DB_PASSWORD", "value": "s3cr3t" },
                        { "name": "LEVEL", "value": "info" },
                        { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "web", "key": "token" } } },
                        { "name": "POD_IP", "valueFrom": { "fieldRef": { "fieldPath": "status.podIP" } } },
                    ],
                    "envFrom": [{ "secretRef": { "name": "more" } }],
                    "resources": { "limits": { "memory": "64Mi" }, "requests": { "cpu": "10m" } },
                    "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 1 },
                    "volumeMounts": [{ "name": "data", "mountPath": "/data", "readOnly": true }],
                }],
                "volumes": [{ "name": "data", "secret": { "secretName": "certs" } }],
            },
            "status": {
                "phase": "Running", "podIP": "10.0.0.7", "qosClass": "Burstable",
                "conditions": [{ "type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "web is not ready" }],
                "containerStatuses": [{
                    "name": "web", "image": "", "imageID": "", "ready": false, "restartCount": 2,
                    "state": { "running": { "startedAt": "2026-11-21T10:04:00Z" } },
                    "lastState": { "terminated": { "exitCode": 1, "reason": "Error", "finishedAt": "2026-11-21T10:03:50Z",
                                                   "message": "password=s3cr3t was refused" } },
                }],
            },
        });
        from_value(object).unwrap()
    }

    #[test]
    fn a_pod_reads_as_kubectl_describes_it() {
        let event = json!({
            "metadata": { "name": "a" }, "type": "Warning", "reason": "BackOff", "message": "back-off", "count": 3,
            "lastTimestamp": "2026-11-21T10:04:30Z", "involvedObject": { "kind": "Pod", "name": "web-7d4f-x" },
        });
        let now = Timestamp::parse("2026-11-21T10:05:00Z").unwrap();
        insta::assert_snapshot!(text(&pod(), Ok(vec![from_value(event).unwrap()]), now));
    }

    #[test]
    fn no_secret_is_in_it() {
        let text = text(&pod(), Ok(vec![]), Timestamp::parse("2026-11-21T10:05:00Z").unwrap());
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(text.contains("TOKEN=<key token of Secret web>"), "{text}");
    }

    #[test]
    fn no_part_of_a_secret_is_in_it() {
        let mut pod = pod();
        let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIEs3cr3t\n-----END RSA PRIVATE KEY-----";
        let variable = |name: &str, value: &str| EnvVar {
            name: name.into(),
            value: Some(value.into()),
            ..Default::default()
        };
        let spec = pod.spec.as_mut().unwrap();
        spec.containers[0].env = Some(vec![
            variable("DB_PASSWORD", "correct s3cr3t"),
            variable("DB_PASS", "s3cr3t"),
            variable("TLS", key),
            variable("COLOURED", "pass\u{1b}[0mword=s3cr3t"),
        ]);
        spec.containers[0].command = Some(vec!["web".into(), "--password".into(), "correct s3cr3t".into()]);
        let annotations = pod.metadata.annotations.as_mut().unwrap();
        annotations.insert("example.com/password".into(), "correct s3cr3t".into());
        annotations.insert("example.com/key".into(), key.into());
        annotations.insert(
            "example.com/original".into(),
            r#"{"env":[{"name":"DB_PASS","value":"a s3cr3t"}]}"#.into(),
        );
        let text = text(&pod, Ok(vec![]), Timestamp(0));
        assert!(!text.contains("s3cr3t"), "{text}");
        assert!(text.contains("DB_PASSWORD=[redacted]") && text.contains("example.com/original="), "{text}");
    }

    #[test]
    fn events_that_may_not_be_read_do_not_hide_the_rest() {
        let text = text(&pod(), Err("events is forbidden".into()), Timestamp(0));
        assert!(
            text.contains("web-7d4f-x") && text.contains("could not be read: events is forbidden"),
            "{text}"
        );
    }
}
