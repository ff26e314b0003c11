//! Waiting until every Deployment is available, and saying what keeps one from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures::{StreamExt, stream};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};
use kube::{
    Api, Client, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use serde_json::Value;

use super::{diagnosis, progress::Progress};

/// Namespace and name.
pub type Name = (String, String);

/// The Deployments did not become available in time.
#[derive(Debug, thiserror::Error)]
#[error("not available after {} s: {}", waited.as_secs(), missing.join(", "))]
pub struct NotReady {
    /// How long was waited.
    pub waited: Duration,
    /// Each Deployment that is not available, with the reason as far as it shows.
    pub missing: Vec<String>,
    /// Last Events and logs of the pods concerned; several lines.
    pub evidence: String,
}

/// The Deployments among manifests.
pub fn deployments(objects: &[&Value]) -> BTreeSet<Name> {
    let text =
        |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    objects
        .iter()
        .filter(|object| object["kind"] == "Deployment")
        .filter_map(|object| {
            let namespace = text(object, "/metadata/namespace").unwrap_or_else(|| "default".to_owned());
            Some((namespace, text(object, "/metadata/name")?))
        })
        .collect()
}

enum Seen {
    Deployment(watcher::Event<Deployment>),
    Pod(watcher::Event<Pod>),
    Failed(watcher::Error),
}

/// Waits until all the Deployments are available.
pub async fn wait(
    client: &Client,
    expected: &BTreeSet<Name>,
    limit: Duration,
    progress: &dyn Progress,
) -> Result<(), NotReady> {
    let deadline = tokio::time::sleep(limit);
    tokio::pin!(deadline);
    let mut events = watch(client, expected);
    let mut view = View::default();
    // Shows that time passes also when nothing changes.
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            Some(seen) = events.next() => view.take(seen),
            _ = tick.tick() => {}
            () = &mut deadline => {
                let missing = view.missing(expected);
                let evidence = match &view.failure {
                    Some(failure) => format!("the last watch failed: {failure}"),
                    None => diagnosis::of(client, &view.examples(expected)).await,
                };
                return Err(NotReady { waited: limit, missing, evidence });
            }
        }
        let missing = view.missing(expected);
        if missing.is_empty() {
            return Ok(());
        }
        progress.now(&format!("waiting for {} of {}: {}", missing.len(), expected.len(), missing.join(", ")));
    }
}

fn watch(client: &Client, expected: &BTreeSet<Name>) -> stream::BoxStream<'static, Seen> {
    let namespaces: BTreeSet<&str> = expected.iter().map(|(namespace, _)| namespace.as_str()).collect();
    let streams = namespaces.into_iter().flat_map(|namespace| {
        let deployments =
            watcher(Api::<Deployment>::namespaced(client.clone(), namespace), watcher::Config::default());
        let pods = watcher(Api::<Pod>::namespaced(client.clone(), namespace), watcher::Config::default());
        [
            deployments
                .default_backoff()
                .map(|event| event.map_or_else(Seen::Failed, Seen::Deployment))
                .boxed(),
            pods.default_backoff().map(|event| event.map_or_else(Seen::Failed, Seen::Pod)).boxed(),
        ]
    });
    stream::select_all(streams).boxed()
}

/// What the watches have shown so far.
#[derive(Default)]
struct View {
    deployments: BTreeMap<Name, Deployment>,
    pods: BTreeMap<Name, Pod>,
    failure: Option<String>,
}

impl View {
    fn take(&mut self, seen: Seen) {
        use watcher::Event::{Apply, Delete, InitApply};
        self.failure = None;
        match seen {
            Seen::Deployment(Apply(one) | InitApply(one)) => drop(self.deployments.insert(name(&one), one)),
            Seen::Deployment(Delete(one)) => drop(self.deployments.remove(&name(&one))),
            Seen::Pod(Apply(one) | InitApply(one)) => drop(self.pods.insert(name(&one), one)),
            Seen::Pod(Delete(one)) => drop(self.pods.remove(&name(&one))),
            Seen::Deployment(_) | Seen::Pod(_) => {}
            Seen::Failed(error) => self.failure = Some(crate::expected_error::chain(&error)),
        }
    }

    /// A text for each Deployment that is not available.
    fn missing(&self, expected: &BTreeSet<Name>) -> Vec<String> {
        let text = |key: &Name| {
            let Some(deployment) = self.deployments.get(key) else {
                return Some(format!("{} (not there)", key.1));
            };
            if is_available(deployment) {
                return None;
            }
            let reasons: BTreeSet<String> = self.unready(deployment).filter_map(pod_reason).collect();
            let reasons: Vec<String> = reasons.into_iter().collect();
            Some(if reasons.is_empty() {
                key.1.clone()
            } else {
                format!("{} ({})", key.1, reasons.join(", "))
            })
        };
        expected.iter().filter_map(text).collect()
    }

    /// For each Deployment that is not available, one of its pods: the others usually suffer from the same.
    fn examples(&self, expected: &BTreeSet<Name>) -> Vec<Pod> {
        let missing =
            expected.iter().filter_map(|key| self.deployments.get(key)).filter(|one| !is_available(one));
        missing.filter_map(|deployment| self.unready(deployment).next()).cloned().collect()
    }

    fn unready<'a>(&'a self, deployment: &'a Deployment) -> impl Iterator<Item = &'a Pod> {
        self.pods.values().filter(move |pod| {
            pod.namespace() == deployment.namespace()
                && pod.metadata.deletion_timestamp.is_none()
                && selects(&deployment.spec.selector, pod)
                && !pod_is_ready(pod)
        })
    }
}

fn name<K: ResourceExt>(object: &K) -> Name {
    (object.namespace().unwrap_or_default(), object.name_any())
}

/// As `kubectl rollout status` sees it: the controller has seen the latest spec, and all wanted pods are new and available.
fn is_available(deployment: &Deployment) -> bool {
    let Some(status) = &deployment.status else { return false };
    let wanted = deployment.spec.replicas.unwrap_or(1);
    status.observed_generation >= deployment.metadata.generation
        && status.updated_replicas.unwrap_or(0) >= wanted
        && status.available_replicas.unwrap_or(0) >= wanted
        && status.replicas.unwrap_or(0) <= status.updated_replicas.unwrap_or(0)
}

fn selects(selector: &LabelSelector, pod: &Pod) -> bool {
    let labels = pod.labels();
    selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value))
}

fn pod_is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What `kubectl get pods` shows as STATUS.
pub fn pod_status(pod: &Pod) -> String {
    if pod.metadata.deletion_timestamp.is_some() {
        return "Terminating".to_owned();
    }
    let phase = pod.status.as_ref().and_then(|status| status.phase.clone());
    pod_reason(pod).or(phase).unwrap_or_else(|| "Unknown".to_owned())
}

/// Why a pod is not ready, in the words of `kubectl get pods`.
fn pod_reason(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses)
        .flatten()
        .filter_map(|one| one.state.as_ref());
    containers
        .filter_map(|state| {
            let waiting = state.waiting.as_ref().and_then(|waiting| waiting.reason.clone());
            let terminated =
                state.terminated.as_ref().filter(|end| end.exit_code != 0).and_then(|end| end.reason.clone());
            waiting.or(terminated)
        })
        .next()
        .or_else(|| status.reason.clone())
        .or_else(|| status.phase.clone().filter(|phase| phase != "Running"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: Value) -> Deployment {
        serde_json::from_value(json!({
            "metadata": { "name": "auth", "namespace": "gallery", "generation": 2 },
            "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "auth" } }, "template": {} },
            "status": status,
        }))
        .unwrap()
    }

    fn pod(status: Value) -> Pod {
        let metadata = json!({ "name": "auth-1", "namespace": "gallery", "labels": { "app": "auth" } });
        serde_json::from_value(json!({ "metadata": metadata, "status": status })).unwrap()
    }

    #[test]
    fn a_status_that_is_older_than_the_spec_does_not_count() {
        let status = |generation| json!({ "observedGeneration": generation, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1 });
        assert!(is_available(&deployment(status(2))));
        assert!(!is_available(&deployment(status(1))));
        assert!(!is_available(&deployment(json!({ "observedGeneration": 2 }))));
        let rolling =
            json!({ "observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 2 });
        assert!(!is_available(&deployment(rolling)), "an old pod is still there");
    }

    #[test]
    fn what_is_missing_is_named_with_the_reason_of_its_pod() {
        let expected = BTreeSet::from([
            ("gallery".to_owned(), "auth".to_owned()),
            ("gallery".to_owned(), "api".to_owned()),
        ]);
        let mut view = View::default();
        view.take(Seen::Deployment(watcher::Event::Apply(deployment(json!({})))));
        let waiting = json!({ "name": "auth", "image": "", "imageID": "", "ready": false, "restartCount": 3,
            "state": { "waiting": { "reason": "CrashLoopBackOff" } } });
        view.take(Seen::Pod(watcher::Event::Apply(pod(
            json!({ "phase": "Running", "containerStatuses": [waiting] }),
        ))));
        assert_eq!(view.missing(&expected), ["api (not there)", "auth (CrashLoopBackOff)"]);
        assert_eq!(view.examples(&expected).len(), 1);
        view.take(Seen::Pod(watcher::Event::Apply(pod(json!({ "phase": "Pending" })))));
        assert_eq!(view.missing(&expected), ["api (not there)", "auth (Pending)"]);
    }
}
