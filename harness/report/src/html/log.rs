//! The facts of a log, by what they are about, with times since the start of the run.

use std::collections::BTreeMap;

use harness_event::{
    AlertRule, AlertSeries, BaselineAlert, ClusterEvent, DetectionBound, Event, EventKind, Labels, Millis,
    Notification, ObservedAutoscaler, ObservedBudget, ObservedPod, ObservedWorkload, Phase, Plan, PodLog,
    RunMode, RunTarget, Sample, SloDefinition, SloSample, SloUsage, Timestamp, Verdict,
};

use super::log_faults::{FaultStory, LoadStory};

/// An answer of a steady-state check.
#[derive(Debug)]
pub(super) struct Steady<'a> {
    pub(super) check: &'a str,
    pub(super) at: i64,
    pub(super) ok: bool,
    pub(super) detail: &'a str,
}

/// An answer to a probe's step.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) probe: &'a str,
    pub(super) step: &'a str,
    pub(super) at: i64,
    pub(super) latency_us: u64,
    pub(super) status: Option<u16>,
    pub(super) body: &'a str,
    pub(super) error: Option<&'a str>,
    pub(super) healthy: bool,
}

/// A stretch of time; open if it has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: i64,
    pub(super) to: Option<i64>,
}

/// Everything that the page tells.
#[derive(Debug)]
pub(super) struct Log<'a> {
    pub(super) events: &'a [Event],
    pub(super) verdict: &'a Verdict,
    pub(super) plan: &'a Plan,
    pub(super) run: &'a str,
    pub(super) harness: &'a str,
    pub(super) scenario: &'a str,
    pub(super) sha256: &'a str,
    pub(super) mode: RunMode,
    /// The wall clock at the start of the run.
    pub(super) zero: Timestamp,
    /// First and last event.
    pub(super) first: i64,
    pub(super) end: i64,
    pub(super) finished: bool,
    /// By how much Prometheus' clock is ahead, and how wrong that may be.
    pub(super) clock: Option<(Millis, Millis)>,
    pub(super) target: Option<&'a RunTarget>,
    pub(super) compressed: Option<(u32, &'a [String])>,
    pub(super) phases: Vec<(Phase, Stretch)>,
    pub(super) faults: Vec<FaultStory<'a>>,
    pub(super) loads: Vec<LoadStory<'a>>,
    pub(super) bounds: Vec<&'a DetectionBound>,
    pub(super) rules: &'a [AlertRule],
    pub(super) history: Option<&'a [AlertSeries]>,
    pub(super) history_error: Option<&'a str>,
    pub(super) seen: Vec<(i64, &'a Labels, &'a str)>,
    pub(super) notifications: Vec<&'a Notification>,
    pub(super) baseline: Option<(i64, &'a [BaselineAlert])>,
    pub(super) inputs: Vec<(&'a str, i64, bool, &'a str)>,
    pub(super) suppressed: Vec<(i64, &'a Labels, &'a str)>,
    pub(super) steady: Vec<Steady<'a>>,
    pub(super) answers: Vec<Answer<'a>>,
    pub(super) workloads: Vec<&'a ObservedWorkload>,
    pub(super) autoscalers: Vec<&'a ObservedAutoscaler>,
    pub(super) budgets: Vec<&'a ObservedBudget>,
    pub(super) pods: Vec<(i64, &'a ObservedPod)>,
    pub(super) definitions: Vec<&'a SloDefinition>,
    pub(super) burns: Vec<&'a SloSample>,
    pub(super) usages: Vec<&'a SloUsage>,
    pub(super) promql: BTreeMap<&'a str, (&'a [Sample], Option<&'a str>)>,
    pub(super) outages: Vec<(&'a str, Stretch, &'a str)>,
    pub(super) cluster_events: Vec<&'a ClusterEvent>,
    pub(super) pod_logs: Vec<&'a PodLog>,
    pub(super) notes: Vec<(i64, &'a str)>,
}

impl<'a> Log<'a> {
    /// `None` if the log does not begin with `run_started`.
    pub(super) fn of(events: &'a [Event], verdict: &'a Verdict) -> Option<Self> {
        let (first, last) = (events.first()?, events.last()?);
        let EventKind::RunStarted { run, harness, scenario, scenario_sha256, mode, plan, .. } = &first.kind
        else {
            return None;
        };
        let mut log = Self {
            events,
            verdict,
            plan,
            run,
            harness,
            scenario,
            sha256: scenario_sha256,
            mode: *mode,
            zero: Timestamp((first.at - Timestamp(0) - first.elapsed).0),
            first: first.elapsed.0,
            end: last.elapsed.0,
            finished: false,
            clock: None,
            target: None,
            compressed: None,
            phases: Vec::new(),
            faults: plan.faults.iter().map(FaultStory::new).collect(),
            loads: plan.loads.iter().map(LoadStory::new).collect(),
            bounds: Vec::new(),
            rules: &[],
            history: None,
            history_error: None,
            seen: Vec::new(),
            notifications: Vec::new(),
            baseline: None,
            inputs: Vec::new(),
            suppressed: Vec::new(),
            steady: Vec::new(),
            answers: Vec::new(),
            workloads: Vec::new(),
            autoscalers: Vec::new(),
            budgets: Vec::new(),
            pods: Vec::new(),
            definitions: Vec::new(),
            burns: Vec::new(),
            usages: Vec::new(),
            promql: BTreeMap::new(),
            outages: Vec::new(),
            cluster_events: Vec::new(),
            pod_logs: Vec::new(),
            notes: Vec::new(),
        };
        for event in events {
            log.add(event);
        }
        Some(log)
    }

    /// Milliseconds from the start of the run.
    pub(super) fn ms(&self, at: Timestamp) -> i64 {
        (at - self.zero).0
    }

    /// The same of a time on Prometheus' clock.
    pub(super) fn theirs(&self, at: Timestamp) -> i64 {
        self.ms(at) - self.clock.map_or(0, |(offset, _)| offset.0)
    }

    /// True if the run was to prove something.
    pub(super) fn has_verdict(&self) -> bool {
        self.mode == RunMode::Scenario
    }

    /// True if the run got so far that its checks say something.
    pub(super) fn was_judged(&self) -> bool {
        use harness_event::Outcome::{Failed, Inconclusive, Passed, RollbackIncomplete};
        matches!(self.verdict.outcome, Passed | Failed | Inconclusive | RollbackIncomplete)
    }

    pub(super) fn fault(&self, name: &str) -> Option<&FaultStory<'a>> {
        self.faults.iter().find(|fault| fault.name == name)
    }

    pub(super) fn load(&self, name: &str) -> Option<&LoadStory<'a>> {
        self.loads.iter().find(|load| load.name == name)
    }

    /// When what this expectation counts from was there, and when it was over: a fault, or a timed load.
    pub(super) fn cause(&self, name: &str) -> (Option<i64>, Option<i64>) {
        match (self.fault(name), self.load(name)) {
            (Some(fault), _) => (fault.effect.or(fault.sent), fault.revert_sent.or(fault.healed)),
            (None, Some(load)) => (load.from, load.to),
            (None, None) => (None, None),
        }
    }

    /// Times in which something was on: faults, and loads that are not in the background.
    pub(super) fn disturbed(&self) -> Vec<(&'static str, &'a str, Stretch)> {
        let faults = self.faults.iter().filter_map(|fault| {
            let from = fault.sent?;
            Some(("fault", fault.name, Stretch { from, to: fault.healed }))
        });
        let timed = self.loads.iter().filter(|load| load.timed);
        let loads =
            timed.filter_map(|load| Some(("load", load.name, Stretch { from: load.from?, to: load.to })));
        faults.chain(loads).collect()
    }

    /// Times in which this observer was blind.
    pub(super) fn blind(&self, observer: &str) -> impl Iterator<Item = Stretch> {
        self.outages.iter().filter(move |(name, ..)| *name == observer).map(|(_, stretch, _)| *stretch)
    }

    fn add(&mut self, event: &'a Event) {
        let at = event.elapsed.0;
        match &event.kind {
            EventKind::TargetConnected(target) => self.target = Some(target),
            EventKind::BoundComputed(bound) => self.bounds.push(bound),
            EventKind::PhaseStarted { phase } => self.phases.push((*phase, Stretch { from: at, to: None })),
            EventKind::PhaseFinished { phase } => {
                if let Some((_, stretch)) = self.phases.iter_mut().rev().find(|(name, _)| name == phase) {
                    stretch.to.get_or_insert(at);
                }
            }
            EventKind::ClockMeasured { offset, bound } => {
                // As verdicts do it: the first measurement.
                self.clock.get_or_insert((*offset, *bound));
            }
            EventKind::BaselineTaken { alerts } => self.baseline = Some((at, alerts)),
            EventKind::TimeCompressed { factor, unscaled } => self.compressed = Some((*factor, unscaled)),
            EventKind::RunFinished { .. } => self.finished = true,
            EventKind::NoteWritten { text } => self.notes.push((at, text)),
            EventKind::SteadyStateChecked { .. } | EventKind::ProbeAnswered { .. } => {
                self.add_answer(&event.kind)
            }
            EventKind::ObserverFailed { observer, error } => {
                self.outages.push((observer, Stretch { from: at, to: None }, error));
            }
            EventKind::ObserverRecovered { observer } => {
                for (_, stretch, _) in self.outages.iter_mut().filter(|(name, ..)| name == observer) {
                    stretch.to.get_or_insert(at);
                }
            }
            EventKind::WorkloadObserved(seen) => self.workloads.push(seen),
            EventKind::AutoscalerObserved(seen) => self.autoscalers.push(seen),
            EventKind::BudgetObserved(seen) => self.budgets.push(seen),
            EventKind::PodObserved(pod) => self.pods.push((at, pod)),
            EventKind::ClusterEventSeen(seen) => self.cluster_events.push(seen),
            EventKind::PodLogRead(lines) => self.pod_logs.push(lines),
            EventKind::SloDefined(definition) => self.definitions.push(definition),
            EventKind::SloSampled(sample) => self.burns.push(sample),
            EventKind::SloMeasured(usage) => self.usages.push(usage),
            EventKind::PromqlRead { expectation, samples, error } => {
                self.promql.insert(expectation, (samples, error.as_deref()));
            }
            kind => self.add_alert(kind, at),
        }
    }

    fn add_answer(&mut self, kind: &'a EventKind) {
        match kind {
            EventKind::SteadyStateChecked { check, asked_at, ok, detail } => {
                let at = self.ms(*asked_at);
                self.steady.push(Steady { check, at, ok: *ok, detail });
            }
            EventKind::ProbeAnswered {
                probe,
                step,
                sent_at,
                latency_us,
                status,
                body,
                error,
                healthy,
                ..
            } => {
                let (at, error) = (self.ms(*sent_at), error.as_deref());
                let (latency_us, status, healthy) = (*latency_us, *status, *healthy);
                self.answers.push(Answer { probe, step, at, latency_us, status, body, error, healthy });
            }
            _ => {}
        }
    }

    fn add_alert(&mut self, kind: &'a EventKind, at: i64) {
        match kind {
            EventKind::AlertRulesRead { rules } => self.rules = rules,
            EventKind::AlertSeen { labels, state, .. } => self.seen.push((at, labels, state)),
            EventKind::NotificationReceived(notification) => self.notifications.push(notification),
            EventKind::AlertHistoryRead { series, .. } => self.history = Some(series),
            EventKind::AlertHistoryMissing { error } => self.history_error = Some(error),
            EventKind::AlertInputsChecked { alert, resolved_at, present, detail } => {
                self.inputs.push((alert, self.ms(*resolved_at), *present, detail));
            }
            EventKind::AlertSuppressed { labels, by } => self.suppressed.push((at, labels, by)),
            kind => self.add_stimulus(kind, at),
        }
    }
}
