//! Namespaces and the garbage collector.

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::{ConfigMap, Namespace, Pod, ServiceAccount},
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PropagationPolicy},
};
use serde_json::{Value, json};

use crate::fixture::{NS, World};

fn deployment() -> Value {
    let template = json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "main", "image": "busybox" }] },
    });
    let spec =
        json!({ "replicas": 2, "selector": { "matchLabels": { "app": "web" } }, "template": template });
    json!({ "metadata": { "name": "web" }, "spec": spec })
}

async fn delete(world: &World, policy: PropagationPolicy) {
    let parameters = DeleteParams { propagation_policy: Some(policy), ..DeleteParams::default() };
    world.api::<Deployment>().delete("web", &parameters).await.unwrap();
}

fn position(lines: &[String], text: &str) -> usize {
    lines
        .iter()
        .position(|line| line.contains(text))
        .unwrap_or_else(|| panic!("no {text:?} in\n{}", lines.join("\n")))
}

/// `watch/12-owner-gc`: the Deployment is gone at once, then its ReplicaSet, then the pods.
#[tokio::test(flavor = "multi_thread")]
async fn background_deletion_collects_from_the_top() {
    let world = World::start().await;
    world.create::<Deployment>(deployment()).await;
    world.rolled_out("web").await;
    delete(&world, PropagationPolicy::Background).await;
    world.until_pods("gone", |pods| pods.is_empty()).await;
    world.until_line("replicaset DELETED").await;
    let lines = world.lines();
    assert!(position(&lines, "deployment DELETED") < position(&lines, "replicaset DELETED"));
}

/// `watch/12-owner-gc`: pods first, then the ReplicaSet, the Deployment last.
#[tokio::test(flavor = "multi_thread")]
async fn foreground_deletion_collects_from_the_bottom() {
    let world = World::start().await;
    world.create::<Deployment>(deployment()).await;
    world.rolled_out("web").await;
    delete(&world, PropagationPolicy::Foreground).await;
    let there = world.api::<Deployment>().get_opt("web").await.unwrap();
    assert!(there.is_some_and(|deployment| deployment.finalizers() == ["foregroundDeletion"]));
    world.until::<Deployment>("web", "gone", |deployment| deployment.is_none()).await;
    assert_eq!(world.list::<Pod>().await.len(), 0);
    world.until_line("deployment DELETED").await;
    let lines = world.lines();
    assert!(position(&lines, "replicaset DELETED") < position(&lines, "deployment DELETED"));
    let created = lines.iter().filter(|line| line.contains("Created pod")).count();
    assert_eq!(created, 2, "no pod is made while its owners go");
}

#[tokio::test(flavor = "multi_thread")]
async fn orphaned_dependents_stay_and_can_be_adopted_again() {
    let world = World::start().await;
    world.create::<Deployment>(deployment()).await;
    world.rolled_out("web").await;
    let set = world.list::<ReplicaSet>().await[0].name_any();
    delete(&world, PropagationPolicy::Orphan).await;
    world.until::<Deployment>("web", "gone", |deployment| deployment.is_none()).await;
    let orphan = world.api::<ReplicaSet>().get(&set).await.unwrap();
    assert!(orphan.owner_references().is_empty());
    assert_eq!(world.list::<Pod>().await.len(), 2);
    let again = world.create::<Deployment>(deployment()).await;
    world
        .until::<ReplicaSet>(&set, "adopted", |set| {
            set.is_some_and(|set| {
                set.owner_references().iter().any(|owner| Some(&owner.uid) == again.uid().as_ref())
            })
        })
        .await;
    world.rolled_out("web").await;
    assert_eq!(world.list::<ReplicaSet>().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_goes_with_its_last_owner_and_at_once_if_there_never_was_one() {
    let world = World::without_kubelet().await;
    let create = async |name: &str, owners: Vec<(&str, &str)>| {
        let owner = |(name, uid): &(&str, &str)| json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": uid });
        let owners: Vec<_> = owners.iter().map(owner).collect();
        let created: ConfigMap =
            world.create(json!({ "metadata": { "name": name, "ownerReferences": owners } })).await;
        created.uid().unwrap()
    };
    let one = create("one", vec![]).await;
    let two = create("two", vec![]).await;
    create("child", vec![("one", &one), ("two", &two)]).await;
    create("stray", vec![("nobody", "00000000-0000-4000-8000-000000000000")]).await;
    world.until::<ConfigMap>("stray", "gone", |map| map.is_none()).await;
    world.api::<ConfigMap>().delete("one", &DeleteParams::default()).await.unwrap();
    world
        .until::<ConfigMap>("child", "owned by one", |map| {
            map.is_some_and(|map| map.owner_references().len() == 1)
        })
        .await;
    world.api::<ConfigMap>().delete("two", &DeleteParams::default()).await.unwrap();
    world.until::<ConfigMap>("child", "gone", |map| map.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_namespace_has_a_default_service_account() {
    let world = World::without_kubelet().await;
    world.until::<ServiceAccount>("default", "there", |account| account.is_some()).await;
    world.api::<ServiceAccount>().delete("default", &DeleteParams::default()).await.unwrap();
    let first = |account: Option<&ServiceAccount>| account.and_then(ResourceExt::uid);
    world.until::<ServiceAccount>("default", "there again", |account| first(account).is_some()).await;
}

/// `watch/11-namespace-deletion`: pods first, everything else when they are gone, then the namespace.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_takes_its_contents_along_pods_first() {
    let world = World::start().await;
    let mut object = deployment();
    object["spec"]["template"]["metadata"]["annotations"] = json!({ "test/linger": "yes" });
    world.create::<Deployment>(object).await;
    world.create::<ConfigMap>(json!({ "metadata": { "name": "settings" } })).await;
    world.rolled_out("web").await;
    let namespaces: Api<Namespace> = Api::all(world.client.clone());
    namespaces.delete(NS, &DeleteParams::default()).await.unwrap();
    world
        .until_cluster::<Namespace>(NS, "waiting for its pods", |namespace| {
            let conditions = namespace.and_then(|namespace| namespace.status.as_ref()?.conditions.as_ref());
            conditions.into_iter().flatten().any(|condition| {
                condition.type_ == "NamespaceDeletionContentFailure"
                    && condition.status == "True"
                    && condition.reason.as_deref() == Some("ContentDeletionFailed")
            })
        })
        .await;
    assert!(world.api::<ConfigMap>().get_opt("settings").await.unwrap().is_some(), "pods go first");
    for pod in world.list::<Pod>().await {
        world
            .patch::<Pod>(&pod.name_any(), json!({ "metadata": { "annotations": { "test/linger": null } } }))
            .await;
    }
    world.until_cluster::<Namespace>(NS, "gone", |namespace| namespace.is_none()).await;
    assert_eq!(world.list::<Pod>().await.len(), 0);
    assert_eq!(world.list::<ConfigMap>().await.len(), 0);
    assert_eq!(world.list::<ReplicaSet>().await.len(), 0);
}
