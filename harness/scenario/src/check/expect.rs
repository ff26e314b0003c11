//! Expectations: what they refer to, and their form in the plan.

use harness_event::{
    AlertExpectation, AlertState, Expectation, ExpectationKind, HttpExpectation, Millis, PromqlExpectation,
    WorkloadExpectation,
};

use super::timing;
use crate::{
    draft::{AlertDraft, Draft, HttpDraft, ProbeDraft, PromqlDraft, Stimulus, WorkloadDraft},
    problems::{Found, Issue, Problems, Span},
    suggest::{self, quoted},
    titles,
};

/// One expectation for each deadline.
pub(super) fn alert(
    draft: &AlertDraft,
    whole: &Draft,
    problems: &mut Problems<'_>,
) -> Option<Vec<Expectation>> {
    let fault = fault_of(draft.fault.as_ref(), &draft.span, whole, problems);
    timing::alert(draft, fault, problems);
    let (fault, alert) = (fault?, draft.alert.as_ref()?);
    let one = |(state, deadline): &(AlertState, Found<Millis>)| {
        let receiver = draft.receiver.as_ref().filter(|_| *state == AlertState::Delivered);
        let expected = AlertExpectation {
            alert: alert.value.clone(),
            labels: draft.labels.clone(),
            state: *state,
            within: deadline.value,
            receiver: receiver.map(|found| found.value.clone()),
        };
        let id = format!("alert/{}/{state}", expected.alert);
        let title = titles::alert(&expected, fault);
        expectation(id, title, &deadline.span, fault, ExpectationKind::Alert(expected), problems)
    };
    Some(draft.deadlines.iter().map(one).collect())
}

/// Answers of a probe's step.
pub(super) fn http(draft: &HttpDraft, whole: &Draft, problems: &mut Problems<'_>) -> Option<Expectation> {
    let fault = fault_of(draft.fault.as_ref(), &draft.span, whole, problems);
    let probe = probe_of(draft, whole, problems);
    let fault = fault?;
    timing::http(draft, fault, probe, problems);
    let expected = HttpExpectation {
        probe: draft.probe.as_ref()?.value.clone(),
        step: draft.step.as_ref()?.value.clone(),
        window: draft.window.as_ref()?.value,
        status: draft.status?,
        body_contains: draft.body_contains.clone(),
        within: draft.within.as_ref()?.value,
        max_latency: draft.max_latency.as_ref().map(|found| found.value),
    };
    let (id, title) = (format!("http/{}", draft.name.as_ref()?.value), titles::http(&expected, fault));
    Some(expectation(id, title, &draft.span, fault, ExpectationKind::Http(expected), problems))
}

/// A PromQL condition.
pub(super) fn promql(draft: &PromqlDraft, whole: &Draft, problems: &mut Problems<'_>) -> Option<Expectation> {
    let fault = fault_of(draft.fault.as_ref(), &draft.span, whole, problems)?;
    timing::promql(draft, fault, problems);
    let expected = PromqlExpectation {
        query: draft.query.clone()?,
        is: draft.is?,
        window: draft.window.as_ref()?.value,
        mode: draft.mode.as_ref()?.value,
    };
    let (id, title) = (format!("promql/{}", draft.name.as_ref()?.value), titles::promql(&expected, fault));
    Some(expectation(id, title, &draft.span, fault, ExpectationKind::Promql(expected), problems))
}

/// Ready replicas.
pub(super) fn workload(
    draft: &WorkloadDraft,
    whole: &Draft,
    problems: &mut Problems<'_>,
) -> Option<Expectation> {
    let fault = fault_of(draft.fault.as_ref(), &draft.span, whole, problems)?;
    let expected = WorkloadExpectation {
        workload: draft.workload.as_ref()?.value.clone(),
        ready: draft.ready?,
        within: draft.within.as_ref()?.value,
    };
    let id = format!("workload/{}", expected.workload);
    let title = titles::workload(&expected, fault);
    Some(expectation(id, title, &draft.span, fault, ExpectationKind::Workload(expected), problems))
}

/// The steady state after the last fault.
pub(super) fn recovery(
    within: &Found<Millis>,
    whole: &Draft,
    problems: &mut Problems<'_>,
) -> Option<Expectation> {
    if whole.steady_state_written == 0 {
        let issue = Issue::new(
            "`recovery_within` asks for the steady state again, but there is no steady-state check",
        );
        problems.incomplete(&within.span, issue.hint("add [[steady_state.http]] or [[steady_state.promql]]"));
    }
    let fault = last(whole)?;
    let title = titles::recovery(within.value, fault);
    let kind = ExpectationKind::Recovery { within: within.value };
    Some(expectation("recovery".to_owned(), title, &within.span, fault, kind, problems))
}

pub(super) fn expectation(
    id: String,
    title: String,
    span: &Span,
    fault: Stimulus<'_>,
    kind: ExpectationKind,
    problems: &Problems<'_>,
) -> Expectation {
    Expectation { id, title, line: problems.line(span), fault: fault.name.to_owned(), kind }
}

/// The fault or timed load that ends last. One that ends with its requests ends after all whose end is known.
pub(super) fn last(whole: &Draft) -> Option<Stimulus<'_>> {
    whole.stimuli().into_iter().max_by_key(|stimulus| match stimulus.end() {
        None if stimulus.is_load => (1, stimulus.start),
        end => (0, end),
    })
}

/// The fault or timed load that begins first.
pub(super) fn first(whole: &Draft) -> Option<Stimulus<'_>> {
    whole.stimuli().into_iter().min_by_key(|stimulus| stimulus.start)
}

/// The fault or timed load that an expectation names, or the only one.
pub(super) fn fault_of<'d>(
    named: Option<&Found<String>>,
    span: &Span,
    whole: &'d Draft,
    problems: &mut Problems<'_>,
) -> Option<Stimulus<'d>> {
    let stimuli = whole.stimuli();
    let background = |name: &str| whole.loads.iter().any(|load| load.is_background() && load.label() == name);
    let declared = whole.declared.faults.iter().chain(&whole.declared.loads).map(String::as_str);
    let mut declared: Vec<&str> = declared.filter(|name| !background(name)).collect();
    declared.dedup();
    let Some(name) = named else {
        if stimuli.len() < 2 {
            return stimuli.first().copied();
        }
        let loads = stimuli.iter().any(|stimulus| stimulus.is_load);
        let what = if loads { "fault or load" } else { "fault" };
        let issue = Issue::new(format!("which {what} is meant? there are several"));
        problems.incomplete(span, issue.hint(format!("add `fault`: one of {}", declared.join(", "))));
        return None;
    };
    if declared.contains(&name.value.as_str()) {
        return stimuli.into_iter().find(|stimulus| stimulus.name == name.value);
    }
    if background(&name.value) {
        let issue = Issue::new(format!("the load {:?} is in the background: it starts no clock", name.value));
        let hint = match declared.as_slice() {
            [] => "give it a `start` and an end instead, or add a [[fault]]".to_owned(),
            names => format!("name what happens to the system: one of {}", names.join(", ")),
        };
        problems.error(&name.span, issue.hint(hint));
        return None;
    }
    let loads = whole.declared.loads.iter().any(|load| declared.contains(&load.as_str()));
    let (what, list) = match loads {
        true => ("fault and no timed load", "there are"),
        false => ("fault", "the faults are"),
    };
    let issue = Issue::new(format!("there is no {what} with the name {}", quoted(&name.value)));
    problems.incomplete(&name.span, issue.maybe_hint(suggest::hint(&name.value, &declared, list)));
    None
}

/// The probe that an expectation names; its step must be there too.
fn probe_of<'d>(draft: &HttpDraft, whole: &'d Draft, problems: &mut Problems<'_>) -> Option<&'d ProbeDraft> {
    let name = draft.probe.as_ref()?;
    let declared: Vec<&str> = whole.declared.probes.iter().map(String::as_str).collect();
    if !declared.contains(&name.value.as_str()) {
        let issue = Issue::new(format!("there is no probe with the name {}", quoted(&name.value)));
        problems.incomplete(
            &name.span,
            issue.maybe_hint(suggest::hint(&name.value, &declared, "the probes are")),
        );
        return None;
    }
    let has_name = |probe: &&ProbeDraft| probe.name.as_ref().is_some_and(|found| found.value == name.value);
    let probe = whole.probes.iter().find(has_name)?;
    if let Some(step) = draft.step.as_ref().filter(|step| !probe.step_names.contains(&step.value)) {
        let steps: Vec<&str> = probe.step_names.iter().map(String::as_str).collect();
        let issue = Issue::new(format!(
            "the probe {:?} has no step with the name {}",
            name.value,
            quoted(&step.value)
        ));
        let hint = if probe.setup_names.contains(&step.value) {
            Some("that is a step of its setup, which runs once, before the fault".to_owned())
        } else {
            suggest::hint(&step.value, &steps, "its steps are")
        };
        problems.incomplete(&step.span, issue.maybe_hint(hint));
    }
    Some(probe)
}
