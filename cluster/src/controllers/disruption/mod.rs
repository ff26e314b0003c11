//! Disruption budgets: how many pods may be evicted now.
//!
//! [`plan`] is pure and holds the rules of Kubernetes' disruption controller; the eviction subresource takes from what it
//! allows.

pub mod plan;
mod reconcile;

use std::sync::Arc;

pub use plan::{SYNC_FAILED, set_allowed_condition, whole_seconds};
pub use reconcile::reconcile;

use super::{Context, informer::ObjectKey, queue::Queue};

/// Lets changes of budgets and of the pods that they select call for a reconcile.
pub fn connect(context: &Arc<Context>, queue: &Queue<ObjectKey>) {
    let own = queue.clone();
    context.disruption_budgets.on_change(move |change| own.add_latest(change));

    let (queue, all) = (queue.clone(), Arc::downgrade(context));
    context.pods.on_change(move |change| {
        let Some(context) = all.upgrade() else { return };
        let namespace = change.latest().and_then(|pod| pod.metadata.namespace.clone()).unwrap_or_default();
        for budget in context.disruption_budgets.in_namespace(&namespace) {
            let selector = plan::Selects::of(&budget);
            if change.states().any(|pod| selector.matches(pod)) {
                queue.add(ObjectKey::of(&*budget));
            }
        }
    });
}
