//! Events: one writer task keeps their order and counts repetitions in the same object, as client-go's recorder does.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, ObjectReference, Pod};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use tokio::sync::mpsc;

use super::status::whole_seconds;

/// Events remembered for counting; older ones start again with a count of one.
const REMEMBERED: usize = 4096;

/// `Normal` or `Warning`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// All is well.
    Normal,
    /// Somebody should look.
    Warning,
}

impl EventType {
    fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// Sends events to the writer. Cheap to clone, never blocks.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::UnboundedSender<Job>,
    node: Arc<str>,
}

#[derive(Debug)]
enum Job {
    Event(Box<Event>),
    Flush(tokio::sync::oneshot::Sender<()>),
}

/// A reference to a pod, or to one of its containers by `spec.containers{name}`.
pub fn reference(pod: &Pod, field_path: Option<String>) -> ObjectReference {
    ObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        namespace: pod.metadata.namespace.clone(),
        name: pod.metadata.name.clone(),
        uid: pod.metadata.uid.clone(),
        resource_version: pod.metadata.resource_version.clone(),
        field_path,
    }
}

impl Recorder {
    /// Starts the writer task; it ends when all recorders are dropped.
    pub fn start(client: Client, node: &str) -> Self {
        let (sender, inbox) = mpsc::unbounded_channel();
        tokio::spawn(write(client, inbox));
        Self { sender, node: node.into() }
    }

    /// An event as the kubelet writes it.
    pub fn kubelet(
        &self,
        object: ObjectReference,
        kind: EventType,
        reason: &str,
        message: impl Into<String>,
    ) {
        let now = Timestamp::now();
        let event = json!({
            "metadata": {"namespace": object.namespace, "name": event_name(&object, now)},
            "involvedObject": object,
            "reason": reason,
            "message": message.into(),
            "type": kind.name(),
            "source": {"component": "kubelet", "host": &*self.node},
            "reportingComponent": "kubelet",
            "reportingInstance": &*self.node,
            "firstTimestamp": seconds(now),
            "lastTimestamp": seconds(now),
            "count": 1,
        });
        self.send(event);
    }

    /// An event as the scheduler writes it: the newer form with `eventTime` and without counts.
    pub fn scheduler(
        &self,
        object: ObjectReference,
        kind: EventType,
        reason: &str,
        action: &str,
        message: &str,
    ) {
        let now = Timestamp::now();
        let event = json!({
            "metadata": {"namespace": object.namespace, "name": event_name(&object, now)},
            "involvedObject": object,
            "reason": reason,
            "message": message,
            "type": kind.name(),
            "action": action,
            "source": {},
            "eventTime": format!("{now:.6}"),
            "reportingComponent": "default-scheduler",
            "reportingInstance": format!("default-scheduler-{}", self.node),
        });
        self.send(event);
    }

    /// Waits until everything sent before is written.
    pub async fn flush(&self) {
        let (done, written) = tokio::sync::oneshot::channel();
        if self.sender.send(Job::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }

    fn send(&self, event: serde_json::Value) {
        match serde_json::from_value(event) {
            Ok(event) => drop(self.sender.send(Job::Event(Box::new(event)))),
            Err(error) => tracing::error!(%error, "an event could not be built"),
        }
    }
}

fn event_name(object: &ObjectReference, now: Timestamp) -> String {
    format!("{}.{:016x}", object.name.as_deref().unwrap_or_default(), now.as_nanosecond() as u64)
}

/// Kubernetes' `Time` has whole seconds, cut off.
fn seconds(time: Timestamp) -> String {
    whole_seconds(time).0.to_string()
}

type Key = (Option<String>, Option<String>, Option<String>, Option<String>, Option<String>);

fn key(event: &Event) -> Key {
    let object = &event.involved_object;
    (
        object.uid.clone(),
        object.field_path.clone(),
        event.type_.clone(),
        event.reason.clone(),
        event.message.clone(),
    )
}

async fn write(client: Client, mut inbox: mpsc::UnboundedReceiver<Job>) {
    let mut seen: HashMap<Key, (String, i32)> = HashMap::new();
    let mut order: VecDeque<Key> = VecDeque::new();
    while let Some(job) = inbox.recv().await {
        let event = match job {
            Job::Event(event) => event,
            Job::Flush(done) => {
                let _ = done.send(());
                continue;
            }
        };
        let namespace = event.metadata.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let api: Api<Event> = Api::namespaced(client.clone(), &namespace);
        let counted = event.count.is_some();
        let key = key(&event);
        if counted && let Some((name, count)) = seen.get_mut(&key) {
            *count += 1;
            let patch =
                json!({"count": *count, "lastTimestamp": event.last_timestamp, "message": event.message});
            match api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
                Ok(_) => continue,
                // Somebody deleted it: write it anew below.
                Err(kube::Error::Api(status)) if status.is_not_found() => {
                    seen.remove(&key);
                }
                Err(error) => {
                    tracing::debug!(%error, "an event could not be counted up");
                    continue;
                }
            }
        }
        match api.create(&PostParams::default(), &event).await {
            Ok(written) if counted => {
                let name = written.metadata.name.unwrap_or_default();
                if seen.insert(key.clone(), (name, 1)).is_none() {
                    order.push_back(key);
                }
                if order.len() > REMEMBERED
                    && let Some(oldest) = order.pop_front()
                {
                    seen.remove(&oldest);
                }
            }
            Ok(_) => {}
            // The namespace is going away: nobody will read it.
            Err(error) => tracing::debug!(%error, "an event could not be written"),
        }
    }
}
