//! ReplicaSets: keep a number of pods alive.

mod plan;
mod reconcile;

use std::sync::Arc;

use kube::{Resource, ResourceExt};
pub use reconcile::reconcile;

use super::{
    Context,
    informer::ObjectKey,
    owner::{self, Matcher},
    pods,
    queue::Queue,
};

/// Lets changes of ReplicaSets and of their pods call for a reconcile, and notes what the cache has shown.
pub fn connect(context: &Arc<Context>, queue: &Queue<ObjectKey>) {
    let (own, all) = (queue.clone(), Arc::downgrade(context));
    context.replica_sets.on_change(move |change| {
        own.add_latest(change);
        if let (Some(gone), None, Some(context)) = (&change.old, &change.new, all.upgrade()) {
            context.expectations.forget(&ObjectKey::of(&**gone));
        }
    });

    let (queue, all) = (queue.clone(), Arc::downgrade(context));
    context.pods.on_change(move |change| {
        let Some(context) = all.upgrade() else { return };
        let owner_of = |pod: &k8s_openapi::api::core::v1::Pod| {
            let controller = owner::controller_of(pod.meta()).filter(|owner| owner.kind == "ReplicaSet")?;
            Some(ObjectKey::new(pod.namespace().unwrap_or_default(), controller.name.clone()))
        };
        let new_owner = change.new.as_ref().and_then(|pod| owner_of(pod));
        let old_owner = change.old.as_ref().and_then(|pod| owner_of(pod));
        if let Some(owner) = &new_owner
            && change.old.is_none()
        {
            context.expectations.creation_observed(owner);
        }
        let leaves = change.new.as_ref().is_none_or(|pod| pods::is_terminating(pod));
        if let Some(pod) = change.latest().filter(|_| leaves)
            && let (Some(owner), Some(uid)) = (new_owner.as_ref().or(old_owner.as_ref()), pod.uid())
        {
            context.expectations.deletion_observed(owner, &uid);
        }
        if new_owner.is_none()
            && let Some(pod) = &change.new
        {
            // An orphan: some ReplicaSet may want it.
            for set in context.replica_sets.in_namespace(&pod.namespace().unwrap_or_default()) {
                if let Ok(matcher) = Matcher::new(&set.spec.selector)
                    && matcher.matches(pod.metadata.labels.as_ref())
                {
                    queue.add(ObjectKey::of(&*set));
                }
            }
        }
        for owner in new_owner.into_iter().chain(old_owner) {
            queue.add(owner);
        }
    });
}
