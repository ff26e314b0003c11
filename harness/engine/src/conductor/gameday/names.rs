//! Names of faults and loads: each stands for one thing in the log.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// The names that were given so far.
#[derive(Clone, Default)]
pub(super) struct Names(Arc<Mutex<BTreeSet<String>>>);

/// Longest name that the scenario format takes.
const LONGEST: usize = 63;

impl Names {
    /// This name, or one that is made of it, for something new.
    pub(super) fn give(&self, wanted: &str) -> String {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = wanted.to_owned();
        let mut number = 2_u64;
        while given.contains(&name) {
            let suffix = format!("-{number}");
            let kept: String = wanted.chars().take(LONGEST - suffix.len()).collect();
            name = format!("{kept}{suffix}");
            number += 1;
        }
        given.insert(name.clone());
        name
    }

    /// Nothing came of it: the name is free again.
    pub(super) fn give_back(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once() {
        let names = Names::default();
        let given: Vec<_> = (0..3).map(|_| names.give("db")).collect();
        assert_eq!(given, ["db", "db-2", "db-3"]);
        names.give_back("db-2");
        assert_eq!(names.give("db"), "db-2");
        let long = "x".repeat(LONGEST);
        names.give(&long);
        assert_eq!(names.give(&long).len(), LONGEST);
    }
}
