//! Deployments and ReplicaSets.

use serde_json::{Value, json};

use super::{meta, pod};
use crate::api::{schema::names, status::FieldError};

pub fn deployment(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    non_negative(spec, "replicas", errors);
    selector_and_template(object, errors);
    strategy(&spec["strategy"], errors);
    non_negative(spec, "minReadySeconds", errors);
    non_negative(spec, "revisionHistoryLimit", errors);
    non_negative(spec, "progressDeadlineSeconds", errors);
    if let (Some(deadline), ready) =
        (spec["progressDeadlineSeconds"].as_i64(), spec["minReadySeconds"].as_i64().unwrap_or(0))
        && deadline <= ready
    {
        let why = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid("spec.progressDeadlineSeconds", &json!(deadline), why));
    }
    selector_is_fixed(object, old, errors);
}

pub fn replica_set(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    non_negative(spec, "replicas", errors);
    non_negative(spec, "minReadySeconds", errors);
    selector_and_template(object, errors);
    selector_is_fixed(object, old, errors);
}

fn selector_is_fixed(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let selector = &object["spec"]["selector"];
    if let Some(old) = old
        && old["spec"]["selector"] != *selector
    {
        errors.push(FieldError::invalid("spec.selector", selector, "field is immutable"));
    }
}

fn non_negative(spec: &Value, field: &str, errors: &mut Vec<FieldError>) {
    if let Some(number) = spec[field].as_i64()
        && number < 0
    {
        let why = "must be greater than or equal to 0";
        errors.push(FieldError::invalid(format!("spec.{field}"), &json!(number), why));
    }
}

fn selector_and_template(object: &Value, errors: &mut Vec<FieldError>) {
    let spec = &object["spec"];
    let selector = &spec["selector"];
    let labels = selector["matchLabels"].as_object();
    let expressions = selector["matchExpressions"].as_array();
    self::selector(selector, "spec.selector", errors);
    let template = &spec["template"];
    let template_labels = &template["metadata"]["labels"];
    if labels.is_none_or(serde_json::Map::is_empty) && expressions.is_none_or(Vec::is_empty) {
        if selector.is_null() || selector.as_object().is_some_and(serde_json::Map::is_empty) {
            errors.push(FieldError::required("spec.selector", ""));
        }
    } else if !matches(selector, template_labels) {
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid("spec.template.metadata.labels", &or_empty(template_labels), why));
    }
    meta::labels(template_labels, "spec.template.labels", errors);
    pod::spec(&template["spec"], "spec.template.spec", errors);
    let policy = &template["spec"]["restartPolicy"];
    if policy != "Always" && !policy.is_null() {
        errors.push(FieldError::unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    if !template["spec"]["activeDeadlineSeconds"].is_null() {
        let why = "activeDeadlineSeconds in ReplicaSet is not Supported";
        errors.push(FieldError::forbidden("spec.template.spec.activeDeadlineSeconds", why));
    }
}

/// A label selector.
pub fn selector(selector: &Value, path: &str, errors: &mut Vec<FieldError>) {
    meta::labels(&selector["matchLabels"], &format!("{path}.matchLabels"), errors);
    for (index, requirement) in selector["matchExpressions"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{path}.matchExpressions[{index}]");
        let key = requirement["key"].as_str().unwrap_or_default();
        if let Some(problem) = names::qualified_name_problem(key) {
            errors.push(FieldError::invalid(format!("{field}.key"), &json!(key), &problem));
        }
        let has_values = requirement["values"].as_array().is_some_and(|values| !values.is_empty());
        match requirement["operator"].as_str().unwrap_or_default() {
            "In" | "NotIn" if !has_values => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(format!("{field}.values"), why));
            }
            "Exists" | "DoesNotExist" if has_values => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(format!("{field}.values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                errors.push(FieldError::invalid(
                    format!("{field}.operator"),
                    &json!(other),
                    "not a valid selector operator",
                ));
            }
        }
    }
}

fn or_empty(value: &Value) -> Value {
    if value.is_null() { json!({}) } else { value.clone() }
}

/// True if the labels match the selector.
fn matches(selector: &Value, labels: &Value) -> bool {
    let by_label =
        selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    by_label
        && selector["matchExpressions"].as_array().into_iter().flatten().all(|requirement| {
            let value = &labels[requirement["key"].as_str().unwrap_or_default()];
            let listed = requirement["values"].as_array().is_some_and(|values| values.contains(value));
            match requirement["operator"].as_str().unwrap_or_default() {
                "In" => !value.is_null() && listed,
                "NotIn" => value.is_null() || !listed,
                "Exists" => !value.is_null(),
                _ => value.is_null(),
            }
        })
}

fn strategy(strategy: &Value, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 2] = ["Recreate", "RollingUpdate"];
    let kind = &strategy["type"];
    let rolling = &strategy["rollingUpdate"];
    if kind == "Recreate" {
        if !rolling.is_null() {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            errors.push(FieldError::forbidden("spec.strategy.rollingUpdate", why));
        }
        return;
    }
    if kind != "RollingUpdate" {
        errors.push(FieldError::unsupported("spec.strategy.type", kind, &TYPES));
        return;
    }
    let surge = amount(rolling, "maxSurge", errors);
    let unavailable = amount(rolling, "maxUnavailable", errors);
    if surge == Some(0) && unavailable == Some(0) {
        let why = "may not be 0 when `maxSurge` is 0";
        errors.push(FieldError::invalid(
            "spec.strategy.rollingUpdate.maxUnavailable",
            &rolling["maxUnavailable"],
            why,
        ));
    }
    if unavailable.is_some_and(|percent| percent > 100) && rolling["maxUnavailable"].is_string() {
        let field = "spec.strategy.rollingUpdate.maxUnavailable";
        errors.push(FieldError::invalid(field, &rolling["maxUnavailable"], "must not be greater than 100%"));
    }
}

/// A number or percentage.
fn amount(rolling: &Value, field: &str, errors: &mut Vec<FieldError>) -> Option<i64> {
    let value = &rolling[field];
    let path = format!("spec.strategy.rollingUpdate.{field}");
    let number = match value {
        Value::String(text) => match text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok()) {
            Some(percent) => i64::from(percent),
            None => {
                let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
                           used for validation is '[0-9]+%')";
                errors.push(FieldError::invalid(path, value, why));
                return None;
            }
        },
        _ => value.as_i64()?,
    };
    if number < 0 {
        errors.push(FieldError::invalid(path, value, "must be greater than or equal to 0"));
    }
    Some(number)
}
