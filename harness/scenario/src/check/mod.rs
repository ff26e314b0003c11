//! Draft to plan: what only shows when the parts are held against each other.

mod expect;
mod faults;
mod timing;

use harness_event::{Expectation, ExpectationKind, Plan, ProbeSpec};

use crate::{
    draft::{Draft, ExpectDraft, ProbeDraft},
    problems::{Issue, Problems},
    read, titles,
};

/// Most expectations of a scenario.
const MAX_EXPECTATIONS: usize = 1000;

/// Checks the draft as a whole. `None` if a part is missing; that is reported.
pub(crate) fn plan(draft: Draft, problems: &mut Problems<'_>) -> Option<Plan> {
    faults::check(&draft.faults, problems);
    read::unique(draft.probes.iter().filter_map(|probe| probe.name.as_ref()), "probes", problems);
    if draft.steady_state_written == 0 {
        let issue = Issue::new(
            "there is no steady-state check: nothing proves that the system was healthy before the fault",
        );
        problems.warning(&(0..0), issue.hint("add [[steady_state.http]] or [[steady_state.promql]]"));
    }
    let expectations = draft.expect.as_ref().and_then(|expect| expectations(expect, &draft, problems));

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
        loads: Vec::new(),
        slos: Vec::new(),
        compress: None,
        faults,
        expectations: expectations?,
        allowed_alerts: draft.expect?.allowed,
    })
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
        let hint = "add [[expect.alert]], [[expect.http]], [[expect.promql]], [[expect.workload]] or recovery_within";
        problems.incomplete(&expect.span, issue.hint(hint));
    }
    let mut found = Vec::<Option<Expectation>>::new();
    for alert in &expect.alerts {
        match expect::alert(alert, draft, problems) {
            Some(deadlines) => found.extend(deadlines.into_iter().map(Some)),
            None => found.push(None),
        }
    }
    found.extend(expect.http.iter().map(|http| expect::http(http, draft, problems)));
    found.extend(expect.promql.iter().map(|promql| expect::promql(promql, draft, problems)));
    found.extend(expect.workloads.iter().map(|workload| expect::workload(workload, draft, problems)));
    if let Some(within) = &expect.recovery_within {
        found.push(expect::recovery(within, draft, problems));
    }
    found.push(no_unexpected_alert(expect, draft, problems));

    if found.len() > MAX_EXPECTATIONS {
        let message =
            format!("there are {} expectations; a scenario has at most {MAX_EXPECTATIONS}", found.len());
        problems.error(&expect.span, Issue::new(message));
    }
    let mut found = found.into_iter().collect::<Option<Vec<_>>>()?;
    number_repeated(&mut found);
    Some(found)
}

fn no_unexpected_alert(expect: &ExpectDraft, draft: &Draft, problems: &Problems<'_>) -> Option<Expectation> {
    let first = draft.faults.iter().min_by_key(|fault| fault.start.as_ref().map(|start| start.value))?;
    Some(Expectation {
        id: "alerts/none-unexpected".to_owned(),
        title: titles::no_unexpected_alert(),
        line: problems.line(&expect.span),
        fault: first.label().to_owned(),
        kind: ExpectationKind::NoUnexpectedAlert,
    })
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
