//! Counting: each user counts in one of a few shards, and once a second they are emptied into a frame.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use harness_event::LoadPhase;
use hdrhistogram::{
    Histogram,
    serialization::{Serializer, V2Serializer},
};

use super::{clock::Clock, connection::Failure};
use crate::{Entry, HISTOGRAM_DIGITS, HISTOGRAM_MAX_US};

/// What became of one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Its phase.
    pub(super) phase: LoadPhase,
    /// Its step.
    pub(super) step: usize,
    /// When it started, or should have.
    pub(super) start: Instant,
    /// When it was over.
    pub(super) end: Instant,
    /// Status and length of the answer's body, or why there is none.
    pub(super) answer: Result<(u16, u64), Failure>,
    /// Whether it is what was expected.
    pub(super) failed: bool,
}

/// The counts of all users.
pub(super) struct Recorder {
    steps: usize,
    shards: Vec<Mutex<Shard>>,
    // Emptied shards' memory is used again: swapped in for the one that is emptied.
    spare: Mutex<Shard>,
}

#[derive(Default)]
struct Shard {
    cells: Vec<Cell>,
    last_end: Option<Instant>,
}

/// Requests of one step in one phase.
#[derive(Default)]
struct Cell {
    statuses: Vec<(u16, u64)>,
    errors: [u64; Failure::ALL.len()],
    failed: u64,
    bytes: u64,
    first_start: Option<Instant>,
    /// It grows with the values that it holds, up to the largest one that is counted.
    latencies: Option<Histogram<u64>>,
}

/// All counts since the last time.
pub(super) struct Drained {
    /// By phase and step.
    pub(super) entries: Vec<Entry>,
    /// Their sum.
    pub(super) requests: u64,
    /// When the last of them was over.
    pub(super) last_end: Option<Instant>,
}

impl Recorder {
    /// For so many steps, with so many shards.
    pub(super) fn new(steps: usize, shards: usize) -> Self {
        let shard = || Mutex::new(Shard::new(steps));
        Self { steps, shards: (0..shards).map(|_| shard()).collect(), spare: shard() }
    }

    /// Counts a request of a user.
    pub(super) fn record(&self, user: usize, outcome: &Outcome) {
        let mut shard = lock(&self.shards[user % self.shards.len()]);
        shard.last_end = shard.last_end.max(Some(outcome.end));
        let cell = &mut shard.cells[outcome.phase as usize * self.steps + outcome.step];
        match outcome.answer {
            Ok((status, bytes)) => {
                match cell.statuses.iter_mut().find(|(known, _)| *known == status) {
                    Some((_, count)) => *count += 1,
                    None => cell.statuses.push((status, 1)),
                }
                cell.bytes += bytes;
            }
            Err(failure) => cell.errors[failure as usize] += 1,
        }
        cell.failed += u64::from(outcome.failed);
        cell.first_start = Some(cell.first_start.map_or(outcome.start, |first| first.min(outcome.start)));
        let micros = outcome.end.saturating_duration_since(outcome.start).as_micros();
        let micros = u64::try_from(micros).unwrap_or(u64::MAX).clamp(1, HISTOGRAM_MAX_US);
        // Not the saturating way, which would clamp to the values that it holds so far instead of growing.
        let recorded = cell.latencies.get_or_insert_with(histogram).record(micros);
        debug_assert!(recorded.is_ok(), "it grows up to the largest value");
    }

    /// Takes all counts out.
    pub(super) fn drain(&self, clock: &Clock) -> Drained {
        let mut sum = Shard::new(self.steps);
        let mut spare = lock(&self.spare);
        for shard in &self.shards {
            // Users wait for the swap only, not for the sums.
            std::mem::swap(&mut *lock(shard), &mut *spare);
            sum.last_end = sum.last_end.max(spare.last_end.take());
            for (total, cell) in sum.cells.iter_mut().zip(&mut spare.cells) {
                total.take(cell);
            }
        }
        drop(spare);
        let mut entries = Vec::new();
        let mut requests = 0;
        for (place, cell) in sum.cells.iter().enumerate() {
            if let Some(entry) = cell.entry(LoadPhase::ALL[place / self.steps], place % self.steps, clock) {
                requests += entry.requests();
                entries.push(entry);
            }
        }
        Drained { entries, requests, last_end: sum.last_end }
    }
}

impl Shard {
    fn new(steps: usize) -> Self {
        let cells = (0..LoadPhase::ALL.len() * steps).map(|_| Cell::default()).collect();
        Self { cells, last_end: None }
    }
}

impl Cell {
    fn take(&mut self, other: &mut Self) {
        let Some(first) = other.first_start.take() else { return };
        self.first_start = Some(self.first_start.map_or(first, |known| known.min(first)));
        for (status, count) in other.statuses.drain(..) {
            match self.statuses.iter_mut().find(|(known, _)| *known == status) {
                Some((_, total)) => *total += count,
                None => self.statuses.push((status, count)),
            }
        }
        for (total, count) in self.errors.iter_mut().zip(&mut other.errors) {
            *total += std::mem::take(count);
        }
        self.failed += std::mem::take(&mut other.failed);
        self.bytes += std::mem::take(&mut other.bytes);
        if let Some(latencies) = &mut other.latencies {
            let total = self.latencies.get_or_insert_with(histogram);
            // Both grow as needed and have the same precision, which are the ways in which it can fail.
            let _ = total.add(&*latencies);
            latencies.reset();
        }
    }

    fn entry(&self, phase: LoadPhase, step: usize, clock: &Clock) -> Option<Entry> {
        let first_start = clock.timestamp(self.first_start?);
        let errors = Failure::ALL.iter().zip(self.errors).filter(|(_, count)| *count > 0);
        Some(Entry {
            phase,
            step,
            statuses: self.statuses.iter().copied().collect::<BTreeMap<_, _>>(),
            errors: errors.map(|(failure, count)| (failure.name().to_owned(), count)).collect(),
            failed: self.failed,
            bytes: self.bytes,
            first_start,
            latencies: self.latencies.as_ref().map(encode).unwrap_or_default(),
        })
    }
}

fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new(HISTOGRAM_DIGITS).expect("the number of digits is between 0 and 5");
    histogram.auto(true);
    histogram
}

fn encode(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2Serializer::new()
        .serialize(histogram, &mut bytes)
        .expect("counts of a second fit the format, memory takes all");
    STANDARD.encode(bytes)
}

fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    // Nothing that is done under the lock can be left half-done by a panic that the worker survives.
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hdrhistogram::serialization::Deserializer;
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str) -> Histogram<u64> {
        Deserializer::new().deserialize(&mut STANDARD.decode(text).unwrap().as_slice()).unwrap()
    }

    proptest! {
        // Each frame of each case is histograms written and read.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn frames_add_up_to_the_whole(
            requests in prop::collection::vec(
                (0..8usize, 0..3usize, 0..4usize, 0..200_000u64, 0..9usize, any::<bool>(), any::<bool>()), 1..100,
            ),
        ) {
            let clock = Clock::new();
            let recorder = Recorder::new(3, 4);
            let begin = Instant::now();
            let mut whole: BTreeMap<(LoadPhase, usize), Histogram<u64>> = BTreeMap::new();
            let mut merged = whole.clone();
            let (mut sum, mut failed, mut bytes) = (0, 0, 0);
            let (mut all_failed, mut all_bytes) = (0, 0);
            let mut collect = || {
                let drained = recorder.drain(&clock);
                let count: u64 = drained.entries.iter().map(Entry::requests).sum();
                assert_eq!(count, drained.requests);
                sum += count;
                for entry in drained.entries {
                    failed += entry.failed;
                    bytes += entry.bytes;
                    let latencies = decode(&entry.latencies);
                    assert_eq!(latencies.len(), entry.requests());
                    merged.entry((entry.phase, entry.step)).or_insert_with(histogram).add(latencies).unwrap();
                }
            };
            for &(user, step, phase, micros, kind, bad, frame_ends) in &requests {
                let answer = match kind {
                    0..7 => Err(Failure::ALL[kind]),
                    7 => Ok((200, 10)),
                    _ => Ok((404, 1)),
                };
                let phase = LoadPhase::ALL[phase];
                let end = begin + Duration::from_micros(micros);
                recorder.record(user, &Outcome { phase, step, start: begin, end, answer, failed: bad });
                whole.entry((phase, step)).or_insert_with(histogram).record(micros.max(1)).unwrap();
                all_failed += u64::from(bad);
                all_bytes += answer.map_or(0, |(_, bytes)| bytes);
                if frame_ends {
                    collect();
                }
            }
            collect();
            prop_assert_eq!(sum, requests.len() as u64);
            prop_assert_eq!((failed, bytes), (all_failed, all_bytes));
            prop_assert!(merged == whole);
        }
    }

    #[test]
    fn nothing_is_counted_twice() {
        let recorder = Recorder::new(1, 2);
        let now = Instant::now();
        let outcome = Outcome {
            phase: LoadPhase::Before,
            step: 0,
            start: now,
            end: now + Duration::from_secs(3600),
            answer: Ok((200, 5)),
            failed: false,
        };
        recorder.record(1, &outcome);
        let clock = Clock::new();
        let drained = recorder.drain(&clock);
        assert_eq!((drained.requests, drained.last_end), (1, Some(outcome.end)));
        let latencies = decode(&drained.entries[0].latencies);
        assert!(latencies.max() >= HISTOGRAM_MAX_US && latencies.max() < HISTOGRAM_MAX_US + 1_000_000);
        let drained = recorder.drain(&clock);
        assert_eq!((drained.requests, drained.entries.len(), drained.last_end), (0, 0, None));
    }
}
