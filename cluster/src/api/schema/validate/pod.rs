//! Pods and pod templates.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::service::in_range;
use crate::api::{schema::names, status::FieldError};

pub fn pod(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    spec(&object["spec"], "spec", errors);
    if let Some(old) = old {
        update(&old["spec"], &object["spec"], errors);
    }
}

/// What of a running pod may change: images, deadline, more tolerations; and the node, once, by its binding.
fn update(old: &Value, new: &Value, errors: &mut Vec<FieldError>) {
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        for field in ["containers", "initContainers"] {
            for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
                container["image"] = Value::Null;
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            for field in ["activeDeadlineSeconds", "tolerations"] {
                fields.remove(field);
            }
            if old["nodeName"].as_str().unwrap_or_default().is_empty() {
                fields.remove("nodeName");
            }
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let why = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
                   `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
                   `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        errors.push(FieldError::forbidden("spec", why));
    }
}

/// Checks a pod spec at the given path.
pub fn spec(spec: &Value, path: &str, errors: &mut Vec<FieldError>) {
    const POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
    let volumes = volumes(spec, path, errors);
    let containers = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if containers.is_empty() {
        errors.push(FieldError::required(format!("{path}.containers"), ""));
    }
    let mut seen = HashSet::new();
    for field in ["containers", "initContainers"] {
        for (index, container) in spec[field].as_array().into_iter().flatten().enumerate() {
            let path = format!("{path}.{field}[{index}]");
            self::container(container, &path, &volumes, errors);
            let name = container["name"].as_str().unwrap_or_default();
            if !name.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{path}.name"), &container["name"]));
            }
            if field == "initContainers" && container["restartPolicy"] != "Always" {
                for probe in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle"] {
                    if !container[probe].is_null() {
                        let why = "may not be set for init containers without restartPolicy=Always";
                        errors.push(FieldError::forbidden(format!("{path}.{probe}"), why));
                    }
                }
            }
        }
    }
    let policy = &spec["restartPolicy"];
    if !POLICIES.iter().any(|known| policy == known) {
        errors.push(FieldError::unsupported(format!("{path}.restartPolicy"), policy, &POLICIES));
    }
    for field in ["terminationGracePeriodSeconds"] {
        if let Some(number) = spec[field].as_i64()
            && number < 0
        {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(format!("{path}.{field}"), &json!(number), why));
        }
    }
    if let Some(number) = spec["activeDeadlineSeconds"].as_i64()
        && number < 1
    {
        let why = "must be between 1 and 2147483647, inclusive";
        errors.push(FieldError::invalid(format!("{path}.activeDeadlineSeconds"), &json!(number), why));
    }
}

fn volumes<'a>(spec: &'a Value, path: &str, errors: &mut Vec<FieldError>) -> HashSet<&'a str> {
    let mut known = HashSet::new();
    for (index, volume) in spec["volumes"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{path}.volumes[{index}]");
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        } else if let Some(problem) = names::label_problem(name) {
            errors.push(FieldError::invalid(format!("{field}.name"), &volume["name"], &problem));
        } else if !known.insert(name) {
            errors.push(FieldError::duplicate(format!("{field}.name"), &volume["name"]));
        }
        let sources =
            volume.as_object().map_or(0, |fields| fields.keys().filter(|key| *key != "name").count());
        if sources > 1 {
            errors.push(FieldError::forbidden(field.clone(), "may not specify more than 1 volume type"));
        }
        for (source, name) in
            [("secret", "secretName"), ("persistentVolumeClaim", "claimName"), ("hostPath", "path")]
        {
            if let Some(given) = volume.get(source)
                && given[name].as_str().unwrap_or_default().is_empty()
            {
                errors.push(FieldError::required(format!("{field}.{source}.{name}"), ""));
            }
        }
    }
    known
}

fn container(container: &Value, path: &str, volumes: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    const PULL: [&str; 3] = ["Always", "IfNotPresent", "Never"];
    let name = container["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        errors.push(FieldError::required(format!("{path}.name"), ""));
    } else if let Some(problem) = names::label_problem(name) {
        errors.push(FieldError::invalid(format!("{path}.name"), &container["name"], &problem));
    }
    let image = container["image"].as_str().unwrap_or_default();
    if image.is_empty() {
        errors.push(FieldError::required(format!("{path}.image"), ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(format!("{path}.image"), &container["image"], why));
    }
    if !PULL.iter().any(|known| container["imagePullPolicy"] == *known)
        && !container["imagePullPolicy"].is_null()
    {
        errors.push(FieldError::unsupported(
            format!("{path}.imagePullPolicy"),
            &container["imagePullPolicy"],
            &PULL,
        ));
    }
    ports(container, path, errors);
    env(container, path, errors);
    mounts(container, path, volumes, errors);
    resources(&container["resources"], &format!("{path}.resources"), errors);
    for field in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = container.get(field).filter(|probe| !probe.is_null()) {
            self::probe(probe, &format!("{path}.{field}"), field, errors);
        }
    }
}

fn ports(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
    let mut seen = HashSet::new();
    for (index, port) in container["ports"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{path}.ports[{index}]");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            if let Some(problem) = names::port_name_problem(name) {
                errors.push(FieldError::invalid(format!("{field}.name"), &port["name"], problem));
            } else if !seen.insert(name) {
                errors.push(FieldError::duplicate(format!("{field}.name"), &port["name"]));
            }
        }
        if port["containerPort"].as_i64().unwrap_or(0) == 0 {
            errors.push(FieldError::required(format!("{field}.containerPort"), ""));
        } else {
            in_range(&port["containerPort"], &format!("{field}.containerPort"), errors);
        }
        if !PROTOCOLS.iter().any(|known| port["protocol"] == *known) {
            errors.push(FieldError::unsupported(format!("{field}.protocol"), &port["protocol"], &PROTOCOLS));
        }
    }
}

fn env(container: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for (index, variable) in container["env"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{path}.env[{index}]");
        let name = variable["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        } else if name.contains('=') || !name.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let why = "a valid environment variable name must consist only of printable ASCII characters other than '='";
            errors.push(FieldError::invalid(format!("{field}.name"), &variable["name"], why));
        }
        let Some(source) = variable.get("valueFrom").filter(|source| !source.is_null()) else { continue };
        if !variable["value"].as_str().unwrap_or_default().is_empty() {
            let why = "may not be specified when `value` is not empty";
            errors.push(FieldError::invalid(format!("{field}.valueFrom"), &json!(""), why));
        }
        if source.as_object().is_none_or(serde_json::Map::is_empty) {
            let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
            errors.push(FieldError::invalid(format!("{field}.valueFrom"), &json!(""), why));
        }
    }
}

fn mounts(container: &Value, path: &str, volumes: &HashSet<&str>, errors: &mut Vec<FieldError>) {
    let mut seen = HashSet::new();
    for (index, mount) in container["volumeMounts"].as_array().into_iter().flatten().enumerate() {
        let field = format!("{path}.volumeMounts[{index}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        } else if !volumes.contains(name) {
            errors.push(FieldError::not_found(format!("{field}.name"), &mount["name"]));
        }
        let at = mount["mountPath"].as_str().unwrap_or_default();
        if at.is_empty() {
            errors.push(FieldError::required(format!("{field}.mountPath"), ""));
        } else if !seen.insert(at) {
            let why = "must be unique";
            errors.push(FieldError::invalid(format!("{field}.mountPath"), &mount["mountPath"], why));
        }
    }
}

fn resources(resources: &Value, path: &str, errors: &mut Vec<FieldError>) {
    for list in ["limits", "requests"] {
        for (name, quantity) in resources[list].as_object().into_iter().flatten() {
            let text = quantity.as_str().unwrap_or_default();
            if parse_quantity(text).is_none() {
                let why = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
                errors.push(FieldError::invalid(format!("{path}.{list}[{name}]"), quantity, why));
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = resources["limits"][name].as_str().and_then(parse_quantity);
        let wanted = request.as_str().and_then(parse_quantity);
        if let (Some(limit), Some(wanted)) = (limit, wanted)
            && wanted > limit
        {
            let why = format!(
                "must be less than or equal to {name} limit of {}",
                resources["limits"][name].as_str().unwrap_or("0")
            );
            errors.push(FieldError::invalid(format!("{path}.requests"), request, &why));
        }
    }
}

/// A quantity as a number; none if it is not one.
fn parse_quantity(text: &str) -> Option<f64> {
    const SUFFIXES: [(&str, f64); 15] = [
        ("Ki", 1024.0),
        ("Mi", 1_048_576.0),
        ("Gi", 1_073_741_824.0),
        ("Ti", 1_099_511_627_776.0),
        ("Pi", 1_125_899_906_842_624.0),
        ("Ei", 1_152_921_504_606_846_976.0),
        ("n", 1e-9),
        ("u", 1e-6),
        ("m", 1e-3),
        ("k", 1e3),
        ("M", 1e6),
        ("G", 1e9),
        ("T", 1e12),
        ("P", 1e15),
        ("E", 1e18),
    ];
    let found = SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)));
    let (digits, factor) = found.unwrap_or((text, 1.0));
    let number = digits.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(number * factor)
}

fn probe(probe: &Value, path: &str, kind: &str, errors: &mut Vec<FieldError>) {
    let handlers: Vec<&str> = ["exec", "httpGet", "tcpSocket", "grpc"]
        .into_iter()
        .filter(|handler| !probe[*handler].is_null())
        .collect();
    match handlers.as_slice() {
        [] => errors.push(FieldError::required(path, "must specify a handler type")),
        [handler] => {
            let port = &probe[*handler]["port"];
            let field = format!("{path}.{handler}.port");
            match port {
                Value::String(name) => {
                    if let Some(problem) = names::port_name_problem(name) {
                        errors.push(FieldError::invalid(field, port, problem));
                    }
                }
                _ if *handler == "exec" => {
                    if probe["exec"]["command"].as_array().is_none_or(Vec::is_empty) {
                        errors.push(FieldError::required(format!("{path}.exec.command"), ""));
                    }
                }
                number => in_range(number, &field, errors),
            }
        }
        [_, second, ..] => {
            errors.push(FieldError::forbidden(
                format!("{path}.{second}"),
                "may not specify more than 1 handler type",
            ));
        }
    }
    if kind != "readinessProbe"
        && let Some(threshold) = probe["successThreshold"].as_i64()
        && threshold != 1
    {
        errors.push(FieldError::invalid(format!("{path}.successThreshold"), &json!(threshold), "must be 1"));
    }
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        if let Some(number) = probe[field].as_i64()
            && number < 0
        {
            let why = "must be greater than or equal to 0";
            errors.push(FieldError::invalid(format!("{path}.{field}"), &json!(number), why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_numbers_with_a_suffix() {
        for (text, expected) in
            [("100m", Some(0.1)), ("1Gi", Some(1_073_741_824.0)), ("2", Some(2.0)), ("x", None), ("", None)]
        {
            assert_eq!(parse_quantity(text), expected, "{text}");
        }
    }
}
