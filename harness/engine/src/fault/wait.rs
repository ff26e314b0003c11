//! Waiting for a state of objects through a watch, with a time limit.

use std::{fmt::Debug, time::Duration};

use futures::{StreamExt, TryStreamExt};
use harness_event::Timestamp;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::{
    Api, Resource, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};

use tokio::time::Instant;

use super::planned::{FaultError, Observed};

/// Time limit of one API call. kube has none for reads.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(10);
/// Pause between two looks at what is wanted.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Runs one API call with a time limit.
pub(super) async fn call<T>(
    what: &str,
    call: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, FaultError> {
    match tokio::time::timeout(CALL_LIMIT, call).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(FaultError::Api { what: what.to_owned(), source: Box::new(source) }),
        Err(_) => Err(FaultError::NoAnswer(what.to_owned())),
    }
}

/// What a set of objects says about an awaited state.
pub(super) enum Seen {
    /// It is there.
    Yes(String),
    /// Not yet; what is there instead.
    NotYet(String),
}

/// Watches the objects and returns as soon as `look` says yes about all of them together.
pub(super) async fn until<K>(
    api: Api<K>,
    config: watcher::Config,
    limit: Duration,
    mut look: impl FnMut(&[K]) -> Seen,
) -> Result<Observed, FaultError>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut last = "the watch brought nothing".to_owned();
    let wait = async {
        let mut objects: Vec<K> = Vec::new();
        let mut synced = false;
        let mut stream = watcher(api, config).default_backoff().boxed();
        loop {
            match stream.try_next().await {
                Ok(Some(event)) => synced = take(&mut objects, event, synced),
                Ok(None) => return None,
                Err(error) => {
                    // The watcher recovers by itself; what it says is kept for the report.
                    last = format!("the watch fails: {error}");
                    continue;
                }
            }
            if synced {
                match look(&objects) {
                    Seen::Yes(detail) => return Some(Observed { at: Timestamp::now(), detail }),
                    Seen::NotYet(detail) => last = detail,
                }
            }
        }
    };
    match tokio::time::timeout(limit, wait).await {
        Ok(Some(observed)) => Ok(observed),
        // A watcher goes on for ever; if it does not, what it would have shown is not known.
        Ok(None) => Err(FaultError::NotSeen(format!("{last}; then the watch ended"))),
        Err(_) => Err(FaultError::NotSeen(format!("{last} after {}s", limit.as_secs_f64()))),
    }
}

/// Waits for a state that depends on what is wanted: when that has become another one, the wait begins anew with it.
pub(super) async fn following<T, R, W>(
    limit: Duration,
    wanted: impl Fn() -> R,
    wait: impl Fn(T, Duration) -> W,
) -> Result<Observed, FaultError>
where
    T: Clone + PartialEq,
    R: Future<Output = T>,
    W: Future<Output = Result<Observed, FaultError>>,
{
    let deadline = Instant::now() + limit;
    loop {
        let now = wanted().await;
        let changed = async {
            loop {
                tokio::time::sleep(LOOK_AGAIN).await;
                if wanted().await != now {
                    return;
                }
            }
        };
        tokio::select! {
            seen = wait(now.clone(), deadline.saturating_duration_since(Instant::now())) => return seen,
            () = changed => {}
        }
    }
}

/// Applies one watch event; true once the first listing is complete.
fn take<K: Resource + Clone>(objects: &mut Vec<K>, event: watcher::Event<K>, synced: bool) -> bool {
    let drop_old = |objects: &mut Vec<K>, new: &K| objects.retain(|old| old.uid() != new.uid());
    match event {
        watcher::Event::Init => {
            objects.clear();
            return false;
        }
        watcher::Event::InitDone => return true,
        watcher::Event::Apply(object) | watcher::Event::InitApply(object) => {
            drop_old(objects, &object);
            objects.push(object);
        }
        watcher::Event::Delete(object) => drop_old(objects, &object),
    }
    synced
}
