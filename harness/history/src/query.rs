//! Which runs are wanted, and in which order.

use std::fmt::Write;

use harness_event::Timestamp;

use crate::run::{Ending, Run};

/// What a list is sorted by. Highest, or newest, first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// When the run began.
    #[default]
    Started,
    /// How long it took.
    Duration,
    /// How it ended: what needs a look first.
    Outcome,
    /// A measure. Runs without it come last. Without a subject the smallest of all subjects counts.
    Measure {
        /// Its name.
        name: String,
        /// Its subject.
        subject: Option<String>,
    },
}

impl Sort {
    /// Reads `started`, `duration`, `outcome`, or a measure's name, with its subject after a slash.
    pub fn parse(text: &str) -> Self {
        match (text, text.split_once('/')) {
            ("started", _) => Self::Started,
            ("duration", _) => Self::Duration,
            ("outcome", _) => Self::Outcome,
            (_, Some((name, subject))) => {
                Self::Measure { name: name.to_owned(), subject: Some(subject.to_owned()) }
            }
            (name, None) => Self::Measure { name: name.to_owned(), subject: None },
        }
    }
}

/// Which runs are wanted. What is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// These runs.
    pub ids: Option<Vec<String>>,
    /// Of these scenario files.
    pub scenarios: Option<Vec<String>>,
    /// Of these titles.
    pub titles: Option<Vec<String>>,
    /// Of this text of a scenario.
    pub sha256: Option<Vec<String>>,
    /// Of this mode.
    pub modes: Option<Vec<String>>,
    /// That ended so.
    pub outcomes: Option<Vec<String>>,
    /// Of these directories of runs.
    pub origins: Option<Vec<String>>,
    /// That began at or after.
    pub since: Option<Timestamp>,
    /// That began at or before.
    pub until: Option<Timestamp>,
    /// That began no later than this one, and are others.
    pub before: Option<Run>,
    /// Order.
    pub sort: Sort,
    /// Lowest, or oldest, first.
    pub reverse: bool,
    /// At most so many.
    pub limit: Option<u32>,
}

impl Query {
    pub(crate) fn columns(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [
            ("r.id", &self.ids),
            ("r.scenario", &self.scenarios),
            ("r.title", &self.titles),
            ("r.sha256", &self.sha256),
            ("r.mode", &self.modes),
            ("r.outcome", &self.outcomes),
            ("r.origin", &self.origins),
        ]
        .into_iter()
        .filter_map(|(column, values)| Some((column, values.as_ref()?)))
    }

    pub(crate) fn order(&self) -> String {
        let way = if self.reverse { "ASC" } else { "DESC" };
        let first = match self.sort {
            Sort::Started => String::new(),
            Sort::Duration => format!("r.duration_ms {way}, "),
            Sort::Measure { .. } => format!("sort_value IS NULL, sort_value {way}, "),
            Sort::Outcome => {
                let mut rank = "CASE r.outcome".to_owned();
                for (number, ending) in Ending::ALL.iter().enumerate() {
                    // Writing to a String does not fail.
                    let _ = write!(rank, " WHEN '{}' THEN {number}", ending.word());
                }
                format!("{rank} ELSE 99 END {way}, ")
            }
        };
        format!(" ORDER BY {first}r.started_at_ms {way}, r.id {way}")
    }
}

/// Does a text match a pattern of `*` (anything) and `?` (one character)? Without regard to case.
pub fn glob(pattern: &str, text: &str) -> bool {
    let lower = |text: &str| text.to_lowercase().chars().collect::<Vec<_>>();
    let (pattern, text) = (lower(pattern), lower(text));
    let (mut at, mut from) = (0, 0);
    // Where the last star stands, and how far the text had come there: it may have to swallow more.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(one) if *one == '?' || *one == text[from] => {
                at += 1;
                from += 1;
            }
            _ => {
                let Some((star_at, swallowed)) = star else { return false };
                star = Some((star_at, swallowed + 1));
                (at, from) = (star_at + 1, swallowed + 1);
            }
        }
    }
    pattern[at..].iter().all(|one| *one == '*')
}

/// Is a scenario's file meant: by its path, its file name, or its name without the ending?
pub fn is_scenario(pattern: &str, path: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let stem = file.strip_suffix(".toml").unwrap_or(file);
    [path, file, stem].iter().any(|text| glob(pattern, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_as_in_a_shell() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
            ("db-*", "db-failure", true),
            ("db-*", "a-db-failure", false),
            ("*fail*", "DB-Failure", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxbxc", true),
            ("*a*b*c", "xxaxxbxxbx", false),
            ("50%", "50%", true),
            ("über*", "Überlast", true),
        ] {
            assert_eq!(glob(pattern, text), expected, "{pattern:?} {text:?}");
        }
    }

    #[test]
    fn a_scenario_is_meant_by_path_file_or_name() {
        for pattern in ["scenarios/db-failure.toml", "db-failure.toml", "db-failure", "scenarios/*", "db-*"] {
            assert!(is_scenario(pattern, "scenarios/db-failure.toml"), "{pattern}");
        }
        assert!(!is_scenario("failure", "scenarios/db-failure.toml"));
    }
}
