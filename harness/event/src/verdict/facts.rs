//! The events of a run, sorted for judging.

use std::collections::BTreeMap;

use super::load_facts::LoadFacts;
use crate::{
    AlertSeries, AlertmanagerHealth, BaselineAlert, CancelReason, Event, EventKind, Labels, Millis,
    Notification, ObservedAutoscaler, ObservedBudget, ObservedWorkload, Phase, Plan, PrometheusHealth,
    RunMode, Sample, SloDefinition, SloSample, SloUsage, Timestamp,
};

/// What happened to one fault, or to a timed load: to those who expect something of it, it is the same.
#[derive(Debug, Default)]
pub(super) struct FaultFacts {
    /// It is a timed load.
    pub(super) is_load: bool,
    pub(super) planned: bool,
    /// An API call may have changed the world: anything after `FaultPlanned` counts, since a crash may hide the answer.
    pub(super) applied_at: Option<Timestamp>,
    pub(super) apply_error: Option<String>,
    pub(super) effect: Option<(Timestamp, String)>,
    pub(super) effect_missing: Option<String>,
    pub(super) revert_sent: Option<Timestamp>,
    pub(super) reverted: Option<(Timestamp, String)>,
    pub(super) revert_error: Option<String>,
    /// When somebody wanted it undone before its time.
    pub(super) stopped: Option<Timestamp>,
}

/// What is known of one SLO.
#[derive(Debug, Default)]
pub(super) struct SloFacts<'a> {
    pub(super) definition: Option<&'a SloDefinition>,
    pub(super) missing: Option<&'a str>,
    pub(super) samples: Vec<&'a SloSample>,
    pub(super) usage: Option<&'a SloUsage>,
}

/// A time in which an observer was blind: from when, and until when if it ended.
pub(super) type Outage = (Timestamp, Option<Timestamp>);

/// An answer of a probe.
#[derive(Debug)]
pub(super) struct Answer<'a> {
    pub(super) probe: &'a str,
    pub(super) step: &'a str,
    pub(super) sent_at: Timestamp,
    pub(super) latency: Millis,
    pub(super) status: Option<u16>,
    pub(super) body: &'a str,
    pub(super) error: Option<&'a str>,
}

impl Answer<'_> {
    pub(super) fn done_at(&self) -> Timestamp {
        self.sent_at + self.latency
    }

    /// What was answered, for people.
    pub(super) fn describe(&self) -> String {
        match (self.status, self.error) {
            (Some(status), _) => format!("{status} {:?}", shorten(self.body)),
            (None, Some(error)) => format!("no answer ({error})"),
            (None, None) => "no answer".to_owned(),
        }
    }
}

/// The first line of a body, at most 80 characters.
fn shorten(body: &str) -> String {
    body.lines().next().unwrap_or("").chars().take(80).collect()
}

/// One look at the monitoring system.
#[derive(Debug)]
pub(super) struct Observed<'a> {
    pub(super) prometheus: Option<&'a PrometheusHealth>,
    pub(super) alertmanager: Option<&'a AlertmanagerHealth>,
    pub(super) errors: &'a [String],
}

/// One check of the steady state.
#[derive(Debug)]
pub(super) struct Steady<'a> {
    pub(super) check: &'a str,
    pub(super) asked_at: Timestamp,
    pub(super) answered_at: Timestamp,
    pub(super) ok: bool,
    pub(super) detail: &'a str,
}

/// What Prometheus recorded about alerts.
#[derive(Debug)]
pub(super) struct History<'a> {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) series: &'a [AlertSeries],
}

/// Everything that a verdict looks at.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    pub(super) plan: Option<&'a Plan>,
    pub(super) mode: RunMode,
    pub(super) refused: Vec<&'a str>,
    pub(super) not_ready: Option<(&'a str, &'a str)>,
    pub(super) skipped: Option<&'a str>,
    pub(super) cancelled: Option<&'a CancelReason>,
    pub(super) finished: bool,
    /// Offset of Prometheus' clock against ours, and how wrong that may be, as measured before the faults.
    pub(super) clock: Option<(Millis, Millis)>,
    /// How far the clocks moved against each other since, beyond what the measurements can explain.
    pub(super) clock_drift: Millis,
    /// How far our own wall clock was set forward or back during the run.
    pub(super) clock_jump: Millis,
    pub(super) baseline: Option<&'a [BaselineAlert]>,
    pub(super) faults: BTreeMap<&'a str, FaultFacts>,
    pub(super) answers: Vec<Answer<'a>>,
    pub(super) workloads: Vec<&'a ObservedWorkload>,
    pub(super) loads: BTreeMap<&'a str, LoadFacts<'a>>,
    pub(super) autoscalers: Vec<&'a ObservedAutoscaler>,
    pub(super) budgets: Vec<&'a ObservedBudget>,
    pub(super) slos: BTreeMap<&'a str, SloFacts<'a>>,
    /// Time compression, and the rules that it does not fit.
    pub(super) compressed: Option<(u32, &'a [String])>,
    outages: BTreeMap<&'a str, Vec<Outage>>,
    pub(super) steady: Vec<Steady<'a>>,
    pub(super) observed: Vec<Observed<'a>>,
    pub(super) history: Option<History<'a>>,
    pub(super) history_error: Option<&'a str>,
    pub(super) notifications: Vec<&'a Notification>,
    pub(super) receiver_gap: Option<&'a str>,
    pub(super) receiver_loss: Option<&'a str>,
    pub(super) inputs: BTreeMap<&'a str, (bool, &'a str)>,
    pub(super) suppressed: Vec<(&'a Labels, &'a str)>,
    pub(super) promql: BTreeMap<&'a str, (&'a [Sample], Option<&'a str>)>,
    /// Time of the last event before the verdict phase: the end of everything that was watched.
    pub(super) ended_at: Option<Timestamp>,
}

impl EventKind {
    /// Name of the observer that follows the alert receiver. While it fails, delivery is unknowable.
    pub const RECEIVER_OBSERVER: &str = "alert-receiver";
    /// Name under which a restart of the receiver is reported: what it held is lost, so this never recovers.
    pub const RECEIVER_RESTARTED: &str = "alert-receiver restarted";
    /// Name of the observer of Deployments. While it fails, their replicas are unknown.
    pub const WORKLOAD_OBSERVER: &str = "watch of deployments";
    /// Name of the observer of HorizontalPodAutoscalers. While it fails, nobody knows who scaled.
    pub const AUTOSCALER_OBSERVER: &str = "watch of autoscalers";
    /// Name of the observer of PodDisruptionBudgets. While it fails, a breach may go unseen.
    pub const BUDGET_OBSERVER: &str = "watch of disruption budgets";
}

/// Reading the wall clock and the monotonic clock one after the other takes no longer than this, even on a busy machine.
const TWO_CLOCKS: Millis = Millis(250);

impl<'a> Facts<'a> {
    pub(super) fn collect(events: &'a [Event]) -> Self {
        let mut facts = Self::default();
        let mut in_verdict = false;
        for event in events {
            in_verdict |= matches!(event.kind, EventKind::PhaseStarted { phase: Phase::Verdict });
            if !in_verdict {
                facts.ended_at = Some(event.at);
            }
            facts.add(event);
        }
        facts.clock_jump = clock_jump(events);
        facts.add_timed_loads();
        facts
    }

    fn add(&mut self, event: &'a Event) {
        match &event.kind {
            EventKind::RunStarted { plan, mode, .. } => (self.plan, self.mode) = (Some(plan), *mode),
            EventKind::RunRefused { problems } => self.refused.extend(problems.iter().map(String::as_str)),
            EventKind::NotReady { component, reason } => self.not_ready = Some((component, reason)),
            EventKind::InjectionSkipped { reason } => self.skipped = Some(reason),
            EventKind::RunCancelled { reason } => self.cancelled = Some(reason),
            EventKind::RunFinished { .. } => self.finished = true,
            EventKind::ClockMeasured { offset, bound } => {
                let (first, its_bound) = *self.clock.get_or_insert((*offset, *bound));
                let moved = Millis((*offset - first).0.abs()) - its_bound - *bound;
                self.clock_drift = self.clock_drift.max(moved);
            }
            EventKind::BaselineTaken { alerts } => self.baseline = Some(alerts),
            EventKind::SteadyStateChecked { check, asked_at, ok, detail } => {
                let (asked_at, answered_at) = (*asked_at, event.at);
                self.steady.push(Steady { check, asked_at, answered_at, ok: *ok, detail });
            }
            EventKind::MonitoringObserved { prometheus, alertmanager, errors } => {
                self.observed.push(Observed {
                    prometheus: prometheus.as_ref(),
                    alertmanager: alertmanager.as_ref(),
                    errors,
                });
            }
            EventKind::ProbeAnswered { probe, step, sent_at, latency_us, status, body, error, .. } => {
                let latency = Millis(i64::try_from(latency_us.div_ceil(1000)).unwrap_or(i64::MAX));
                let error = error.as_deref();
                self.answers.push(Answer {
                    probe,
                    step,
                    sent_at: *sent_at,
                    latency,
                    status: *status,
                    body,
                    error,
                });
            }
            EventKind::WorkloadObserved(observed) => self.workloads.push(observed),
            EventKind::NotificationReceived(notification) => self.notifications.push(notification),
            EventKind::AlertHistoryRead { from, to, series, .. } => {
                self.history = Some(History { from: *from, to: *to, series })
            }
            EventKind::AlertHistoryMissing { error } => self.history_error = Some(error),
            EventKind::AlertInputsChecked { alert, present, detail, .. } => {
                // One alert name may be expected with several label sets: each of them must have its data.
                let known = self.inputs.entry(alert).or_insert((true, detail));
                if known.0 {
                    *known = (*present, detail);
                }
            }
            EventKind::AlertSuppressed { labels, by } => self.suppressed.push((labels, by)),
            EventKind::PromqlRead { expectation, samples, error } => {
                self.promql.insert(expectation, (samples, error.as_deref()));
            }
            EventKind::ObserverFailed { observer, error } if observer == EventKind::RECEIVER_OBSERVER => {
                self.receiver_gap = Some(error);
            }
            EventKind::ObserverRecovered { observer } if observer == EventKind::RECEIVER_OBSERVER => {
                self.receiver_gap = None
            }
            EventKind::ObserverFailed { observer, error } if observer == EventKind::RECEIVER_RESTARTED => {
                self.receiver_loss = Some(error);
            }
            EventKind::ObserverFailed { observer, .. } => {
                self.outages.entry(observer).or_default().push((event.at, None));
            }
            EventKind::ObserverRecovered { observer } => {
                if let Some((_, end)) = self.outages.get_mut(observer.as_str()).and_then(|all| all.last_mut())
                {
                    end.get_or_insert(event.at);
                }
            }
            EventKind::AutoscalerObserved(observed) => self.autoscalers.push(observed),
            EventKind::BudgetObserved(observed) => self.budgets.push(observed),
            EventKind::TimeCompressed { factor, unscaled } => self.compressed = Some((*factor, unscaled)),
            EventKind::SloDefined(definition) => self.slo(&definition.slo).definition = Some(definition),
            EventKind::SloMissing { slo, error } => self.slo(slo).missing = Some(error),
            EventKind::SloSampled(sample) => self.slo(&sample.slo).samples.push(sample),
            EventKind::SloMeasured(usage) => self.slo(&usage.slo).usage = Some(usage),
            EventKind::LoadStarted { load, .. }
            | EventKind::LoadSampled { load, .. }
            | EventKind::LoadMeasured { load, .. }
            | EventKind::LoadFinished { load, .. }
            | EventKind::LoadFailed { load, .. } => self.loads.entry(load).or_default().add(&event.kind),
            _ => self.add_fault(event),
        }
    }

    fn add_fault(&mut self, event: &'a Event) {
        let Some(name) = fault_of(&event.kind) else { return };
        let fault = self.faults.entry(name).or_default();
        match &event.kind {
            EventKind::FaultPlanned { .. } => fault.planned = true,
            EventKind::FaultApplied { sent_at, .. } => fault.applied_at = Some(*sent_at),
            EventKind::FaultApplyFailed { error, .. } => fault.apply_error = Some(error.clone()),
            EventKind::FaultEffectObserved { effect_at, detail, .. } => {
                fault.effect = Some((*effect_at, detail.clone()))
            }
            EventKind::FaultEffectMissing { detail, .. } => fault.effect_missing = Some(detail.clone()),
            // A revert that had to be tried again began with its first try: that is where the clocks start.
            EventKind::FaultRevertStarted { sent_at, .. } => {
                fault.revert_sent.get_or_insert(*sent_at);
            }
            EventKind::FaultRevertVerified { effect_at, detail, .. } => {
                fault.reverted = Some((*effect_at, detail.clone()));
                fault.revert_error = None;
            }
            EventKind::FaultRevertFailed { error, .. } => fault.revert_error = Some(error.clone()),
            EventKind::FaultStopped { .. } => {
                fault.stopped.get_or_insert(event.at);
            }
            _ => {}
        }
    }

    fn slo(&mut self, slo: &'a str) -> &mut SloFacts<'a> {
        self.slos.entry(slo).or_default()
    }

    /// A timed load is something that happens to the system, as a fault is.
    fn add_timed_loads(&mut self) {
        let Some(plan) = self.plan else { return };
        for load in plan.timed_loads() {
            if let Some(facts) = self.loads.get(load.name.as_str()) {
                self.faults.insert(&load.name, facts.as_fault());
            }
        }
    }

    /// When this observer was blind.
    pub(super) fn outages(&self, observer: &str) -> &[Outage] {
        self.outages.get(observer).map_or(&[], Vec::as_slice)
    }

    /// The end of what was watched.
    pub(super) fn end(&self) -> Timestamp {
        self.ended_at.unwrap_or_default()
    }

    /// A length of data for people: where time is compressed, it stands for more.
    pub(super) fn data(&self, length: Millis) -> String {
        match self.compressed {
            Some((factor, _)) => format!(
                "{length} of data, {} in its own time",
                Millis(length.0.saturating_mul(factor.into()))
            ),
            None => format!("{length} of data"),
        }
    }

    /// Prometheus' time as ours.
    pub(super) fn corrected(&self, theirs: Timestamp) -> Timestamp {
        theirs - self.clock.map_or(Millis(0), |(offset, _)| offset)
    }

    /// How far two clocks' times may be apart without meaning anything.
    pub(super) fn clock_bound(&self) -> Millis {
        self.clock.map_or(Millis(0), |(_, bound)| bound)
    }

    /// True if the record of alerts begins only after that time, so that it cannot tell what was before.
    pub(super) fn record_misses(&self, at: Timestamp) -> bool {
        self.history.as_ref().is_none_or(|history| self.corrected(history.from) > at)
    }

    /// When the first fault was sent: alerts that were active before are none of its doing.
    pub(super) fn first_applied(&self) -> Option<Timestamp> {
        self.faults.values().filter_map(|fault| fault.applied_at).min()
    }

    /// Why nothing that depends on the effect of this fault, or on this timed load, can be judged.
    pub(super) fn effect(&self, name: &str) -> Result<(&FaultFacts, Timestamp), String> {
        if let Some(reason) = self.skipped {
            return Err(self.nothing_done(reason));
        }
        let is_load = self.plan.is_some_and(|plan| plan.load(name).is_some());
        let unseen = || match is_load {
            true => format!("load {name:?} was not started"),
            false => format!("fault {name:?} was not injected"),
        };
        let facts = self.faults.get(name).ok_or_else(unseen)?;
        match (&facts.apply_error, is_load) {
            (Some(error), true) => return Err(format!("load {name:?} could not be carried out: {error}")),
            (Some(error), false) => return Err(format!("fault {name:?} could not be applied: {error}")),
            (None, _) => {}
        }
        match (&facts.effect, &facts.effect_missing) {
            (Some((at, _)), _) => Ok((facts, *at)),
            (None, Some(detail)) if is_load => Err(format!("load {name:?}: {detail}")),
            (None, Some(detail)) => Err(format!("the effect of fault {name:?} was not seen: {detail}")),
            (None, None) => Err(unseen()),
        }
    }

    /// The faults that somebody undid before their time, for people: `fault db was stopped by hand after 5s of 20s`.
    pub(super) fn stopped_by_hand(&self) -> Vec<String> {
        let stopped = self.faults.iter().filter_map(|(name, fault)| Some((*name, fault, fault.stopped?)));
        let text = |(name, fault, at): (&str, &FaultFacts, Timestamp)| {
            let planned = self.plan.and_then(|plan| plan.faults.iter().find(|spec| spec.name == name));
            let of = planned.map_or_else(String::new, |spec| format!(" of {}", spec.duration));
            // Its time runs from its effect on.
            match &fault.effect {
                Some((effect_at, _)) => {
                    let after = (at - *effect_at).max(Millis(0));
                    format!("fault {name} was stopped by hand after {after}{of}")
                }
                None => format!("fault {name} was stopped by hand before its effect was seen"),
            }
        };
        stopped.map(text).collect()
    }

    /// Why nothing that counts from the end of this fault, or of this timed load, can be judged.
    pub(super) fn not_over(&self, name: &str) -> String {
        match self.plan.is_some_and(|plan| plan.load(name).is_some()) {
            true => format!("load {name:?} has not ended"),
            false => format!("fault {name:?} was not reverted"),
        }
    }

    /// Why nothing happened to the system.
    pub(super) fn nothing_done(&self, reason: &str) -> String {
        match self.plan.is_some_and(|plan| plan.faults.is_empty() && !plan.loads.is_empty()) {
            true => format!("no load was started: {reason}"),
            false => format!("no fault was injected: {reason}"),
        }
    }
}

/// How far wall-clock time and monotonic time of two successive events at least went apart since the first.
fn clock_jump(events: &[Event]) -> Millis {
    let Some(first) = events.first() else { return Millis(0) };
    let apart = |event: &Event| Millis(((event.at - first.at) - (event.elapsed - first.elapsed)).0.abs());
    // Of two, the lesser: a process that was held up between the two clocks' readings is no jump.
    let jumps = events.windows(2).map(|two| apart(&two[0]).min(apart(&two[1])));
    jumps.max().filter(|jump| *jump > TWO_CLOCKS).unwrap_or_default()
}

fn fault_of(kind: &EventKind) -> Option<&str> {
    match kind {
        EventKind::FaultPlanned { fault, .. }
        | EventKind::FaultApplied { fault, .. }
        | EventKind::FaultApplyFailed { fault, .. }
        | EventKind::FaultEffectObserved { fault, .. }
        | EventKind::FaultEffectMissing { fault, .. }
        | EventKind::FaultRevertStarted { fault, .. }
        | EventKind::FaultRevertVerified { fault, .. }
        | EventKind::FaultRevertFailed { fault, .. }
        | EventKind::FaultStopped { fault } => Some(fault),
        _ => None,
    }
}
