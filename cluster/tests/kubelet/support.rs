//! An API server and a kubelet in this process, and a watch that notes the states of pods.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use cluster::{
    api::{ApiServer, ApiServerConfig},
    kubelet::{self, Catalog, KubeletConfig},
    metrics::Usage,
    net::Addresses,
};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, ContainerStatus, Event, Namespace, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams},
};
use serde_json::{Value, json};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// Nothing here takes longer, not even on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A node with its own cluster.
pub struct TestNode {
    pub directory: tempfile::TempDir,
    pub client: Client,
    pub usage: Usage,
    shutdown: CancellationToken,
    kubelet: JoinHandle<()>,
    lines: Arc<Lines>,
}

#[derive(Default)]
struct Lines {
    by_pod: Mutex<HashMap<String, Vec<String>>>,
    changed: Notify,
}

pub fn shim() -> Vec<std::ffi::OsString> {
    vec![env!("CARGO_BIN_EXE_cluster").into(), "pod-shim".into()]
}

impl TestNode {
    pub async fn start() -> Self {
        Self::with_catalog(Catalog::builtin()).await
    }

    pub async fn with_catalog(catalog: Catalog) -> Self {
        let directory = tempfile::Builder::new().prefix("sre").tempdir_in("/var/tmp").unwrap();
        let addresses = Addresses::claim(u64::from(std::process::id())).unwrap();
        let shutdown = CancellationToken::new();
        let server = ApiServer::new(ApiServerConfig {
            addresses: addresses.clone(),
            logs: directory.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        let client = Client::new(server.router(), "default");
        ensure_namespaces(&client).await;
        let lines = Arc::new(Lines::default());
        tokio::spawn(note_states(client.clone(), lines.clone()));
        let config = KubeletConfig {
            client: client.clone(),
            addresses,
            node_name: "node-1".to_owned(),
            data_dir: directory.path().to_owned(),
            shim: shim(),
            catalog,
            usage: server.usage().clone(),
            metric_resolution: Duration::from_millis(500),
        };
        let stop = shutdown.clone();
        let kubelet = tokio::spawn(async move { kubelet::run(config, stop).await.unwrap() });
        Self { directory, client, usage: server.usage().clone(), shutdown, kubelet, lines }
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.kubelet).await.expect("the kubelet stops").unwrap();
    }

    pub fn pods(&self) -> Api<Pod> {
        Api::default_namespaced(self.client.clone())
    }

    pub async fn create(&self, name: &str, spec: Value) -> Pod {
        let pod = json!({"metadata": {"name": name}, "spec": spec});
        self.pods().create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap()
    }

    pub async fn config_map(&self, name: &str, data: Value) -> ConfigMap {
        let api: Api<ConfigMap> = Api::default_namespaced(self.client.clone());
        let map = json!({"metadata": {"name": name}, "data": data});
        api.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap()
    }

    pub async fn delete(&self, name: &str) {
        self.pods().delete(name, &DeleteParams::default()).await.unwrap();
    }

    /// Waits until a state of the pod contains the text, and returns that state.
    pub async fn until(&self, pod: &str, text: &str) -> String {
        self.until_count(pod, text, 1).await
    }

    /// Waits until so many different states of the pod contain the text.
    pub async fn until_count(&self, pod: &str, text: &str, count: usize) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let changed = self.lines.changed.notified();
            let states = self.states(pod);
            if let Some(found) = states.iter().filter(|line| line.contains(text)).nth(count - 1) {
                return found.clone();
            }
            if timeout_at(deadline, changed).await.is_err() {
                panic!("pod {pod} never showed {text:?} ({count} times); it showed:\n{}", states.join("\n"));
            }
        }
    }

    /// All states of a pod up to now, in order, repetitions left out.
    pub fn states(&self, pod: &str) -> Vec<String> {
        self.lines.by_pod.lock().unwrap().get(pod).cloned().unwrap_or_default()
    }

    /// Reasons and messages of a pod's events in the order of their creation, with their counts.
    pub async fn events(&self, pod: &str) -> Vec<(String, String, i32)> {
        let api: Api<Event> = Api::default_namespaced(self.client.clone());
        let mut events = api.list(&ListParams::default()).await.unwrap().items;
        events.retain(|event| event.involved_object.name.as_deref() == Some(pod));
        events.sort_by_key(|event| event.name_any());
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        events.iter().map(|e| (text(&e.reason), text(&e.message), e.count.unwrap_or(1))).collect()
    }

    /// Waits until the pod's events are exactly these, by reason and count; events are written beside the status.
    pub async fn assert_events(&self, pod: &str, expected: &[(&str, i32)]) -> Vec<(String, String, i32)> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.events(pod).await;
            let found: Vec<(&str, i32)> =
                events.iter().map(|(reason, _, count)| (reason.as_str(), *count)).collect();
            if found == expected {
                return events;
            }
            assert!(Instant::now() < deadline, "expected {expected:?}, found {events:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until an event with this reason and text was written.
    pub async fn event(&self, pod: &str, reason: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let events = self.events(pod).await;
            if events.iter().any(|(r, message, _)| r == reason && message.contains(text)) {
                return;
            }
            assert!(Instant::now() < deadline, "no event {reason} {text:?} among {events:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until a log of the container contains the text; returns the log without times.
    pub async fn log(&self, pod: &Pod, container: &str, attempt: u32, text: &str) -> String {
        let name = format!("default_{}_{}", pod.name_any(), pod.uid().unwrap());
        let path =
            self.directory.path().join("logs").join(name).join(container).join(format!("{attempt}.log"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = std::fs::read_to_string(&path).unwrap_or_default();
            if log.contains(text) {
                return log
                    .lines()
                    .filter_map(|line| line.splitn(4, ' ').nth(3))
                    .collect::<Vec<_>>()
                    .join("\n");
            }
            assert!(Instant::now() < deadline, "{} has no {text:?}: {log}", path.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until nothing carries the pod's marker any more.
    pub async fn until_no_process(&self, pod: &Pod) {
        let uid = pod.uid().unwrap();
        let deadline = Instant::now() + PATIENCE;
        while !marked(kubelet::POD_MARKER, &uid).is_empty() {
            assert!(Instant::now() < deadline, "processes of {} are left", pod.name_any());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The directory that is `/tmp` in a container.
    pub fn tmp(&self, pod: &Pod, container: &str) -> PathBuf {
        self.directory
            .path()
            .join("pods")
            .join(pod.uid().unwrap())
            .join("containers")
            .join(container)
            .join("tmp")
    }
}

/// Processes whose environment has the variable with this value.
pub fn marked(variable: &str, value: &str) -> Vec<i32> {
    let wanted = format!("{variable}={value}");
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environ.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
    })
    .collect()
}

/// The API server of a whole cluster makes these; a bare one may not.
async fn ensure_namespaces(client: &Client) {
    let api: Api<Namespace> = Api::all(client.clone());
    for name in ["default", "kube-node-lease"] {
        let namespace = serde_json::from_value(json!({"metadata": {"name": name}})).unwrap();
        let _ = api.create(&PostParams::default(), &namespace).await;
    }
}

async fn note_states(client: Client, lines: Arc<Lines>) {
    let api: Api<Pod> = Api::default_namespaced(client);
    let mut events = api.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    while let Ok(Some(event)) = events.try_next().await {
        let (pod, prefix) = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, ""),
            WatchEvent::Deleted(pod) => (pod, "DELETED "),
            _ => continue,
        };
        let line = format!("{prefix}{}", describe(&pod));
        let mut all = lines.by_pod.lock().unwrap();
        let states = all.entry(pod.name_any()).or_default();
        if states.last() != Some(&line) {
            states.push(line);
        }
        drop(all);
        lines.changed.notify_waiters();
    }
}

/// One line per state, in the form of the recordings.
fn describe(pod: &Pod) -> String {
    let status = pod.status.clone().unwrap_or_default();
    let node = pod.spec.as_ref().is_some_and(|spec| spec.node_name.is_some());
    let deleting = if pod.metadata.deletion_timestamp.is_some() { "deleting " } else { "" };
    let conditions: Vec<String> = status
        .conditions
        .iter()
        .flatten()
        .map(|condition| {
            let name = match condition.type_.as_str() {
                "PodReadyToStartContainers" => "RTSC",
                "ContainersReady" => "CReady",
                other => other,
            };
            let sign = if condition.status == "True" { "+" } else { "-" };
            let reason = condition.reason.as_ref().map(|reason| format!("({reason})")).unwrap_or_default();
            format!("{name}{sign}{reason}")
        })
        .collect();
    let containers =
        status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
    let containers: Vec<String> = containers.map(container).collect();
    let phase = status.phase.unwrap_or_default();
    let node = if node { "True" } else { "False" };
    let line = format!(
        "{deleting}phase={phase} node={node} conds={} {}",
        conditions.join(","),
        containers.join(" ")
    );
    line.trim_end().to_owned()
}

fn container(status: &ContainerStatus) -> String {
    let state = status.state.clone().unwrap_or_default();
    let mut text = match (state.waiting, state.running, state.terminated) {
        (Some(waiting), _, _) => format!("waiting:{}", waiting.reason.unwrap_or_default()),
        (_, Some(_), _) => "running".to_owned(),
        (_, _, Some(end)) => format!("terminated:{}({})", end.reason.unwrap_or_default(), end.exit_code),
        _ => "?".to_owned(),
    };
    if let Some(end) = status.last_state.as_ref().and_then(|state| state.terminated.as_ref()) {
        text =
            format!("{text} last=terminated:{}({})", end.reason.clone().unwrap_or_default(), end.exit_code);
    }
    let python = |value: bool| if value { "True" } else { "False" };
    let (ready, started) = (python(status.ready), python(status.started == Some(true)));
    format!("{}[{text} ready={ready} rc={} started={started}]", status.name, status.restart_count)
}

/// Compares with a recording: `golden/<name>.txt`, its comment lines left out.
pub fn assert_golden(name: &str, states: &[String]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubelet/golden").join(format!("{name}.txt"));
    let golden = std::fs::read_to_string(&path).unwrap();
    let golden: Vec<&str> = golden.lines().filter(|line| !line.starts_with('#')).collect();
    let states: Vec<&str> = states.iter().map(String::as_str).collect();
    assert_eq!(
        states,
        golden,
        "{}:\nours:\n{}\nrecorded:\n{}",
        path.display(),
        states.join("\n"),
        golden.join("\n")
    );
}
