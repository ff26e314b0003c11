//! Ownership: who controls an object, adopting orphans and releasing what no longer matches.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use kube::core::{Selector, SelectorExt};

use super::error::ReconcileError;

/// The owner that controls the object.
pub fn controller_of(metadata: &ObjectMeta) -> Option<&OwnerReference> {
    metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))
}

/// True if the object with `uid` controls this one.
pub fn is_controlled_by(metadata: &ObjectMeta, uid: Option<&str>) -> bool {
    uid.is_some() && controller_of(metadata).map(|owner| owner.uid.as_str()) == uid
}

/// A label selector that can be asked.
#[derive(Debug)]
pub struct Matcher(Selector);

impl Matcher {
    /// Selector of a workload. An empty one matches nothing here: the API refuses it, and matching everything would adopt a
    /// whole namespace.
    pub fn new(selector: &LabelSelector) -> Result<Self, ReconcileError> {
        let selector = Selector::try_from(selector.clone())
            .map_err(|error| ReconcileError::Invalid(format!("label selector: {error}")))?;
        Ok(Self(selector))
    }

    /// True if the labels match.
    pub fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        const NONE: &BTreeMap<String, String> = &BTreeMap::new();
        !self.0.selects_all() && self.0.matches(labels.unwrap_or(NONE))
    }
}

/// What to do with an object that may belong to a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is ours.
    Keep,
    /// It is nobody's and matches: make it ours.
    Adopt,
    /// It is ours and no longer matches: let it go.
    Release,
    /// Not our business.
    Ignore,
}

/// Kubernetes' rule for claiming objects (`ControllerRefManager`).
pub fn claim(object: &ObjectMeta, owner: &ObjectMeta, matcher: &Matcher) -> Claim {
    let matches = matcher.matches(object.labels.as_ref());
    let owner_leaves = owner.deletion_timestamp.is_some();
    match controller_of(object) {
        Some(controller) if Some(controller.uid.as_str()) != owner.uid.as_deref() => Claim::Ignore,
        Some(_) if matches => Claim::Keep,
        Some(_) if owner_leaves => Claim::Ignore,
        Some(_) => Claim::Release,
        None if owner_leaves || !matches || object.deletion_timestamp.is_some() => Claim::Ignore,
        None => Claim::Adopt,
    }
}

/// Merge patch that adds or removes an owner. It carries the resourceVersion, so that it cannot undo what somebody else did.
pub fn owners_patch(object: &ObjectMeta, owners: &[OwnerReference]) -> serde_json::Value {
    serde_json::json!({ "metadata": {
        "uid": object.uid,
        "resourceVersion": object.resource_version,
        "ownerReferences": owners,
    } })
}

/// The object's owners with `owner` added.
pub fn owners_with(object: &ObjectMeta, owner: OwnerReference) -> Vec<OwnerReference> {
    object.owner_references.iter().flatten().cloned().chain([owner]).collect()
}

/// The object's owners without the one with that uid.
pub fn owners_without(object: &ObjectMeta, uid: &str) -> Vec<OwnerReference> {
    object.owner_references.iter().flatten().filter(|owner| owner.uid != uid).cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(value: serde_json::Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn claims_follow_selector_and_controller() {
        let selector = serde_json::from_value(json!({ "matchLabels": { "app": "web" } })).unwrap();
        let matcher = Matcher::new(&selector).unwrap();
        let owner = meta(json!({ "uid": "me" }));
        let leaving = meta(json!({ "uid": "me", "deletionTimestamp": "2026-01-01T00:00:00Z" }));
        let by = |uid: &str| json!([{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "x", "uid": uid, "controller": true }]);
        let cases = [
            (json!({ "labels": { "app": "web" }, "ownerReferences": by("me") }), Claim::Keep, Claim::Keep),
            (
                json!({ "labels": { "app": "api" }, "ownerReferences": by("me") }),
                Claim::Release,
                Claim::Ignore,
            ),
            (
                json!({ "labels": { "app": "web" }, "ownerReferences": by("you") }),
                Claim::Ignore,
                Claim::Ignore,
            ),
            (json!({ "labels": { "app": "web" } }), Claim::Adopt, Claim::Ignore),
            (json!({ "labels": { "app": "api" } }), Claim::Ignore, Claim::Ignore),
            (
                json!({ "labels": { "app": "web" }, "deletionTimestamp": "2026-01-01T00:00:00Z" }),
                Claim::Ignore,
                Claim::Ignore,
            ),
        ];
        for (object, expected, expected_when_leaving) in cases {
            let object = meta(object);
            assert_eq!(claim(&object, &owner, &matcher), expected, "{object:?}");
            assert_eq!(claim(&object, &leaving, &matcher), expected_when_leaving, "{object:?}");
        }
    }

    #[test]
    fn an_empty_selector_claims_nothing() {
        assert!(!Matcher::new(&LabelSelector::default()).unwrap().matches(None));
    }
}
