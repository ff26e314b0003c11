//! How each expectation stands while the run goes on: what polling shows, which is less than what the verdict will know.
//!
//! The rules are those of the verdict with everything left out that cannot be told from polling. So
//!
//! - *met* is said of what was seen in time. A state that was seen by a poll was there at that time at the latest;
//! - *late* is said of what was seen after its deadline: it may have been there before;
//! - *missed* is said only of what no later evidence can turn: a wrong answer where every answer counts, an unexpected alert that
//!   fires, a broken disruption budget. A deadline that is over is not a miss: the evidence will tell;
//! - conditions on loads, error budgets and PromQL rest on figures that are read at the end: they wait until then.

mod alert;
mod http;
mod scaling;
mod steady;

use std::collections::BTreeMap;

use self::{
    alert::AlertFollowed,
    http::HttpFollowed,
    scaling::ScalingFollowed,
    steady::{RecoveryFollowed, WorkloadFollowed},
};
use super::{
    alerts,
    model::{AlertKind, AlertPhase, ExpectationView, LoadStage, Progress, RunState},
};
use crate::{
    AutoscalerGoal, EventKind, Expectation, ExpectationKind, Millis, Phase, Plan, Verdict, Window,
    narrate::describe_alert, verdict::deadline,
};

/// An expectation with what was seen of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Followed {
    /// The fault or the timed load that starts its clock.
    stimulus: String,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Alert(AlertFollowed),
    /// The first alert that nobody expected, if one fired.
    NoUnexpectedAlert(Option<String>),
    Http(HttpFollowed),
    Workload(WorkloadFollowed),
    Recovery(RecoveryFollowed),
    Scaling(ScalingFollowed),
    /// Figures that are read at the end, over this window.
    Figures(Window),
}

/// Clocks of a fault or a timed load, since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Clock {
    /// The fault's call was sent; the load began.
    applied: Option<Millis>,
    /// The fault's effect was seen; the load began, and somebody was answered as expected.
    effect: Option<Millis>,
    /// The fault's revert was sent; the load ended.
    sent: Option<Millis>,
    /// The world was as before; the load ended.
    healed: Option<Millis>,
}

/// Time until something was seen, against its deadline.
fn seen(at: Millis, from: Millis, within: Millis) -> Progress {
    let after = (at - from).max(Millis(0));
    match after <= within {
        true => Progress::Met { after: Some(after) },
        false => Progress::Late { after },
    }
}

impl Followed {
    fn new(expectation: &Expectation) -> Self {
        let what = match &expectation.kind {
            ExpectationKind::Alert(expected) => What::Alert(AlertFollowed::new(expected)),
            ExpectationKind::NoUnexpectedAlert => What::NoUnexpectedAlert(None),
            ExpectationKind::Http(expected) => What::Http(HttpFollowed::new(expected)),
            ExpectationKind::Workload(expected) => What::Workload(WorkloadFollowed::new(expected)),
            ExpectationKind::Recovery { within } => What::Recovery(RecoveryFollowed::new(*within)),
            ExpectationKind::Autoscaler(expected) => What::Scaling(ScalingFollowed::new(expected)),
            ExpectationKind::Promql(expected) => What::Figures(expected.window),
            ExpectationKind::Load(_) | ExpectationKind::Slo(_) => What::Figures(Window::During),
        };
        Self { stimulus: expectation.fault.clone(), what }
    }

    fn see(&mut self, state: &RunState, kind: &EventKind, clock: Clock) {
        match &mut self.what {
            What::Alert(alert) => alert.see(state, kind, clock),
            What::NoUnexpectedAlert(found) => {
                if let EventKind::AlertSeen { labels, state: seen, .. } = kind
                    && found.is_none()
                    && alerts::alert_phase(seen) == Some(AlertPhase::Firing)
                    && state.anything_applied().is_some()
                    && state.alerts.get(labels).is_some_and(|alert| alert.kind == AlertKind::Unexpected)
                {
                    *found = Some(describe_alert(labels));
                }
            }
            What::Http(http) => http.see(state, kind, clock),
            What::Workload(workload) => workload.see(state, kind),
            What::Recovery(recovery) => recovery.see(state, kind, clock),
            What::Scaling(scaling) => scaling.see(state, kind, clock),
            What::Figures(_) => {}
        }
    }

    fn progress(&self, state: &RunState, clock: Clock) -> Progress {
        match &self.what {
            What::Alert(alert) => alert.progress(state, clock),
            What::NoUnexpectedAlert(Some(alert)) => {
                Progress::Missed { reason: format!("{alert} fires, which is not expected") }
            }
            What::NoUnexpectedAlert(None) => waiting(state.anything_applied()),
            What::Http(http) => http.progress(clock),
            What::Workload(workload) => workload.progress(clock),
            What::Recovery(recovery) => recovery.progress(state, clock),
            What::Scaling(scaling) => scaling.progress(clock),
            What::Figures(Window::During) => waiting(clock.effect),
            What::Figures(Window::After) => waiting(clock.effect.and(clock.healed)),
        }
    }
}

/// Waits if its clock has started.
fn waiting(since: Option<Millis>) -> Progress {
    since.map_or(Progress::NotStarted, |since| Progress::Waiting { since })
}

impl RunState {
    pub(super) fn plan_expectations(&mut self, plan: &Plan) {
        self.memo.followed = plan.expectations.iter().map(Followed::new).collect();
        self.expected_alerts = alerts::names(plan).collect();
        let view = |expectation: &Expectation| ExpectationView {
            id: expectation.id.clone(),
            title: expectation.title.clone(),
            deadline: shown_deadline(&expectation.kind),
            progress: Progress::NotStarted,
        };
        self.expectations = plan.expectations.iter().map(view).collect();
    }

    /// Lets the expectations see an event that the rest of the state knows already.
    pub(super) fn follow(&mut self, kind: &EventKind) {
        if self.verdict.is_some() || !concerns_expectations(kind) {
            return;
        }
        // What happens while the evidence is read belongs to no window any more.
        if self.phase() == Some(Phase::Verdict) && !matches!(kind, EventKind::AlertInputsChecked { .. }) {
            return;
        }
        let mut followed = std::mem::take(&mut self.memo.followed);
        for (index, one) in followed.iter_mut().enumerate() {
            let clock = self.clock(&one.stimulus);
            one.see(self, kind, clock);
            let progress = match one.progress(self, clock) {
                // A run that somebody changed by hand convicts nobody.
                Progress::Missed { .. } if self.faults.iter().any(|fault| fault.stopped_by_hand) => {
                    waiting(clock.effect)
                }
                progress => progress,
            };
            if let Some(view) = self.expectations.get_mut(index) {
                view.progress = progress;
            }
        }
        self.memo.followed = followed;
    }

    pub(super) fn judge_expectations(&mut self, verdict: &Verdict) {
        let by_id: BTreeMap<_, _> = verdict.checks.iter().map(|check| (check.id.as_str(), check)).collect();
        for view in &mut self.expectations {
            if let Some(check) = by_id.get(view.id.as_str()) {
                view.progress = Progress::Judged {
                    outcome: check.outcome,
                    reason: check.reason.clone(),
                    measured: check.measured,
                };
            }
        }
    }

    fn clock(&self, stimulus: &str) -> Clock {
        if let Some(fault) = self.fault(stimulus) {
            return Clock {
                applied: fault.applied,
                effect: fault.effect.filter(|_| fault.failure.is_none()),
                sent: fault.reverting,
                healed: fault.reverted,
            };
        }
        let Some(load) = self.load(stimulus) else { return Clock::default() };
        let failed = matches!(load.stage, LoadStage::Failed(_));
        let answered = load.requests > load.failed;
        let ended = load.ended.filter(|_| !failed);
        Clock {
            applied: load.started,
            effect: load.started.filter(|_| answered && !failed),
            sent: ended,
            healed: ended,
        }
    }

    /// When something was first done to the system: a fault, or a timed load.
    fn anything_applied(&self) -> Option<Millis> {
        let faults = self.faults.iter().filter_map(|fault| fault.applied);
        let loads = self.loads.iter().filter(|load| !load.spec.is_background());
        faults.chain(loads.filter_map(|load| load.started)).min()
    }
}

/// A deadline that a countdown can be shown for: of one point in time, not of each of many.
fn shown_deadline(kind: &ExpectationKind) -> Option<Millis> {
    match kind {
        ExpectationKind::Autoscaler(expected) if matches!(expected.goal, AutoscalerGoal::ReadyLag { .. }) => {
            None
        }
        kind => deadline(kind),
    }
}

/// Telemetry that comes all the time and changes no expectation is not looked at.
fn concerns_expectations(kind: &EventKind) -> bool {
    !matches!(
        kind,
        EventKind::PodObserved(_)
            | EventKind::PodsMeasured { .. }
            | EventKind::SloSampled(_)
            | EventKind::ClusterEventSeen(_)
            | EventKind::PodLogRead(_)
            | EventKind::BoundComputed(_)
            | EventKind::Note { .. }
            | EventKind::NoteWritten { .. }
    )
}
