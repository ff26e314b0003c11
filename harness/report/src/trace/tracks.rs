//! Phases, faults, loads, pods, and what people noted.

use std::collections::BTreeMap;

use harness_event::{Event, EventKind, ObservedPod, Timestamp};
use serde_json::json;

use super::model::{Group, Look, Trace};
use crate::timeline::{FaultSpan, Timeline};

pub(super) fn add(trace: &mut Trace, events: &[Event]) {
    let timeline = trace.timeline.clone();
    let phases = trace.track(Group::Run, "phases");
    for phase in &timeline.phases {
        let name = phase.phase.to_string();
        trace.span(phases, &name, (phase.from, phase.to.unwrap_or(timeline.to)), Look::Plain, json!({}));
    }
    for fault in &timeline.faults {
        add_fault(trace, fault, &timeline);
    }
    for load in &timeline.loads {
        let track = trace.track(Group::Loads, &load.load);
        let look = if load.error.is_some() { Look::Bad } else { Look::Plain };
        let args = json!({ "background": load.background, "error": load.error });
        trace.span(track, &load.load, (load.from, load.to.unwrap_or(timeline.to)), look, args);
    }
    add_moments(trace, events);
    add_pods(trace, events, timeline.to);
}

/// Three spans: until it bites, while it does, until the world is as before.
fn add_fault(trace: &mut Trace, fault: &FaultSpan, timeline: &Timeline) {
    let Some(sent) = fault.sent_at.or(fault.effect_at) else { return };
    let track = trace.track(Group::Faults, &fault.fault);
    let end = fault.healed_at.unwrap_or(timeline.to);
    let revert = fault.revert_at.unwrap_or(end);
    let effect = fault.effect_at.unwrap_or(revert);
    let args = json!({ "what": fault.what, "inverse": fault.inverse, "error": fault.error });
    let mut span = |name: &str, from: Timestamp, to: Timestamp, look: Look| {
        if to > from {
            trace.span(track, name, (from, to), look, args.clone());
        }
    };
    span("applying", sent, effect, Look::Warn);
    if fault.effect_at.is_some() {
        span(&fault.fault, effect, revert, Look::Bad);
    }
    if fault.revert_at.is_some() {
        span("undoing", revert, end, if fault.healed_at.is_some() { Look::Warn } else { Look::Bad });
    }
}

fn add_moments(trace: &mut Trace, events: &[Event]) {
    // The same check or step in the same state as before is no news.
    let mut last: BTreeMap<String, String> = BTreeMap::new();
    for event in events {
        let (track, name, at, args) = match &event.kind {
            EventKind::NoteWritten { text } => ("notes", text.clone(), event.at, json!({})),
            EventKind::RunCancelled { reason } => {
                ("notes", "cancelled".to_owned(), event.at, json!({ "reason": reason }))
            }
            EventKind::InjectionSkipped { reason } => {
                ("notes", "no fault is injected".to_owned(), event.at, json!({ "reason": reason }))
            }
            EventKind::ObserverFailed { observer, error } => {
                ("connections", format!("{observer} lost"), event.at, json!({ "error": error }))
            }
            EventKind::ObserverRecovered { observer } => {
                ("connections", format!("{observer} back"), event.at, json!({}))
            }
            EventKind::SteadyStateChecked { check, asked_at, ok, detail } => {
                let state = if *ok { "holds" } else { "broken" };
                if last.insert(check.clone(), state.to_owned()).as_deref() == Some(state) {
                    continue;
                }
                ("steady state", format!("{check} {state}"), *asked_at, json!({ "detail": detail }))
            }
            EventKind::ProbeAnswered { probe, step, sent_at, latency_us, status, error, .. } => {
                let said = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
                let thing = format!("{probe}/{step}");
                if last.insert(thing.clone(), said.clone()).as_ref() == Some(&said) {
                    continue;
                }
                let args = json!({ "latency_us": latency_us, "error": error });
                ("probes", format!("{thing} {said}"), *sent_at, args)
            }
            _ => continue,
        };
        let track = trace.track(Group::Run, track);
        trace.instant(track, &name, at, args);
    }
}

/// A span for every state that a pod was in.
fn add_pods(trace: &mut Trace, events: &[Event], end: Timestamp) {
    let mut now: BTreeMap<(String, String), (Timestamp, ObservedPod)> = BTreeMap::new();
    for event in events {
        let EventKind::PodObserved(seen) = &event.kind else { continue };
        let key = (seen.namespace.clone(), seen.pod.clone());
        match now.get(&key) {
            Some((_, before)) if look_of(before) == look_of(seen) => {}
            _ => {
                if let Some((since, before)) = now.remove(&key) {
                    pod_span(trace, &before, since, event.at);
                }
                now.insert(key, (event.at, seen.clone()));
            }
        }
    }
    for (since, pod) in now.values() {
        pod_span(trace, pod, *since, end);
    }
}

fn look_of(pod: &ObservedPod) -> (&str, bool, i32, bool) {
    (&pod.status, pod.ready, pod.restarts, pod.gone)
}

fn pod_span(trace: &mut Trace, pod: &ObservedPod, from: Timestamp, to: Timestamp) {
    if pod.gone {
        return;
    }
    let name = match pod.namespace.as_str() {
        "" => pod.pod.clone(),
        namespace => format!("{namespace}/{}", pod.pod),
    };
    let track = trace.track(Group::Pods, &name);
    let (state, look) = match (pod.ready, pod.status.as_str()) {
        (true, "Running") => ("ready".to_owned(), Look::Good),
        (false, "Running") => ("running, not ready".to_owned(), Look::Warn),
        (_, status) => (status.to_owned(), Look::Warn),
    };
    let args =
        json!({ "restarts": pod.restarts, "owner": pod.owner, "node": pod.node, "message": pod.message });
    trace.span(track, &state, (from, to), look, args);
}
