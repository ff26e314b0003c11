//! Facts for people who watch or look back: no verdict rests on them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Labels, Millis, Timestamp};

/// What kind of run a log is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunMode {
    /// A scenario, with a verdict.
    #[default]
    Scenario,
    /// A game day: people inject faults by hand. Nothing is to be proved.
    GameDay,
    /// Somebody only watches a cluster. Never recorded.
    Watch,
}

/// State of a pod, as its watch delivered it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObservedPod {
    /// Its namespace; empty in logs of versions that did not write it, where it is the plan's.
    #[serde(default)]
    pub namespace: String,
    /// Name.
    pub pod: String,
    /// As `kubectl get pods` would show it in STATUS.
    pub status: String,
    /// Ready condition.
    pub ready: bool,
    /// Sum over containers.
    pub restarts: i32,
    /// Deleted for good.
    pub gone: bool,
    /// Containers that are ready.
    #[serde(default)]
    pub ready_containers: u32,
    /// Containers in all.
    #[serde(default)]
    pub containers: u32,
    /// What made it, as far up as its name tells: `deployment/api`.
    #[serde(default)]
    pub owner: Option<String>,
    /// Node.
    #[serde(default)]
    pub node: Option<String>,
    /// `metadata.creationTimestamp`.
    #[serde(default)]
    pub created_at: Option<Timestamp>,
    /// Why it is not ready, as Kubernetes says it.
    #[serde(default)]
    pub message: Option<String>,
}

/// What a pod used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PodUsage {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub pod: String,
    /// CPU, in thousandths of a core.
    pub cpu_millicores: u64,
    /// Working set, in bytes.
    pub memory_bytes: u64,
}

/// An Event of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ClusterEvent {
    /// Namespace.
    pub namespace: String,
    /// What it is about: `pod/api-7d4…`.
    pub object: String,
    /// `Normal` or `Warning`.
    pub severity: String,
    /// `BackOff`, `ScalingReplicaSet` …
    pub reason: String,
    /// The message.
    pub message: String,
    /// How often it happened.
    pub count: i32,
    /// When it was last seen.
    pub seen_at: Timestamp,
}

/// Lines of a container's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PodLog {
    /// Namespace.
    pub namespace: String,
    /// Pod.
    pub pod: String,
    /// Container.
    pub container: String,
    /// They are of the container's instance before its last restart.
    pub previous: bool,
    /// Why they were read: `target of fault db`, `restarted` …
    pub why: String,
    /// When they were read.
    pub read_at: Timestamp,
    /// The lines, oldest first. Values that look like secrets are replaced.
    pub lines: Vec<LogLine>,
    /// There was more than was kept.
    pub cut: bool,
    /// Why there are none.
    pub error: Option<String>,
}

/// One line of a log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LogLine {
    /// When the container wrote it, where that is known.
    pub written_at: Option<Timestamp>,
    /// The text without its end of line.
    pub text: String,
}

/// An alerting rule, as Prometheus has loaded it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertRule {
    /// Alert name.
    pub alert: String,
    /// Rule group.
    pub group: String,
    /// The expression.
    pub expression: String,
    /// `for`.
    pub pending_for: Millis,
    /// `keep_firing_for`.
    pub keep_firing_for: Millis,
    /// Labels that it adds.
    pub labels: Labels,
    /// Annotations, not expanded.
    pub annotations: BTreeMap<String, String>,
}
