//! What a load's frames add up to, by phase and step, in memory that does not grow with the length of the run.

use std::collections::BTreeMap;

use harness_event::{EventKind, LoadPhase, LoadSample, LoadSpec, LoadStats, Millis, Timestamp};
use harness_load::{Frame, Reason};

use super::merge::{FrameError, Totals, histogram, read_histogram};

/// Everything measured of one load so far.
pub(super) struct Measured {
    load: String,
    steps: Vec<String>,
    warm_up: Millis,
    /// How long it sends requests. Answers may take longer, which makes no rate lower.
    length: Option<Millis>,
    started_at: Option<Timestamp>,
    /// When each phase began, in order.
    phases: Vec<(LoadPhase, Timestamp)>,
    totals: BTreeMap<(LoadPhase, usize), Totals>,
    next_frame: u64,
    requests: u64,
    begun: u64,
    due: u64,
    most_behind: Millis,
}

impl Measured {
    pub(super) fn new(spec: &LoadSpec) -> Self {
        Self {
            load: spec.name.clone(),
            steps: spec.steps.iter().map(|step| step.name.clone()).collect(),
            warm_up: spec.warm_up,
            length: super::length(spec),
            started_at: None,
            phases: Vec::new(),
            totals: BTreeMap::new(),
            next_frame: 0,
            requests: 0,
            begun: 0,
            due: 0,
            most_behind: Millis(0),
        }
    }

    pub(super) fn started(&mut self, at: Timestamp) {
        self.started_at = Some(at);
    }

    /// From now on, requests that start count in this phase.
    pub(super) fn phase(&mut self, phase: LoadPhase, at: Timestamp) {
        self.phases.push((phase, at));
    }

    /// Requests of all frames.
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Requests begun, as the last frame says.
    pub(super) fn begun(&self) -> u64 {
        self.begun
    }

    /// Takes a frame; gives what live views show of it.
    pub(super) fn add(&mut self, frame: &Frame) -> Result<LoadSample, FrameError> {
        if frame.number != self.next_frame {
            return Err(FrameError::Number { expected: self.next_frame, found: frame.number });
        }
        if frame.begun < self.begun || frame.due < self.due {
            return Err(FrameError::Counts(
                "fewer requests begun, or due, than the one before it".to_owned(),
            ));
        }
        let (mut requests, mut failed, mut latencies) = (0, 0, histogram());
        for entry in &frame.entries {
            if entry.step >= self.steps.len() {
                return Err(FrameError::Step(entry.step));
            }
            let read = read_histogram(entry)?;
            let totals = self.totals.entry((entry.phase, entry.step)).or_insert_with(Totals::new);
            totals.add_entry(entry, &read)?;
            latencies.add(&read).map_err(|error| FrameError::Histogram(error.to_string()))?;
            requests += entry.requests();
            failed += entry.failed;
        }
        self.next_frame += 1;
        self.requests += requests;
        (self.begun, self.due) = (frame.begun, frame.due);
        self.most_behind = self.most_behind.max(frame.behind);
        let quantile = |quantile| if requests == 0 { 0 } else { latencies.value_at_quantile(quantile) };
        Ok(LoadSample {
            from: frame.from,
            length: frame.length,
            users: frame.users,
            requests,
            failed,
            behind: frame.behind,
            p50_us: quantile(0.5),
            p95_us: quantile(0.95),
            p99_us: quantile(0.99),
        })
    }

    /// The facts about a load that ended, or would end, at that time: what was measured, then its end.
    pub(super) fn facts(&self, ended_at: Timestamp, reason: Reason) -> Vec<EventKind> {
        let load = || self.load.clone();
        let mut facts = Vec::new();
        for phase in LoadPhase::ALL {
            for (step, stats) in self.of_phase(phase, ended_at) {
                facts.push(EventKind::LoadMeasured { load: load(), phase, step, stats });
            }
        }
        let reason = match reason {
            Reason::Requests => "requests",
            Reason::Duration => "duration",
            Reason::Stopped => "stopped",
        };
        facts.push(EventKind::LoadFinished {
            load: load(),
            ended_at,
            reason: reason.to_owned(),
            begun: self.begun,
            due: self.due,
            most_behind: self.most_behind,
        });
        facts
    }

    /// All steps together, then each, if there are several.
    fn of_phase(&self, phase: LoadPhase, ended_at: Timestamp) -> Vec<(Option<String>, LoadStats)> {
        let (from, to) = (self.start_of(phase, ended_at), self.end_of(phase, ended_at));
        let of_steps: Vec<_> = self.totals.range((phase, 0)..=(phase, usize::MAX)).collect();
        if of_steps.is_empty() {
            return Vec::new();
        }
        let mut all = Totals::new();
        for (_, totals) in &of_steps {
            all.add_totals(totals);
        }
        let mut stats = vec![(None, all.stats(from, to))];
        if self.steps.len() > 1 {
            let each = of_steps.into_iter();
            stats.extend(
                each.map(|((_, step), totals)| (Some(self.steps[*step].clone()), totals.stats(from, to))),
            );
        }
        stats
    }

    /// When the phase began for this load, whether or not a request did: a system that let nobody begin one for a minute was not
    /// asked faster for it.
    fn start_of(&self, phase: LoadPhase, ended_at: Timestamp) -> Timestamp {
        let started = self.started_at.unwrap_or(ended_at);
        if phase == LoadPhase::WarmUp {
            return started;
        }
        let began = self.phases.iter().find(|(one, _)| *one == phase).map_or(started, |(_, at)| *at);
        began.max(started + self.warm_up)
    }

    /// The start of the next phase, or the end of the load's own time. No phase but the warm-up ends before that does.
    fn end_of(&self, phase: LoadPhase, ended_at: Timestamp) -> Timestamp {
        let started = self.started_at.unwrap_or(ended_at);
        let end = self.length.map_or(ended_at, |length| ended_at.min(started + length));
        let warm = started + self.warm_up;
        let next = match phase {
            LoadPhase::WarmUp => Some(warm),
            _ => self.phases.iter().find(|(later, _)| *later > phase).map(|(_, at)| (*at).max(warm)),
        };
        next.map_or(end, |next| next.min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_STANDARD};
    use harness_event::{LoadStart, LoadStep};
    use harness_load::Entry;
    use hdrhistogram::serialization::{Serializer, V2Serializer};

    fn step(name: &str) -> LoadStep {
        LoadStep {
            name: name.into(),
            method: "GET".into(),
            url: "http://x/".into(),
            headers: BTreeMap::new(),
            body: None,
            extract: vec![],
            status: 200,
            weight: 1,
            think: None,
            timeout: Millis(1000),
        }
    }

    fn spec() -> LoadSpec {
        LoadSpec {
            name: "surge".into(),
            start: LoadStart::Background,
            duration: None,
            users: 1,
            ramp: Millis(0),
            warm_up: Millis(1000),
            requests: None,
            stages: vec![],
            requests_per_connection: None,
            ca_file: None,
            setup: vec![],
            in_order: true,
            steps: vec![step("list"), step("upload")],
        }
    }

    fn entry(phase: LoadPhase, step: usize, first_start: i64, latencies: &[u64]) -> Entry {
        let mut recorded = histogram();
        for latency in latencies {
            recorded.record(*latency).unwrap();
        }
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&recorded, &mut bytes).unwrap();
        Entry {
            phase,
            step,
            statuses: [(200, latencies.len() as u64 - 1), (500, 1)].into(),
            errors: BTreeMap::new(),
            failed: 1,
            bytes: 10,
            first_start: Timestamp(first_start),
            latencies: BASE64_STANDARD.encode(bytes),
        }
    }

    fn frame(number: u64, entries: Vec<Entry>) -> Frame {
        let begun = 100 * (number + 1);
        Frame {
            number,
            begun,
            length: Millis(1000),
            behind: Millis(number as i64),
            entries,
            ..Frame::default()
        }
    }

    /// Halves of one load, measured in different frames, have the percentiles of the whole.
    #[test]
    fn frames_add_up_by_phase_and_step() {
        let mut measured = Measured::new(&spec());
        measured.started(Timestamp(1000));
        let low: Vec<u64> = (1..=50).map(|n| n * 1000).collect();
        let high: Vec<u64> = (51..=100).map(|n| n * 1000).collect();
        measured.add(&frame(0, vec![entry(LoadPhase::WarmUp, 0, 1000, &[1, 2])])).unwrap();
        measured.add(&frame(1, vec![entry(LoadPhase::Before, 0, 2000, &high)])).unwrap();
        measured.phase(LoadPhase::During, Timestamp(5000));
        let both =
            vec![entry(LoadPhase::Before, 0, 2500, &low), entry(LoadPhase::During, 1, 5010, &[7000, 7000])];
        let sample = measured.add(&frame(2, both)).unwrap();
        assert_eq!((sample.requests, sample.failed), (52, 2));

        let facts = measured.facts(Timestamp(9000), Reason::Stopped);
        let stats = |wanted: LoadPhase, step: Option<&str>| {
            facts.iter().find_map(|fact| match fact {
                EventKind::LoadMeasured { phase, step: found, stats, .. }
                    if *phase == wanted && found.as_deref() == step =>
                {
                    Some(stats.clone())
                }
                _ => None,
            })
        };
        let before = stats(LoadPhase::Before, None).unwrap();
        assert_eq!((before.requests, before.failed, before.statuses[&500]), (100, 2, 2));
        assert_eq!((before.from, before.to), (Timestamp(2000), Timestamp(5000)));
        // Three significant digits.
        assert!(before.latency.p90.abs_diff(90_000) <= 90, "{}", before.latency.p90);
        assert!(before.latency.max.abs_diff(100_000) <= 100);
        assert_eq!(stats(LoadPhase::Before, Some("list")), Some(before));
        assert_eq!(stats(LoadPhase::Before, Some("upload")), None);
        assert_eq!(stats(LoadPhase::WarmUp, None).unwrap().to, Timestamp(2000));
        assert_eq!(stats(LoadPhase::During, None).unwrap().to, Timestamp(9000));
        assert_eq!(stats(LoadPhase::After, None), None);
        let Some(EventKind::LoadFinished { begun, most_behind, reason, .. }) = facts.last() else { panic!() };
        assert_eq!((*begun, *most_behind, reason.as_str()), (300, Millis(2), "stopped"));
    }

    /// A phase in which the system let hardly anybody in was not asked faster for it, and one straggler makes no load slower.
    #[test]
    fn a_rate_is_of_the_phase_and_not_of_its_requests() {
        let mut measured = Measured::new(&LoadSpec { duration: Some(Millis(10_000)), ..spec() });
        measured.started(Timestamp(1000));
        measured.phase(LoadPhase::During, Timestamp(3000));
        measured.add(&frame(0, vec![entry(LoadPhase::During, 0, 10_900, &[1, 1])])).unwrap();
        let facts = measured.facts(Timestamp(16_000), Reason::Duration);
        let Some(EventKind::LoadMeasured { stats, .. }) = facts.first() else { panic!() };
        assert_eq!((stats.from, stats.to), (Timestamp(3000), Timestamp(11_000)));
        assert_eq!(stats.rate(), Some(0.25));
    }

    #[test]
    fn frames_that_contradict_themselves_are_refused() {
        let refused = |frame: &Frame| Measured::new(&spec()).add(frame).unwrap_err().to_string();
        assert_eq!(refused(&frame(1, vec![])), "frame 1 came where frame 0 was due");
        assert!(refused(&frame(0, vec![entry(LoadPhase::Before, 2, 0, &[1])])).contains("step 2"));
        let good = entry(LoadPhase::Before, 0, 0, &[1, 2]);
        let lost = Entry { statuses: [(200, 1)].into(), ..good.clone() };
        assert!(refused(&frame(0, vec![lost])).contains("1 requests with 2 latencies"));
        let failed = Entry { failed: 3, ..good.clone() };
        assert!(refused(&frame(0, vec![failed])).contains("3 failed requests of 2"));
        let garbage = Entry { latencies: "AAAA".into(), ..good };
        assert!(refused(&frame(0, vec![garbage])).contains("cannot be read"));

        let mut measured = Measured::new(&spec());
        measured.add(&frame(0, vec![])).unwrap();
        let back = Frame { begun: 1, ..frame(1, vec![]) };
        assert!(measured.add(&back).unwrap_err().to_string().contains("fewer requests"));
    }
}
