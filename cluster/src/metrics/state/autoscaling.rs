//! The series of HorizontalPodAutoscalers and PodDisruptionBudgets.

use k8s_openapi::{
    api::{
        autoscaling::v2::{HorizontalPodAutoscaler, MetricSpec, MetricStatus},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::api::resource::Quantity,
};

use super::family::{Family, Lines, amount, gauge, identity};

/// What is told about autoscalers.
pub static AUTOSCALERS: [Family; 13] = [
    gauge("kube_horizontalpodautoscaler_info", "Information about this autoscaler."),
    gauge(
        "kube_horizontalpodautoscaler_metadata_generation",
        "The generation observed by the HorizontalPodAutoscaler controller.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_spec_max_replicas",
        "Upper limit for the number of pods that can be set by the autoscaler; cannot be smaller than MinReplicas.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_spec_min_replicas",
        "Lower limit for the number of pods that can be set by the autoscaler, default 1.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_spec_target_metric",
        "The metric specifications used by this autoscaler when calculating the desired replica count.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_spec_behavior_scale_down_tolerance",
        "The tolerance on the ratio between the current and desired metric value below which no scale down occurs.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_spec_behavior_scale_up_tolerance",
        "The tolerance on the ratio between the current and desired metric value below which no scale up occurs.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_status_target_metric",
        "The current metric status used by this autoscaler when calculating the desired replica count.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_status_current_replicas",
        "Current number of replicas of pods managed by this autoscaler.",
    ),
    gauge(
        "kube_horizontalpodautoscaler_status_desired_replicas",
        "Desired number of replicas of pods managed by this autoscaler.",
    ),
    gauge("kube_horizontalpodautoscaler_status_condition", "The condition of this autoscaler."),
    gauge("kube_horizontalpodautoscaler_created", "Unix creation timestamp"),
    gauge("kube_horizontalpodautoscaler_deletion_timestamp", "Unix deletion timestamp"),
];

/// What is told about disruption budgets.
pub static BUDGETS: [Family; 7] = [
    gauge("kube_poddisruptionbudget_created", "Unix creation timestamp"),
    gauge("kube_poddisruptionbudget_status_current_healthy", "Current number of healthy pods"),
    gauge("kube_poddisruptionbudget_status_desired_healthy", "Minimum desired number of healthy pods"),
    gauge(
        "kube_poddisruptionbudget_status_pod_disruptions_allowed",
        "Number of pod disruptions that are currently allowed",
    ),
    gauge(
        "kube_poddisruptionbudget_status_expected_pods",
        "Total number of pods counted by this disruption budget",
    ),
    gauge(
        "kube_poddisruptionbudget_status_observed_generation",
        "Most recent generation observed when updating this PDB status",
    ),
    gauge("kube_poddisruptionbudget_deletion_timestamp", "Unix deletion timestamp"),
];

/// A metric with its container (for the metrics of one container), and its value in up to three forms.
struct Target<'a> {
    metric: &'a str,
    container: &'a str,
    value: Option<&'a Quantity>,
    average: Option<&'a Quantity>,
    utilization: Option<i32>,
}

impl Target<'_> {
    fn write(&self, family: &str, lines: &mut Lines) {
        let forms = [
            ("value", self.value.and_then(amount)),
            ("average", self.average.and_then(amount)),
            ("utilization", self.utilization.map(f64::from)),
        ];
        for (form, value) in forms {
            if let Some(value) = value {
                let labels = [
                    ("metric_name", self.metric),
                    ("metric_target_type", form),
                    ("container", self.container),
                ];
                lines.add(family, &labels, value);
            }
        }
    }
}

macro_rules! target {
    ($metric:expr, $container:expr, $of:expr) => {
        Target {
            metric: $metric,
            container: $container,
            value: $of.value.as_ref(),
            average: $of.average_value.as_ref(),
            utilization: $of.average_utilization,
        }
    };
}

fn wanted(spec: &MetricSpec) -> Option<Target<'_>> {
    Some(match spec.type_.as_str() {
        "Object" => spec.object.as_ref().map(|it| target!(&it.metric.name, "", it.target))?,
        "Pods" => spec.pods.as_ref().map(|it| target!(&it.metric.name, "", it.target))?,
        "Resource" => spec.resource.as_ref().map(|it| target!(&it.name, "", it.target))?,
        "ContainerResource" => {
            spec.container_resource.as_ref().map(|it| target!(&it.name, &it.container, it.target))?
        }
        "External" => spec.external.as_ref().map(|it| target!(&it.metric.name, "", it.target))?,
        _ => return None,
    })
}

fn seen(status: &MetricStatus) -> Option<Target<'_>> {
    Some(match status.type_.as_str() {
        "Object" => status.object.as_ref().map(|it| target!(&it.metric.name, "", it.current))?,
        "Pods" => status.pods.as_ref().map(|it| target!(&it.metric.name, "", it.current))?,
        "Resource" => status.resource.as_ref().map(|it| target!(&it.name, "", it.current))?,
        "ContainerResource" => {
            status.container_resource.as_ref().map(|it| target!(&it.name, &it.container, it.current))?
        }
        "External" => status.external.as_ref().map(|it| target!(&it.metric.name, "", it.current))?,
        _ => return None,
    })
}

/// The lines of an autoscaler.
pub fn autoscaler(object: &HorizontalPodAutoscaler) -> Lines {
    let metadata = &object.metadata;
    let prefix = "kube_horizontalpodautoscaler";
    let mut lines = Lines::new(&AUTOSCALERS, identity("horizontalpodautoscaler", metadata));
    lines.add_time(&format!("{prefix}_created"), &[], metadata.creation_timestamp.as_ref());
    lines.add_time(&format!("{prefix}_deletion_timestamp"), &[], metadata.deletion_timestamp.as_ref());
    lines.add(&format!("{prefix}_metadata_generation"), &[], metadata.generation.unwrap_or(0) as f64);
    let spec = &object.spec;
    let target = &spec.scale_target_ref;
    let mut labels =
        vec![("scaletargetref_kind", target.kind.as_str()), ("scaletargetref_name", target.name.as_str())];
    if let Some(version) = target.api_version.as_deref().filter(|version| !version.is_empty()) {
        labels.insert(0, ("scaletargetref_api_version", version));
    }
    lines.add(&format!("{prefix}_info"), &labels, 1);
    lines.add(&format!("{prefix}_spec_max_replicas"), &[], spec.max_replicas);
    lines.add(&format!("{prefix}_spec_min_replicas"), &[], spec.min_replicas.unwrap_or(1));
    for metric in spec.metrics.iter().flatten().filter_map(wanted) {
        metric.write(&format!("{prefix}_spec_target_metric"), &mut lines);
    }
    let behavior = spec.behavior.as_ref();
    let down = behavior.and_then(|both| both.scale_down.as_ref()?.tolerance.as_ref());
    let up = behavior.and_then(|both| both.scale_up.as_ref()?.tolerance.as_ref());
    lines.add_some(&format!("{prefix}_spec_behavior_scale_down_tolerance"), down.and_then(amount));
    lines.add_some(&format!("{prefix}_spec_behavior_scale_up_tolerance"), up.and_then(amount));
    let status = object.status.clone().unwrap_or_default();
    lines.add(&format!("{prefix}_status_current_replicas"), &[], status.current_replicas.unwrap_or(0));
    lines.add(&format!("{prefix}_status_desired_replicas"), &[], status.desired_replicas);
    for metric in status.current_metrics.iter().flatten().filter_map(seen) {
        metric.write(&format!("{prefix}_status_target_metric"), &mut lines);
    }
    for condition in status.conditions.iter().flatten() {
        let labels = [("condition", condition.type_.as_str())];
        lines.add_condition(&format!("{prefix}_status_condition"), &labels, "status", &condition.status);
    }
    lines
}

/// The lines of a disruption budget.
pub fn budget(object: &PodDisruptionBudget) -> Lines {
    let metadata = &object.metadata;
    let prefix = "kube_poddisruptionbudget";
    let mut lines = Lines::new(&BUDGETS, identity("poddisruptionbudget", metadata));
    lines.add_time(&format!("{prefix}_created"), &[], metadata.creation_timestamp.as_ref());
    lines.add_time(&format!("{prefix}_deletion_timestamp"), &[], metadata.deletion_timestamp.as_ref());
    let status = object.status.clone().unwrap_or_default();
    lines.add(&format!("{prefix}_status_current_healthy"), &[], status.current_healthy.unwrap_or(0));
    lines.add(&format!("{prefix}_status_desired_healthy"), &[], status.desired_healthy.unwrap_or(0));
    lines.add(
        &format!("{prefix}_status_pod_disruptions_allowed"),
        &[],
        status.disruptions_allowed.unwrap_or(0),
    );
    lines.add(&format!("{prefix}_status_expected_pods"), &[], status.expected_pods.unwrap_or(0));
    let generation = status.observed_generation.unwrap_or(0) as f64;
    lines.add(&format!("{prefix}_status_observed_generation"), &[], generation);
    lines
}
