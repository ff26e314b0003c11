//! What kube-controller-manager lets the operator of a cluster choose.

use std::time::Duration;

/// Options of the autoscaler, with the defaults of kube-controller-manager.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AutoscalerOptions {
    /// Time between two looks at an autoscaler (`--horizontal-pod-autoscaler-sync-period`).
    pub sync_period: Duration,
    /// How far back the highest recommendation counts before pods are removed
    /// (`--horizontal-pod-autoscaler-downscale-stabilization`).
    pub downscale_stabilization: Duration,
    /// Deviation of the usage from its target, as a ratio, that changes nothing (`--horizontal-pod-autoscaler-tolerance`).
    pub tolerance: f64,
    /// Time after a pod's start in which CPU samples count only if the pod was ready for the whole sample
    /// (`--horizontal-pod-autoscaler-cpu-initialization-period`).
    pub cpu_initialization_period: Duration,
    /// Time after a pod's start in which becoming unready means that it has never been ready
    /// (`--horizontal-pod-autoscaler-initial-readiness-delay`).
    pub initial_readiness_delay: Duration,
}

impl Default for AutoscalerOptions {
    fn default() -> Self {
        Self {
            sync_period: Duration::from_secs(15),
            downscale_stabilization: Duration::from_secs(300),
            tolerance: 0.1,
            cpu_initialization_period: Duration::from_secs(300),
            initial_readiness_delay: Duration::from_secs(30),
        }
    }
}
