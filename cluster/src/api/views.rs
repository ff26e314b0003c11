//! Versions of a resource whose objects are stored in the form of another version.

use serde_json::Value;

use super::{autoscaling_v1, events_v1, resources::Resource};

/// True for a resource whose objects are stored in another form.
pub fn applies(resource: &Resource) -> bool {
    events_v1::applies(resource) || autoscaling_v1::applies(resource)
}

/// To the stored form; an object that is stored as it is stays the same.
pub fn to_stored(resource: &Resource, object: Value) -> Value {
    if events_v1::applies(resource) {
        events_v1::to_core(object)
    } else if autoscaling_v1::applies(resource) {
        autoscaling_v1::to_v2(object)
    } else {
        object
    }
}

/// From the stored form, with or without `kind` and `apiVersion`.
pub fn from_stored(resource: &Resource, object: Value, with_type: bool) -> Value {
    let mut object = if events_v1::applies(resource) {
        events_v1::from_core(object)
    } else if autoscaling_v1::applies(resource) {
        autoscaling_v1::from_v2(object)
    } else {
        object
    };
    if with_type && object.is_object() {
        object["kind"] = resource.kind.into();
        object["apiVersion"] = resource.api_version().into();
    }
    object
}
