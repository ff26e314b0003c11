//! Endpoints and EndpointSlices.

use k8s_openapi::api::{
    core::v1::{Endpoints, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{ResourceExt, api::DeleteParams};
use serde_json::{Value, json};

use crate::fixture::{World, set_ready};

fn service(extra: Value) -> Value {
    let mut spec = json!({ "selector": { "app": "web" }, "ports": [{ "name": "http", "port": 80, "targetPort": "http" }] });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({ "metadata": { "name": "web" }, "spec": spec })
}

fn pod(name: &str) -> Value {
    json!({
        "metadata": { "name": name, "labels": { "app": "web" }, "annotations": { "test/linger": "yes" } },
        "spec": { "containers": [{ "name": "main", "image": "busybox", "ports": [{ "name": "http", "containerPort": 8080 }] }] },
    })
}

/// Endpoint conditions as the recordings' timelines print them.
fn conditions(slice: &EndpointSlice) -> Vec<(bool, bool, bool)> {
    let of = |endpoint: &k8s_openapi::api::discovery::v1::Endpoint| {
        let conditions = endpoint.conditions.clone().unwrap_or_default();
        (
            conditions.ready == Some(true),
            conditions.serving == Some(true),
            conditions.terminating == Some(true),
        )
    };
    slice.endpoints.iter().flatten().map(of).collect()
}

async fn until_slice(world: &World, what: &str, wanted: &[(bool, bool, bool)]) -> String {
    let name = world
        .until_listed::<EndpointSlice>(what, |slices| slices.len() == 1 && conditions(&slices[0]) == wanted)
        .await;
    name[0].name_any()
}

/// `watch/08-delete-grace-ignores-sigterm`: ready, then serving and terminating, then gone; the slice stays the same one.
#[tokio::test(flavor = "multi_thread")]
async fn a_slice_follows_its_pods() {
    let world = World::start().await;
    world.create::<Service>(service(json!({}))).await;
    let name = until_slice(&world, "empty at first", &[]).await;
    world.create::<Pod>(pod("one")).await;
    assert_eq!(until_slice(&world, "ready", &[(true, true, false)]).await, name);
    set_ready(&world, "one", false).await;
    until_slice(&world, "not ready", &[(false, false, false)]).await;
    set_ready(&world, "one", true).await;
    until_slice(&world, "ready again", &[(true, true, false)]).await;
    world.api::<Pod>().delete("one", &DeleteParams::default()).await.unwrap();
    until_slice(&world, "terminating", &[(false, true, true)]).await;
    world
        .until::<Endpoints>("web", "without the terminating pod", |endpoints| {
            endpoints.is_some_and(|endpoints| endpoints.subsets.is_none())
        })
        .await;
    world.patch::<Pod>("one", json!({ "metadata": { "annotations": { "test/linger": null } } })).await;
    assert_eq!(until_slice(&world, "empty again", &[]).await, name);

    let slice = world.list::<EndpointSlice>().await.remove(0);
    assert_eq!(slice.labels()["kubernetes.io/service-name"], "web");
    assert_eq!(slice.labels()["endpointslice.kubernetes.io/managed-by"], "endpointslice-controller.k8s.io");
    assert_eq!(slice.owner_references()[0].kind, "Service");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_go_with_their_service() {
    let world = World::start().await;
    world.create::<Service>(service(json!({}))).await;
    world.until::<Endpoints>("web", "there", |endpoints| endpoints.is_some()).await;
    until_slice(&world, "empty", &[]).await;
    world.api::<Service>().delete("web", &DeleteParams::default()).await.unwrap();
    world.until::<Endpoints>("web", "gone", |endpoints| endpoints.is_none()).await;
    world.until_listed::<EndpointSlice>("gone", |slices| slices.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hand_written_endpoints_of_a_service_without_selector_are_mirrored() {
    let world = World::start().await;
    world.create::<Service>(service(json!({ "selector": null }))).await;
    let subset = json!({ "addresses": [{ "ip": "127.9.9.9" }], "ports": [{ "name": "http", "port": 8000 }] });
    world.create::<Endpoints>(json!({ "metadata": { "name": "web" }, "subsets": [subset] })).await;
    let slices = world
        .until_listed::<EndpointSlice>("mirrored", |slices| {
            slices.len() == 1
                && slices[0].endpoints.iter().flatten().any(|endpoint| endpoint.addresses == ["127.9.9.9"])
        })
        .await;
    assert_eq!(slices[0].ports.as_ref().unwrap()[0].port, Some(8000));
    assert_eq!(
        slices[0].labels()["endpointslice.kubernetes.io/managed-by"],
        "endpointslicemirroring-controller.k8s.io"
    );
    world.api::<Endpoints>().delete("web", &DeleteParams::default()).await.unwrap();
    world.until_listed::<EndpointSlice>("gone", |slices| slices.is_empty()).await;
}
