//! Starts the kubelet's parts and hands pods to their workers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsString,
    fs, io,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::{
    api::core::v1::{ConfigMap, Node as NodeObject, Pod, Secret},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, watcher},
};
use rand::Rng;
use sha2::{Digest, Sha256};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    catalog::{Catalog, hex},
    cgroup::Cgroups,
    cleanup,
    env::DownwardContext,
    events::{EventType, Recorder, reference},
    node,
    pod_worker::{Message, PodWorker},
    process::Launcher,
    scheduler::{self, ToSchedule},
    server, storage,
    usage::{self, Accounts},
    volume_files,
};
use crate::{metrics::Usage, net::Addresses};

/// Longest time a `postStart` hook may take.
pub const HOOK_PATIENCE: Duration = Duration::from_secs(120);
/// Grace period of a pod that names none, Kubernetes' default.
const DEFAULT_GRACE: Duration = Duration::from_secs(30);
/// Longest grace period when the whole cluster stops.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(30);
/// How long leftovers of an earlier kubelet are waited for.
const CLEANUP_PATIENCE: Duration = Duration::from_secs(10);
/// A Unix socket's path has at most 107 bytes; this much is left for its name.
const SOCKET_NAME: usize = 27;

/// What the kubelet needs.
#[derive(Clone)]
pub struct KubeletConfig {
    /// Connection to the API server.
    pub client: Client,
    /// Addresses of pods, and of Services for the rewriting of names.
    pub addresses: Addresses,
    /// Name of the node.
    pub node_name: String,
    /// Directory of logs, volumes and pods' files.
    pub data_dir: PathBuf,
    /// Program and leading arguments that run [`super::shim::main`].
    pub shim: Vec<OsString>,
    /// Which program stands for which image.
    pub catalog: Catalog,
    /// Where the samples of usage go.
    pub usage: Usage,
    /// Time between two samples.
    pub metric_resolution: Duration,
}

/// Why the kubelet could not start.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// The data directory cannot be used.
    #[error("the kubelet's directory {path} cannot be used")]
    Directory {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What all parts of the kubelet share.
pub struct Node {
    /// Connection to the API server.
    pub client: Client,
    /// Addresses of pods and Services.
    pub addresses: Addresses,
    /// The node's name.
    pub name: String,
    /// Directory of logs, volumes and pods' files.
    pub data_dir: PathBuf,
    /// Directory of small run-time files such as Unix sockets; its path is short.
    sockets: PathBuf,
    /// Which program stands for which image.
    pub catalog: Catalog,
    /// Starts processes.
    pub launcher: Arc<Launcher>,
    /// Writes events.
    pub recorder: Recorder,
    /// What the machine offers.
    pub allocatable: BTreeMap<String, Quantity>,
    /// Whether containers may become other users.
    pub root: bool,
    /// Port of the kubelet's metrics; 0 if it could not be had.
    pub metrics_port: u16,
    /// Control groups of the containers.
    pub cgroups: Arc<Cgroups>,
    /// The containers that run, for reading what they use.
    pub accounts: Arc<Accounts>,
    /// Where the samples of usage go.
    pub usage: Usage,
}

impl Node {
    /// An event about a container.
    pub fn container_event(
        &self,
        pod: &Pod,
        container: &str,
        kind: EventType,
        reason: &str,
        message: String,
    ) {
        let inits = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
        let list = if inits.into_iter().any(|init| init.name == container) {
            "initContainers"
        } else {
            "containers"
        };
        let path = format!("spec.{list}{{{container}}}");
        self.recorder.kubelet(reference(pod, Some(path)), kind, reason, message);
    }

    /// What the downward API knows beside the pod.
    pub fn downward_context(&self, pod_ip: Ipv4Addr) -> DownwardContext {
        DownwardContext {
            pod_ip,
            host_ip: self.addresses.node_ip(),
            node_name: self.name.clone(),
            allocatable: self.allocatable.clone(),
        }
    }

    /// Directory of a container's sockets and other small files.
    pub fn run_directory(&self, pod_uid: &str, container: &str) -> PathBuf {
        let digest = Sha256::digest(format!("{pod_uid}/{container}"));
        self.sockets.join(&hex(&digest)[..10])
    }

    /// A pod's grace period.
    pub fn grace(&self, pod: &Pod) -> Duration {
        let seconds = pod.spec.as_ref().and_then(|spec| spec.termination_grace_period_seconds);
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).map_or(DEFAULT_GRACE, Duration::from_secs)
    }

    /// A pod's grace period when the whole cluster stops.
    pub fn shutdown_grace(&self, pod: &Pod) -> Duration {
        self.grace(pod).min(SHUTDOWN_GRACE)
    }
}

/// `name_namespace(uid)`, as the kubelet names pods in messages.
pub fn pod_title(pod: &Pod) -> String {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let metadata = &pod.metadata;
    format!("{}_{}({})", text(&metadata.name), text(&metadata.namespace), text(&metadata.uid))
}

/// A data directory for clusters that were not given one: root's own home is closed to the users that pods run as, so root
/// gets a directory below `/var/tmp` that others may pass, anybody else their cache directory.
pub fn default_data_dir() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/tmp/sre-harness-0");
    }
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => PathBuf::from(home).join(".cache/sre-harness/cluster"),
        None => std::env::temp_dir().join(format!("sre-harness-{}", rustix::process::geteuid().as_raw())),
    }
}

/// Runs the kubelet until `shutdown` is cancelled and all pods have ended.
pub async fn run(config: KubeletConfig, shutdown: CancellationToken) -> Result<(), KubeletError> {
    let data_dir = config.data_dir.clone();
    let prepared = tokio::task::spawn_blocking(move || prepare(&data_dir)).await;
    let (cluster_id, sockets, cgroups) = match prepared {
        Ok(prepared) => prepared?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let recorder = Recorder::start(config.client.clone(), &config.node_name);
    let listener = server::listen(&config.addresses).await;
    let node = Arc::new(Node {
        launcher: Arc::new(Launcher::new(config.shim, cluster_id, config.data_dir.join("run"))),
        client: config.client,
        addresses: config.addresses,
        name: config.node_name,
        data_dir: config.data_dir,
        sockets,
        catalog: config.catalog,
        recorder: recorder.clone(),
        allocatable: node::allocatable(),
        root: rustix::process::geteuid().is_root(),
        metrics_port: if listener.is_some() { server::PORT } else { 0 },
        cgroups,
        accounts: Arc::default(),
        usage: config.usage,
    });
    let (to_schedule, schedule_inbox) = mpsc::unbounded_channel();
    let mut workers =
        Workers { node: node.clone(), to_schedule, workers: HashMap::new(), tasks: JoinSet::new() };
    tokio::select! {
        () = node::run(&node) => {}
        () = storage::run(&node) => {}
        () = usage::run(&node, config.metric_resolution) => {}
        () = server::run(&node, listener) => {}
        () = scheduler::run(node.clone(), schedule_inbox) => {}
        () = watch(&node, &mut workers) => {}
        () = shutdown.cancelled() => {}
    }
    workers.shut_down().await;
    recorder.flush().await;
    let _ = fs::remove_dir_all(&node.sockets);
    let cgroups = node.cgroups.clone();
    let _ = tokio::task::spawn_blocking(move || cgroups.close()).await;
    Ok(())
}

/// Makes the directories, kills what an earlier kubelet left, and returns the cluster's id, the socket directory and the
/// control groups.
fn prepare(data_dir: &Path) -> Result<(String, PathBuf, Arc<Cgroups>), KubeletError> {
    let directory = |path: &Path, mode: u32| {
        let failed = |source| KubeletError::Directory { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)
    };
    // Other users pass, nobody but the owner looks around.
    let modes = [("", 0o711), ("pods", 0o711), ("volumes", 0o711), ("logs", 0o700), ("run", 0o700)];
    for (name, mode) in modes {
        directory(&data_dir.join(name), mode)?;
    }
    let id_file = data_dir.join("cluster-id");
    let cluster_id = match fs::read_to_string(&id_file) {
        Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
        _ => {
            let id = hex(&rand::rng().random::<[u8; 16]>());
            fs::write(&id_file, &id)
                .map_err(|source| KubeletError::Directory { path: id_file.clone(), source })?;
            id
        }
    };
    let killed = cleanup::kill_leftovers(&cluster_id, &data_dir.join("run"), CLEANUP_PATIENCE);
    if killed > 0 {
        tracing::warn!(killed, "processes that an earlier run left behind were killed");
    }
    let cgroups = Cgroups::open(data_dir, &cluster_id);
    remove_remains(data_dir)?;
    let mut sockets = data_dir.join("s");
    if sockets.as_os_str().len() + SOCKET_NAME > 107 - 11 {
        sockets = std::env::temp_dir().join(format!("sre-{}", &cluster_id[..12]));
    }
    let _ = fs::remove_dir_all(&sockets);
    directory(&sockets, 0o711)?;
    Ok((cluster_id, sockets, cgroups))
}

/// Removes what belonged to objects that no API server knows any more, since the store lives in memory: files of pods,
/// volumes made for claims (their reclaim policy is `Delete`), links to programs. The logs of the last run stay as `logs-previous`: they may say
/// why it died.
fn remove_remains(data_dir: &Path) -> Result<(), KubeletError> {
    for name in ["pods", "volumes"] {
        let path = data_dir.join(name);
        let entries =
            fs::read_dir(&path).map_err(|source| KubeletError::Directory { path: path.clone(), source })?;
        for entry in entries.flatten() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let _ = fs::remove_dir_all(data_dir.join("bin"));
    let logs = data_dir.join("logs");
    if fs::read_dir(&logs).is_ok_and(|mut entries| entries.next().is_some()) {
        let previous = data_dir.join("logs-previous");
        let _ = fs::remove_dir_all(&previous);
        let failed = |source| KubeletError::Directory { path: logs.clone(), source };
        fs::rename(&logs, previous).map_err(failed)?;
        fs::create_dir(&logs).map_err(failed)?;
        fs::set_permissions(&logs, fs::Permissions::from_mode(0o700)).map_err(failed)?;
    }
    Ok(())
}

struct Handle {
    sender: mpsc::UnboundedSender<Message>,
    namespace: String,
    config_maps: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

struct Workers {
    node: Arc<Node>,
    to_schedule: mpsc::UnboundedSender<ToSchedule>,
    workers: HashMap<String, Handle>,
    tasks: JoinSet<String>,
}

impl Workers {
    fn apply(&mut self, pod: Pod) {
        let pod = Arc::new(pod);
        let uid = pod.metadata.uid.clone().unwrap_or_default();
        let Some(bound_to) = pod.spec.as_ref().and_then(|spec| spec.node_name.clone()) else {
            if pod.metadata.deletion_timestamp.is_none() {
                let _ = self.to_schedule.send(ToSchedule::Pod(pod));
            }
            return;
        };
        let _ = self.to_schedule.send(ToSchedule::Forget(uid.clone()));
        if bound_to != self.node.name {
            return;
        }
        match self.workers.get(&uid) {
            Some(handle) => drop(handle.sender.send(Message::Pod(pod))),
            None => self.spawn(uid, pod),
        }
    }

    fn spawn(&mut self, uid: String, pod: Arc<Pod>) {
        let (sender, inbox) = mpsc::unbounded_channel();
        let (config_maps, secrets) = volume_files::referenced_objects(&pod);
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let Some(worker) = PodWorker::new(self.node.clone(), pod, sender.clone(), inbox) else { return };
        self.workers.insert(uid.clone(), Handle { sender, namespace, config_maps, secrets });
        self.tasks.spawn(async move {
            worker.run().await;
            uid
        });
    }

    fn deleted(&mut self, uid: &str) {
        let _ = self.to_schedule.send(ToSchedule::Forget(uid.to_owned()));
        if let Some(handle) = self.workers.get(uid) {
            let _ = handle.sender.send(Message::Deleted);
        }
    }

    fn config_changed(&self, namespace: Option<&str>, refers: impl Fn(&Handle) -> bool) {
        for handle in self.workers.values().filter(|handle| Some(&*handle.namespace) == namespace) {
            if refers(handle) {
                let _ = handle.sender.send(Message::ConfigChanged);
            }
        }
    }

    async fn shut_down(&mut self) {
        for handle in self.workers.values() {
            let _ = handle.sender.send(Message::Shutdown);
        }
        while self.tasks.join_next().await.is_some() {}
    }
}

fn watched<K>(
    client: &Client,
    config: watcher::Config,
) -> futures::stream::BoxStream<'static, watcher::Result<watcher::Event<K>>>
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + serde::de::DeserializeOwned + 'static,
{
    watcher(Api::<K>::all(client.clone()), config).default_backoff().boxed()
}

/// Hands pods, the node and changed configuration to those who wait for them.
async fn watch(node: &Node, workers: &mut Workers) {
    let mut pods = watched::<Pod>(&node.client, watcher::Config::default());
    let own = watcher::Config::default().fields(&format!("metadata.name={}", node.name));
    let mut nodes = watched::<NodeObject>(&node.client, own);
    let mut maps = watched::<ConfigMap>(&node.client, watcher::Config::default());
    let mut secrets = watched::<Secret>(&node.client, watcher::Config::default());
    let mut listed: Option<BTreeSet<String>> = None;
    loop {
        tokio::select! {
            event = pods.try_next() => match event {
                Ok(Some(watcher::Event::Init)) => listed = Some(BTreeSet::new()),
                Ok(Some(watcher::Event::InitApply(pod))) => {
                    if let Some(listed) = &mut listed {
                        listed.extend(pod.metadata.uid.clone());
                    }
                    workers.apply(pod);
                }
                Ok(Some(watcher::Event::InitDone)) => {
                    let listed = listed.take().unwrap_or_default();
                    let gone: Vec<String> =
                        workers.workers.keys().filter(|uid| !listed.contains(*uid)).cloned().collect();
                    gone.iter().for_each(|uid| workers.deleted(uid));
                }
                Ok(Some(watcher::Event::Apply(pod))) => workers.apply(pod),
                Ok(Some(watcher::Event::Delete(pod))) => workers.deleted(&pod.metadata.uid.unwrap_or_default()),
                Ok(None) => return,
                Err(error) => tracing::debug!(%error, "watching pods"),
            },
            Some(ended) = workers.tasks.join_next() => match ended {
                Ok(uid) => drop(workers.workers.remove(&uid)),
                Err(error) => tracing::error!(%error, "a pod worker failed"),
            },
            event = nodes.try_next() => {
                if let Ok(Some(watcher::Event::Apply(object) | watcher::Event::InitApply(object))) = event {
                    let _ = workers.to_schedule.send(ToSchedule::Node(Box::new(object)));
                }
            }
            // The first list tells nothing new: workers read what they need when they start.
            event = maps.try_next() => {
                if let Ok(Some(watcher::Event::Apply(map))) = event {
                    let name = map.metadata.name.unwrap_or_default();
                    workers.config_changed(map.metadata.namespace.as_deref(), |h| h.config_maps.contains(&name));
                }
            }
            event = secrets.try_next() => {
                if let Ok(Some(watcher::Event::Apply(secret))) = event {
                    let name = secret.metadata.name.unwrap_or_default();
                    workers.config_changed(secret.metadata.namespace.as_deref(), |h| h.secrets.contains(&name));
                }
            }
        }
    }
}
