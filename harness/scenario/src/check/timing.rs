//! Deadlines against the time there is.

use harness_event::{AlertState, Millis, PromqlMode, Window};

use crate::{
    draft::{AlertDraft, HttpDraft, ProbeDraft, PromqlDraft, Stimulus},
    problems::{Issue, Problems, Span},
};

/// An alert's deadlines: in the order of its states, and before the fault ends.
pub(super) fn alert(draft: &AlertDraft, fault: Option<Stimulus<'_>>, problems: &mut Problems<'_>) {
    let detection = draft.deadlines.iter().filter(|(state, _)| *state != AlertState::Resolved);
    let mut earlier: Option<(AlertState, Millis)> = None;
    for (state, deadline) in detection {
        let within = deadline.value;
        if let Some((before, limit)) = earlier.filter(|(_, limit)| *limit > within) {
            let issue = Issue::new(format!(
                "{state}_within = {within} is before {before}_within = {limit}, but an alert is {before} first"
            ));
            problems.error(&deadline.span, issue.hint(format!("{limit} or later")));
        }
        earlier = Some((*state, within));
        if let Some(fault) = fault {
            not_after_the_fault(&format!("{state}_within"), within, &deadline.span, fault, problems);
        }
    }
}

/// A step's answers during a fault: there must be time for one at least.
pub(super) fn http(
    draft: &HttpDraft,
    fault: Stimulus<'_>,
    probe: Option<&ProbeDraft>,
    problems: &mut Problems<'_>,
) {
    let (Some(window), Some(within), Some(duration)) = (&draft.window, &draft.within, fault.duration) else {
        return;
    };
    if window.value != Window::During {
        return;
    }
    let (limit, length, noun, fault) = (within.value, duration.value, fault.noun(), fault.name);
    if limit >= length {
        let issue = Issue::new(format!(
            "within = {limit} leaves nothing to look at: the {noun} {fault:?} ends after {length}"
        ));
        problems.error(
            &within.span,
            issue.hint(format!("less than {length}, or a longer `duration` of the {noun}")),
        );
        return;
    }
    let (Some(every), Some(probe)) = (probe.and_then(|probe| probe.every.as_ref()), &draft.probe) else {
        return;
    };
    let (every, left) = (every.value, length - limit);
    if every > left {
        let issue = Issue::new(format!(
            "the probe {:?} runs every {every}, but only {left} of the {noun} are looked at: there may be no answer",
            probe.value
        ));
        problems.error(&probe.span, issue.hint(format!("probe at least every {left}")));
    }
}

/// A PromQL condition during a fault.
pub(super) fn promql(draft: &PromqlDraft, fault: Stimulus<'_>, problems: &mut Problems<'_>) {
    let (Some(window), Some(mode)) = (&draft.window, &draft.mode) else { return };
    if window.value != Window::During {
        return;
    }
    let (key, length) = match mode.value {
        PromqlMode::Within(limit) => ("within", limit),
        PromqlMode::Stays(length) => ("stays", length),
        PromqlMode::Until(limit) => ("until", limit),
    };
    if key == "until" && fault.duration.is_some_and(|duration| duration.value == length) {
        let noun = fault.noun();
        let issue = Issue::new(format!(
            "`until` is the end of the {noun}: nothing is left in which it must not hold"
        ));
        problems.error(
            &mode.span,
            issue.hint(format!("less than {length}, or a longer `duration` of the {noun}")),
        );
    } else {
        not_after_the_fault(key, length, &mode.span, fault, problems);
    }
}

/// A deadline of something that only the fault or load causes must lie before its end.
pub(super) fn not_after_the_fault(
    key: &str,
    within: Millis,
    span: &Span,
    fault: Stimulus<'_>,
    problems: &mut Problems<'_>,
) {
    let Some(duration) = fault.duration.filter(|duration| within > duration.value) else { return };
    let (noun, name) = (fault.noun(), fault.name);
    let (line, length) = (problems.line(&duration.span), duration.value);
    let issue =
        Issue::new(format!("{key} = {within} is after the end of the {noun} {name:?}, which lasts {length}"));
    let hint = format!("at most {key} = \"{length}\", or at least duration = \"{within}\" in line {line}");
    problems.error(span, issue.hint(hint));
}
