//! A stored object and its key.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;

/// Where an object lives in its collection. Ordered by namespace, then name: the order of lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Object name.
    pub name: String,
}

impl Key {
    /// Key of an object; `namespace` is empty for cluster-scoped ones.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

/// One version of an object, immutable.
#[derive(Debug)]
pub struct Stored {
    /// Namespace and name.
    pub key: Key,
    /// `metadata.resourceVersion` as a number.
    pub revision: u64,
    /// `metadata.uid`.
    pub uid: String,
    /// The object as JSON, without `kind` and `apiVersion` (they depend on how it is asked for).
    pub json: Bytes,
    /// `metadata.labels`, for selectors.
    pub labels: BTreeMap<String, String>,
    /// Values of the collection's selectable fields, in their order.
    pub fields: Vec<String>,
}

impl Stored {
    /// Serialises `value` under the given version. `value` must not carry `kind` and `apiVersion`.
    pub(super) fn new(mut value: Value, revision: u64, field_pointers: &[&str]) -> Self {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        Self::with_revision(&value, revision, field_pointers)
    }

    /// Serialises `value` as it is, keeping the version it carries, if any.
    pub(super) fn unwritten(value: Value, field_pointers: &[&str]) -> Self {
        let revision = text_at(&value, "/metadata/resourceVersion").parse().unwrap_or(0);
        Self::with_revision(&value, revision, field_pointers)
    }

    fn with_revision(value: &Value, revision: u64, field_pointers: &[&str]) -> Self {
        let labels = value["metadata"]["labels"].as_object().map(|labels| {
            labels.iter().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect()
        });
        Self {
            key: Key::new(text_at(value, "/metadata/namespace"), text_at(value, "/metadata/name")),
            revision,
            uid: text_at(value, "/metadata/uid").to_owned(),
            labels: labels.unwrap_or_default(),
            fields: field_pointers.iter().map(|pointer| field_text(value, pointer)).collect(),
            json: Bytes::from(value.to_string()),
        }
    }

    /// Parses the object again.
    pub fn value(&self) -> Value {
        // The bytes were written by serde_json from a Value.
        serde_json::from_slice(&self.json).unwrap_or(Value::Null)
    }
}

/// The string at a JSON pointer, or "".
pub(crate) fn text_at<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A selectable field as text: absent is "", booleans and numbers as written in JSON.
fn field_text(value: &Value, pointer: &str) -> String {
    match value.pointer(pointer) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
