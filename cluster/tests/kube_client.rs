//! The real kube client against the API server, in process.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod common;

use std::time::Duration;

use common::Fixture;
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    runtime::{
        WatchStreamExt, reflector,
        wait::{await_condition, conditions},
        watcher,
    },
};
use serde_json::{from_value, json};
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(10);

fn config_maps(fixture: &Fixture) -> Api<ConfigMap> {
    Api::default_namespaced(fixture.client())
}

fn pods(fixture: &Fixture) -> Api<Pod> {
    Api::default_namespaced(fixture.client())
}

fn config_map(name: &str, value: &str) -> ConfigMap {
    from_value(json!({"metadata": {"name": name, "labels": {"set": "w"}}, "data": {"key": value}})).unwrap()
}

fn pod(name: &str) -> Pod {
    from_value(
        json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}),
    )
    .unwrap()
}

#[tokio::test]
async fn objects_are_created_read_replaced_patched_and_deleted() {
    let fixture = Fixture::new();
    let maps = config_maps(&fixture);
    let created = maps.create(&PostParams::default(), &config_map("a", "1")).await.unwrap();
    assert!(
        created.uid().is_some()
            && created.resource_version().is_some()
            && created.creation_timestamp().is_some()
    );

    let mut stale = created.clone();
    let patch = json!({"data": {"key": "2"}});
    let patched = maps.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    assert_eq!(patched.data.unwrap()["key"], "2");

    stale.data.as_mut().unwrap().insert("key".into(), "3".into());
    let error = maps.replace("a", &PostParams::default(), &stale).await.unwrap_err();
    assert!(matches!(&error, kube::Error::Api(status) if status.is_conflict()), "{error}");

    maps.delete("a", &DeleteParams::default()).await.unwrap();
    assert!(maps.get_opt("a").await.unwrap().is_none());
}

#[tokio::test]
async fn a_reflector_follows_creations_changes_and_deletions() {
    let fixture = Fixture::new();
    let maps = config_maps(&fixture);
    maps.create(&PostParams::default(), &config_map("before", "1")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let (store, writer) = reflector::store();
        let mut events = watcher(maps.clone(), config).default_backoff().reflect(writer).boxed();
        timeout(SOON, async {
            while store.state().is_empty() {
                events.try_next().await.unwrap();
            }
            maps.create(&PostParams::default(), &config_map("after", "1")).await.unwrap();
            while store.state().len() < 2 {
                events.try_next().await.unwrap();
            }
            maps.delete("after", &DeleteParams::default()).await.unwrap();
            while store.state().len() > 1 {
                events.try_next().await.unwrap();
            }
        })
        .await
        .unwrap();
        assert_eq!(store.state()[0].name_any(), "before");
    }
}

#[tokio::test]
async fn conditions_are_awaited_through_a_status_write() {
    let fixture = Fixture::new();
    let pods = pods(&fixture);
    pods.create(&PostParams::default(), &pod("p")).await.unwrap();
    let running = tokio::spawn(await_condition(pods.clone(), "p", conditions::is_pod_running()));
    let status = json!({"status": {"phase": "Running"}});
    pods.patch_status("p", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let pod = timeout(SOON, running).await.unwrap().unwrap().unwrap().unwrap();
    assert_eq!(pod.status.unwrap().phase.unwrap(), "Running");
}

#[tokio::test]
async fn pages_pin_the_version_of_the_first() {
    let fixture = Fixture::new();
    let maps = config_maps(&fixture);
    for index in 0..5 {
        maps.create(&PostParams::default(), &config_map(&format!("w{index}"), "1")).await.unwrap();
    }
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(3));
    maps.delete("w4", &DeleteParams::default()).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    let rest = maps.list(&ListParams::default().limit(5).continue_token(&token)).await.unwrap();
    let names: Vec<String> = rest.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["w2", "w3", "w4"]);
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
}

#[tokio::test]
async fn a_running_pod_is_removed_only_by_its_kubelet() {
    let fixture = Fixture::new();
    let pods = pods(&fixture);
    let mut scheduled = pod("p");
    scheduled.spec.as_mut().unwrap().node_name = Some("node-1".into());
    pods.create(&PostParams::default(), &scheduled).await.unwrap();
    let terminating =
        pods.delete("p", &DeleteParams::default().grace_period(7)).await.unwrap().left().unwrap();
    assert_eq!(terminating.metadata.deletion_grace_period_seconds, Some(7));
    assert_eq!(terminating.metadata.generation, Some(2));
    pods.delete("p", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(pods.get_opt("p").await.unwrap().is_none());
}
