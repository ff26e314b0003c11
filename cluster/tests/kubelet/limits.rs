//! Limits on CPU and memory, on the machine's own control groups. What the machine cannot enforce is skipped by name.

use std::{fs, path::PathBuf, time::Duration};

use k8s_openapi::api::core::v1::Node;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::support::{PATIENCE, TestNode};

/// What the node says about limits: none if they are enforced, else why not.
async fn not_enforced(node: &TestNode) -> Option<String> {
    let nodes: Api<Node> = Api::all(node.client.clone());
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = nodes.get_opt("node-1").await.unwrap().and_then(|node| node.status).unwrap_or_default();
        let mut conditions = status.conditions.into_iter().flatten();
        if let Some(condition) = conditions.find(|condition| condition.type_ == "LimitsEnforced") {
            return (condition.status == "False").then(|| condition.message.unwrap_or_default());
        }
        assert!(Instant::now() < deadline, "the node never had the condition");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A node whose limits work; none, with a message, on a machine that cannot enforce them.
async fn node() -> Option<TestNode> {
    let node = TestNode::start().await;
    match not_enforced(&node).await {
        None => Some(node),
        Some(why) => {
            eprintln!("skipped: {why}");
            node.stop().await;
            None
        }
    }
}

/// Parents of this node's control groups.
fn parents(node: &TestNode) -> Vec<PathBuf> {
    let record = fs::read_to_string(node.directory.path().join("cgroups")).unwrap_or_default();
    record.lines().map(PathBuf::from).collect()
}

/// Groups of containers that are there now.
fn groups(parents: &[PathBuf]) -> Vec<String> {
    let entries = parents.iter().flat_map(|parent| fs::read_dir(parent).into_iter().flatten().flatten());
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path().display().to_string())
        .collect()
}

fn shell(command: &str, resources: Value) -> Value {
    json!({"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "main", "image": "busybox", "command": ["sh", "-c", command], "resources": resources},
    ]})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cpu_limit_holds_for_all_processes_of_a_container() {
    let Some(node) = node().await else { return };
    let command = "while :; do :; done & while :; do :; done";
    let pod = node.create("burn", shell(command, json!({"limits": {"cpu": "200m"}}))).await;
    node.until("burn", "running").await;
    // The counter, read twice some seconds apart; the kernel lets at most a period more through.
    let used = || {
        let usage = node.usage.pod(&pod.uid().unwrap())?;
        Some((usage.at, usage.containers[0].measured.nanocores))
    };
    let deadline = Instant::now() + PATIENCE;
    let mut seen = Vec::new();
    while seen.len() < 4 {
        if let Some((at, nanocores)) = used()
            && seen.last().is_none_or(|(before, _)| *before != at)
        {
            seen.push((at, nanocores));
        }
        assert!(Instant::now() < deadline, "only {seen:?} was measured");
        sleep(Duration::from_millis(20)).await;
    }
    let mean = seen.iter().map(|(_, nanocores)| nanocores).sum::<u64>() / seen.len() as u64;
    assert!((20_000_000..280_000_000).contains(&mean), "at most 200m and a period's slack: {seen:?}");
    // On a crowded machine it might have got no more without a limit: the kernel says that it was held back.
    let held = || {
        let stats = groups(&parents(&node)).into_iter().filter_map(|group| {
            let stat = fs::read_to_string(PathBuf::from(group).join("cpu.stat")).ok()?;
            stat.lines().find_map(|line| line.strip_prefix("nr_throttled ")?.parse::<u64>().ok())
        });
        stats.sum::<u64>() > 0
    };
    while !held() {
        assert!(Instant::now() < deadline, "it was never held back");
        sleep(Duration::from_millis(50)).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_reaches_the_memory_limit_is_killed_and_the_status_says_so() {
    let Some(node) = node().await else { return };
    // dd has one block in memory.
    let command = "dd if=/dev/zero of=/dev/null bs=200M count=1";
    node.create("hungry", shell(command, json!({"limits": {"memory": "24Mi"}}))).await;
    node.until("hungry", "terminated:OOMKilled(137)").await;
    node.until("hungry", "last=terminated:OOMKilled(137)").await;
    node.until("hungry", "rc=1").await;
    // Killed by hand is not killed for memory. (A doubled dollar stands for one in a command.)
    node.create("killed", shell("kill -9 $$$$", json!({"limits": {"memory": "24Mi"}}))).await;
    node.until("killed", "terminated:Error(137)").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_go_with_their_containers_and_at_the_end() {
    let Some(node) = node().await else { return };
    let pod = node.create("p", shell("sleep 1000", json!({}))).await;
    node.until("p", "running").await;
    let parents = parents(&node);
    let uid = pod.uid().unwrap();
    assert!(groups(&parents).iter().any(|group| group.ends_with(&format!("{uid}.main.0"))), "{parents:?}");
    node.delete("p").await;
    node.until("p", "DELETED").await;
    let deadline = Instant::now() + PATIENCE;
    while !groups(&parents).is_empty() {
        assert!(Instant::now() < deadline, "{:?} is left", groups(&parents));
        sleep(Duration::from_millis(20)).await;
    }
    node.stop().await;
    assert!(parents.iter().all(|parent| !parent.exists()), "{parents:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_not_enforced_is_named() {
    let node = TestNode::start().await;
    let why = not_enforced(&node).await;
    node.create("p", shell("sleep 1000", json!({"limits": {"cpu": "1"}}))).await;
    node.until("p", "running").await;
    match why {
        Some(_) => node.event("p", "LimitsNotEnforced", "resources.limits.cpu of containers main").await,
        None => {
            node.event("p", "Started", "").await;
            let events = node.events("p").await;
            assert!(events.iter().all(|(reason, ..)| reason != "LimitsNotEnforced"), "{events:?}");
        }
    }
    node.stop().await;
}
