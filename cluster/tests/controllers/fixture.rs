//! API server, controllers, a pretended kubelet, and a recorder of what a watch shows.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::Router;
use cluster::{
    api::{ApiServer, ApiServerConfig},
    controllers::hpa::AutoscalerOptions,
    net::Addresses,
};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::{Deployment, ReplicaSet},
        core::v1::{Event, Pod},
    },
    jiff::Timestamp,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// Longest time any condition may take.
pub const SOON: Duration = Duration::from_secs(20);
/// How long a pretended container takes to start or to end: the controllers show the states in between.
const STEP: Duration = Duration::from_millis(150);
/// Namespace of the tests.
pub const NS: &str = "demo";

static SEED: AtomicU64 = AtomicU64::new(1);

/// Lines with the resourceVersion of the state they describe.
type Lines = Arc<Mutex<Vec<(u64, String)>>>;

/// A running control plane without a real kubelet.
pub struct World {
    pub server: ApiServer,
    pub client: Client,
    lines: Lines,
    shutdown: CancellationToken,
    _logs: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl World {
    /// Control plane with the pretended kubelet and a recorder.
    pub async fn start() -> Self {
        let world = Self::without_kubelet().await;
        tokio::spawn(pretend_kubelet(world.client.clone(), world.shutdown.clone()));
        world
    }

    /// Control plane with the pretended kubelet, an autoscaler with the given options, and something in front of the API server
    /// (the metrics APIs of a test).
    pub async fn autoscaled(options: AutoscalerOptions, front: impl FnOnce(Router) -> Router) -> Self {
        let world = Self::build(options, front).await;
        tokio::spawn(pretend_kubelet(world.client.clone(), world.shutdown.clone()));
        world
    }

    /// Control plane in which pods stay as they are created.
    pub async fn without_kubelet() -> Self {
        Self::build(AutoscalerOptions::default(), |router| router).await
    }

    async fn build(options: AutoscalerOptions, front: impl FnOnce(Router) -> Router) -> Self {
        let logs = tempfile::tempdir().unwrap();
        let shutdown = CancellationToken::new();
        let seed = u64::from(std::process::id()) + 31 * SEED.fetch_add(1, Ordering::Relaxed);
        let addresses = Addresses::claim(seed).unwrap();
        let config = ApiServerConfig { addresses, logs: logs.path().to_owned(), shutdown: shutdown.clone() };
        let server = ApiServer::new(config);
        let client = Client::new(front(server.router()), "default");
        let namespaces: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(client.clone());
        let namespace = serde_json::from_value(json!({ "metadata": { "name": NS } })).unwrap();
        namespaces.create(&PostParams::default(), &namespace).await.unwrap();
        tokio::spawn(cluster::controllers::run(client.clone(), options, shutdown.clone()));
        let lines = Lines::default();
        record::<Deployment>(&client, &lines, &shutdown).await;
        record::<ReplicaSet>(&client, &lines, &shutdown).await;
        record::<Event>(&client, &lines, &shutdown).await;
        Self { server, client, lines, shutdown, _logs: logs }
    }

    /// API of one kind in the tests' namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), NS)
    }

    /// Creates an object from JSON.
    pub async fn create<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Serialize,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Merge-patches an object.
    pub async fn patch<K>(&self, name: &str, patch: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap()
    }

    /// All objects of one kind in the tests' namespace.
    pub async fn list<K>(&self) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned,
    {
        self.api().list(&ListParams::default()).await.unwrap().items
    }

    /// Waits until the object fulfils the condition; `None` is an object that does not exist.
    pub async fn until<K>(&self, name: &str, what: &str, condition: impl Fn(Option<&K>) -> bool)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        self.until_of(self.api::<K>(), name, what, condition).await;
    }

    /// Same as [`until`](Self::until) for a cluster-scoped object.
    pub async fn until_cluster<K>(&self, name: &str, what: &str, condition: impl Fn(Option<&K>) -> bool)
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    {
        self.until_of(Api::all(self.client.clone()), name, what, condition).await;
    }

    async fn until_of<K>(&self, api: Api<K>, name: &str, what: &str, condition: impl Fn(Option<&K>) -> bool)
    where
        K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
    {
        let mut states = watcher::watch_object(api, name).boxed();
        let mut last = None;
        let reached = async {
            while let Some(state) = states.try_next().await.unwrap() {
                if condition(state.as_ref()) {
                    return;
                }
                last = state;
            }
        };
        if tokio::time::timeout(SOON, reached).await.is_err() {
            panic!("{name}: not {what} within {SOON:?}; last state {last:#?}\n{}", self.text());
        }
    }

    /// Waits until the objects of one kind fulfil the condition, and returns them.
    pub async fn until_listed<K>(&self, what: &str, condition: impl Fn(&[K]) -> bool) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        // Every event, also the end of an empty list: the change may have come just before the watch.
        let mut changes = watcher(self.api::<K>(), watcher::Config::default()).boxed();
        let mut last = Vec::new();
        let reached = async {
            loop {
                last = self.list::<K>().await;
                if condition(&last) {
                    return;
                }
                changes.try_next().await.unwrap();
            }
        };
        if tokio::time::timeout(SOON, reached).await.is_err() {
            panic!("{} not {what} within {SOON:?}: {last:#?}\n{}", K::plural(&()), self.text());
        }
        last
    }

    /// Waits until the Deployment of that name is complete for its current generation.
    pub async fn rolled_out(&self, name: &str) {
        self.until::<Deployment>(name, "rolled out", |deployment| deployment.is_some_and(is_complete)).await;
    }

    /// Waits until no pod is being deleted any more.
    pub async fn settled(&self) {
        self.until_pods("without terminating ones", |pods| {
            pods.iter().all(|pod| pod.metadata.deletion_timestamp.is_none())
        })
        .await;
    }

    /// Waits until the pods of the namespace fulfil the condition.
    pub async fn until_pods(&self, what: &str, condition: impl Fn(&[Pod]) -> bool) {
        self.until_listed(what, condition).await;
    }

    /// Waits for a recorded line that contains the text.
    pub async fn until_line(&self, text: &str) {
        let reached = async {
            while !self.lines().iter().any(|line| line.contains(text)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        if tokio::time::timeout(SOON, reached).await.is_err() {
            panic!("no line with {text:?}:\n{}", self.text());
        }
    }

    /// Counts the pods that are created from now on.
    pub async fn count_created_pods(&self) -> Created {
        let events = self.api::<Pod>().watch(&kube::api::WatchParams::default(), "0").await.unwrap().boxed();
        Created { events }
    }

    /// What was seen so far, in the order of the writes: each kind has its own watch, and they overtake each other.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.lines.lock().unwrap().clone();
        lines.sort_by_key(|(version, _)| *version);
        lines.into_iter().map(|(_, line)| line).collect()
    }

    fn text(&self) -> String {
        self.lines().join("\n")
    }
}

/// A watch of pods.
pub struct Created {
    events: futures::stream::BoxStream<'static, Result<kube::api::WatchEvent<Pod>, kube::Error>>,
}

impl Created {
    /// Number of pods created up to and including the one of that name.
    pub async fn until(mut self, name: &str) -> usize {
        let count = async {
            let mut count = 0;
            loop {
                if let Some(kube::api::WatchEvent::Added(pod)) = self.events.try_next().await.unwrap() {
                    count += 1;
                    if pod.name_any() == name {
                        return count;
                    }
                }
            }
        };
        tokio::time::timeout(SOON, count).await.unwrap_or_else(|_| panic!("pod {name} was not seen"))
    }
}

/// True when nothing of an old template is left and all replicas are available.
pub fn is_complete(deployment: &Deployment) -> bool {
    let Some(status) = deployment.status.as_ref() else { return false };
    let wanted = deployment.spec.replicas.unwrap_or(1);
    let is = |count: Option<i32>| count.unwrap_or(0) == wanted;
    status.observed_generation == deployment.metadata.generation
        && is(status.replicas)
        && is(status.updated_replicas)
        && is(status.available_replicas)
}

/// Writes one line for each change, in the form of the recordings' timelines.
async fn record<K>(client: &Client, lines: &Lines, shutdown: &CancellationToken)
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + DeserializeOwned
        + Serialize
        + Send
        + 'static,
{
    let api: Api<K> = Api::namespaced(client.clone(), NS);
    let (lines, shutdown) = (Arc::clone(lines), shutdown.clone());
    let parameters = kube::api::WatchParams::default().timeout(290);
    let mut events = api.watch(&parameters, "0").await.unwrap().boxed();
    tokio::spawn(async move {
        loop {
            let event = tokio::select! {
                () = shutdown.cancelled() => return,
                event = events.try_next() => event,
            };
            let (type_, object) = match event {
                Ok(Some(kube::api::WatchEvent::Added(object))) => ("ADDED", object),
                Ok(Some(kube::api::WatchEvent::Modified(object))) => ("MODIFIED", object),
                Ok(Some(kube::api::WatchEvent::Deleted(object))) => ("DELETED", object),
                Ok(Some(_)) => continue,
                _ => return,
            };
            let line = line(&K::kind(&()), type_, &serde_json::to_value(&object).unwrap());
            let version = object.resource_version().unwrap().parse().unwrap();
            lines.lock().unwrap().push((version, line));
        }
    });
}

fn line(kind: &str, type_: &str, object: &Value) -> String {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap();
    if kind == "Event" {
        let about = &object["involvedObject"];
        return format!(
            "event {type_} {} {} {}/{} count={} src={} {}",
            object["type"].as_str().unwrap(),
            object["reason"].as_str().unwrap(),
            about["kind"].as_str().unwrap(),
            about["name"].as_str().unwrap(),
            object["count"],
            object["source"]["component"].as_str().unwrap(),
            object["message"],
        );
    }
    let conditions: Vec<String> = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|c| format!("{}={}({})", text(c, "type"), text(c, "status"), text(c, "reason")))
        .collect();
    let mut status = object["status"].clone();
    if let Some(status) = status.as_object_mut() {
        status.remove("conditions");
    }
    format!(
        "{} {type_} {name} gen={}/{} spec={} st={status} rev={} conds={}",
        kind.to_lowercase(),
        metadata["generation"],
        object["status"]["observedGeneration"].as_i64().map_or("None".into(), |seen| seen.to_string()),
        object["spec"]["replicas"],
        metadata["annotations"]["deployment.kubernetes.io/revision"].as_str().unwrap_or("None"),
        conditions.join(","),
    )
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Binds pods, lets them run and be ready after a short time, and ends them when they are deleted. A pod of image `broken`
/// never gets ready; one with the annotation `test/linger` stays terminating until that annotation is removed.
async fn pretend_kubelet(client: Client, shutdown: CancellationToken) {
    let pods: Api<Pod> = Api::all(client.clone());
    let mut changes = watcher(pods, watcher::Config::default()).applied_objects().boxed();
    let next_ip = AtomicU64::new(1);
    loop {
        let pod = tokio::select! {
            () = shutdown.cancelled() => return,
            pod = changes.try_next() => match pod { Ok(Some(pod)) => pod, _ => return },
        };
        let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap());
        let spec = pod.spec.as_ref().unwrap();
        if pod.metadata.deletion_timestamp.is_some() {
            if !pod.annotations().contains_key("test/linger") {
                let now = DeleteParams::default().grace_period(0);
                tokio::spawn(async move {
                    tokio::time::sleep(STEP).await;
                    drop(api.delete(&pod.name_any(), &now).await);
                });
            }
            continue;
        }
        if spec.node_name.is_none() {
            let ip = format!("127.66.1.{}", next_ip.fetch_add(1, Ordering::Relaxed));
            tokio::spawn(run_pod(api, pod, ip));
        }
    }
}

async fn run_pod(api: Api<Pod>, pod: Pod, ip: String) {
    let name = pod.name_any();
    let target = json!({ "apiVersion": "v1", "kind": "Node", "name": "node-1" });
    let binding =
        json!({ "apiVersion": "v1", "kind": "Binding", "metadata": { "name": name }, "target": target });
    let bound: Result<Value, _> =
        api.create_subresource("binding", &name, &PostParams::default(), &binding).await;
    if bound.is_err() {
        return;
    }
    tokio::time::sleep(STEP).await;
    let broken = pod.spec.as_ref().unwrap().containers[0].image.as_deref() == Some("broken");
    let ready = if broken { "False" } else { "True" };
    let now = Timestamp::now().to_string();
    let status = json!({
        "phase": if broken { "Pending" } else { "Running" },
        "podIP": ip,
        "podIPs": [{ "ip": ip }],
        "hostIP": "127.66.0.1",
        "startTime": now,
        "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": now }],
    });
    // A pod that was deleted meanwhile is none of our business.
    drop(api.patch_status(&name, &PatchParams::default(), &Patch::Merge(json!({ "status": status }))).await);
}

/// Says of a running pod whether it is ready.
pub async fn set_ready(world: &World, name: &str, ready: bool) {
    let status = if ready { "True" } else { "False" };
    let now = Timestamp::now().to_string();
    let conditions = json!([{ "type": "Ready", "status": status, "lastTransitionTime": now }]);
    let patch = Patch::Merge(json!({ "status": { "conditions": conditions } }));
    world.api::<Pod>().patch_status(name, &PatchParams::default(), &patch).await.unwrap();
}
