//! Disruption budgets and evictions against the in-process API server, held to what a Kubernetes 1.36 server answered.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

#[path = "controllers/fixture.rs"]
mod fixture;

use axum::body::{Body, to_bytes};
use fixture::{NS, World, set_ready};
use http::{Request, header};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::{ResourceExt, api::DeleteParams};
use serde_json::{Value, json};
use tower::ServiceExt;

fn deployment(replicas: i32) -> Value {
    let container = json!({"name": "main", "image": "busybox"});
    json!({
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [container]}}},
    })
}

fn budget(name: &str, spec: Value) -> Value {
    let mut object =
        json!({"metadata": {"name": name}, "spec": {"selector": {"matchLabels": {"app": "web"}}}});
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

/// Status as (expected, healthy, desired, allowed).
fn numbers(budget: Option<&PodDisruptionBudget>) -> Option<(i32, i32, i32, i32)> {
    let status = budget?.status.as_ref()?;
    let number = |field: Option<i32>| field.unwrap_or(0);
    Some((
        number(status.expected_pods),
        number(status.current_healthy),
        number(status.desired_healthy),
        number(status.disruptions_allowed),
    ))
}

async fn until_numbers(world: &World, name: &str, wanted: (i32, i32, i32, i32)) {
    world
        .until::<PodDisruptionBudget>(name, &format!("{wanted:?}"), |found| {
            numbers(found) == Some(wanted)
                && found.is_some_and(|found| {
                    let status = found.status.as_ref().unwrap();
                    status.observed_generation == found.metadata.generation
                        && status.disrupted_pods.as_ref().is_none_or(|pods| pods.is_empty())
                })
        })
        .await;
}

/// Posts an eviction as the recorder and kubectl do; code and body of the answer.
async fn evict(world: &World, pod: &str, query: &str, options: Option<Value>) -> (u16, Value) {
    let mut eviction =
        json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NS}});
    if let Some(options) = options {
        eviction["deleteOptions"] = options;
    }
    let request = Request::post(format!("/api/v1/namespaces/{NS}/pods/{pod}/eviction{query}"))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(eviction.to_string()))
        .unwrap();
    let response = world.server.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    assert!(parts.headers.get(header::RETRY_AFTER).is_none(), "a refused eviction names no time");
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (parts.status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// The recorded answers to evictions.
fn recorded(case: &str) -> (u16, Value) {
    let lines = include_str!("golden/evictions.jsonl").lines();
    let found =
        lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).find(|entry| entry["case"] == case);
    let entry = found.unwrap_or_else(|| panic!("{case} is not recorded"));
    (u16::try_from(entry["status"].as_u64().unwrap()).unwrap(), entry["response"].clone())
}

async fn pod_names(world: &World) -> Vec<String> {
    world.list::<Pod>().await.iter().map(ResourceExt::name_any).collect()
}

#[tokio::test]
async fn evictions_are_answered_as_by_a_real_server() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(2)).await;
    world.rolled_out("web").await;
    world.create::<PodDisruptionBudget>(budget("web", json!({"minAvailable": 2}))).await;
    until_numbers(&world, "web", (2, 2, 2, 0)).await;
    let pod = pod_names(&world).await.remove(0);
    assert_eq!(evict(&world, &pod, "", None).await, recorded("429-eviction-pdb"));
    assert_eq!(evict(&world, &pod, "?dryRun=All", None).await, recorded("429-eviction-pdb-dryrun"));
    assert_eq!(evict(&world, "nosuch", "", None).await, recorded("404-eviction"));
    let get =
        Request::get(format!("/api/v1/namespaces/{NS}/pods/{pod}/eviction")).body(Body::empty()).unwrap();
    let answer = world.server.router().oneshot(get).await.unwrap();
    let (code, body) = recorded("405-get-eviction");
    assert_eq!(answer.status().as_u16(), code);
    let bytes = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), body);

    world.create::<PodDisruptionBudget>(budget("web2", json!({"minAvailable": 1}))).await;
    assert_eq!(evict(&world, &pod, "", None).await, recorded("500-eviction-two-pdbs"));
    for name in ["web", "web2"] {
        world.api::<PodDisruptionBudget>().delete(name, &DeleteParams::default()).await.unwrap();
    }
    assert_eq!(evict(&world, &pod, "", None).await, recorded("201-eviction"));
    world
        .until::<Pod>(&pod, "gone", |pod| {
            // What is seen of it on the way carries the reason.
            if let Some(pod) = pod {
                let conditions = pod.status.as_ref().unwrap().conditions.as_ref().unwrap();
                let target =
                    conditions.iter().find(|condition| condition.type_ == "DisruptionTarget").unwrap();
                assert_eq!(target.reason.as_deref(), Some("EvictionByEvictionAPI"));
                assert_eq!(target.message.as_deref(), Some("Eviction API: evicting"));
            }
            pod.is_none()
        })
        .await;
}

/// `watch/10-eviction`: the second eviction waits until the replacement of the first pod is ready.
#[tokio::test]
async fn one_pod_at_a_time_leaves() {
    let world = World::start().await;
    world.create::<PodDisruptionBudget>(budget("web", json!({"minAvailable": 1}))).await;
    world
        .until_listed::<Event>("about no pods", |events| {
            events.iter().any(|event| {
                event.reason.as_deref() == Some("NoPods")
                    && event.message.as_deref() == Some("No matching pods found")
                    && event.source.as_ref().and_then(|source| source.component.as_deref())
                        == Some("controllermanager")
            })
        })
        .await;
    world.create::<Deployment>(deployment(2)).await;
    until_numbers(&world, "web", (2, 2, 1, 1)).await;
    let pods = pod_names(&world).await;
    assert_eq!(evict(&world, &pods[0], "?dryRun=All", None).await.0, 201);
    until_numbers(&world, "web", (2, 2, 1, 1)).await;
    assert_eq!(evict(&world, &pods[0], "", None).await.0, 201);
    let (code, status) = evict(&world, &pods[1], "", None).await;
    assert_eq!(code, 429, "{status}");
    assert_eq!(status["details"]["causes"][0]["reason"], "DisruptionBudget");
    // The eviction of a pod that leaves already costs nothing.
    assert!(matches!(evict(&world, &pods[0], "", None).await.0, 201 | 404));
    until_numbers(&world, "web", (2, 2, 1, 1)).await;
    assert_eq!(evict(&world, &pods[1], "", None).await.0, 201);
}

#[tokio::test]
async fn many_at_once_get_no_more_than_the_budget_has() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(6)).await;
    world.rolled_out("web").await;
    world.create::<PodDisruptionBudget>(budget("web", json!({"maxUnavailable": "34%"}))).await;
    // 34 % of 6 is 2.04: rounded up to 3.
    until_numbers(&world, "web", (6, 6, 3, 3)).await;
    let pods = pod_names(&world).await;
    let answers = futures::future::join_all(pods.iter().map(|pod| evict(&world, pod, "", None))).await;
    let granted = answers.iter().filter(|(code, _)| *code == 201).count();
    assert_eq!(granted, 3, "{answers:?}");
    assert!(answers.iter().all(|(code, _)| matches!(code, 201 | 429)), "{answers:?}");
    until_numbers(&world, "web", (6, 6, 3, 3)).await;
}

#[tokio::test]
async fn a_pod_that_is_not_ready_goes_by_the_policy() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(2)).await;
    world.rolled_out("web").await;
    world.create::<PodDisruptionBudget>(budget("web", json!({"minAvailable": 2}))).await;
    until_numbers(&world, "web", (2, 2, 2, 0)).await;
    let pods = pod_names(&world).await;
    set_ready(&world, &pods[0], false).await;
    until_numbers(&world, "web", (2, 1, 2, 0)).await;
    // The default protects it too while the others are fewer than needed.
    assert_eq!(evict(&world, &pods[0], "", None).await.0, 429);
    let allow = json!({"spec": {"unhealthyPodEvictionPolicy": "AlwaysAllow"}});
    world.patch::<PodDisruptionBudget>("web", allow).await;
    until_numbers(&world, "web", (2, 1, 2, 0)).await;
    assert_eq!(evict(&world, &pods[1], "", None).await.0, 429, "a healthy pod stays protected");
    let wrong = json!({"preconditions": {"uid": "another"}});
    assert_eq!(evict(&world, &pods[0], "", Some(wrong)).await.0, 409);
    assert_eq!(evict(&world, &pods[0], "", Some(json!({"gracePeriodSeconds": 0}))).await.0, 201);
    world.until::<Pod>(&pods[0], "gone", |pod| pod.is_none()).await;
}

#[tokio::test]
async fn a_budget_that_cannot_be_computed_allows_nothing() {
    let world = World::start().await;
    let owner = json!([{"apiVersion": "example.com/v1", "kind": "Robot", "name": "r", "uid": "1", "controller": true}]);
    world
        .create::<Pod>(json!({"metadata": {"name": "p", "labels": {"app": "web"}, "ownerReferences": owner},
            "spec": {"containers": [{"name": "main", "image": "busybox"}]}}))
        .await;
    world.create::<PodDisruptionBudget>(budget("web", json!({"maxUnavailable": 1}))).await;
    world
        .until::<PodDisruptionBudget>("web", "failed", |found| {
            let status = found.and_then(|found| found.status.as_ref());
            let conditions = status.and_then(|status| status.conditions.as_ref());
            conditions.is_some_and(|all| {
                all[0].reason == "SyncFailed"
                    && all[0].status == "False"
                    && all[0].message == "found no controllers for pod \"p\""
            })
        })
        .await;
    world
        .until_pods("running", |pods| {
            pods.iter()
                .all(|pod| pod.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Running"))
        })
        .await;
    let (code, status) = evict(&world, "p", "", None).await;
    assert_eq!(code, 429);
    let cause = &status["details"]["causes"][0]["message"];
    assert!(cause.as_str().unwrap().contains("because it failed sync: found no controllers"), "{cause}");
}
