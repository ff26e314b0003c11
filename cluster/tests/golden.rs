//! Requests recorded from a Kubernetes 1.36 API server, sent to this one: same status codes, same Status bodies.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod common;

use std::collections::HashMap;

use axum::body::{Body, to_bytes};
use common::Fixture;
use http::{Request, header};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Cases whose message differs from the real server's, and why. Status code and reason are compared all the same.
const OTHER_MESSAGE: &[(&str, &str)] = &[
    ("400-kind-mismatch", "names Go types"),
    ("400-unknown-kind-batch", "names a Go source file"),
    ("400-wrong-type", "names a Go struct"),
    ("400-bad-json", "words of Go's JSON parser"),
    ("400-empty-body", "words of Go's JSON parser"),
    ("400-post-yaml", "names a Go struct"),
    ("400-continue", "words of Go's base64 and JSON parsers"),
    ("422-strict-patch-unknown", "quotes the whole object, whose fields are in another order"),
    ("422-immutable-pod-spec", "has a diff of Go structs"),
    ("406-accept-xml", "protobuf answers are not offered"),
    ("406-table-only-v9", "protobuf answers are not offered"),
];

struct Case {
    name: String,
    recorded: Value,
}

fn cases(text: &str) -> Vec<Case> {
    let parse = |line| {
        let recorded: Value = serde_json::from_str(line).unwrap();
        Case { name: recorded["case"].as_str().unwrap().to_owned(), recorded }
    };
    text.lines().map(parse).collect()
}

/// Translates between the identifiers of the recording and ours.
#[derive(Default)]
struct Names {
    to_ours: HashMap<String, String>,
    to_recorded: HashMap<String, String>,
}

impl Names {
    fn learn(&mut self, recorded: &Value, ours: &Value) {
        if let (Some(recorded), Some(ours)) = (recorded.as_str(), ours.as_str()) {
            self.to_ours.insert(recorded.to_owned(), ours.to_owned());
            self.to_recorded.insert(ours.to_owned(), recorded.to_owned());
        }
    }

    /// Replaces whole strings, and identifiers inside of messages.
    fn replace(value: &mut Value, map: &HashMap<String, String>) {
        match value {
            Value::String(text) => {
                if let Some(other) = map.get(text.as_str()) {
                    text.clone_from(other);
                } else {
                    for (from, to) in map.iter().filter(|(from, _)| from.len() > 8) {
                        *text = text.replace(from.as_str(), to);
                    }
                }
            }
            Value::Array(list) => list.iter_mut().for_each(|item| Self::replace(item, map)),
            Value::Object(fields) => fields.values_mut().for_each(|item| Self::replace(item, map)),
            _ => {}
        }
    }
}

struct Answer {
    status: u16,
    warnings: Vec<String>,
    content_type: String,
    body: Value,
    text: String,
}

async fn send(fixture: &Fixture, method: &str, path: &str, headers: &Value, body: Option<String>) -> Answer {
    let mut request = Request::builder().method(method).uri(path).header(header::USER_AGENT, "recorder/1");
    for (name, value) in headers.as_object().into_iter().flatten() {
        request = request.header(name.as_str(), value.as_str().unwrap());
    }
    let request = request.body(Body::from(body.unwrap_or_default())).unwrap();
    let response = fixture.server.router().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, 16 << 20).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let warnings =
        parts.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap().to_owned());
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer {
        status: parts.status.as_u16(),
        warnings,
        content_type: content_type.unwrap_or_default(),
        body,
        text,
    }
}

async fn create(fixture: &Fixture, path: &str, object: Value) -> Value {
    let answer = send(fixture, "POST", path, &json!({}), Some(object.to_string())).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    answer.body
}

/// The objects that were there when the recording was made.
async fn prepare(fixture: &Fixture, names: &mut Names) {
    for namespace in ["errs", "demo"] {
        create(fixture, "/api/v1/namespaces", json!({"metadata": {"name": namespace}})).await;
    }
    let map = create(
        fixture,
        "/api/v1/namespaces/errs/configmaps",
        json!({"metadata": {"name": "c"}, "data": {"a": "1"}}),
    )
    .await;
    names.learn(&json!("7916"), &map["metadata"]["resourceVersion"]);
    names.learn(&json!("56580ee7-8db2-4872-99a9-e4ae2066876c"), &map["metadata"]["uid"]);
    let container = json!({"name": "main", "image": "localhost/busybox:1.35", "ports": [{"name": "http", "containerPort": 8080}]});
    let template = json!({"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2}});
    let deployment = json!({"metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}, "template": template}});
    create(fixture, "/apis/apps/v1/namespaces/errs/deployments", deployment).await;
    let service =
        json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    create(fixture, "/api/v1/namespaces/errs/services", service).await;
    for name in ["web-98f697896-658wx", "web-98f697896-k64kf"] {
        let mut spec = template["spec"].clone();
        spec["nodeName"] = json!("node-1");
        create(
            fixture,
            "/api/v1/namespaces/errs/pods",
            json!({"metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}),
        )
        .await;
        let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "main", "ready": true, "restartCount": 0,
            "image": "localhost/busybox:1.35", "imageID": "", "state": {"running": {}}}]}});
        let path = format!("/api/v1/namespaces/errs/pods/{name}/status");
        let headers = json!({"Content-Type": "application/merge-patch+json"});
        let answer = send(fixture, "PATCH", &path, &headers, Some(status.to_string())).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    }
}

/// What a case got wrong; empty if nothing.
fn differences(case: &Case, answer: &Answer, names: &mut Names) -> Vec<String> {
    let recorded = &case.recorded;
    let mut wrong = Vec::new();
    let mut expect = |what: &str, expected: &Value, found: &Value| {
        if expected != found {
            wrong.push(format!("  {what}:\n    recorded {expected}\n    found    {found}"));
        }
    };
    expect("code", &recorded["status"], &json!(answer.status));
    if let Some(text) = recorded.get("text")
        && answer.content_type.starts_with("text/plain")
    {
        expect("text", text, &json!(answer.text));
    }
    if let Some(warnings) = recorded.get("warning") {
        expect("warnings", warnings, &json!(answer.warnings));
    }
    let expected = &recorded["response"];
    if expected["kind"] == "Status" {
        let mut found = answer.body.clone();
        Names::replace(&mut found, &names.to_recorded);
        expect("status", &expected["status"], &found["status"]);
        expect("reason", &expected["reason"], &found["reason"]);
        if !OTHER_MESSAGE.iter().any(|(name, _)| *name == case.name) {
            expect("message", &expected["message"], &found["message"]);
            expect("details", &expected["details"], &found["details"]);
        }
    } else if !expected.is_null() {
        expect("kind", &expected["kind"], &answer.body["kind"]);
        for field in ["uid", "resourceVersion"] {
            names.learn(&expected["metadata"][field], &answer.body["metadata"][field]);
        }
        if let Some(columns) = expected.get("columns") {
            let found: Vec<&Value> = answer.body["columnDefinitions"]
                .as_array()
                .unwrap()
                .iter()
                .map(|column| &column["name"])
                .collect();
            expect("columns", columns, &json!(found));
        }
    }
    wrong
}

#[tokio::test]
async fn errors_are_those_of_a_real_server() {
    let fixture = Fixture::new();
    let mut names = Names::default();
    prepare(&fixture, &mut names).await;
    let cases = cases(include_str!("golden/errors.jsonl"));
    let mut failures = Vec::new();
    for case in &cases {
        let recorded = &case.recorded;
        let body = recorded.get("body").map(|body| match body {
            Value::String(text) => text.clone(),
            object => {
                let mut object = object.clone();
                Names::replace(&mut object, &names.to_ours);
                object.to_string()
            }
        });
        let (method, path) = (recorded["method"].as_str().unwrap(), recorded["path"].as_str().unwrap());
        let answer = send(&fixture, method, path, &recorded["headers"], body).await;
        let wrong = differences(case, &answer, &mut names);
        if !wrong.is_empty() {
            failures.push(format!("{}: {method} {path}\n{}", case.name, wrong.join("\n")));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} cases differ:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    for (name, _) in OTHER_MESSAGE {
        assert!(cases.iter().any(|case| case.name == *name), "{name} is not a recorded case");
    }
}

fn recorded_discovery() -> Value {
    serde_json::from_str(include_str!("golden/discovery.json")).unwrap()
}

#[tokio::test]
async fn discovery_describes_resources_as_a_real_server_does() {
    let fixture = Fixture::new();
    for (path, recorded) in recorded_discovery()["resources"].as_object().unwrap() {
        let recorded = recorded.as_array().unwrap();
        let answer = send(&fixture, "GET", path, &json!({"Accept": "application/json"}), None).await;
        let ours = answer.body["resources"].as_array().unwrap();
        assert!(!ours.is_empty(), "{path}");
        for entry in ours {
            let found = recorded.iter().find(|other| other["name"] == entry["name"]);
            assert_eq!(Some(entry), found, "{path}");
        }
    }
}

#[tokio::test]
async fn aggregated_discovery_describes_resources_as_a_real_server_does() {
    let fixture = Fixture::new();
    let accept = json!({"Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"});
    for (path, recorded) in recorded_discovery()["aggregated"].as_object().unwrap() {
        let answer = send(&fixture, "GET", path, &accept, None).await;
        for group in answer.body["items"].as_array().unwrap() {
            let name = &group["metadata"]["name"];
            let recorded =
                recorded.as_array().unwrap().iter().find(|other| other["metadata"]["name"] == *name).unwrap();
            let versions = group["versions"].as_array().unwrap().iter();
            for resource in versions.flat_map(|version| version["resources"].as_array().unwrap()) {
                let theirs = recorded["resources"].as_array().unwrap();
                let mut theirs =
                    theirs.iter().find(|other| other["resource"] == resource["resource"]).unwrap().clone();
                // Only what is served is listed: fewer subresources, in the same form and order.
                let served = resource["subresources"].as_array().cloned().unwrap_or_default();
                if let Some(fields) = theirs.as_object_mut() {
                    if let Some(Value::Array(all)) = fields.get_mut("subresources") {
                        all.retain(|other| {
                            served.iter().any(|own| own["subresource"] == other["subresource"])
                        });
                    }
                    fields.retain(|key, value| {
                        key != "subresources" || value.as_array().is_some_and(|all| !all.is_empty())
                    });
                }
                assert_eq!(*resource, theirs);
            }
        }
    }
}

#[tokio::test]
async fn tables_have_the_columns_of_a_real_server() {
    let fixture = Fixture::new();
    let recorded = recorded_discovery();
    let columns = recorded["columns"].as_object().unwrap();
    assert!(columns.len() >= 12, "{}", columns.len());
    for (plural, recorded) in columns {
        let root = match plural.as_str() {
            "deployments" | "replicasets" => "/apis/apps/v1",
            "endpointslices" => "/apis/discovery.k8s.io/v1",
            "horizontalpodautoscalers" => "/apis/autoscaling/v2",
            "poddisruptionbudgets" => "/apis/policy/v1",
            _ => "/api/v1",
        };
        let accept = json!({"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"});
        let answer = send(&fixture, "GET", &format!("{root}/{plural}"), &accept, None).await;
        let mut ours = answer.body["columnDefinitions"].clone();
        for column in ours.as_array_mut().unwrap() {
            column.as_object_mut().unwrap().remove("description");
        }
        assert_eq!(ours, *recorded, "{plural}");
    }
}
