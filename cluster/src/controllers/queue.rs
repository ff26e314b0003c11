//! Work queue of a controller: each key is handled by one worker at a time, repeated additions are merged, failures are
//! retried with an exponential back-off. The rules are client-go's `workqueue`.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, HashSet, VecDeque},
    future::Future,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::Notify, task::JoinSet, time::Instant};
use tokio_util::sync::CancellationToken;

use super::error::ReconcileError;

/// First retry delay; doubled with each failure (client-go's `ItemExponentialFailureRateLimiter`).
const BASE_DELAY: Duration = Duration::from_millis(5);
/// Longest retry delay. client-go goes up to 1,000 s, which no user of a short-lived cluster would wait for.
const MAX_DELAY: Duration = Duration::from_secs(30);

/// What a reconcile asks for when it succeeded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requeue(pub Option<Duration>);

impl Requeue {
    /// Nothing more to do until something changes.
    pub const DONE: Self = Self(None);

    /// Look again after `delay`.
    pub fn after(delay: Duration) -> Self {
        Self(Some(delay))
    }

    /// The earlier of two wishes.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0.into_iter().chain(other.0).min())
    }
}

struct State<K> {
    ready: VecDeque<K>,
    // Everything in `ready`, and keys added while a worker handles them.
    dirty: HashSet<K>,
    processing: HashSet<K>,
    failures: HashMap<K, u32>,
    delayed: BinaryHeap<Reverse<(Instant, K)>>,
    // The earliest time of each key in `delayed`; later entries of the heap are void.
    due: HashMap<K, Instant>,
}

struct Inner<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

/// The queue. Clones share the state.
pub struct Queue<K> {
    inner: Arc<Inner<K>>,
}

impl<K> Clone for Queue<K> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<K: Ord> Default for Queue<K> {
    fn default() -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: HashSet::new(),
            processing: HashSet::new(),
            failures: HashMap::new(),
            delayed: BinaryHeap::new(),
            due: HashMap::new(),
        };
        Self { inner: Arc::new(Inner { state: Mutex::new(state), changed: Notify::new() }) }
    }
}

enum Next<K> {
    Key(K),
    WaitUntil(Instant),
    Wait,
}

impl<K: Clone + Eq + Hash + Ord + Send + 'static> Queue<K> {
    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a key; does nothing if it waits already.
    pub fn add(&self, key: K) {
        let mut state = self.lock();
        if !state.dirty.insert(key.clone()) || state.processing.contains(&key) {
            return;
        }
        state.ready.push_back(key);
        drop(state);
        self.inner.changed.notify_one();
    }

    /// Adds a key after a delay.
    pub fn add_after(&self, key: K, delay: Duration) {
        if delay.is_zero() {
            return self.add(key);
        }
        let at = Instant::now() + delay;
        let mut state = self.lock();
        if state.due.get(&key).is_some_and(|due| *due <= at) {
            return;
        }
        state.due.insert(key.clone(), at);
        state.delayed.push(Reverse((at, key)));
        drop(state);
        self.inner.changed.notify_one();
    }

    fn next(&self) -> Next<K> {
        let mut state = self.lock();
        let now = Instant::now();
        while let Some(Reverse((due, _))) = state.delayed.peek() {
            if *due > now {
                break;
            }
            let Some(Reverse((due, key))) = state.delayed.pop() else { break };
            if state.due.get(&key) != Some(&due) {
                continue;
            }
            state.due.remove(&key);
            if state.dirty.insert(key.clone()) && !state.processing.contains(&key) {
                state.ready.push_back(key);
            }
        }
        if let Some(key) = state.ready.pop_front() {
            state.dirty.remove(&key);
            state.processing.insert(key.clone());
            return Next::Key(key);
        }
        match state.delayed.peek() {
            Some(Reverse((due, _))) => Next::WaitUntil(*due),
            None => Next::Wait,
        }
    }

    /// Marks a key as handled. `Ok` forgets its failures, `Err` retries it later.
    fn done(&self, key: &K, result: &Result<Requeue, ReconcileError>) {
        let delay = {
            let mut state = self.lock();
            state.processing.remove(key);
            if state.dirty.contains(key) {
                state.ready.push_back(key.clone());
            }
            match result {
                Ok(requeue) => {
                    state.failures.remove(key);
                    requeue.0
                }
                Err(_) => {
                    let failures = state.failures.entry(key.clone()).or_default();
                    let delay = BASE_DELAY.saturating_mul(1 << (*failures).min(16)).min(MAX_DELAY);
                    *failures += 1;
                    Some(delay)
                }
            }
        };
        match delay {
            Some(delay) => self.add_after(key.clone(), delay),
            None => self.inner.changed.notify_one(),
        }
    }

    /// Runs `reconcile` for each key, at most `workers` at the same time, until the shutdown; then waits for those that run.
    pub async fn run<F, R>(
        self,
        name: &'static str,
        workers: usize,
        shutdown: CancellationToken,
        reconcile: F,
    ) where
        K: std::fmt::Display,
        F: Fn(K) -> R,
        R: Future<Output = Result<Requeue, ReconcileError>> + Send + 'static,
    {
        let mut running = JoinSet::new();
        loop {
            let mut deadline = None;
            while running.len() < workers {
                match self.next() {
                    Next::Key(key) => {
                        let (queue, work) = (self.clone(), reconcile(key.clone()));
                        // A task of its own, so that the key is not stuck as "processing" should the reconcile panic.
                        let work = tokio::spawn(work);
                        running.spawn(async move {
                            let result =
                                work.await.unwrap_or_else(|error| Err(ReconcileError::Panicked(error)));
                            if let Err(error) = &result {
                                error.log(name, &key);
                            }
                            queue.done(&key, &result);
                        });
                    }
                    Next::WaitUntil(due) => {
                        deadline = Some(due);
                        break;
                    }
                    Next::Wait => break,
                }
            }
            let due = async {
                match deadline {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.inner.changed.notified() => {}
                Some(_) = running.join_next() => {}
                () = due => {}
            }
        }
        while running.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn additions_of_a_waiting_key_are_merged_and_of_a_running_key_repeated_once() {
        let queue: Queue<&str> = Queue::default();
        queue.add("a");
        queue.add("a");
        assert!(matches!(queue.next(), Next::Key("a")));
        assert!(matches!(queue.next(), Next::Wait));
        queue.add("a");
        queue.add("a");
        assert!(matches!(queue.next(), Next::Wait), "a key is never handled twice at the same time");
        queue.done(&"a", &Ok(Requeue::DONE));
        assert!(matches!(queue.next(), Next::Key("a")));
        queue.done(&"a", &Ok(Requeue::DONE));
        assert!(matches!(queue.next(), Next::Wait));
    }

    #[tokio::test]
    async fn failures_back_off_and_a_success_forgets_them() {
        let queue: Queue<String> = Queue::default();
        let shutdown = CancellationToken::new();
        let calls = Arc::new(AtomicUsize::new(0));
        let start = Instant::now();
        queue.add("a".into());
        let (counted, stop) = (Arc::clone(&calls), shutdown.clone());
        let work = move |_| {
            let (calls, stop) = (Arc::clone(&counted), stop.clone());
            async move {
                match calls.fetch_add(1, Ordering::SeqCst) {
                    0..4 => Err(ReconcileError::Stale("test")),
                    _ => {
                        stop.cancel();
                        Ok(Requeue::DONE)
                    }
                }
            }
        };
        queue.clone().run("test", 2, shutdown, work).await;
        assert_eq!(calls.load(Ordering::SeqCst), 5);
        // 5 + 10 + 20 + 40 ms
        assert!(start.elapsed() >= Duration::from_millis(75), "{:?}", start.elapsed());
        assert!(queue.lock().failures.is_empty());
    }
}
