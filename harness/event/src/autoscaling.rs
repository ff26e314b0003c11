//! Autoscaling: what is expected of a HorizontalPodAutoscaler, and what was seen of it.

use serde::{Deserialize, Serialize};

use crate::{Millis, Timestamp, WorkloadRef};

/// Something that a HorizontalPodAutoscaler must do or not do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AutoscalerExpectation {
    /// Name of the HorizontalPodAutoscaler in the system's namespace.
    pub autoscaler: String,
    /// What.
    pub goal: AutoscalerGoal,
}

/// What is expected. Times count from the effect of the fault or the start of the load that the expectation names; "down" from
/// its revert or the load's end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "goal", rename_all = "snake_case")]
pub enum AutoscalerGoal {
    /// So many replicas are ready, scaled by the autoscaler, within this time.
    ScalesUpTo {
        /// At least so many; the autoscaler's `maxReplicas` if absent.
        replicas: Option<i32>,
        /// Deadline.
        within: Millis,
    },
    /// Whenever the autoscaler asks for more replicas, they are ready within this time, unless it asks for fewer before.
    ReadyLag {
        /// Longest time allowed.
        at_most: Millis,
    },
    /// The number of wanted replicas changes its direction (up to down, or down to up) at most so often in the run.
    /// Once is a surge that comes and goes.
    DirectionChanges {
        /// At most so often.
        at_most: u32,
    },
    /// Back to so many replicas within this time after the end, scaled by the autoscaler, and no more until the run ends.
    ScalesDownTo {
        /// At most so many; the autoscaler's `minReplicas` if absent.
        replicas: Option<i32>,
        /// Deadline.
        within: Millis,
    },
    /// The PodDisruptionBudget of this name has at least the healthy pods that it demands, in the whole run.
    KeepsBudget {
        /// Name of the PodDisruptionBudget in the system's namespace.
        budget: String,
    },
}

/// State of a HorizontalPodAutoscaler, as its watch delivered it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObservedAutoscaler {
    /// Its name.
    pub autoscaler: String,
    /// When the watch delivered it.
    pub seen_at: Timestamp,
    /// False once it is deleted; the numbers are then the last ones.
    pub exists: bool,
    /// The scaled workload.
    pub target: WorkloadRef,
    /// `spec.minReplicas`.
    pub min: i32,
    /// `spec.maxReplicas`.
    pub max: i32,
    /// `status.currentReplicas`.
    pub current: i32,
    /// `status.desiredReplicas`.
    pub desired: i32,
    /// `status.lastScaleTime`: when the autoscaler itself last changed the number of replicas. In whole seconds.
    pub last_scale_at: Option<Timestamp>,
    /// Each metric against its target as `kubectl get hpa` shows it: `cpu: 152%/50%`, `<unknown>` where there is no value.
    pub metrics: Vec<String>,
    /// Conditions as `AbleToScale=True(ReadyForNewScale)`.
    pub conditions: Vec<String>,
}

/// State of a PodDisruptionBudget, as its watch delivered it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ObservedBudget {
    /// Its name.
    pub budget: String,
    /// When the watch delivered it.
    pub seen_at: Timestamp,
    /// False once it is deleted.
    pub exists: bool,
    /// `status.currentHealthy`.
    pub healthy: i32,
    /// `status.desiredHealthy`.
    pub demanded: i32,
    /// False if `status.observedGeneration` is behind the object, or there is no status yet.
    pub up_to_date: bool,
}
