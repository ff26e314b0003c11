//! The watch protocol: newline-delimited JSON events until the client or the time limit ends them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{body::Body, response::Response};
use bytes::{BufMut, Bytes, BytesMut};
use futures::stream;
use http::{HeaderValue, header};
use serde_json::{Value, json};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    negotiate::{Accepted, Shape},
    request::Call,
    resources::Resource,
    respond,
    router::ApiServer,
    selectors::Selection,
    status::{ApiError, FieldError},
    table,
};
use crate::store::{Event, EventKind, Store, StoreError, Stored};

/// Changes read from the history at once.
const BATCH: usize = 256;
/// A chunk of the body is sent when it has reached this size, in bytes.
const CHUNK: usize = 256 * 1024;
const BOOKMARK_PERIOD: Duration = Duration::from_secs(60);
/// The last bookmark comes this long before the time limit, so that the client can go on from there.
const FINAL_BOOKMARK: Duration = Duration::from_secs(2);
/// Time limit of a watch that asks for none; real servers choose between one and two of these.
const MIN_TIMEOUT: Duration = Duration::from_secs(1800);

/// Answers a watch request.
pub fn watch(
    server: &ApiServer,
    call: &Call,
    selection: Selection,
    accepted: Accepted,
) -> Result<Response, ApiError> {
    let options = Options::parse(call)?;
    let resource = call.target.resource;
    let store = server.store().clone();
    // Subscribed before the first look at the store: a change in between wakes the stream once too often, never too little.
    let changed = store.subscribe(resource.collection);
    let namespace = call.target.namespace.clone();
    let include = table::Include::parse(call.query.get("includeObject"))?;
    let mut view = View { resource, namespace, selection, accepted, include, columns_sent: false };
    let (position, initial) = match options.from {
        Some(revision) => (revision, Vec::new()),
        None => {
            let (revision, objects) = store.list(resource.collection, view.namespace.as_deref());
            (revision, objects)
        }
    };
    let mut first = BytesMut::new();
    for object in &initial {
        if view.selection.matches(object) {
            view.line(&mut first, "ADDED", object);
        }
    }
    let bookmarks = call.query.flag("allowWatchBookmarks");
    if options.mark_initial_end && bookmarks {
        view.bookmark(&mut first, position, true);
    }
    let now = Instant::now();
    let timeout = match call.query.number("timeoutSeconds")? {
        Some(seconds) if seconds > 0 => Duration::from_secs(seconds),
        _ => MIN_TIMEOUT.mul_f64(1.0 + rand::random::<f64>()),
    };
    let deadline = now + timeout;
    let stream = Stream {
        store,
        view,
        position,
        changed,
        deadline,
        next_bookmark: bookmarks.then(|| next_bookmark(now, deadline)),
        first: (!first.is_empty()).then(|| first.freeze()),
        shutdown: server.shutdown_token(),
        ended: false,
    };
    let body = Body::from_stream(stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next_chunk().await?;
        Some((Ok::<_, Infallible>(chunk), stream))
    }));
    let mut response = Response::new(body);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

/// Where a watch starts.
struct Options {
    /// Version after which events are wanted; none: start with what exists.
    from: Option<u64>,
    /// Mark the end of the initial events with an annotated bookmark.
    mark_initial_end: bool,
}

impl Options {
    fn parse(call: &Call) -> Result<Self, ApiError> {
        let forbidden = |field: &str, why: &str| {
            let errors = [FieldError::forbidden(field, why)];
            ApiError::invalid("meta.k8s.io", "ListOptions", "", &errors)
        };
        let version = call.query.get("resourceVersion");
        let matching = call.query.get("resourceVersionMatch");
        let send_initial = call.query.get("sendInitialEvents").map(|_| call.query.flag("sendInitialEvents"));
        match (send_initial, matching) {
            (None, Some(_)) => {
                return Err(forbidden(
                    "resourceVersionMatch",
                    "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                ));
            }
            (Some(_), None) => {
                return Err(forbidden(
                    "resourceVersionMatch",
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                ));
            }
            (Some(_), Some(other)) if other != "NotOlderThan" => {
                let errors =
                    [FieldError::unsupported("resourceVersionMatch", &json!(other), &["NotOlderThan"])];
                return Err(ApiError::invalid("meta.k8s.io", "ListOptions", "", &errors));
            }
            _ => {}
        }
        let revision = version
            .map(|text| {
                text.parse::<u64>().map_err(|_| {
                    ApiError::internal(format!(
                        "resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax"
                    ))
                })
            })
            .transpose()?;
        Ok(match (send_initial, revision) {
            (Some(true), _) => Self { from: None, mark_initial_end: true },
            (Some(false), Some(0) | None) | (None, None) => Self { from: None, mark_initial_end: false },
            (None, Some(0)) => Self { from: None, mark_initial_end: true },
            (_, Some(revision)) => Self { from: Some(revision), mark_initial_end: false },
        })
    }
}

/// How one watcher sees the collection.
struct View {
    resource: &'static Resource,
    namespace: Option<String>,
    selection: Selection,
    accepted: Accepted,
    include: table::Include,
    columns_sent: bool,
}

impl View {
    /// Writes an event if it concerns this watcher. An object that comes into the selection is new to it, one that leaves it is
    /// gone.
    fn event(&mut self, out: &mut BytesMut, event: &Event) {
        if self.namespace.as_ref().is_some_and(|namespace| *namespace != event.object.key.namespace) {
            return;
        }
        let before = event.previous.as_ref().is_some_and(|previous| self.selection.matches(previous));
        let after = event.kind != EventKind::Deleted && self.selection.matches(&event.object);
        match (before, after) {
            (false, true) => self.line(out, "ADDED", &event.object),
            (true, true) => self.line(out, "MODIFIED", &event.object),
            (true, false) if event.kind == EventKind::Deleted => self.line(out, "DELETED", &event.object),
            (true, false) => {
                // As the real server does: the last state that was in the selection, with the version of the change.
                let Some(previous) = &event.previous else { return };
                let mut value = previous.value();
                value["metadata"]["resourceVersion"] = event.revision().to_string().into();
                self.value_line(out, "DELETED", value, event.revision());
            }
            (false, false) => {}
        }
    }

    fn line(&mut self, out: &mut BytesMut, kind: &str, object: &Arc<Stored>) {
        if self.accepted.shape == Shape::Object {
            write_line(out, kind, &respond::object_json(self.resource, object));
        } else {
            self.value_line(out, kind, object.value(), object.revision);
        }
    }

    fn value_line(&mut self, out: &mut BytesMut, kind: &str, value: Value, revision: u64) {
        let value = match self.accepted.shape {
            Shape::Object => respond::typed(self.resource, value),
            Shape::Metadata => respond::metadata_only(&value),
            Shape::Table => {
                let metadata = json!({ "resourceVersion": revision.to_string() });
                let columns = !std::mem::replace(&mut self.columns_sent, true);
                table::table(self.resource, &[value], metadata, self.include, columns)
            }
        };
        write_line(out, kind, value.to_string().as_bytes());
    }

    fn bookmark(&self, out: &mut BytesMut, revision: u64, initial_end: bool) {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if initial_end {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let object = match self.accepted.shape {
            Shape::Object => {
                json!({"kind": self.resource.kind, "apiVersion": self.resource.api_version(), "metadata": metadata})
            }
            Shape::Metadata => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
            }
            Shape::Table => {
                json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": null, "rows": []})
            }
        };
        write_line(out, "BOOKMARK", object.to_string().as_bytes());
    }
}

fn write_line(out: &mut BytesMut, kind: &str, object: &[u8]) {
    out.reserve(object.len() + 40);
    out.put_slice(b"{\"type\":\"");
    out.put_slice(kind.as_bytes());
    out.put_slice(b"\",\"object\":");
    out.put_slice(object);
    out.put_slice(b"}\n");
}

/// A running watch.
struct Stream {
    store: Store,
    view: View,
    /// Everything up to this version has been sent.
    position: u64,
    changed: watch::Receiver<u64>,
    deadline: Instant,
    next_bookmark: Option<Instant>,
    first: Option<Bytes>,
    shutdown: CancellationToken,
    ended: bool,
}

impl Stream {
    /// The next piece of the body; none ends it.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            self.changed.mark_unchanged();
            if let Some(chunk) = self.read_history() {
                return Some(chunk);
            }
            let wake = self.next_bookmark.map_or(self.deadline, |at| at.min(self.deadline));
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = sleep_until(wake) => {
                    let now = Instant::now();
                    if now >= self.deadline {
                        return None;
                    }
                    return Some(self.bookmark(now));
                }
                () = self.shutdown.cancelled() => return None,
            }
        }
    }

    /// Reads on from the history; none if nothing new concerns this watcher.
    fn read_history(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new();
        loop {
            match self.store.events_after(self.view.resource.collection, self.position, BATCH) {
                Ok((upto, events)) => {
                    for event in &events {
                        self.view.event(&mut out, event);
                    }
                    // A watch from a version of the future stays silent until the store gets there.
                    self.position = self.position.max(upto);
                    if events.len() < BATCH || out.len() > CHUNK {
                        break;
                    }
                }
                Err(error) => {
                    let floor = if let StoreError::Expired { floor } = error { floor } else { 0 };
                    let status =
                        ApiError::expired(format!("too old resource version: {} ({floor})", self.position))
                            .status();
                    write_line(&mut out, "ERROR", status.to_string().as_bytes());
                    self.ended = true;
                    break;
                }
            }
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    fn bookmark(&mut self, now: Instant) -> Bytes {
        let mut out = BytesMut::new();
        self.view.bookmark(&mut out, self.position, false);
        self.next_bookmark = Some(next_bookmark(now, self.deadline));
        out.freeze()
    }
}

fn next_bookmark(now: Instant, deadline: Instant) -> Instant {
    let last = deadline.checked_sub(FINAL_BOOKMARK).unwrap_or(deadline);
    let regular = now + BOOKMARK_PERIOD;
    if now < last { regular.min(last) } else { regular }
}
