//! Environment, volumes, users, ports.

use std::{fs, os::unix::fs::MetadataExt};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::json;

use super::support::{TestNode, assert_golden};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_config_map_holds_the_container_until_it_is_there() {
    let node = TestNode::start().await;
    let env = node
        .create(
            "env",
            json!({"terminationGracePeriodSeconds": 1, "containers": [{
                "name": "main", "image": "busybox", "command": ["sh", "-c", "echo A=$A; sleep 100"],
                "envFrom": [{"configMapRef": {"name": "absent"}}],
            }]}),
        )
        .await;
    node.until("env", "waiting:CreateContainerConfigError").await;
    node.event("env", "Failed", "Error: configmap \"absent\" not found").await;
    node.config_map("absent", json!({"A": "1"})).await;
    node.until("env", "ready=True").await;
    assert_golden("missing-config-map", &node.states("env"));
    node.log(&env, "main", 0, "A=1").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_program_counts_as_a_crash() {
    let node = TestNode::start().await;
    node.create(
        "nocmd",
        json!({"containers": [{"name": "main", "image": "busybox", "command": ["/bin/absent"]}]}),
    )
    .await;
    node.until("nocmd", "waiting:CrashLoopBackOff last=terminated:StartError(128) ready=False rc=2").await;
    assert_golden("missing-program", &node.states("nocmd"));
    node.event("nocmd", "Failed", "exec: \"/bin/absent\": stat /bin/absent: no such file or directory").await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_container_sees_its_configuration_and_updates_of_it() {
    let node = TestNode::start().await;
    node.config_map("cm", json!({"app.conf": "dir=/data url=http://db.shop.svc:1\n", "port": "8080"})).await;
    let pod = node
        .create("p", json!({
            "containers": [{
                "name": "main", "image": "busybox",
                "command": ["sh", "-c"],
                "args": ["pwd; cat /etc/app/app.conf; echo $(URL) '$$(URL)' $DIR $KUBELET_PORT; touch /data/here; \
                    until grep -q changed /etc/app/app.conf; do sleep 0.1; done; echo updated; sleep 100"],
                "workingDir": "/data",
                "env": [
                    {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                    {"name": "KUBELET_PORT", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "port"}}},
                    {"name": "URL", "value": "http://$(POD_IP):$(KUBELET_PORT)"},
                    {"name": "DIR", "value": "/data/sub"},
                ],
                "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "cm"}}, {"name": "data", "persistentVolumeClaim": {"claimName": "c"}}],
        }))
        .await;
    // The claim comes later than the pod.
    node.event("p", "FailedMount", "persistentvolumeclaim \"c\" not found").await;
    let claim = json!({"metadata": {"name": "c"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
    }});
    let claims: Api<k8s_openapi::api::core::v1::PersistentVolumeClaim> =
        Api::default_namespaced(node.client.clone());
    claims.create(&Default::default(), &serde_json::from_value(claim).unwrap()).await.unwrap();
    node.until("p", "ready=True").await;
    let log = node.log(&pod, "main", 0, "$(URL)").await;
    let claim = claims.get("c").await.unwrap();
    assert_eq!(claim.status.unwrap().phase.unwrap(), "Bound");
    let data = node.directory.path().join("volumes").join(claim.spec.unwrap().volume_name.unwrap());
    let ip = node.pods().get("p").await.unwrap().status.unwrap().pod_ip.unwrap();
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines[0], data.to_str().unwrap());
    assert!(lines[1].starts_with(&format!("dir={} url=http://127.", data.display())), "{log}");
    assert_eq!(lines[2], format!("http://{ip}:8080 $(URL) {}/sub 8080", data.display()));

    let maps: Api<ConfigMap> = Api::default_namespaced(node.client.clone());
    let patch = json!({"data": {"app.conf": "changed"}});
    maps.patch("cm", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    node.log(&pod, "main", 0, "updated").await;
    node.delete("p").await;
    node.until("p", "DELETED").await;
    assert!(data.join("here").exists(), "a claim outlives its pods");
    assert!(!node.directory.path().join("pods").join(pod.metadata.uid.unwrap()).exists());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_become_or_warned_about() {
    let node = TestNode::start().await;
    node.config_map("cm", json!({"file": "text"})).await;
    let pod = node
        .create("p", json!({
            "securityContext": {"runAsUser": 65534, "runAsGroup": 65534, "fsGroup": 65534},
            "containers": [{
                "name": "main", "image": "busybox",
                "command": ["sh", "-c", "echo uid=$(id -u) $(cat /etc/app/file); touch /data/mine; sleep 100"],
                "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}, {"name": "data", "mountPath": "/data"}],
            }],
            "volumes": [{"name": "config", "configMap": {"name": "cm", "defaultMode": 0o400}}, {"name": "data", "emptyDir": {}}],
        }))
        .await;
    node.until("p", "ready=True").await;
    let log = node.log(&pod, "main", 0, "uid=").await;
    let file =
        node.directory.path().join("pods").join(pod.metadata.uid.as_ref().unwrap()).join("volumes/data");
    let own = fs::metadata("/proc/self").unwrap().uid();
    if own == 0 {
        assert_eq!(log, "uid=65534 text");
        assert_eq!(fs::metadata(file).unwrap().uid(), 65534);
    } else {
        assert_eq!(log, format!("uid={own} text"));
        node.event("p", "UnsupportedField", "securityContext.runAsUser 65534 of container main is ignored")
            .await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_held_by_a_wildcard_listener_is_explained() {
    let node = TestNode::start().await;
    let listener = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    node.create("p", json!({"restartPolicy": "Never", "containers": [{
        "name": "main", "image": "busybox", "command": ["sh", "-c", "exit 1"], "ports": [{"containerPort": port}],
    }]}))
    .await;
    let text = format!("port {port} is held by a listener on 0.0.0.0 of process {}", std::process::id());
    node.event("p", "PortInUse", &text).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unschedulable_pod_says_why_and_is_bound_when_the_node_fits() {
    let node = TestNode::start().await;
    node.create(
        "p",
        json!({
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "100"]}],
        }),
    )
    .await;
    node.until("p", "PodScheduled-(Unschedulable)").await;
    node.event(
        "p",
        "FailedScheduling",
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    )
    .await;
    let nodes: Api<k8s_openapi::api::core::v1::Node> = Api::all(node.client.clone());
    let patch = json!({"metadata": {"labels": {"disk": "ssd"}}});
    nodes.patch("node-1", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    node.until("p", "ready=True").await;
    node.stop().await;
}
