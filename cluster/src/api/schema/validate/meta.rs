//! Names, labels, annotations and the rest of the metadata.

use serde_json::{Value, json};

use crate::{
    api::{
        resources::{Resource, collection},
        schema::names,
        status::FieldError,
    },
    store::text_at,
};

/// Largest sum of all annotations, in bytes.
const MAX_ANNOTATIONS: usize = 256 * 1024;

pub fn validate(resource: &Resource, object: &Value, errors: &mut Vec<FieldError>) {
    let name = text_at(object, "/metadata/name");
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else if let Some(problem) = name_problem(resource, name) {
        errors.push(FieldError::invalid("metadata.name", &json!(name), &problem));
    }
    labels(&object["metadata"]["labels"], "metadata.labels", errors);
    annotations(&object["metadata"]["annotations"], "metadata.annotations", errors);
    for (index, finalizer) in object["metadata"]["finalizers"].as_array().into_iter().flatten().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        let problem = names::qualified_name_problem(text);
        if let Some(problem) = problem {
            errors.push(FieldError::invalid(format!("metadata.finalizers[{index}]"), finalizer, &problem));
        }
    }
    owners(&object["metadata"]["ownerReferences"], errors);
}

fn name_problem(resource: &Resource, name: &str) -> Option<String> {
    match resource.collection {
        collection::NAMESPACES => names::label_problem(name),
        // Since 1.35 a Service's name may start with a digit.
        collection::SERVICES => names::label_problem(name),
        _ => names::subdomain_problem(name),
    }
}

/// Labels of an object, a template or a selector.
pub fn labels(labels: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        if let Some(problem) = names::qualified_name_problem(key) {
            errors.push(FieldError::invalid(field, &json!(key), &problem));
        }
        if let Some(problem) = names::label_value_problem(value.as_str().unwrap_or_default()) {
            errors.push(FieldError::invalid(field, value, &problem));
        }
    }
}

fn annotations(annotations: &Value, field: &str, errors: &mut Vec<FieldError>) {
    let mut size = 0;
    for (key, value) in annotations.as_object().into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if let Some(problem) = names::qualified_name_problem(&key.to_ascii_lowercase()) {
            errors.push(FieldError::invalid(field, &json!(key), &problem));
        }
    }
    if size > MAX_ANNOTATIONS {
        errors.push(FieldError::too_long(field, MAX_ANNOTATIONS));
    }
}

fn owners(owners: &Value, errors: &mut Vec<FieldError>) {
    let mut controllers = 0;
    for (index, owner) in owners.as_array().into_iter().flatten().enumerate() {
        let field = |name: &str| format!("metadata.ownerReferences[{index}].{name}");
        for name in ["apiVersion", "kind", "name", "uid"] {
            if owner[name].as_str().unwrap_or_default().is_empty() {
                errors.push(FieldError::invalid(field(name), &json!(""), "must not be empty"));
            }
        }
        controllers += usize::from(owner["controller"] == true);
    }
    if controllers > 1 {
        let why = "Only one reference can have Controller set to true";
        errors.push(FieldError::invalid("metadata.ownerReferences", owners, why));
    }
}
