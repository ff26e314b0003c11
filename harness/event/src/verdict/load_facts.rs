//! What is known of a load, and what makes it another experiment than the one that was asked for.

use std::collections::BTreeMap;

use super::facts::{Facts, FaultFacts};
use crate::{EventKind, LoadPhase, LoadSample, LoadSpec, LoadStats, Millis, Plan, Timestamp};

/// A worker says every second what it did. What it did not speak of for longer than this is not known.
const SILENCE: Millis = Millis::from_secs(3);
/// With fewer of its starts begun, a schedule was another one: the rate that the scenario names was not there. It is the order of
/// what people read off a rate as "the same"; what the missing starts do to a quantile is judged more strictly, with the quantile.
const LEAST_BEGUN: f64 = 0.95;

/// How a load ended.
#[derive(Debug)]
pub(super) struct Finish<'a> {
    pub(super) ended_at: Timestamp,
    pub(super) reason: &'a str,
    pub(super) begun: u64,
    pub(super) due: u64,
    pub(super) most_behind: Millis,
}

/// One load, as it went.
#[derive(Debug, Default)]
pub(super) struct LoadFacts<'a> {
    pub(super) started_at: Option<Timestamp>,
    pub(super) samples: Vec<&'a LoadSample>,
    pub(super) measured: BTreeMap<(LoadPhase, Option<&'a str>), &'a LoadStats>,
    pub(super) finish: Option<Finish<'a>>,
    pub(super) failed: Option<&'a str>,
}

impl<'a> LoadFacts<'a> {
    pub(super) fn add(&mut self, kind: &'a EventKind) {
        match kind {
            EventKind::LoadStarted { started_at, .. } => self.started_at = Some(*started_at),
            EventKind::LoadSampled { sample, .. } => self.samples.push(sample),
            EventKind::LoadMeasured { phase, step, stats, .. } => {
                self.measured.insert((*phase, step.as_deref()), stats);
            }
            EventKind::LoadFinished { ended_at, reason, begun, due, most_behind, .. } => {
                let (begun, due, most_behind) = (*begun, *due, *most_behind);
                self.finish = Some(Finish { ended_at: *ended_at, reason, begun, due, most_behind });
            }
            EventKind::LoadFailed { error, .. } => self.failed = Some(error),
            _ => {}
        }
    }

    /// As something that happens to the system: its effect is the first user or the first due start, if anybody ever answered as
    /// expected. A load that reaches nobody strikes nobody.
    pub(super) fn as_fault(&self) -> FaultFacts {
        let answered: u64 =
            self.samples.iter().map(|sample| sample.requests.saturating_sub(sample.failed)).sum();
        let seen = !self.samples.is_empty() || self.finish.is_some();
        let effect = self.started_at.filter(|_| answered > 0);
        let ended = self.finish.as_ref().map(|finish| finish.ended_at);
        FaultFacts {
            is_load: true,
            applied_at: self.started_at,
            apply_error: self.failed.map(str::to_owned),
            effect: effect.map(|at| (at, format!("{answered} requests answered as expected"))),
            effect_missing: (effect.is_none() && self.started_at.is_some() && seen).then(|| self.nobody()),
            revert_sent: ended,
            reverted: ended.map(|at| (at, "the load has ended".to_owned())),
            ..FaultFacts::default()
        }
    }

    /// `nobody answered as expected: 404 (1200 times), connect (3 times)`.
    fn nobody(&self) -> String {
        let all = self.measured.iter().filter(|((_, step), _)| step.is_none());
        let instead = describe_answers(all.map(|(_, stats)| *stats));
        let sampled = || {
            let requests: u64 = self.samples.iter().map(|sample| sample.requests).sum();
            let failed: u64 = self.samples.iter().map(|sample| sample.failed).sum();
            format!("{failed} of {requests} requests failed")
        };
        format!("nobody answered as expected: {}", instead.unwrap_or_else(sampled))
    }

    /// Statistics of a phase, of one step or of all. A load of a single step has no others.
    pub(super) fn stats(
        &self,
        spec: &LoadSpec,
        phase: LoadPhase,
        step: Option<&str>,
    ) -> Option<&'a LoadStats> {
        let only = step.is_some()
            && spec.steps.len() == 1
            && spec.steps.iter().any(|one| Some(one.name.as_str()) == step);
        let of_step = self.measured.get(&(phase, step));
        of_step.or_else(|| self.measured.get(&(phase, None)).filter(|_| only)).copied()
    }

    /// Statistics of some phases of one step, or of all steps.
    fn of_step<'s>(
        &'s self,
        phases: &'s [LoadPhase],
        step: Option<&'s str>,
    ) -> impl Iterator<Item = &'a LoadStats> + 's {
        let wanted = move |(phase, of): &(LoadPhase, Option<&str>)| phases.contains(phase) && *of == step;
        self.measured.iter().filter(move |(key, _)| wanted(key)).map(|(_, stats)| *stats)
    }

    /// The longest time, beyond [`SILENCE`], in which nothing is known of it: since when, and how long.
    fn silence(&self, ended_at: Timestamp) -> Option<(Timestamp, Millis)> {
        let mut known = self.started_at?;
        let mut longest: Option<(Timestamp, Millis)> = None;
        let ends = self.samples.iter().map(|sample| (sample.from, sample.from + sample.length));
        for (from, to) in ends.chain([(ended_at, ended_at)]) {
            let gap = from - known;
            if gap > SILENCE && longest.is_none_or(|(_, length)| gap > length) {
                longest = Some((known, gap));
            }
            known = known.max(to);
        }
        longest
    }
}

/// Status codes and kinds of errors, the most frequent first; none without requests.
fn describe_answers<'a>(all: impl Iterator<Item = &'a LoadStats>) -> Option<String> {
    let mut counts = BTreeMap::<String, u64>::new();
    for stats in all {
        for (status, count) in &stats.statuses {
            *counts.entry(status.to_string()).or_default() += count;
        }
        for (kind, count) in &stats.errors {
            *counts.entry(kind.clone()).or_default() += count;
        }
    }
    let mut counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
    counts.sort_by(|one, two| two.1.cmp(&one.1).then_with(|| one.0.cmp(&two.0)));
    let texts: Vec<_> =
        counts.iter().take(5).map(|(what, count)| format!("{what} ({count} times)")).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Why the loads of this run were not those that the scenario asks for. Nothing may pass beside one of these, whether or not
/// something is expected of the load itself: an alert that stays silent under a load that was not there proves nothing.
pub(super) fn disturbances(facts: &Facts<'_>, plan: &Plan) -> Vec<String> {
    plan.loads.iter().flat_map(|load| of_load(facts, plan, load)).collect()
}

fn of_load(facts: &Facts<'_>, plan: &Plan, spec: &LoadSpec) -> Vec<String> {
    let name = &spec.name;
    let Some(load) = facts.loads.get(name.as_str()) else {
        return vec![format!("load {name:?} was not started")];
    };
    if let Some(error) = load.failed {
        return vec![format!("load {name:?} could not be carried out: {error}")];
    }
    if load.started_at.is_none() {
        return vec![format!("load {name:?} was not started")];
    }
    let mut found = Vec::new();
    if !spec.is_background() {
        found.extend(facts.effect(name).err());
    }
    found.extend(unfinished(facts, spec, load));
    let end = load.finish.as_ref().map_or(facts.end(), |finish| finish.ended_at);
    if let Some((since, length)) = load.silence(end) {
        found.push(format!("nothing is known of load {name:?} for {length} from {} on", since.clock()));
    }
    if load.finish.is_some() && found.is_empty() {
        found.extend(reached_nobody(plan, spec, load));
    }
    found
}

/// It did not come to its end, or not to the end that it was to have.
fn unfinished(facts: &Facts<'_>, spec: &LoadSpec, load: &LoadFacts<'_>) -> Vec<String> {
    let name = &spec.name;
    let Some(finish) = &load.finish else { return vec![format!("load {name:?} did not come to its end")] };
    let mut found = Vec::new();
    if (finish.begun as f64) < LEAST_BEGUN * finish.due as f64 {
        let (begun, due) = (finish.begun, finish.due);
        found.push(format!(
            "load {name:?} fell behind its schedule: {begun} of {due} due requests were begun, up to {} late",
            finish.most_behind
        ));
    }
    match spec.requests {
        Some(wanted) if finish.begun < wanted => {
            let (begun, why) = (finish.begun, finish.reason);
            found.push(format!("load {name:?} ended after {begun} of {wanted} requests ({why})"));
        }
        None if !spec.is_background() && finish.reason == "stopped" => {
            found.push(format!("load {name:?} was stopped before its time was over"));
        }
        _ => {}
    }
    let disturbed_until =
        facts.faults.values().filter_map(|fault| fault.reverted.as_ref()).map(|(at, _)| *at).max();
    let endless = spec.is_background() && spec.requests.is_none() && spec.duration.is_none();
    // A load of few requests has its last answer long before its end.
    let last_frame = load.samples.last().map(|sample| sample.from + sample.length);
    let ended_at = last_frame.unwrap_or_default().max(finish.ended_at) + SILENCE;
    if endless && disturbed_until.is_some_and(|until| ended_at < until) {
        found.push(format!("load {name:?} ended before the end of the faults that it was to accompany"));
    }
    found
}

/// Where the system is expected to be healthy, at least half of the answers must be as expected, and at least one to every step that
/// was tried: a load that only ever got 404, or hardly anything else, did not use the system as the scenario says. A background load meets the healthy system before the first fault; a timed load
/// meets it only if there are no faults.
fn reached_nobody(plan: &Plan, spec: &LoadSpec, load: &LoadFacts<'_>) -> Vec<String> {
    let name = &spec.name;
    let (phases, when): (&[LoadPhase], &str) = match spec.is_background() {
        true if load.of_step(&[LoadPhase::Before], None).any(|stats| stats.requests > 0) => {
            (&[LoadPhase::Before], " before anything was done to the system")
        }
        // The warm-up may be as long as the baseline.
        true => (&[LoadPhase::WarmUp], " before anything was done to the system"),
        false if plan.faults.is_empty() => (&LoadPhase::ALL, ""),
        false => return Vec::new(),
    };
    let (mut requests, mut answered) = (0, 0);
    for stats in load.of_step(phases, None) {
        requests += stats.requests;
        answered += stats.requests.saturating_sub(stats.failed);
    }
    if requests == 0 {
        return vec![format!("load {name:?}: no request was measured{when}")];
    }
    let instead =
        |step| describe_answers(load.of_step(phases, step)).unwrap_or_else(|| "no answer".to_owned());
    if answered == 0 {
        return vec![format!("load {name:?}: nobody answered as expected{when}: {}", instead(None))];
    }
    if answered * 2 < requests {
        let instead = instead(None);
        return vec![format!(
            "load {name:?}: only {answered} of {requests} requests were answered as expected{when}: {instead}"
        )];
    }
    let dead = |step: &&str| {
        let all = || load.of_step(phases, Some(step));
        all().any(|stats| stats.requests > 0) && all().all(|stats| stats.failed >= stats.requests)
    };
    let steps = spec.steps.iter().map(|step| step.name.as_str()).filter(dead);
    steps
        .map(|step| {
            format!("load {name:?}: nobody answered step {step:?} as expected{when}: {}", instead(Some(step)))
        })
        .collect()
}
