//! Looks at one object that may be garbage.

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, Preconditions, PropagationPolicy},
};
use serde_json::json;

use super::graph::{FOREGROUND, Graph, Kind, Node, ORPHAN, Uid};
use crate::controllers::{
    error::{During, ReconcileError, if_found},
    queue::{Queue, Requeue},
};

fn api(client: &Client, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
    match kind.namespaced {
        true => Api::namespaced_with(client.clone(), namespace, &kind.resource),
        false => Api::all_with(client.clone(), &kind.resource),
    }
}

/// What an owner is to its dependent.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Owner {
    /// It lives.
    Solid,
    /// It does not exist.
    Absent,
    /// It is being deleted in the foreground and waits for its dependents.
    Waiting,
}

/// Decides and acts.
pub async fn collect(
    client: Client,
    graph: Arc<Graph>,
    queue: Queue<Uid>,
    uid: Uid,
) -> Result<Requeue, ReconcileError> {
    let Some(node) = graph.node(&uid) else { return Ok(Requeue::DONE) };
    if node.orphan {
        orphan_dependents(&client, &graph, &uid, &node).await?;
        return Ok(Requeue::DONE);
    }
    if node.foreground {
        return wait_for_dependents(&client, &graph, &queue, &uid, &node).await;
    }
    if node.deleting || node.owners.is_empty() {
        return Ok(Requeue::DONE);
    }
    delete_if_garbage(&client, &graph, &uid, &node).await
}

/// Reads the object and makes sure that it is still the one that was meant.
async fn live(client: &Client, uid: &Uid, node: &Node) -> Result<Option<DynamicObject>, ReconcileError> {
    let api = api(client, &node.kind, &node.namespace);
    let what = || format!("get {} {}/{}", node.kind.resource.kind, node.namespace, node.name);
    let found = if_found(api.get(&node.name).await).during(what)?;
    Ok(found.filter(|object| object.uid().as_deref() == Some(&uid.0)))
}

async fn classify(
    client: &Client,
    graph: &Graph,
    node: &Node,
    owner: &OwnerReference,
) -> Result<Owner, ReconcileError> {
    let uid = Uid(owner.uid.clone());
    if graph.node(&uid).is_some_and(|owner| owner.foreground) {
        return Ok(if owner.block_owner_deletion == Some(true) { Owner::Waiting } else { Owner::Solid });
    }
    if graph.is_present(&uid) {
        return Ok(Owner::Solid);
    }
    let Some(kind) = graph.kind(owner) else {
        // A kind that this server does not serve: it cannot be asked whether the owner lives, so nothing is deleted.
        tracing::debug!(kind = owner.kind, name = owner.name, "owner of an unknown kind");
        return Ok(Owner::Solid);
    };
    // The watch of the owner's kind may be behind that of the dependent's: ask.
    let api = api(client, &kind, &node.namespace);
    let what = || format!("get {} {}/{}", owner.kind, node.namespace, owner.name);
    let found = if_found(api.get_metadata(&owner.name).await).during(what)?;
    let lives = found.is_some_and(|object| object.uid().as_deref() == Some(&owner.uid));
    Ok(if lives { Owner::Solid } else { Owner::Absent })
}

async fn delete_if_garbage(
    client: &Client,
    graph: &Graph,
    uid: &Uid,
    node: &Node,
) -> Result<Requeue, ReconcileError> {
    // The graph may be behind: owners are taken from the object as it is now.
    let Some(object) = live(client, uid, node).await? else { return Ok(Requeue::DONE) };
    if object.metadata.deletion_timestamp.is_some() {
        return Ok(Requeue::DONE);
    }
    let owners = object.owner_references().to_vec();
    let mut solid = Vec::new();
    let (mut absent, mut waiting) = (0, 0);
    for owner in &owners {
        match classify(client, graph, node, owner).await? {
            Owner::Solid => solid.push(owner.clone()),
            Owner::Absent => absent += 1,
            Owner::Waiting => waiting += 1,
        }
    }
    if owners.is_empty() || absent + waiting == 0 {
        return Ok(Requeue::DONE);
    }
    let api = api(client, &node.kind, &node.namespace);
    let name = &node.name;
    if !solid.is_empty() {
        let patch =
            json!({ "metadata": { "resourceVersion": object.resource_version(), "ownerReferences": solid } });
        if_found(api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch)).await).during(
            || format!("remove absent owners of {} {}/{name}", node.kind.resource.kind, node.namespace),
        )?;
        return Ok(Requeue::DONE);
    }
    // What has dependents itself takes them along before its own owner goes.
    let has = |finalizer: &str| object.finalizers().iter().any(|present| present == finalizer);
    let policy = if has(ORPHAN) {
        PropagationPolicy::Orphan
    } else if has(FOREGROUND) || (waiting > 0 && !graph.dependents(uid).is_empty()) {
        PropagationPolicy::Foreground
    } else {
        PropagationPolicy::Background
    };
    let parameters = DeleteParams {
        propagation_policy: Some(policy),
        preconditions: Some(Preconditions { uid: Some(uid.0.clone()), resource_version: None }),
        ..DeleteParams::default()
    };
    if_found(api.delete(name, &parameters).await.map(|_| ())).during(|| {
        format!("delete {} {}/{name}, whose owner is gone", node.kind.resource.kind, node.namespace)
    })?;
    Ok(Requeue::DONE)
}

/// Foreground: the dependents go first; when none is left that blocks, the owner's finalizer is removed.
async fn wait_for_dependents(
    client: &Client,
    graph: &Graph,
    queue: &Queue<Uid>,
    uid: &Uid,
    node: &Node,
) -> Result<Requeue, ReconcileError> {
    let blocks = |dependent: &Node| {
        dependent.owners.iter().any(|owner| owner.uid == uid.0 && owner.block_owner_deletion == Some(true))
    };
    let dependents = graph.dependents(uid);
    if dependents.iter().any(|(_, dependent)| blocks(dependent)) {
        for (dependent, state) in dependents {
            if !state.deleting {
                queue.add(dependent);
            }
        }
        // Each dependent that goes calls for the next look.
        return Ok(Requeue::DONE);
    }
    remove_finalizer(client, uid, node, FOREGROUND).await
}

/// Orphan: the dependents lose their reference, then the owner its finalizer.
async fn orphan_dependents(
    client: &Client,
    graph: &Graph,
    uid: &Uid,
    node: &Node,
) -> Result<(), ReconcileError> {
    for (dependent, state) in graph.dependents(uid) {
        let Some(object) = live(client, &dependent, &state).await? else { continue };
        let kept: Vec<_> =
            object.owner_references().iter().filter(|owner| owner.uid != uid.0).cloned().collect();
        if kept.len() == object.owner_references().len() {
            continue;
        }
        let patch =
            json!({ "metadata": { "resourceVersion": object.resource_version(), "ownerReferences": kept } });
        let api = api(client, &state.kind, &state.namespace);
        if_found(api.patch_metadata(&state.name, &PatchParams::default(), &Patch::Merge(patch)).await)
            .during(|| format!("set {} {}/{} free", state.kind.resource.kind, state.namespace, state.name))?;
    }
    remove_finalizer(client, uid, node, ORPHAN).await?;
    Ok(())
}

async fn remove_finalizer(
    client: &Client,
    uid: &Uid,
    node: &Node,
    finalizer: &str,
) -> Result<Requeue, ReconcileError> {
    let Some(object) = live(client, uid, node).await? else { return Ok(Requeue::DONE) };
    let kept: Vec<_> = object.finalizers().iter().filter(|present| *present != finalizer).cloned().collect();
    let patch = json!({ "metadata": { "resourceVersion": object.resource_version(), "finalizers": kept } });
    let api = api(client, &node.kind, &node.namespace);
    if_found(api.patch_metadata(&node.name, &PatchParams::default(), &Patch::Merge(patch)).await)
        .during(|| format!("remove finalizer {finalizer} of {}/{}", node.namespace, node.name))?;
    Ok(Requeue::DONE)
}
