//! Pods.

use std::collections::VecDeque;

use super::{
    HISTORY_KEPT, POD_SERIES_LENGTH,
    fold::push,
    model::{PodView, RunState},
};
use crate::{EventKind, ObservedPod, PodUsage};

impl RunState {
    pub(super) fn apply_to_pod(&mut self, kind: &EventKind) {
        match kind {
            EventKind::PodObserved(seen) => self.pod_seen(seen),
            EventKind::PodsMeasured { pods, .. } => pods.iter().for_each(|usage| self.pod_measured(usage)),
            _ => {}
        }
    }

    fn pod_seen(&mut self, seen: &ObservedPod) {
        let mut seen = seen.clone();
        if seen.namespace.is_empty() {
            self.namespace().clone_into(&mut seen.namespace);
        }
        let key = (seen.namespace.clone(), seen.pod.clone());
        let elapsed = self.elapsed;
        if seen.gone {
            self.memo.gone_pods.push_back((elapsed, key.clone()));
        }
        let status = status(&seen);
        match self.pods.get_mut(&key) {
            Some(view) => {
                if view.history.back().is_none_or(|(_, last)| *last != status) {
                    push(&mut view.history, HISTORY_KEPT, (elapsed, status));
                }
                if view.seen != seen {
                    view.changed = elapsed;
                    view.seen = seen;
                }
            }
            None => {
                let history = VecDeque::from([(elapsed, status)]);
                let view = PodView { seen, changed: elapsed, usage: None, cpu: Default::default(), history };
                self.pods.insert(key, view);
            }
        }
    }

    fn pod_measured(&mut self, usage: &PodUsage) {
        let elapsed = self.elapsed;
        let namespace = match usage.namespace.as_str() {
            "" => self.namespace().to_owned(),
            namespace => namespace.to_owned(),
        };
        if let Some(view) = self.pods.get_mut(&(namespace, usage.pod.clone())) {
            view.cpu.push_bounded(elapsed, Some(usage.cpu_millicores as f64), POD_SERIES_LENGTH);
            view.usage = Some(usage.clone());
        }
    }

    /// Pods that are gone are shown for a while.
    pub(super) fn drop_gone_pods(&mut self) {
        while let Some((since, _)) = self.memo.gone_pods.front()
            && self.elapsed - *since > PodView::KEPT
        {
            let Some((_, key)) = self.memo.gone_pods.pop_front() else { return };
            // One of the same name may be there again.
            if self.pods.get(&key).is_some_and(|view| view.seen.gone) {
                self.pods.remove(&key);
            }
        }
    }
}

/// A status for the history: `Running, ready`.
fn status(seen: &ObservedPod) -> String {
    if seen.gone {
        return "gone".to_owned();
    }
    let ready = if seen.ready { ", ready" } else { "" };
    match seen.restarts {
        0 => format!("{}{ready}", seen.status),
        restarts => format!("{}{ready}, restarts {restarts}", seen.status),
    }
}
