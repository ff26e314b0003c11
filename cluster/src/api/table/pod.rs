//! The Ready, Status and Restarts columns of pods (`printPod`).

use jiff::Timestamp;
use serde_json::{Value, json};

use super::duration;
use crate::store::text_at;

/// What `kubectl get pods` says about a pod's containers.
pub struct Summary {
    /// `1/2`.
    pub ready: String,
    /// Phase, or the reason that tells more.
    pub status: String,
    /// `3 (2m ago)`.
    pub restarts: String,
}

/// Summarises a pod.
pub fn summary(pod: &Value, now: Timestamp) -> Summary {
    let list = |name: &str| pod["status"][name].as_array().map(Vec::as_slice).unwrap_or_default();
    let total = pod["spec"]["containers"].as_array().map_or(0, Vec::len);
    let phase = text_at(pod, "/status/phase");
    let mut reason = phase.to_owned();
    if let Some(text) = pod["status"]["reason"].as_str().filter(|text| !text.is_empty()) {
        text.clone_into(&mut reason);
    }
    let mut restarts = 0;
    let mut last_restart = None;
    let mut ready = 0;
    let initializing = initializing(pod, list("initContainerStatuses"), &mut restarts, &mut last_restart);
    if let Some(text) = &initializing {
        text.clone_into(&mut reason);
    }
    if initializing.is_none() || condition(pod, "Initialized") {
        restarts = 0;
        let mut running = false;
        for status in list("containerStatuses").iter().rev() {
            count_restarts(status, &mut restarts, &mut last_restart);
            let state = &status["state"];
            if let Some(text) = state["waiting"]["reason"].as_str().filter(|text| !text.is_empty()) {
                text.clone_into(&mut reason);
            } else if !state["terminated"].is_null() {
                reason = terminated(&state["terminated"]);
            } else if status["ready"] == true && !state["running"].is_null() {
                running = true;
                ready += 1;
            }
        }
        if reason == "Completed" && running {
            reason = if condition(pod, "Ready") { "Running" } else { "NotReady" }.to_owned();
        }
    }
    if !pod["metadata"]["deletionTimestamp"].is_null() && !matches!(phase, "Succeeded" | "Failed") {
        reason = if pod["status"]["reason"] == "NodeLost" { "Unknown" } else { "Terminating" }.to_owned();
    }
    let restarts = match last_restart {
        Some(time) if restarts > 0 => {
            format!("{restarts} ({} ago)", duration::human(now.duration_since(time).as_secs()))
        }
        _ => restarts.to_string(),
    };
    Summary { ready: format!("{ready}/{total}"), status: reason, restarts }
}

/// The status text of a pod whose init containers are not done.
fn initializing(
    pod: &Value,
    statuses: &[Value],
    restarts: &mut i64,
    last_restart: &mut Option<Timestamp>,
) -> Option<String> {
    let total = pod["spec"]["initContainers"].as_array().map_or(0, Vec::len);
    for (index, status) in statuses.iter().enumerate() {
        count_restarts(status, restarts, last_restart);
        let state = &status["state"];
        if state["terminated"]["exitCode"] == 0 {
            continue;
        }
        if !state["terminated"].is_null() {
            return Some(format!("Init:{}", terminated(&state["terminated"])));
        }
        return Some(match state["waiting"]["reason"].as_str() {
            Some(reason) if !reason.is_empty() && reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{index}/{total}"),
        });
    }
    None
}

fn count_restarts(status: &Value, restarts: &mut i64, last: &mut Option<Timestamp>) {
    *restarts += status["restartCount"].as_i64().unwrap_or(0);
    let finished = text_at(status, "/lastState/terminated/finishedAt").parse::<Timestamp>().ok();
    *last = (*last).max(finished);
}

fn terminated(state: &Value) -> String {
    match state["reason"].as_str().filter(|reason| !reason.is_empty()) {
        Some(reason) => reason.to_owned(),
        None => match state["signal"].as_i64().filter(|signal| *signal != 0) {
            Some(signal) => format!("Signal:{signal}"),
            None => format!("ExitCode:{}", state["exitCode"].as_i64().unwrap_or(0)),
        },
    }
}

fn condition(pod: &Value, kind: &str) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    conditions
        .into_iter()
        .flatten()
        .any(|condition| condition["type"] == kind && condition["status"] == "True")
}

/// Conditions of a row: kubectl greys out what is completed.
pub fn row_conditions(pod: &Value) -> Option<Value> {
    let (reason, message) = match text_at(pod, "/status/phase") {
        "Succeeded" => ("Succeeded", "The pod has completed successfully."),
        "Failed" => ("Failed", "The pod failed."),
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": reason, "message": message}]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status_of(status: Value) -> String {
        let pod = json!({
            "spec": {"initContainers": [{"name": "i"}, {"name": "j"}], "containers": [{"name": "a"}]},
            "status": status,
        });
        summary(&pod, Timestamp::now()).status
    }

    #[test]
    fn the_status_column_tells_the_most_useful_reason() {
        let init = json!({"phase": "Pending", "initContainerStatuses": [{"state": {"running": {}}}]});
        assert_eq!(status_of(init), "Init:0/2");
        let crash = json!({"phase": "Running", "containerStatuses": [{"state": {"waiting": {"reason": "CrashLoopBackOff"}}}]});
        assert_eq!(status_of(crash), "CrashLoopBackOff");
        let failed = json!({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 3, "reason": "Error"}}}]});
        assert_eq!(status_of(failed), "Error");
    }

    #[test]
    fn restarts_say_when_the_last_one_was() {
        let finished = Timestamp::now().to_string();
        let pod = json!({"spec": {"containers": [{}]}, "status": {"phase": "Running", "containerStatuses": [{
            "ready": true, "restartCount": 2, "state": {"running": {}}, "lastState": {"terminated": {"finishedAt": finished}}}]}});
        let summary = summary(&pod, Timestamp::now());
        assert_eq!((summary.ready.as_str(), summary.restarts.as_str()), ("1/1", "2 (0s ago)"));
    }
}
