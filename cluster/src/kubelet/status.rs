//! Pod status from what is known about the containers: phase, conditions, container statuses. Pure.
//!
//! The rules are those of the kubelet's `getPhase` and `status.Generate*Condition`.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP, Pod,
        PodCondition, PodIP, PodStatus, ResourceRequirements, VolumeMountStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};

/// What kind of container it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContainerKind {
    /// Runs once, before the others.
    Init,
    /// An init container with `restartPolicy: Always`.
    Sidecar,
    /// An ordinary one.
    Main,
}

/// State of one container as the status shows it.
#[derive(Clone, Debug)]
pub struct ContainerView {
    /// Its name.
    pub name: String,
    /// Its image as written in the pod.
    pub image: String,
    /// The image it was started from; empty before.
    pub image_id: String,
    /// The container's id, once there is one.
    pub container_id: Option<String>,
    /// What kind of container it is.
    pub kind: ContainerKind,
    /// Present state.
    pub state: ContainerState,
    /// End of the previous attempt.
    pub last: Option<ContainerStateTerminated>,
    /// Attempts beyond the first.
    pub restart_count: i32,
    /// Passed its readiness probe, or has none.
    pub ready: bool,
    /// Passed its startup probe, or has none, and runs.
    pub started: bool,
}

impl ContainerView {
    /// A container that has not been touched.
    pub fn waiting(container: &Container, kind: ContainerKind, reason: &str) -> Self {
        Self {
            name: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            image_id: String::new(),
            container_id: None,
            kind,
            state: waiting(reason, None),
            last: None,
            restart_count: 0,
            ready: false,
            started: false,
        }
    }

    fn exit_code(&self) -> Option<i32> {
        self.state.terminated.as_ref().map(|state| state.exit_code)
    }

    /// An init container that is done, or a sidecar that lets the next one begin.
    pub fn initialized(&self) -> bool {
        match self.kind {
            ContainerKind::Init => self.exit_code() == Some(0),
            ContainerKind::Sidecar => self.started,
            ContainerKind::Main => true,
        }
    }
}

/// A waiting state.
pub fn waiting(reason: &str, message: Option<String>) -> ContainerState {
    ContainerState {
        waiting: Some(ContainerStateWaiting { reason: Some(reason.to_owned()), message }),
        ..ContainerState::default()
    }
}

/// A terminated state as container state.
pub fn terminated(state: ContainerStateTerminated) -> ContainerState {
    ContainerState { terminated: Some(state), ..ContainerState::default() }
}

/// All that a status is computed from.
#[derive(Debug)]
pub struct PodView<'a> {
    /// The pod as last seen; its status gives the conditions of others and the times of transitions.
    pub pod: &'a Pod,
    /// Init containers and sidecars in order.
    pub inits: Vec<&'a ContainerView>,
    /// Ordinary containers in order.
    pub mains: Vec<&'a ContainerView>,
    /// Volumes and address are there.
    pub sandbox_ready: bool,
    /// The pod's address, once shown.
    pub pod_ip: Option<Ipv4Addr>,
    /// The node's address.
    pub host_ip: Ipv4Addr,
    /// When the kubelet saw the pod first.
    pub start_time: Timestamp,
    /// Nothing runs and nothing will be restarted.
    pub finished: bool,
    /// `reason` and `message` of a pod that the kubelet ended by itself.
    pub verdict: Option<(&'static str, String)>,
}

/// A pod's phase.
fn phase(view: &PodView<'_>) -> &'static str {
    let failed_init =
        view.inits.iter().any(|c| c.kind == ContainerKind::Init && c.exit_code().is_some_and(|code| code != 0));
    if view.finished {
        let failed = view.verdict.is_some()
            || failed_init
            || view.mains.iter().any(|container| container.exit_code() != Some(0));
        return if failed { "Failed" } else { "Succeeded" };
    }
    if view.inits.iter().any(|container| !container.initialized() && container.last.is_none()) {
        // A sidecar that is restarted later does not bring the pod back to Pending.
        let begun = view.mains.iter().any(|c| c.state.running.is_some() || c.state.terminated.is_some());
        if !begun {
            return "Pending";
        }
    }
    // A container that waits for its next attempt has run before.
    let waiting = view.mains.iter().any(|container| container.state.waiting.is_some() && container.last.is_none());
    if waiting { "Pending" } else { "Running" }
}

/// The pod's restart policy.
pub fn restart_policy(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or("Always")
}

/// The phase the containers amount to, ahead of the phase that is shown while the pod is still being taken down.
fn coming_phase(view: &PodView<'_>) -> Option<&'static str> {
    if view.finished {
        return Some(phase(view));
    }
    let policy = restart_policy(view.pod);
    if policy == "Never"
        && view.inits.iter().any(|c| c.kind == ContainerKind::Init && c.exit_code().is_some_and(|code| code != 0))
    {
        return Some("Failed");
    }
    // A sidecar still runs: the pod is not over.
    if view.inits.iter().any(|container| container.state.running.is_some()) {
        return None;
    }
    let codes: Option<Vec<i32>> = view.mains.iter().map(|container| container.exit_code()).collect();
    let codes = codes?;
    match policy {
        "Always" => None,
        _ if codes.iter().all(|code| *code == 0) => Some("Succeeded"),
        "Never" => Some("Failed"),
        _ => None,
    }
}

/// Computes the status. Conditions of other components and unchanged transition times are taken from the pod's last status.
pub fn compute(view: &PodView<'_>, previous: Option<&PodStatus>, now: Timestamp) -> PodStatus {
    let generation = view.pod.metadata.generation;
    let coming = coming_phase(view);
    let conditions = conditions(view, coming);
    let old = previous.and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let mut all: Vec<PodCondition> = conditions
        .into_iter()
        .map(|(type_, status, reason, message)| {
            let status = if status { "True" } else { "False" };
            let kept = old.iter().find(|condition| condition.type_ == type_ && condition.status == status);
            PodCondition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.map(str::to_owned),
                message,
                observed_generation: generation,
                last_probe_time: None,
                last_transition_time: kept
                    .and_then(|condition| condition.last_transition_time.clone())
                    .or_else(|| Some(whole_seconds(now))),
            }
        })
        .collect();
    let foreign: Vec<PodCondition> =
        old.iter().filter(|condition| !all.iter().any(|own| own.type_ == condition.type_)).cloned().collect();
    all.extend(foreign);
    let pod_ip = view.pod_ip.map(|ip| ip.to_string());
    let inits: Vec<ContainerStatus> =
        view.inits.iter().map(|container| container_status(view.pod, container)).collect();
    PodStatus {
        observed_generation: generation,
        phase: Some(phase(view).to_owned()),
        conditions: Some(all),
        reason: view.verdict.as_ref().map(|(reason, _)| (*reason).to_owned()),
        message: view.verdict.as_ref().map(|(_, message)| message.clone()),
        host_ip: Some(view.host_ip.to_string()),
        host_ips: Some(vec![HostIP { ip: view.host_ip.to_string() }]),
        pod_ips: pod_ip.as_ref().map(|ip| vec![PodIP { ip: ip.clone() }]),
        pod_ip,
        start_time: Some(whole_seconds(view.start_time)),
        init_container_statuses: (!inits.is_empty()).then_some(inits),
        container_statuses: Some(
            view.mains.iter().map(|container| container_status(view.pod, container)).collect(),
        ),
        qos_class: Some(qos_class(view.pod).to_owned()),
        ..PodStatus::default()
    }
}

type Condition = (&'static str, bool, Option<&'static str>, Option<String>);

fn conditions(view: &PodView<'_>, coming: Option<&str>) -> [Condition; 5] {
    let incomplete = names(view.inits.iter().filter(|container| !container.initialized()));
    let initialized: Condition = match (&incomplete, coming) {
        (_, Some("Succeeded")) => ("Initialized", true, Some("PodCompleted"), None),
        (None, _) => ("Initialized", true, None, None),
        (Some(names), _) => (
            "Initialized",
            false,
            Some("ContainersNotInitialized"),
            Some(format!("containers with incomplete status: {names}")),
        ),
    };
    let sidecars = view.inits.iter().filter(|container| container.kind == ContainerKind::Sidecar);
    let unready = names(sidecars.chain(&view.mains).filter(|container| !container.ready));
    let containers_ready: Condition = match (coming, unready) {
        (Some("Succeeded"), _) => ("ContainersReady", false, Some("PodCompleted"), None),
        (Some(_), _) => ("ContainersReady", false, Some("PodFailed"), None),
        (None, None) => ("ContainersReady", true, None, None),
        (None, Some(names)) => (
            "ContainersReady",
            false,
            Some("ContainersNotReady"),
            Some(format!("containers with unready status: {names}")),
        ),
    };
    let mut ready = containers_ready.clone();
    ready.0 = "Ready";
    if ready.1
        && let Some(message) = unready_gates(view.pod)
    {
        ready = ("Ready", false, Some("ReadinessGatesNotReady"), Some(message));
    }
    [
        ("PodReadyToStartContainers", view.sandbox_ready, None, None),
        initialized,
        ready,
        containers_ready,
        ("PodScheduled", true, None, None),
    ]
}

/// `[a b]`, as Go prints a list; `None` if it is empty.
fn names<'a>(containers: impl Iterator<Item = &'a &'a ContainerView>) -> Option<String> {
    let names: Vec<&str> = containers.map(|container| container.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("[{}]", names.join(" ")))
}

fn unready_gates(pod: &Pod) -> Option<String> {
    let gates = pod.spec.as_ref()?.readiness_gates.as_ref()?;
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let messages: Vec<String> = gates
        .iter()
        .filter_map(|gate| match conditions.iter().find(|condition| condition.type_ == gate.condition_type) {
            Some(condition) if condition.status == "True" => None,
            Some(condition) => Some(format!(
                "the status of pod readiness gate \"{}\" is not \"True\", but {}",
                gate.condition_type, condition.status
            )),
            None => Some(format!(
                "corresponding condition of pod readiness gate \"{}\" does not exist.",
                gate.condition_type
            )),
        })
        .collect();
    (!messages.is_empty()).then(|| messages.join(", "))
}

fn container_status(pod: &Pod, view: &ContainerView) -> ContainerStatus {
    let last_state = view.last.clone().map(terminated).unwrap_or_default();
    let spec = pod.spec.as_ref();
    let container = spec.and_then(|spec| {
        spec.init_containers.iter().flatten().chain(&spec.containers).find(|container| container.name == view.name)
    });
    let mounts: Vec<VolumeMountStatus> = container
        .iter()
        .flat_map(|container| container.volume_mounts.iter().flatten())
        .map(|mount| VolumeMountStatus {
            name: mount.name.clone(),
            mount_path: mount.mount_path.clone(),
            read_only: mount.read_only,
            recursive_read_only: (mount.read_only == Some(true)).then(|| "Disabled".to_owned()),
            ..VolumeMountStatus::default()
        })
        .collect();
    ContainerStatus {
        name: view.name.clone(),
        state: Some(view.state.clone()),
        last_state: Some(last_state),
        ready: view.ready,
        restart_count: view.restart_count,
        image: view.image.clone(),
        image_id: view.image_id.clone(),
        container_id: view.container_id.clone(),
        started: Some(view.started),
        resources: view.container_id.as_ref().and(container).map(|container| {
            container.resources.clone().unwrap_or_else(ResourceRequirements::default)
        }),
        volume_mounts: (!mounts.is_empty()).then_some(mounts),
        ..ContainerStatus::default()
    }
}

/// Quality of service class from requests and limits.
pub fn qos_class(pod: &Pod) -> &'static str {
    let Some(spec) = &pod.spec else { return "BestEffort" };
    let containers: Vec<&Container> = spec.init_containers.iter().flatten().chain(&spec.containers).collect();
    let amount = |container: &Container, limits: bool, name: &str| {
        let resources = container.resources.as_ref()?;
        let list = if limits { resources.limits.as_ref() } else { resources.requests.as_ref() };
        list?.get(name).and_then(super::quantity::milli).filter(|milli| *milli > 0)
    };
    let any = containers.iter().any(|container| {
        ["cpu", "memory"].iter().any(|n| amount(container, true, n).or(amount(container, false, n)).is_some())
    });
    if !any {
        return "BestEffort";
    }
    let guaranteed = containers.iter().all(|container| {
        ["cpu", "memory"].iter().all(|name| {
            let limit = amount(container, true, name);
            limit.is_some() && amount(container, false, name).is_none_or(|request| Some(request) == limit)
        })
    });
    if guaranteed { "Guaranteed" } else { "Burstable" }
}

/// Kubernetes' `Time` has whole seconds.
pub fn whole_seconds(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
