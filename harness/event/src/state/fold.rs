//! One event at a time.

use std::collections::VecDeque;

use super::{
    LOG_LENGTH, LOG_LINE_LENGTH, OBJECTS_WITH_EVENTS, POD_LOGS_KEPT,
    model::{Connection, LogLineView, PhaseSpan, RunState, Subject, Tone},
};
use crate::{CheckOutcome, Event, EventKind, Millis, Outcome, Phase, Timestamp, Verdict};

impl RunState {
    /// The state after one more event. Cheap enough to be done for every event while a view is drawn at its own pace.
    pub fn apply(&mut self, event: &Event) {
        if self.events == 0 {
            self.started_at = Timestamp(event.at.0.saturating_sub(event.elapsed.0));
        }
        self.events += 1;
        self.now = event.at;
        self.elapsed = self.elapsed.max(event.elapsed);
        if let Some(told) = self.memo.narrator.tell(event) {
            self.push_line(event.seq, event.at, told.subject, told.tone, told.text);
        }
        self.apply_kind(&event.kind);
        self.follow(&event.kind);
        self.drop_gone_pods();
    }

    /// What the run proved. Said by its log alone, once that is complete ([`Verdict::of`]).
    pub fn conclude(&mut self, verdict: Verdict) {
        self.judge_expectations(&verdict);
        let passed = verdict.checks.iter().filter(|check| check.outcome == CheckOutcome::Passed).count();
        let tone = match verdict.outcome {
            Outcome::Passed | Outcome::Ended => Tone::Good,
            Outcome::Inconclusive | Outcome::Aborted => Tone::Warn,
            _ => Tone::Bad,
        };
        let text = match verdict.checks.len() {
            0 => format!("verdict: {}", verdict.outcome),
            all => format!("verdict: {}, {passed} of {all} checks passed", verdict.outcome),
        };
        let (seq, now) = (self.events.saturating_sub(1), self.now);
        self.push_line(seq, now, Subject::Run, tone, text);
        self.verdict = Some(verdict);
    }

    /// A point of our wall clock as time since the start of the run, within what is known of it.
    pub(super) fn since_start(&self, at: Timestamp) -> Millis {
        Millis(at.0.saturating_sub(self.started_at.0).clamp(0, self.elapsed.0.max(0)))
    }

    /// The same for Prometheus' clock.
    pub(super) fn since_start_theirs(&self, at: Timestamp) -> Millis {
        self.since_start(Timestamp(at.0.saturating_sub(self.memo.clock_offset.0)))
    }

    /// Namespace of the system under test; empty before the first event.
    pub fn namespace(&self) -> &str {
        self.plan.as_ref().map_or("", |plan| plan.namespace.as_str())
    }

    /// The phase that the run is in.
    pub fn phase(&self) -> Option<Phase> {
        self.phases.last().map(|span| span.phase)
    }

    fn push_line(&mut self, seq: u64, at: Timestamp, subject: Subject, tone: Tone, mut text: String) {
        if let Some((cut, _)) = text.char_indices().nth(LOG_LINE_LENGTH) {
            text.truncate(cut);
        }
        let elapsed = self.elapsed;
        push(&mut self.log, LOG_LENGTH, LogLineView { seq, elapsed, at, subject, tone, text });
    }

    fn apply_kind(&mut self, kind: &EventKind) {
        match kind {
            EventKind::RunStarted { run, scenario, mode, plan, .. } => {
                run.clone_into(&mut self.run);
                scenario.clone_into(&mut self.scenario);
                self.mode = *mode;
                self.plan_faults(plan);
                self.plan_loads(plan);
                self.plan_expectations(plan);
                self.plan = Some(plan.clone());
            }
            EventKind::TargetConnected(target) => self.target = Some(target.clone()),
            EventKind::RunRefused { problems } => self.stopped.extend(problems.iter().cloned()),
            EventKind::NotReady { component, reason } => {
                self.stopped.push(format!("{component} not ready: {reason}"));
            }
            EventKind::InjectionSkipped { reason } => self.stopped.push(reason.clone()),
            EventKind::PhaseStarted { phase } => self.phase_started(*phase),
            EventKind::PhaseFinished { phase } => {
                let elapsed = self.elapsed;
                if let Some(span) = self.phases.last_mut().filter(|span| span.phase == *phase) {
                    span.to.get_or_insert(elapsed);
                }
            }
            EventKind::ClockMeasured { offset, .. } if self.memo.clock_offset == Millis(0) => {
                self.memo.clock_offset = *offset;
            }
            EventKind::RunCancelled { reason } => self.cancelled = Some(reason.clone()),
            EventKind::RunFinished { .. } => self.run_finished(),
            EventKind::TimeCompressed { factor, .. } => self.compressed = Some(*factor),
            EventKind::ObserverFailed { observer, error } => self.connected(observer, Some(error)),
            EventKind::ObserverRecovered { observer } => self.connected(observer, None),
            EventKind::SteadyStateChecked { check, asked_at, ok, detail } => {
                let asked = self.since_start(*asked_at);
                self.memo.steady_asked.insert(check.clone(), (asked, *ok));
                self.steady.insert(check.clone(), (detail.clone(), *ok));
            }
            EventKind::ProbeAnswered { probe, step, status, error, healthy, .. } => {
                let said = match (status, error) {
                    (Some(status), _) => status.to_string(),
                    (None, error) => error.clone().unwrap_or_else(|| "no answer".to_owned()),
                };
                self.probes.insert(format!("{probe}/{step}"), (said, *healthy));
            }
            EventKind::ClusterEventSeen(seen) => {
                let object = format!("{}/{}", seen.namespace, seen.object);
                self.cluster_event(object, seen.clone());
            }
            EventKind::PodLogRead(log) => push(&mut self.pod_logs, POD_LOGS_KEPT, log.clone()),
            _ => {
                self.apply_to_fault(kind);
                self.apply_to_load(kind);
                self.apply_to_object(kind);
                self.apply_to_pod(kind);
                self.apply_to_alert(kind);
            }
        }
    }

    fn phase_started(&mut self, phase: Phase) {
        let from = self.elapsed;
        if let Some(last) = self.phases.last_mut() {
            last.to.get_or_insert(from);
        }
        self.phases.push(PhaseSpan { phase, from, to: None });
    }

    fn run_finished(&mut self) {
        self.finished = true;
        let elapsed = self.elapsed;
        if let Some(last) = self.phases.last_mut() {
            last.to.get_or_insert(elapsed);
        }
    }

    fn connected(&mut self, observer: &str, error: Option<&String>) {
        let since = self.elapsed;
        let known =
            self.connections.entry(observer.to_owned()).or_insert_with(|| Connection { error: None, since });
        if known.error.as_ref() != error {
            if known.error.is_some() != error.is_some() {
                known.since = since;
            }
            known.error = error.cloned();
        }
    }

    fn cluster_event(&mut self, object: String, seen: crate::ClusterEvent) {
        use super::EVENTS_KEPT;
        if !self.cluster_events.contains_key(&object) {
            if self.memo.objects.len() >= OBJECTS_WITH_EVENTS
                && let Some(oldest) = self.memo.objects.pop_front()
            {
                self.cluster_events.remove(&oldest);
            }
            self.memo.objects.push_back(object.clone());
        }
        let known = self.cluster_events.entry(object).or_default();
        // Kubernetes counts repetitions of the same in one Event.
        if let Some(same) =
            known.iter().position(|old| old.reason == seen.reason && old.message == seen.message)
        {
            known.remove(same);
        }
        push(known, EVENTS_KEPT, seen);
    }
}

/// Adds to a bounded list; the oldest goes if there are too many.
pub(super) fn push<T>(list: &mut VecDeque<T>, bound: usize, one: T) {
    if list.len() >= bound {
        list.pop_front();
    }
    list.push_back(one);
}
