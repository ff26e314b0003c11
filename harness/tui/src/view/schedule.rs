//! When things are planned to happen, as times since the start of the run: for the time axis and the estimate of the end.

use harness_event::{
    AlertState, AutoscalerGoal, ExpectationKind, FaultSpec, LoadSpec, LoadStart, Millis, Phase, Plan,
    PromqlMode, RunState, Window,
    state::{FaultView, LoadView},
};

/// When the plan's own clock starts, and when the run is about to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// The end of the baseline: starts of faults and loads count from here. Planned while the baseline goes on, unknown before it.
    pub zero: Option<Millis>,
    /// The last deadline. Unknown before the baseline, and without a plan that has an end.
    pub end: Option<Millis>,
}

impl Schedule {
    /// Of a run, as far as it is known.
    #[must_use]
    pub fn of(state: &RunState) -> Self {
        let Some(plan) = &state.plan else { return Self::default() };
        let began = |phase| state.phases.iter().find(|span| span.phase == phase).map(|span| span.from);
        let zero = began(Phase::Fault).or_else(|| began(Phase::Baseline).map(|from| from + plan.baseline));
        let Some(zero) = zero else { return Self::default() };
        let faults =
            state.faults.iter().map(|fault| (&fault.spec.name, Span::of_fault(fault, Some(zero)).end));
        let loads = state.loads.iter().filter(|load| !load.spec.is_background());
        let loads = loads.map(|load| (&load.spec.name, Span::of_load(load, Some(zero)).end));
        let ends: Vec<(&String, Option<Millis>)> = faults.chain(loads).collect();
        let deadline = |(name, end): &(&String, Option<Millis>)| {
            let after = plan.expectations.iter().filter(|expectation| expectation.fault == **name);
            end.map(|end| {
                end + after.map(|expectation| after_the_end(&expectation.kind)).max().unwrap_or_default()
            })
        };
        Self { zero: Some(zero), end: ends.iter().filter_map(deadline).max() }
    }
}

/// Time of an expectation after the end of what it is about.
fn after_the_end(kind: &ExpectationKind) -> Millis {
    match kind {
        ExpectationKind::Alert(alert) if alert.state == AlertState::Resolved => alert.within,
        ExpectationKind::Http(http) if http.window == Window::After => http.within,
        ExpectationKind::Promql(promql) if promql.window == Window::After => match promql.mode {
            PromqlMode::Within(time) | PromqlMode::Stays(time) | PromqlMode::Until(time) => time,
        },
        ExpectationKind::Workload(workload) => workload.within,
        ExpectationKind::Recovery { within } => *within,
        ExpectationKind::Autoscaler(autoscaler) => match autoscaler.goal {
            AutoscalerGoal::ScalesDownTo { within, .. } => within,
            _ => Millis(0),
        },
        _ => Millis(0),
    }
}

/// From when to when something is on, planned or real.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Its start.
    pub start: Option<Millis>,
    /// Its end; none if nobody knows.
    pub end: Option<Millis>,
    /// It has begun.
    pub began: bool,
    /// It is over.
    pub over: bool,
}

impl Span {
    /// Of a fault, where `zero` is the end of the baseline.
    #[must_use]
    pub fn of_fault(fault: &FaultView, zero: Option<Millis>) -> Self {
        let start = fault.applied.or_else(|| planned_start(&fault.spec, fault.by_hand, zero));
        let end =
            fault.reverted.or_else(|| start.map(|start| fault.effect.unwrap_or(start) + fault.spec.duration));
        Self { start, end, began: fault.applied.is_some(), over: fault.reverted.is_some() }
    }

    /// Of a load.
    #[must_use]
    pub fn of_load(load: &LoadView, zero: Option<Millis>) -> Self {
        let planned = match load.spec.start {
            LoadStart::Background => None,
            // A load that was wanted by hand starts as soon as it can.
            LoadStart::After(_) if load.by_hand => None,
            LoadStart::After(time) => zero.map(|zero| zero + time),
        };
        let start = load.started.or(planned);
        let end = load.ended.or_else(|| Some(start? + planned_length(&load.spec)?));
        Self { start, end, began: load.started.is_some(), over: load.ended.is_some() }
    }
}

fn planned_start(spec: &FaultSpec, by_hand: bool, zero: Option<Millis>) -> Option<Millis> {
    match by_hand {
        true => Some(spec.start),
        false => zero.map(|zero| zero + spec.start),
    }
}

/// How long a load goes on, where its plan says so: its duration, or the length of its stages if all have one.
fn planned_length(spec: &LoadSpec) -> Option<Millis> {
    let stages = || spec.stages.iter().map(|stage| stage.length).sum::<Option<Millis>>();
    spec.duration.or_else(|| if spec.stages.is_empty() { None } else { stages() })
}

/// The plan, if it sets out to prove something.
#[must_use]
pub fn proves(plan: Option<&Plan>) -> bool {
    plan.is_some_and(|plan| !plan.expectations.is_empty())
}
