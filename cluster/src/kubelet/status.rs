//! Pod status from what is known about the containers: phase, conditions, container statuses. Pure.
//!
//! The rules are those of the kubelet's `getPhase` and `status.Generate*Condition`.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, HostIP,
        Pod, PodCondition, PodIP, PodStatus, ResourceRequirements, VolumeMountStatus,
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
    let failed_init = view
        .inits
        .iter()
        .any(|c| c.kind == ContainerKind::Init && c.exit_code().is_some_and(|code| code != 0));
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
    let waiting =
        view.mains.iter().any(|container| container.state.waiting.is_some() && container.last.is_none());
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
        && view
            .inits
            .iter()
            .any(|c| c.kind == ContainerKind::Init && c.exit_code().is_some_and(|code| code != 0))
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
        spec.init_containers
            .iter()
            .flatten()
            .chain(&spec.containers)
            .find(|container| container.name == view.name)
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
        resources: view
            .container_id
            .as_ref()
            .and(container)
            .map(|container| container.resources.clone().unwrap_or_else(ResourceRequirements::default)),
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

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::ContainerStateRunning;
    use serde_json::json;

    use super::*;

    fn pod(policy: &str) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "n", "generation": 1},
            "spec": {"restartPolicy": policy, "containers": [{"name": "a"}, {"name": "b"}]},
        }))
        .unwrap()
    }

    fn container(name: &str, kind: ContainerKind, state: &str) -> ContainerView {
        let spec = Container { name: name.to_owned(), ..Container::default() };
        let mut view = ContainerView::waiting(&spec, kind, "ContainerCreating");
        let end = |code: &str| ContainerStateTerminated {
            exit_code: code.parse().unwrap(),
            ..ContainerStateTerminated::default()
        };
        match state.split_once(':') {
            None if state == "waiting" => {}
            None => {
                view.state =
                    ContainerState { running: Some(ContainerStateRunning::default()), ..Default::default() };
                view.started = true;
                view.ready = kind != ContainerKind::Init;
            }
            Some(("ended", code)) => view.state = terminated(end(code)),
            Some((_, code)) => view.last = Some(end(code)),
        }
        view
    }

    struct Case<'a> {
        policy: &'a str,
        inits: &'a [(ContainerKind, &'a str)],
        mains: [&'a str; 2],
        finished: bool,
    }

    fn status_of(case: &Case<'_>) -> PodStatus {
        let pod = pod(case.policy);
        let inits: Vec<ContainerView> =
            case.inits.iter().map(|(kind, state)| container("i", *kind, state)).collect();
        let mains = [
            container("a", ContainerKind::Main, case.mains[0]),
            container("b", ContainerKind::Main, case.mains[1]),
        ];
        let view = PodView {
            pod: &pod,
            inits: inits.iter().collect(),
            mains: mains.iter().collect(),
            sandbox_ready: !case.finished,
            pod_ip: None,
            host_ip: Ipv4Addr::LOCALHOST,
            start_time: Timestamp::UNIX_EPOCH,
            finished: case.finished,
            verdict: None,
        };
        compute(&view, None, Timestamp::UNIX_EPOCH)
    }

    fn condition(status: &PodStatus, name: &str) -> String {
        let all = status.conditions.as_ref().unwrap();
        let found = all.iter().find(|condition| condition.type_ == name).unwrap();
        format!("{} {}", found.status, found.reason.clone().unwrap_or_default()).trim_end().to_owned()
    }

    #[test]
    fn phase_and_readiness_follow_the_containers() {
        use ContainerKind::{Init, Sidecar};
        // Policy, init containers, containers, finished; phase, Initialized, Ready.
        type Row<'a> =
            (&'a str, &'a [(ContainerKind, &'a str)], [&'a str; 2], bool, &'a str, &'a str, &'a str);
        let rows: [Row<'_>; 14] = [
            ("Always", &[], ["waiting", "waiting"], false, "Pending", "True", "False ContainersNotReady"),
            ("Always", &[], ["running", "waiting"], false, "Pending", "True", "False ContainersNotReady"),
            ("Always", &[], ["running", "running"], false, "Running", "True", "True"),
            ("Always", &[], ["running", "ended:1"], false, "Running", "True", "False ContainersNotReady"),
            ("Always", &[], ["running", "crashed:1"], false, "Running", "True", "False ContainersNotReady"),
            ("Always", &[], ["ended:0", "ended:0"], false, "Running", "True", "False ContainersNotReady"),
            ("OnFailure", &[], ["ended:0", "ended:1"], false, "Running", "True", "False ContainersNotReady"),
            (
                "OnFailure",
                &[],
                ["ended:0", "ended:0"],
                true,
                "Succeeded",
                "True PodCompleted",
                "False PodCompleted",
            ),
            ("Never", &[], ["ended:0", "ended:3"], true, "Failed", "True", "False PodFailed"),
            ("Never", &[], ["ended:0", "running"], false, "Running", "True", "False ContainersNotReady"),
            (
                "Always",
                &[(Init, "running")],
                ["waiting", "waiting"],
                false,
                "Pending",
                "False ContainersNotInitialized",
                "False ContainersNotReady",
            ),
            (
                "Never",
                &[(Init, "ended:4")],
                ["waiting", "waiting"],
                true,
                "Failed",
                "False ContainersNotInitialized",
                "False PodFailed",
            ),
            (
                "Never",
                &[(Sidecar, "running")],
                ["ended:0", "ended:0"],
                false,
                "Running",
                "True",
                "False ContainersNotReady",
            ),
            ("Always", &[(Sidecar, "running")], ["running", "running"], false, "Running", "True", "True"),
        ];
        for (policy, inits, mains, finished, phase, initialized, ready) in rows {
            let status = status_of(&Case { policy, inits, mains, finished });
            let got = (
                status.phase.as_deref().unwrap(),
                condition(&status, "Initialized"),
                condition(&status, "Ready"),
            );
            assert_eq!(
                got,
                (phase, initialized.to_owned(), ready.to_owned()),
                "{policy} {inits:?} {mains:?}"
            );
        }
    }

    #[test]
    fn transition_times_change_with_the_status_and_foreign_conditions_stay() {
        let pod = pod("Always");
        let mains = [container("a", ContainerKind::Main, "running")];
        let view = PodView {
            pod: &pod,
            inits: Vec::new(),
            mains: mains.iter().collect(),
            sandbox_ready: true,
            pod_ip: Some(Ipv4Addr::LOCALHOST),
            host_ip: Ipv4Addr::LOCALHOST,
            start_time: Timestamp::UNIX_EPOCH,
            finished: false,
            verdict: None,
        };
        let previous: PodStatus = serde_json::from_value(json!({"conditions": [
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            {"type": "DisruptionTarget", "status": "True"},
        ]}))
        .unwrap();
        let now = "2026-01-02T00:00:00.5Z".parse().unwrap();
        let status = compute(&view, Some(&previous), now);
        let rows: Vec<(String, Option<String>)> = status
            .conditions
            .unwrap()
            .into_iter()
            .map(|c| (c.type_, c.last_transition_time.map(|time| time.0.to_string())))
            .collect();
        let (old, new) = (Some("2026-01-01T00:00:00Z".to_owned()), Some("2026-01-02T00:00:00Z".to_owned()));
        let expected = [
            ("PodReadyToStartContainers".to_owned(), new.clone()),
            ("Initialized".to_owned(), old),
            ("Ready".to_owned(), new.clone()),
            ("ContainersReady".to_owned(), new.clone()),
            ("PodScheduled".to_owned(), new),
            ("DisruptionTarget".to_owned(), None),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn quality_of_service_follows_requests_and_limits() {
        let class = |a: serde_json::Value, b: serde_json::Value| {
            let pod = json!({"spec": {"containers": [{"name": "a", "resources": a}, {"name": "b", "resources": b}]}});
            qos_class(&serde_json::from_value(pod).unwrap())
        };
        let full = json!({"limits": {"cpu": "1", "memory": "1Gi"}});
        assert_eq!(class(json!({}), json!({})), "BestEffort");
        assert_eq!(class(full.clone(), full.clone()), "Guaranteed");
        assert_eq!(class(full.clone(), json!({})), "Burstable");
        let less = json!({"requests": {"cpu": "500m"}, "limits": {"cpu": "1", "memory": "1Gi"}});
        assert_eq!(class(full, less), "Burstable");
    }
}
