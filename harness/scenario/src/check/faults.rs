//! Faults, on their own and against each other.

use harness_event::{FaultAction, FaultSpec, Millis, WorkloadRef};

use crate::{
    draft::FaultDraft,
    problems::{Issue, Problems},
};

/// Longest time from the baseline to the end of the last fault or load.
pub(super) const MAX_END: Millis = Millis(24 * 3_600_000);

pub(super) fn check(faults: &[FaultDraft], problems: &mut Problems<'_>) {
    for fault in faults {
        if let (Some(end), Some(duration)) = (fault.end(), &fault.duration)
            && end > MAX_END
        {
            problems.error(&duration.span, Issue::new("the fault ends more than 24h after the baseline"));
        }
    }
    for (at, second) in faults.iter().enumerate() {
        for first in &faults[..at] {
            overlap(first, second, problems);
        }
    }
}

/// Two faults on one workload at the same time: each would take the other's change for the state to go back to.
fn overlap(first: &FaultDraft, second: &FaultDraft, problems: &mut Problems<'_>) {
    let time = |fault: &FaultDraft| Some((fault.start.as_ref()?.value, fault.end()?));
    let workload = |fault: &FaultDraft| fault.action.as_ref().and_then(changed_workload).cloned();
    let (Some(one), Some(other)) = (workload(first), workload(second)) else { return };
    let (Some((from, to)), Some((other_from, other_to))) = (time(first), time(second)) else { return };
    if one == other && from < other_to && other_from < to {
        let issue = Issue::new(format!(
            "the faults {:?} and {:?} both change {one} at the same time",
            first.label(),
            second.label()
        ));
        let free = if from <= other_from { to } else { other_to };
        let span = second.name.as_ref().map_or(0..0, |name| name.span.clone());
        problems.error(&span, issue.hint(format!("the later one can start after {free} at the earliest")));
    }
}

fn changed_workload(action: &FaultAction) -> Option<&WorkloadRef> {
    match action {
        FaultAction::Scale { workload, .. } | FaultAction::Restart { workload } => Some(workload),
        FaultAction::DeletePods { .. } => None,
    }
}

pub(super) fn spec(draft: FaultDraft) -> Option<FaultSpec> {
    Some(FaultSpec {
        name: draft.name?.value,
        action: draft.action?,
        start: draft.start?.value,
        duration: draft.duration?.value,
        effect_within: draft.effect_within?.value,
    })
}
