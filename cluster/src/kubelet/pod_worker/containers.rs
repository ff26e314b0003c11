//! The containers of a pod: starting, restarting, probing, stopping.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::machine::{ContainerEvent, Message, PodWorker, StopReason};
use crate::{
    kubelet::{
        backoff::go_duration,
        container::{BackOffKind, BackOffWait, ContainerRuntime, Flow, REPEAT, Running, Task},
        events::EventType,
        logs, pod_title,
        probes::{ProbeKind, Verdict},
        process::Exit,
        start::{self, StartFailure, StartRequest, Started},
        status::{self, ContainerKind},
        stop,
        volumes::PodDirectory,
    },
    net_holder,
};

impl PodWorker {
    /// Starts what is to be started: init containers one after the other, then all others.
    pub(super) fn reconcile(&mut self, now: Timestamp) {
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

    pub(super) fn maybe_start(&mut self, index: usize, policy: &str, now: Timestamp) {
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
    pub(super) fn show_back_off(&mut self, index: usize, now: Timestamp) {
        let title = pod_title(&self.pod);
        let container = &mut self.containers[index];
        let Flow::BackOff(wait) = &mut container.flow else { return };
        let repeated = container.view.state.waiting.as_ref().and_then(|state| state.reason.as_deref());
        let (reason, message) = match &wait.kind {
            BackOffKind::Crash => {
                let wait = go_duration(container.crash.current());
                let name = &container.view.name;
                (
                    "CrashLoopBackOff",
                    format!("back-off {wait} restarting failed container={name} pod={title}"),
                )
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

    pub(super) fn back_off_event(&self, index: usize) {
        let view = &self.containers[index].view;
        let Flow::BackOff(BackOffWait { kind, .. }) = &self.containers[index].flow else { return };
        let event =
            |kind, reason, message| self.node.container_event(&self.pod, &view.name, kind, reason, message);
        match kind {
            BackOffKind::Crash => {
                let title = pod_title(&self.pod);
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

    pub(super) fn spec_of(&self, index: usize) -> Container {
        let spec = self.pod.spec.as_ref();
        let all = spec.iter().flat_map(|spec| spec.init_containers.iter().flatten().chain(&spec.containers));
        all.into_iter().nth(index).cloned().unwrap_or_default()
    }

    pub(super) fn begin_start(&mut self, index: usize) {
        let specification = self.spec_of(index);
        let container = &mut self.containers[index];
        container.begin();
        container.view.image = specification.image.clone().unwrap_or_default();
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

    pub(super) fn container_event(&mut self, index: usize, event: ContainerEvent) {
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
                    StartFailure::Create(message) => {
                        container.config_failed("CreateContainerError", message, now)
                    }
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

    pub(super) fn container_started(&mut self, index: usize, started: Started, now: Timestamp) {
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

    pub(super) fn begin_probes(&mut self, index: usize, kinds: &[ProbeKind], started_at: Timestamp) {
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

    pub(super) fn probe_result(&mut self, index: usize, kind: ProbeKind, result: Result<(), String>) {
        let container = &mut self.containers[index];
        let Flow::Running(running) = &mut container.flow else { return };
        let Some((tracker, task)) = &mut running.probes[kind as usize] else { return };
        let verdict = tracker.observe(result.is_ok());
        let exec = running.exec.clone();
        if let Err(message) = result {
            let message = format!("{} probe failed: {message}", kind.title());
            self.node.container_event(
                &self.pod,
                &exec.owner.container,
                EventType::Warning,
                "Unhealthy",
                message,
            );
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
                let message =
                    format!("Container {} failed {kind} probe, will be restarted", exec.owner.container);
                container.killed_by_probe = true;
                self.stop_container(index, message, grace);
            }
        }
    }

    /// Stops one container: event, `preStop`, stop signal, and SIGKILL when the grace period is over.
    pub(super) fn stop_container(&mut self, index: usize, message: String, grace: Duration) {
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

    /// The image is the one part of a container that may change in a pod: such a container is stopped and started anew.
    pub(super) fn replace_changed_containers(&mut self) {
        for index in 0..self.containers.len() {
            let wanted = self.spec_of(index).image;
            let changed = match &self.containers[index].flow {
                Flow::Running(running) => running.exec.container.image != wanted,
                _ => false,
            };
            if changed {
                let name = &self.containers[index].view.name;
                let message = format!("Container {name} definition changed, will be restarted");
                self.stop_container(index, message, self.node.grace(&self.pod));
            }
        }
    }

    pub(super) fn container_ended(&mut self, index: usize, exit: Exit, now: Timestamp) {
        let message = self.termination_message(index, exit);
        self.containers[index].ended(now, exit, message);
        if exit.code != 0 {
            self.report_blocked_ports(index);
        }
    }

    /// What the container wrote about its end, or the end of its log if it asked for that.
    pub(super) fn termination_message(&self, index: usize, exit: Exit) -> Option<String> {
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

    /// A wildcard listener of another program blocks its port on every loopback address: say who.
    pub(super) fn report_blocked_ports(&self, index: usize) {
        let specification = self.spec_of(index);
        for port in specification.ports.iter().flatten() {
            let Ok(number) = u16::try_from(port.container_port) else { continue };
            if let Some(holder) = net_holder::who_holds(number) {
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
}
