//! The cluster that a command works on: the embedded one or one of the user's own, by kubeconfig.

use std::{path::Path, time::Duration};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};

use crate::expected_error::chain;

/// Time limit for establishing a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limit for the first answer.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// A cluster that answers.
#[derive(Clone)]
pub struct Target {
    /// Client with time limits for connecting, and without retries: a refusal (429, 503) is a fact that a run must see. A
    /// request itself has no limit, since watches are requests too: who sends one sets it.
    pub client: Client,
    /// URL of the API server.
    pub server: String,
    /// Version that the API server gives, as `v1.36.0`.
    pub version: String,
    /// Namespace of the context.
    pub namespace: String,
}

/// Why a cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The kubeconfig is not there, not valid, or has no such context.
    #[error("can't use the kubeconfig")]
    Kubeconfig(#[source] Box<KubeconfigError>),
    /// What the kubeconfig says cannot be made into a client: certificates, proxies, credential plugins.
    #[error("can't make a client for {server}")]
    Client {
        /// URL of the API server.
        server: String,
        /// Cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server refuses or cannot be reached.
    #[error("the API server at {server} can't be used")]
    Refused {
        /// URL of the API server.
        server: String,
        /// Cause.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer.
    #[error("the API server at {server} did not answer within {} s", FIRST_ANSWER.as_secs())]
    Silent {
        /// URL of the API server.
        server: String,
    },
}

impl TargetError {
    /// What the user can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Kubeconfig(_) => Some("`kubectl config get-contexts` shows the contexts there are".to_owned()),
            Self::Client { .. } => None,
            Self::Refused { source, .. } => match source.as_ref() {
                kube::Error::Api(status) if matches!(status.code, 401 | 403) => {
                    Some("the credentials in the kubeconfig are not accepted; are they expired?".to_owned())
                }
                error if chain(error).contains("certificate") => {
                    Some("the kubeconfig's certificate authority is not the server's: is it of an earlier cluster?".to_owned())
                }
                _ => Some("is the cluster running? try `kubectl version` with the same kubeconfig".to_owned()),
            },
            Self::Silent { .. } => Some("is there a firewall or a VPN between here and the cluster?".to_owned()),
        }
    }
}

impl Target {
    /// The embedded cluster.
    pub async fn embedded(kubeconfig: &Path) -> Result<Self, TargetError> {
        let mut config = load(Some(kubeconfig), None).await?;
        // It is on this machine: a proxy of the environment does not lead there.
        config.proxy_url = None;
        Self::connect(config).await
    }

    /// A cluster of the user's own. Without a file, `$KUBECONFIG` or `~/.kube/config`.
    pub async fn external(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Self, TargetError> {
        Self::connect(load(kubeconfig, context).await?).await
    }

    async fn connect(mut config: Config) -> Result<Self, TargetError> {
        config.connect_timeout = Some(CONNECT);
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = config.default_namespace.clone();
        let client = Client::try_from(config)
            .map_err(|source| TargetError::Client { server: server.clone(), source: Box::new(source) })?;
        let version = match tokio::time::timeout(FIRST_ANSWER, client.apiserver_version()).await {
            Ok(Ok(version)) => version.git_version,
            Ok(Err(source)) => return Err(TargetError::Refused { server, source: Box::new(source) }),
            Err(_) => return Err(TargetError::Silent { server }),
        };
        Ok(Self { client, server, version, namespace })
    }
}

async fn load(kubeconfig: Option<&Path>, context: Option<&str>) -> Result<Config, TargetError> {
    let options = KubeConfigOptions { context: context.map(str::to_owned), ..KubeConfigOptions::default() };
    let loaded = match kubeconfig {
        Some(path) => match Kubeconfig::read_from(path) {
            Ok(kubeconfig) => Config::from_custom_kubeconfig(kubeconfig, &options).await,
            Err(error) => Err(error),
        },
        None => Config::from_kubeconfig(&options).await,
    };
    loaded.map_err(|error| TargetError::Kubeconfig(Box::new(error)))
}
