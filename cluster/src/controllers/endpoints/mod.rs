//! Endpoints and EndpointSlices of Services: from selectors and pods, or mirrored from Endpoints that somebody wrote.
//!
//! [`compute`] and [`slices`] are pure; [`reconcile`] reads the cache and writes through the API.

mod compute;
mod reconcile;
mod slices;

use std::sync::Arc;

use kube::ResourceExt;
pub use reconcile::{SliceDebts, reconcile};

use super::{Context, informer::ObjectKey, queue::Queue};

/// Label of an EndpointSlice: the Service it belongs to.
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";
/// Label of an EndpointSlice: who writes it.
pub const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";

/// Lets changes of Services, pods, Endpoints and slices call for a reconcile. The key is the Service's.
pub fn connect(context: &Arc<Context>, queue: &Queue<ObjectKey>) {
    let own = queue.clone();
    context.services.on_change(move |change| own.add_latest(change));
    let own = queue.clone();
    context.endpoints.on_change(move |change| own.add_latest(change));

    let (pods, all) = (queue.clone(), Arc::downgrade(context));
    context.pods.on_change(move |change| {
        let (Some(context), Some(latest)) = (all.upgrade(), change.latest()) else { return };
        if let (Some(old), Some(new)) = (&change.old, &change.new)
            && compute::same_endpoint(old, new)
        {
            return;
        }
        for service in context.services.in_namespace(&latest.namespace().unwrap_or_default()) {
            if change.states().any(|pod| compute::selects(&service, pod)) {
                pods.add(ObjectKey::of(&*service));
            }
        }
    });

    let (slices, all) = (queue.clone(), Arc::downgrade(context));
    context.endpoint_slices.on_change(move |change| {
        let Some(latest) = change.latest() else { return };
        let Some(service) = latest.labels().get(SERVICE_NAME) else { return };
        let key = ObjectKey::new(latest.namespace().unwrap_or_default(), service);
        if let Some(context) = all.upgrade() {
            context.slice_debts.seen(&key, &latest.name_any());
        }
        slices.add(key);
    });
}
