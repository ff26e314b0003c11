//! No orphan is ever left, whatever dies.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use cluster::kubelet::{CLUSTER_MARKER, POD_MARKER};
use kube::{
    Api, Client, ResourceExt,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::json;

use super::support::{PATIENCE, TestNode, marked};

/// Processes whose command line contains the text.
fn running(text: &str) -> Vec<i32> {
    let pids =
        fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(text)
    })
    .collect()
}

fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen within {limit:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn serve(data_dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_cluster"))
        .args(["serve", "--data-dir"])
        .arg(data_dir)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn client(data_dir: &Path) -> Client {
    let path = data_dir.join("kubeconfig");
    wait_until("the kubeconfig", PATIENCE, || path.exists());
    let config = Kubeconfig::read_from(path).unwrap();
    let config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A pod with a daemon that left its session and dropped its environment, unique by its sleeping time.
fn escaping(seconds: u64) -> serde_json::Value {
    let command = format!("setsid env -i sh -c 'sleep {seconds} & sleep {seconds}' & sleep {seconds}");
    json!({"metadata": {"name": "p"}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "main", "image": "busybox", "command": ["sh", "-c", command]},
    ]}})
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_the_control_plane_kills_every_pod_process() {
    let directory = tempfile::Builder::new().prefix("sre").tempdir_in("/var/tmp").unwrap();
    let seconds = 1_000_000 + u64::from(std::process::id());
    let sleeper = format!("sleep\0{seconds}");
    let mut server = serve(directory.path());
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(client(directory.path()).await);
    pods.create(&PostParams::default(), &serde_json::from_value(escaping(seconds)).unwrap()).await.unwrap();
    wait_until("the pod's processes", PATIENCE, || running(&sleeper).len() == 3);
    let id = fs::read_to_string(directory.path().join("cluster-id")).unwrap();
    assert!(!marked(CLUSTER_MARKER, &id).is_empty());
    server.kill().unwrap();
    server.wait().unwrap();
    let limit = Duration::from_secs(10);
    wait_until("the end of marked processes", limit, || marked(CLUSTER_MARKER, &id).is_empty());
    wait_until("the end of the daemon", limit, || running(&sleeper).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_start_kills_what_an_earlier_one_left() {
    let directory = tempfile::Builder::new().prefix("sre").tempdir_in("/var/tmp").unwrap();
    let seconds = 2_000_000 + u64::from(std::process::id());
    let sleeper = format!("sleep\0{seconds}");
    let mut server = serve(directory.path());
    let pods: Api<k8s_openapi::api::core::v1::Pod> = Api::default_namespaced(client(directory.path()).await);
    pods.create(&PostParams::default(), &serde_json::from_value(escaping(seconds)).unwrap()).await.unwrap();
    wait_until("the pod's processes", PATIENCE, || running(&sleeper).len() == 3);
    let id = fs::read_to_string(directory.path().join("cluster-id")).unwrap();
    // Stopped first, the shim cannot clean up when the control plane is killed; then it is killed as well.
    let shims = running("pod-shim\0default/p/main");
    let shims: Vec<i32> = shims.into_iter().filter(|pid| marked(CLUSTER_MARKER, &id).contains(pid)).collect();
    assert_eq!(shims.len(), 1);
    let shim = rustix::process::Pid::from_raw(shims[0]).unwrap();
    rustix::process::kill_process(shim, rustix::process::Signal::STOP).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
    fs::remove_file(directory.path().join("kubeconfig")).unwrap();
    assert_eq!(running(&sleeper).len(), 3);

    let groups = fs::read_to_string(directory.path().join("cgroups")).unwrap_or_default();
    let groups: Vec<&Path> = groups.lines().map(Path::new).collect();
    assert!(groups.iter().all(|group| group.exists()), "{groups:?}");

    let mut server = serve(directory.path());
    client(directory.path()).await;
    wait_until("the end of their control groups", PATIENCE, || groups.iter().all(|group| !group.exists()));
    wait_until("the end of the leftovers", PATIENCE, || running(&sleeper).is_empty());
    let marked_now = marked(CLUSTER_MARKER, &id);
    assert!(!marked_now.contains(&shims[0]), "{marked_now:?}");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(server.id() as i32).unwrap(),
        rustix::process::Signal::TERM,
    )
    .unwrap();
    server.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn daemons_end_with_their_container() {
    let node = TestNode::start().await;
    let seconds = 3_000_000 + u64::from(std::process::id());
    let command = format!("setsid env -i sleep {seconds} & sleep 0.2; exit 0");
    node.create(
        "p",
        json!({"restartPolicy": "Never", "containers": [
            {"name": "main", "image": "busybox", "command": ["sh", "-c", command]},
        ]}),
    )
    .await;
    node.until("p", "phase=Succeeded").await;
    assert_eq!(running(&format!("sleep\0{seconds}")), Vec::<i32>::new());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_shim_counts_as_a_killed_container_and_leaves_nothing() {
    let node = TestNode::start().await;
    let pod = node
        .create(
            "p",
            json!({"restartPolicy": "Never", "containers": [
                {"name": "main", "image": "busybox", "command": ["sh", "-c", "sleep 500 & sleep 500"]},
            ]}),
        )
        .await;
    node.until("p", "ready=True").await;
    let uid = pod.uid().unwrap();
    let shims: Vec<i32> = running("pod-shim\0default/p/main")
        .into_iter()
        .filter(|pid| marked(POD_MARKER, &uid).contains(pid))
        .collect();
    for pid in shims {
        rustix::process::kill_process(
            rustix::process::Pid::from_raw(pid).unwrap(),
            rustix::process::Signal::KILL,
        )
        .unwrap();
    }
    node.until("p", "main[terminated:Error(137)").await;
    wait_until("the end of its processes", PATIENCE, || marked(POD_MARKER, &uid).is_empty());
    node.stop().await;
}
