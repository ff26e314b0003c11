//! Garbage collection by `ownerReferences`: background, foreground and orphan, as kube-controller-manager does it.
//!
//! [`graph`] knows who owns whom, fed from all watches; [`collect`] decides and acts on one object at a time.

mod collect;
mod graph;

use std::sync::Arc;

pub use collect::collect;
pub use graph::{Graph, Kind, Uid};
use kube::{Resource, ResourceExt};

use super::{informer::Informer, queue::Queue};

/// Feeds the graph with the metadata of one kind.
pub fn connect<K>(informer: &Informer<K>, kind: Kind, graph: &Arc<Graph>, queue: &Queue<Uid>)
where
    K: Resource + ResourceExt + std::fmt::Debug + Send + Sync + 'static,
{
    let (graph, queue, kind) = (Arc::clone(graph), queue.clone(), Arc::new(kind));
    informer.on_change(move |change| {
        let work = match (&change.old, &change.new) {
            (_, Some(new)) => graph.observe(&kind, new.meta()),
            (Some(old), None) => graph.forget(old.meta()),
            (None, None) => return,
        };
        for uid in work {
            queue.add(uid);
        }
    });
}
