//! The line view: what happens, as it happens, one line each.

use std::collections::HashMap;

use harness_event::{CancelReason, Event, EventKind, FaultAction, Labels, Notification, Phase, Plan};

use crate::{
    duration::offset,
    objectives,
    progress::Progress,
    style::{Style, Tone},
};

/// Turns events into lines. Holds just enough to say each thing once.
#[derive(Debug)]
pub struct LineView {
    style: Style,
    phase: &'static str,
    /// Last word on each steady-state check and each probe step: only changes are told.
    last: HashMap<String, String>,
    started: bool,
    progress: Progress,
}

/// Width of the columns on the left: time and phase.
const TIME: usize = 9;
const PHASE: usize = 9;

impl LineView {
    /// A view that has not seen anything yet.
    pub fn new(style: Style) -> Self {
        Self { style, phase: "", last: HashMap::new(), started: false, progress: Progress::default() }
    }

    /// The lines for one event; most have none or one.
    pub fn lines(&mut self, event: &Event) -> Vec<String> {
        if let EventKind::RunStarted { run, scenario, plan, .. } = &event.kind {
            self.progress = Progress::new(plan);
            return self.header(run, scenario, plan);
        }
        if let EventKind::PhaseStarted { phase } = &event.kind {
            self.phase = name(*phase);
            self.started = true;
        }
        let Some((tone, text)) = self.text(&event.kind) else { return Vec::new() };
        let phase = if std::mem::take(&mut self.started) { self.phase } else { "" };
        let (time, phase) = (format!("{:>TIME$}", offset(event.elapsed)), format!("{phase:<PHASE$}"));
        let text = tone.map_or_else(|| text.clone(), |tone| self.style.paint(tone, &text));
        vec![format!(
            "{}  {}{text}",
            self.style.paint(Tone::Dim, &time),
            self.style.paint(Tone::Strong, &phase)
        )]
    }

    fn header(&self, run: &str, scenario: &str, plan: &Plan) -> Vec<String> {
        let mut lines = vec![
            self.style.paint(Tone::Strong, &plan.title),
            self.style.paint(Tone::Dim, &format!("{scenario}, run {run}")),
        ];
        lines.extend(plan.description.trim().lines().map(|line| format!("  {line}")));
        lines.push(String::new());
        lines
    }

    fn text(&mut self, kind: &EventKind) -> Option<(Option<Tone>, String)> {
        let plain = |text: String| Some((None, text));
        match kind {
            EventKind::TargetConnected(target) => plain(format!(
                "{} ({}), Kubernetes {}, Prometheus {}, Alertmanager {}",
                target.context, target.server, target.kubernetes, target.prometheus, target.alertmanager
            )),
            EventKind::RunRefused { problems } => {
                Some((Some(Tone::Bad), format!("refused: {}", problems.join("; "))))
            }
            EventKind::NotReady { component, reason } => {
                Some((Some(Tone::Bad), format!("{component} not ready: {reason}")))
            }
            EventKind::ReadinessProven { what } => Some((Some(Tone::Dim), format!("proven: {what}"))),
            EventKind::ClockMeasured { offset, bound } => {
                Some((Some(Tone::Dim), format!("Prometheus' clock is off by {offset}, give or take {bound}")))
            }
            EventKind::BaselineTaken { alerts } => {
                let names: Vec<_> = alerts.iter().map(|alert| alert_name(&alert.labels)).collect();
                let active = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                plain(format!("steady state holds; active alerts: {active}"))
            }
            EventKind::SteadyStateChecked { check, ok, detail, .. } => self.steady(check, *ok, detail),
            EventKind::ProbeSetUp { probe, ok, detail } => {
                let tone = if *ok { Tone::Dim } else { Tone::Bad };
                Some((
                    Some(tone),
                    format!("probe {probe}: setup {}: {detail}", if *ok { "done" } else { "failed" }),
                ))
            }
            EventKind::ProbeAnswered { probe, step, status, body, error, healthy, .. } => {
                self.probe(probe, step, *status, body, error.as_deref(), *healthy)
            }
            EventKind::InjectionSkipped { reason } => {
                Some((Some(Tone::Bad), format!("no fault is injected: {reason}")))
            }
            EventKind::WorkloadObserved(seen) => {
                let text = format!("{}: {} of {} ready", seen.workload, seen.ready, seen.desired);
                self.changed(&format!("workload {}", seen.workload), text)
            }
            EventKind::AlertSeen { labels, state, .. } => {
                let tone = if state == "inactive" { Tone::Good } else { Tone::Warn };
                Some((Some(tone), format!("alert {state}: {}", describe(labels))))
            }
            EventKind::NotificationReceived(notification) => plain(notified(notification)),
            EventKind::ObserverFailed { observer, error } => {
                Some((Some(Tone::Warn), format!("{observer} lost: {error}")))
            }
            EventKind::ObserverRecovered { observer } => plain(format!("{observer} back")),
            EventKind::RunCancelled { reason } => Some((Some(Tone::Warn), cancelled(reason))),
            EventKind::Note { text } => plain(text.clone()),
            EventKind::MonitoringObserved { errors, .. } if !errors.is_empty() => {
                Some((Some(Tone::Warn), format!("monitoring: {}", errors.join("; "))))
            }
            EventKind::AlertHistoryMissing { error } => {
                Some((Some(Tone::Warn), format!("the record of alerts is missing: {error}")))
            }
            EventKind::TimeCompressed { factor, unscaled } => {
                let rules = unscaled.iter().map(|rule| format!("; does not scale: {rule}"));
                let text =
                    format!("time is compressed x{factor}, not a latency claim{}", rules.collect::<String>());
                Some((Some(Tone::Warn), text))
            }
            EventKind::LoadStarted { .. }
            | EventKind::LoadSampled { .. }
            | EventKind::LoadFinished { .. }
            | EventKind::LoadFailed { .. } => self.progress.of_load(kind),
            EventKind::AutoscalerObserved(seen) => self.progress.of_autoscaler(seen, self.style),
            EventKind::BudgetObserved(seen) => self.progress.of_budget(seen),
            EventKind::SloDefined(definition) => {
                self.progress.slo_defined(definition);
                Some((Some(Tone::Dim), objectives::defined(definition)))
            }
            EventKind::SloMissing { slo, error } => {
                Some((Some(Tone::Warn), format!("SLO {slo} is not known to Prometheus: {error}")))
            }
            EventKind::SloSampled(sample) => self.progress.of_slo(sample),
            _ => fault(kind, self.style),
        }
    }

    /// A line only if the text about this thing is new.
    fn changed(&mut self, thing: &str, text: String) -> Option<(Option<Tone>, String)> {
        let old = self.last.insert(thing.to_owned(), text.clone());
        (old.as_deref() != Some(&text)).then_some((None, text))
    }

    fn steady(&mut self, check: &str, ok: bool, detail: &str) -> Option<(Option<Tone>, String)> {
        let word = if ok { "holds" } else { "broken" };
        let old = self.last.insert(format!("steady {check}"), word.to_owned());
        if old.as_deref() == Some(word) {
            return None;
        }
        let tone = if ok { Tone::Good } else { Tone::Warn };
        Some((
            Some(tone),
            format!("steady state {check:?} {}: {detail}", if ok { "holds" } else { "does not hold" }),
        ))
    }

    fn probe(
        &mut self,
        probe: &str,
        step: &str,
        status: Option<u16>,
        body: &str,
        error: Option<&str>,
        healthy: bool,
    ) -> Option<(Option<Tone>, String)> {
        let said = match (status, error) {
            (Some(status), _) => status.to_string(),
            (None, error) => error.unwrap_or("no answer").to_owned(),
        };
        let old = self.last.insert(format!("probe {probe}/{step}"), said.clone());
        if old.as_deref() == Some(&said) {
            return None;
        }
        let body: String = body.lines().next().unwrap_or("").chars().take(100).collect();
        // A healthy answer's body is of no interest, and may hold what is nobody's business.
        let body = if healthy || body.is_empty() { String::new() } else { format!(" {body}") };
        let tone = if healthy { Tone::Good } else { Tone::Warn };
        Some((Some(tone), format!("{probe}/{step} answers {said}{body}")))
    }
}

fn fault(kind: &EventKind, style: Style) -> Option<(Option<Tone>, String)> {
    match kind {
        EventKind::FaultPlanned { fault, action, targets, inverse } => Some((
            Some(Tone::Strong),
            format!("fault {fault}: {} {} (undone by: {inverse})", done(action), targets.join(", ")),
        )),
        EventKind::FaultApplied { .. } => None,
        EventKind::FaultApplyFailed { fault, error } => {
            Some((Some(Tone::Bad), format!("fault {fault} could not be applied: {error}")))
        }
        EventKind::FaultEffectObserved { fault, detail, .. } => {
            Some((Some(Tone::Strong), format!("fault {fault} {} effect: {detail}", style.arrow())))
        }
        EventKind::FaultEffectMissing { fault, detail } => {
            Some((Some(Tone::Bad), format!("fault {fault}: effect not seen: {detail}")))
        }
        EventKind::FaultRevertStarted { fault, .. } => {
            Some((Some(Tone::Strong), format!("fault {fault} is being undone")))
        }
        EventKind::FaultRevertVerified { fault, detail, .. } => {
            Some((Some(Tone::Strong), format!("fault {fault} undone: {detail}")))
        }
        EventKind::FaultRevertFailed { fault, error } => {
            Some((Some(Tone::Bad), format!("fault {fault} COULD NOT BE UNDONE: {error}")))
        }
        _ => None,
    }
}

/// What a fault does to its targets.
fn done(action: &FaultAction) -> String {
    match action {
        FaultAction::Scale { replicas, .. } => format!("scales to {replicas}:"),
        FaultAction::DeletePods { .. } => "deletes".to_owned(),
        FaultAction::Restart { .. } => "restarts".to_owned(),
    }
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Prepare => "prepare",
        Phase::Baseline => "baseline",
        Phase::Fault => "fault",
        Phase::Heal => "heal",
        Phase::Recovery => "recovery",
        Phase::Verdict => "verdict",
    }
}

fn alert_name(labels: &Labels) -> &str {
    labels.get("alertname").map_or("?", String::as_str)
}

/// `APIServiceDown{service="api"}`: the labels that tell alerts of one name apart.
fn describe(labels: &Labels) -> String {
    const USUAL: [&str; 5] = ["alertname", "severity", "job", "namespace", "endpoint"];
    let rest: Vec<_> = labels
        .iter()
        .filter(|(name, _)| !USUAL.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    if rest.is_empty() {
        alert_name(labels).to_owned()
    } else {
        format!("{}{{{}}}", alert_name(labels), rest.join(", "))
    }
}

fn notified(notification: &Notification) -> String {
    let mut names: Vec<_> = notification
        .alerts
        .iter()
        .map(|alert| format!("{} {}", alert_name(&alert.labels), alert.status))
        .collect();
    names.sort();
    names.dedup();
    format!("notification at {}: {}", notification.receiver, names.join(", "))
}

fn cancelled(reason: &CancelReason) -> String {
    match reason {
        CancelReason::Signal(signal) => format!("cancelled by {signal}"),
        CancelReason::Internal(error) => format!("the harness failed: {error}"),
        CancelReason::Recovered => "the run had been interrupted; it is being rolled back".to_owned(),
    }
}
