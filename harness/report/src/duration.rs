//! Lengths of time in columns.

pub(crate) use harness_event::narrate::{latency, long, percent, trimmed, window};
use harness_event::{Millis, Timestamp};

/// `+12.34s`, for the left margin.
pub(crate) fn offset(elapsed: Millis) -> String {
    format!("+{:.2}s", elapsed.as_secs_f64())
}

/// From one time to another, or a dash where the second never came.
pub(crate) fn between(from: Timestamp, to: Option<Timestamp>) -> String {
    to.map_or_else(|| "-".to_owned(), |to| (to - from).to_string())
}
