//! kubectl, real processes and real measurements: autoscale, top, disruption budgets, drain. Skipped with a message where
//! kubectl is not installed.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::{
    io::Write,
    process::{Command, Stdio},
};

use program::{Program, text};

/// A pod that uses more than the 10 m it requests, and less than a tenth of a CPU.
const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: busybox
        command: [sh, -c, 'while :; do j=0; while [ $j -lt 2000 ]; do j=$((j+1)); done; sleep 0.05; done']
        resources: {requests: {cpu: 10m}}
";

struct Kubectl(Program);

impl Kubectl {
    fn start(arguments: &[&str]) -> Option<Self> {
        if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
            eprintln!("skipped: kubectl is not installed");
            return None;
        }
        Some(Self(Program::start_with(arguments)))
    }

    fn output(&self, line: &str) -> (bool, String) {
        let output = self.0.command("kubectl").args(line.split(' ')).output().unwrap();
        (output.status.success(), text(&output))
    }

    /// Runs a command that must succeed; returns what it printed.
    fn run(&self, line: &str) -> String {
        let (good, printed) = self.output(line);
        assert!(good, "kubectl {line}: {printed}");
        printed
    }

    fn apply(&self, manifest: &str) {
        let mut command = self.0.command("kubectl");
        let mut child =
            command.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_deployment_is_autoscaled_by_what_its_processes_use() {
    let Some(kubectl) = Kubectl::start(&[
        "--horizontal-pod-autoscaler-sync-period=1s",
        "--horizontal-pod-autoscaler-downscale-stabilization=2s",
        "--metric-resolution=1",
    ]) else {
        return;
    };
    kubectl.apply(WEB);
    kubectl.run("rollout status deploy/web --timeout=60s");
    let printed = kubectl.run("autoscale deploy web --min=1 --max=3 --cpu-percent=80");
    assert!(printed.contains("horizontalpodautoscaler.autoscaling/web autoscaled"), "{printed}");
    kubectl.run("wait deploy/web --for=jsonpath={.spec.replicas}=3 --timeout=90s");
    kubectl.run("wait hpa/web --for=condition=ScalingActive --timeout=60s");
    let table = kubectl.run("get hpa");
    let mut lines = table.lines();
    let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(words, ["NAME", "REFERENCE", "TARGETS", "MINPODS", "MAXPODS", "REPLICAS", "AGE"]);
    let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!((words[0], words[1], words[2]), ("web", "Deployment/web", "cpu:"), "{table}");
    assert!(words[3].ends_with("%/80%") && (words[4], words[5]) == ("1", "3"), "{table}");
    let described = kubectl.run("describe hpa web");
    for expected in [
        "resource cpu on pods  (as a percentage of request):",
        "ValidMetricFound",
        "the desired replica count is more than the maximum replica count",
        "New size: 3; reason: cpu resource utilization (percentage of request) above target",
    ] {
        assert!(described.contains(expected), "{expected}: {described}");
    }
    let first = kubectl.run(
        "get horizontalpodautoscalers.v1.autoscaling web -o jsonpath={.spec.targetCPUUtilizationPercentage}",
    );
    assert_eq!(first, "80");

    // A target far above the use: back to the minimum.
    let target = "[{\"op\":\"replace\",\"path\":\"/spec/metrics/0/resource/target/averageUtilization\",\"value\":100000}]";
    let patched = self::patch(&kubectl, target);
    assert!(patched.contains("patched"), "{patched}");
    kubectl.run("wait deploy/web --for=jsonpath={.spec.replicas}=1 --timeout=60s");
    let events = kubectl.run("get events --field-selector involvedObject.kind=HorizontalPodAutoscaler");
    assert!(events.contains("New size: 1; reason: All metrics below target"), "{events}");
}

fn patch(kubectl: &Kubectl, patch: &str) -> String {
    let output =
        kubectl.0.command("kubectl").args(["patch", "hpa", "web", "--type=json", "-p", patch]).output();
    text(&output.unwrap())
}

#[test]
fn a_node_is_drained_as_far_as_the_budget_allows() {
    let Some(kubectl) = Kubectl::start(&[]) else { return };
    kubectl.apply(&WEB.replace("selector:", "replicas: 2\n  selector:"));
    kubectl.run("rollout status deploy/web --timeout=60s");
    let printed = kubectl.run("create pdb web --selector=app=web --min-available=2");
    assert!(printed.contains("poddisruptionbudget.policy/web created"), "{printed}");
    kubectl.run("wait pdb/web --for=jsonpath={.status.currentHealthy}=2 --timeout=60s");
    let table = kubectl.run("get pdb");
    let words: Vec<&str> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[..4], ["web", "2", "N/A", "0"], "{table}");
    let node = kubectl.run("get nodes -o jsonpath={.items[0].metadata.name}");
    let (good, printed) = kubectl.output(&format!("drain {node} --pod-selector=app=web --timeout=2s"));
    assert!(!good, "{printed}");
    assert!(
        printed.contains("Cannot evict pod as it would violate the pod's disruption budget."),
        "{printed}"
    );
    let described = kubectl.run("describe pdb web");
    assert!(described.contains("Allowed disruptions:  0"), "{described}");
    kubectl.run("delete pdb web");
    let printed = kubectl.run(&format!("drain {node} --pod-selector=app=web --timeout=60s"));
    assert_eq!(printed.matches(" evicted").count(), 2, "{printed}");
    kubectl.run(&format!("uncordon {node}"));
    kubectl.run("rollout status deploy/web --timeout=60s");
}
