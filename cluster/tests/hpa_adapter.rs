//! Autoscaling on what PromQL says: the custom and external metrics APIs, with a Prometheus that the test serves.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed step is a failed test")]

#[path = "controllers/fixture.rs"]
mod fixture;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, to_bytes},
    extract::{Query, State},
    routing::get,
};
use cluster::controllers::hpa::AutoscalerOptions;
use fixture::{NS, World};
use http::{Request, header};
use k8s_openapi::api::{
    apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::ConfigMap, core::v1::Event,
    core::v1::Pod,
};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, PostParams},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tower::ServiceExt;

const RULES: &str = r#"
rules:
- seriesQuery: 'http_requests_total{namespace!="",pod!=""}'
  resources: {overrides: {namespace: {resource: namespace}, pod: {resource: pod}, service: {resource: service}}}
  name: {matches: "^(.*)_total$", as: "${1}_per_second"}
  metricsQuery: 'sum(rate(<<.Series>>{<<.LabelMatchers>>}[1m])) by (<<.GroupBy>>)'
externalRules:
- seriesQuery: 'queued_votes'
  resources: {namespaced: false}
  metricsQuery: 'sum(<<.Series>>{<<.LabelMatchers>>})'
"#;

/// What the pretended Prometheus answers with, and what it was asked.
#[derive(Clone, Default)]
struct Prometheus {
    queued: Arc<AtomicI64>,
    per_pod: Arc<AtomicI64>,
    asked: Arc<Mutex<Vec<String>>>,
}

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    query: String,
    #[serde(default, rename = "match[]")]
    matcher: String,
}

fn success(data: Value) -> Json<Value> {
    Json(json!({"status": "success", "data": data}))
}

async fn series(Query(asked): Query<Asked>) -> Json<Value> {
    success(match asked.matcher.as_str() {
        "queued_votes" => json!([{"__name__": "queued_votes", "job": "api"}]),
        "http_requests_total{namespace!=\"\",pod!=\"\"}" => {
            json!([{"__name__": "http_requests_total", "namespace": "demo", "pod": "web-1", "service": "web"}])
        }
        other => panic!("asked for the series {other}"),
    })
}

/// Knows two queries, and takes the pods' names from the matchers as Prometheus would.
async fn query(State(prometheus): State<Prometheus>, Query(asked): Query<Asked>) -> Json<Value> {
    prometheus.asked.lock().unwrap().push(asked.query.clone());
    let sample = |labels: Value, value: i64| json!({"metric": labels, "value": [1.5, value.to_string()]});
    let result: Vec<Value> = if asked.query.starts_with("sum(queued_votes{") {
        vec![sample(json!({}), prometheus.queued.load(Ordering::SeqCst))]
    } else {
        let value = prometheus.per_pod.load(Ordering::SeqCst);
        let names = asked.query.split("pod=").nth(1).map(|rest| rest.trim_start_matches('~'));
        let names = names.and_then(|rest| rest.split('"').nth(1)).unwrap_or_default();
        names
            .split('|')
            .filter(|name| !name.is_empty())
            .map(|name| sample(json!({"pod": name}), value))
            .collect()
    };
    success(json!({"resultType": "vector", "result": result}))
}

async fn world() -> (World, Prometheus) {
    let prometheus = Prometheus::default();
    let router = Router::new()
        .route("/api/v1/series", get(series))
        .route("/api/v1/query", get(query))
        .with_state(prometheus.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let options = AutoscalerOptions {
        sync_period: Duration::from_millis(100),
        downscale_stabilization: Duration::from_millis(300),
        ..AutoscalerOptions::default()
    };
    let world = World::autoscaled(options, |router| router).await;
    configure(&world, &url, RULES).await;
    (world, prometheus)
}

async fn configure(world: &World, url: &str, rules: &str) {
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "kube-system");
    let map = json!({"metadata": {"name": "metrics-adapter"}, "data": {"config.yaml": rules, "prometheus-url": url}});
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
}

async fn get_json(world: &World, path: &str) -> (u16, Value) {
    let request = Request::get(path).header(header::ACCEPT, "application/json").body(Body::empty()).unwrap();
    let response = world.server.router().oneshot(request).await.unwrap();
    let code = response.status().as_u16();
    let bytes = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
}

async fn group_names(world: &World) -> Vec<String> {
    let (_, groups) = get_json(world, "/apis").await;
    groups["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| group["name"].as_str().unwrap().to_owned())
        .collect()
}

fn workload(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "busybox"}]}}},
    })
}

fn autoscaler(name: &str, metric: Value) -> Value {
    json!({"metadata": {"name": name}, "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "maxReplicas": 5, "metrics": [metric]}})
}

async fn rescaled(world: &World, name: &str, message: &str) {
    world
        .until_listed::<Event>(message, |events| {
            events.iter().any(|event| {
                event.involved_object.name.as_deref() == Some(name)
                    && event.message.as_deref() == Some(message)
            })
        })
        .await;
}

#[tokio::test]
async fn the_length_of_a_queue_decides() {
    let (world, prometheus) = world().await;
    world.create::<Deployment>(workload("worker")).await;
    world.rolled_out("worker").await;
    let metric = json!({"type": "External", "external": {
        "metric": {"name": "queued_votes", "selector": {"matchLabels": {"queue": "votes"}}},
        "target": {"type": "AverageValue", "averageValue": "30"}}});
    prometheus.queued.store(95, Ordering::SeqCst);
    world.create::<HorizontalPodAutoscaler>(autoscaler("worker", metric)).await;
    let name = "external metric queued_votes(&LabelSelector{MatchLabels:map[string]string{queue: votes,},\
                MatchExpressions:[]LabelSelectorRequirement{},})";
    rescaled(&world, "worker", &format!("New size: 4; reason: {name} above target")).await;
    assert!(prometheus.asked.lock().unwrap().contains(&"sum(queued_votes{queue=\"votes\"})".to_owned()));
    world.rolled_out("worker").await;
    world
        .until::<HorizontalPodAutoscaler>("worker", "shows the average", |found| {
            let status = found.and_then(|found| found.status.as_ref());
            let metrics = status.and_then(|status| status.current_metrics.as_ref());
            let value = metrics.and_then(|all| all[0].external.as_ref()?.current.average_value.as_ref());
            value.is_some_and(|value| value.0 == "23750m")
        })
        .await;
    prometheus.queued.store(0, Ordering::SeqCst);
    rescaled(&world, "worker", "New size: 1; reason: All metrics below target").await;
}

#[tokio::test]
async fn requests_per_pod_decide() {
    let (world, prometheus) = world().await;
    world.create::<Deployment>(workload("web")).await;
    world.rolled_out("web").await;
    let metric = json!({"type": "Pods", "pods": {"metric": {"name": "http_requests_per_second"},
        "target": {"type": "AverageValue", "averageValue": "10"}}});
    prometheus.per_pod.store(24, Ordering::SeqCst);
    world.create::<HorizontalPodAutoscaler>(autoscaler("web", metric)).await;
    rescaled(&world, "web", "New size: 3; reason: pods metric http_requests_per_second above target").await;

    let pod = world.list::<Pod>().await[0].name_any();
    let path =
        format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NS}/pods/{pod}/http_requests_per_second");
    let (code, list) = get_json(&world, &path).await;
    assert_eq!(code, 200, "{list}");
    let item = &list["items"][0];
    assert_eq!(
        item["describedObject"],
        json!({"kind": "Pod", "namespace": NS, "name": pod, "apiVersion": "/v1"})
    );
    assert_eq!(
        (&item["metric"], &item["value"]),
        (&json!({"name": "http_requests_per_second"}), &json!("24"))
    );
    let expected = format!(r#"sum(rate(http_requests_total{{namespace="{NS}",pod="{pod}"}}[1m])) by (pod)"#);
    assert!(prometheus.asked.lock().unwrap().contains(&expected), "{expected}");
}

#[tokio::test]
async fn the_groups_exist_as_long_as_they_are_configured() {
    let (world, _) = world().await;
    let names = group_names(&world).await;
    assert!(names.contains(&"custom.metrics.k8s.io".to_owned()), "{names:?}");
    let (_, list) = get_json(&world, "/apis/custom.metrics.k8s.io/v1beta2").await;
    let known: Vec<&str> =
        list["resources"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect();
    let expected = [
        "namespaces/http_requests_per_second",
        "pods/http_requests_per_second",
        "services/http_requests_per_second",
    ];
    assert_eq!(known, expected);
    let (_, list) = get_json(&world, "/apis/external.metrics.k8s.io/v1beta1").await;
    assert_eq!(list["resources"][0]["name"], "queued_votes");

    let (code, status) =
        get_json(&world, &format!("/apis/custom.metrics.k8s.io/v1beta2/namespaces/{NS}/pods/*/nosuch")).await;
    assert_eq!(
        (code, &status["message"]),
        (404, &json!("the server could not find the metric nosuch for pods"))
    );

    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "kube-system");
    maps.delete("metrics-adapter", &DeleteParams::default()).await.unwrap();
    assert!(!group_names(&world).await.contains(&"external.metrics.k8s.io".to_owned()));
    let (code, text) = get_json(&world, "/apis/external.metrics.k8s.io/v1beta1").await;
    assert_eq!((code, text), (404, json!("404 page not found\n")));

    // A Prometheus that is not there, and a configuration that is wrong, are said and never an empty answer.
    configure(&world, "http://127.0.0.1:9", RULES).await;
    let path = format!("/apis/external.metrics.k8s.io/v1beta1/namespaces/{NS}/queued_votes");
    let (code, status) = get_json(&world, &path).await;
    assert_eq!(code, 500);
    assert!(status["message"].as_str().unwrap().contains("Connection refused"), "{status}");
    maps.delete("metrics-adapter", &DeleteParams::default()).await.unwrap();
    configure(&world, "http://127.0.0.1:9", "rules: [{seriesQuery: up}]").await;
    let (code, status) = get_json(&world, &path).await;
    assert_eq!(code, 503);
    assert!(
        status["message"].as_str().unwrap().contains("ConfigMap kube-system/metrics-adapter"),
        "{status}"
    );
}
