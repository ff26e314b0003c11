//! What programs wrote, and what Kubernetes says of a pod.

use std::{fs, io::Write, path::PathBuf};

use harness_engine::{LogOf, Tail, describe_pod, read_pod_log};
use k8s_openapi::{
    api::core::v1::{Event, Pod},
    serde_json::json,
};
use kube::ResourceExt;

use super::Fixture;

/// A pod with one container that runs, restarted so often.
pub(super) async fn running(fixture: &Fixture, name: &str, restarts: i32) -> Pod {
    let pod = json!({
        "metadata": { "name": name },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": "demo", "env": [
            { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "web", "key": "token" } } }] }] },
    });
    let pod: Pod = fixture.create("default", pod).await;
    let last = json!({ "terminated": { "exitCode": 1, "reason": "Error" } });
    let status = json!({
        "phase": "Running",
        "containerStatuses": [{ "name": "main", "image": "", "imageID": "", "ready": true, "restartCount": restarts,
                                "state": { "running": {} }, "lastState": if restarts > 0 { last } else { json!({}) } }],
    });
    fixture.patch_status::<Pod>("default", name, status).await;
    pod
}

/// The log of one instance of the container.
pub(super) fn write(fixture: &Fixture, pod: &Pod, restart: i32, lines: &[&str]) {
    let directory = format!("default_{}_{}", pod.name_any(), pod.uid().unwrap());
    let directory: PathBuf = fixture.dir.path().join("logs").join(directory).join("main");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(format!("{restart}.log"));
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    for line in lines {
        writeln!(file, "2026-11-21T10:00:00.000000001Z stdout F {line}").unwrap();
    }
}

fn of(pod: &str, previous: bool) -> LogOf {
    LogOf { namespace: "default".into(), pod: pod.into(), container: None, previous }
}

#[tokio::test]
async fn the_end_of_a_log_is_read_without_secrets() {
    let fixture = Fixture::new();
    let pod = running(&fixture, "web", 1).await;
    write(&fixture, &pod, 0, &["it began", "postgres://app:hunter2@db/gallery", "it crashed"]);
    let lines: Vec<String> = (0..200).map(|number| format!("line {number}")).collect();
    write(&fixture, &pod, 1, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let now = read_pod_log(&fixture.client(), &of("web", false), Tail::EXCERPT, "asked for").await;
    assert_eq!((now.container.as_str(), now.lines.len(), now.cut, now.error), ("main", 50, true, None));
    assert_eq!((now.lines[0].text.as_str(), now.lines[49].text.as_str()), ("line 150", "line 199"));
    assert!(now.lines[0].written_at.is_some());
    let before = read_pod_log(&fixture.client(), &of("web", true), Tail::EXCERPT, "restarted").await;
    let texts: Vec<&str> = before.lines.iter().map(|line| line.text.as_str()).collect();
    assert_eq!(texts, ["it began", "postgres://app:[redacted]@db/gallery", "it crashed"]);
    assert!(before.previous && !before.cut);
}

#[tokio::test]
async fn why_there_is_no_log_is_said() {
    let fixture = Fixture::new();
    let none = read_pod_log(&fixture.client(), &of("nobody", false), Tail::EXCERPT, "asked for").await;
    assert!(none.error.as_deref().is_some_and(|error| error.contains("not found")), "{none:?}");
    running(&fixture, "web", 0).await;
    let previous = read_pod_log(&fixture.client(), &of("web", true), Tail::EXCERPT, "asked for").await;
    assert!(previous.error.as_deref().is_some_and(|error| error.contains("previous")), "{previous:?}");
    assert!(previous.lines.is_empty());
}

#[tokio::test]
async fn a_pod_is_described_with_its_own_events() {
    let fixture = Fixture::new();
    let pod = running(&fixture, "web", 1).await;
    let event = |name: &str, uid: &str, reason: &str| {
        json!({
            "metadata": { "name": name }, "reason": reason, "message": "about the pod", "lastTimestamp": "2026-11-21T10:00:00Z",
            "involvedObject": { "kind": "Pod", "name": "web", "namespace": "default", "uid": uid },
        })
    };
    fixture.create::<Event>("default", event("a", &pod.uid().unwrap(), "BackOff")).await;
    fixture.create::<Event>("default", event("b", "0", "OfAnEarlierPod")).await;
    let text = describe_pod(&fixture.client(), "default", "web").await.unwrap();
    for wanted in
        ["web", "node-1", "main:", "demo", "Restart Count", "TOKEN=<key token of Secret web>", "BackOff"]
    {
        assert!(text.contains(wanted), "no {wanted} in\n{text}");
    }
    assert!(!text.contains("OfAnEarlierPod"), "{text}");
    let error = describe_pod(&fixture.client(), "default", "nobody").await.unwrap_err();
    assert!(error.contains("not found"), "{error}");
}
