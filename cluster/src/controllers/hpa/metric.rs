//! One metric of an autoscaler: what it proposes, what the status shows of it, and how failures are worded.

use k8s_openapi::{
    api::autoscaling::v2::{
        ContainerResourceMetricStatus, ExternalMetricStatus, MetricSpec, MetricStatus, MetricTarget,
        MetricValueStatus, ObjectMetricStatus, PodsMetricStatus, ResourceMetricStatus,
    },
    apimachinery::pkg::{
        api::resource::Quantity,
        apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
    },
};

use super::replicas::{Proposal, Samples, Workload};
use crate::kubelet::quantity;

/// What the metrics APIs answered for one metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Reading {
    /// One sample per pod (Resource, ContainerResource, Pods).
    Pods(Samples),
    /// Values in thousandths: one for an Object, one per series for External.
    Values(Vec<i64>),
}

/// What one metric asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Replicas.
    pub replicas: i32,
    /// The metric as messages name it.
    pub name: String,
    /// Entry of `status.currentMetrics`.
    pub status: MetricStatus,
}

/// Why a metric asks for nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Reason of the event and the condition.
    pub reason: &'static str,
    /// Text of the event, and of the condition after its introduction.
    pub message: String,
    /// The same as part of the summary over all metrics.
    pub summary: String,
}

/// Evaluates a metric. A reading that is an error carries the words of the metrics client.
pub fn evaluate(
    metric: &MetricSpec,
    reading: &Result<Reading, String>,
    workload: &Workload<'_>,
    namespace: &str,
) -> Result<Evaluation, Failure> {
    if let Some(source) = &metric.resource {
        let found =
            resource(&source.target, &source.name, None, reading, workload).map_err(|message| Failure {
                reason: "FailedGetResourceMetric",
                summary: format!("failed to get {} resource metric value: {message}", source.name),
                message,
            })?;
        let status = ResourceMetricStatus { name: source.name.clone(), current: found.status };
        let status =
            MetricStatus { type_: metric.type_.clone(), resource: Some(status), ..MetricStatus::default() };
        return Ok(Evaluation { replicas: found.replicas, name: found.name, status });
    }
    if let Some(source) = &metric.container_resource {
        let container = Some(source.container.as_str());
        let found =
            resource(&source.target, &source.name, container, reading, workload).map_err(|message| {
                Failure {
                    reason: "FailedGetContainerResourceMetric",
                    summary: format!("failed to get {} container metric value: {message}", source.container),
                    message,
                }
            })?;
        let status = ContainerResourceMetricStatus {
            name: source.name.clone(),
            container: source.container.clone(),
            current: found.status,
        };
        let status = MetricStatus {
            type_: metric.type_.clone(),
            container_resource: Some(status),
            ..MetricStatus::default()
        };
        return Ok(Evaluation { replicas: found.replicas, name: found.name, status });
    }
    if metric.pods.is_some() {
        return pods(metric, reading, workload);
    }
    if metric.object.is_some() {
        return object(metric, reading, workload, namespace);
    }
    if metric.external.is_some() {
        return external(metric, reading, workload, namespace);
    }
    let message = format!("unknown metric source type {:?}", metric.type_);
    Err(Failure { reason: "InvalidMetricSourceType", summary: message.clone(), message })
}

struct Found {
    replicas: i32,
    name: String,
    status: MetricValueStatus,
}

fn milli(quantity: Option<&Quantity>) -> Option<i64> {
    quantity.and_then(quantity::milli).and_then(|value| i64::try_from(value).ok())
}

fn samples(reading: &Result<Reading, String>) -> Result<Samples, String> {
    match reading {
        Ok(Reading::Pods(samples)) => Ok(samples.clone()),
        Ok(Reading::Values(_)) => Ok(Samples::new()),
        Err(error) => Err(error.clone()),
    }
}

fn resource(
    target: &MetricTarget,
    resource: &str,
    container: Option<&str>,
    reading: &Result<Reading, String>,
    workload: &Workload<'_>,
) -> Result<Found, String> {
    let samples =
        samples(reading).map_err(|error| format!("unable to get metrics for resource {resource}: {error}"));
    if let Some(average) = milli(target.average_value.as_ref()) {
        let proposal = samples.and_then(|samples| workload.average(samples, resource == "cpu", average));
        let proposal = proposal.map_err(|error| format!("failed to get {resource} usage: {error}"))?;
        let name = format!("{resource} resource");
        return Ok(Found { replicas: proposal.replicas, name, status: average_status(&proposal) });
    }
    let Some(percent) = target.average_utilization else {
        return Err("invalid resource metric source: neither an average utilization target nor an average value (usage) target \
                    was set"
            .to_owned());
    };
    let proposal = samples.and_then(|samples| workload.utilization(samples, resource, container, percent));
    let proposal = proposal.map_err(|error| format!("failed to get {resource} utilization: {error}"))?;
    let of = if container.is_some() { "container resource" } else { "resource" };
    let name = format!("{resource} {of} utilization (percentage of request)");
    Ok(Found { replicas: proposal.replicas, name, status: average_status(&proposal) })
}

fn average_status(proposal: &Proposal) -> MetricValueStatus {
    MetricValueStatus {
        average_utilization: proposal.utilization,
        average_value: Some(thousandths(proposal.value)),
        value: None,
    }
}

fn value_status(proposal: &Proposal) -> MetricValueStatus {
    MetricValueStatus { value: Some(thousandths(proposal.value)), ..MetricValueStatus::default() }
}

fn pods(
    metric: &MetricSpec,
    reading: &Result<Reading, String>,
    workload: &Workload<'_>,
) -> Result<Evaluation, Failure> {
    let failed = |message: String| Failure {
        reason: "FailedGetPodsMetric",
        summary: format!("failed to get pods metric value: {message}"),
        message,
    };
    let Some(source) = &metric.pods else { return Err(failed("the metric has no pods source".to_owned())) };
    let name = &source.metric.name;
    let target = milli(source.target.average_value.as_ref())
        .ok_or_else(|| failed("invalid pods metric source: no average value target was set".to_owned()))?;
    let samples = samples(reading).map_err(|error| format!("unable to get metric {name}: {error}"));
    let proposal = samples.and_then(|samples| workload.average(samples, false, target)).map_err(failed)?;
    let status = PodsMetricStatus { metric: source.metric.clone(), current: average_status(&proposal) };
    let status = MetricStatus { type_: metric.type_.clone(), pods: Some(status), ..MetricStatus::default() };
    Ok(Evaluation { replicas: proposal.replicas, name: format!("pods metric {name}"), status })
}

/// Sum of all series.
fn total(reading: &Result<Reading, String>) -> Result<i64, String> {
    match reading {
        Ok(Reading::Values(values)) => Ok(values.iter().fold(0_i64, |sum, value| sum.saturating_add(*value))),
        Ok(Reading::Pods(_)) => Err("no single value returned".to_owned()),
        Err(error) => Err(error.clone()),
    }
}

fn object(
    metric: &MetricSpec,
    reading: &Result<Reading, String>,
    workload: &Workload<'_>,
    namespace: &str,
) -> Result<Evaluation, Failure> {
    let failed = |message: String, context: &str| Failure {
        reason: "FailedGetObjectMetric",
        summary: format!("failed to get object metric value: {context}{message}"),
        message,
    };
    let Some(source) = &metric.object else {
        return Err(failed("the metric has no object source".to_owned(), ""));
    };
    let (name, described) = (&source.metric.name, &source.described_object);
    let value = total(reading).map_err(|error| {
        let (kind, object) = (&described.kind, &described.name);
        format!("unable to get metric {name}: {kind} on {namespace} {object}/{error}")
    });
    let status = |current| MetricStatus {
        type_: metric.type_.clone(),
        object: Some(ObjectMetricStatus {
            current,
            described_object: described.clone(),
            metric: source.metric.clone(),
        }),
        ..MetricStatus::default()
    };
    if source.target.type_ == "Value"
        && let Some(target) = milli(source.target.value.as_ref())
    {
        let proposal =
            value.and_then(|value| workload.total(value, target)).map_err(|error| failed(error, ""))?;
        let name = format!("{} metric {name}", described.kind);
        return Ok(Evaluation { replicas: proposal.replicas, name, status: status(value_status(&proposal)) });
    }
    if source.target.type_ == "AverageValue"
        && let Some(target) = milli(source.target.average_value.as_ref())
    {
        let context = format!("failed to get {name} object metric: ");
        let value = value.map_err(|error| failed(error, &context))?;
        let proposal = workload.total_per_pod(value, target);
        let name = format!("external metric {name}({})", selector_text(source.metric.selector.as_ref()));
        return Ok(Evaluation {
            replicas: proposal.replicas,
            name,
            status: status(average_status(&proposal)),
        });
    }
    let message = "invalid object metric source: neither a value target nor an average value target was set";
    Err(failed(message.to_owned(), ""))
}

fn external(
    metric: &MetricSpec,
    reading: &Result<Reading, String>,
    workload: &Workload<'_>,
    namespace: &str,
) -> Result<Evaluation, Failure> {
    let named = metric.external.as_ref().map(|source| source.metric.name.as_str()).unwrap_or_default();
    let failed = |message: String, context: String| Failure {
        reason: "FailedGetExternalMetric",
        summary: format!("failed to get {named} external metric value: {context}{message}"),
        message,
    };
    let Some(source) = &metric.external else {
        return Err(failed("the metric has no external source".to_owned(), String::new()));
    };
    let selector = selector_text(source.metric.selector.as_ref());
    let value = total(reading)
        .map_err(|error| format!("unable to get external metric {namespace}/{named}/{selector}: {error}"));
    let status = |current| MetricStatus {
        type_: metric.type_.clone(),
        external: Some(ExternalMetricStatus { current, metric: source.metric.clone() }),
        ..MetricStatus::default()
    };
    let name = format!("external metric {named}({selector})");
    if let Some(target) = milli(source.target.average_value.as_ref()) {
        let value =
            value.map_err(|error| failed(error, format!("failed to get {named} external metric: ")))?;
        let proposal = workload.total_per_pod(value, target);
        return Ok(Evaluation {
            replicas: proposal.replicas,
            name,
            status: status(average_status(&proposal)),
        });
    }
    if let Some(target) = milli(source.target.value.as_ref()) {
        let proposal = value
            .and_then(|value| workload.total(value, target))
            .map_err(|error| failed(error, format!("failed to get external metric {named}: ")))?;
        return Ok(Evaluation { replicas: proposal.replicas, name, status: status(value_status(&proposal)) });
    }
    let message =
        "invalid external metric source: neither a value target nor an average value target was set";
    Err(failed(message.to_owned(), String::new()))
}

/// A quantity of thousandths in its canonical form: `35m`, `2`, `1500m`, `12k`.
pub fn thousandths(value: i64) -> Quantity {
    if value % 1000 != 0 {
        return Quantity(format!("{value}m"));
    }
    let (mut value, mut suffix) = (value / 1000, "");
    for next in ["k", "M", "G", "T", "P"] {
        if value == 0 || value % 1000 != 0 {
            break;
        }
        (value, suffix) = (value / 1000, next);
    }
    Quantity(format!("{value}{suffix}"))
}

/// A selector as Go prints it, which is how messages about external metrics show it.
fn selector_text(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels: String =
        selector.match_labels.iter().flatten().map(|(key, value)| format!("{key}: {value},")).collect();
    let requirement = |requirement: &LabelSelectorRequirement| {
        let values = requirement.values.as_deref().unwrap_or_default().join(" ");
        format!(
            "LabelSelectorRequirement{{Key:{},Operator:{},Values:[{values}],}},",
            requirement.key, requirement.operator
        )
    };
    let expressions: String = selector.match_expressions.iter().flatten().map(requirement).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_canonical() {
        let cases = [
            (0, "0"),
            (4, "4m"),
            (1000, "1"),
            (1500, "1500m"),
            (2_000_000, "2k"),
            (1_500_000, "1500"),
            (-5, "-5m"),
        ];
        for (value, expected) in cases {
            assert_eq!(thousandths(value).0, expected, "{value}");
        }
    }

    #[test]
    fn selectors_are_printed_as_go_does() {
        assert_eq!(selector_text(None), "nil");
        let selector = serde_json::from_value(json!({"matchLabels": {"queue": "votes"}})).unwrap();
        let expected = "&LabelSelector{MatchLabels:map[string]string{queue: votes,},MatchExpressions:[]LabelSelectorRequirement{},}";
        assert_eq!(selector_text(Some(&selector)), expected);
    }
}
