//! Annotations of Deployments and ReplicaSets, and revisions.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::PodTemplateSpec,
};
use kube::ResourceExt;

use super::plan::Target;

/// Revision of a rollout, counted from 1.
pub const REVISION: &str = "deployment.kubernetes.io/revision";
/// Earlier revisions of a ReplicaSet that was rolled back to.
pub const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
/// `spec.replicas` of the Deployment when the ReplicaSet was last scaled.
pub const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
/// Desired replicas plus maxSurge at that time.
pub const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Label that tells the pods of one ReplicaSet from those of another one of the same Deployment.
pub const TEMPLATE_HASH: &str = "pod-template-hash";
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
const DEPRECATED_ROLLBACK: &str = "deprecated.deployment.rollback.to";
/// Annotations of a Deployment that its ReplicaSets do not inherit.
const NOT_INHERITED: [&str; 6] =
    [LAST_APPLIED, REVISION, REVISION_HISTORY, DESIRED_REPLICAS, MAX_REPLICAS, DEPRECATED_ROLLBACK];

/// An annotation that holds a number.
pub fn number(object: &impl ResourceExt, name: &str) -> Option<i32> {
    object.annotations().get(name)?.parse().ok()
}

/// Revision of a ReplicaSet, 0 if it has none.
pub fn revision(set: &ReplicaSet) -> i64 {
    set.annotations().get(REVISION).and_then(|revision| revision.parse().ok()).unwrap_or(0)
}

/// Sets an annotation; true if that changed it.
pub fn set(annotations: &mut BTreeMap<String, String>, name: &str, value: String) -> bool {
    match annotations.get(name) {
        Some(present) if *present == value => false,
        _ => {
            annotations.insert(name.to_owned(), value);
            true
        }
    }
}

/// Notes for which size of the Deployment the ReplicaSet is scaled; true if that changed something.
pub fn set_sizes(replica_set: &mut ReplicaSet, target: &Target) -> bool {
    let annotations = replica_set.annotations_mut();
    let desired = set(annotations, DESIRED_REPLICAS, target.replicas.to_string());
    set(annotations, MAX_REPLICAS, target.max_total().to_string()) || desired
}

/// Lets the ReplicaSet inherit the Deployment's annotations and raises its revision to `next`; an earlier revision goes to its
/// history. True if that changed something.
pub fn inherit(replica_set: &mut ReplicaSet, deployment: &Deployment, next: i64) -> bool {
    let before = replica_set.annotations().get(REVISION).cloned();
    let annotations = replica_set.annotations_mut();
    let mut changed = false;
    for (name, value) in deployment.annotations() {
        if !NOT_INHERITED.contains(&name.as_str()) {
            changed |= set(annotations, name, value.clone());
        }
    }
    let old = before.as_deref().and_then(|revision| revision.parse::<i64>().ok()).unwrap_or(0);
    if old < next {
        annotations.insert(REVISION.to_owned(), next.to_string());
        changed = true;
        if let Some(before) = before.filter(|_| old > 0) {
            let history = match annotations.get(REVISION_HISTORY) {
                Some(history) if !history.is_empty() => format!("{history},{before}"),
                _ => before,
            };
            annotations.insert(REVISION_HISTORY.to_owned(), history);
        }
    }
    changed
}

/// The template without the hash label, for comparing.
fn without_hash(template: &PodTemplateSpec) -> PodTemplateSpec {
    let mut template = template.clone();
    if let Some(labels) = template.metadata.as_mut().and_then(|metadata| metadata.labels.as_mut()) {
        labels.remove(TEMPLATE_HASH);
    }
    template
}

/// True if both are the same apart from the hash label.
pub fn same_template(one: &PodTemplateSpec, other: &PodTemplateSpec) -> bool {
    without_hash(one) == without_hash(other)
}
