//! `events.k8s.io/v1` is another view of the core Event: the same objects with some fields renamed.

use serde_json::Value;

use super::resources::Resource;

/// Field names: core, then events.k8s.io.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// True for the resource whose objects are stored in the other form.
pub fn applies(resource: &Resource) -> bool {
    resource.group == "events.k8s.io"
}

/// To the stored form; keeps everything else.
pub fn to_core(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        for (core, other) in RENAMED {
            if let Some(value) = fields.remove(other) {
                fields.insert(core.to_owned(), value);
            }
        }
    }
    event
}

/// From the stored form.
pub fn from_core(mut event: Value) -> Value {
    if let Some(fields) = event.as_object_mut() {
        for (core, other) in RENAMED {
            if let Some(value) = fields.remove(core) {
                fields.insert(other.to_owned(), value);
            }
        }
    }
    event
}
