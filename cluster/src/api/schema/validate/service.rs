//! Services.

use serde_json::{Value, json};

use super::meta;
use crate::{
    api::{schema::names, status::FieldError},
    store::text_at,
};

pub fn service(object: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    let spec = &object["spec"];
    let kind = &spec["type"];
    if !TYPES.iter().any(|known| kind == known) {
        errors.push(FieldError::unsupported("spec.type", kind, &TYPES));
    }
    let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    if kind == "ExternalName" {
        let name = text_at(object, "/spec/externalName");
        if name.is_empty() {
            errors.push(FieldError::required("spec.externalName", ""));
        }
    }
    meta::labels(&spec["selector"], "spec.selector", errors);
    if !["None", "ClientIP"].iter().any(|known| spec["sessionAffinity"] == *known) {
        errors.push(FieldError::unsupported(
            "spec.sessionAffinity",
            &spec["sessionAffinity"],
            &["ClientIP", "None"],
        ));
    }
    for (index, port) in ports.iter().enumerate() {
        validate_port(port, &format!("spec.ports[{index}]"), ports.len() > 1, errors);
        let same_name = |other: &&Value| !port["name"].is_null() && other["name"] == port["name"];
        if ports[..index].iter().any(|other| same_name(&other)) {
            errors.push(FieldError::duplicate(format!("spec.ports[{index}].name"), &port["name"]));
        }
        if ports[..index]
            .iter()
            .any(|other| other["port"] == port["port"] && other["protocol"] == port["protocol"])
        {
            let value = json!({"port": port["port"], "protocol": port["protocol"]});
            errors.push(FieldError::duplicate(format!("spec.ports[{index}]"), &value));
        }
    }
    if let Some(old) = old
        && old["spec"]["type"] != "ExternalName"
        && *kind != "ExternalName"
        && old["spec"]["clusterIP"] != spec["clusterIP"]
    {
        let value = json!([spec["clusterIP"]]);
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &value, "may not change once set"));
    }
}

fn validate_port(port: &Value, field: &str, named: bool, errors: &mut Vec<FieldError>) {
    const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
    let name = port["name"].as_str().unwrap_or_default();
    if name.is_empty() {
        if named {
            errors.push(FieldError::required(format!("{field}.name"), ""));
        }
    } else if let Some(problem) = names::label_problem(name) {
        errors.push(FieldError::invalid(format!("{field}.name"), &port["name"], &problem));
    }
    in_range(&port["port"], &format!("{field}.port"), errors);
    if !PROTOCOLS.iter().any(|known| port["protocol"] == *known) {
        errors.push(FieldError::unsupported(format!("{field}.protocol"), &port["protocol"], &PROTOCOLS));
    }
    match &port["targetPort"] {
        Value::String(name) => {
            if let Some(problem) = names::port_name_problem(name) {
                errors.push(FieldError::invalid(format!("{field}.targetPort"), &port["targetPort"], problem));
            }
        }
        number => in_range(number, &format!("{field}.targetPort"), errors),
    }
}

/// A port number.
pub fn in_range(value: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let number = value.as_i64().unwrap_or(0);
    if !(1..=65_535).contains(&number) {
        errors.push(FieldError::invalid(field, &json!(number), "must be between 1 and 65535, inclusive"));
    }
}
