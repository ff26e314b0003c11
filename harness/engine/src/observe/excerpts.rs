//! Keeps the logs that explain a failure with the run: those of the faults' targets when the faults strike, those of containers
//! that were restarted, and at the end of a run that does not pass those of the pods that were not ready.
//!
//! All of it is a best effort beside the run: it holds nothing up, no verdict rests on it, and a cluster that does not let us read
//! logs loses nothing else.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::future::join_all;
use harness_event::{Event, EventKind, ObservedPod, PodLog};
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, Client};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::pod_log::{Kept, LogOf, Tail, follow, read_pod_log};
use crate::log::Log;

/// Excerpts of one run.
const MOST: usize = 20;
/// Followed target pods of one fault.
const MOST_OF_A_FAULT: usize = 5;
/// Time for the last words of a target after the fault's effect was seen.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// Targets are followed for so long if nobody sees an effect.
const FOLLOWED: Duration = Duration::from_secs(60);
/// Time limit of one question.
const LIMIT: Duration = Duration::from_secs(3);
/// Statuses of pods that came to a bad end and are not started again.
const FAILED: [&str; 4] = ["Error", "Failed", "OOMKilled", "Evicted"];

/// The excerpts of one run.
#[derive(Clone)]
pub struct Excerpts {
    client: Client,
    namespace: String,
    log: Log,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<String, ObservedPod>,
    /// Why a pod's log is worth keeping: it is the target of a fault.
    targets: BTreeMap<String, String>,
    /// The same of all pods of a workload (`deployment/api`), also of those that come later.
    target_owners: BTreeMap<String, String>,
    unready: BTreeSet<String>,
    /// Restarts and failures that were looked at: pod, container, number of the restart.
    looked_at: BTreeSet<(String, String, i32)>,
    /// Excerpts so far.
    taken: usize,
    /// Cancelled when the fault's effect was seen, or it is being undone.
    struck: BTreeMap<String, CancellationToken>,
}

impl Excerpts {
    /// Of a run in a namespace. Nothing is read yet.
    pub fn new(client: Client, namespace: String, log: Log) -> Self {
        Self { client, namespace, log, state: Arc::default() }
    }

    /// Reads what is worth keeping as it happens, until told to stop. Heeds every fact from this call on.
    pub fn watch(self, stop: CancellationToken) -> impl Future<Output = ()> + Send {
        let mut facts = self.log.listen(|kind| {
            matches!(
                kind,
                EventKind::PodObserved(_)
                    | EventKind::FaultPlanned { .. }
                    | EventKind::FaultEffectObserved { .. }
                    | EventKind::FaultRevertStarted { .. }
            )
        });
        async move {
            let mut readers = JoinSet::new();
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    Some(event) = facts.recv() => self.heed(event, &mut readers, &stop),
                    Some(_) = readers.join_next() => {}
                    else => break,
                }
            }
            // Each of them has heard it, too, and says what it has.
            while readers.join_next().await.is_some() {}
        }
    }

    /// At the end of a run that does not pass: the pods that were not ready, and what has become of the faults' targets. Takes no
    /// longer than a few seconds.
    pub async fn read_rest(&self) {
        let chosen: Vec<(String, String)> = {
            let state = self.lock();
            let there = |name: &&String| state.pods.contains_key(name.as_str());
            let (ready, unready): (Vec<_>, Vec<_>) =
                state.unready.iter().filter(there).partition(|name| state.pods[name.as_str()].ready);
            let unready = unready.into_iter().map(|name| (name.clone(), "not ready".to_owned()));
            let were = ready.into_iter().map(|name| (name.clone(), "was not ready".to_owned()));
            let targets = state
                .pods
                .keys()
                .filter_map(|name| Some((name.clone(), format!("{}, at the end", state.why(name)?))));
            let mut seen = BTreeSet::new();
            let all = unready.chain(targets).chain(were);
            all.filter(|(name, _)| seen.insert(name.clone())).take(MOST).collect()
        };
        let read = chosen.iter().map(|(pod, why)| async {
            let of = self.log_of(pod, None, false);
            timeout(LIMIT, read_pod_log(&self.client, &of, Tail::EXCERPT, why)).await
        });
        // In the order of their worth.
        join_all(read).await.into_iter().flatten().for_each(|log| self.keep(log));
    }

    fn heed(&self, event: Event, readers: &mut JoinSet<()>, stop: &CancellationToken) {
        match event.kind {
            EventKind::PodObserved(seen) => self.pod(seen, readers, stop),
            EventKind::FaultPlanned { fault, targets, .. } => self.planned(&fault, &targets, readers, stop),
            EventKind::FaultEffectObserved { fault, .. } | EventKind::FaultRevertStarted { fault, .. } => {
                if let Some(struck) = self.lock().struck.remove(&fault) {
                    struck.cancel();
                }
            }
            _ => {}
        }
    }

    fn pod(&self, seen: ObservedPod, readers: &mut JoinSet<()>, stop: &CancellationToken) {
        let mut state = self.lock();
        if seen.gone {
            state.pods.remove(&seen.pod);
            state.unready.remove(&seen.pod);
            return;
        }
        let name = seen.pod.clone();
        let old = state.pods.insert(name.clone(), seen.clone());
        let Some(old) = old else { return };
        if old.ready && !seen.ready && seen.status != "Terminating" {
            state.unready.insert(name.clone());
        }
        if seen.restarts > old.restarts {
            let (this, stop) = (self.clone(), stop.clone());
            readers.spawn(async move {
                stop.run_until_cancelled(this.restarted(&name)).await;
            });
        } else if seen.status != old.status
            && FAILED.contains(&seen.status.as_str())
            && let Some(why) = state.why(&name)
            && state.looked_at.insert((name.clone(), seen.status.clone(), seen.restarts))
        {
            let (this, stop) = (self.clone(), stop.clone());
            let why = format!("{why}: {}", seen.status);
            readers.spawn(async move {
                let of = this.log_of(&name, None, false);
                let read = read_pod_log(&this.client, &of, Tail::EXCERPT, &why);
                if let Some(log) = stop.run_until_cancelled(read).await {
                    this.keep(log);
                }
            });
        }
    }

    /// The last words of containers that were restarted.
    async fn restarted(&self, pod: &str) {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let Ok(Ok(object)) = timeout(LIMIT, pods.get(pod)).await else { return };
        let statuses = object.status.and_then(|status| status.container_statuses).unwrap_or_default();
        for status in statuses.iter().filter(|status| status.restart_count > 0) {
            let key = (pod.to_owned(), status.name.clone(), status.restart_count);
            if !self.lock().looked_at.insert(key) {
                continue;
            }
            let ended = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
            let why = match ended {
                Some(ended) => {
                    let reason = ended.reason.as_deref().unwrap_or("ended");
                    format!("restarted: {reason}, exit code {}", ended.exit_code)
                }
                None => "restarted".to_owned(),
            };
            let of = self.log_of(pod, Some(status.name.clone()), true);
            self.keep(read_pod_log(&self.client, &of, Tail::EXCERPT, &why).await);
        }
    }

    /// Follows the logs of the targets from before the fault until its effect is seen: what a deleted pod said cannot be read
    /// afterwards.
    fn planned(&self, fault: &str, targets: &[String], readers: &mut JoinSet<()>, stop: &CancellationToken) {
        let why = format!("target of fault {fault}");
        let struck = CancellationToken::new();
        let mut state = self.lock();
        for target in targets {
            match target.strip_prefix("pod/") {
                Some(pod) => state.targets.insert(pod.to_owned(), why.clone()),
                None => state.target_owners.insert(target.clone(), why.clone()),
            };
        }
        let pods: Vec<String> = state
            .pods
            .keys()
            .filter(|pod| state.why(pod).is_some_and(|found| found == why))
            .cloned()
            .collect();
        state.struck.insert(fault.to_owned(), struck.clone());
        drop(state);
        if pods.len() > MOST_OF_A_FAULT {
            let all = pods.len();
            self.log.note(format!(
                "logs of {MOST_OF_A_FAULT} of the {all} pods that fault {fault} strikes are kept"
            ));
        }
        for pod in pods.into_iter().take(MOST_OF_A_FAULT) {
            let (this, stop, struck, why) = (self.clone(), stop.clone(), struck.clone(), why.clone());
            readers.spawn(async move {
                let pods: Api<Pod> = Api::namespaced(this.client.clone(), &this.namespace);
                let Ok(Ok(object)) = timeout(LIMIT, pods.get(&pod)).await else { return };
                let containers = object.spec.map(|spec| spec.containers).unwrap_or_default();
                let each = containers.into_iter().map(|container| {
                    let of = this.log_of(&pod, Some(container.name), false);
                    this.follow(of, &why, &struck, &stop)
                });
                join_all(each).await;
            });
        }
    }

    /// Until the container has ended, the fault has struck and its last words are spoken, or the run ends.
    async fn follow(&self, of: LogOf, why: &str, struck: &CancellationToken, stop: &CancellationToken) {
        let mut kept = Kept::new(Tail::EXCERPT);
        let result = tokio::select! {
            result = follow(&self.client, &of, &mut kept, true) => result,
            () = async { struck.cancelled().await; sleep(LAST_WORDS).await } => Ok(()),
            () = sleep(FOLLOWED) => Ok(()),
            () = stop.cancelled() => Ok(()),
        };
        let error = result.err().filter(|_| kept.is_empty());
        self.keep(kept.into_log(of, why, error));
    }

    fn log_of(&self, pod: &str, container: Option<String>, previous: bool) -> LogOf {
        LogOf { namespace: self.namespace.clone(), pod: pod.to_owned(), container, previous }
    }

    fn keep(&self, log: PodLog) {
        let taken = {
            let mut state = self.lock();
            state.taken += 1;
            state.taken
        };
        match taken {
            ..=MOST => self.log.record(EventKind::PodLogRead(log)),
            taken if taken == MOST + 1 => {
                self.log.note(format!("{MOST} excerpts of logs are kept with a run; there would be more"));
            }
            _ => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Why this pod's log is worth keeping, if it is.
    fn why(&self, pod: &str) -> Option<String> {
        let of_owner = || self.target_owners.get(self.pods.get(pod)?.owner.as_deref()?);
        self.targets.get(pod).or_else(of_owner).cloned()
    }
}

#[cfg(test)]
#[path = "excerpts_tests.rs"]
mod tests;
