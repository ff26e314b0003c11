//! PodDisruptionBudgets.

use serde_json::Value;

use super::workload;
use crate::api::status::FieldError;

pub fn budget(spec: &Value, errors: &mut Vec<FieldError>) {
    const POLICIES: [&str; 2] = ["AlwaysAllow", "IfHealthyBudget"];
    if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
        let why = "minAvailable and maxUnavailable cannot be both set";
        errors.push(FieldError::invalid("spec", spec, why));
    }
    for field in ["minAvailable", "maxUnavailable"] {
        amount(&spec[field], &format!("spec.{field}"), errors);
    }
    workload::selector(&spec["selector"], "spec.selector", errors);
    let policy = &spec["unhealthyPodEvictionPolicy"];
    if !policy.is_null() && !POLICIES.iter().any(|known| policy == known) {
        errors.push(FieldError::unsupported("spec.unhealthyPodEvictionPolicy", policy, &POLICIES));
    }
}

/// A number of pods or a percentage of them.
fn amount(value: &Value, path: &str, errors: &mut Vec<FieldError>) {
    if let Some(number) = value.as_i64() {
        if number < 0 {
            errors.push(FieldError::invalid(path, value, "must be greater than or equal to 0"));
        }
        return;
    }
    let Some(text) = value.as_str() else { return };
    match text.strip_suffix('%').and_then(|digits| digits.parse::<u32>().ok()) {
        None => {
            let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used \
                       for validation is '[0-9]+%')";
            errors.push(FieldError::invalid(path, value, why));
        }
        Some(percent) if percent > 100 => {
            errors.push(FieldError::invalid(path, value, "must not be greater than 100%"));
        }
        Some(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_amount_that_makes_sense() {
        let cases = [
            (json!({"minAvailable": 1}), 0),
            (json!({"maxUnavailable": "30%"}), 0),
            (json!({"minAvailable": 1, "maxUnavailable": 1}), 1),
            (json!({"minAvailable": -1}), 1),
            (json!({"minAvailable": "101%"}), 1),
            (json!({"minAvailable": "x"}), 1),
            (json!({"unhealthyPodEvictionPolicy": "Never"}), 1),
        ];
        for (spec, expected) in cases {
            let mut errors = Vec::new();
            budget(&spec, &mut errors);
            assert_eq!(errors.len(), expected, "{spec}: {errors:?}");
        }
    }
}
