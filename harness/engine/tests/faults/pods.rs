use std::time::Duration;

use harness_engine::fault::PlannedFault;
use harness_event::{FaultAction, FaultSpec, Millis};
use k8s_openapi::{api::core::v1::Pod, serde_json::json};
use kube::Api;

use super::Fixture;

const LIMIT: Duration = Duration::from_secs(10);

/// A ready pod of a controller that is not there, so that nothing brings it back.
async fn ready_pod(api: &Api<Pod>, name: &str) {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api", "uid": "0b1d", "controller": true,
    });
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "labels": { "app": "api" }, "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "c", "image": "pause" }] },
    });
    api.create(&Default::default(), &k8s_openapi::serde_json::from_value(pod).unwrap()).await.unwrap();
    let status =
        json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] } });
    api.patch_status(name, &Default::default(), &kube::api::Patch::Merge(status)).await.unwrap();
}

/// The run was interrupted, or refused, before it deleted anything: then there is nothing to wait for.
#[tokio::test]
async fn pods_that_were_never_deleted_are_as_before() {
    let fixture = Fixture::new();
    let api: Api<Pod> = Api::namespaced(fixture.client(), "default");
    ready_pod(&api, "api-1").await;
    ready_pod(&api, "api-2").await;
    let spec = FaultSpec {
        name: "kill".into(),
        action: FaultAction::DeletePods {
            selector: "app=api".into(),
            count: None,
            grace_period_seconds: Some(0),
        },
        start: Millis(0),
        duration: Millis(1000),
        effect_within: Millis(1000),
    };
    let fault = PlannedFault::plan(&fixture.client(), "default", &spec).await.unwrap();
    fault.snapshot.verify(&fixture.client(), "default", LIMIT).await.unwrap();
    fault.apply(&fixture.client()).await.unwrap();
    fault.observe(&fixture.client(), LIMIT).await.unwrap();
    let short = Duration::from_millis(300);
    fault.snapshot.verify(&fixture.client(), "default", short).await.unwrap_err();
}
