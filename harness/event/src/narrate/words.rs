//! Parts of sentences.

use crate::{CancelReason, FaultAction, Labels, Notification, ObservedPod, Phase, PodLog};

/// Name of an alert.
pub(super) fn alert_name(labels: &Labels) -> &str {
    labels.get("alertname").map_or("?", String::as_str)
}

/// `APIServiceDown{service="api"}`: an alert's name, and the labels that tell alerts of one name apart.
pub fn describe_alert(labels: &Labels) -> String {
    const USUAL: [&str; 5] = ["alertname", "severity", "job", "namespace", "endpoint"];
    let rest: Vec<_> = labels
        .iter()
        .filter(|(name, _)| !USUAL.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if rest.is_empty() {
        alert_name(labels).to_owned()
    } else {
        format!("{}{{{}}}", alert_name(labels), rest.join(", "))
    }
}

/// What a fault does to its targets, which follow: `scales to 0:`.
pub fn fault_does(action: &FaultAction) -> String {
    match action {
        FaultAction::Scale { replicas, .. } => format!("scales to {replicas}:"),
        FaultAction::DeletePods { .. } => "deletes".to_owned(),
        FaultAction::Restart { .. } => "restarts".to_owned(),
    }
}

/// What a fault is aimed at, as it is asked for.
pub(super) fn aim(action: &FaultAction) -> String {
    match action {
        FaultAction::Scale { workload, .. } | FaultAction::Restart { workload } => workload.to_string(),
        FaultAction::DeletePods { selector, count: Some(count), .. } => {
            format!("{count} of the pods {selector}")
        }
        FaultAction::DeletePods { selector, count: None, .. } => format!("pods {selector}"),
    }
}

pub(super) fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Prepare => "prepare",
        Phase::Baseline => "baseline",
        Phase::Fault => "fault",
        Phase::Heal => "heal",
        Phase::Recovery => "recovery",
        Phase::Verdict => "verdict",
    }
}

pub(super) fn notified(notification: &Notification) -> String {
    let mut names: Vec<_> = notification
        .alerts
        .iter()
        .map(|alert| format!("{} {}", alert_name(&alert.labels), alert.status))
        .collect();
    names.sort();
    names.dedup();
    format!("notification at {}: {}", notification.receiver, names.join(", "))
}

pub(super) fn cancelled(reason: &CancelReason) -> String {
    match reason {
        CancelReason::Signal(signal) => format!("cancelled by {signal}"),
        CancelReason::Internal(error) => format!("the harness failed: {error}"),
        CancelReason::Recovered => "the run had been interrupted; it is being rolled back".to_owned(),
    }
}

/// A pod's state: `Running, ready`, `CrashLoopBackOff, not ready, 3 restarts`.
pub(super) fn pod(seen: &ObservedPod) -> String {
    if seen.gone {
        return "gone".to_owned();
    }
    let ready = if seen.ready { "ready" } else { "not ready" };
    let restarts = match seen.restarts {
        0 => String::new(),
        1 => ", 1 restart".to_owned(),
        many => format!(", {many} restarts"),
    };
    format!("{}, {ready}{restarts}", seen.status)
}

/// An excerpt of a log, without its lines.
pub fn excerpt(log: &PodLog) -> String {
    let instance = if log.previous { ", the instance before" } else { "" };
    let of = format!("log of pod/{}, {}{instance}", log.pod, log.container);
    match (&log.error, log.lines.len()) {
        (Some(error), _) => format!("{of}: not read: {error}"),
        (None, 1) => format!("{of}: 1 line kept ({})", log.why),
        (None, lines) => format!("{of}: {lines} lines kept ({})", log.why),
    }
}
