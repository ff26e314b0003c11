//! What is said about a compression: problems that forbid it, doubts, and what could not be compressed.

use super::{Length, Ratio};

/// Why a configuration cannot be compressed.
#[derive(Debug, thiserror::Error)]
pub enum CompressError {
    /// A file is not what it seems to be.
    #[error("{file} is not understood")]
    Parse {
        /// Which.
        file: String,
        /// Cause.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// A file could not be written again.
    #[error("{file} cannot be written")]
    Write {
        /// Which.
        file: String,
        /// Cause.
        #[source]
        source: Box<serde_saphyr::ser::Error>,
    },
    /// It would not work any more.
    #[error("{}", first(problems))]
    Impossible {
        /// Each reason, with the place.
        problems: Vec<String>,
    },
}

/// One problem in full, the others as a number: a list belongs on lines of its own.
fn first(problems: &[String]) -> String {
    match problems {
        [] => String::new(),
        [one] => one.clone(),
        [one, rest @ ..] => format!("{one}; and {} more", rest.len()),
    }
}

/// What was found while compressing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// What does not scale, each with the place and the reason: mostly rules whose thresholds depend on the length of time.
    pub unscaled: Vec<String>,
    /// What works, but barely: ranges that hold few samples.
    pub warnings: Vec<String>,
    /// What forbids it: ranges without samples, intervals that are too short.
    pub problems: Vec<String>,
}

impl Report {
    /// The report, unless there is a problem.
    pub fn checked(self) -> Result<Self, CompressError> {
        if self.problems.is_empty() {
            Ok(self)
        } else {
            Err(CompressError::Impossible { problems: self.problems })
        }
    }

    pub(super) fn problem(&mut self, place: &str, text: impl std::fmt::Display) {
        push(&mut self.problems, format!("{place}: {text}"));
    }

    pub(super) fn warn(&mut self, place: &str, text: impl std::fmt::Display) {
        push(&mut self.warnings, format!("{place}: {text}"));
    }

    pub(super) fn unscaled(&mut self, place: &str, text: impl std::fmt::Display) {
        push(&mut self.unscaled, format!("{place}: {text}"));
    }

    /// Scales a duration in place; if nothing would be left of it, that is a problem.
    pub(super) fn scale(&mut self, length: &mut Length, ratio: Ratio, place: &str) {
        match length.scaled(ratio) {
            Some(scaled) => *length = scaled,
            None => self.problem(place, format_args!("{length} becomes less than a millisecond")),
        }
    }
}

fn push(list: &mut Vec<String>, text: String) {
    if !list.contains(&text) {
        list.push(text);
    }
}
