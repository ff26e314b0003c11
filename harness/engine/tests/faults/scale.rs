use std::time::Duration;

use harness_engine::fault::Snapshot;
use harness_event::WorkloadRef;
use k8s_openapi::{
    api::{apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler},
    serde_json::{from_value, json},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use super::Fixture;

const SHORT: Duration = Duration::from_millis(300);

async fn settled(api: &Api<Deployment>, replicas: i32) {
    let to = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
    api.patch_scale("api", &PatchParams::default(), &to).await.unwrap();
    let generation = api.get("api").await.unwrap().metadata.generation;
    let status = json!({ "status": {
        "observedGeneration": generation, "replicas": replicas, "readyReplicas": replicas,
    } });
    api.patch_status("api", &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}

/// A workload that has replicas again is its autoscaler's again.
#[tokio::test]
async fn what_an_autoscaler_makes_of_the_old_number_is_as_before() {
    let fixture = Fixture::new();
    let deployments: Api<Deployment> = Api::namespaced(fixture.client(), "default");
    let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(fixture.client(), "default");
    fixture.deploy("api", 3).await;
    let workload = WorkloadRef { kind: "Deployment".into(), name: "api".into() };
    let snapshot = Snapshot::Scale { workload, replicas: 3, ready: 3 };
    let client = fixture.client();
    let verify = |limit| snapshot.verify(&client, "default", limit);

    settled(&deployments, 2).await;
    let other = verify(SHORT).await.unwrap_err().to_string();
    assert!(other.starts_with("deployment/api has 2 of 2 replicas ready, not 3 of 3"), "{other}");

    let autoscaler = json!({
        "metadata": { "name": "api" },
        "spec": {
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "api" },
            "minReplicas": 1, "maxReplicas": 5,
        },
    });
    autoscalers.create(&Default::default(), &from_value(autoscaler).unwrap()).await.unwrap();
    let wants = async |replicas: i32| {
        let status =
            Patch::Merge(json!({ "status": { "currentReplicas": replicas, "desiredReplicas": replicas } }));
        autoscalers.patch_status("api", &PatchParams::default(), &status).await.unwrap();
    };
    // It may say so only while somebody waits.
    let (seen, ()) = tokio::join!(verify(Duration::from_secs(30)), wants(2));
    assert_eq!(seen.unwrap().detail, "deployment/api has 2 of 2 replicas ready");
    // Another number than both; and one that stands still at 0 wants nothing.
    wants(4).await;
    let other = verify(SHORT).await.unwrap_err().to_string();
    assert!(other.contains("its autoscaler wants 4"), "{other}");
    settled(&deployments, 0).await;
    wants(0).await;
    verify(SHORT).await.unwrap_err();
    settled(&deployments, 3).await;
    verify(SHORT).await.unwrap();
}
