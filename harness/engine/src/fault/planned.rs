//! A fault with its targets found and its snapshot taken.

use std::{collections::BTreeMap, time::Duration};

use harness_event::{FaultAction, FaultSpec, Timestamp, WorkloadRef};
use kube::Client;
use serde::{Deserialize, Serialize};

use super::{delete_pods, restart, scale};

/// Why a fault could not be planned, applied, seen or undone.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The target does not exist.
    #[error("{target} does not exist in namespace {namespace}")]
    NoTarget {
        /// What was looked for.
        target: String,
        /// Where.
        namespace: String,
    },
    /// Nothing would change, so nothing could be seen.
    #[error("{0}")]
    NothingToDo(String),
    /// Kinds that this version cannot handle.
    #[error("{0} is not supported: only Deployments are")]
    Kind(String),
    /// The API server refused or did not answer.
    #[error("{what} failed")]
    Api {
        /// Which call.
        what: String,
        /// Its answer.
        #[source]
        source: Box<kube::Error>,
    },
    /// An API call took too long.
    #[error("{0} got no answer in time")]
    NoAnswer(String),
    /// The awaited state did not come.
    #[error("{0}")]
    NotSeen(String),
}

impl FaultError {
    /// True if the API server understood the call and said no, so that asking again changes nothing.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Api { source, .. } => match &**source {
                kube::Error::Api(status) => {
                    (400..500).contains(&status.code) && ![401, 408, 409, 429].contains(&status.code)
                }
                _ => false,
            },
            Self::NoAnswer(_) | Self::NotSeen(_) => false,
            Self::NoTarget { .. } | Self::NothingToDo(_) | Self::Kind(_) => true,
        }
    }
}

/// Something that was seen, and when.
#[derive(Clone, Debug)]
pub struct Observed {
    /// When.
    pub at: Timestamp,
    /// What, for people.
    pub detail: String,
}

/// The world before the fault, as far as the fault touches it: all that is needed to undo it from another process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Snapshot {
    /// Replicas of a workload.
    Scale {
        /// The workload.
        workload: WorkloadRef,
        /// `spec.replicas`.
        replicas: i32,
        /// `status.readyReplicas`.
        ready: i32,
    },
    /// Pods that will be deleted. Their controllers bring the number back.
    Pods {
        /// Label selector.
        selector: String,
        /// Names and UIDs of the chosen ones.
        chosen: Vec<(String, String)>,
        /// Ready pods of the selector.
        ready: usize,
        /// How many of them were of which Deployment. The others are of something else.
        #[serde(default)]
        deployments: BTreeMap<String, usize>,
    },
    /// A rollout that will be restarted.
    Rollout {
        /// The workload.
        workload: WorkloadRef,
        /// UIDs of its pods.
        pods: Vec<String>,
        /// `status.readyReplicas`.
        ready: i32,
    },
}

/// A fault, ready to be applied.
#[derive(Clone, Debug)]
pub struct PlannedFault {
    /// From the scenario.
    pub spec: FaultSpec,
    /// Namespace of its targets.
    pub namespace: String,
    /// The world before.
    pub snapshot: Snapshot,
}

impl PlannedFault {
    /// Finds the targets. Zero targets, and targets on which nothing would change, are errors: such a fault proves nothing.
    ///
    /// # Errors
    /// See [`FaultError`].
    pub async fn plan(client: &Client, namespace: &str, spec: &FaultSpec) -> Result<Self, FaultError> {
        let snapshot = match &spec.action {
            FaultAction::Scale { workload, replicas } => {
                scale::snapshot(client, namespace, workload, *replicas).await?
            }
            FaultAction::DeletePods { selector, count, .. } => {
                delete_pods::snapshot(client, namespace, selector, *count).await?
            }
            FaultAction::Restart { workload } => restart::snapshot(client, namespace, workload).await?,
        };
        Ok(Self { spec: spec.clone(), namespace: namespace.to_owned(), snapshot })
    }

    /// The objects that it touches: `deployment/postgres`.
    pub fn targets(&self) -> Vec<String> {
        match &self.snapshot {
            Snapshot::Scale { workload, .. } | Snapshot::Rollout { workload, .. } => {
                vec![workload.to_string()]
            }
            Snapshot::Pods { chosen, .. } => chosen.iter().map(|(name, _)| format!("pod/{name}")).collect(),
        }
    }

    /// What undoes it, for people.
    pub fn inverse(&self) -> String {
        self.snapshot.inverse()
    }

    /// Changes the world. Returns when the first call was sent.
    ///
    /// # Errors
    /// If the API server refuses. The change may be partly done: revert in any case.
    pub async fn apply(&self, client: &Client) -> Result<(), FaultError> {
        match (&self.spec.action, &self.snapshot) {
            (FaultAction::Scale { workload, replicas }, _) => {
                scale::set(client, &self.namespace, workload, *replicas).await
            }
            (FaultAction::DeletePods { grace_period_seconds, .. }, Snapshot::Pods { chosen, .. }) => {
                delete_pods::delete(client, &self.namespace, chosen, *grace_period_seconds).await
            }
            (FaultAction::Restart { workload }, _) => {
                restart::restart(client, &self.namespace, workload).await
            }
            (FaultAction::DeletePods { .. }, _) => {
                Err(FaultError::NothingToDo("no pods were chosen".to_owned()))
            }
        }
    }

    /// Waits until the world shows the fault.
    ///
    /// # Errors
    /// [`FaultError::NotSeen`] with what was seen instead, after `limit`.
    pub async fn observe(&self, client: &Client, limit: Duration) -> Result<Observed, FaultError> {
        match (&self.spec.action, &self.snapshot) {
            (FaultAction::Scale { workload, replicas }, _) => {
                scale::wait_replicas(client, &self.namespace, workload, *replicas, limit).await
            }
            (_, Snapshot::Pods { chosen, .. }) => {
                delete_pods::wait_gone(client, &self.namespace, chosen, limit).await
            }
            (FaultAction::Restart { workload }, Snapshot::Rollout { pods, .. }) => {
                restart::wait_replaced(client, &self.namespace, workload, pods, limit).await
            }
            (action, _) => Err(FaultError::NotSeen(format!("{action:?} has no matching snapshot"))),
        }
    }
}

impl Snapshot {
    /// What undoes the fault, for people.
    pub fn inverse(&self) -> String {
        match self {
            Self::Scale { workload, replicas, .. } => format!("scale {workload} to {replicas}"),
            Self::Pods { ready, selector, .. } => {
                format!("none needed: wait until {ready} pods of {selector} are ready again")
            }
            Self::Rollout { workload, .. } => format!("none needed: wait until {workload} is rolled out"),
        }
    }

    /// Undoes the fault. Idempotent: the world may be as it was already.
    ///
    /// # Errors
    /// If the API server refuses or does not answer.
    pub async fn revert(&self, client: &Client, namespace: &str) -> Result<(), FaultError> {
        match self {
            Self::Scale { workload, replicas, .. } => {
                scale::set(client, namespace, workload, *replicas).await
            }
            // Controllers undo these by themselves.
            Self::Pods { .. } | Self::Rollout { .. } => Ok(()),
        }
    }

    /// Waits until the world is as it was.
    ///
    /// # Errors
    /// [`FaultError::NotSeen`] with what is different, after `limit`.
    pub async fn verify(
        &self,
        client: &Client,
        namespace: &str,
        limit: Duration,
    ) -> Result<Observed, FaultError> {
        match self {
            Self::Scale { workload, replicas, ready } => {
                scale::wait_restored(client, namespace, workload, *replicas, *ready, limit).await
            }
            Self::Pods { selector, ready, deployments, .. } => {
                delete_pods::wait_ready(client, namespace, selector, *ready, deployments, limit).await
            }
            Self::Rollout { workload, ready, .. } => {
                restart::wait_rolled_out(client, namespace, workload, *ready, limit).await
            }
        }
    }
}
