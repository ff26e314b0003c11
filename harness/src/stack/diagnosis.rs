//! What a person would look up about pods that do not get ready: their last Events and the end of their logs.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, LogParams},
};

/// How many Events and log lines are shown for a pod, and how much of a line.
const EVENTS: usize = 5;
const LOG_LINES: i64 = 8;
const LINE: usize = 240;
/// Time limit for the look at one pod.
const LIMIT: Duration = Duration::from_secs(5);

/// Events and logs of pods, as text of several lines.
pub async fn of(client: &Client, pods: &[Pod]) -> String {
    let mut lines = Vec::new();
    for pod in pods {
        let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
        lines.push(format!("pod {namespace}/{name}"));
        match tokio::time::timeout(LIMIT, one(client, pod, &namespace, &name)).await {
            Ok(found) => lines.extend(found.iter().map(|line| format!("  {}", cut(line)))),
            Err(_) => lines.push("  the API server does not answer".to_owned()),
        }
    }
    lines.join("\n")
}

async fn one(client: &Client, pod: &Pod, namespace: &str, name: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for status in pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten()) {
        let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref());
        if let Some(message) = waiting.and_then(|waiting| waiting.message.as_ref()) {
            lines.push(format!("{}: {message}", status.name));
        }
    }
    lines.extend(events(client, namespace, name).await.iter().map(|event| format!("event: {event}")));
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    for container in pod.spec.iter().flat_map(|spec| &spec.containers) {
        let mut log = tail(&api, name, &container.name, false).await;
        if log.is_empty() {
            log = tail(&api, name, &container.name, true).await;
        }
        lines.extend(log.iter().map(|line| format!("log of {}: {line}", container.name)));
    }
    lines
}

fn cut(line: &str) -> String {
    match line.char_indices().nth(LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

async fn events(client: &Client, namespace: &str, pod: &str) -> Vec<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let selected = ListParams::default().fields(&format!("involvedObject.name={pod}"));
    let Ok(list) = api.list(&selected).await else { return Vec::new() };
    let mut events = list.items;
    events.sort_by_key(|event| event.last_timestamp.as_ref().map(|time| time.0));
    let line = |event: &Event| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        format!("{} {}", text(&event.reason), text(&event.message))
    };
    events.iter().skip(events.len().saturating_sub(EVENTS)).map(line).collect()
}

async fn tail(api: &Api<Pod>, pod: &str, container: &str, previous: bool) -> Vec<String> {
    let params = LogParams {
        container: Some(container.to_owned()),
        tail_lines: Some(LOG_LINES),
        previous,
        ..LogParams::default()
    };
    let text = api.logs(pod, &params).await.unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}
