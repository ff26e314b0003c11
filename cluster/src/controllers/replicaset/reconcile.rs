//! One pass over one ReplicaSet.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::{
        apps::v1::{ReplicaSet, ReplicaSetStatus},
        core::v1::Pod,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
    jiff::Timestamp,
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams, Preconditions},
};

use super::plan::{self, Failure, Step};
use crate::controllers::{
    Context,
    error::{During, ReconcileError, api_status, if_found, is_terminating},
    events::Severity,
    informer::ObjectKey,
    owner::{self, Claim, Matcher},
    pods,
    queue::Requeue,
};

/// Requests in flight for one ReplicaSet.
const PARALLEL: usize = 16;

/// Reconciles the ReplicaSet of that key.
pub async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(set) = context.replica_sets.get(&key) else { return Ok(Requeue::DONE) };
    let matcher = Matcher::new(&set.spec.selector)?;
    // Asked before the pods are read: what is observed in between only makes the list more complete.
    let satisfied = context.expectations.satisfied(&key);
    let claimed = claim_pods(&context, &key, &set, &matcher).await?;
    let active: Vec<&Pod> = claimed.iter().map(|pod| &**pod).filter(|pod| pods::is_active(pod)).collect();
    let terminating =
        claimed.iter().filter(|pod| pods::is_terminating(pod) && !pods::is_terminal(pod)).count();
    let mut managed = Ok(());
    if satisfied && set.metadata.deletion_timestamp.is_none() {
        managed = match plan::step(&set, &active, Timestamp::now()) {
            Step::Keep => Ok(()),
            Step::Create(count) => create_pods(&context, &key, &set, count).await,
            Step::Delete(surplus) => delete_pods(&context, &key, &set, surplus).await,
        };
    }
    let failure = managed.as_ref().err().map(|(failure, _)| failure.clone());
    let status = plan::status(&set, &active, terminating, failure, Timestamp::now());
    write_status(&context, &key, &set, &status).await?;
    if let Err((_, error)) = managed {
        return Err(error);
    }
    // A pod gets available by time alone: nothing will call for it.
    let min_ready = set.spec.min_ready_seconds.unwrap_or(0);
    let waiting = min_ready > 0 && status.ready_replicas != status.available_replicas;
    Ok(Requeue(waiting.then(|| until_available(&active, min_ready))))
}

/// Time until the next ready pod has been ready long enough.
fn until_available(active: &[&Pod], min_ready: i32) -> Duration {
    let now = Timestamp::now();
    let min_ready = Duration::from_secs(min_ready.unsigned_abs().into());
    let ready = active.iter().filter(|pod| pods::is_ready(pod)).filter_map(|pod| {
        let since = pods::condition(pod, "Ready")?.last_transition_time.as_ref()?.0;
        let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        min_ready.checked_sub(passed)
    });
    ready.min().unwrap_or(min_ready) + Duration::from_millis(1)
}

async fn claim_pods(
    context: &Context,
    key: &ObjectKey,
    set: &ReplicaSet,
    matcher: &Matcher,
) -> Result<Vec<Arc<Pod>>, ReconcileError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &key.namespace);
    let mut claimed = Vec::new();
    for pod in context.pods.in_namespace(&key.namespace) {
        let owners = match owner::claim(pod.meta(), set.meta(), matcher) {
            Claim::Keep => {
                claimed.push(pod);
                continue;
            }
            Claim::Ignore => continue,
            Claim::Adopt if pods::is_terminal(&pod) => continue,
            Claim::Adopt => {
                context.check_still_there::<ReplicaSet>(key, set.meta()).await?;
                owner::owners_with(pod.meta(), controller_reference(set))
            }
            Claim::Release => owner::owners_without(pod.meta(), set.uid().as_deref().unwrap_or_default()),
        };
        let adopted = owner::controller_of(pod.meta()).is_none();
        let patch = Patch::Merge(owner::owners_patch(pod.meta(), &owners));
        let name = pod.name_any();
        let patched = if_found(api.patch(&name, &PatchParams::default(), &patch).await)
            .during(|| format!("change the owner of pod {}/{name}", key.namespace))?;
        claimed.extend(patched.filter(|_| adopted).map(Arc::new));
    }
    Ok(claimed)
}

fn controller_reference(set: &ReplicaSet) -> OwnerReference {
    OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "ReplicaSet".to_owned(),
        name: set.name_any(),
        uid: set.uid().unwrap_or_default(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}

fn new_pod(set: &ReplicaSet) -> Pod {
    let template = set.spec.template.clone().unwrap_or_default();
    let metadata = template.metadata.unwrap_or_default();
    Pod {
        metadata: ObjectMeta {
            generate_name: Some(format!("{}-", set.name_any())),
            namespace: set.namespace(),
            labels: metadata.labels,
            annotations: metadata.annotations,
            finalizers: metadata.finalizers,
            owner_references: Some(vec![controller_reference(set)]),
            ..ObjectMeta::default()
        },
        spec: template.spec,
        status: None,
    }
}

/// What went wrong, for the status and for the retry.
type Managed = Result<(), (Failure, ReconcileError)>;

/// Creates pods in batches of 1, 2, 4 ...: if the first one is refused, the others are not tried (Kubernetes' slow start).
async fn create_pods(context: &Context, key: &ObjectKey, set: &ReplicaSet, count: usize) -> Managed {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &key.namespace);
    let (api, pod) = (&api, &new_pod(set));
    let (mut left, mut batch) = (count, 1);
    context.expectations.expect_creations(key, count);
    while left > 0 {
        let size = batch.min(left);
        let requests = (0..size).map(|_| async move { api.create(&PostParams::default(), pod).await });
        let answers: Vec<_> = stream::iter(requests).buffered(PARALLEL).collect().await;
        left -= size;
        batch *= 2;
        let mut refused = None;
        for answer in answers {
            match answer {
                Ok(created) => {
                    let message = format!("Created pod: {}", created.name_any());
                    context.replica_set_events.record(set, Severity::Normal, "SuccessfulCreate", message);
                }
                Err(error) => {
                    context.expectations.creation_observed(key);
                    refused = Some(error);
                }
            }
        }
        let Some(error) = refused else { continue };
        for _ in 0..left {
            context.expectations.creation_observed(key);
        }
        if api_status(&error).is_some_and(is_terminating) {
            // The namespace goes, and with it this ReplicaSet.
            return Ok(());
        }
        let message = api_status(&error).map_or_else(|| error.to_string(), |status| status.message.clone());
        let text = format!("Error creating: {message}");
        context.replica_set_events.record(set, Severity::Warning, "FailedCreate", text);
        let action = format!("create a pod of ReplicaSet {key}");
        return Err((("FailedCreate", message), ReconcileError::Api { action, source: Box::new(error) }));
    }
    Ok(())
}

async fn delete_pods(
    context: &Context,
    key: &ObjectKey,
    set: &ReplicaSet,
    surplus: Vec<(String, String)>,
) -> Managed {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), &key.namespace);
    let api = &api;
    context.expectations.expect_deletions(key, surplus.iter().map(|(uid, _)| uid.clone()));
    let requests = surplus.into_iter().map(|(uid, name)| async move {
        let only_this = Preconditions { uid: Some(uid.clone()), resource_version: None };
        let answer = api.delete(&name, &DeleteParams::default().preconditions(only_this)).await;
        (uid, name, if_found(answer.map(|_| ())))
    });
    let answers: Vec<_> = stream::iter(requests).buffered(PARALLEL).collect().await;
    let mut failed = Ok(());
    for (uid, name, answer) in answers {
        match answer {
            Ok(Some(())) => {
                let message = format!("Deleted pod: {name}");
                context.replica_set_events.record(set, Severity::Normal, "SuccessfulDelete", message);
            }
            // Gone already.
            Ok(None) => context.expectations.deletion_observed(key, &uid),
            Err(error) => {
                context.expectations.deletion_observed(key, &uid);
                let message =
                    api_status(&error).map_or_else(|| error.to_string(), |status| status.message.clone());
                let text = format!("Error deleting: {message}");
                context.replica_set_events.record(set, Severity::Warning, "FailedDelete", text);
                let action = format!("delete pod {}/{name}", key.namespace);
                failed =
                    Err((("FailedDelete", message), ReconcileError::Api { action, source: Box::new(error) }));
            }
        }
    }
    failed
}

async fn write_status(
    context: &Context,
    key: &ObjectKey,
    set: &ReplicaSet,
    status: &ReplicaSetStatus,
) -> Result<(), ReconcileError> {
    let normalised = |status: &ReplicaSetStatus| ReplicaSetStatus {
        conditions: status.conditions.clone().filter(|conditions| !conditions.is_empty()),
        ..status.clone()
    };
    if set.status.as_ref().map(normalised).as_ref() == Some(status) {
        return Ok(());
    }
    let wanted = ReplicaSet { status: Some(status.clone()), ..set.clone() };
    let api: Api<ReplicaSet> = Api::namespaced(context.client.clone(), &key.namespace);
    let written = if_found(api.replace_status(&key.name, &PostParams::default(), &wanted).await);
    written.during(|| format!("write the status of ReplicaSet {key}"))?;
    Ok(())
}
