//! The Node object: registration, conditions, and the Lease that says the kubelet is alive.

use std::{collections::BTreeMap, fs, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::{coordination::v1::Lease, core::v1::Node as NodeObject},
    apimachinery::pkg::api::resource::Quantity,
};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{Node, cgroup::Unavailable, status::whole_seconds};

/// The kubelet's default `nodeStatusUpdateFrequency` and lease renewal.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Pause before a failed registration is tried again.
const RETRY: Duration = Duration::from_millis(100);
/// The version whose behaviour this kubelet follows.
const VERSION: &str = "v1.36.2";
/// Pods that fit on the node; addresses are the real limit.
const MAX_PODS: &str = "500";

/// What the machine offers: cores and memory as they are, since nothing is reserved.
pub fn allocatable() -> BTreeMap<String, Quantity> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let memory = memory_kib().unwrap_or(1 << 20);
    BTreeMap::from([
        ("cpu".to_owned(), Quantity(cores.to_string())),
        ("memory".to_owned(), Quantity(format!("{memory}Ki"))),
        ("pods".to_owned(), Quantity(MAX_PODS.to_owned())),
    ])
}

fn memory_kib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
}

/// Registers the node and keeps its heartbeat, for ever.
pub async fn run(node: &Node) {
    while let Err(error) = register(node).await {
        tracing::warn!(%error, "the node could not be registered");
        tokio::time::sleep(RETRY).await;
    }
    let mut ticks = tokio::time::interval(HEARTBEAT);
    loop {
        ticks.tick().await;
        if let Err(error) = heartbeat(node).await {
            tracing::warn!(%error, "the node's heartbeat could not be written");
        }
    }
}

async fn register(node: &Node) -> kube::Result<()> {
    let api: Api<NodeObject> = Api::all(node.client.clone());
    let machine = std::env::consts::ARCH;
    let architecture = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let object = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": {
            "kubernetes.io/hostname": node.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "node-role.kubernetes.io/control-plane": "",
        }},
        "spec": {"podCIDR": node.addresses.pod_cidr(), "podCIDRs": [node.addresses.pod_cidr()]},
    });
    match api
        .create(&PostParams::default(), &serde_json::from_value(object).map_err(kube::Error::SerdeError)?)
        .await
    {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_already_exists() => {}
        Err(error) => return Err(error),
    }
    let file = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let os = file("/etc/os-release");
    let os =
        os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("Linux").trim_matches('"');
    let status = json!({"status": {
        "capacity": node.allocatable,
        "allocatable": node.allocatable,
        "addresses": [
            {"type": "InternalIP", "address": node.addresses.node_ip()},
            {"type": "Hostname", "address": node.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": node.metrics_port}},
        "nodeInfo": {
            "machineID": file("/etc/machine-id"),
            "systemUUID": "",
            "bootID": file("/proc/sys/kernel/random/boot_id"),
            "kernelVersion": file("/proc/sys/kernel/osrelease"),
            "osImage": os,
            "containerRuntimeVersion": concat!("process://", env!("CARGO_PKG_VERSION")),
            "kubeletVersion": VERSION,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": architecture,
        },
        "conditions": conditions(Timestamp::now(), None, node.cgroups.unavailable()),
    }});
    api.patch_status(&node.name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}

fn conditions(now: Timestamp, old: Option<&NodeObject>, unavailable: &Unavailable) -> serde_json::Value {
    let why: Vec<String> = [("cpu", &unavailable.cpu), ("memory", &unavailable.memory)]
        .into_iter()
        .filter_map(|(name, why)| Some(format!("limits on {name} are not enforced: {}", why.as_ref()?)))
        .collect();
    let why = why.join("; ");
    // Not one of Kubernetes' own: what a pod's limits are worth on this machine.
    let limits = if why.is_empty() {
        ("LimitsEnforced", "True", "ControlGroupsAvailable", "limits on cpu and memory are enforced")
    } else {
        ("LimitsEnforced", "False", "ControlGroupsUnavailable", why.as_str())
    };
    let rows = [
        limits,
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ];
    let old = old.and_then(|node| node.status.as_ref()?.conditions.as_deref()).unwrap_or_default();
    let now = whole_seconds(now);
    rows.into_iter()
        .map(|(type_, status, reason, message)| {
            let kept = old.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            let since =
                kept.and_then(|condition| condition.last_transition_time.clone()).unwrap_or(now.clone());
            json!({
                "type": type_,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
            })
        })
        .collect()
}

async fn heartbeat(node: &Node) -> kube::Result<()> {
    let leases: Api<Lease> = Api::namespaced(node.client.clone(), "kube-node-lease");
    let now = format!("{:.6}", Timestamp::now());
    let renewal =
        json!({"spec": {"holderIdentity": node.name, "leaseDurationSeconds": 40, "renewTime": now}});
    match leases.patch(&node.name, &PatchParams::default(), &Patch::Merge(&renewal)).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => {
            let mut lease = renewal;
            lease["metadata"] = json!({"name": node.name, "namespace": "kube-node-lease"});
            let lease: Lease = serde_json::from_value(lease).map_err(kube::Error::SerdeError)?;
            leases.create(&PostParams::default(), &lease).await?;
        }
        other => drop(other?),
    }
    let api: Api<NodeObject> = Api::all(node.client.clone());
    let Some(object) = api.get_opt(&node.name).await? else { return register(node).await };
    let status = json!({"status": {"conditions": conditions(Timestamp::now(), Some(&object), node.cgroups.unavailable())}});
    api.patch_status(&node.name, &PatchParams::default(), &Patch::Merge(status)).await.map(drop)
}
