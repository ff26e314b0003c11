//! States of pods over their lives, against the recordings.

use std::fs;

use kube::api::DeleteParams;
use serde_json::json;

use super::support::{TestNode, assert_golden};

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_loop_backs_off() {
    let node = TestNode::start().await;
    // The third attempt stays, so that nothing changes while it is looked at.
    let count = "echo x >> /data/n; if [ $(wc -l < /data/n) -ge 3 ]; then sleep 600; fi";
    let command = ["sh", "-c", &format!("echo boom; {count}; sleep 1; exit 1")];
    let container = json!({"name": "main", "image": "busybox", "command": command, "volumeMounts": [
        {"name": "data", "mountPath": "/data"},
    ]});
    let spec = json!({"terminationGracePeriodSeconds": 1, "containers": [container],
        "volumes": [{"name": "data", "emptyDir": {}}]});
    let pod = node.create("web", spec).await;
    node.until("web", "main[running last=terminated:Error(1) ready=True rc=2").await;
    assert_golden("crash-loop", &node.states("web"));
    let message = format!(
        "Back-off restarting failed container main in pod web_default({})",
        pod.metadata.uid.as_ref().unwrap()
    );
    let expected = [("Scheduled", 1), ("Pulled", 3), ("Created", 3), ("Started", 3), ("BackOff", 1)];
    let events = node.assert_events("web", &expected).await;
    assert_eq!(events[4].1, message);
    assert_eq!(node.log(&pod, "main", 1, "boom").await, "boom");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_its_probe() {
    let node = TestNode::start().await;
    let pod = node
        .create("p", json!({"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "main", "image": "busybox", "command": ["sh", "-c", "while :; do sleep 1; done"],
            "readinessProbe": {"exec": {"command": ["test", "-f", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 20},
        }]}))
        .await;
    node.event("p", "Unhealthy", "Readiness probe failed: ").await;
    let flag = node.tmp(&pod, "main").join("ready");
    fs::write(&flag, "").unwrap();
    node.until("p", "ready=True").await;
    fs::remove_file(&flag).unwrap();
    node.until_count("p", "main[running ready=False", 2).await;
    fs::write(&flag, "").unwrap();
    node.until_count("p", "ready=True", 2).await;
    assert_golden("readiness", &node.states("p"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_liveness_probe_restarts_the_container() {
    let node = TestNode::start().await;
    let pod = node
        .create("p", json!({"terminationGracePeriodSeconds": 1, "containers": [{
            "name": "main", "image": "busybox", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"],
            "livenessProbe": {"exec": {"command": ["sh", "-c", "test ! -f /tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 2, "timeoutSeconds": 20},
            "startupProbe": {"exec": {"command": ["true"]}, "periodSeconds": 1, "timeoutSeconds": 20},
        }]}))
        .await;
    node.until("p", "ready=True").await;
    fs::write(node.tmp(&pod, "main").join("dead"), "").unwrap();
    node.until("p", "ready=True rc=1 started=True").await;
    assert_golden("liveness", &node.states("p"));
    let expected =
        [("Scheduled", 1), ("Pulled", 2), ("Created", 2), ("Started", 2), ("Unhealthy", 2), ("Killing", 1)];
    let events = node.assert_events("p", &expected).await;
    assert_eq!(events[4].1, "Liveness probe failed: ");
    assert_eq!(events[5].1, "Container main failed liveness probe, will be restarted");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_that_ignores_sigterm_is_killed_after_its_grace_period() {
    let node = TestNode::start().await;
    let command = ["sh", "-c", "trap '' TERM; sleep 600 & while :; do sleep 1; done"];
    node.create(
        "web",
        json!({
            "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "main", "image": "busybox", "command": command}],
        }),
    )
    .await;
    node.until("web", "ready=True").await;
    let begun = std::time::Instant::now();
    node.delete("web").await;
    node.until("web", "DELETED").await;
    let took = begun.elapsed();
    assert!(took.as_secs_f64() > 1.9 && took.as_secs_f64() < 20.0, "{took:?}");
    assert_golden("delete-grace", &node.states("web"));
    node.event("web", "Killing", "Stopping container main").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn init_containers_run_before_and_sidecars_beside() {
    let node = TestNode::start().await;
    let trap = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    node.create("p", json!({
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 2,
        "initContainers": [
            {"name": "init1", "image": "busybox", "command": ["sh", "-c", "sleep 0.5"]},
            {"name": "side", "image": "busybox", "restartPolicy": "Always", "command": ["sh", "-c", trap]},
        ],
        "containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", "sleep 1; echo main done"]}],
    }))
    .await;
    node.create(
        "q",
        json!({
            "restartPolicy": "Never",
            "initContainers": [{"name": "init1", "image": "busybox", "command": ["sh", "-c", "exit 4"]}],
            "containers": [{"name": "main", "image": "busybox", "command": ["true"]}],
        }),
    )
    .await;
    node.until("q", "phase=Failed").await;
    assert_golden("init-failure", &node.states("q"));
    node.until("p", "phase=Succeeded").await;
    assert_golden("init-and-sidecar", &node.states("p"));
    node.event("p", "Killing", "Stopping container side").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_image_is_tried_again_with_back_off() {
    let node = TestNode::start().await;
    node.create(
        "web",
        json!({
            "terminationGracePeriodSeconds": 2,
            "containers": [{"name": "main", "image": "localhost/nope:9"}],
        }),
    )
    .await;
    node.until("web", "waiting:ImagePullBackOff").await;
    node.until_count("web", "waiting:ErrImagePull", 2).await;
    node.delete("web").await;
    node.until("web", "DELETED").await;
    assert_golden("bad-image", &node.states("web"));
    let events = node.events("web").await;
    let reasons: Vec<(&str, &str)> =
        events.iter().map(|(reason, message, _)| (reason.as_str(), message.as_str())).collect();
    assert_eq!(reasons[1], ("Pulling", "Pulling image \"localhost/nope:9\""));
    assert!(
        reasons[2]
            .1
            .starts_with("Failed to pull image \"localhost/nope:9\": image \"localhost/nope:9\" is not in"),
        "{reasons:?}"
    );
    assert_eq!(reasons[3], ("Failed", "Error: ErrImagePull"));
    assert_eq!(reasons[4], ("BackOff", "Back-off pulling image \"localhost/nope:9\""));
    assert_eq!(reasons[5], ("Failed", "Error: ImagePullBackOff"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_and_exit_codes_are_faithful() {
    let node = TestNode::start().await;
    let policy = |command: &str| {
        json!({
            "restartPolicy": "Never", "terminationGracePeriodSeconds": 20,
            "containers": [{"name": "main", "image": "busybox", "command": ["sh", "-c", command],
                "terminationMessagePolicy": "FallbackToLogsOnError"}],
        })
    };
    // Kubernetes makes one dollar sign of two.
    node.create("term", policy("kill -TERM $$$$; sleep 9")).await;
    node.create("kill", policy("kill -KILL $$$$; sleep 9")).await;
    let seven = node.create("seven", policy("echo why > /dev/termination-log; exit 7")).await;
    node.create("tail", policy("echo last words; exit 3")).await;
    node.until("term", "main[terminated:Error(143)").await;
    node.until("kill", "main[terminated:Error(137)").await;
    node.until("seven", "phase=Failed").await;
    node.until("tail", "phase=Failed").await;
    let message = async |name: &str| {
        let pod = node.pods().get(name).await.unwrap();
        let status = pod.status.unwrap().container_statuses.unwrap().remove(0);
        status.state.unwrap().terminated.unwrap().message.unwrap()
    };
    assert_eq!(message("seven").await, "why\n");
    assert_eq!(message("tail").await, "last words");
    assert!(seven.status.is_some());

    let hooks = node
        .create(
            "hooks",
            json!({"terminationGracePeriodSeconds": 20, "containers": [{
                "name": "main", "image": "busybox",
                "command": ["sh", "-c", "trap 'test -f /tmp/pre; exit $?' TERM; while :; do sleep 0.1; done"],
                "lifecycle": {
                    "postStart": {"exec": {"command": ["sh", "-c", "echo post > /tmp/post"]}},
                    "preStop": {"exec": {"command": ["sh", "-c", "echo pre > /tmp/pre; sleep 0.3"]}},
                },
            }]}),
        )
        .await;
    node.until("hooks", "ready=True").await;
    let tmp = node.tmp(&hooks, "main");
    assert_eq!(fs::read_to_string(tmp.join("post")).unwrap(), "post\n");
    node.delete("hooks").await;
    // Ends with 0 only if the signal came after the hook.
    node.until("hooks", "DELETED").await;
    let states = node.states("hooks");
    assert!(states.iter().any(|state| state.contains("phase=Succeeded")), "{states:#?}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_grace_period_and_a_forced_deletion_hasten_the_end() {
    let node = TestNode::start().await;
    let stubborn = json!({"terminationGracePeriodSeconds": 300, "containers": [
        {"name": "main", "image": "busybox", "command": ["sh", "-c", "trap '' TERM; while :; do sleep 1; done"]},
    ]});
    let forced = node.create("forced", stubborn.clone()).await;
    node.create("shortened", stubborn).await;
    node.until("forced", "ready=True").await;
    node.until("shortened", "ready=True").await;
    for name in ["forced", "shortened"] {
        node.delete(name).await;
        node.event(name, "Killing", "Stopping container main").await;
    }
    let grace = |seconds| DeleteParams { grace_period_seconds: Some(seconds), ..DeleteParams::default() };
    node.pods().delete("shortened", &grace(1)).await.unwrap();
    node.until("shortened", "DELETED").await;
    node.pods().delete("forced", &grace(0)).await.unwrap();
    node.until("forced", "DELETED").await;
    node.until_no_process(&forced).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deadline_ends_the_pod() {
    let node = TestNode::start().await;
    node.create(
        "p",
        json!({"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1, "containers": [
            {"name": "main", "image": "busybox", "command": ["sleep", "100"]},
        ]}),
    )
    .await;
    node.until("p", "phase=Failed").await;
    let status = node.pods().get("p").await.unwrap().status.unwrap();
    assert_eq!(status.reason.as_deref(), Some("DeadlineExceeded"));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_image_restarts_the_container() {
    let node = TestNode::start().await;
    let command = ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done"];
    node.create("p", json!({"containers": [{"name": "main", "image": "busybox:1", "command": command}]}))
        .await;
    node.until("p", "ready=True").await;
    let patch = json!([{"op": "replace", "path": "/spec/containers/0/image", "value": "busybox:2"}]);
    let patch = kube::api::Patch::Json::<()>(serde_json::from_value(patch).unwrap());
    node.pods().patch("p", &kube::api::PatchParams::default(), &patch).await.unwrap();
    node.until("p", "main[running last=terminated:Completed(0) ready=True rc=1").await;
    node.event("p", "Killing", "Container main definition changed, will be restarted").await;
    let status = node.pods().get("p").await.unwrap().status.unwrap();
    assert_eq!(status.container_statuses.unwrap()[0].image, "busybox:2");
    node.stop().await;
}
