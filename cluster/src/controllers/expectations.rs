//! What a controller has asked for and the cache has not shown yet.
//!
//! Without them a ReplicaSet that created three pods, and is reconciled before the watch brought them back, would create
//! three more. The rule is Kubernetes' `ControllerExpectations`.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::informer::ObjectKey;

/// After this time the cache is believed again, whatever was expected: a lost watch event must not block a controller.
const TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Debug)]
struct Expected {
    creations: usize,
    deletions: HashSet<String>,
    since: Instant,
}

/// Outstanding creations (a count) and deletions (by uid) for each owner.
#[derive(Debug, Default)]
pub struct Expectations {
    by_owner: Mutex<HashMap<ObjectKey, Expected>>,
}

impl Expectations {
    fn lock(&self) -> MutexGuard<'_, HashMap<ObjectKey, Expected>> {
        self.by_owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, owner: &ObjectKey, change: impl FnOnce(&mut Expected)) {
        let mut all = self.lock();
        let fresh = || Expected { creations: 0, deletions: HashSet::new(), since: Instant::now() };
        let expected = all.entry(owner.clone()).or_insert_with(fresh);
        change(expected);
        if expected.creations == 0 && expected.deletions.is_empty() {
            all.remove(owner);
        }
    }

    /// `count` creations were or will be asked for. To be called before the request is sent.
    pub fn expect_creations(&self, owner: &ObjectKey, count: usize) {
        self.change(owner, |expected| {
            expected.creations += count;
            expected.since = Instant::now();
        });
    }

    /// The deletion of these objects was or will be asked for. To be called before the request is sent.
    pub fn expect_deletions(&self, owner: &ObjectKey, uids: impl IntoIterator<Item = String>) {
        self.change(owner, |expected| {
            expected.deletions.extend(uids);
            expected.since = Instant::now();
        });
    }

    /// A creation was seen, or its request failed.
    pub fn creation_observed(&self, owner: &ObjectKey) {
        self.change(owner, |expected| expected.creations = expected.creations.saturating_sub(1));
    }

    /// A deletion was seen, or its request failed.
    pub fn deletion_observed(&self, owner: &ObjectKey, uid: &str) {
        self.change(owner, |expected| {
            expected.deletions.remove(uid);
        });
    }

    /// True if the cache shows everything that was asked for.
    pub fn satisfied(&self, owner: &ObjectKey) -> bool {
        self.lock().get(owner).is_none_or(|expected| expected.since.elapsed() > TIMEOUT)
    }

    /// Forgets an owner that is gone.
    pub fn forget(&self, owner: &ObjectKey) {
        self.lock().remove(owner);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn satisfied_only_when_everything_was_seen() {
        let (expectations, owner) = (Expectations::default(), ObjectKey::new("demo", "web"));
        assert!(expectations.satisfied(&owner));
        expectations.expect_creations(&owner, 2);
        expectations.expect_deletions(&owner, ["u1".to_owned()]);
        expectations.creation_observed(&owner);
        expectations.deletion_observed(&owner, "unknown");
        assert!(!expectations.satisfied(&owner));
        expectations.deletion_observed(&owner, "u1");
        assert!(!expectations.satisfied(&owner));
        expectations.creation_observed(&owner);
        assert!(expectations.satisfied(&owner));
        expectations.creation_observed(&owner);
        assert!(expectations.satisfied(&owner), "a creation nobody asked for must not count as debt");
    }
}
