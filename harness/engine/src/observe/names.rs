//! Which objects are there, as a watch tells it: a list after an interruption lacks those that were deleted meanwhile.

use std::collections::BTreeMap;

/// Names of the objects that are there, over lists and watches.
#[derive(Default)]
pub(super) struct Names {
    /// True if it was in the list that is being read, or has come since.
    names: BTreeMap<String, bool>,
}

impl Names {
    pub(super) fn list_begins(&mut self) {
        self.names.values_mut().for_each(|listed| *listed = false);
    }

    pub(super) fn there(&mut self, name: String) {
        self.names.insert(name, true);
    }

    pub(super) fn gone(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Those that were there, but are not in the list.
    pub(super) fn list_ends(&mut self) -> Vec<String> {
        let missing: Vec<String> =
            self.names.iter().filter(|(_, listed)| !**listed).map(|(name, _)| name.clone()).collect();
        missing.iter().for_each(|name| self.gone(name));
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_second_list_lacks_is_gone() {
        let mut names = Names::default();
        names.list_begins();
        names.there("a".into());
        names.there("b".into());
        assert!(names.list_ends().is_empty());
        names.list_begins();
        names.there("b".into());
        assert_eq!(names.list_ends(), ["a"]);
        names.list_begins();
        assert_eq!(names.list_ends(), ["b"]);
    }
}
