//! From events to lines.

use std::collections::{BTreeMap, VecDeque};

use super::{
    figures::{percent, trimmed},
    progress::{Line, Progress, model},
    words,
};
use crate::{
    ClusterEvent, Event, EventKind, Millis, ObservedPod, RunMode, clean,
    state::{Subject, Tone},
};

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// What people follow a run by, line by line.
    Brief,
    /// Also what fills a log that can be filtered: every pod, evidence, excerpts.
    #[default]
    Full,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// What it means.
    pub tone: Tone,
    /// What it is about.
    pub subject: Subject,
    /// The text, which cannot command a terminal.
    pub text: String,
}

/// Turns events into lines. Holds just enough to say each thing once; it takes no time but the events' own.
#[derive(Clone, Debug, PartialEq)]
pub struct Narrator {
    unicode: bool,
    detail: Detail,
    /// Last word on each thing of which only changes are told.
    said: Said,
    progress: Progress,
    /// Nobody waited for a steady state.
    by_hand: bool,
}

impl Default for Narrator {
    /// Everything, in Unicode.
    fn default() -> Self {
        Self::new(true, Detail::Full)
    }
}

impl Narrator {
    /// Has not seen anything yet. `unicode`: arrows may be beyond ASCII.
    pub fn new(unicode: bool, detail: Detail) -> Self {
        Self { unicode, detail, said: Said::default(), progress: Progress::default(), by_hand: false }
    }

    /// The line for an event; many have none.
    pub fn tell(&mut self, event: &Event) -> Option<Told> {
        let (tone, text) = self.line(&event.kind)?;
        Some(Told { tone, subject: subject(&event.kind), text: clean(&text).into_owned() })
    }

    fn full(&self) -> bool {
        self.detail == Detail::Full
    }

    fn arrow(&self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }

    fn line(&mut self, kind: &EventKind) -> Line {
        match kind {
            EventKind::RunStarted { run, plan, mode, .. } => {
                self.by_hand = *mode != RunMode::Scenario;
                self.progress = Progress::new(plan);
                Some((Tone::Strong, format!("{} (run {run})", plan.title)))
            }
            EventKind::TargetConnected(target) => plain(format!(
                "{} ({}), Kubernetes {}, Prometheus {}, Alertmanager {}",
                target.context, target.server, target.kubernetes, target.prometheus, target.alertmanager
            )),
            EventKind::RunRefused { problems } => {
                Some((Tone::Bad, format!("refused: {}", problems.join("; "))))
            }
            EventKind::NotReady { component, reason } => {
                Some((Tone::Bad, format!("{component} not ready: {reason}")))
            }
            EventKind::ReadinessProven { what } => Some((Tone::Dim, format!("proven: {what}"))),
            EventKind::ClockMeasured { offset, bound } => {
                Some((Tone::Dim, format!("Prometheus' clock is off by {offset}, give or take {bound}")))
            }
            EventKind::BaselineTaken { alerts } => {
                let names: Vec<_> = alerts.iter().map(|alert| words::alert_name(&alert.labels)).collect();
                let active = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                let first = if self.by_hand { "" } else { "steady state holds; " };
                plain(format!("{first}active alerts: {active}"))
            }
            EventKind::SteadyStateChecked { check, ok, detail, .. } => self.steady(check, *ok, detail),
            EventKind::ProbeSetUp { probe, ok, detail } => {
                let (tone, word) = if *ok { (Tone::Dim, "done") } else { (Tone::Bad, "failed") };
                Some((tone, format!("probe {probe}: setup {word}: {detail}")))
            }
            EventKind::ProbeAnswered { probe, step, status, body, error, healthy, .. } => {
                self.probe(&format!("{probe}/{step}"), *status, body, error.as_deref(), *healthy)
            }
            EventKind::InjectionSkipped { reason } => {
                Some((Tone::Bad, format!("no fault is injected: {reason}")))
            }
            EventKind::WorkloadObserved(seen) => {
                let text = format!("{}: {} of {} ready", seen.workload, seen.ready, seen.desired);
                let new = self.said.is_new(format!("workload {}", seen.workload), &text);
                new.then_some((Tone::Plain, text))
            }
            EventKind::AlertSeen { labels, state, .. } => {
                let tone = if state == "inactive" { Tone::Good } else { Tone::Warn };
                Some((tone, format!("alert {state}: {}", words::describe_alert(labels))))
            }
            EventKind::NotificationReceived(notification) => plain(words::notified(notification)),
            EventKind::ObserverFailed { observer, error } => {
                Some((Tone::Warn, format!("{observer} lost: {error}")))
            }
            EventKind::ObserverRecovered { observer } => plain(format!("{observer} back")),
            EventKind::RunCancelled { reason } => Some((Tone::Warn, words::cancelled(reason))),
            EventKind::Note { text } => plain(text.clone()),
            EventKind::NoteWritten { text } => Some((Tone::Strong, format!("note: {text}"))),
            EventKind::MonitoringObserved { errors, .. } if !errors.is_empty() => {
                Some((Tone::Warn, format!("monitoring: {}", errors.join("; "))))
            }
            EventKind::AlertHistoryMissing { error } => {
                Some((Tone::Warn, format!("the record of alerts is missing: {error}")))
            }
            EventKind::TimeCompressed { factor, unscaled } => {
                let rules = unscaled.iter().map(|rule| format!("; does not scale: {rule}"));
                let text =
                    format!("time is compressed x{factor}, not a latency claim{}", rules.collect::<String>());
                Some((Tone::Warn, text))
            }
            EventKind::LoadRequested { spec } => {
                self.progress.load_planned(spec);
                Some((Tone::Strong, format!("load {} is asked for ({})", spec.name, model(spec))))
            }
            EventKind::LoadStopped { load } => {
                Some((Tone::Warn, format!("load {load} is stopped before its time")))
            }
            EventKind::LoadStarted { .. }
            | EventKind::LoadSampled { .. }
            | EventKind::LoadFinished { .. }
            | EventKind::LoadFailed { .. } => self.progress.of_load(kind),
            EventKind::AutoscalerObserved(seen) => self.progress.of_autoscaler(seen, self.arrow()),
            EventKind::BudgetObserved(seen) => self.progress.of_budget(seen),
            EventKind::SloDefined(definition) => self.progress.slo_defined(definition),
            EventKind::SloMissing { slo, error } => {
                Some((Tone::Warn, format!("SLO {slo} is not known to Prometheus: {error}")))
            }
            EventKind::SloSampled(sample) => self.progress.of_slo(sample),
            EventKind::ClusterEventSeen(seen) => self.cluster_event(seen),
            EventKind::PodLogRead(log) => Some((Tone::Dim, words::excerpt(log))),
            _ => fault(kind, self.arrow()).or_else(|| self.full().then(|| self.more(kind)).flatten()),
        }
    }

    /// What only a full log tells.
    fn more(&mut self, kind: &EventKind) -> Line {
        match kind {
            EventKind::PhaseStarted { phase } => {
                Some((Tone::Strong, format!("phase {} begins", words::phase(*phase))))
            }
            EventKind::BoundComputed(bound) => Some((
                Tone::Dim,
                format!(
                    "{}: {} at the earliest, {} at the latest ({})",
                    bound.expectation, bound.earliest, bound.worst, bound.terms
                ),
            )),
            EventKind::FaultApplied { fault, .. } => {
                Some((Tone::Dim, format!("fault {fault}: the calls were accepted")))
            }
            EventKind::PodObserved(seen) => self.pod(seen),
            EventKind::AlertRulesRead { rules } => {
                Some((Tone::Dim, format!("{} alerting rules are loaded", rules.len())))
            }
            EventKind::AlertHistoryRead { series, .. } => {
                Some((Tone::Dim, format!("the record of alerts was read: {} series", series.len())))
            }
            EventKind::AlertInputsChecked { alert, present, detail, .. } => {
                let (tone, word) = if *present { (Tone::Dim, "there") } else { (Tone::Warn, "gone") };
                Some((tone, format!("alert {alert} resolved, its data is {word}: {detail}")))
            }
            EventKind::AlertSuppressed { labels, by } => {
                let alert = words::describe_alert(labels);
                Some((Tone::Warn, format!("Alertmanager holds {alert} back: {by}")))
            }
            EventKind::PromqlRead { expectation, samples, error } => Some(match error {
                Some(error) => (Tone::Warn, format!("{expectation}: not evaluated: {error}")),
                None => (Tone::Dim, format!("{expectation}: {} evaluations were read", samples.len())),
            }),
            EventKind::LoadMeasured { load, phase, step: None, stats } => {
                let rate = stats.rate().map_or_else(String::new, |rate| format!(", {}/s", trimmed(rate, 1)));
                let errors = stats.error_ratio().map_or_else(String::new, |ratio| {
                    format!(", {} errors, p99 {}", percent(ratio), super::latency(stats.latency.p99))
                });
                let requests = stats.requests;
                Some((Tone::Dim, format!("load {load} {phase}: {requests} requests{rate}{errors}")))
            }
            EventKind::SloMeasured(usage) => {
                let spent = usage.budget_spent.map_or_else(|| "not known".to_owned(), percent);
                Some((Tone::Dim, format!("SLO {}: budget spent by the run: {spent}", usage.slo)))
            }
            EventKind::RunFinished { .. } => Some((Tone::Strong, "the run is over".to_owned())),
            _ => None,
        }
    }

    fn steady(&mut self, check: &str, ok: bool, detail: &str) -> Line {
        let word = if ok { "holds" } else { "does not hold" };
        let tone = if ok { Tone::Good } else { Tone::Warn };
        let new = self.said.is_new(format!("steady {check}"), word);
        new.then(|| (tone, format!("steady state {check:?} {word}: {detail}")))
    }

    fn probe(
        &mut self,
        step: &str,
        status: Option<u16>,
        body: &str,
        error: Option<&str>,
        healthy: bool,
    ) -> Line {
        let said = match (status, error) {
            (Some(status), _) => status.to_string(),
            (None, error) => error.unwrap_or("no answer").to_owned(),
        };
        if !self.said.is_new(format!("probe {step}"), &said) {
            return None;
        }
        let body: String = body.lines().next().unwrap_or("").chars().take(100).collect();
        // A healthy answer's body is of no interest, and may hold what is nobody's business.
        let body = if healthy || body.is_empty() { String::new() } else { format!(" {body}") };
        let tone = if healthy { Tone::Good } else { Tone::Warn };
        Some((tone, format!("{step} answers {said}{body}")))
    }

    /// A pod that is there and well when it is first seen is no news.
    fn pod(&mut self, seen: &ObservedPod) -> Line {
        let key = format!("pod {}/{}", seen.namespace, seen.pod);
        let text = words::pod(seen);
        let known = self.said.knows(&key);
        let new = match seen.gone {
            true => {
                self.said.forget(&key);
                known
            }
            false => self.said.is_new(key, &text) && (known || !seen.ready),
        };
        let tone = match (seen.ready && !seen.gone, seen.status.as_str()) {
            (true, _) => Tone::Good,
            (false, "Running" | "Pending" | "ContainerCreating" | "Terminating" | "Completed") => Tone::Plain,
            (false, _) if seen.gone => Tone::Plain,
            (false, _) => Tone::Warn,
        };
        new.then(|| (tone, format!("pod/{}: {text}", seen.pod)))
    }

    /// Warnings: in brief once for each reason of an object, in full each message.
    fn cluster_event(&mut self, seen: &ClusterEvent) -> Line {
        if seen.severity != "Warning" {
            return None;
        }
        let key = format!("event {}/{} {}", seen.namespace, seen.object, seen.reason);
        let told_before = self.said.knows(&key);
        let new = self.said.is_new(key, &seen.message);
        let tell = if self.full() { new } else { !told_before };
        tell.then(|| (Tone::Warn, format!("{} {}: {}", seen.object, seen.reason, seen.message)))
    }
}

fn plain(text: String) -> Line {
    Some((Tone::Plain, text))
}

fn fault(kind: &EventKind, arrow: &str) -> Line {
    match kind {
        EventKind::FaultRequested { spec } => {
            let (name, what, aim) = (&spec.name, words::fault_does(&spec.action), words::aim(&spec.action));
            let length = match spec.duration {
                Millis(0) => String::new(),
                length => format!(", for {length}"),
            };
            Some((Tone::Strong, format!("fault {name} is asked for: {what} {aim}{length}")))
        }
        EventKind::FaultStopped { fault } => {
            Some((Tone::Warn, format!("fault {fault} is stopped before its time")))
        }
        EventKind::FaultPlanned { fault, action, targets, inverse } => Some((
            Tone::Strong,
            format!(
                "fault {fault}: {} {} (undone by: {inverse})",
                words::fault_does(action),
                targets.join(", ")
            ),
        )),
        EventKind::FaultApplyFailed { fault, error } => {
            Some((Tone::Bad, format!("fault {fault} could not be applied: {error}")))
        }
        EventKind::FaultEffectObserved { fault, detail, .. } => {
            Some((Tone::Strong, format!("fault {fault} {arrow} effect: {detail}")))
        }
        EventKind::FaultEffectMissing { fault, detail } => {
            Some((Tone::Bad, format!("fault {fault}: effect not seen: {detail}")))
        }
        EventKind::FaultRevertStarted { fault, .. } => {
            Some((Tone::Strong, format!("fault {fault} is being undone")))
        }
        EventKind::FaultRevertVerified { fault, detail, .. } => {
            Some((Tone::Strong, format!("fault {fault} undone: {detail}")))
        }
        EventKind::FaultRevertFailed { fault, error } => {
            Some((Tone::Bad, format!("fault {fault} COULD NOT BE UNDONE: {error}")))
        }
        _ => None,
    }
}

fn subject(kind: &EventKind) -> Subject {
    match kind {
        EventKind::FaultRequested { .. }
        | EventKind::FaultStopped { .. }
        | EventKind::FaultPlanned { .. }
        | EventKind::FaultApplied { .. }
        | EventKind::FaultApplyFailed { .. }
        | EventKind::FaultEffectObserved { .. }
        | EventKind::FaultEffectMissing { .. }
        | EventKind::FaultRevertStarted { .. }
        | EventKind::FaultRevertVerified { .. }
        | EventKind::FaultRevertFailed { .. }
        | EventKind::InjectionSkipped { .. } => Subject::Fault,
        EventKind::LoadRequested { .. }
        | EventKind::LoadStopped { .. }
        | EventKind::LoadStarted { .. }
        | EventKind::LoadSampled { .. }
        | EventKind::LoadMeasured { .. }
        | EventKind::LoadFinished { .. }
        | EventKind::LoadFailed { .. } => Subject::Load,
        EventKind::AlertSeen { .. }
        | EventKind::NotificationReceived(_)
        | EventKind::AlertHistoryRead { .. }
        | EventKind::AlertHistoryMissing { .. }
        | EventKind::AlertInputsChecked { .. }
        | EventKind::AlertSuppressed { .. }
        | EventKind::AlertRulesRead { .. }
        | EventKind::BoundComputed(_) => Subject::Alert,
        EventKind::WorkloadObserved(_)
        | EventKind::PodObserved(_)
        | EventKind::PodsMeasured { .. }
        | EventKind::ClusterEventSeen(_)
        | EventKind::PodLogRead(_)
        | EventKind::AutoscalerObserved(_)
        | EventKind::BudgetObserved(_) => Subject::Cluster,
        EventKind::SloDefined(_)
        | EventKind::SloMissing { .. }
        | EventKind::SloSampled(_)
        | EventKind::SloMeasured(_) => Subject::Slo,
        EventKind::ProbeSetUp { .. }
        | EventKind::ProbeAnswered { .. }
        | EventKind::SteadyStateChecked { .. }
        | EventKind::PromqlRead { .. } => Subject::Probe,
        EventKind::NoteWritten { .. } => Subject::Note,
        EventKind::RunStarted { .. }
        | EventKind::TargetConnected(_)
        | EventKind::RunRefused { .. }
        | EventKind::NotReady { .. }
        | EventKind::PhaseStarted { .. }
        | EventKind::PhaseFinished { .. }
        | EventKind::ClockMeasured { .. }
        | EventKind::ReadinessProven { .. }
        | EventKind::MonitoringObserved { .. }
        | EventKind::BaselineTaken { .. }
        | EventKind::TimeCompressed { .. }
        | EventKind::ObserverFailed { .. }
        | EventKind::ObserverRecovered { .. }
        | EventKind::RunCancelled { .. }
        | EventKind::Note { .. }
        | EventKind::RunFinished { .. } => Subject::Run,
    }
}

/// The last word on each thing. Things come and go: those that were first spoken of longest ago are forgotten.
#[derive(Clone, Debug, Default, PartialEq)]
struct Said {
    words: BTreeMap<String, String>,
    /// In the order in which they were first spoken of. May name things that are forgotten.
    order: VecDeque<String>,
}

impl Said {
    const KEPT: usize = 20_000;

    /// Notes the last word on a thing. True if it is another one than before.
    fn is_new(&mut self, thing: String, word: &str) -> bool {
        if let Some(known) = self.words.get_mut(&thing) {
            let new = known != word;
            if new {
                word.clone_into(known);
            }
            return new;
        }
        if self.order.len() >= Self::KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.words.remove(&oldest);
        }
        self.order.push_back(thing.clone());
        self.words.insert(thing, word.to_owned());
        true
    }

    fn knows(&self, thing: &str) -> bool {
        self.words.contains_key(thing)
    }

    fn forget(&mut self, thing: &str) {
        self.words.remove(thing);
    }
}
