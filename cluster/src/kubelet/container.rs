//! What the pod worker keeps about one container, and the rules for its restarts. Pure: time is passed in.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
};
use tokio::task::JoinHandle;

use super::{
    backoff::Backoff,
    exec::ExecContext,
    probes::ProbeTracker,
    process::{ContainerProcess, Exit},
    status::{self, ContainerKind, ContainerView, terminated, whole_seconds},
};

/// How long an ended container shows its end before it shows that it waits for its next attempt.
const SHOW_END: Duration = Duration::from_secs(1);
/// How often a container waiting in back-off says so in an event, and a configuration error is tried again.
pub const REPEAT: Duration = Duration::from_secs(12);

/// What happens with a container next.
#[derive(Debug)]
pub enum Flow {
    /// Not begun, or ended for good.
    Idle,
    /// A start task is at work; it ends with this state.
    Starting(#[expect(dead_code, reason = "held for its drop")] Task),
    /// Runs; the probes' tasks end with it.
    Running(Running),
    /// Waits for its next attempt.
    BackOff(BackOffWait),
}

/// Why and until when a container waits.
#[derive(Clone, Debug)]
pub struct BackOffWait {
    /// When the next attempt is made.
    pub until: Timestamp,
    /// When the waiting state and its event are due next.
    pub show_at: Timestamp,
    /// What it waits for.
    pub kind: BackOffKind,
}

/// What a container in back-off waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackOffKind {
    /// A restart.
    Crash,
    /// An image; the error of the last attempt.
    Image(String),
    /// A ConfigMap or Secret.
    Config,
}

/// A task that ends with its handle.
#[derive(Debug)]
pub struct Task(pub JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A running container.
#[derive(Debug)]
pub struct Running {
    /// The process behind it.
    pub process: ContainerProcess,
    /// How to run something beside it.
    pub exec: Arc<ExecContext>,
    /// Its probes: startup, liveness, readiness.
    pub probes: [Option<(ProbeTracker, Option<Task>)>; 3],
    /// The task that stops it, and the grace it was given.
    pub stopping: Option<(Task, Duration)>,
}

/// One container of a pod.
#[derive(Debug)]
pub struct ContainerRuntime {
    /// What the status shows.
    pub view: ContainerView,
    /// What happens next.
    pub flow: Flow,
    /// Attempt number: messages of earlier attempts are dropped.
    pub attempt: u64,
    /// Whether a container was created before, so that the next one counts as a restart.
    pub created: bool,
    /// Back-off of restarts.
    pub crash: Backoff,
    /// Back-off of image pulls.
    pub pull: Backoff,
    /// When the last attempt ended, to the nanosecond.
    pub ended_at: Option<Timestamp>,
    /// An end that was reported before the start was.
    pub early_exit: Option<Exit>,
    /// Set when the kubelet itself ends it although the pod goes on (failed liveness or startup probe).
    pub killed_by_probe: bool,
}

impl ContainerRuntime {
    /// A container that was not started yet.
    pub fn new(container: &Container, kind: ContainerKind, reason: &str) -> Self {
        Self {
            view: ContainerView::waiting(container, kind, reason),
            flow: Flow::Idle,
            attempt: 0,
            created: false,
            crash: Backoff::default(),
            pull: Backoff::default(),
            ended_at: None,
            early_exit: None,
            killed_by_probe: false,
        }
    }

    /// True while a process may exist.
    pub fn is_alive(&self) -> bool {
        matches!(self.flow, Flow::Starting(_) | Flow::Running(_))
    }

    /// Takes the next attempt: its restart count is in the view when its logs are opened.
    pub fn begin(&mut self) {
        self.attempt += 1;
        self.early_exit = None;
        self.killed_by_probe = false;
    }

    /// Restart count of the attempt that begins now.
    pub fn next_restart_count(&self) -> i32 {
        if self.created { self.view.restart_count + 1 } else { self.view.restart_count }
    }

    /// The container runs.
    pub fn started(
        &mut self,
        at: Timestamp,
        running: Running,
        container_id: String,
        image_id: String,
        ready: bool,
    ) {
        self.remember_end();
        self.view.restart_count = self.next_restart_count();
        self.created = true;
        self.view.container_id = Some(container_id);
        self.view.image_id = image_id;
        self.view.state = ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(whole_seconds(at)) }),
            ..ContainerState::default()
        };
        self.view.started = running.probes[0].is_none();
        // An init container is never ready while it runs.
        self.view.ready = self.view.started && ready && self.view.kind != ContainerKind::Init;
        self.flow = Flow::Running(running);
    }

    /// The program could not be executed: counts as an end with code 128, shown as waiting.
    pub fn failed_to_run(&mut self, at: Timestamp, message: &str, container_id: String, image_id: String) {
        self.remember_end();
        self.view.restart_count = self.next_restart_count();
        self.created = true;
        self.view.container_id = Some(container_id.clone());
        self.view.image_id = image_id;
        self.view.last = Some(ContainerStateTerminated {
            container_id: Some(container_id),
            exit_code: 128,
            reason: Some("StartError".to_owned()),
            message: Some(message.to_owned()),
            started_at: Some(whole_seconds(Timestamp::UNIX_EPOCH)),
            finished_at: Some(whole_seconds(at)),
            ..ContainerStateTerminated::default()
        });
        self.ended_at = Some(at);
        self.view.state = status::waiting("RunContainerError", Some(message.to_owned()));
        self.flow = Flow::Idle;
    }

    /// The container ended.
    pub fn ended(&mut self, at: Timestamp, exit: Exit, message: Option<String>) {
        let started_at = self.view.state.running.as_ref().and_then(|state| state.started_at.clone());
        let reason = match exit.code {
            0 => "Completed",
            _ if exit.oom_killed => "OOMKilled",
            _ => "Error",
        };
        self.view.state = terminated(ContainerStateTerminated {
            container_id: self.view.container_id.clone(),
            exit_code: exit.code,
            reason: Some(reason.to_owned()),
            message: message.filter(|message| !message.is_empty()),
            started_at,
            finished_at: Some(whole_seconds(at)),
            ..ContainerStateTerminated::default()
        });
        self.ended_at = Some(at);
        self.view.started = false;
        // A finished init container counts as ready.
        self.view.ready = self.view.kind == ContainerKind::Init && exit.code == 0;
        self.flow = Flow::Idle;
    }

    /// A pod is taken down whose container never came to exist.
    pub fn never_existed(&mut self) {
        self.flow = Flow::Idle;
        if self.view.state.waiting.is_some() {
            self.view.state = terminated(ContainerStateTerminated {
                exit_code: 137,
                reason: Some("ContainerStatusUnknown".to_owned()),
                message: Some("The container could not be located when the pod was terminated".to_owned()),
                ..ContainerStateTerminated::default()
            });
        }
    }

    fn remember_end(&mut self) {
        if let Some(end) = self.view.state.terminated.take() {
            self.view.last = Some(end);
        }
    }

    /// The last end: of this attempt, or of the one before it while this one waits.
    pub fn last_end(&self) -> Option<&ContainerStateTerminated> {
        self.view.state.terminated.as_ref().or(self.view.last.as_ref())
    }

    /// True if the container, as it is now, is to be started (again) under this policy.
    pub fn wants_start(&self, policy: &str) -> bool {
        let policy = if self.view.kind == ContainerKind::Sidecar { "Always" } else { policy };
        match (self.view.kind, self.last_end()) {
            (_, None) => true,
            (ContainerKind::Init, Some(end)) => end.exit_code != 0 && policy != "Never",
            (_, Some(_)) if policy == "Always" => true,
            (_, Some(end)) => policy == "OnFailure" && end.exit_code != 0,
        }
    }

    /// Decides about a start: now (`None`, and the back-off advances), or a wait.
    pub fn plan_start(&mut self, now: Timestamp) -> Option<BackOffWait> {
        let ended = self.ended_at?;
        match self.crash.wait_until(ended, now) {
            Some(until) => Some(BackOffWait { until, show_at: now + SHOW_END, kind: BackOffKind::Crash }),
            None => {
                self.crash.next(ended, now);
                None
            }
        }
    }

    /// An image could not be had.
    pub fn pull_failed(&mut self, message: String, now: Timestamp) {
        self.pull.next(now, now);
        self.view.state = status::waiting("ErrImagePull", Some(message.clone()));
        let until = now + self.pull.current();
        self.flow =
            Flow::BackOff(BackOffWait { until, show_at: now + SHOW_END, kind: BackOffKind::Image(message) });
    }

    /// A reference could not be resolved, or the container could not be set up.
    pub fn config_failed(&mut self, reason: &str, message: String, now: Timestamp) {
        self.remember_end();
        self.view.state = status::waiting(reason, Some(message));
        let until = now + REPEAT;
        self.flow = Flow::BackOff(BackOffWait { until, show_at: until, kind: BackOffKind::Config });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    fn ended(kind: ContainerKind, code: i32) -> ContainerRuntime {
        let mut container = ContainerRuntime::new(&Container::default(), kind, "ContainerCreating");
        container.ended(at(0), Exit { code, signal: None, oom_killed: false }, None);
        container
    }

    #[test]
    fn the_restart_policy_decides() {
        use ContainerKind::{Init, Main, Sidecar};
        let cases = [
            (Main, "Always", 0, true),
            (Main, "Always", 1, true),
            (Main, "OnFailure", 0, false),
            (Main, "OnFailure", 1, true),
            (Main, "Never", 1, false),
            (Init, "Always", 0, false),
            (Init, "Always", 1, true),
            (Init, "OnFailure", 1, true),
            (Init, "Never", 1, false),
            (Sidecar, "Never", 0, true),
        ];
        for (kind, policy, code, expected) in cases {
            assert_eq!(ended(kind, code).wants_start(policy), expected, "{kind:?} {policy} {code}");
        }
        let fresh = ContainerRuntime::new(&Container::default(), Main, "ContainerCreating");
        assert!(fresh.wants_start("Never"));
    }

    #[test]
    fn a_program_that_cannot_run_counts_as_an_end() {
        let mut container =
            ContainerRuntime::new(&Container::default(), ContainerKind::Main, "ContainerCreating");
        for (second, count) in [(0, 0), (1, 1)] {
            assert!(container.plan_start(at(second)).is_none());
            container.begin();
            container.failed_to_run(at(second), "no such file", "process://x".to_owned(), String::new());
            assert_eq!(container.view.restart_count, count);
            assert_eq!(container.view.last.as_ref().unwrap().exit_code, 128);
        }
        let wait = container.plan_start(at(1)).unwrap();
        assert_eq!((wait.until, wait.kind), (at(11), BackOffKind::Crash));
    }

    #[test]
    fn the_wait_for_an_image_doubles() {
        let mut container =
            ContainerRuntime::new(&Container::default(), ContainerKind::Main, "ContainerCreating");
        let mut now = 0;
        for wait in [10, 20, 40, 80, 160, 300, 300] {
            container.pull_failed("nope".to_owned(), at(now));
            let Flow::BackOff(back_off) = &container.flow else { panic!("no back-off") };
            assert_eq!(back_off.until, at(now + wait));
            now += wait;
        }
    }
}
