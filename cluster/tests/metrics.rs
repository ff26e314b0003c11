//! What pods use, as `metrics.k8s.io` and `kubectl top` show it.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::{
    process::Command,
    time::{Duration, Instant},
};

use program::{Program, text};
use serde_json::Value;

/// Nothing here takes longer, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

const PODS: &str = r#"
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: busy, labels: {app: busy}}
  spec:
    terminationGracePeriodSeconds: 1
    containers:
    - {name: burn, image: busybox, command: [sh, -c, 'while :; do :; done']}
    - {name: idle, image: busybox, command: [sleep, "1000"]}
- apiVersion: v1
  kind: Pod
  metadata: {name: forks, labels: {app: forks}}
  spec:
    terminationGracePeriodSeconds: 1
    containers:
    - {name: main, image: busybox, command: [sh, -c, 'while :; do sh -c "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"; done']}
"#;

struct Cluster(Program);

impl Cluster {
    /// None, with a message, where kubectl is missing.
    fn start() -> Option<Self> {
        if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
            eprintln!("skipped: kubectl is not installed");
            return None;
        }
        Some(Self(Program::start_with(&["--metric-resolution", "500ms"])))
    }

    fn try_run(&self, arguments: &[&str]) -> (bool, String) {
        let output = self.0.command("kubectl").args(arguments).output().unwrap();
        (output.status.success(), text(&output))
    }

    fn run(&self, arguments: &[&str]) -> String {
        let (good, printed) = self.try_run(arguments);
        assert!(good, "kubectl {}: {printed}", arguments.join(" "));
        printed
    }

    fn apply(&self, manifest: &str) {
        let file = self.0.directory.path().join("manifest.yaml");
        std::fs::write(&file, manifest).unwrap();
        self.run(&["apply", "-f", file.to_str().unwrap()]);
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.run(&["get", "--raw", path])).unwrap()
    }

    /// Asks until the answer is what is wanted.
    fn until<T>(&self, what: &str, mut ask: impl FnMut() -> Result<T, String>) -> T {
        let began = Instant::now();
        loop {
            match ask() {
                Ok(found) => return found,
                Err(last) => assert!(began.elapsed() < PATIENCE, "never {what}; at last: {last}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Billionths of a core.
fn nanocores(usage: &Value) -> u64 {
    usage["cpu"].as_str().unwrap().strip_suffix('n').unwrap().parse().unwrap()
}

fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    pod["containers"].as_array().unwrap().iter().find(|container| container["name"] == name).unwrap()
}

#[test]
fn kubectl_top_shows_what_pods_and_the_node_use() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.apply(PODS);
    let pods = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
    // One process burns all the time; the other does so only in children that end again and again.
    let busy = cluster.until("busy for most of a core", || {
        let pod = cluster.try_run(&["get", "--raw", &format!("{pods}/busy")]);
        let value: Value = serde_json::from_str(&pod.1).map_err(|_| pod.1.clone())?;
        match pod.0 && nanocores(&container(&value, "burn")["usage"]) > 200_000_000 {
            true => Ok(value),
            false => Err(pod.1),
        }
    });
    assert_eq!(
        (busy["kind"].as_str(), busy["apiVersion"].as_str()),
        (Some("PodMetrics"), Some("metrics.k8s.io/v1beta1"))
    );
    assert_eq!(busy["metadata"]["labels"]["app"], "busy");
    assert!(
        busy["window"].as_str().unwrap().ends_with('s') && busy["timestamp"].as_str().unwrap().ends_with('Z')
    );
    assert!(nanocores(&container(&busy, "burn")["usage"]) < 1_300_000_000, "{busy}");
    assert!(nanocores(&container(&busy, "idle")["usage"]) < 100_000_000, "{busy}");
    assert!(container(&busy, "idle")["usage"]["memory"].as_str().unwrap().ends_with("Ki"));
    cluster.until("children counted", || {
        let list = cluster.get(&format!("{pods}?labelSelector=app%3Dforks"));
        match list["items"][0]["containers"].is_array()
            && nanocores(&container(&list["items"][0], "main")["usage"]) > 200_000_000
        {
            true if list["items"].as_array().unwrap().len() == 1 => Ok(()),
            _ => Err(list.to_string()),
        }
    });

    let top = cluster.run(&["top", "pods"]);
    let mut lines = top.lines();
    assert_eq!(lines.next().unwrap().trim_end(), "NAME    CPU(cores)   MEMORY(bytes)");
    assert!(
        lines.next().unwrap().starts_with("busy ") && lines.next().unwrap().starts_with("forks "),
        "{top}"
    );
    let top = cluster.run(&["top", "pods", "--containers", "-A", "-l", "app=busy"]);
    assert!(
        top.contains("NAMESPACE") && top.contains("burn") && top.contains("idle") && !top.contains("forks"),
        "{top}"
    );
    let top = cluster.run(&["top", "nodes"]);
    assert!(top.starts_with("NAME") && top.contains("sre-harness") && top.contains('%'), "{top}");
    let (good, printed) = cluster.try_run(&["top", "pod", "nosuch"]);
    assert!(
        !good && printed.contains("Error from server (NotFound): pods \"nosuch\" not found"),
        "{printed}"
    );
    let table = cluster.run(&["get", "pods.metrics.k8s.io"]);
    assert!(table.starts_with("NAME") && table.contains("WINDOW"), "{table}");

    // What ended uses nothing.
    cluster.run(&["delete", "pod", "busy", "--now"]);
    cluster.until("forgotten", || {
        let (good, printed) = cluster.try_run(&["top", "pod", "busy"]);
        if good { Err(printed) } else { Ok(()) }
    });
}
