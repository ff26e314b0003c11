//! Requests of one step in one phase, merged from frames.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use harness_event::{Latency, LoadStats, Timestamp};
use harness_load::{Entry, HISTOGRAM_DIGITS, HISTOGRAM_MAX_US};
use hdrhistogram::{Histogram, serialization::Deserializer};

/// So many kinds of errors are told apart; a worker knows far fewer.
const KINDS: usize = 64;

/// Why a frame cannot be what a sound worker sends.
#[derive(Debug, thiserror::Error)]
pub(super) enum FrameError {
    /// Frames were lost, or came twice.
    #[error("frame {found} came where frame {expected} was due")]
    Number {
        /// The number that was due.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The load has no such step.
    #[error("a frame has requests of step {0}, which the load does not have")]
    Step(usize),
    /// Counts that contradict each other.
    #[error("a frame counts {0}")]
    Counts(String),
    /// The histogram cannot be read.
    #[error("a frame has a histogram that cannot be read: {0}")]
    Histogram(String),
}

/// A histogram that grows with its values has a range up to the next power of two.
const LARGEST: u64 = 2 * HISTOGRAM_MAX_US;

/// An empty histogram that can take all of the protocol's.
pub(super) fn histogram() -> Histogram<u64> {
    // The bounds are constants that satisfy the library's conditions.
    Histogram::new_with_bounds(1, LARGEST, HISTOGRAM_DIGITS).expect("bounds of the protocol")
}

/// Reads an entry's histogram, and checks it against the entry's counts.
pub(super) fn read_histogram(entry: &Entry) -> Result<Histogram<u64>, FrameError> {
    let unreadable = |error: &dyn std::fmt::Display| FrameError::Histogram(error.to_string());
    let bytes = BASE64_STANDARD.decode(&entry.latencies).map_err(|error| unreadable(&error))?;
    let histogram: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| unreadable(&error))?;
    if histogram.sigfig() != HISTOGRAM_DIGITS || histogram.high() > LARGEST {
        return Err(unreadable(&"it has another range than the protocol's"));
    }
    let (requests, latencies) = (entry.requests(), histogram.len());
    if requests != latencies {
        return Err(FrameError::Counts(format!("{requests} requests with {latencies} latencies")));
    }
    if entry.failed > requests {
        return Err(FrameError::Counts(format!("{} failed requests of {requests}", entry.failed)));
    }
    if requests == 0 {
        return Err(FrameError::Counts("no requests for a step that it names".to_owned()));
    }
    Ok(histogram)
}

/// Requests, merged. Of the same size whatever their number.
#[derive(Clone)]
pub(super) struct Totals {
    requests: u64,
    failed: u64,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    bytes: u64,
    latencies: Histogram<u64>,
}

impl Totals {
    pub(super) fn new() -> Self {
        Self {
            requests: 0,
            failed: 0,
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
            bytes: 0,
            latencies: histogram(),
        }
    }

    pub(super) fn add_entry(&mut self, entry: &Entry, latencies: &Histogram<u64>) -> Result<(), FrameError> {
        let new = entry.errors.keys().filter(|kind| !self.errors.contains_key(*kind)).count();
        if self.errors.len() + new > KINDS {
            return Err(FrameError::Counts(format!("more than {KINDS} kinds of errors")));
        }
        self.add((entry.requests(), entry.failed, entry.bytes), &entry.statuses, &entry.errors, latencies)
    }

    pub(super) fn add_totals(&mut self, other: &Self) {
        let counts = (other.requests, other.failed, other.bytes);
        // All histograms here have the same bounds, so that adding one to another cannot fail.
        let added = self.add(counts, &other.statuses, &other.errors, &other.latencies);
        debug_assert!(added.is_ok(), "histograms of one range");
    }

    fn add(
        &mut self,
        (requests, failed, bytes): (u64, u64, u64),
        statuses: &BTreeMap<u16, u64>,
        errors: &BTreeMap<String, u64>,
        latencies: &Histogram<u64>,
    ) -> Result<(), FrameError> {
        self.latencies.add(latencies).map_err(|error| FrameError::Histogram(error.to_string()))?;
        self.requests += requests;
        self.failed += failed;
        self.bytes += bytes;
        for (status, count) in statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, count) in errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        Ok(())
    }

    /// Statistics; `from` and `to` are the beginning and the end of the phase.
    pub(super) fn stats(&self, from: Timestamp, to: Timestamp) -> LoadStats {
        let quantile = |quantile| self.latencies.value_at_quantile(quantile);
        let latency = Latency {
            mean: self.latencies.mean(),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p95: quantile(0.95),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: self.latencies.max(),
        };
        LoadStats {
            from,
            to: to.max(from),
            requests: self.requests,
            failed: self.failed,
            statuses: self.statuses.clone(),
            errors: self.errors.clone(),
            bytes: self.bytes,
            latency,
        }
    }
}
