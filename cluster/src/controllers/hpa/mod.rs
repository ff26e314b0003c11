//! HorizontalPodAutoscalers: keep the size of a workload in line with its metrics.
//!
//! [`decide`] is pure and takes the time as an argument; [`replicas`] holds the documented algorithm, [`metric`] the five
//! kinds of metrics, [`behavior`] what holds a change back. [`client`] asks the metrics APIs through the API server, as on a
//! real cluster.

pub mod behavior;
pub mod client;
pub mod decide;
pub mod metric;
mod options;
#[cfg(test)]
mod properties;
mod reconcile;
pub mod replicas;
#[cfg(test)]
mod tables;

use std::sync::Arc;

pub use client::{encoded, go_duration};
pub use metric::thousandths;
pub use options::AutoscalerOptions;
pub use reconcile::{Autoscalers, reconcile};

use super::{Context, informer::ObjectKey, queue::Queue};

/// Puts new and changed autoscalers into the queue, each for the end of the sync period; nothing else calls for a look.
pub fn connect(context: &Arc<Context>, queue: &Queue<ObjectKey>) {
    let (queue, all) = (queue.clone(), Arc::downgrade(context));
    context.autoscalers.on_change(move |change| {
        let Some(context) = all.upgrade() else { return };
        match (&change.new, &change.old) {
            (Some(changed), _) => {
                queue.add_after(ObjectKey::of(&**changed), context.autoscaling.options.sync_period);
            }
            (None, Some(gone)) => context.autoscaling.forget(&ObjectKey::of(&**gone)),
            (None, None) => {}
        }
    });
}
