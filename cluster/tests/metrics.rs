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

/// What burns gets at least this many billionths of a core, on a crowded machine too; what sleeps does not.
const BUSY: u64 = 40_000_000;
/// How often usage is sampled here.
const RESOLUTION: [&str; 2] = ["--metric-resolution", "500ms"];
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
        kubectl_is_there().then(|| Self(Program::start_with(&RESOLUTION)))
    }

    /// One that may not write control groups. None, with a message, where that cannot be had.
    fn start_unprivileged() -> Option<Self> {
        if !kubectl_is_there() {
            return None;
        }
        if !rustix::process::geteuid().is_root() {
            return Some(Self(Program::start_with(&RESOLUTION)));
        }
        let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        let probe =
            Command::new(nobody[0]).args(&nobody[1..]).arg(program::PROGRAM).arg("--version").output();
        if !probe.is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: the program cannot be run as another user (setpriv)");
            return None;
        }
        Some(Self(Program::start_as(&nobody, 65534, &RESOLUTION)))
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

fn kubectl_is_there() -> bool {
    let there = Command::new("kubectl").arg("version").arg("--client").output().is_ok();
    if !there {
        eprintln!("skipped: kubectl is not installed");
    }
    there
}

/// Value of a series whose line begins so, up to the end of its labels.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

const CADVISOR: &str = "/api/v1/nodes/sre-harness/proxy/metrics/cadvisor";
const STATE: &str = "/api/v1/namespaces/kube-system/services/kube-state-metrics:http/proxy/metrics";

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
    let busy = cluster.until("busy", || {
        let pod = cluster.try_run(&["get", "--raw", &format!("{pods}/busy")]);
        let value: Value = serde_json::from_str(&pod.1).map_err(|_| pod.1.clone())?;
        match pod.0 && nanocores(&container(&value, "burn")["usage"]) > BUSY {
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
    assert!(nanocores(&container(&busy, "idle")["usage"]) < BUSY / 2, "{busy}");
    assert!(container(&busy, "idle")["usage"]["memory"].as_str().unwrap().ends_with("Ki"));
    cluster.until("children counted", || {
        let list = cluster.get(&format!("{pods}?labelSelector=app%3Dforks"));
        match list["items"][0]["containers"].is_array()
            && nanocores(&container(&list["items"][0], "main")["usage"]) > BUSY
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

/// Names of the series that a text has about something, with their labels but without ids.
fn series_about(text: &str, about: &str) -> Vec<String> {
    let mut found: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with('#') && line.contains(about))
        .map(|line| {
            let (series, _) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap();
            let labels =
                labels.trim_end_matches('}').split("\",").map(|label| label.split('=').next().unwrap());
            format!("{name}{{{}}}", labels.collect::<Vec<_>>().join(","))
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

const LIMITED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: limited}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: busybox
    command: [sleep, "1000"]
    readinessProbe: {exec: {command: ["true"]}, periodSeconds: 1}
    resources: {requests: {cpu: 50m, memory: 16Mi}, limits: {cpu: 500m, memory: 64Mi}}
"#;

/// A counter of CPU time does not go back when processes end, and counts on.
fn assert_counts_on(cluster: &Cluster, pod: &str) {
    let used = || {
        let text = cluster.run(&["get", "--raw", CADVISOR]);
        let line = text.lines().find(|line| {
            line.starts_with("container_cpu_usage_seconds_total{") && line.contains(&format!("pod=\"{pod}\""))
        });
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
    };
    let first = cluster.until("in the counters", || used().ok_or("no series".to_owned()));
    let mut last = first;
    cluster.until("half a second of CPU time", || {
        let now = used().ok_or("the series is gone")?;
        assert!(now >= last, "the counter went back from {last} to {now}");
        last = now;
        if last > first + 0.5 { Ok(()) } else { Err(format!("{first} to {last}")) }
    });
}

#[test]
fn the_kubelet_and_the_state_of_objects_are_served_under_the_usual_names() {
    let Some(cluster) = Cluster::start() else { return };
    cluster.apply(PODS);
    cluster.apply(LIMITED);
    for pod in ["busy", "forks", "limited"] {
        cluster.run(&["wait", &format!("pod/{pod}"), "--for=condition=Ready", "--timeout=60s"]);
    }
    let text = cluster.run(&["get", "--raw", CADVISOR]);
    let series = series_about(&text, "pod=\"limited\"");
    let labels = "container,id,image,name,namespace,pod";
    for name in [
        "container_fs_reads_bytes_total",
        "container_fs_writes_bytes_total",
        "container_memory_rss",
        "container_memory_usage_bytes",
        "container_memory_working_set_bytes",
        "container_spec_cpu_period",
        "container_spec_cpu_quota",
        "container_spec_cpu_shares",
        "container_spec_memory_limit_bytes",
        "container_start_time_seconds",
    ] {
        assert!(series.contains(&format!("{name}{{{labels}}}")), "{name} in {series:?}");
    }
    let cpu = "container_cpu_usage_seconds_total{container,cpu,id,image,name,namespace,pod}";
    assert!(series.iter().any(|series| series == cpu), "{series:?}");
    let enforced = cluster.run(&[
        "get",
        "node",
        "sre-harness",
        "-o",
        "jsonpath={.status.conditions[?(@.type=='LimitsEnforced')].status}",
    ]);
    for name in ["container_cpu_cfs_throttled_periods_total", "container_oom_events_total"] {
        let there = series.contains(&format!("{name}{{{labels}}}"));
        assert_eq!(there, enforced == "True", "{name} in {series:?}, limits enforced: {enforced}");
    }
    assert!(series_about(&text, "boot_id").iter().any(|series| series.starts_with("machine_cpu_cores{")));
    assert!(value(&text, "container_cpu_usage_seconds_total{container=\"\",cpu=\"total\",id=\"/\",image=\"\",name=\"\",namespace=\"\",pod=\"\"}").is_some());
    assert_counts_on(&cluster, "forks");

    let resource = cluster.run(&["get", "--raw", "/api/v1/nodes/sre-harness/proxy/metrics/resource"]);
    let about = series_about(&resource, "pod=\"limited\"");
    assert!(
        about.contains(&"container_cpu_usage_seconds_total{container,namespace,pod}".to_owned()),
        "{about:?}"
    );
    assert!(about.contains(&"pod_memory_working_set_bytes{namespace,pod}".to_owned()), "{about:?}");

    let probes = cluster.run(&["get", "--raw", "/api/v1/nodes/sre-harness/proxy/metrics/probes"]);
    let about = series_about(&probes, "pod=\"limited\"");
    assert_eq!(about, ["prober_probe_total{container,namespace,pod,pod_uid,probe_type,result}"]);
    assert!(probes.contains("probe_type=\"Readiness\",result=\"successful\"} "), "{probes}");

    cluster.until("all objects", || {
        let (good, text) = cluster.try_run(&["get", "--raw", STATE]);
        let limit = "kube_pod_container_resource_limits{namespace=\"default\",pod=\"limited\",uid=";
        let ready = text.lines().any(|line| {
            line.starts_with("kube_pod_status_ready{namespace=\"default\",pod=\"limited\",")
                && line.ends_with("condition=\"true\"} 1")
        });
        if good && ready && text.contains(limit) && text.contains("kube_node_info{node=\"sre-harness\",") {
            return Ok(());
        }
        Err(text)
    });
    cluster.run(&["delete", "pod", "limited", "--now"]);
    cluster.until("no series of what is gone", || {
        let text = cluster.run(&["get", "--raw", STATE]) + &cluster.run(&["get", "--raw", CADVISOR]);
        if text.contains("pod=\"limited\"") { Err(text) } else { Ok(()) }
    });
}

#[test]
fn without_control_groups_usage_is_read_from_processes_and_limits_are_named() {
    let Some(cluster) = Cluster::start_unprivileged() else { return };
    let condition = cluster.until("a node with the condition", || {
        let path = "jsonpath={.items[0].status.conditions[?(@.type=='LimitsEnforced')]['status','message']}";
        let text = cluster.run(&["get", "nodes", "-o", path]);
        if text.is_empty() { Err(text) } else { Ok(text) }
    });
    if condition.starts_with("True") {
        eprintln!("skipped: this user may write control groups");
        return;
    }
    assert!(condition.contains("limits on cpu are not enforced"), "{condition}");
    cluster.apply(PODS);
    cluster.apply(LIMITED);
    for pod in ["busy", "forks", "limited"] {
        cluster.run(&["wait", &format!("pod/{pod}"), "--for=condition=Ready", "--timeout=60s"]);
    }
    cluster.until("a warning", || {
        let events = cluster.run(&["get", "events"]);
        let told = events.contains("LimitsNotEnforced")
            && events.contains("resources.limits.memory of containers main");
        if told { Ok(()) } else { Err(events) }
    });
    assert_counts_on(&cluster, "forks");
    let pods = "/apis/metrics.k8s.io/v1beta1/namespaces/default/pods";
    cluster.until("busy in the metrics API", || {
        let list = cluster.get(pods);
        let busy = list["items"].as_array().unwrap().iter().find(|pod| pod["metadata"]["name"] == "busy");
        let used = busy.map_or(0, |busy| nanocores(&container(busy, "burn")["usage"]));
        if used > BUSY { Ok(()) } else { Err(list.to_string()) }
    });
}
