//! Draft to plan: what only shows when the parts are held against each other.

mod expect;
mod faults;
mod loads;
mod objectives;
mod timing;

use harness_event::{Expectation, ExpectationKind, LoadStart, Plan, ProbeSpec};

use crate::{
    draft::{Draft, ExpectDraft, ProbeDraft},
    problems::{Issue, Problems},
    read, titles,
};

/// Most expectations of a scenario.
const MAX_EXPECTATIONS: usize = 1000;

/// Checks the draft as a whole. `None` if a part is missing; that is reported.
pub(crate) fn plan(mut draft: Draft, problems: &mut Problems<'_>) -> Option<Plan> {
    stimuli(&draft, problems);
    faults::check(&draft.faults, problems);
    loads::check(&mut draft.loads, problems);
    read::unique(draft.probes.iter().filter_map(|probe| probe.name.as_ref()), "probes", problems);
    if draft.steady_state_written == 0 {
        let issue = Issue::new(
            "there is no steady-state check: nothing proves that the system was healthy before the fault",
        );
        problems.warning(&(0..0), issue.hint("add [[steady_state.http]] or [[steady_state.promql]]"));
    }
    let expectations = draft.expect.as_ref().and_then(|expect| expectations(expect, &draft, problems));

    let slos = slos(&draft);
    let mut loads = draft.loads.into_iter().map(loads::spec).collect::<Option<Vec<_>>>()?;
    loads.sort_by_key(|load| match load.start {
        LoadStart::Background => None,
        LoadStart::After(start) => Some(start),
    });
    let mut faults = draft.faults.into_iter().map(faults::spec).collect::<Option<Vec<_>>>()?;
    faults.sort_by_key(|fault| fault.start);
    Some(Plan {
        title: draft.title?.value,
        description: draft.description,
        namespace: draft.namespace?.value,
        monitoring: draft.monitoring?,
        baseline: draft.baseline?.value,
        steady_state: draft.steady_state,
        probes: draft.probes.into_iter().map(probe).collect::<Option<Vec<_>>>()?,
        loads,
        slos,
        compress: draft.compress,
        history: draft.history,
        faults,
        expectations: expectations?,
        allowed_alerts: draft.expect?.allowed,
    })
}

/// Something must happen, and what happens has a name of its own.
fn stimuli(draft: &Draft, problems: &mut Problems<'_>) {
    let faults = draft.faults.iter().filter_map(|fault| fault.name.as_ref());
    let loads = draft.loads.iter().filter_map(|load| load.name.as_ref());
    let what = match (draft.faults.is_empty(), draft.loads.is_empty()) {
        (_, true) => "faults",
        (true, false) => "loads",
        (false, false) => "faults or loads",
    };
    read::unique(faults.chain(loads), what, problems);
    if !draft.anything_written {
        let issue = Issue::new("there is no [[fault]]");
        problems.incomplete(&(0..0), issue.hint("What breaks: at least one, or a timed [[load]]."));
    } else if draft.stimuli().is_empty() && !draft.loads.is_empty() {
        let issue = Issue::new("nothing happens: there is no [[fault]], and all loads are in the background");
        let span = draft.loads.first().map_or(0..0, |load| load.span.clone());
        problems.incomplete(&span, issue.hint("add a [[fault]], or give a load a `start` and an end"));
    }
}

/// SLOs to watch: those that the scenario names and those that it expects something of, each once.
fn slos(draft: &Draft) -> Vec<String> {
    let mut slos = draft.slos.clone();
    let expected = draft.expect.iter().flat_map(|expect| &expect.slos).filter_map(|slo| slo.slo.as_ref());
    for slo in expected {
        if !slos.contains(&slo.value) {
            slos.push(slo.value.clone());
        }
    }
    slos
}

fn probe(draft: ProbeDraft) -> Option<ProbeSpec> {
    let ProbeDraft { name, every, setup, steps, .. } = draft;
    Some(ProbeSpec { name: name?.value, every: every?.value, setup, steps })
}

/// The expectations, each with the fault that it belongs to. `None` if one could not be made.
fn expectations(
    expect: &ExpectDraft,
    draft: &Draft,
    problems: &mut Problems<'_>,
) -> Option<Vec<Expectation>> {
    if expect.written == 0 {
        let issue = Issue::new("there are no expectations: a run in which nothing is checked proves nothing");
        let hint = "add [[expect.alert]], [[expect.http]], [[expect.promql]], [[expect.workload]], \
                    [[expect.load]], [[expect.autoscaler]], [[expect.slo]] or recovery_within";
        problems.incomplete(&expect.span, issue.hint(hint));
    }
    let mut found = Vec::<Option<Expectation>>::new();
    let mut add = |several: Option<Vec<Expectation>>| match several {
        Some(several) => found.extend(several.into_iter().map(Some)),
        None => found.push(None),
    };
    expect.alerts.iter().for_each(|alert| add(expect::alert(alert, draft, problems)));
    found.extend(expect.http.iter().map(|http| expect::http(http, draft, problems)));
    found.extend(expect.promql.iter().map(|promql| expect::promql(promql, draft, problems)));
    found.extend(expect.workloads.iter().map(|workload| expect::workload(workload, draft, problems)));
    let mut add = |several: Option<Vec<Expectation>>| match several {
        Some(several) => found.extend(several.into_iter().map(Some)),
        None => found.push(None),
    };
    expect.loads.iter().for_each(|load| add(objectives::load(load, draft, problems)));
    expect.autoscalers.iter().for_each(|one| add(objectives::autoscaler(one, draft, problems)));
    expect.slos.iter().for_each(|slo| add(objectives::slo(slo, draft, problems)));
    if let Some(within) = &expect.recovery_within {
        found.push(expect::recovery(within, draft, problems));
    }
    found.push(no_unexpected_alert(expect, draft, problems));

    if found.len() > MAX_EXPECTATIONS {
        let message =
            format!("there are {} expectations; a scenario has at most {MAX_EXPECTATIONS}", found.len());
        problems.error(&expect.span, Issue::new(message));
    }
    if found.len() <= MAX_EXPECTATIONS {
        repeated(&found, problems);
    }
    let mut found = found.into_iter().collect::<Option<Vec<_>>>()?;
    number_repeated(&mut found);
    Some(found)
}

fn no_unexpected_alert(expect: &ExpectDraft, draft: &Draft, problems: &Problems<'_>) -> Option<Expectation> {
    Some(Expectation {
        id: "alerts/none-unexpected".to_owned(),
        title: titles::no_unexpected_alert(),
        line: problems.line(&expect.span),
        fault: expect::first(draft)?.name.to_owned(),
        kind: ExpectationKind::NoUnexpectedAlert,
    })
}

/// Two expectations that say the same: one of them was meant to say something else, most probably.
fn repeated(found: &[Option<Expectation>], problems: &mut Problems<'_>) {
    let found: Vec<&Expectation> = found.iter().flatten().collect();
    for (at, second) in found.iter().enumerate() {
        let same = |first: &&&Expectation| first.fault == second.fault && first.kind == second.kind;
        if let Some(first) = found[..at].iter().find(same) {
            let issue = Issue::new("the same is expected twice");
            let span = problems.line_span(second.line);
            problems.warning(&span, issue.hint(format!("the other one is in line {}", first.line)));
        }
    }
}

/// Makes ids unique: the second of the same id gets `#2`.
fn number_repeated(expectations: &mut [Expectation]) {
    let mut seen = std::collections::HashMap::<String, u32>::new();
    for expectation in expectations {
        let count = seen.entry(expectation.id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            expectation.id = format!("{}#{count}", expectation.id);
        }
    }
}
