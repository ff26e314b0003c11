//! What facts are made of.

use serde::{Deserialize, Serialize};

use crate::{Labels, Millis, Timestamp, WorkloadRef};

/// What the run was pointed at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunTarget {
    /// Kubeconfig context.
    pub context: String,
    /// API server's URL.
    pub server: String,
    /// Kubernetes version.
    pub kubernetes: String,
    /// Prometheus version.
    pub prometheus: String,
    /// Alertmanager version.
    pub alertmanager: String,
}

/// How fast an alert can be seen, from the loaded configuration (scrape interval S, evaluation interval E, `for`, grouping).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DetectionBound {
    /// Expectation's id.
    pub expectation: String,
    /// Earliest possible time after the effect.
    pub earliest: Millis,
    /// Latest time at which a healthy pipeline has it, metric lag and the fill of range windows not counted.
    pub worst: Millis,
    /// The terms, for people: `scrape 1s + evaluation 1s + for 10s`.
    pub terms: String,
}

/// Phases of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Bring up or connect, prove readiness.
    Prepare,
    /// Steady state holds, baseline is taken.
    Baseline,
    /// Faults are on.
    Fault,
    /// Faults are being reverted.
    Heal,
    /// Waiting for recovery and resolution.
    Recovery,
    /// Evidence is read.
    Verdict,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.pad(match self {
            Self::Prepare => "prepare",
            Self::Baseline => "baseline",
            Self::Fault => "fault",
            Self::Heal => "heal",
            Self::Recovery => "recovery",
            Self::Verdict => "verdict",
        })
    }
}

/// Prometheus' own state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PrometheusHealth {
    /// `process_start_time_seconds`.
    pub started_at: Timestamp,
    /// `prometheus_config_last_reload_success_timestamp_seconds`.
    pub config_loaded_at: Timestamp,
    /// `prometheus_rule_group_iterations_missed_total`, all groups.
    pub iterations_missed: u64,
    /// `prometheus_rule_evaluation_failures_total`, all groups.
    pub evaluation_failures: u64,
    /// `prometheus_notifications_dropped_total`.
    pub notifications_dropped: u64,
    /// `prometheus_notifications_errors_total`, all Alertmanagers.
    pub notification_errors: u64,
    /// Rules whose health is not `ok`, with their error.
    pub sick_rules: Vec<String>,
}

/// Alertmanager's own state.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertmanagerHealth {
    /// `process_start_time_seconds`.
    pub started_at: Timestamp,
    /// `alertmanager_config_last_reload_success_timestamp_seconds`.
    pub config_loaded_at: Timestamp,
    /// `alertmanager_notifications_failed_total`, webhook integration.
    pub notifications_failed: u64,
}

/// An alert that was active at the end of the baseline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BaselineAlert {
    /// All labels, with `alertname`.
    pub labels: Labels,
    /// `pending` or `firing`.
    pub state: String,
}

/// Replica counts of a workload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObservedWorkload {
    /// The workload.
    pub workload: WorkloadRef,
    /// When the watch delivered it.
    pub seen_at: Timestamp,
    /// `spec.replicas`.
    pub desired: i32,
    /// `status.readyReplicas`.
    pub ready: i32,
    /// `status.availableReplicas`.
    pub available: i32,
}

/// A notification as it arrived at the receiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notification {
    /// Receiver's name in Alertmanager's configuration.
    pub receiver: String,
    /// When it arrived.
    pub received_at: Timestamp,
    /// `firing` or `resolved`.
    pub status: String,
    /// Its alerts.
    pub alerts: Vec<NotifiedAlert>,
}

/// One alert of a notification.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NotifiedAlert {
    /// `firing` or `resolved`.
    pub status: String,
    /// All labels, with `alertname` and external labels.
    pub labels: Labels,
    /// `startsAt`.
    pub starts_at: Timestamp,
    /// `endsAt`; absent while firing.
    pub ends_at: Option<Timestamp>,
    /// Alertmanager's fingerprint of the labels.
    pub fingerprint: String,
}

/// One `ALERTS` series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertSeries {
    /// Labels without `__name__` and `alertstate`.
    pub labels: Labels,
    /// `pending` or `firing`.
    pub state: String,
    /// Maximal runs of samples, in order of time.
    pub intervals: Vec<AlertInterval>,
}

/// A maximal run of samples of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertInterval {
    /// First sample.
    pub from: Timestamp,
    /// Last sample that is not a stale marker.
    pub last: Timestamp,
    /// How it ended.
    pub end: IntervalEnd,
}

/// How a run of samples ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IntervalEnd {
    /// With a stale marker at this time: the alert left the state at that evaluation.
    Stale(Timestamp),
    /// Goes on at the end of the window.
    Open,
    /// Samples stopped without a marker: end unknown (crash, rule error).
    Unknown,
}

/// Value of a query at one evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sample {
    /// Evaluation time.
    pub at: Timestamp,
    /// One value per series. `NaN` and infinities are written as text.
    #[serde(with = "finite_or_text")]
    #[cfg_attr(feature = "schema", schemars(with = "Vec<finite_or_text::Value>"))]
    pub values: Vec<f64>,
}

/// Why a run was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// SIGINT or SIGTERM.
    Signal(String),
    /// The harness itself failed.
    Internal(String),
    /// An interrupted run was rolled back by `harness recover`.
    Recovered,
}

mod finite_or_text {
    //! JSON has no NaN or infinity: written as text, as Prometheus' API does.
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize)]
    #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
    #[serde(untagged)]
    pub(super) enum Value {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| match value.is_finite() {
            true => Value::Number(*value),
            false => Value::Text(value.to_string()),
        }))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Value>::deserialize(deserializer)?;
        let read = |value| match value {
            Value::Number(number) => Ok(number),
            Value::Text(text) => {
                text.parse().map_err(|_| D::Error::custom(format!("not a number: {text:?}")))
            }
        };
        values.into_iter().map(read).collect()
    }
}
