//! Deployments: rolling update and Recreate, rollback by revision, progress deadline, pause, proportional scaling.
//!
//! [`plan`] and [`status`] are pure and hold the rules; [`reconcile`] reads the cache and writes through the API.

pub mod annotations;
pub mod plan;
mod reconcile;
pub mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use kube::Resource;
pub use reconcile::reconcile;

use super::{
    Context,
    informer::ObjectKey,
    owner::{self, Matcher},
    queue::Queue,
};

/// Lets changes of Deployments, their ReplicaSets and (for Recreate) pods call for a reconcile.
pub fn connect(context: &Arc<Context>, queue: &Queue<ObjectKey>) {
    let own = queue.clone();
    context.deployments.on_change(move |change| own.add_latest(change));

    let (sets, all) = (queue.clone(), Arc::downgrade(context));
    context.replica_sets.on_change(move |change| {
        for set in change.states() {
            let namespace = set.metadata.namespace.clone().unwrap_or_default();
            match owner::controller_of(set.meta()) {
                Some(controller) if controller.kind == "Deployment" => {
                    sets.add(ObjectKey::new(namespace, controller.name.clone()));
                }
                Some(_) => {}
                None => {
                    // An orphan: some Deployment may want it.
                    let Some(context) = all.upgrade() else { return };
                    for deployment in context.deployments.in_namespace(&namespace) {
                        if let Ok(matcher) = Matcher::new(&deployment.spec.selector)
                            && matcher.matches(set.metadata.labels.as_ref())
                        {
                            sets.add(ObjectKey::of(&*deployment));
                        }
                    }
                }
            }
        }
    });

    // Recreate waits for pods, not only for counts: the last one to go starts the new ReplicaSet.
    let (pods, all) = (queue.clone(), Arc::downgrade(context));
    context.pods.on_change(move |change| {
        let ended = change.new.as_ref().is_none_or(|pod| super::pods::is_terminal(pod));
        let Some(pod) = change.latest().filter(|_| ended) else { return };
        let Some(controller) = owner::controller_of(pod.meta()).filter(|owner| owner.kind == "ReplicaSet")
        else {
            return;
        };
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let Some(context) = all.upgrade() else { return };
        let Some(set) = context.replica_sets.get(&ObjectKey::new(&*namespace, &*controller.name)) else {
            return;
        };
        let Some(deployment) = owner::controller_of(set.meta()).filter(|owner| owner.kind == "Deployment")
        else {
            return;
        };
        let key = ObjectKey::new(namespace, deployment.name.clone());
        let recreates =
            context.deployments.get(&key).is_some_and(|deployment| !plan::Target::of(&deployment).rolling);
        if recreates {
            pods.add(key);
        }
    });
}
