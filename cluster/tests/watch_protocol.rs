//! List and watch parameters, as recorded from a real API server.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod common;

use axum::body::{Body, to_bytes};
use common::Fixture;
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn call(
    fixture: &Fixture,
    method: &str,
    path: &str,
    accept: &str,
    body: &Value,
) -> (StatusCode, String) {
    let content_type = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::ACCEPT, accept)
        .header(header::CONTENT_TYPE, content_type)
        .body(body)
        .unwrap();
    let response = fixture.server.router().oneshot(request).await.unwrap();
    let status = response.status();
    let bytes = to_bytes(response.into_body(), 16 << 20).await.unwrap();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

async fn get(fixture: &Fixture, query: &str) -> (StatusCode, Value) {
    let (status, text) =
        call(fixture, "GET", &format!("{MAPS}?{query}"), "application/json", &Value::Null).await;
    (status, serde_json::from_str(&text).unwrap())
}

/// Everything that a watch of one second sends.
async fn watch_as(fixture: &Fixture, query: &str, accept: &str) -> Vec<Value> {
    let path = format!("{MAPS}?watch=1&timeoutSeconds=1&{query}");
    let (status, text) = call(fixture, "GET", &path, accept, &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn watch(fixture: &Fixture, query: &str) -> Vec<Value> {
    watch_as(fixture, query, "application/json").await
}

fn kinds(events: &[Value]) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    events.iter().map(|event| (text(&event["type"]), text(&event["object"]["metadata"]["name"]))).collect()
}

/// Makes `w0` to `w2` with the label `set=w`; returns the version after them.
async fn maps(fixture: &Fixture) -> String {
    for index in 0..3 {
        let object =
            json!({"metadata": {"name": format!("w{index}"), "labels": {"set": "w"}}, "data": {"i": "0"}});
        assert_eq!(call(fixture, "POST", MAPS, "application/json", &object).await.0, StatusCode::CREATED);
    }
    get(fixture, "").await.1["metadata"]["resourceVersion"].as_str().unwrap().to_owned()
}

async fn patch(fixture: &Fixture, name: &str, patch: Value) -> Value {
    let (status, text) = call(fixture, "PATCH", &format!("{MAPS}/{name}"), "application/json", &patch).await;
    assert_eq!(status, StatusCode::OK, "{text}");
    serde_json::from_str(&text).unwrap()
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.to_owned(), name.to_owned())
}

#[tokio::test]
async fn an_object_that_leaves_the_selector_is_deleted_and_one_that_enters_is_added() {
    let fixture = Fixture::new();
    let version = maps(&fixture).await;
    patch(&fixture, "w1", json!({"data": {"i": "1"}})).await;
    let left = patch(&fixture, "w1", json!({"metadata": {"labels": {"set": null}}})).await;
    patch(&fixture, "w1", json!({"metadata": {"labels": {"set": "w"}}})).await;
    let events = watch(&fixture, &format!("labelSelector=set%3Dw&resourceVersion={version}")).await;
    assert_eq!(kinds(&events), [pair("MODIFIED", "w1"), pair("DELETED", "w1"), pair("ADDED", "w1")]);
    assert_eq!(events[1]["object"]["metadata"]["resourceVersion"], left["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn initial_events_come_when_no_version_is_given_and_their_end_is_marked_on_request() {
    let fixture = Fixture::new();
    maps(&fixture).await;
    let added = [pair("ADDED", "w0"), pair("ADDED", "w1"), pair("ADDED", "w2")];
    let ends = |events: &[Value]| {
        let mark =
            |event: &Value| event["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true";
        events.iter().position(mark)
    };
    for (query, end) in [
        ("labelSelector=set%3Dw", None),
        ("labelSelector=set%3Dw&resourceVersion=0", None),
        ("labelSelector=set%3Dw&resourceVersion=0&allowWatchBookmarks=true", Some(3)),
        ("labelSelector=set%3Dw&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", None),
        (
            "labelSelector=set%3Dw&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1",
            Some(3),
        ),
    ] {
        let events = watch(&fixture, query).await;
        assert_eq!(kinds(&events)[..3], added, "{query}");
        assert_eq!(ends(&events), end, "{query}");
    }
    let (status, refused) = get(&fixture, "watch=1&sendInitialEvents=true").await;
    assert_eq!((status, &refused["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("Invalid")));
}

#[tokio::test]
async fn an_expired_version_is_an_error_event_in_a_watch_and_410_in_a_list() {
    let fixture = Fixture::new();
    let version = maps(&fixture).await;
    let first = get(&fixture, "limit=1").await.1;
    let token = first["metadata"]["continue"].as_str().unwrap();
    patch(&fixture, "w0", json!({"data": {"i": "9"}})).await;
    fixture.server.store().compact();

    let events = watch(&fixture, &format!("resourceVersion={version}")).await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(events[0]["object"]["reason"], "Expired");

    let (status, _) = get(&fixture, &format!("resourceVersion={version}&resourceVersionMatch=Exact")).await;
    assert_eq!(status, StatusCode::GONE);
    let (status, expired) = get(&fixture, &format!("limit=1&continue={token}")).await;
    assert_eq!(status, StatusCode::GONE);
    let fresh = expired["metadata"]["continue"].as_str().unwrap();
    let (status, rest) = get(&fixture, &format!("continue={fresh}")).await;
    assert_eq!((status, rest["items"].as_array().unwrap().len()), (StatusCode::OK, 2));
}

#[tokio::test]
async fn a_version_of_the_future_is_awaited_by_a_list_and_silent_in_a_watch() {
    let fixture = Fixture::new();
    assert!(watch(&fixture, "resourceVersion=99999999999999").await.is_empty());
    let (status, late) = get(&fixture, "resourceVersion=99999999999999").await;
    assert_eq!((status, &late["reason"]), (StatusCode::GATEWAY_TIMEOUT, &json!("Timeout")));
    assert_eq!(late["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn a_table_watch_sends_its_columns_once() {
    let fixture = Fixture::new();
    maps(&fixture).await;
    let events = watch_as(&fixture, "", "application/json;as=Table;v=v1;g=meta.k8s.io").await;
    let columns: Vec<bool> =
        events.iter().map(|event| event["object"]["columnDefinitions"].is_array()).collect();
    assert_eq!(columns, [true, false, false]);
    assert_eq!(events[0]["object"]["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn limit_is_ignored_at_version_zero_and_counts_what_remains_without_a_selector() {
    let fixture = Fixture::new();
    maps(&fixture).await;
    assert_eq!(get(&fixture, "limit=1&resourceVersion=0").await.1["items"].as_array().unwrap().len(), 3);
    assert_eq!(get(&fixture, "limit=1").await.1["metadata"]["remainingItemCount"], 2);
    let selected = get(&fixture, "limit=1&labelSelector=set%3Dw").await.1;
    assert!(
        selected["metadata"]["continue"].is_string() && selected["metadata"]["remainingItemCount"].is_null()
    );
}

#[tokio::test]
async fn a_watch_follows_while_it_is_open_and_ends_at_its_time_limit_with_bookmarks() {
    let fixture = Fixture::new();
    let version = maps(&fixture).await;
    let query = format!("{MAPS}?watch=1&timeoutSeconds=3&allowWatchBookmarks=true&resourceVersion={version}");
    let watching = call(&fixture, "GET", &query, "application/json", &Value::Null);
    let (answer, changed) = tokio::join!(watching, patch(&fixture, "w2", json!({"data": {"i": "5"}})));
    let events: Vec<Value> = answer.1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kinds(&events)[0], pair("MODIFIED", "w2"));
    let last = events.last().unwrap();
    assert_eq!(last["type"], "BOOKMARK");
    assert_eq!(last["object"]["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn aggregated_discovery_has_its_exact_content_type_and_an_etag() {
    let fixture = Fixture::new();
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let send = |etag: Option<String>| {
        let mut request = Request::get("/apis").header(header::ACCEPT, accept);
        if let Some(etag) = etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        }
        fixture.server.router().oneshot(request.body(Body::empty()).unwrap())
    };
    let first = send(None).await.unwrap();
    assert_eq!(
        first.headers()[header::CONTENT_TYPE],
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    );
    assert_eq!(first.headers()[header::VARY], "Accept");
    let etag = first.headers()[header::ETAG].to_str().unwrap().to_owned();
    assert_eq!(send(Some(etag)).await.unwrap().status(), StatusCode::NOT_MODIFIED);
    let (status, text) = call(&fixture, "GET", "/apis", "application/json", &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["kind"], "APIGroupList");
    let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
    assert_eq!(call(&fixture, "GET", "/apis", beta, &Value::Null).await.0, StatusCode::NOT_ACCEPTABLE);
}
