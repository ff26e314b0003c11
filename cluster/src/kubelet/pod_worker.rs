//! The worker of one pod: a state machine that reconciles containers with the pod until it is gone.
//!
//! One task per pod. Everything that happens arrives in one inbox (new versions of the pod, ends of containers, probe
//! results), after each message the machine advances and the status is written if it changed. So the order of states that
//! clients see is the order in which things happened.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, Pod, PodStatus};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Node,
    container::{BackOffKind, BackOffWait, ContainerRuntime, Flow, REPEAT, Running, Task},
    events::{EventType, reference},
    logs,
    probes::{ProbeKind, Verdict},
    process::Exit,
    start::{self, StartFailure, StartRequest, Started},
    status::{self, ContainerKind, PodView},
    stop,
    volumes::{self, PodDirectory, VolumeError},
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
enum Stage {
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
enum StopReason {
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
    node: Arc<Node>,
    pod: Arc<Pod>,
    inbox: mpsc::UnboundedReceiver<Message>,
    sender: mpsc::UnboundedSender<Message>,
    stage: Stage,
    containers: Vec<ContainerRuntime>,
    pod_ip: Ipv4Addr,
    own_ip: bool,
    ip_shown: bool,
    sandbox_ready: bool,
    start_time: Timestamp,
    verdict: Option<(&'static str, String)>,
    written: Option<PodStatus>,
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
        let mains = spec.containers.iter().map(|container| ContainerRuntime::new(container, ContainerKind::Main, reason));
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
    fn stop(&mut self, why: StopReason, grace: Duration) {
        let grace = grace.max(MIN_GRACE);
        match &mut self.stage {
            Stage::Gone => {}
            Stage::Finished => self.stage = Stage::Stopping { why, grace },
            Stage::Stopping { why: current, grace: present } => {
                // A deletion overrides the end of a completed pod; a shorter grace period overrides a longer one.
                if matches!(current, StopReason::Completed | StopReason::Deadline) || why == StopReason::Vanished {
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
        let has_volumes = self.pod.spec.as_ref().is_some_and(|spec| spec.volumes.as_ref().is_some_and(|v| !v.is_empty()));
        if !has_volumes {
            return Ok(());
        }
        let objects = start::config_objects(&self.node, &self.pod).await?;
        super::storage::claim_paths(&self.node, &self.pod).await?;
        let context = self.node.downward_context(self.pod_ip);
        let spec = self.pod.spec.as_ref();
        let any = Container::default();
        let container = spec.and_then(|spec| spec.containers.first()).unwrap_or(&any);
        for volume in spec.iter().flat_map(|spec| spec.volumes.iter().flatten()) {
            volumes::files(&self.pod, container, volume, &objects, &context).map_err(|source| {
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
            self.node.recorder.kubelet(reference(&self.pod, None), EventType::Normal, "DeadlineExceeded", &*message);
            self.verdict = Some(("DeadlineExceeded", message));
            self.stop(StopReason::Deadline, self.node.grace(&self.pod));
        }
    }

    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.pod.spec.as_ref()?.active_deadline_seconds?;
        Some(self.start_time + Duration::from_secs(seconds.try_into().ok()?))
    }

    /// Starts what is to be started: init containers one after the other, then all others.
    fn reconcile(&mut self, now: Timestamp) {
        let policy = status::restart_policy(&self.pod).to_owned();
        let begun = self.containers.iter().any(|c| c.view.kind == ContainerKind::Main && c.attempt > 0);
        for index in 0..self.containers.len() {
            let kind = self.containers[index].view.kind;
            // After the ordinary containers have begun, init containers do not run again; sidecars do.
            if begun && kind == ContainerKind::Init {
                continue;
            }
            self.maybe_start(index, &policy, now);
            let container = &self.containers[index];
            if kind == ContainerKind::Init
                && !container.view.initialized()
                && matches!(container.flow, Flow::Idle)
                && !container.wants_start(&policy)
            {
                return self.stop(StopReason::Completed, self.node.grace(&self.pod));
            }
            if !begun && kind != ContainerKind::Main && !container.view.initialized() {
                return;
            }
        }
        let done = |container: &ContainerRuntime| {
            container.view.kind != ContainerKind::Main
                || (matches!(container.flow, Flow::Idle)
                    && container.view.state.terminated.is_some()
                    && !container.wants_start(&policy))
        };
        if self.containers.iter().all(done) {
            self.stop(StopReason::Completed, self.node.grace(&self.pod));
        }
    }

    fn maybe_start(&mut self, index: usize, policy: &str, now: Timestamp) {
        let container = &mut self.containers[index];
        match &mut container.flow {
            Flow::Starting(_) | Flow::Running(_) => {}
            Flow::Idle => {
                if !container.wants_start(policy) {
                    return;
                }
                match container.plan_start(now) {
                    None => self.begin_start(index),
                    Some(wait) => {
                        container.flow = Flow::BackOff(wait);
                        self.back_off_event(index);
                    }
                }
            }
            Flow::BackOff(wait) => {
                if wait.until <= now {
                    if wait.kind == BackOffKind::Crash {
                        let ended = container.ended_at.unwrap_or(now);
                        container.crash.next(ended, now);
                    }
                    self.begin_start(index);
                } else if wait.show_at <= now {
                    self.show_back_off(index, now);
                }
            }
        }
    }

    /// The end was shown long enough: show that the container waits.
    fn show_back_off(&mut self, index: usize, now: Timestamp) {
        let title = super::pod_title(&self.pod);
        let container = &mut self.containers[index];
        let Flow::BackOff(wait) = &mut container.flow else { return };
        let repeated = container.view.state.waiting.as_ref().and_then(|state| state.reason.as_deref());
        let (reason, message) = match &wait.kind {
            BackOffKind::Crash => {
                let wait = super::backoff::go_duration(container.crash.current());
                let name = &container.view.name;
                ("CrashLoopBackOff", format!("back-off {wait} restarting failed container={name} pod={title}"))
            }
            BackOffKind::Image(error) => (
                "ImagePullBackOff",
                format!("Back-off pulling image \"{}\": ErrImagePull: {error}", container.view.image),
            ),
            BackOffKind::Config => return,
        };
        let again = repeated == Some(reason);
        wait.show_at = now + REPEAT;
        let crash = wait.kind == BackOffKind::Crash;
        if let Some(end) = container.view.state.terminated.take() {
            container.view.last = Some(end);
        }
        container.view.state = status::waiting(reason, Some(message));
        // The first event of a crash was written at its end.
        if again || !crash {
            self.back_off_event(index);
        }
    }

    fn back_off_event(&self, index: usize) {
        let view = &self.containers[index].view;
        let Flow::BackOff(BackOffWait { kind, .. }) = &self.containers[index].flow else { return };
        let event = |kind, reason, message| self.node.container_event(&self.pod, &view.name, kind, reason, message);
        match kind {
            BackOffKind::Crash => {
                let title = super::pod_title(&self.pod);
                let message = format!("Back-off restarting failed container {} in pod {title}", view.name);
                event(EventType::Warning, "BackOff", message);
            }
            BackOffKind::Image(_) => {
                event(EventType::Normal, "BackOff", format!("Back-off pulling image \"{}\"", view.image));
                event(EventType::Warning, "Failed", "Error: ImagePullBackOff".to_owned());
            }
            BackOffKind::Config => {}
        }
    }

    fn spec_of(&self, index: usize) -> Container {
        let spec = self.pod.spec.as_ref();
        let all = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        all.into_iter().nth(index).cloned().unwrap_or_default()
    }

    fn begin_start(&mut self, index: usize) {
        let specification = self.spec_of(index);
        let container = &mut self.containers[index];
        container.begin();
        let attempt = container.attempt;
        let request = StartRequest {
            pod: self.pod.clone(),
            container: specification,
            pod_ip: self.pod_ip,
            restart_count: container.next_restart_count(),
        };
        let (node, sender, exits) = (self.node.clone(), self.sender.clone(), self.sender.clone());
        let task = tokio::spawn(async move {
            let on_exit = move |exit| {
                let event = ContainerEvent::Exited(exit);
                let _ = exits.send(Message::Container { index, attempt, event });
            };
            let event = match start::start(&node, &request, on_exit).await {
                Ok(started) => ContainerEvent::Started(Box::new(started)),
                Err(failure) => ContainerEvent::Failed(failure),
            };
            let _ = sender.send(Message::Container { index, attempt, event });
        });
        container.flow = Flow::Starting(Task(task));
    }

    fn container_event(&mut self, index: usize, event: ContainerEvent) {
        let now = Timestamp::now();
        match event {
            ContainerEvent::Started(started) => self.container_started(index, *started, now),
            ContainerEvent::Failed(failure) => {
                self.ip_shown = true;
                let container = &mut self.containers[index];
                match failure {
                    StartFailure::Image(message) => container.pull_failed(message, now),
                    StartFailure::Config(message) => {
                        container.config_failed("CreateContainerConfigError", message, now);
                    }
                    StartFailure::Create(message) => container.config_failed("CreateContainerError", message, now),
                    StartFailure::Run { message, container_id, image_id } => {
                        container.failed_to_run(now, &message, container_id, image_id);
                    }
                }
            }
            ContainerEvent::Exited(exit) => {
                let container = &mut self.containers[index];
                if matches!(container.flow, Flow::Starting(_)) {
                    container.early_exit = Some(exit);
                } else {
                    self.container_ended(index, exit, now);
                }
            }
            ContainerEvent::Probe(kind, result) => self.probe_result(index, kind, result),
        }
    }

    fn container_started(&mut self, index: usize, started: Started, now: Timestamp) {
        let Started { process, exec, at, container_id, image_id, hook_error } = started;
        self.ip_shown = true;
        let specification = &exec.container;
        let ready = specification.readiness_probe.is_none();
        let trackers = [ProbeKind::Startup, ProbeKind::Liveness, ProbeKind::Readiness]
            .map(|kind| kind.of(specification).map(stop::tracker).map(|tracker| (tracker, None)));
        let running = Running { process, exec, probes: trackers, stopping: None };
        let container = &mut self.containers[index];
        container.started(at, running, container_id, image_id, ready);
        if let Some(exit) = container.early_exit.take() {
            return self.container_ended(index, exit, now);
        }
        if hook_error.is_some() {
            let grace = self.node.grace(&self.pod);
            return self.stop_container(index, "FailedPostStartHook".to_owned(), grace);
        }
        if self.containers[index].view.started {
            self.begin_probes(index, &[ProbeKind::Liveness, ProbeKind::Readiness], at);
        } else {
            self.begin_probes(index, &[ProbeKind::Startup], at);
        }
    }

    fn begin_probes(&mut self, index: usize, kinds: &[ProbeKind], started_at: Timestamp) {
        let container = &mut self.containers[index];
        let attempt = container.attempt;
        let Flow::Running(running) = &mut container.flow else { return };
        for kind in kinds {
            let Some((_, task)) = &mut running.probes[*kind as usize] else { continue };
            let sender = self.sender.clone();
            let report = move |kind, result| {
                let event = ContainerEvent::Probe(kind, result);
                sender.send(Message::Container { index, attempt, event }).is_ok()
            };
            *task = Some(stop::probe_loop(&self.node, &running.exec, *kind, started_at, report));
        }
    }

    fn probe_result(&mut self, index: usize, kind: ProbeKind, result: Result<(), String>) {
        let container = &mut self.containers[index];
        let Flow::Running(running) = &mut container.flow else { return };
        let Some((tracker, task)) = &mut running.probes[kind as usize] else { return };
        let verdict = tracker.observe(result.is_ok());
        let exec = running.exec.clone();
        if let Err(message) = result {
            let message = format!("{} probe failed: {message}", kind.title());
            self.node.container_event(&self.pod, &exec.owner.container, EventType::Warning, "Unhealthy", message);
        }
        match (kind, verdict) {
            (_, None) => {}
            (ProbeKind::Readiness, Some(verdict)) => container.view.ready = verdict == Verdict::Success,
            (ProbeKind::Liveness, Some(Verdict::Success)) => {}
            (ProbeKind::Startup, Some(Verdict::Success)) => {
                *task = None;
                container.view.started = true;
                container.view.ready = running.probes[ProbeKind::Readiness as usize].is_none();
                let at = container.view.state.running.as_ref().and_then(|state| state.started_at.as_ref());
                let at = at.map_or_else(Timestamp::now, |time| time.0);
                self.begin_probes(index, &[ProbeKind::Liveness, ProbeKind::Readiness], at);
            }
            (ProbeKind::Startup | ProbeKind::Liveness, Some(Verdict::Failure)) => {
                *task = None;
                let own = kind.of(&exec.container).and_then(|probe| probe.termination_grace_period_seconds);
                let own = own.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs);
                let grace = own.unwrap_or_else(|| self.node.grace(&self.pod));
                let kind = kind.title().to_ascii_lowercase();
                let message = format!("Container {} failed {kind} probe, will be restarted", exec.owner.container);
                container.killed_by_probe = true;
                self.stop_container(index, message, grace);
            }
        }
    }

    /// Stops one container: event, `preStop`, stop signal, and SIGKILL when the grace period is over.
    fn stop_container(&mut self, index: usize, message: String, grace: Duration) {
        let container = &mut self.containers[index];
        let Flow::Running(running) = &mut container.flow else { return };
        if running.stopping.is_some() {
            return;
        }
        // A container that is being stopped is not killed a second time for its probes.
        for kind in [ProbeKind::Startup, ProbeKind::Liveness] {
            running.probes[kind as usize] = None;
        }
        self.node.container_event(&self.pod, &container.view.name, EventType::Normal, "Killing", message);
        let hook = running.exec.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.clone());
        let hook = hook.map(|hook| (hook, self.pod.clone()));
        running.stopping = Some((stop::spawn(&self.node, running, hook, grace), grace));
    }

    fn container_ended(&mut self, index: usize, exit: Exit, now: Timestamp) {
        let message = self.termination_message(index, exit);
        self.containers[index].ended(now, exit, message);
        if exit.code != 0 {
            self.report_blocked_ports(index);
        }
    }

    /// What the container wrote about its end, or the end of its log if it asked for that.
    fn termination_message(&self, index: usize, exit: Exit) -> Option<String> {
        let specification = self.spec_of(index);
        let uid = self.pod.metadata.uid.as_deref().unwrap_or_default();
        let path = PodDirectory::new(&self.node.data_dir, uid).termination_log(&specification.name);
        let message = std::fs::read(path).unwrap_or_default();
        let message = String::from_utf8_lossy(&message[..message.len().min(4096)]).into_owned();
        let fall_back = specification.termination_message_policy.as_deref() == Some("FallbackToLogsOnError");
        if message.is_empty() && fall_back && exit.code != 0 {
            let attempt = self.containers[index].view.restart_count;
            let file = self.log_directory().join(&specification.name).join(format!("{attempt}.log"));
            return Some(logs::tail_text(&file));
        }
        Some(message)
    }

    fn log_directory(&self) -> std::path::PathBuf {
        let metadata = &self.pod.metadata;
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        logs::pod_directory(&self.node.data_dir, &text(&metadata.namespace), &text(&metadata.name), &text(&metadata.uid))
    }

    /// A wildcard listener of another program blocks its port on every loopback address: say who.
    fn report_blocked_ports(&self, index: usize) {
        let specification = self.spec_of(index);
        for port in specification.ports.iter().flatten() {
            let Ok(number) = u16::try_from(port.container_port) else { continue };
            if let Some(holder) = crate::net_holder::who_holds(number) {
                let message = format!("container port {number} cannot be bound: {holder}");
                self.node.container_event(
                    &self.pod,
                    &specification.name,
                    EventType::Warning,
                    "PortInUse",
                    message,
                );
            }
        }
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

    async fn advance_stop(&mut self, why: StopReason, grace: Duration) {
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
                    self.delete_object().await;
                }
                self.stage = Stage::Gone;
            }
            StopReason::Vanished => self.stage = Stage::Gone,
        }
    }

    async fn delete_object(&self) {
        let api = self.api();
        let name = self.pod.metadata.name.as_deref().unwrap_or_default();
        let parameters = DeleteParams {
            grace_period_seconds: Some(0),
            preconditions: Some(Preconditions { uid: self.pod.metadata.uid.clone(), resource_version: None }),
            ..DeleteParams::default()
        };
        match api.delete(name, &parameters).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => tracing::warn!(pod = name, %error, "a terminated pod could not be removed from the API"),
        }
    }

    fn api(&self) -> Api<Pod> {
        Api::namespaced(self.node.client.clone(), self.pod.metadata.namespace.as_deref().unwrap_or_default())
    }

    /// When something is due without a message.
    fn next_wake(&self) -> Option<Timestamp> {
        let containers = self.containers.iter().filter_map(|container| match &container.flow {
            Flow::BackOff(wait) => Some(wait.until.min(wait.show_at)),
            _ => None,
        });
        match &self.stage {
            Stage::SettingUp { retry_at, .. } => retry_at.iter().copied().chain(self.deadline()).min(),
            Stage::Running => containers.chain(self.deadline()).min(),
            _ => None,
        }
    }

    /// Writes the status if it changed.
    async fn publish(&mut self) {
        if matches!(self.stage, Stage::Gone) {
            return;
        }
        let finished = matches!(self.stage, Stage::Finished);
        if finished && self.written.is_some() && self.containers.iter().all(|container| container.attempt == 0) {
            let terminal = |status: &PodStatus| matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
            if self.written.as_ref().is_some_and(terminal) {
                return;
            }
        }
        let (inits, mains) =
            self.containers.iter().map(|container| &container.view).partition(|v| v.kind != ContainerKind::Main);
        let view = PodView {
            pod: &self.pod,
            inits,
            mains,
            sandbox_ready: self.sandbox_ready,
            pod_ip: self.ip_shown.then_some(self.pod_ip),
            host_ip: self.node.addresses.node_ip(),
            start_time: self.start_time,
            finished,
            verdict: self.verdict.clone(),
        };
        let previous = self.written.as_ref().or(self.pod.status.as_ref());
        let new = status::compute(&view, previous, Timestamp::now());
        if self.written.as_ref() == Some(&new) {
            return;
        }
        let patch = json!({"metadata": {"uid": self.pod.metadata.uid}, "status": new});
        let name = self.pod.metadata.name.clone().unwrap_or_default();
        match self.api().patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch)).await {
            Ok(_) => self.written = Some(new),
            // Gone, or another pod of the same name: the watch will say so.
            Err(kube::Error::Api(status)) if status.is_not_found() || status.is_conflict() => {}
            Err(error) => tracing::warn!(pod = name, %error, "a pod's status could not be written"),
        }
    }

    /// Nothing may be left that carries this pod's marker.
    async fn kill_strays(&self) {
        let (launcher, uid) = (self.node.launcher.clone(), self.pod.metadata.uid.clone().unwrap_or_default());
        let work = tokio::task::spawn_blocking(move || {
            for _ in 0..200 {
                if launcher.kill_marked(&uid).is_empty() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let _ = work.await;
    }

    async fn tear_down(&mut self) {
        self.kill_strays().await;
        let (node, pod) = (self.node.clone(), self.pod.clone());
        let logs = self.log_directory();
        let work = tokio::task::spawn_blocking(move || {
            let uid = pod.metadata.uid.as_deref().unwrap_or_default();
            if let Err(error) = PodDirectory::new(&node.data_dir, uid).remove() {
                tracing::warn!(%error, "a pod's directory could not be removed");
            }
            let spec = pod.spec.as_ref();
            for container in spec.iter().flat_map(|s| s.init_containers.iter().flatten().chain(&s.containers)) {
                let _ = std::fs::remove_dir_all(node.run_directory(uid, &container.name));
            }
            let _ = std::fs::remove_dir_all(logs);
        });
        let _ = work.await;
        if self.own_ip {
            self.node.addresses.release_pod_ip(self.pod_ip);
        }
    }

    /// Fields that would change behaviour on another cluster are named, not ignored silently.
    fn warn_about_unsupported_fields(&self) {
        let fields = super::unsupported::fields(&self.pod);
        if !fields.is_empty() {
            let message = format!("not supported by the embedded cluster and without effect: {}", fields.join(", "));
            self.node.recorder.kubelet(reference(&self.pod, None), EventType::Warning, "UnsupportedField", message);
        }
    }
}
