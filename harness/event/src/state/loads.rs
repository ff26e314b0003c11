//! Loads.

use super::model::{LoadStage, LoadView, RunState};
use crate::{EventKind, LoadPhase, LoadSample, LoadSpec, LoadStats, Millis, Plan};

impl LoadView {
    fn new(spec: LoadSpec, by_hand: bool) -> Self {
        Self {
            spec,
            by_hand,
            stage: LoadStage::Waiting,
            started: None,
            ended: None,
            requests: 0,
            failed: 0,
            last: None,
            rate: Default::default(),
            error_ratio: Default::default(),
            p50: Default::default(),
            p95: Default::default(),
            p99: Default::default(),
            stopped_by_hand: false,
            due: None,
            most_behind: Millis(0),
            measured: vec![],
        }
    }

    /// Rate that its schedule asks for at a time since the start of the run; none without a schedule, and while it does not run.
    pub fn scheduled_rate(&self, at: Millis) -> Option<f64> {
        let started = self.started.filter(|started| at >= *started)?;
        if self.ended.is_some_and(|ended| at > ended) {
            return None;
        }
        let mut rest = at - started;
        for stage in &self.spec.stages {
            match stage.length {
                Some(length) if rest >= length => rest = rest - length,
                Some(length) => {
                    let share = rest.as_secs_f64() / length.as_secs_f64().max(0.001);
                    return Some(stage.rate + (stage.to.unwrap_or(stage.rate) - stage.rate) * share);
                }
                None => return Some(stage.rate),
            }
        }
        None
    }

    fn sampled(&mut self, elapsed: Millis, sample: &LoadSample) {
        let seconds = sample.length.as_secs_f64();
        let answered = sample.requests > 0;
        let milliseconds = |us: u64| answered.then_some(us as f64 / 1000.0);
        self.requests = self.requests.saturating_add(sample.requests);
        self.failed = self.failed.saturating_add(sample.failed);
        self.most_behind = self.most_behind.max(sample.behind);
        self.rate.push(elapsed, (seconds > 0.0).then(|| sample.requests as f64 / seconds));
        self.error_ratio.push(elapsed, answered.then(|| sample.failed as f64 / sample.requests as f64));
        self.p50.push(elapsed, milliseconds(sample.p50_us));
        self.p95.push(elapsed, milliseconds(sample.p95_us));
        self.p99.push(elapsed, milliseconds(sample.p99_us));
        self.last = Some(sample.clone());
    }

    fn measured(&mut self, phase: LoadPhase, step: Option<&String>, stats: &LoadStats) {
        let same = self.measured.iter_mut().find(|(of, which, _)| *of == phase && which.as_ref() == step);
        match same {
            Some((_, _, known)) => *known = stats.clone(),
            None => self.measured.push((phase, step.cloned(), stats.clone())),
        }
    }
}

impl RunState {
    pub(super) fn plan_loads(&mut self, plan: &Plan) {
        self.loads.clear();
        self.memo.loads.clear();
        plan.loads.iter().for_each(|spec| self.add_load(spec.clone(), false));
    }

    fn add_load(&mut self, spec: LoadSpec, by_hand: bool) {
        match self.memo.loads.get(&spec.name) {
            Some(index) => self.loads[*index] = LoadView::new(spec, by_hand),
            None => {
                self.memo.loads.insert(spec.name.clone(), self.loads.len());
                self.loads.push(LoadView::new(spec, by_hand));
            }
        }
    }

    /// The load of that name.
    pub fn load(&self, name: &str) -> Option<&LoadView> {
        self.memo.loads.get(name).map(|index| &self.loads[*index])
    }

    fn load_mut(&mut self, name: &str) -> Option<&mut LoadView> {
        self.memo.loads.get(name).map(|index| &mut self.loads[*index])
    }

    pub(super) fn apply_to_load(&mut self, kind: &EventKind) {
        match kind {
            EventKind::LoadRequested { spec } => self.add_load(spec.clone(), true),
            EventKind::LoadStopped { load } => {
                if let Some(load) = self.load_mut(load) {
                    load.stopped_by_hand = true;
                }
            }
            EventKind::LoadStarted { load, started_at } => {
                let started = self.since_start(*started_at);
                if let Some(load) = self.load_mut(load) {
                    load.started = Some(started);
                    load.stage = LoadStage::Running;
                }
            }
            EventKind::LoadSampled { load, sample } => {
                let elapsed = self.since_start(sample.from);
                if let Some(load) = self.load_mut(load) {
                    // It runs, also where the log lost its start.
                    if load.stage == LoadStage::Waiting {
                        load.stage = LoadStage::Running;
                    }
                    load.sampled(elapsed, sample);
                }
            }
            EventKind::LoadMeasured { load, phase, step, stats } => {
                if let Some(load) = self.load_mut(load) {
                    load.measured(*phase, step.as_ref(), stats);
                }
            }
            EventKind::LoadFinished { load, ended_at, reason, begun, due, most_behind } => {
                let ended = self.since_start(*ended_at);
                if let Some(load) = self.load_mut(load) {
                    load.ended = Some(ended);
                    load.stage = LoadStage::Ended(reason.clone());
                    load.most_behind = load.most_behind.max(*most_behind);
                    load.due = load.spec.is_open().then_some((*due, *begun));
                }
            }
            EventKind::LoadFailed { load, error } => {
                let ended = self.elapsed;
                if let Some(load) = self.load_mut(load) {
                    load.ended.get_or_insert(ended);
                    load.stage = LoadStage::Failed(error.clone());
                }
            }
            _ => {}
        }
    }
}
