//! `pods/log` and the proxy subresources.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod common;

use std::{fs, io::Write, time::Duration};

use common::Fixture;
use futures::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::core::v1::{Endpoints, Pod, Service};
use kube::{
    Api, Client, ResourceExt,
    api::{LogParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, from_value, json};
use tokio::{io::AsyncWriteExt, net::TcpListener, time::timeout};

const SOON: Duration = Duration::from_secs(10);

/// A pod on a node whose container has been restarted `restarts` times and now has `state`.
async fn pod(client: &Client, containers: &[&str], restarts: i32, state: Value) -> Pod {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let specs: Vec<Value> = containers.iter().map(|name| json!({"name": name, "image": "busybox"})).collect();
    let pod = json!({"metadata": {"name": "p"}, "spec": {"nodeName": "node-1", "containers": specs}});
    pods.create(&PostParams::default(), &from_value(pod).unwrap()).await.unwrap();
    set_state(client, containers, restarts, state).await
}

async fn set_state(client: &Client, containers: &[&str], restarts: i32, state: Value) -> Pod {
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let last = if restarts > 0 { json!({"terminated": {"exitCode": 1}}) } else { json!({}) };
    let statuses: Vec<Value> = containers
        .iter()
        .map(|name| {
            json!({"name": name, "restartCount": restarts, "state": state, "lastState": last, "ready": true,
                   "image": "busybox", "imageID": ""})
        })
        .collect();
    let status = json!({"status": {"phase": "Running", "containerStatuses": statuses}});
    pods.patch_status("p", &PatchParams::default(), &Patch::Merge(status)).await.unwrap()
}

fn log_file(fixture: &Fixture, pod: &Pod, restart: i32) -> fs::File {
    let directory = fixture.logs.path().join(format!("default_p_{}", pod.uid().unwrap())).join("main");
    fs::create_dir_all(&directory).unwrap();
    fs::OpenOptions::new().create(true).append(true).open(directory.join(format!("{restart}.log"))).unwrap()
}

fn line(text: &str) -> String {
    format!("2026-11-21T10:00:00.000000001Z stdout F {text}\n")
}

#[tokio::test]
async fn logs_are_read_by_run_and_followed_until_the_container_ends() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let created = pod(&client, &["main"], 1, json!({"running": {}})).await;
    log_file(&fixture, &created, 0).write_all(line("before").as_bytes()).unwrap();
    let mut current = log_file(&fixture, &created, 1);
    current.write_all((line("one") + &line("two")).as_bytes()).unwrap();

    assert_eq!(pods.logs("p", &LogParams::default()).await.unwrap(), "one\ntwo\n");
    let previous = LogParams { previous: true, ..LogParams::default() };
    assert_eq!(pods.logs("p", &previous).await.unwrap(), "before\n");
    let tail = LogParams { tail_lines: Some(1), timestamps: true, ..LogParams::default() };
    assert_eq!(pods.logs("p", &tail).await.unwrap(), "2026-11-21T10:00:00.000000001Z two\n");

    let follow = LogParams { follow: true, tail_lines: Some(1), ..LogParams::default() };
    let mut lines = pods.log_stream("p", &follow).await.unwrap().lines();
    timeout(SOON, async {
        assert_eq!(lines.try_next().await.unwrap().unwrap(), "two");
        current.write_all(line("three").as_bytes()).unwrap();
        assert_eq!(lines.try_next().await.unwrap().unwrap(), "three");
        current.write_all(line("last").as_bytes()).unwrap();
        set_state(&client, &["main"], 1, json!({"terminated": {"exitCode": 0}})).await;
        assert_eq!(lines.try_next().await.unwrap().unwrap(), "last");
        assert!(lines.try_next().await.unwrap().is_none());
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_log_that_cannot_be_shown_says_why() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    pod(&client, &["main", "side"], 0, json!({"waiting": {"reason": "ImagePullBackOff"}})).await;
    let container = |name: &str| LogParams { container: Some(name.to_owned()), ..LogParams::default() };
    let previous = LogParams { previous: true, ..container("main") };
    for (params, expected) in [
        (LogParams::default(), "a container name must be specified for pod p, choose one of: [main side]"),
        (container("zz"), "container zz is not valid for pod p"),
        (
            container("main"),
            "container \"main\" in pod \"p\" is waiting to start: trying and failing to pull image",
        ),
        (previous, "previous terminated container \"main\" in pod \"p\" not found"),
    ] {
        let error = pods.logs("p", &params).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

/// An HTTP server on a pod address that answers every request with what it got.
async fn echo(fixture: &Fixture) -> std::net::SocketAddr {
    let ip = fixture.server.addresses().allocate_pod_ip().unwrap();
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut reader = tokio::io::BufReader::new(&mut stream);
                let mut head = String::new();
                while !head.ends_with("\r\n\r\n") {
                    if tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut head).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
                let first = head.lines().next().unwrap_or_default().to_owned();
                let secret = head.to_lowercase().contains("authorization");
                let body = format!("{first} secret={secret}");
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    address
}

fn get(path: &str) -> http::Request<Vec<u8>> {
    http::Request::get(path).header("authorization", "Bearer x").body(Vec::new()).unwrap()
}

#[tokio::test]
async fn services_and_pods_are_reached_through_the_proxy() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let address = echo(&fixture).await;
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"name": "http", "port": 80}]}});
    services.create(&PostParams::default(), &from_value(service).unwrap()).await.unwrap();
    let base = "/api/v1/namespaces/default";

    let none = client.request_text(get(&format!("{base}/services/web:http/proxy/x"))).await.unwrap_err();
    assert!(none.to_string().contains("no endpoints available for service \"web\""), "{none}");

    let endpoints: Api<Endpoints> = Api::default_namespaced(client.clone());
    let object = json!({"metadata": {"name": "web"}, "subsets": [{
        "addresses": [{"ip": address.ip().to_string()}], "ports": [{"name": "http", "port": address.port()}]}]});
    endpoints.create(&PostParams::default(), &from_value(object).unwrap()).await.unwrap();
    for service in ["web:http", "web:80", "http:web:http"] {
        let answer =
            client.request_text(get(&format!("{base}/services/{service}/proxy/a/b?c=d"))).await.unwrap();
        assert_eq!(answer, "GET /a/b?c=d HTTP/1.1 secret=false");
    }
    let https =
        client.request_text(get(&format!("{base}/services/https:web:http/proxy/"))).await.unwrap_err();
    assert!(https.to_string().contains("http only"), "{https}");

    let created = pod(&client, &["main"], 0, json!({"running": {}})).await;
    let pods: Api<Pod> = Api::default_namespaced(client.clone());
    let status = json!({"status": {"podIP": address.ip().to_string()}});
    pods.patch_status(&created.name_any(), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
    let path = format!("{base}/pods/p:{}/proxy/metrics", address.port());
    assert_eq!(client.request_text(get(&path)).await.unwrap(), "GET /metrics HTTP/1.1 secret=false");
}

#[tokio::test]
async fn the_proxy_does_not_leave_the_cluster() {
    let fixture = Fixture::new();
    let client = fixture.client();
    let services: Api<Service> = Api::default_namespaced(client.clone());
    let service = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}});
    services.create(&PostParams::default(), &from_value(service).unwrap()).await.unwrap();
    let endpoints: Api<Endpoints> = Api::default_namespaced(client.clone());
    let object = json!({"metadata": {"name": "web"}, "subsets": [{"addresses": [{"ip": "127.0.0.1"}], "ports": [{"port": 80}]}]});
    endpoints.create(&PostParams::default(), &from_value(object).unwrap()).await.unwrap();
    let refused =
        client.request_text(get("/api/v1/namespaces/default/services/web/proxy/")).await.unwrap_err();
    assert!(refused.to_string().contains("outside of this cluster's network"), "{refused}");
}
