//! kubectl against the whole cluster. Skipped with a message where kubectl is not installed.
#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use program::{Program, text};

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: main
        image: busybox
        command: [sh, -c, 'echo started; exec sleep 1000']
        env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]
        ports: [{name: http, containerPort: 18080}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 18080, targetPort: http}]
";

struct Kubectl(Program);

impl Kubectl {
    /// None, with a message, where kubectl is missing.
    fn start() -> Option<Self> {
        if Command::new("kubectl").arg("version").arg("--client").output().is_err() {
            eprintln!("skipped: kubectl is not installed");
            return None;
        }
        Some(Self(Program::start()))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command("kubectl");
        command.args(arguments);
        command
    }

    /// Runs a command that must succeed; returns what it printed.
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "kubectl {}: {}", arguments.join(" "), text(&output));
        text(&output)
    }

    /// Runs a command that must fail.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(!output.status.success(), "kubectl {} succeeded: {}", arguments.join(" "), text(&output));
        text(&output)
    }

    /// Runs a command with a manifest on its standard input.
    fn feed(&self, arguments: &[&str], manifest: &str) -> (bool, String) {
        let mut command = self.command(arguments);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(manifest.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.success(), text(&output))
    }

    fn apply(&self, arguments: &[&str], manifest: &str) -> String {
        let mut all = vec!["apply", "-f", "-"];
        all.extend(arguments);
        let (good, printed) = self.feed(&all, manifest);
        assert!(good, "{printed}");
        printed
    }
}

#[test]
fn a_deployment_is_applied_scaled_rolled_out_undone_and_deleted() {
    let Some(kubectl) = Kubectl::start() else { return };
    assert!(kubectl.apply(&[], WEB).contains("deployment.apps/web created"));
    assert!(
        kubectl
            .run(&["rollout", "status", "deploy/web", "--timeout=60s"])
            .contains("successfully rolled out")
    );
    let unchanged = kubectl.apply(&[], WEB);
    assert!(
        unchanged.contains("deployment.apps/web unchanged") && unchanged.contains("service/web unchanged"),
        "{unchanged}"
    );

    let pods = kubectl.run(&["get", "pods", "-o", "wide"]);
    assert!(pods.starts_with("NAME") && pods.matches("1/1     Running").count() == 2, "{pods}");
    assert!(kubectl.run(&["get", "all"]).contains("deployment.apps/web   2/2     2            2"));
    let described = kubectl.run(&["describe", "deploy", "web"]);
    assert!(
        described.contains("2 desired | 2 updated | 2 total | 2 available | 0 unavailable"),
        "{described}"
    );
    assert!(described.contains("ScalingReplicaSet"), "{described}");

    kubectl.run(&["scale", "deploy/web", "--replicas=1"]);
    kubectl.run(&["wait", "deploy/web", "--for=jsonpath={.status.readyReplicas}=1", "--timeout=60s"]);
    kubectl.run(&["set", "env", "deploy/web", "X=1"]);
    kubectl.run(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let history = kubectl.run(&["rollout", "history", "deploy/web"]);
    assert!(history.contains("1         <none>") && history.contains("2         <none>"), "{history}");
    assert!(kubectl.run(&["rollout", "undo", "deploy/web"]).contains("rolled back"));
    kubectl.run(&["rollout", "status", "deploy/web", "--timeout=60s"]);
    let env = kubectl.run(&[
        "get",
        "deploy",
        "web",
        "-o",
        "jsonpath={.spec.template.spec.containers[0].env[*].name}",
    ]);
    assert_eq!(env, "POD_IP");

    assert!(kubectl.run(&["logs", "deploy/web"]).contains("started"));
    kubectl.run(&["delete", "deploy", "web", "--cascade=foreground", "--timeout=60s"]);
    kubectl.run(&["wait", "--for=delete", "pod", "-l", "app=web", "--timeout=60s"]);
    assert!(kubectl.run(&["get", "pods", "-A"]).contains("No resources found"));
}

#[test]
fn objects_are_created_from_files_and_from_arguments() {
    let Some(kubectl) = Kubectl::start() else { return };
    assert!(kubectl.run(&["create", "ns", "demo"]).contains("namespace/demo created"));
    for (arguments, expected) in [
        (&["create", "configmap", "c", "--from-literal=a=b"][..], "configmap/c created"),
        (&["create", "secret", "generic", "s", "--from-literal=a=b"], "secret/s created"),
        (
            &["create", "deployment", "d", "--image=busybox", "--", "sleep", "1000"],
            "deployment.apps/d created",
        ),
        (&["create", "service", "clusterip", "d", "--tcp=80:8080"], "service/d created"),
        (&["create", "serviceaccount", "sa"], "serviceaccount/sa created"),
        (
            &["run", "once", "--image=busybox", "--restart=Never", "--", "sh", "-c", "echo hi"],
            "pod/once created",
        ),
        (&["wait", "deploy/d", "--for=condition=Available", "--timeout=60s"], "condition met"),
        (&["wait", "pod/once", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s"], "condition met"),
        (&["logs", "once"], "hi"),
        (&["patch", "cm", "c", "-p", "{\"data\":{\"x\":\"y\"}}"], "configmap/c patched"),
        (&["label", "cm", "c", "k=v"], "configmap/c labeled"),
        (&["get", "cm", "-l", "k=v", "-o", "name"], "configmap/c"),
        (&["get", "cm", "c", "-o", "jsonpath={.data}"], "{\"a\":\"b\",\"x\":\"y\"}"),
        (&["expose", "deploy", "d", "--port=90", "--name=e"], "service/e exposed"),
        (&["delete", "pod", "once", "--now"], "pod \"once\" deleted"),
    ] {
        let mut all = vec!["-n", "demo"];
        all.extend(arguments);
        let printed = kubectl.run(&all);
        assert!(printed.contains(expected), "kubectl {}: {printed}", arguments.join(" "));
    }
    let (good, printed) = kubectl
        .feed(&["create", "-f", "-"], "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: f}\ndataa: {}\n");
    assert!(!good && printed.contains("unknown field \"dataa\""), "{printed}");
    let (good, printed) =
        kubectl.feed(&["apply", "-f", "-"], "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: s}\n");
    assert!(
        !good && printed.contains("StatefulSet"),
        "a kind that nothing implements is refused by name: {printed}"
    );
    assert!(kubectl.fails(&["get", "pod", "nosuch"]).contains("pods \"nosuch\" not found"));
    assert!(kubectl.run(&["delete", "ns", "demo", "--timeout=60s"]).contains("deleted"));
    assert!(!kubectl.run(&["get", "ns"]).contains("demo"));
}

#[test]
fn fields_without_effect_are_warned_about() {
    let Some(kubectl) = Kubectl::start() else { return };
    let manifest = WEB.replace("      containers:", "      hostNetwork: true\n      containers:");
    let printed = kubectl.apply(&[], &manifest);
    assert!(
        printed.contains("Warning: spec.template.spec.hostNetwork: not supported by this cluster"),
        "{printed}"
    );
}

#[test]
fn server_side_apply_names_the_conflict() {
    let Some(kubectl) = Kubectl::start() else { return };
    // kubectl takes over what it applied from the client's side before.
    kubectl.apply(&[], WEB);
    kubectl.apply(&["--server-side"], WEB);
    let smaller = WEB.replace("        ports: [{name: http, containerPort: 18080}]\n", "");
    assert_ne!(smaller, WEB);
    kubectl.apply(&["--server-side"], &smaller);
    let ports =
        kubectl.run(&["get", "deploy", "web", "-o", "jsonpath={.spec.template.spec.containers[0].ports}"]);
    assert_eq!(ports, "", "what is no longer applied is removed");
    kubectl.apply(&["--server-side"], WEB);
    kubectl.run(&["scale", "deploy/web", "--replicas=3"]);
    let (good, printed) = kubectl.feed(&["apply", "-f", "-", "--server-side", "--field-manager=other"], WEB);
    assert!(
        !good
            && printed.contains(
                "conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas"
            ),
        "{printed}"
    );
    kubectl.apply(&["--server-side", "--force-conflicts"], WEB);
}

#[test]
fn pods_are_watched_and_logs_followed() {
    let Some(kubectl) = Kubectl::start() else { return };
    let mut watch = kubectl.command(&["get", "pods", "--watch"]);
    let mut watch = watch.stdout(Stdio::piped()).spawn().unwrap();
    let mut seen = BufReader::new(watch.stdout.take().unwrap()).lines();
    kubectl.run(&[
        "run",
        "talk",
        "--image=busybox",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        "echo one; sleep 1; echo two",
    ]);
    assert!(seen.next().unwrap().unwrap().starts_with("NAME"));
    assert!(seen.any(|line| line.unwrap().contains("Running")), "the watch shows the pod running");
    assert_eq!(kubectl.run(&["logs", "-f", "talk"]), "one\ntwo\n");
    assert!(seen.any(|line| line.unwrap().contains("Completed")), "the watch shows the pod completed");
    watch.kill().unwrap();
    watch.wait().unwrap();
}
