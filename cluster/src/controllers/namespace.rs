//! Namespaces: the default ServiceAccount while they live, the removal of everything in them when they go.

use std::sync::Arc;

use k8s_openapi::{
    api::core::v1::{Namespace, NamespaceCondition, Pod, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, ObjectMeta, PostParams},
    discovery::{ApiResource, Discovery, Scope, verbs},
};

use super::{
    Context,
    error::{During, ReconcileError, api_status, is_terminating},
    informer::ObjectKey,
    queue::{Queue, Requeue},
};

/// The finalizer in `spec.finalizers` that this controller works off.
const FINALIZER: &str = "kubernetes";
/// ServiceAccount that every namespace has.
const DEFAULT_ACCOUNT: &str = "default";
/// How soon to look again at what waits for its own finalizers. Pods call by themselves when they are gone.
const RETRY: std::time::Duration = std::time::Duration::from_millis(500);

/// Lets changes of namespaces, pods and ServiceAccounts call for a reconcile.
pub fn connect(context: &Arc<Context>, queue: &Queue<ObjectKey>) {
    let own = queue.clone();
    context.namespaces.on_change(move |change| own.add_latest(change));
    let accounts = queue.clone();
    context.service_accounts.on_change(move |change| {
        if let (Some(gone), None) = (&change.old, &change.new) {
            accounts.add(ObjectKey::new("", gone.namespace().unwrap_or_default()));
        }
    });
    let (pods, all) = (queue.clone(), Arc::downgrade(context));
    context.pods.on_change(move |change| {
        let (Some(gone), None, Some(context)) = (&change.old, &change.new, all.upgrade()) else { return };
        let key = ObjectKey::new("", gone.namespace().unwrap_or_default());
        if context
            .namespaces
            .get(&key)
            .is_some_and(|namespace| namespace.metadata.deletion_timestamp.is_some())
        {
            pods.add(key);
        }
    });
}

/// Reconciles the namespace of that key.
pub async fn reconcile(context: Arc<Context>, key: ObjectKey) -> Result<Requeue, ReconcileError> {
    let Some(namespace) = context.namespaces.get(&key) else { return Ok(Requeue::DONE) };
    if namespace.metadata.deletion_timestamp.is_none() {
        ensure_account(&context, &key.name).await?;
        return Ok(Requeue::DONE);
    }
    remove(&context.client, &namespace).await
}

async fn ensure_account(context: &Context, namespace: &str) -> Result<(), ReconcileError> {
    if context.service_accounts.get(&ObjectKey::new(namespace, DEFAULT_ACCOUNT)).is_some() {
        return Ok(());
    }
    let api: Api<ServiceAccount> = Api::namespaced(context.client.clone(), namespace);
    let metadata = ObjectMeta { name: Some(DEFAULT_ACCOUNT.to_owned()), ..ObjectMeta::default() };
    let account = ServiceAccount { metadata, ..ServiceAccount::default() };
    match api.create(&PostParams::default(), &account).await {
        Err(error)
            if api_status(&error).is_some_and(|status| {
                status.is_already_exists() || is_terminating(status) || status.is_not_found()
            }) =>
        {
            Ok(())
        }
        other => other.map(|_| ()).during(|| format!("create ServiceAccount {namespace}/{DEFAULT_ACCOUNT}")),
    }
}

/// What is left in a namespace.
#[derive(Debug, Default, PartialEq)]
struct Remains {
    /// Objects that were deleted and are still there: kind, as `pods.v1`, and how many.
    objects: Vec<(String, usize)>,
    /// Finalizers they wait for, and how many objects each holds.
    finalizers: Vec<(String, usize)>,
    /// Pods go first; while some are left, nothing else is touched.
    pods: bool,
}

async fn remove(client: &Client, namespace: &Namespace) -> Result<Requeue, ReconcileError> {
    let name = namespace.name_any();
    let finalizers = namespace.spec.as_ref().and_then(|spec| spec.finalizers.clone()).unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        return Ok(Requeue::DONE);
    }
    let remains = empty(client, &name).await?;
    let api: Api<Namespace> = Api::all(client.clone());
    let mut current = namespace.clone();
    let status = current.status.get_or_insert_default();
    let conditions =
        conditions(&name, &remains, status.conditions.as_deref().unwrap_or_default(), Timestamp::now());
    if status.conditions.as_ref() != Some(&conditions) {
        status.conditions = Some(conditions);
        current = api
            .replace_status(&name, &PostParams::default(), &current)
            .await
            .during(|| format!("write the status of namespace {name}"))?;
    }
    if remains.pods {
        return Ok(Requeue::DONE);
    }
    if !remains.objects.is_empty() {
        return Ok(Requeue::after(RETRY));
    }
    let left = finalizers.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
    current.spec.get_or_insert_default().finalizers = Some(left);
    api.replace_subresource("finalize", &name, &PostParams::default(), &current)
        .await
        .during(|| format!("finalize namespace {name}"))?;
    Ok(Requeue::DONE)
}

/// Deletes what is in the namespace and tells what is left.
async fn empty(client: &Client, namespace: &str) -> Result<Remains, ReconcileError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    let listed = pods.list(&ListParams::default()).await.during(|| format!("list pods of {namespace}"))?;
    if !listed.items.is_empty() {
        pods.delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .during(|| format!("delete the pods of {namespace}"))?;
        let left = pods.list(&ListParams::default()).await.during(|| format!("list pods of {namespace}"))?;
        if !left.items.is_empty() {
            return Ok(Remains {
                objects: vec![("pods.".into(), left.items.len())],
                pods: true,
                ..Remains::default()
            });
        }
    }
    let mut remains = Remains::default();
    for resource in deletable(client).await? {
        let api: Api<DynamicObject> = Api::namespaced_with(client.clone(), namespace, &resource);
        let what = || format!("delete the {} of {namespace}", resource.plural);
        // Most kinds have no object here: one list instead of a deletion and a list.
        let before = api.list_metadata(&ListParams::default()).await.during(what)?;
        if before.items.is_empty() {
            continue;
        }
        match api.delete_collection(&DeleteParams::background(), &ListParams::default()).await {
            Err(error) if api_status(&error).is_some_and(|status| status.code == 405) => {
                for object in &before.items {
                    super::error::if_found(api.delete(&object.name_any(), &DeleteParams::background()).await)
                        .during(what)?;
                }
            }
            other => {
                other.during(what)?;
            }
        }
        let left = api.list_metadata(&ListParams::default()).await.during(what)?;
        if left.items.is_empty() {
            continue;
        }
        remains.objects.push((format!("{}.{}", resource.plural, resource.group), left.items.len()));
        for finalizer in left.items.iter().flat_map(|object| object.finalizers()) {
            match remains.finalizers.iter_mut().find(|(name, _)| name == finalizer) {
                Some((_, count)) => *count += 1,
                None => remains.finalizers.push((finalizer.clone(), 1)),
            }
        }
    }
    Ok(remains)
}

/// The namespaced resources that the server can list and delete, pods excepted. Asked each time: cheap, and never out of date.
async fn deletable(client: &Client) -> Result<Vec<ApiResource>, ReconcileError> {
    let discovery = Discovery::new(client.clone())
        .run_aggregated()
        .await
        .during(|| "discover what the server serves".into())?;
    let mut resources = Vec::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.recommended_resources() {
            let usable = capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::LIST)
                && capabilities.supports_operation(verbs::DELETE);
            // Two views of the same objects.
            let again = resource.group == "events.k8s.io" || resource.plural == "pods";
            if usable && !again {
                resources.push(resource);
            }
        }
    }
    Ok(resources)
}

/// Conditions with the reasons and texts of a real cluster.
fn conditions(
    namespace: &str,
    remains: &Remains,
    present: &[NamespaceCondition],
    now: Timestamp,
) -> Vec<NamespaceCondition> {
    let content = if remains.pods {
        let which =
            format!("unexpected items still remain in namespace: {namespace} for gvr: /v1, Resource=pods");
        (
            "True",
            "ContentDeletionFailed",
            format!("Failed to delete all resource types, 1 remaining: {which}"),
        )
    } else {
        (
            "False",
            "ContentDeleted",
            "All content successfully deleted, may be waiting on finalization".to_owned(),
        )
    };
    let left = if remains.pods || remains.objects.is_empty() {
        ("False", "ContentRemoved", "All content successfully removed".to_owned())
    } else {
        let each =
            remains.objects.iter().map(|(kind, count)| format!("{kind} has {count} resource instances"));
        let text = format!("Some resources are remaining: {}", each.collect::<Vec<_>>().join(", "));
        ("True", "SomeResourcesRemain", text)
    };
    let finalizers = if remains.finalizers.is_empty() {
        ("False", "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned())
    } else {
        let each =
            remains.finalizers.iter().map(|(name, count)| format!("{name} in {count} resource instances"));
        let text = format!(
            "Some content in the namespace has finalizers remaining: {}",
            each.collect::<Vec<_>>().join(", ")
        );
        ("True", "SomeFinalizersRemain", text)
    };
    let discovered = ("False", "ResourcesDiscovered", "All resources successfully discovered".to_owned());
    let parsed = ("False", "ParsedGroupVersions", "All legacy kube types successfully parsed".to_owned());
    let all = [
        ("NamespaceDeletionDiscoveryFailure", discovered),
        ("NamespaceDeletionGroupVersionParsingFailure", parsed),
        ("NamespaceDeletionContentFailure", content),
        ("NamespaceContentRemaining", left),
        ("NamespaceFinalizersRemaining", finalizers),
    ];
    let condition = |(type_, (status, reason, message)): (&str, (&str, &str, String))| {
        let before = present.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        NamespaceCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_transition_time: before
                .and_then(|before| before.last_transition_time.clone())
                .or(Some(Time(now))),
        }
    };
    all.into_iter().map(condition).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts of `watch/11-namespace-deletion`.
    #[test]
    fn conditions_have_the_recorded_texts() {
        let pods = Remains { objects: vec![("pods.".into(), 2)], pods: true, ..Remains::default() };
        let first = conditions("demo", &pods, &[], "2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(
            first[2].message.as_deref().unwrap(),
            "Failed to delete all resource types, 1 remaining: unexpected items still remain in namespace: demo for gvr: /v1, \
             Resource=pods"
        );
        let summary: Vec<_> =
            first.iter().map(|c| (c.status.as_str(), c.reason.as_deref().unwrap())).collect();
        let expected = [
            ("False", "ResourcesDiscovered"),
            ("False", "ParsedGroupVersions"),
            ("True", "ContentDeletionFailed"),
            ("False", "ContentRemoved"),
            ("False", "ContentHasNoFinalizers"),
        ];
        assert_eq!(summary, expected);
        let done = conditions("demo", &Remains::default(), &first, "2026-01-01T00:01:00Z".parse().unwrap());
        assert_eq!((done[2].status.as_str(), done[2].reason.as_deref()), ("False", Some("ContentDeleted")));
        assert_eq!(
            done[3].last_transition_time, first[3].last_transition_time,
            "an unchanged status keeps its time"
        );
        assert_ne!(done[2].last_transition_time, first[2].last_transition_time);
    }

    #[test]
    fn what_is_left_is_named() {
        let remains = Remains {
            objects: vec![("configmaps.".into(), 1)],
            finalizers: vec![("example.com/hold".into(), 1)],
            pods: false,
        };
        let conditions = conditions("demo", &remains, &[], Timestamp::now());
        assert_eq!(
            conditions[3].message.as_deref(),
            Some("Some resources are remaining: configmaps. has 1 resource instances")
        );
        assert_eq!(
            conditions[4].message.as_deref(),
            Some(
                "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"
            )
        );
    }
}
