//! `service://` addresses through the API server's proxy.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Request},
    http::StatusCode,
    routing::any,
};
use bytes::Bytes;
use futures::stream;
use harness_engine::monitor::{Error, Upstreams};
use serde_json::{Value, json};
use tokio::sync::mpsc;

const PROXY: &str = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/{*rest}";

async fn echo(Path(rest): Path<String>, request: Request) -> Json<Value> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let header = |name: &str| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    Json(json!({
        "method": parts.method.as_str(), "rest": rest, "query": parts.uri.query(), "length": body.len(),
        "kind": header("content-type"), "auth": header("authorization"), "uri": parts.uri.path(),
    }))
}

fn upstreams(app: Router) -> Upstreams {
    Upstreams::new(kube::Client::new(app, "default")).unwrap()
}

#[tokio::test]
async fn every_request_is_passed_on_as_it_is() {
    let upstreams = upstreams(Router::new().route(PROXY, any(echo)));
    let upstream = upstreams.connect("service://monitoring/prometheus:9090").await.unwrap();
    let answer: Value = upstream.get_json("/api/v1/query", &[("query", "up{a=\"b c\"}&x")]).await.unwrap();
    assert_eq!((&answer["method"], &answer["rest"]), (&json!("GET"), &json!("api/v1/query")));
    assert_eq!(answer["query"], "query=up%7Ba%3D%22b+c%22%7D%26x");

    for method in ["PUT", "POST", "PATCH", "DELETE", "OPTIONS"] {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let url = format!("{}/a%2Fb/c", upstream.base_url());
        let request = upstream
            .http()
            .request(method.clone(), url)
            .header("content-type", "x/y")
            .basic_auth("u", Some("p"));
        let body = upstream.exchange("/", request.body(vec![7_u8; 1 << 20])).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["method"], method.as_str());
        assert_eq!((&answer["length"], &answer["kind"]), (&json!(1 << 20), &json!("x/y")));
        assert_eq!(answer["auth"], Value::Null, "only the kubeconfig's credentials go to the API server");
        assert!(answer["uri"].as_str().unwrap().ends_with("/proxy/a%2Fb/c"), "{answer}");
    }

    // One relay for all, closed to those who don't know its secret.
    let other = upstreams.connect("service://gallery/portal:80").await.unwrap();
    let origin = |url: &str| reqwest::Url::parse(url).unwrap().origin();
    assert_eq!(origin(other.base_url()), origin(upstream.base_url()));
    let mut guessed = reqwest::Url::parse(upstream.base_url()).unwrap();
    guessed.set_path("/x/monitoring/prometheus:9090/api");
    assert_eq!(upstreams.http().get(guessed).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn answers_are_streamed() {
    let (first, parts) = mpsc::channel::<Bytes>(1);
    let parts = std::sync::Arc::new(std::sync::Mutex::new(Some(parts)));
    let app = Router::new().route(
        PROXY,
        any(move || {
            let parts = parts.lock().unwrap().take().unwrap();
            let body = stream::unfold(parts, |mut parts| async {
                parts.recv().await.map(|part| (Ok::<_, Infallible>(part), parts))
            });
            std::future::ready(Body::from_stream(body))
        }),
    );
    let upstream = upstreams(app).connect("service://monitoring/prometheus:9090").await.unwrap();
    let mut answer = upstream.http().get(format!("{}/x", upstream.base_url())).send().await.unwrap();
    for part in ["one", "two"] {
        first.send(part.into()).await.unwrap();
        let next = tokio::time::timeout(Duration::from_secs(5), answer.chunk())
            .await
            .expect("passed on before the end");
        assert_eq!(next.unwrap().unwrap(), part);
    }
    drop(first);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn the_api_servers_reasons_reach_people() {
    let status = json!({ "kind": "Status", "message": "no endpoints available for service \"prometheus\"", "code": 503 });
    let app = Router::new()
        .route(PROXY, any(move || async move { (StatusCode::SERVICE_UNAVAILABLE, Json(status.clone())) }));
    let upstreams = upstreams(app);
    let upstream = upstreams.connect("service://monitoring/prometheus:9090").await.unwrap();
    let error = upstream.get_text("/-/ready").await.unwrap_err();
    assert!(error.is_outage());
    assert_eq!(
        error.to_string(),
        "service://monitoring/prometheus:9090 answered 503 to /-/ready: no endpoints available for service \"prometheus\"",
    );
    for wrong in [
        "service://a",
        "service://a/b",
        "service://a/b:",
        "service://a/../b:1",
        "ftp://x",
        "localhost:9090",
        "http://",
    ] {
        assert!(matches!(upstreams.connect(wrong).await, Err(Error::Address { .. })), "{wrong}");
    }
    let refused = upstreams.connect(&format!("http://{}", crate::support::free_address())).await.unwrap();
    let error = refused.get_text("/").await.unwrap_err();
    assert!(
        error.is_outage() && harness_engine::monitor::chain(&error).contains("onnection refused"),
        "{error:?}"
    );
}
