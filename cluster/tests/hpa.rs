//! HorizontalPodAutoscalers against the in-process API server, with metrics APIs that the test serves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

#[path = "controllers/fixture.rs"]
mod fixture;

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use cluster::controllers::hpa::AutoscalerOptions;
use fixture::{NS, World};
use http::StatusCode;
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::{HorizontalPodAutoscaler, HorizontalPodAutoscalerCondition},
        core::v1::{Event, Pod},
    },
    jiff::Timestamp,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde::Deserialize;
use serde_json::{Value, json};

/// Load on a workload, in thousandths of a CPU, shared by its pods; below zero there are no metrics.
#[derive(Clone)]
struct Load {
    milli: Arc<AtomicI64>,
    api: Client,
}

#[derive(Deserialize)]
struct Selected {
    #[serde(rename = "labelSelector")]
    selector: String,
}

async fn pod_metrics(
    State(load): State<Load>,
    Path(namespace): Path<String>,
    Query(query): Query<Selected>,
) -> Response {
    let milli = load.milli.load(Ordering::SeqCst);
    let pods: Api<Pod> = Api::namespaced(load.api.clone(), &namespace);
    let pods = pods.list(&ListParams::default().labels(&query.selector)).await.unwrap();
    let running: Vec<&Pod> = pods
        .iter()
        .filter(|pod| pod.metadata.deletion_timestamp.is_none())
        .filter(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running"))
        .collect();
    let share = milli * 1_000_000 / i64::try_from(running.len()).unwrap().max(1);
    let sample = |pod: &&Pod| {
        json!({"metadata": {"name": pod.name_any(), "namespace": namespace}, "timestamp": Timestamp::now(), "window": "1s",
            "containers": [{"name": "main", "usage": {"cpu": format!("{share}n"), "memory": "1Mi"}}]})
    };
    let items: Vec<Value> = if milli < 0 { Vec::new() } else { running.iter().map(sample).collect() };
    Json(json!({"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {}, "items": items}))
        .into_response()
}

async fn queue_length(State(load): State<Load>) -> Response {
    let value = load.milli.load(Ordering::SeqCst);
    let item = json!({"metricName": "queued_votes", "metricLabels": {}, "timestamp": Timestamp::now(), "value": value.to_string()});
    Json(json!({"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": [item]}))
        .into_response()
}

fn options() -> AutoscalerOptions {
    AutoscalerOptions {
        sync_period: Duration::from_millis(100),
        downscale_stabilization: Duration::from_secs(1),
        cpu_initialization_period: Duration::ZERO,
        initial_readiness_delay: Duration::ZERO,
        ..AutoscalerOptions::default()
    }
}

/// A control plane with metrics, and the knob for the load.
async fn world() -> (World, Arc<AtomicI64>) {
    let milli = Arc::new(AtomicI64::new(0));
    let knob = Arc::clone(&milli);
    let front = |inner: Router| {
        let load = Load { milli, api: Client::new(inner.clone(), "default") };
        Router::new()
            .route("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods", get(pod_metrics))
            .route("/apis/external.metrics.k8s.io/v1beta1/namespaces/demo/queued_votes", get(queue_length))
            .with_state(load)
            .fallback_service(inner)
    };
    (World::autoscaled(options(), front).await, knob)
}

fn deployment(name: &str, replicas: i32) -> Value {
    let container = json!({"name": "main", "image": "busybox", "resources": {"requests": {"cpu": "100m"}}});
    json!({
        "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}},
    })
}

fn autoscaler(name: &str, target: &str, spec: Value) -> Value {
    let mut object = json!({
        "metadata": {"name": name},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}, "maxReplicas": 4,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 50}}}]},
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn condition<'a>(
    autoscaler: Option<&'a HorizontalPodAutoscaler>,
    type_: &str,
) -> Option<&'a HorizontalPodAutoscalerCondition> {
    let conditions = autoscaler?.status.as_ref()?.conditions.as_ref()?;
    conditions.iter().find(|condition| condition.type_ == type_)
}

fn is(autoscaler: Option<&HorizontalPodAutoscaler>, type_: &str, status: &str, reason: &str) -> bool {
    condition(autoscaler, type_)
        .is_some_and(|condition| condition.status == status && condition.reason.as_deref() == Some(reason))
}

fn message(autoscaler: Option<&HorizontalPodAutoscaler>, type_: &str) -> String {
    condition(autoscaler, type_).and_then(|condition| condition.message.clone()).unwrap_or_default()
}

async fn replicas(world: &World, name: &str, wanted: i32) {
    world
        .until::<Deployment>(name, &format!("scaled to {wanted}"), |deployment| {
            deployment.is_some_and(|deployment| deployment.spec.replicas == Some(wanted))
        })
        .await;
}

/// Waits for an event about an autoscaler.
async fn event(world: &World, name: &str, reason: &str, message: &str) {
    let what = format!("with {reason} {message:?}");
    world
        .until_listed::<Event>(&what, |events| {
            events.iter().any(|event| {
                event.involved_object.name.as_deref() == Some(name)
                    && event.involved_object.kind.as_deref() == Some("HorizontalPodAutoscaler")
                    && event.reason.as_deref() == Some(reason)
                    && event.message.as_deref() == Some(message)
            })
        })
        .await;
}

#[tokio::test]
async fn a_workload_follows_its_load_up_and_down() {
    let (world, load) = world().await;
    world.create::<Deployment>(deployment("web", 1)).await;
    world.rolled_out("web").await;
    world.create::<HorizontalPodAutoscaler>(autoscaler("web", "web", json!({}))).await;
    world
        .until::<HorizontalPodAutoscaler>("web", "idle", |found| {
            is(found, "ScalingActive", "True", "ValidMetricFound")
                && is(found, "ScalingLimited", "True", "TooFewReplicas")
        })
        .await;

    // 150 % of one pod's request: three pods at half of theirs.
    load.store(150, Ordering::SeqCst);
    replicas(&world, "web", 3).await;
    let text = "New size: 3; reason: cpu resource utilization (percentage of request) above target";
    event(&world, "web", "SuccessfulRescale", text).await;
    world.rolled_out("web").await;
    world
        .until::<HorizontalPodAutoscaler>("web", "settled", |found| {
            let status = found.and_then(|found| found.status.as_ref());
            is(found, "AbleToScale", "True", "ReadyForNewScale")
                && is(found, "ScalingLimited", "False", "DesiredWithinRange")
                && status.is_some_and(|status| {
                    status.desired_replicas == 3
                        && status.current_replicas == Some(3)
                        && status.last_scale_time.is_some()
                })
        })
        .await;

    load.store(2000, Ordering::SeqCst);
    replicas(&world, "web", 4).await;
    world
        .until::<HorizontalPodAutoscaler>("web", "at its maximum", |found| {
            is(found, "ScalingLimited", "True", "TooManyReplicas")
        })
        .await;
    world.rolled_out("web").await;

    load.store(0, Ordering::SeqCst);
    world
        .until::<HorizontalPodAutoscaler>("web", "held back", |found| {
            is(found, "AbleToScale", "True", "ScaleDownStabilized")
        })
        .await;
    replicas(&world, "web", 1).await;
    event(&world, "web", "SuccessfulRescale", "New size: 1; reason: All metrics below target").await;
}

#[tokio::test]
async fn without_metrics_nothing_moves_and_the_status_says_why() {
    let none = |inner: Router| {
        let missing = || async { (StatusCode::NOT_FOUND, "404 page not found\n") };
        Router::new().route("/apis/metrics.k8s.io/{*rest}", get(missing)).fallback_service(inner)
    };
    let world = World::autoscaled(options(), none).await;
    world.create::<Deployment>(deployment("web", 2)).await;
    world.create::<HorizontalPodAutoscaler>(autoscaler("web", "web", json!({}))).await;
    world.create::<HorizontalPodAutoscaler>(autoscaler("lost", "absent", json!({}))).await;
    let why = "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from resource \
               metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)";
    event(&world, "web", "FailedGetResourceMetric", why).await;
    let summary = format!(
        "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {why}"
    );
    event(&world, "web", "FailedComputeMetricsReplicas", &summary).await;
    world
        .until::<HorizontalPodAutoscaler>("web", "inactive", |found| {
            is(found, "ScalingActive", "False", "FailedGetResourceMetric")
                && message(found, "ScalingActive")
                    == format!("the HPA was unable to compute the replica count: {why}")
                && found.unwrap().status.as_ref().unwrap().current_replicas == Some(2)
        })
        .await;
    event(&world, "lost", "FailedGetScale", "deployments.apps \"absent\" not found").await;
    world
        .until::<HorizontalPodAutoscaler>("lost", "unable", |found| {
            is(found, "AbleToScale", "False", "FailedGetScale")
        })
        .await;
    replicas(&world, "web", 2).await;
}

#[tokio::test]
async fn an_external_metric_scales_to_zero_and_back() {
    let (world, queue) = world().await;
    world.create::<Deployment>(deployment("worker", 1)).await;
    world.rolled_out("worker").await;
    let metrics = json!([{"type": "External", "external": {"metric": {"name": "queued_votes"},
        "target": {"type": "AverageValue", "averageValue": "10"}}}]);
    let spec = json!({"minReplicas": 0, "metrics": metrics});
    world.create::<HorizontalPodAutoscaler>(autoscaler("worker", "worker", spec)).await;
    replicas(&world, "worker", 0).await;
    queue.store(25, Ordering::SeqCst);
    replicas(&world, "worker", 3).await;
    let text = "New size: 3; reason: external metric queued_votes(nil) above target";
    event(&world, "worker", "SuccessfulRescale", text).await;
}

#[tokio::test]
async fn two_autoscalers_of_the_same_pods_both_stop() {
    let (world, load) = world().await;
    load.store(2000, Ordering::SeqCst);
    world.create::<Deployment>(deployment("web", 1)).await;
    world.rolled_out("web").await;
    for name in ["web", "web2"] {
        world.create::<HorizontalPodAutoscaler>(autoscaler(name, "web", json!({}))).await;
    }
    for name in ["web", "web2"] {
        world
            .until::<HorizontalPodAutoscaler>(name, "ambiguous", |found| {
                is(found, "ScalingActive", "False", "AmbiguousSelector")
            })
            .await;
    }
    let text = format!("pods by selector app=web are controlled by multiple HPAs: [{NS}/web {NS}/web2]");
    event(&world, "web", "AmbiguousSelector", &text).await;
    event(&world, "web", "FailedComputeMetricsReplicas", &text).await;
    // One of them goes: the other works again.
    world.api::<HorizontalPodAutoscaler>().delete("web2", &DeleteParams::default()).await.unwrap();
    world
        .until::<HorizontalPodAutoscaler>("web", "alone", |found| {
            is(found, "ScalingActive", "True", "ValidMetricFound")
        })
        .await;
}

#[tokio::test]
async fn a_workload_that_was_stopped_by_hand_stays_stopped() {
    let (world, load) = world().await;
    load.store(100, Ordering::SeqCst);
    world.create::<Deployment>(deployment("web", 0)).await;
    world.create::<HorizontalPodAutoscaler>(autoscaler("web", "web", json!({"minReplicas": 2}))).await;
    world
        .until::<HorizontalPodAutoscaler>("web", "disabled", |found| {
            is(found, "ScalingActive", "False", "ScalingDisabled")
        })
        .await;
    replicas(&world, "web", 0).await;
    // Below the minimum, but not stopped: corrected without metrics.
    load.store(-1, Ordering::SeqCst);
    world.patch::<Deployment>("web", json!({"spec": {"replicas": 1}})).await;
    let text = "New size: 2; reason: Current number of replicas below Spec.MinReplicas";
    event(&world, "web", "SuccessfulRescale", text).await;
    world.patch::<Deployment>("web", json!({"spec": {"replicas": 7}})).await;
    let text = "New size: 4; reason: Current number of replicas above Spec.MaxReplicas";
    event(&world, "web", "SuccessfulRescale", text).await;
    let text = "failed to get cpu utilization: unable to get metrics for resource cpu: no metrics returned from resource metrics API";
    event(&world, "web", "FailedGetResourceMetric", text).await;
}
