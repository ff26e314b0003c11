//! Events as the controllers write them, with client-go's correlation: repetitions count up, many similar ones are combined,
//! and a source that talks too much about one object is cut off.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::if_found;

/// From this many different messages of one kind on they are combined.
const SIMILAR_LIMIT: usize = 10;
/// Similar events further apart than this are not combined.
const SIMILAR_WINDOW: Duration = Duration::from_secs(600);
/// Events of one source about one object that pass at once, and the time after which one more may.
const BURST: f64 = 25.0;
const REFILL: Duration = Duration::from_secs(300);
/// Correlation entries kept; beyond it the state starts anew, which costs nothing but a repeated event.
const MAX_ENTRIES: usize = 4096;

/// Normal or Warning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something happened as intended.
    Normal,
    /// Something somebody may have to look at.
    Warning,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

#[derive(Debug)]
struct Note {
    about: ObjectReference,
    severity: Severity,
    reason: &'static str,
    message: String,
    component: &'static str,
}

/// Takes events and writes them in the order they came, behind the back of the caller.
#[derive(Clone, Debug)]
pub struct Recorder {
    sender: mpsc::UnboundedSender<Note>,
    component: &'static str,
}

impl Recorder {
    /// A recorder for `component`, and the task that writes.
    pub fn start(client: Client, component: &'static str, shutdown: CancellationToken) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(write_all(client, receiver, shutdown));
        Self { sender, component }
    }

    /// The same recorder under the name of another component.
    #[must_use]
    pub fn named(&self, component: &'static str) -> Self {
        Self { sender: self.sender.clone(), component }
    }

    /// Records an event about `object`.
    pub fn record<K>(&self, object: &K, severity: Severity, reason: &'static str, message: String)
    where
        K: Resource<DynamicType = ()>,
    {
        let about = object.object_ref(&());
        let note = Note { about, severity, reason, message, component: self.component };
        // The writer ends only with the cluster; an event lost then has no reader.
        let _ = self.sender.send(note);
    }
}

/// What to do with a note.
#[derive(Debug, PartialEq)]
enum Write {
    Drop,
    Create { key: Key, message: String },
    CountUp { name: String, count: i32, message: String },
}

/// Everything that makes two events similar, plus the message for those that are not combined.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    component: &'static str,
    severity: &'static str,
    reason: &'static str,
    kind: String,
    namespace: String,
    name: String,
    uid: String,
    message: Option<String>,
}

impl Key {
    fn of(note: &Note) -> Self {
        let about = &note.about;
        Self {
            component: note.component,
            severity: note.severity.as_str(),
            reason: note.reason,
            kind: about.kind.clone().unwrap_or_default(),
            namespace: about.namespace.clone().unwrap_or_default(),
            name: about.name.clone().unwrap_or_default(),
            uid: about.uid.clone().unwrap_or_default(),
            message: None,
        }
    }
}

/// Pure bookkeeping of client-go's `EventCorrelator`.
#[derive(Debug, Default)]
struct Correlator {
    similar: HashMap<Key, (BTreeSet<String>, Option<Instant>)>,
    written: HashMap<Key, (String, i32)>,
    buckets: HashMap<(&'static str, String), (f64, Option<Instant>)>,
}

impl Correlator {
    fn decide(&mut self, note: &Note, now: Instant) -> Write {
        if self.similar.len() + self.written.len() + self.buckets.len() > MAX_ENTRIES {
            *self = Self::default();
        }
        let similar = Key::of(note);
        let (messages, last) = self.similar.entry(similar.clone()).or_default();
        if last.is_some_and(|last| now.duration_since(last) > SIMILAR_WINDOW) {
            messages.clear();
        }
        *last = Some(now);
        messages.insert(note.message.clone());
        let (key, message) = if messages.len() < SIMILAR_LIMIT {
            (Key { message: Some(note.message.clone()), ..similar }, note.message.clone())
        } else {
            messages.pop_first();
            (similar, format!("(combined from similar events): {}", note.message))
        };
        let spam = (note.component, format!("{}/{}", key.namespace, key.uid));
        let (tokens, filled) = self.buckets.entry(spam).or_insert((BURST, None));
        if let Some(filled) = *filled {
            *tokens = (*tokens + now.duration_since(filled).as_secs_f64() / REFILL.as_secs_f64()).min(BURST);
        }
        *filled = Some(now);
        let passes = *tokens >= 1.0;
        if passes {
            *tokens -= 1.0;
        }
        match self.written.get_mut(&key) {
            Some((name, count)) => {
                *count += 1;
                if !passes {
                    return Write::Drop;
                }
                Write::CountUp { name: name.clone(), count: *count, message }
            }
            None if passes => Write::Create { key, message },
            None => Write::Drop,
        }
    }

    fn created(&mut self, key: Key, name: String) {
        self.written.insert(key, (name, 1));
    }
}

async fn write_all(client: Client, mut notes: mpsc::UnboundedReceiver<Note>, shutdown: CancellationToken) {
    let mut correlator = Correlator::default();
    loop {
        let note = tokio::select! {
            () = shutdown.cancelled() => return,
            note = notes.recv() => note,
        };
        let Some(note) = note else { return };
        if let Err(error) = write_one(&client, &mut correlator, &note).await {
            // As on a real cluster: an event is best effort, and one about an object in a namespace that is being
            // deleted is always refused.
            tracing::debug!(
                reason = note.reason,
                error = &error as &dyn std::error::Error,
                "event not written"
            );
        }
    }
}

async fn write_one(client: &Client, correlator: &mut Correlator, note: &Note) -> Result<(), kube::Error> {
    // Events about cluster-scoped objects live in `default`.
    let namespace = note.about.namespace.as_deref().unwrap_or("default");
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let (key, message) = match correlator.decide(note, Instant::now()) {
        Write::Drop => return Ok(()),
        Write::CountUp { name, count, message } => {
            let last = Time(Timestamp::now());
            let patch = serde_json::json!({ "count": count, "message": message, "lastTimestamp": last });
            if if_found(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await)?.is_some() {
                return Ok(());
            }
            (Key { message: Some(note.message.clone()), ..Key::of(note) }, message)
        }
        Write::Create { key, message } => (key, message),
    };
    let event = new_event(note, namespace, message);
    let name = event.name_any();
    api.create(&PostParams::default(), &event).await?;
    correlator.created(key, name);
    Ok(())
}

fn new_event(note: &Note, namespace: &str, message: String) -> Event {
    let now = Timestamp::now();
    let name = format!("{}.{:x}", note.about.name.as_deref().unwrap_or("unknown"), now.as_nanosecond());
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        },
        involved_object: note.about.clone(),
        reason: Some(note.reason.to_owned()),
        message: Some(message),
        source: Some(EventSource { component: Some(note.component.to_owned()), host: None }),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        type_: Some(note.severity.as_str().to_owned()),
        reporting_component: Some(note.component.to_owned()),
        reporting_instance: Some(String::new()),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(message: &str) -> Note {
        let about = ObjectReference {
            uid: Some("u".into()),
            namespace: Some("demo".into()),
            ..ObjectReference::default()
        };
        Note {
            about,
            severity: Severity::Normal,
            reason: "ScalingReplicaSet",
            message: message.into(),
            component: "deployment-controller",
        }
    }

    fn write(correlator: &mut Correlator, message: &str, now: Instant) -> Write {
        let decision = correlator.decide(&note(message), now);
        if let Write::Create { key, message } = &decision {
            correlator.created(key.clone(), format!("event-{message}"));
        }
        decision
    }

    #[test]
    fn the_same_message_counts_up() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        assert!(matches!(write(&mut correlator, "a", now), Write::Create { .. }));
        let expected = Write::CountUp { name: "event-a".into(), count: 2, message: "a".into() };
        assert_eq!(write(&mut correlator, "a", now), expected);
    }

    /// `watch/03-rollout-good`: the tenth different message of one reason is the first combined one, the next counts up.
    #[test]
    fn the_tenth_similar_event_is_combined() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        for at in 0..9 {
            let Write::Create { message, .. } = write(&mut correlator, &format!("m{at}"), now) else {
                panic!("m{at}")
            };
            assert_eq!(message, format!("m{at}"));
        }
        let Write::Create { message, .. } = write(&mut correlator, "m9", now) else { panic!("not created") };
        assert_eq!(message, "(combined from similar events): m9");
        let Write::CountUp { count, message, .. } = write(&mut correlator, "m10", now) else {
            panic!("not counted")
        };
        assert_eq!((count, message.as_str()), (2, "(combined from similar events): m10"));
        let later = now + SIMILAR_WINDOW + Duration::from_secs(1);
        let Write::Create { message, .. } = write(&mut correlator, "m11", later) else {
            panic!("not created")
        };
        assert_eq!(message, "m11");
    }

    #[test]
    fn a_flood_about_one_object_is_cut_off() {
        let (mut correlator, now) = (Correlator::default(), Instant::now());
        let passed =
            (0..100).filter(|at| write(&mut correlator, &format!("m{at}"), now) != Write::Drop).count();
        assert_eq!(passed, 25);
        let later = now + REFILL + Duration::from_secs(1);
        assert_ne!(write(&mut correlator, "later", later), Write::Drop);
    }
}
