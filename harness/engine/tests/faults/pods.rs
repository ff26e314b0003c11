use std::time::Duration;

use harness_engine::fault::{PlannedFault, Snapshot};
use harness_event::{FaultAction, FaultSpec, Millis};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    serde_json::json,
};
use kube::{Api, api::Patch};

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

fn kill() -> FaultSpec {
    FaultSpec {
        name: "kill".into(),
        action: FaultAction::DeletePods {
            selector: "app=api".into(),
            count: None,
            grace_period_seconds: Some(0),
        },
        start: Millis(0),
        duration: Millis(1000),
        effect_within: Millis(1000),
    }
}

/// The run was interrupted, or refused, before it deleted anything: then there is nothing to wait for.
#[tokio::test]
async fn pods_that_were_never_deleted_are_as_before() {
    let fixture = Fixture::new();
    let api: Api<Pod> = Api::namespaced(fixture.client(), "default");
    ready_pod(&api, "api-1").await;
    ready_pod(&api, "api-2").await;
    let fault = PlannedFault::plan(&fixture.client(), "default", &kill()).await.unwrap();
    fault.snapshot.verify(&fixture.client(), "default", LIMIT).await.unwrap();
    fault.apply(&fixture.client()).await.unwrap();
    fault.observe(&fixture.client(), LIMIT).await.unwrap();
    let short = Duration::from_millis(300);
    fault.snapshot.verify(&fixture.client(), "default", short).await.unwrap_err();
}

/// Nothing brings the old number back when the Deployment does not want it any more.
#[tokio::test]
async fn fewer_pods_are_as_many_as_before_once_their_deployment_wants_no_more() {
    let fixture = Fixture::new();
    let pods: Api<Pod> = Api::namespaced(fixture.client(), "default");
    let deployments: Api<Deployment> = Api::namespaced(fixture.client(), "default");
    fixture.deploy("api", 3).await;
    for name in ["api-1", "api-2", "api-3"] {
        ready_pod(&pods, name).await;
    }
    let fault = PlannedFault::plan(&fixture.client(), "default", &kill()).await.unwrap();
    fault.apply(&fixture.client()).await.unwrap();
    ready_pod(&pods, "api-4").await;
    let (client, short) = (fixture.client(), Duration::from_millis(300));
    let missing = fault.snapshot.verify(&client, "default", short).await.unwrap_err().to_string();
    assert!(missing.starts_with("1 of 3 pods of app=api ready"), "{missing}");
    // From another process, which has read the ledger; and the autoscaler scales down only while it waits.
    let text = k8s_openapi::serde_json::to_string(&fault.snapshot).unwrap();
    let snapshot: Snapshot = k8s_openapi::serde_json::from_str(&text).unwrap();
    let scaled = async {
        let to = Patch::Merge(json!({ "spec": { "replicas": 1 } }));
        deployments.patch_scale("api", &Default::default(), &to).await.unwrap();
    };
    let (seen, ()) = tokio::join!(snapshot.verify(&client, "default", LIMIT), scaled);
    assert_eq!(seen.unwrap().detail, "1 of 1 pods of app=api ready");
    // A Deployment that is gone is not as before.
    deployments.delete("api", &Default::default()).await.unwrap();
    fault.snapshot.verify(&client, "default", short).await.unwrap_err();
}
