//! The tasks that accompany a running container: its probes and its end.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{LifecycleHandler, Pod, Probe};
use tokio::time::{Instant, MissedTickBehavior};

use super::{
    Node,
    container::{Running, Task},
    events::EventType,
    exec::ExecContext,
    probes::{ProbeKind, ProbeTiming, ProbeTracker},
};

/// What a container still gets after a `preStop` hook that used up the grace period.
const EXTRA_GRACE: Duration = Duration::from_secs(2);
/// SIGKILL is repeated for as long as something survives, which only a process stuck in the kernel does.
const KILL_AGAIN: Duration = Duration::from_secs(5);

/// A tracker with a probe's thresholds.
pub fn tracker(probe: &Probe) -> ProbeTracker {
    ProbeTracker::new(&ProbeTiming::of(probe))
}

/// Runs a probe again and again until the task is dropped or nobody listens any more.
pub fn probe_loop(
    node: &Arc<Node>,
    exec: &Arc<ExecContext>,
    kind: ProbeKind,
    started_at: Timestamp,
    report: impl Fn(ProbeKind, Result<(), String>) -> bool + Send + 'static,
) -> Task {
    let (node, exec) = (node.clone(), exec.clone());
    Task(tokio::spawn(async move {
        let Some(probe) = kind.of(&exec.container) else { return };
        let timing = ProbeTiming::of(probe);
        let running: Duration = Timestamp::now().duration_since(started_at).try_into().unwrap_or_default();
        let first = Instant::now() + timing.initial_delay.saturating_sub(running);
        let mut ticks = tokio::time::interval_at(first, timing.period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let result = exec.probe(&node.launcher, probe, timing.timeout).await;
            node.accounts.probed(&exec.owner.pod_uid, &exec.owner.container, kind, result.is_ok());
            if !report(kind, result) {
                return;
            }
        }
    }))
}

/// Stops a container: `preStop` hook, stop signal, then SIGKILL to everything when `grace` is over. The task is dropped when
/// the container ended.
pub fn spawn(
    node: &Arc<Node>,
    running: &Running,
    hook: Option<(LifecycleHandler, Arc<Pod>)>,
    grace: Duration,
) -> Task {
    let (node, exec, process) = (node.clone(), running.exec.clone(), running.process.handle());
    let work = async move {
        let begun = Instant::now();
        let mut left = grace;
        if let Some((hook, pod)) = hook {
            if let Err(message) = exec.hook(&node.launcher, &hook, grace).await {
                let message = format!("PreStopHook failed: {message}");
                let name = &exec.owner.container;
                node.container_event(&pod, name, EventType::Warning, "FailedPreStopHook", message);
            }
            left = grace.saturating_sub(begun.elapsed()).max(EXTRA_GRACE);
        }
        process.signal(exec.stop_signal);
        tokio::time::sleep(left).await;
        loop {
            process.kill();
            tokio::time::sleep(KILL_AGAIN).await;
        }
    };
    Task(tokio::spawn(work))
}
