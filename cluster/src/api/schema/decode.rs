//! Decoding: types are checked and unknown fields found by reading the object as its Rust type and writing it again.

use serde_json::Value;

use crate::api::{resources::Resource, status::ApiError, verbs::FieldValidation};

/// An object that passed decoding.
#[derive(Debug)]
pub struct Candidate {
    /// The object, with known fields only.
    pub object: Value,
    /// A `resourceVersion` in the object must be the current one.
    pub pinned: bool,
    /// Texts for `Warning` headers.
    pub warnings: Vec<String>,
    /// Whose change this is.
    pub ownership: Ownership,
}

/// How `managedFields` follow a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// The manager of the request takes the fields that changed.
    Changed,
    /// The object carries its final `managedFields` (server-side apply).
    Settled,
}

/// Why a decode was refused; a create and a patch word it differently.
pub enum DecodeProblem {
    /// A value has the wrong type.
    Type(String),
    /// Unknown or duplicate fields under `fieldValidation=Strict`.
    Strict(String),
}

impl Candidate {
    /// Decodes the body of a create or update.
    pub fn decoded(
        resource: &Resource,
        object: Value,
        duplicates: &[String],
        validation: FieldValidation,
    ) -> Result<Self, ApiError> {
        let refused = |why| {
            let (kind, version) = (resource.kind, resource.version);
            ApiError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: {why}"
            ))
        };
        match decode(resource, &object, duplicates, validation) {
            Ok((object, warnings)) => {
                Ok(Self { object, pinned: true, warnings, ownership: Ownership::Changed })
            }
            Err(DecodeProblem::Type(why) | DecodeProblem::Strict(why)) => Err(refused(why)),
        }
    }
}

/// Decodes; returns the object without unknown fields, and warnings about them.
pub fn decode(
    resource: &Resource,
    object: &Value,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), DecodeProblem> {
    let known = (resource.decode)(object)
        .map_err(|error| DecodeProblem::Type(type_problem(resource, object, &error)))?;
    if validation == FieldValidation::Ignore {
        return Ok((known, Vec::new()));
    }
    let mut problems: Vec<String> =
        duplicates.iter().map(|path| format!("duplicate field {path:?}")).collect();
    unknown_fields(object, &known, "", &mut problems);
    if validation == FieldValidation::Strict && !problems.is_empty() {
        return Err(DecodeProblem::Strict(format!("strict decoding error: {}", problems.join(", "))));
    }
    Ok((known, problems))
}

/// The known part of what was given: without the empty values that reading it as a type adds.
pub fn restrict(given: &Value, known: &Value) -> Value {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            let kept =
                given.iter().filter_map(|(key, value)| Some((key.clone(), restrict(value, known.get(key)?))));
            Value::Object(kept.collect())
        }
        (Value::Array(given), Value::Array(known)) if given.len() == known.len() => {
            Value::Array(given.iter().zip(known).map(|(given, known)| restrict(given, known)).collect())
        }
        _ => known.clone(),
    }
}

fn unknown_fields(given: &Value, known: &Value, path: &str, problems: &mut Vec<String>) {
    match (given, known) {
        (Value::Object(given), Value::Object(known)) => {
            for (key, value) in given {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match known.get(key) {
                    Some(known) => unknown_fields(value, known, &path, problems),
                    None if value.is_null() => {}
                    None => problems.push(format!("unknown field {path:?}")),
                }
            }
        }
        (Value::Array(given), Value::Array(known)) => {
            for (index, (given, known)) in given.iter().zip(known).enumerate() {
                unknown_fields(given, known, &format!("{path}[{index}]"), problems);
            }
        }
        _ => {}
    }
}

/// Words a type error as the real server does, with the field's path: the one whose removal makes the object readable.
fn type_problem(resource: &Resource, object: &Value, error: &serde_json::Error) -> String {
    let text = error.to_string();
    let mut path = String::new();
    let mut pointer = String::new();
    while let Some((key, step)) = blamed(resource, object, &pointer) {
        pointer = step;
        path.push_str(&key);
    }
    let path = path.trim_start_matches('.');
    let Some((found, expected)) =
        text.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    else {
        return format!("json: {text} (field {path:?})");
    };
    let found = match found.split(' ').next().unwrap_or_default() {
        "boolean" => "bool",
        "integer" | "floating" => "number",
        "sequence" => "array",
        "map" => "object",
        other => other,
    };
    let expected = match expected {
        "a string" | "string" => "string",
        "i32" => "int32",
        "i64" => "int64",
        "f64" => "float64",
        "a boolean" => "bool",
        other => other,
    };
    format!("json: cannot unmarshal {found} into Go struct field {}.{path} of type {expected}", resource.kind)
}

/// The entry below `pointer` without which the object can be read: its path element and its pointer.
fn blamed(resource: &Resource, object: &Value, pointer: &str) -> Option<(String, String)> {
    let works_without = |remove: &dyn Fn(&mut Value)| {
        let mut reduced = object.clone();
        reduced.pointer_mut(pointer).is_some_and(|at| {
            remove(at);
            true
        }) && (resource.decode)(&reduced).is_ok()
    };
    match object.pointer(pointer)? {
        Value::Object(fields) => fields.keys().find_map(|key| {
            let remove = |at: &mut Value| {
                at.as_object_mut().map(|fields| fields.remove(key));
            };
            let escaped = key.replace('~', "~0").replace('/', "~1");
            works_without(&remove).then(|| (format!(".{key}"), format!("{pointer}/{escaped}")))
        }),
        Value::Array(items) => (0..items.len()).find_map(|index| {
            let remove = |at: &mut Value| {
                at.as_array_mut().map(|items| items.remove(index));
            };
            works_without(&remove).then(|| (format!("[{index}]"), format!("{pointer}/{index}")))
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::resources;

    fn refused(object: Value, validation: FieldValidation) -> String {
        let deployments = resources::find("apps", "v1", "deployments").unwrap();
        Candidate::decoded(deployments, object, &[], validation).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_type_names_its_field() {
        let object = json!({"kind": "Deployment", "apiVersion": "apps/v1", "spec": {"replicas": "two"}});
        assert_eq!(
            refused(object, FieldValidation::Warn),
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field \
             Deployment.spec.replicas of type int32"
        );
    }

    #[test]
    fn strict_validation_names_every_unknown_field() {
        let object = json!({"kind": "Deployment", "apiVersion": "apps/v1", "foo": 1, "spec": {
            "template": {"spec": {"containers": [{"name": "a", "imag": "b"}]}}}});
        let text = refused(object, FieldValidation::Strict);
        assert!(
            text.ends_with("strict decoding error: unknown field \"foo\", unknown field \"spec.template.spec.containers[0].imag\""),
            "{text}"
        );
    }
}
