//! Starting and stopping a whole cluster in this process.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::{self, File},
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
    runtime::watcher,
};
use rustix::fs::{FlockOperation, flock};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    api::{
        ApiServer, ApiServerConfig,
        credentials::{Credentials, CredentialsError},
        expire, listen,
    },
    controllers::{self, hpa::AutoscalerOptions},
    kubelet::{self, Catalog, KubeletConfig},
    metrics::state,
    net::{Addresses, NetError},
    proxy, sd,
};

/// Time that the parts have to end after their work is done.
const STOP: Duration = Duration::from_secs(5);

/// How often usage is sampled if nothing else is asked for.
const METRIC_RESOLUTION: Duration = Duration::from_secs(10);

/// What a cluster needs to start.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Directory of everything the cluster writes: logs, volumes, pods' files, the kubeconfig. Made if missing.
    pub data_dir: PathBuf,
    /// Where the kubeconfig goes; `kubeconfig` in the data directory if none.
    pub kubeconfig: Option<PathBuf>,
    /// Name of the only node.
    pub node_name: String,
    /// Program and leading arguments that start this executable's hidden `pod-shim` command.
    pub shim: Vec<OsString>,
    /// Which program stands for which image.
    pub catalog: Catalog,
    /// Periods and tolerance of the HorizontalPodAutoscaler.
    pub autoscaler: AutoscalerOptions,
    /// Time between two samples of what containers and the node use; metrics-server's flag of the same name.
    pub metric_resolution: Duration,
}

impl ClusterConfig {
    /// A cluster in the given directory, whose pods are started through `shim`.
    pub fn new(data_dir: impl Into<PathBuf>, shim: Vec<OsString>) -> Self {
        Self {
            data_dir: data_dir.into(),
            kubeconfig: None,
            node_name: "sre-harness".to_owned(),
            shim,
            catalog: Catalog::builtin(),
            autoscaler: AutoscalerOptions::default(),
            metric_resolution: METRIC_RESOLUTION,
        }
    }
}

/// Why a cluster could not start.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The data directory cannot be used.
    #[error("the data directory {path} cannot be used")]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Another process runs a cluster in the data directory.
    #[error("another cluster is running in {0}")]
    InUse(PathBuf),
    /// No loopback network.
    #[error("no loopback network could be claimed")]
    Net(#[from] NetError),
    /// The API server's listener.
    #[error("the API server cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Certificates or kubeconfig.
    #[error("the credentials could not be made")]
    Credentials(#[from] CredentialsError),
}

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    server: ApiServer,
    addresses: Addresses,
    api_address: SocketAddr,
    kubeconfig: PathBuf,
    /// Stops what makes and changes pods, so that they stay away once they are deleted.
    controllers: CancellationToken,
    /// Stops what runs pods.
    node: CancellationToken,
    /// Stops the API server, last.
    api: CancellationToken,
    controller_tasks: TaskTracker,
    node_tasks: TaskTracker,
    api_tasks: TaskTracker,
    // Held for its side effect: while it is locked, no other cluster uses the data directory.
    _lock: File,
}

impl Cluster {
    /// Starts everything and writes the kubeconfig. When this returns, the API answers.
    pub async fn start(config: ClusterConfig) -> Result<Self, ClusterError> {
        let lock = prepare(&config.data_dir)?;
        let addresses = Addresses::claim(seed(&config.data_dir))?;
        let wanted = SocketAddr::from((addresses.control_plane_ip(), 0));
        let listener = TcpListener::bind(wanted)
            .await
            .map_err(|source| ClusterError::Listen { address: wanted, source })?;
        let address =
            listener.local_addr().map_err(|source| ClusterError::Listen { address: wanted, source })?;
        let credentials = Credentials::generate(address)?;

        let api = CancellationToken::new();
        let server = ApiServer::new(ApiServerConfig {
            addresses: addresses.clone(),
            logs: config.data_dir.join("logs"),
            shutdown: api.clone(),
        });
        let kubeconfig = config.kubeconfig.clone().unwrap_or_else(|| config.data_dir.join("kubeconfig"));
        credentials.write_kubeconfig(address, &kubeconfig)?;
        let api_tasks = TaskTracker::new();
        let router = listen::authenticated(server.router(), credentials.token());
        let stop = api.clone();
        api_tasks.spawn(async move { listen::listen(listener, &credentials, router, stop).await });
        api_tasks.spawn(expire::run(server.clone()));

        let cluster = Self {
            server,
            addresses,
            api_address: address,
            kubeconfig,
            controllers: CancellationToken::new(),
            node: CancellationToken::new(),
            api,
            controller_tasks: TaskTracker::new(),
            node_tasks: TaskTracker::new(),
            api_tasks,
            _lock: lock,
        };
        cluster.start_parts(&config);
        Ok(cluster)
    }

    /// Starts the parts that work through the API.
    fn start_parts(&self, config: &ClusterConfig) {
        let kubelet = KubeletConfig {
            client: self.server.client("kubelet"),
            addresses: self.addresses.clone(),
            node_name: config.node_name.clone(),
            data_dir: config.data_dir.clone(),
            shim: config.shim.clone(),
            catalog: config.catalog.clone(),
            usage: self.server.usage().clone(),
            metric_resolution: config.metric_resolution,
        };
        let shutdown = self.node.clone();
        self.node_tasks.spawn(async move {
            if let Err(error) = kubelet::run(kubelet, shutdown).await {
                tracing::error!(error = &error as &dyn std::error::Error, "the kubelet stopped");
            }
        });
        self.controller_tasks.spawn(controllers::run(
            self.server.client("kube-controller-manager"),
            config.autoscaler,
            self.controllers.clone(),
        ));
        // The Services stay reachable while the pods stop, as the node's kube-proxy keeps them on a real cluster.
        self.node_tasks.spawn(proxy::run(
            self.server.client("kube-proxy"),
            self.addresses.clone(),
            self.node.clone(),
        ));
        let (client, bind, shutdown) = (
            self.server.client("prometheus-sd"),
            self.addresses.service_discovery(),
            self.controllers.clone(),
        );
        self.controller_tasks.spawn(async move {
            if let Err(error) = sd::run(client, bind, shutdown).await {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "service discovery for Prometheus stopped"
                );
            }
        });
        let (client, bind, shutdown) = (
            self.server.client("kube-state-metrics"),
            self.addresses.state_metrics(),
            self.controllers.clone(),
        );
        self.controller_tasks.spawn(async move {
            if let Err(error) = state::run(client, bind, shutdown).await {
                tracing::error!(error = &error as &dyn std::error::Error, "kube-state-metrics stopped");
            }
        });
    }

    /// A client of this cluster without a socket.
    pub fn client(&self) -> Client {
        self.server.client("sre-harness")
    }

    /// The API server.
    pub fn api_server(&self) -> &ApiServer {
        &self.server
    }

    /// Addresses of pods and Services.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Where the API server listens.
    pub fn api_address(&self) -> SocketAddr {
        self.api_address
    }

    /// The kubeconfig that was written.
    pub fn kubeconfig_path(&self) -> &Path {
        &self.kubeconfig
    }

    /// Stops everything: first the controllers, then each pod with its grace period, then the node and the API server. The
    /// kubeconfig is removed, since its token is worth nothing afterwards.
    pub async fn shutdown(self) {
        stop(&self.controllers, &self.controller_tasks, "controllers").await;
        if let Err(error) = delete_pods(self.client()).await {
            tracing::warn!(%error, "pods could not be deleted; the node stops them");
        }
        stop(&self.node, &self.node_tasks, "node").await;
        stop(&self.api, &self.api_tasks, "API server").await;
        if let Err(error) = fs::remove_file(&self.kubeconfig) {
            tracing::debug!(%error, "the kubeconfig could not be removed");
        }
    }
}

async fn stop(token: &CancellationToken, tasks: &TaskTracker, what: &str) {
    token.cancel();
    tasks.close();
    if tokio::time::timeout(STOP, tasks.wait()).await.is_err() {
        tracing::warn!("the {what} did not end within {STOP:?}");
    }
}

/// Deletes every pod and waits until the last is gone, as long as the longest grace period and a margin.
async fn delete_pods(client: Client) -> Result<(), kube::Error> {
    let pods: Api<Pod> = Api::all(client.clone());
    let all = pods.list(&ListParams::default()).await?;
    let longest = all
        .iter()
        .filter_map(|pod| pod.spec.as_ref()?.termination_grace_period_seconds)
        .max()
        .and_then(|seconds| u64::try_from(seconds).ok())
        .unwrap_or(0);
    for pod in &all {
        let pods: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace().unwrap_or_default());
        match pods.delete(&pod.name_any(), &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    let gone = async {
        let mut remaining = HashSet::new();
        let mut listed = false;
        let mut events = watcher(pods, watcher::Config::default()).boxed();
        while let Ok(Some(event)) = events.try_next().await {
            match event {
                watcher::Event::InitApply(pod) | watcher::Event::Apply(pod) => {
                    remaining.insert(pod.uid());
                }
                watcher::Event::Delete(pod) => {
                    remaining.remove(&pod.uid());
                }
                watcher::Event::Init => remaining.clear(),
                watcher::Event::InitDone => listed = true,
            }
            if listed && remaining.is_empty() {
                return;
            }
        }
    };
    let limit = Duration::from_secs(longest) + STOP;
    if tokio::time::timeout(limit, gone).await.is_err() {
        tracing::warn!("some pods did not end within {limit:?}");
    }
    Ok(())
}

/// Makes the data directory, and locks it.
fn prepare(path: &Path) -> Result<File, ClusterError> {
    let failed = |source| ClusterError::DataDir { path: path.to_owned(), source };
    fs::DirBuilder::new().recursive(true).create(path).map_err(failed)?;
    let lock = File::create(path.join("lock")).map_err(failed)?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(lock),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(ClusterError::InUse(path.to_owned())),
        Err(error) => Err(failed(error.into())),
    }
}

/// The same directory gets the same loopback network again where it is free, so that addresses in bookmarks stay right.
fn seed(path: &Path) -> u64 {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.as_os_str()
        .as_encoded_bytes()
        .iter()
        .fold(17, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_directory_has_one_cluster() {
        let dir = tempfile::tempdir().unwrap();
        let held = prepare(dir.path()).unwrap();
        assert!(matches!(prepare(dir.path()), Err(ClusterError::InUse(_))));
        drop(held);
        prepare(dir.path()).unwrap();
    }
}
