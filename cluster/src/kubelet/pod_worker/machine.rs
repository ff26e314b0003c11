//! The state machine: what happens when.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use tokio::sync::mpsc;

use crate::kubelet::{
    Node,
    container::{BackOffKind, ContainerRuntime, Flow},
    events::{EventType, reference},
    probes::ProbeKind,
    process::Exit,
    start::{self, StartFailure, Started},
    status::ContainerKind,
    stop, storage, unsupported, volume_files,
    volumes::VolumeError,
};

/// Longest wait between two attempts to set up a pod's volumes.
const SETUP_MAX_WAIT: Duration = Duration::from_secs(8);
/// Shortest grace period: a force deletion still gets this much.
const MIN_GRACE: Duration = Duration::from_secs(1);

/// A message to a pod worker.
#[derive(Debug)]
pub enum Message {
    /// A new version of the pod.
    Pod(Arc<Pod>),
    /// The pod is gone from the API.
    Deleted,
    /// A ConfigMap or Secret that the pod refers to changed.
    ConfigChanged,
    /// The kubelet stops: end everything.
    Shutdown,
    /// Something happened to a container.
    Container {
        /// Its index: init containers first.
        index: usize,
        /// The attempt it happened to.
        attempt: u64,
        /// What happened.
        event: ContainerEvent,
    },
}

/// What can happen to a container.
#[derive(Debug)]
pub enum ContainerEvent {
    /// The start task succeeded.
    Started(Box<Started>),
    /// The start task failed.
    Failed(StartFailure),
    /// The container and all it started are gone.
    Exited(Exit),
    /// A probe was run.
    Probe(ProbeKind, Result<(), String>),
}

/// Where the pod is in its life.
#[derive(Debug)]
pub(super) enum Stage {
    /// Volumes are being found.
    SettingUp { failures: u32, retry_at: Option<Timestamp> },
    /// Containers are started and restarted.
    Running,
    /// Containers are stopped.
    Stopping { why: StopReason, grace: Duration },
    /// Nothing runs any more; the object is still there.
    Finished,
    /// The worker is done.
    Gone,
}

/// Why containers are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopReason {
    /// The pod has a deletion timestamp.
    Deleted,
    /// The object vanished.
    Vanished,
    /// The kubelet stops.
    Shutdown,
    /// All ordinary containers are done: sidecars go as well.
    Completed,
    /// `activeDeadlineSeconds` is over.
    Deadline,
}

/// The worker.
pub struct PodWorker {
    pub(super) node: Arc<Node>,
    pub(super) pod: Arc<Pod>,
    pub(super) inbox: mpsc::UnboundedReceiver<Message>,
    pub(super) sender: mpsc::UnboundedSender<Message>,
    pub(super) stage: Stage,
    pub(super) containers: Vec<ContainerRuntime>,
    pub(super) pod_ip: Ipv4Addr,
    pub(super) own_ip: bool,
    pub(super) ip_shown: bool,
    pub(super) sandbox_ready: bool,
    pub(super) start_time: Timestamp,
    pub(super) verdict: Option<(&'static str, String)>,
    pub(super) written: Option<PodStatus>,
    pub(super) publish_again: Option<Timestamp>,
}

impl PodWorker {
    /// A worker for a pod that was bound to this node. `None` if there is no address left; an event says so.
    pub fn new(
        node: Arc<Node>,
        pod: Arc<Pod>,
        sender: mpsc::UnboundedSender<Message>,
        inbox: mpsc::UnboundedReceiver<Message>,
    ) -> Option<Self> {
        let spec = pod.spec.as_ref()?;
        let own_ip = spec.host_network != Some(true);
        let pod_ip = if own_ip {
            match node.addresses.allocate_pod_ip() {
                Ok(ip) => ip,
                Err(error) => {
                    let message = format!("Failed to create pod sandbox: {error}");
                    node.recorder.kubelet(
                        reference(&pod, None),
                        EventType::Warning,
                        "FailedCreatePodSandBox",
                        message,
                    );
                    return None;
                }
            }
        } else {
            node.addresses.node_ip()
        };
        let has_init = spec.init_containers.as_ref().is_some_and(|inits| !inits.is_empty());
        let reason = if has_init { "PodInitializing" } else { "ContainerCreating" };
        let inits = spec.init_containers.iter().flatten().map(|container| {
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            let kind = if sidecar { ContainerKind::Sidecar } else { ContainerKind::Init };
            ContainerRuntime::new(container, kind, reason)
        });
        let mains = spec
            .containers
            .iter()
            .map(|container| ContainerRuntime::new(container, ContainerKind::Main, reason));
        let containers = inits.chain(mains).collect();
        let finished = matches!(
            pod.status.as_ref().and_then(|status| status.phase.as_deref()),
            Some("Succeeded" | "Failed")
        );
        let stage = if finished { Stage::Finished } else { Stage::SettingUp { failures: 0, retry_at: None } };
        Some(Self {
            stage,
            containers,
            pod_ip,
            own_ip,
            ip_shown: false,
            sandbox_ready: false,
            start_time: Timestamp::now(),
            verdict: None,
            publish_again: None,
            written: finished.then(|| pod.status.clone().unwrap_or_default()),
            node,
            pod,
            inbox,
            sender,
        })
    }

    /// Runs until the pod is gone.
    pub async fn run(mut self) {
        self.observe_pod();
        if !matches!(self.stage, Stage::Finished) {
            self.warn_about_unsupported_fields();
            self.publish().await;
        }
        loop {
            self.advance().await;
            self.publish().await;
            if matches!(self.stage, Stage::Gone) {
                break;
            }
            let message = match self.next_wake() {
                None => self.inbox.recv().await,
                Some(at) => {
                    let wait = at.duration_since(Timestamp::now()).try_into().unwrap_or(Duration::ZERO);
                    tokio::select! {
                        message = self.inbox.recv() => message,
                        () = tokio::time::sleep(wait) => continue,
                    }
                }
            };
            match message {
                Some(message) => self.handle(message).await,
                None => break,
            }
        }
        self.tear_down().await;
    }

    async fn handle(&mut self, message: Message) {
        match message {
            Message::Pod(pod) => {
                self.pod = pod;
                self.observe_pod();
                self.replace_changed_containers();
            }
            Message::Deleted => self.stop(StopReason::Vanished, MIN_GRACE),
            Message::Shutdown => self.stop(StopReason::Shutdown, self.node.shutdown_grace(&self.pod)),
            Message::ConfigChanged => self.config_changed().await,
            Message::Container { index, attempt, event } => {
                if self.containers[index].attempt == attempt {
                    self.container_event(index, event);
                }
            }
        }
    }

    fn observe_pod(&mut self) {
        if self.pod.metadata.deletion_timestamp.is_some() {
            let seconds = self.pod.metadata.deletion_grace_period_seconds.unwrap_or(30);
            self.stop(StopReason::Deleted, Duration::from_secs(seconds.try_into().unwrap_or(0)));
        }
    }

    /// Begins or hastens the end of all containers.
    pub(super) fn stop(&mut self, why: StopReason, grace: Duration) {
        let grace = grace.max(MIN_GRACE);
        match &mut self.stage {
            Stage::Gone => {}
            Stage::Finished => self.stage = Stage::Stopping { why, grace },
            Stage::Stopping { why: current, grace: present } => {
                // A deletion overrides the end of a completed pod; a shorter grace period overrides a longer one.
                if matches!(current, StopReason::Completed | StopReason::Deadline)
                    || why == StopReason::Vanished
                {
                    *current = why;
                }
                if grace < *present {
                    *present = grace;
                    self.hasten(grace);
                }
            }
            Stage::SettingUp { .. } | Stage::Running => self.stage = Stage::Stopping { why, grace },
        }
    }

    fn hasten(&mut self, grace: Duration) {
        for container in &mut self.containers {
            if let Flow::Running(running) = &mut container.flow
                && running.stopping.as_ref().is_some_and(|(_, given)| grace < *given)
            {
                running.stopping = Some((stop::spawn(&self.node, running, None, grace), grace));
            }
        }
    }

    /// Moves everything on that can move now.
    async fn advance(&mut self) {
        let now = Timestamp::now();
        if let Stage::SettingUp { retry_at, .. } = &self.stage
            && retry_at.is_none_or(|at| at <= now)
        {
            self.set_up(now).await;
        }
        self.check_deadline(now);
        match self.stage {
            Stage::Running => self.reconcile(now),
            Stage::Stopping { why, grace } => self.advance_stop(why, grace).await,
            Stage::SettingUp { .. } | Stage::Finished | Stage::Gone => {}
        }
    }

    /// Checks what every container needs before the first one starts, as mounting volumes does.
    async fn set_up(&mut self, now: Timestamp) {
        match self.check_volumes().await {
            Ok(()) => {
                self.sandbox_ready = true;
                self.stage = Stage::Running;
                self.publish().await;
            }
            Err(message) => {
                self.node.recorder.kubelet(
                    reference(&self.pod, None),
                    EventType::Warning,
                    "FailedMount",
                    message,
                );
                if let Stage::SettingUp { failures, retry_at } = &mut self.stage {
                    let wait = Duration::from_millis(500 << (*failures).min(4));
                    *failures += 1;
                    *retry_at = Some(now + wait.min(SETUP_MAX_WAIT));
                }
            }
        }
    }

    async fn check_volumes(&self) -> Result<(), String> {
        let has_volumes =
            self.pod.spec.as_ref().is_some_and(|spec| spec.volumes.as_ref().is_some_and(|v| !v.is_empty()));
        if !has_volumes {
            return Ok(());
        }
        let objects = start::config_objects(&self.node, &self.pod).await?;
        storage::claim_paths(&self.node, &self.pod).await?;
        let context = self.node.downward_context(self.pod_ip);
        let spec = self.pod.spec.as_ref();
        let any = Container::default();
        let container = spec.and_then(|spec| spec.containers.first()).unwrap_or(&any);
        for volume in spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            volume_files::files(&self.pod, container, volume, &objects, &context).map_err(|source| {
                start::error_chain(&VolumeError::Config { volume: volume.name.clone(), source })
            })?;
        }
        Ok(())
    }

    fn check_deadline(&mut self, now: Timestamp) {
        if let Some(deadline) = self.deadline()
            && matches!(self.stage, Stage::SettingUp { .. } | Stage::Running)
            && now >= deadline
        {
            let message = "Pod was active on the node longer than the specified deadline".to_owned();
            self.node.recorder.kubelet(
                reference(&self.pod, None),
                EventType::Normal,
                "DeadlineExceeded",
                &*message,
            );
            self.verdict = Some(("DeadlineExceeded", message));
            self.stop(StopReason::Deadline, self.node.grace(&self.pod));
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.pod.spec.as_ref()?.active_deadline_seconds?;
        Some(self.start_time + Duration::from_secs(seconds.try_into().ok()?))
    }

    async fn config_changed(&mut self) {
        match &mut self.stage {
            Stage::SettingUp { retry_at, .. } => *retry_at = None,
            Stage::Running => {
                let now = Timestamp::now();
                let mut running = Vec::new();
                for container in &mut self.containers {
                    match &mut container.flow {
                        Flow::BackOff(wait) if wait.kind == BackOffKind::Config => wait.until = now,
                        Flow::Running(state) => running.push(state.exec.clone()),
                        _ => {}
                    }
                }
                if running.is_empty() {
                    return;
                }
                if let Ok(objects) = start::config_objects(&self.node, &self.pod).await {
                    for exec in running {
                        start::refresh_volumes(&self.node, &self.pod, &exec, &objects).await;
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) async fn advance_stop(&mut self, why: StopReason, grace: Duration) {
        // What is only being started is cut off; dropping the task closes its shim's socket.
        for container in &mut self.containers {
            if !matches!(container.flow, Flow::Running(_)) {
                container.flow = Flow::Idle;
            }
        }
        let stop_all = |worker: &mut Self, kinds: &[ContainerKind]| {
            for index in 0..worker.containers.len() {
                if kinds.contains(&worker.containers[index].view.kind) {
                    let message = format!("Stopping container {}", worker.containers[index].view.name);
                    worker.stop_container(index, message, grace);
                }
            }
        };
        stop_all(self, &[ContainerKind::Main, ContainerKind::Init]);
        // Sidecars serve the others to the end.
        if !self.containers.iter().any(|c| c.view.kind != ContainerKind::Sidecar && c.is_alive()) {
            stop_all(self, &[ContainerKind::Sidecar]);
        }
        if self.containers.iter().any(ContainerRuntime::is_alive) {
            return;
        }
        match why {
            StopReason::Completed | StopReason::Deadline => {
                // First the end of the last container is shown, then the end of the pod.
                self.publish().await;
                if why == StopReason::Deadline {
                    self.containers.iter_mut().for_each(ContainerRuntime::never_existed);
                }
                self.sandbox_ready = false;
                self.stage = Stage::Finished;
                self.kill_strays().await;
            }
            StopReason::Deleted | StopReason::Shutdown => {
                self.containers.iter_mut().for_each(ContainerRuntime::never_existed);
                self.sandbox_ready = false;
                self.kill_strays().await;
                self.stage = Stage::Finished;
                self.publish().await;
                if why == StopReason::Deleted {
                    // Whoever sees the object vanish may rely on the files being gone.
                    self.remove_files().await;
                    self.delete_object().await;
                }
                self.stage = Stage::Gone;
            }
            StopReason::Vanished => self.stage = Stage::Gone,
        }
    }

    /// When something is due without a message.
    fn next_wake(&self) -> Option<Timestamp> {
        let containers = self.containers.iter().filter_map(|container| match &container.flow {
            Flow::BackOff(wait) => Some(wait.until.min(wait.show_at)),
            _ => None,
        });
        match &self.stage {
            Stage::SettingUp { retry_at, .. } => {
                retry_at.iter().copied().chain(self.deadline()).chain(self.publish_again).min()
            }
            Stage::Running => containers.chain(self.deadline()).chain(self.publish_again).min(),
            _ => self.publish_again,
        }
    }

    /// Fields that would change behaviour on another cluster are named, not ignored silently.
    fn warn_about_unsupported_fields(&self) {
        if let Some(message) = unsupported::limits(&self.pod, self.node.cgroups.unavailable()) {
            let pod = reference(&self.pod, None);
            self.node.recorder.kubelet(pod, EventType::Warning, "LimitsNotEnforced", message);
        }
        let fields = unsupported::fields(&self.pod);
        if !fields.is_empty() {
            let message =
                format!("not supported by the embedded cluster and without effect: {}", fields.join(", "));
            self.node.recorder.kubelet(
                reference(&self.pod, None),
                EventType::Warning,
                "UnsupportedField",
                message,
            );
        }
    }
}
