//! One clock for everything a worker reports.

use std::time::Instant;

use harness_event::{Millis, Timestamp};

/// The wall clock as it was at one point, carried on by the monotonic one: a clock that is set meanwhile distorts nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    instant: Instant,
    wall: Timestamp,
}

impl Clock {
    /// From now.
    pub(super) fn new() -> Self {
        Self { instant: Instant::now(), wall: Timestamp::now() }
    }

    /// The wall-clock time of a point.
    pub(super) fn timestamp(&self, at: Instant) -> Timestamp {
        match at.checked_duration_since(self.instant) {
            Some(since) => self.wall + Millis::from(since),
            None => self.wall - Millis::from(self.instant.duration_since(at)),
        }
    }
}
