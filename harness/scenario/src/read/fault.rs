//! `[[fault]]`

use harness_event::FaultAction;

use crate::{
    draft::FaultDraft,
    problems::{Issue, Problems},
    reader::Reader,
    values,
};

const ACTIONS: [&str; 3] = ["scale", "delete_pods", "restart"];

pub(super) fn read(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> FaultDraft {
    let name = table.get("name", problems, values::name);
    let start = table.duration("start", problems);
    let duration = table.duration("duration", problems);
    let effect_within = table.duration("effect_within", problems);
    let actions = [scale(table, problems), delete_pods(table, problems), restart(table, problems)];
    let given: Vec<&str> = ACTIONS.into_iter().filter(|key| table.has_or_meant(key)).collect();
    match given.as_slice() {
        [] => {
            let hint = "scale = { workload = \"deployment/NAME\", replicas = 0 }, or delete_pods, or restart";
            problems.incomplete(&table.span, Issue::new("the fault does not say what it does").hint(hint));
        }
        [_] => {}
        [first, rest @ ..] => {
            for other in rest {
                let message = format!("a fault does one thing: this one has `{first}` and `{other}`");
                problems.error(&table.place(other), Issue::new(message).hint("write two [[fault]] tables"));
            }
        }
    }
    let action = actions.into_iter().flatten().next();
    FaultDraft { name, action, start, duration, effect_within }
}

fn scale(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<FaultAction> {
    let table = table.table("scale", problems)?;
    let workload = table.get("workload", problems, values::workload);
    let replicas = table.integer("replicas", problems);
    Some(FaultAction::Scale { workload: workload?.value, replicas: i32::try_from(replicas?.value).ok()? })
}

fn delete_pods(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<FaultAction> {
    let table = table.table("delete_pods", problems)?;
    let selector = table.get("selector", problems, values::selector);
    let count = table.integer("count", problems);
    let grace = table.integer("grace_period_seconds", problems);
    Some(FaultAction::DeletePods {
        selector: selector?.value,
        count: count.and_then(|found| u32::try_from(found.value).ok()),
        grace_period_seconds: grace.and_then(|found| u32::try_from(found.value).ok()),
    })
}

fn restart(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<FaultAction> {
    let table = table.table("restart", problems)?;
    let workload = table.get("workload", problems, values::workload);
    Some(FaultAction::Restart { workload: workload?.value })
}
