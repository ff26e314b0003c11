//! What goes on for a long time: loads, autoscalers, error budgets. Told when something changes, and every few seconds.

use std::collections::BTreeMap;

use super::figures::{burn, latency, percent, trimmed, window};
use crate::{
    EventKind, LoadSample, LoadSpec, Millis, ObservedAutoscaler, ObservedBudget, Plan, SloDefinition,
    SloSample, state::Tone,
};

/// A load that was started for its own sake is told about this often.
const TIMED: Millis = Millis::from_secs(5);
/// One in the background this often, unless its answers change for the worse or the better.
const BACKGROUND: Millis = Millis::from_secs(30);
/// Burn rates at which Sloth's alerts change their minds.
const STEPS: [f64; 4] = [1.0, 3.0, 6.0, 14.4];

/// A line, if there is one.
pub(super) type Line = Option<(Tone, String)>;

/// Holds what was said last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    loads: BTreeMap<String, LoadProgress>,
    /// Wanted replicas and hindrances of each autoscaler.
    autoscalers: BTreeMap<String, (i32, Vec<String>)>,
    broken_budgets: BTreeMap<String, bool>,
    slos: BTreeMap<String, SloProgress>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct LoadProgress {
    model: String,
    every: Millis,
    failing: bool,
    sum: Sum,
}

/// What happened since the last line.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sum {
    length: Millis,
    requests: u64,
    failed: u64,
    users: u32,
    behind: Millis,
    p99_us: u64,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct SloProgress {
    windows: Vec<Millis>,
    step: usize,
}

/// `closed model: 100 users`.
pub(super) fn model(spec: &LoadSpec) -> String {
    match spec.is_open() {
        true => format!("open model, at most {} requests in flight", spec.users),
        false => format!("closed model: {} users", spec.users),
    }
}

impl Progress {
    /// Knows what the loads are to be.
    pub(super) fn new(plan: &Plan) -> Self {
        let mut progress = Self::default();
        plan.loads.iter().for_each(|spec| progress.load_planned(spec));
        progress
    }

    /// One more load.
    pub(super) fn load_planned(&mut self, spec: &LoadSpec) {
        let every = if spec.is_background() { BACKGROUND } else { TIMED };
        let load = LoadProgress { model: model(spec), every, ..LoadProgress::default() };
        self.loads.insert(spec.name.clone(), load);
    }

    pub(super) fn of_load(&mut self, kind: &EventKind) -> Line {
        match kind {
            EventKind::LoadStarted { load, .. } => {
                let model = self.loads.get(load).map_or("", |load| load.model.as_str());
                Some((Tone::Strong, format!("load {load} begins ({model})")))
            }
            EventKind::LoadSampled { load, sample } => {
                let text = self.loads.entry(load.clone()).or_default().sampled(sample)?;
                Some((text.0, format!("load {load}: {}", text.1)))
            }
            EventKind::LoadFinished { load, reason, begun, .. } => {
                let why = match reason.as_str() {
                    "requests" => "all were done",
                    "duration" => "its time was over",
                    "stopped" => "it was stopped",
                    other => other,
                };
                Some((Tone::Strong, format!("load {load} ends after {begun} requests: {why}")))
            }
            EventKind::LoadFailed { load, error } => {
                Some((Tone::Bad, format!("load {load} could not be carried out: {error}")))
            }
            _ => None,
        }
    }

    pub(super) fn of_autoscaler(&mut self, seen: &ObservedAutoscaler, arrow: &str) -> Line {
        let name = &seen.autoscaler;
        if !seen.exists {
            self.autoscalers.remove(name);
            return Some((Tone::Bad, format!("hpa {name} is gone")));
        }
        let hinders = |condition: &&String| {
            condition.starts_with("ScalingActive=False") || condition.starts_with("AbleToScale=False")
        };
        let blocked: Vec<String> = seen.conditions.iter().filter(hinders).cloned().collect();
        let metrics = match seen.metrics.as_slice() {
            [] => String::new(),
            metrics => format!(" ({})", metrics.join(", ")),
        };
        let old = self.autoscalers.insert(name.clone(), (seen.desired, blocked.clone()));
        match old {
            None => {
                let (desired, min, max) = (seen.desired, seen.min, seen.max);
                Some((Tone::Dim, format!("hpa {name}: {desired} wanted, {min} to {max}{metrics}")))
            }
            Some((before, _)) if before != seen.desired => {
                let now = seen.desired;
                Some((Tone::Strong, format!("hpa {name} {before} {arrow} {now}{metrics}")))
            }
            Some((_, before)) if before != blocked => Some(match blocked.is_empty() {
                true => (Tone::Good, format!("hpa {name} is at work again{metrics}")),
                false => (Tone::Warn, format!("hpa {name}: {}{metrics}", blocked.join(", "))),
            }),
            Some(_) => None,
        }
    }

    pub(super) fn of_budget(&mut self, seen: &ObservedBudget) -> Line {
        let name = &seen.budget;
        if !seen.exists {
            return Some((Tone::Warn, format!("disruption budget {name} is gone")));
        }
        let broken = seen.up_to_date && seen.healthy < seen.demanded;
        let old = self.broken_budgets.insert(name.clone(), broken).unwrap_or(false);
        let (healthy, demanded) = (seen.healthy, seen.demanded);
        let text = format!("disruption budget {name}: {healthy} healthy, {demanded} demanded");
        (broken != old).then_some((if broken { Tone::Bad } else { Tone::Good }, text))
    }

    pub(super) fn slo_defined(&mut self, definition: &SloDefinition) -> Line {
        let windows: Vec<_> = definition.windows.iter().map(|one| one.window).collect();
        let texts: Vec<_> = windows.iter().map(|length| window(*length)).collect();
        let (slo, period) = (&definition.slo, window(definition.period));
        let objective = percent(definition.objective);
        let text = format!("SLO {slo}: {objective} over {period}, windows {}", texts.join(", "));
        self.slos.insert(definition.slo.clone(), SloProgress { windows, step: 0 });
        Some((Tone::Dim, text))
    }

    /// A line when the highest burn rate passes one of the steps.
    pub(super) fn of_slo(&mut self, sample: &SloSample) -> Line {
        let known = self.slos.entry(sample.slo.clone()).or_default();
        let rates: Vec<f64> = sample.burn_rates.iter().flatten().copied().collect();
        let highest = rates.iter().copied().max_by(f64::total_cmp)?;
        let step = STEPS.iter().filter(|limit| highest >= **limit).count();
        let before = std::mem::replace(&mut known.step, step);
        if step == before {
            return None;
        }
        let windows = known.windows.iter().zip(&sample.burn_rates);
        let texts: Vec<_> = windows
            .filter_map(|(length, rate)| Some(format!("{} {}", window(*length), burn((*rate)?))))
            .collect();
        let tone = if step > before { Tone::Warn } else { Tone::Good };
        Some((tone, format!("SLO {} burns {}", sample.slo, texts.join(", "))))
    }
}

impl LoadProgress {
    fn sampled(&mut self, sample: &LoadSample) -> Line {
        self.sum.add(sample);
        let failing = sample.failed > 0;
        let turned = failing != self.failing && sample.requests > 0;
        if self.sum.length < self.every && !turned {
            return None;
        }
        if sample.requests > 0 {
            self.failing = failing;
        }
        let Sum { length, requests, failed, users, behind, p99_us } = std::mem::take(&mut self.sum);
        let rate = trimmed(requests as f64 / length.as_secs_f64().max(0.001), 0);
        let late = if behind > Millis(0) { format!(", {behind} behind") } else { String::new() };
        let text = format!(
            "{rate}/s, {failed} of {requests} failed, p99 up to {}, {users} users{late}",
            latency(p99_us)
        );
        Some((if failed > 0 { Tone::Warn } else { Tone::Plain }, text))
    }
}

impl Sum {
    fn add(&mut self, sample: &LoadSample) {
        self.length = self.length + sample.length;
        self.requests = self.requests.saturating_add(sample.requests);
        self.failed = self.failed.saturating_add(sample.failed);
        self.users = sample.users;
        self.behind = self.behind.max(sample.behind);
        self.p99_us = self.p99_us.max(sample.p99_us);
    }
}
