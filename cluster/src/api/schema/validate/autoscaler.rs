//! HorizontalPodAutoscalers, in their stored form.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use serde_json::{Value, json};

use crate::{api::status::FieldError, kubelet::quantity};

/// Sources of metrics: type and field.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
/// Longest window of past recommendations, in seconds.
const MAX_WINDOW: i64 = 3600;
/// Longest period of a policy, in seconds.
const MAX_PERIOD: i64 = 1800;

pub fn autoscaler(spec: &Value, errors: &mut Vec<FieldError>) {
    let minimum = &spec["minReplicas"];
    let maximum = &spec["maxReplicas"];
    if minimum.as_i64().is_some_and(|minimum| minimum < 0) {
        errors.push(FieldError::invalid("spec.minReplicas", minimum, "must be greater than or equal to 0"));
    }
    let number = maximum.as_i64().unwrap_or(0);
    if number < 1 {
        errors.push(FieldError::invalid("spec.maxReplicas", &json!(number), "must be greater than 0"));
    }
    if minimum.as_i64().is_some_and(|minimum| number < minimum) {
        let why = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid("spec.maxReplicas", &json!(number), why));
    }
    reference(&spec["scaleTargetRef"], "spec.scaleTargetRef", errors);
    let metrics = spec["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, metric) in metrics.iter().enumerate() {
        self::metric(metric, &format!("spec.metrics[{index}]"), errors);
    }
    let to_zero = minimum.as_i64() == Some(0);
    if to_zero && !metrics.iter().any(|metric| metric["type"] == "Object" || metric["type"] == "External") {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(FieldError::forbidden("spec.metrics", why));
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &spec["behavior"][direction];
        if !rules.is_null() {
            self::rules(rules, &format!("spec.behavior.{direction}"), errors);
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn reference(reference: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for field in ["kind", "name"] {
        let value = text(&reference[field]);
        if value.is_empty() {
            errors.push(FieldError::required(format!("{path}.{field}"), ""));
        } else if value.contains(['/', '%']) || matches!(value, "." | "..") {
            let why = "may not contain '/' or '%' and may not be '.' or '..'";
            errors.push(FieldError::invalid(format!("{path}.{field}"), &reference[field], why));
        }
    }
}

fn metric(metric: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let kind = text(&metric["type"]);
    if kind.is_empty() {
        errors.push(FieldError::required(format!("{path}.type"), "must specify a metric source type"));
        return;
    }
    let Some((_, field)) = SOURCES.iter().find(|(known, _)| *known == kind) else {
        let known: Vec<&str> = SOURCES.iter().map(|(known, _)| *known).collect();
        errors.push(FieldError::unsupported(format!("{path}.type"), &metric["type"], &known));
        return;
    };
    let mut present = false;
    for (_, other) in SOURCES {
        if metric[other].is_null() {
            continue;
        }
        present |= other == *field;
        if other != *field {
            let why = "must populate the given metric source only";
            errors.push(FieldError::forbidden(format!("{path}.{other}"), why));
        }
    }
    let path = format!("{path}.{field}");
    if !present {
        errors.push(FieldError::required(path, "must populate information for the given metric source"));
        return;
    }
    source(field, &metric[*field], &path, errors);
}

fn source(field: &str, source: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let target = &source["target"];
    let given = |name: &str| !target[name].is_null();
    match field {
        "resource" | "containerResource" => {
            if text(&source["name"]).is_empty() {
                errors.push(FieldError::required(format!("{path}.name"), "must specify a resource name"));
            }
            if field == "containerResource" && text(&source["container"]).is_empty() {
                errors.push(FieldError::required(format!("{path}.container"), "must specify a container"));
            }
        }
        _ => {
            if field == "object" {
                reference(&source["describedObject"], &format!("{path}.describedObject"), errors);
            }
            let name = text(&source["metric"]["name"]);
            if name.is_empty() {
                errors
                    .push(FieldError::required(format!("{path}.metric.name"), "must specify a metric name"));
            } else if name.contains(['/', '%']) || matches!(name, "." | "..") {
                let why = "may not contain '/' or '%' and may not be '.' or '..'";
                errors.push(FieldError::invalid(
                    format!("{path}.metric.name"),
                    &source["metric"]["name"],
                    why,
                ));
            }
        }
    }
    self::target(target, &format!("{path}.target"), errors);
    let at = |name: &str| format!("{path}.target.{name}");
    match field {
        "pods" => {
            if !given("averageValue") {
                let why = "must specify a positive target averageValue";
                errors.push(FieldError::required(at("averageValue"), why));
            }
        }
        "object" => {
            if !given("value") && !given("averageValue") {
                let why = "must set either a target value or averageValue";
                errors.push(FieldError::required(at("averageValue"), why));
            }
        }
        "external" => {
            if !given("value") && !given("averageValue") {
                let why = "must set either a target value for metric or a per-pod target";
                errors.push(FieldError::required(at("averageValue"), why));
            } else if given("value") && given("averageValue") {
                let why = "may not set both a target value for metric and a per-pod target";
                errors.push(FieldError::forbidden(at("value"), why));
            }
        }
        _ => {
            if !given("averageUtilization") && !given("averageValue") {
                let why = "must set either a target raw value or a target utilization";
                errors.push(FieldError::required(at("averageUtilization"), why));
            } else if given("averageUtilization") && given("averageValue") {
                let why = "may not set both a target raw value and a target utilization";
                errors.push(FieldError::forbidden(at("averageValue"), why));
            }
        }
    }
}

fn target(target: &Value, path: &str, errors: &mut Vec<FieldError>) {
    match text(&target["type"]) {
        "" => errors.push(FieldError::required(format!("{path}.type"), "must specify a metric target type")),
        "Utilization" | "Value" | "AverageValue" => {}
        _ => {
            let why = "must be either Utilization, Value, or AverageValue";
            errors.push(FieldError::invalid(format!("{path}.type"), &target["type"], why));
        }
    }
    for field in ["value", "averageValue"] {
        let given = &target[field];
        if given.is_null() {
            continue;
        }
        match quantity::milli(&Quantity(text(given).to_owned())) {
            Some(milli) if milli > 0 => {}
            Some(_) => errors.push(FieldError::invalid(format!("{path}.{field}"), given, "must be positive")),
            None => {
                let why = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                errors.push(FieldError::invalid(format!("{path}.{field}"), given, why));
            }
        }
    }
    if let Some(percent) = target["averageUtilization"].as_i64()
        && percent < 1
    {
        let field = format!("{path}.averageUtilization");
        errors.push(FieldError::invalid(field, &json!(percent), "must be greater than 0"));
    }
}

fn rules(rules: &Value, path: &str, errors: &mut Vec<FieldError>) {
    let at = |field: &str| format!("{path}.{field}");
    let window = &rules["stabilizationWindowSeconds"];
    if window.as_i64().is_some_and(|seconds| seconds < 0) {
        let why = "must be greater than or equal to zero";
        errors.push(FieldError::invalid(at("stabilizationWindowSeconds"), window, why));
    }
    if window.as_i64().is_some_and(|seconds| seconds > MAX_WINDOW) {
        let why = format!("must be less than or equal to {MAX_WINDOW}");
        errors.push(FieldError::invalid(at("stabilizationWindowSeconds"), window, &why));
    }
    let select = &rules["selectPolicy"];
    if !select.is_null() && !["Max", "Min", "Disabled"].iter().any(|known| select == known) {
        errors.push(FieldError::unsupported(at("selectPolicy"), select, &["Disabled", "Max", "Min"]));
    }
    let tolerance = &rules["tolerance"];
    if !tolerance.is_null()
        && quantity::milli(&Quantity(text(tolerance).to_owned())).is_none_or(|milli| milli < 0)
    {
        errors.push(FieldError::invalid(at("tolerance"), tolerance, "must be greater or equal to zero"));
    }
    let policies = rules["policies"].as_array().map(Vec::as_slice).unwrap_or_default();
    if policies.is_empty() {
        errors.push(FieldError::required(at("policies"), "must specify at least one Policy"));
    }
    for (index, policy) in policies.iter().enumerate() {
        let path = at(&format!("policies[{index}]"));
        if policy["type"] != "Pods" && policy["type"] != "Percent" {
            let known = ["Percent", "Pods"];
            errors.push(FieldError::unsupported(format!("{path}.type"), &policy["type"], &known));
        }
        for field in ["value", "periodSeconds"] {
            if policy[field].as_i64().unwrap_or(0) <= 0 {
                let why = "must be greater than zero";
                errors.push(FieldError::invalid(format!("{path}.{field}"), &policy[field], why));
            }
        }
        if policy["periodSeconds"].as_i64().is_some_and(|seconds| seconds > MAX_PERIOD) {
            let why = format!("must be less than or equal to {MAX_PERIOD}");
            errors.push(FieldError::invalid(format!("{path}.periodSeconds"), &policy["periodSeconds"], &why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(change: impl FnOnce(&mut Value)) -> Vec<String> {
        let mut spec = json!({
            "scaleTargetRef": {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"},
            "minReplicas": 1, "maxReplicas": 5,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}],
            "behavior": {"scaleUp": {"selectPolicy": "Max", "stabilizationWindowSeconds": 0,
                "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}},
        });
        change(&mut spec);
        let mut errors = Vec::new();
        autoscaler(&spec, &mut errors);
        errors.into_iter().map(|error| format!("{}: {}", error.field, error.message)).collect()
    }

    #[test]
    fn what_cannot_work_is_refused_by_field() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        type Change = fn(&mut Value);
        let cases: [(&str, Change); 13] = [
            ("spec.maxReplicas: Invalid value: 0: must be greater than 0", |spec| {
                spec["maxReplicas"] = json!(0)
            }),
            ("spec.maxReplicas: Invalid value: 5: must be greater than or equal to `minReplicas`", |spec| {
                spec["minReplicas"] = json!(6)
            }),
            ("spec.metrics: Forbidden: must specify at least one Object or External metric", |spec| {
                spec["minReplicas"] = json!(0)
            }),
            ("spec.scaleTargetRef.name: Required value", |spec| spec["scaleTargetRef"]["name"] = json!("")),
            ("spec.metrics[0].type: Unsupported value: \"Cpu\"", |spec| {
                spec["metrics"][0]["type"] = json!("Cpu")
            }),
            ("spec.metrics[0].pods: Required value", |spec| spec["metrics"][0]["type"] = json!("Pods")),
            ("spec.metrics[0].resource.target.averageUtilization: Invalid value: 0", |spec| {
                spec["metrics"][0]["resource"]["target"]["averageUtilization"] = json!(0);
            }),
            ("spec.metrics[0].resource.target.averageValue: Forbidden", |spec| {
                spec["metrics"][0]["resource"]["target"]["averageValue"] = json!("40m");
            }),
            ("spec.metrics[0].resource.target.averageUtilization: Required value", |spec| {
                spec["metrics"][0]["resource"]["target"] = json!({"type": "Utilization"});
            }),
            ("spec.behavior.scaleUp.policies: Required value", |spec| {
                spec["behavior"]["scaleUp"]["policies"] = json!([])
            }),
            ("spec.behavior.scaleUp.policies[0].periodSeconds: Invalid value: 1801", |spec| {
                spec["behavior"]["scaleUp"]["policies"][0]["periodSeconds"] = json!(1801);
            }),
            ("spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 3601", |spec| {
                spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] = json!(3601);
            }),
            ("spec.behavior.scaleUp.tolerance: Invalid value: \"-1\"", |spec| {
                spec["behavior"]["scaleUp"]["tolerance"] = json!("-1")
            }),
        ];
        for (expected, change) in cases {
            let found = problems(change);
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}: {found:?}");
        }
    }
}
