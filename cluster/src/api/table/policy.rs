//! Cells of autoscalers and disruption budgets.

use serde_json::{Value, json};

use super::Column;
use crate::store::text_at;

/// Metrics shown before `+ N more...`.
const SHOWN: usize = 2;
const UNKNOWN: &str = "<unknown>";

/// Columns of autoscalers.
pub const AUTOSCALER: &[Column] = &[
    ("Name", "string", 0),
    ("Reference", "string", 0),
    ("Targets", "string", 0),
    ("MinPods", "string", 0),
    ("MaxPods", "string", 0),
    ("Replicas", "string", 0),
    ("Age", "string", 0),
];
/// Columns of disruption budgets.
pub const DISRUPTION_BUDGET: &[Column] = &[
    ("Name", "string", 0),
    ("Min Available", "string", 0),
    ("Max Unavailable", "string", 0),
    ("Allowed Disruptions", "integer", 0),
    ("Age", "string", 0),
];

/// An autoscaler in its stored form.
pub fn autoscaler(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let spec = &object["spec"];
    let reference = format!(
        "{}/{}",
        text_at(object, "/spec/scaleTargetRef/kind"),
        text_at(object, "/spec/scaleTargetRef/name")
    );
    let minimum =
        spec["minReplicas"].as_i64().map_or_else(|| "<unset>".to_owned(), |count| count.to_string());
    vec![
        name,
        json!(reference),
        json!(targets(&spec["metrics"], &object["status"]["currentMetrics"])),
        json!(minimum),
        json!(spec["maxReplicas"].as_i64().unwrap_or(0)),
        json!(object["status"]["currentReplicas"].as_i64().unwrap_or(0)),
        age,
    ]
}

fn targets(wanted: &Value, current: &Value) -> String {
    let wanted = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
    if wanted.is_empty() {
        return "<none>".to_owned();
    }
    let shown: Vec<String> = wanted
        .iter()
        .take(SHOWN)
        .enumerate()
        .map(|(index, metric)| target(metric, &current[index]))
        .collect();
    let shown = shown.join(", ");
    match wanted.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} + {more} more..."),
    }
}

/// `cpu: 8%/80%`; the status has one entry for each metric of the spec, an empty one where there is no value.
fn target(metric: &Value, current: &Value) -> String {
    let (field, named) = match metric["type"].as_str() {
        Some("Resource") => ("resource", true),
        Some("ContainerResource") => ("containerResource", true),
        Some("Pods") => ("pods", false),
        Some("Object") => ("object", false),
        Some("External") => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let (wanted, now) = (&metric[field]["target"], &current[field]["current"]);
    let text = |value: &Value| value.as_str().unwrap_or(UNKNOWN).to_owned();
    let prefix =
        if named { format!("{}: ", text_at(metric, &format!("/{field}/name"))) } else { String::new() };
    if !wanted["averageValue"].is_null() {
        let average = if matches!(field, "object" | "external") { " (avg)" } else { "" };
        return format!("{prefix}{}/{}{average}", text(&now["averageValue"]), text(&wanted["averageValue"]));
    }
    if !wanted["averageUtilization"].is_null() {
        let percent = |value: &Value| {
            value.as_i64().map_or_else(|| UNKNOWN.to_owned(), |percent| format!("{percent}%"))
        };
        return format!(
            "{prefix}{}/{}",
            percent(&now["averageUtilization"]),
            percent(&wanted["averageUtilization"])
        );
    }
    format!("{prefix}{}/{}", text(&now["value"]), text(&wanted["value"]))
}

/// A disruption budget.
pub fn disruption_budget(object: &Value, name: Value, age: Value) -> Vec<Value> {
    let amount = |value: &Value| match value {
        Value::Null => "N/A".to_owned(),
        Value::String(text) => text.clone(),
        number => number.to_string(),
    };
    vec![
        name,
        json!(amount(&object["spec"]["minAvailable"])),
        json!(amount(&object["spec"]["maxUnavailable"])),
        json!(object["status"]["disruptionsAllowed"].as_i64().unwrap_or(0)),
        age,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_look_as_recorded_from_a_real_server() {
        let mut object = json!({
            "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 5,
                "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 80}}}]},
            "status": {"currentReplicas": 3, "desiredReplicas": 0, "currentMetrics": [{"type": ""}]},
        });
        let cells = |object: &Value| Value::Array(autoscaler(object, json!("web"), json!("8s")));
        let expected = json!(["web", "Deployment/web", "cpu: <unknown>/80%", "2", 5, 3, "8s"]);
        assert_eq!(cells(&object), expected);
        let metrics = &mut object["spec"]["metrics"];
        let external = json!({"type": "External", "external": {"metric": {"name": "q"}, "target": {"averageValue": "30"}}});
        let object_metric =
            json!({"type": "Object", "object": {"metric": {"name": "q"}, "target": {"value": "2k"}}});
        metrics.as_array_mut().unwrap().extend([external, object_metric]);
        object["status"]["currentMetrics"] = json!([
            {"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 8, "averageValue": "4m"}}},
            {"type": "External", "external": {"current": {"averageValue": "12500m"}}}, {"type": ""}]);
        assert_eq!(cells(&object)[2], "cpu: 8%/80%, 12500m/30 (avg) + 1 more...");

        let object = json!({"spec": {"minAvailable": 2}, "status": {"disruptionsAllowed": 1}});
        let expected = json!(["web", "2", "N/A", 1, "8s"]);
        assert_eq!(Value::Array(disruption_budget(&object, json!("web"), json!("8s"))), expected);
    }
}
