//! Expectations of loads, autoscalers and SLOs: what they refer to, whether they can be met and can fail, and their form in
//! the plan.

use harness_event::{
    AutoscalerExpectation, AutoscalerGoal, CompareOp, Comparison, Expectation, ExpectationKind,
    LoadExpectation, LoadMeasure, LoadPhase, Millis, SloExpectation, SloGoal,
};

use super::{
    expect::{expectation, fault_of, first, last},
    loads, timing,
};
use crate::{
    draft::{AutoscalerDraft, Draft, LoadDraft, LoadExpectDraft, SloDraft},
    problems::{Found, Issue, Problems},
    suggest::{self, quoted},
    titles,
};

/// One expectation for each condition on a load's statistics.
pub(super) fn load(
    draft: &LoadExpectDraft,
    whole: &Draft,
    problems: &mut Problems<'_>,
) -> Option<Vec<Expectation>> {
    let load = load_of(draft, whole, problems)?;
    let phase = draft.phase.as_ref()?;
    requests_of_phase(phase, load, problems);
    for (measure, condition) in &draft.conditions {
        let checked = can_be_met_and_fail(*measure, condition.value, load)
            .and_then(|()| enough_requests(*measure, condition.value, draft.step.is_some(), load));
        if let Err(issue) = checked {
            problems.error(&condition.span, issue);
        }
    }
    // The phases of a run are the same for all loads; a load in the background belongs to what happens last.
    let own = whole.stimuli().into_iter().find(|stimulus| stimulus.is_load && stimulus.name == load.label());
    let fault = own.or_else(|| last(whole))?;
    let mut stimuli = whole.stimuli();
    stimuli.sort_by_key(|stimulus| stimulus.start);
    // A timed load has no requests outside of itself.
    let names = match own {
        Some(own) => vec![own.name],
        None => stimuli.iter().map(|stimulus| stimulus.name).collect(),
    };
    let one = |(measure, condition): &(LoadMeasure, Found<Comparison>)| {
        let expected = LoadExpectation {
            load: load.label().to_owned(),
            step: draft.step.as_ref().map(|step| step.value.clone()),
            phase: phase.value,
            measure: *measure,
            is: condition.value,
        };
        let step = expected.step.as_ref().map_or_else(String::new, |step| format!("/{step}"));
        let id = format!("load/{}{step}/{}/{measure}", expected.load, phase_word(expected.phase));
        let title = titles::load(&expected, &names);
        expectation(id, title, &condition.span, fault, ExpectationKind::Load(expected), problems)
    };
    Some(draft.conditions.iter().map(one).collect())
}

fn phase_word(phase: LoadPhase) -> &'static str {
    match phase {
        LoadPhase::WarmUp => "warm_up",
        LoadPhase::Before => "before",
        LoadPhase::During => "during",
        LoadPhase::After => "after",
    }
}

/// The load that an expectation names; its step must be there too.
fn load_of<'d>(
    draft: &LoadExpectDraft,
    whole: &'d Draft,
    problems: &mut Problems<'_>,
) -> Option<&'d LoadDraft> {
    let name = draft.load.as_ref()?;
    let declared: Vec<&str> = whole.declared.loads.iter().map(String::as_str).collect();
    if !declared.contains(&name.value.as_str()) {
        let issue = Issue::new(format!("there is no load with the name {}", quoted(&name.value)));
        let hint = match whole.declared.faults.contains(&name.value) {
            true => Some("that is a fault; it sends no requests".to_owned()),
            false => suggest::hint(&name.value, &declared, "the loads are"),
        };
        problems.incomplete(&name.span, issue.maybe_hint(hint));
        return None;
    }
    let load = whole.loads.iter().find(|load| load.label() == name.value)?;
    if let Some(step) = draft.step.as_ref().filter(|step| !load.step_names.contains(&step.value)) {
        let steps: Vec<&str> = load.step_names.iter().map(String::as_str).collect();
        let issue = Issue::new(format!(
            "the load {:?} has no step with the name {}",
            name.value,
            quoted(&step.value)
        ));
        let hint = match load.setup_names.contains(&step.value) {
            true => Some("that is a step of its setup, which runs once, before the load starts".to_owned()),
            false => suggest::hint(&step.value, &steps, "its steps are"),
        };
        problems.incomplete(&step.span, issue.maybe_hint(hint));
    }
    Some(load)
}

/// There can be requests in the phase at all.
fn requests_of_phase(phase: &Found<LoadPhase>, load: &LoadDraft, problems: &mut Problems<'_>) {
    let warm_up = load.warm_up.as_ref().map_or(Millis(0), |warm_up| warm_up.value);
    let name = load.label();
    let (message, hint) = match phase.value {
        LoadPhase::WarmUp if load.warm_up.is_some() && warm_up == Millis(0) => {
            (format!("the load {name:?} has no warm-up"), "add `warm_up` to the load")
        }
        LoadPhase::Before if load.background.is_some() && !load.is_background() => (
            format!("the load {name:?} sends nothing before the first fault or timed load: it is one itself"),
            "only a load in the background has requests then",
        ),
        LoadPhase::After if load.background.is_some() && !load.is_background() => (
            format!("the load {name:?} sends nothing after the last fault or timed load: it has ended then"),
            "only a load in the background has requests then",
        ),
        _ => return,
    };
    problems.error(&phase.span, Issue::new(message).hint(hint));
}

/// A condition that nothing satisfies, or everything, is a mistake.
fn can_be_met_and_fail(measure: LoadMeasure, is: Comparison, load: &LoadDraft) -> Result<(), Issue> {
    let (least, most) = match measure {
        LoadMeasure::Requests => (0.0, loads::most_requests(load).unwrap_or(f64::INFINITY)),
        LoadMeasure::Rate => (0.0, loads::highest_rate(load).unwrap_or(f64::INFINITY)),
        LoadMeasure::ErrorRatio => (0.0, 1.0),
        _ => (0.0, f64::INFINITY),
    };
    // Nothing is answered in no time.
    let above_zero = measure.is_latency();
    let value = is.value;
    let inside = (least..=most).contains(&value) && !(above_zero && value == 0.0);
    let (possible, certain) = match is.op {
        CompareOp::Equal => (inside, false),
        CompareOp::NotEqual => (true, !inside),
        CompareOp::Less => (value > least, value > most),
        CompareOp::LessOrEqual => (value > least || (value == least && !above_zero), value >= most),
        CompareOp::Greater => (value < most, value < least || (value == least && above_zero)),
        CompareOp::GreaterOrEqual => (value <= most, value <= least),
    };
    // What the load offers at most is no promise: `< most` says that the system need not keep up.
    let certain =
        certain && (measure == LoadMeasure::ErrorRatio || value <= least || is.op == CompareOp::NotEqual);
    if possible && !certain {
        return Ok(());
    }
    let limits = match measure {
        LoadMeasure::ErrorRatio => "a ratio is between 0 and 1; 1 percent is 0.01 or \"1%\"".to_owned(),
        LoadMeasure::Requests if most.is_finite() && value > 0.0 => {
            format!("the load sends {most} requests at most")
        }
        LoadMeasure::Rate if most.is_finite() && value > 0.0 => {
            format!("the load offers {most} requests per second at most")
        }
        LoadMeasure::Requests | LoadMeasure::Rate => "it is zero at least".to_owned(),
        _ => "a latency is more than zero".to_owned(),
    };
    let says = if possible { "always holds: it checks nothing" } else { "can never hold" };
    Err(Issue::new(format!("{} {says}", titles::condition(measure, is))).hint(limits))
}

/// A verdict on a quantile wants ten requests beyond it, one on a small error ratio as many as make a single failure allowed.
/// With fewer the run is inconclusive whatever happens.
fn enough_requests(
    measure: LoadMeasure,
    is: Comparison,
    of_step: bool,
    load: &LoadDraft,
) -> Result<(), Issue> {
    let upper = matches!(is.op, CompareOp::Less | CompareOp::LessOrEqual);
    let needed = match measure {
        LoadMeasure::ErrorRatio if upper && is.value > 0.0 => (1.0 / is.value).ceil(),
        LoadMeasure::P50 => 20.0,
        LoadMeasure::P90 => 100.0,
        LoadMeasure::P95 => 200.0,
        LoadMeasure::P99 => 1000.0,
        LoadMeasure::P999 => 10_000.0,
        _ => return Ok(()),
    };
    let Some(most) = loads::most_requests(load) else { return Ok(()) };
    // In their order all steps are done equally often.
    let each = of_step && load.in_order == Some(true) && !load.step_names.is_empty();
    let most = if each { (most / load.step_names.len() as f64).ceil() } else { most };
    if most >= needed {
        return Ok(());
    }
    let condition = titles::condition(measure, is);
    let issue = Issue::new(format!("{condition} needs at least {needed} requests to mean anything"));
    Err(issue.hint(format!("there are {most} at most: send more, or expect something else")))
}

/// One expectation for each thing that the autoscaler does.
pub(super) fn autoscaler(
    draft: &AutoscalerDraft,
    whole: &Draft,
    problems: &mut Problems<'_>,
) -> Option<Vec<Expectation>> {
    let of_the_whole_run = |goal: &AutoscalerGoal| {
        !matches!(goal, AutoscalerGoal::ScalesUpTo { .. } | AutoscalerGoal::ScalesDownTo { .. })
    };
    let no_clock = draft.fault.is_none() && draft.goals.iter().all(|(_, goal)| of_the_whole_run(&goal.value));
    let fault = match no_clock {
        true => first(whole),
        false => fault_of(draft.fault.as_ref(), &draft.span, whole, problems),
    }?;
    let (mut up, mut down) = (None, None);
    for (_, goal) in &draft.goals {
        match &goal.value {
            AutoscalerGoal::ScalesUpTo { replicas, within } => {
                up = *replicas;
                timing::not_after_the_fault("within", *within, &goal.span, fault, problems);
            }
            AutoscalerGoal::ScalesDownTo { replicas, .. } => down = replicas.map(|to| (to, &goal.span)),
            _ => {}
        }
    }
    if let (Some(up), Some((down, span))) = (up, down)
        && down >= up
    {
        let issue = Issue::new(format!("scales down to {down}, but up to {up} only: that is not down"));
        problems.error(span, issue.hint(format!("to = {} or less", up - 1)));
    }
    let autoscaler = draft.autoscaler.as_ref()?;
    let one = |(key, goal): &(&str, Found<AutoscalerGoal>)| {
        let expected = AutoscalerExpectation { autoscaler: autoscaler.clone(), goal: goal.value.clone() };
        let title = titles::autoscaler(&expected, fault);
        let id = format!("autoscaler/{autoscaler}/{key}");
        expectation(id, title, &goal.span, fault, ExpectationKind::Autoscaler(expected), problems)
    };
    Some(draft.goals.iter().map(one).collect())
}

/// One expectation for each condition on an error budget.
pub(super) fn slo(draft: &SloDraft, whole: &Draft, problems: &Problems<'_>) -> Option<Vec<Expectation>> {
    let fault = first(whole)?;
    let (slo, min_requests) = (draft.slo.as_ref()?, draft.min_requests?);
    let one = |goal: &Found<SloGoal>| {
        let expected = SloExpectation { slo: slo.value.clone(), goal: goal.value, min_requests };
        let window = match goal.value {
            SloGoal::BurnStaysBelow { window, .. } => window_word(window),
            SloGoal::BudgetSpentBelow { .. } => String::new(),
        };
        let what = if window.is_empty() { "budget_spent".to_owned() } else { format!("burn/{window}") };
        let (id, title) = (format!("slo/{}/{what}", slo.value), titles::slo(&expected, &window));
        expectation(id, title, &goal.span, fault, ExpectationKind::Slo(expected), problems)
    };
    Some(draft.goals.iter().map(one).collect())
}

/// A window as Prometheus writes it: `3d`, `1h`, `5m`, `1h30m`.
fn window_word(window: Millis) -> String {
    const UNITS: [(&str, i64); 4] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    let mut left = window.0;
    let part = |(unit, length): (&str, i64)| {
        let count = left / length;
        left %= length;
        (count > 0).then(|| format!("{count}{unit}"))
    };
    UNITS.into_iter().filter_map(part).collect()
}
