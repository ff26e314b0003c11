//! `autoscaling/v1` is another view of the autoscaler: one CPU target in the spec, everything else in annotations.

use serde_json::{Map, Value, json};

use super::resources::Resource;

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

/// Per source: its field, and the names of its parts in version 1 and as pointers in version 2.
const SPECS: [(&str, &[(&str, &str)]); 5] = [
    (
        "object",
        &[
            ("target", "/describedObject"),
            ("metricName", "/metric/name"),
            ("selector", "/metric/selector"),
            ("targetValue", "/target/value"),
            ("averageValue", "/target/averageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", "/metric/name"),
            ("selector", "/metric/selector"),
            ("targetAverageValue", "/target/averageValue"),
        ],
    ),
    (
        "resource",
        &[
            ("name", "/name"),
            ("targetAverageUtilization", "/target/averageUtilization"),
            ("targetAverageValue", "/target/averageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", "/name"),
            ("container", "/container"),
            ("targetAverageUtilization", "/target/averageUtilization"),
            ("targetAverageValue", "/target/averageValue"),
        ],
    ),
    (
        "external",
        &[
            ("metricName", "/metric/name"),
            ("metricSelector", "/metric/selector"),
            ("targetValue", "/target/value"),
            ("targetAverageValue", "/target/averageValue"),
        ],
    ),
];

/// As [`SPECS`], for the current values.
const STATUSES: [(&str, &[(&str, &str)]); 5] = [
    (
        "object",
        &[
            ("target", "/describedObject"),
            ("metricName", "/metric/name"),
            ("selector", "/metric/selector"),
            ("currentValue", "/current/value"),
            ("averageValue", "/current/averageValue"),
        ],
    ),
    (
        "pods",
        &[
            ("metricName", "/metric/name"),
            ("selector", "/metric/selector"),
            ("currentAverageValue", "/current/averageValue"),
        ],
    ),
    (
        "resource",
        &[
            ("name", "/name"),
            ("currentAverageUtilization", "/current/averageUtilization"),
            ("currentAverageValue", "/current/averageValue"),
        ],
    ),
    (
        "containerResource",
        &[
            ("name", "/name"),
            ("container", "/container"),
            ("currentAverageUtilization", "/current/averageUtilization"),
            ("currentAverageValue", "/current/averageValue"),
        ],
    ),
    (
        "external",
        &[
            ("metricName", "/metric/name"),
            ("metricSelector", "/metric/selector"),
            ("currentValue", "/current/value"),
            ("currentAverageValue", "/current/averageValue"),
        ],
    ),
];

/// True for the resource whose objects are stored in the other form.
pub fn applies(resource: &Resource) -> bool {
    resource.group == "autoscaling" && resource.version == "v1"
}

/// To the stored form, which is that of `autoscaling/v2`.
pub fn to_v2(mut object: Value) -> Value {
    let from_annotation = |object: &mut Value, name: &str| -> Value {
        let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        let text = annotations.and_then(|annotations| annotations.remove(name));
        text.as_ref()
            .and_then(Value::as_str)
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default()
    };
    let behavior = from_annotation(&mut object, BEHAVIOR);
    let conditions = from_annotation(&mut object, CONDITIONS);
    let metrics = from_annotation(&mut object, METRICS);
    let current = from_annotation(&mut object, CURRENT_METRICS);
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        let mut all = Vec::new();
        if let Some(target) = spec.remove("targetCPUUtilizationPercentage").filter(|target| !target.is_null())
        {
            all.push(cpu(json!({"target": {"type": "Utilization", "averageUtilization": target}})));
        }
        all.extend(metrics.as_array().into_iter().flatten().map(|metric| nested(metric, &SPECS)));
        if !all.is_empty() {
            spec.insert("metrics".to_owned(), all.into());
        }
        if !behavior.is_null() {
            spec.insert("behavior".to_owned(), behavior);
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        let mut all = Vec::new();
        let percent = status.remove("currentCPUUtilizationPercentage").filter(|percent| !percent.is_null());
        let listed = current.as_array().into_iter().flatten().map(|metric| nested(metric, &STATUSES));
        all.extend(listed);
        if let Some(percent) = percent.filter(|_| all.is_empty()) {
            all.push(cpu(json!({"current": {"averageUtilization": percent}})));
        }
        if !all.is_empty() {
            status.insert("currentMetrics".to_owned(), all.into());
        }
        if !conditions.is_null() {
            status.insert("conditions".to_owned(), conditions);
        }
    }
    object
}

/// From the stored form.
pub fn from_v2(mut object: Value) -> Value {
    let mut annotations = Map::new();
    if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
        let mut others: Vec<Value> = take_list(spec, "metrics");
        let at = others.iter().position(|metric| {
            metric["resource"]["name"] == "cpu"
                && !metric["resource"]["target"]["averageUtilization"].is_null()
        });
        if let Some(metric) = at.map(|at| others.remove(at)) {
            let target = metric["resource"]["target"]["averageUtilization"].clone();
            spec.insert("targetCPUUtilizationPercentage".to_owned(), target);
        }
        annotate(&mut annotations, METRICS, others.iter().map(|metric| flat(metric, &SPECS)).collect());
        if let Some(behavior) = spec.remove("behavior").filter(|behavior| !behavior.is_null()) {
            annotations.insert(BEHAVIOR.to_owned(), behavior.to_string().into());
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        let current: Vec<Value> = take_list(status, "currentMetrics");
        let cpu = current.iter().find(|metric| metric["resource"]["name"] == "cpu");
        if let Some(percent) = cpu.map(|cpu| &cpu["resource"]["current"]["averageUtilization"])
            && !percent.is_null()
        {
            status.insert("currentCPUUtilizationPercentage".to_owned(), percent.clone());
        }
        let known =
            current.iter().filter(|metric| metric["type"] != "").map(|metric| flat(metric, &STATUSES));
        annotate(&mut annotations, CURRENT_METRICS, known.collect());
        annotate(&mut annotations, CONDITIONS, take_list(status, "conditions"));
        for field in ["currentReplicas", "desiredReplicas"] {
            status.entry(field).or_insert_with(|| 0.into());
        }
    }
    if !annotations.is_empty() {
        if !object["metadata"]["annotations"].is_object() {
            object["metadata"]["annotations"] = json!({});
        }
        if let Some(all) = object["metadata"]["annotations"].as_object_mut() {
            all.append(&mut annotations);
        }
    }
    object
}

fn cpu(mut source: Value) -> Value {
    source["name"] = "cpu".into();
    json!({"type": "Resource", "resource": source})
}

fn take_list(fields: &mut Map<String, Value>, name: &str) -> Vec<Value> {
    match fields.remove(name) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

fn annotate(annotations: &mut Map<String, Value>, name: &str, list: Vec<Value>) {
    if !list.is_empty() {
        annotations.insert(name.to_owned(), Value::Array(list).to_string().into());
    }
}

/// A metric of version 2 in the flat form of version 1.
fn flat(metric: &Value, sources: &[(&str, &[(&str, &str)])]) -> Value {
    let mut out = json!({"type": metric["type"]});
    for (source, parts) in sources {
        let Some(given) = metric.get(*source).filter(|given| !given.is_null()) else { continue };
        let mut fields = Map::new();
        for (name, pointer) in *parts {
            if let Some(value) = given.pointer(pointer).filter(|value| !value.is_null()) {
                fields.insert((*name).to_owned(), value.clone());
            }
        }
        out[*source] = Value::Object(fields);
    }
    out
}

/// A metric of version 1 in the form of version 2, with the type of its target.
fn nested(metric: &Value, sources: &[(&str, &[(&str, &str)])]) -> Value {
    let mut out = json!({"type": metric["type"]});
    for (source, parts) in sources {
        let Some(given) = metric.get(*source).filter(|given| !given.is_null()) else { continue };
        let mut fields = json!({});
        for (name, pointer) in *parts {
            let Some(value) = given.get(*name).filter(|value| !value.is_null() && *value != "0") else {
                continue;
            };
            match pointer.trim_start_matches('/').split_once('/') {
                Some((outer, inner)) => fields[outer][inner] = value.clone(),
                None => fields[pointer.trim_start_matches('/')] = value.clone(),
            }
        }
        if let Some(target) = fields.get_mut("target").and_then(Value::as_object_mut) {
            let kind = if target.contains_key("averageUtilization") {
                "Utilization"
            } else if target.contains_key("averageValue") {
                "AverageValue"
            } else {
                "Value"
            };
            target.insert("type".to_owned(), kind.into());
        }
        out[*source] = fields;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_survives_the_way_through_version_1() {
        let stored = json!({
            "metadata": {"name": "web", "annotations": {"a": "b"}},
            "spec": {
                "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
                "minReplicas": 1, "maxReplicas": 5,
                "metrics": [
                    {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}},
                    {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "10"}}},
                    {"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "web"},
                        "metric": {"name": "hits"}, "target": {"type": "Value", "value": "2k"}}},
                    {"type": "External", "external": {"metric": {"name": "queue", "selector": {"matchLabels": {"q": "votes"}}},
                        "target": {"type": "AverageValue", "averageValue": "30"}}},
                ],
                "behavior": {"scaleDown": {"selectPolicy": "Disabled"}},
            },
            "status": {
                "currentReplicas": 1, "desiredReplicas": 2,
                "currentMetrics": [{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 90, "averageValue": "45m"}}}],
                "conditions": [{"type": "AbleToScale", "status": "True", "reason": "ReadyForNewScale"}],
            },
        });
        let first = from_v2(stored.clone());
        assert_eq!(first["spec"]["targetCPUUtilizationPercentage"], 80);
        assert_eq!(first["status"]["currentCPUUtilizationPercentage"], 90);
        assert!(first["spec"].get("metrics").is_none() && first["status"].get("conditions").is_none());
        assert_eq!(to_v2(first), stored);
    }

    #[test]
    fn what_kubectl_autoscale_posts_becomes_a_cpu_metric() {
        let posted = json!({"metadata": {"name": "h"}, "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 50}});
        let expected = json!([{"type": "Resource",
            "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]);
        assert_eq!(to_v2(posted)["spec"]["metrics"], expected);
    }
}
