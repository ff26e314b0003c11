//! Expectations of loads, autoscalers and SLOs.

use harness_event::{AutoscalerGoal, LoadMeasure, LoadPhase, SloGoal};

use crate::{
    draft::{AutoscalerDraft, LoadExpectDraft, SloDraft},
    problems::{Found, Issue, Problems},
    reader::Reader,
    values,
};

const PHASES: [(&str, LoadPhase); 4] = [
    ("warm_up", LoadPhase::WarmUp),
    ("before", LoadPhase::Before),
    ("during", LoadPhase::During),
    ("after", LoadPhase::After),
];
const GOALS: [&str; 5] = ["scales_up", "ready_lag", "direction_changes", "scales_down", "keeps_budget"];

pub(super) fn load(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> LoadExpectDraft {
    let load = table.get("load", problems, values::name);
    let step = table.get("step", problems, values::name);
    let phase = table.get("phase", problems, |value, _| values::one_of(value, &PHASES));
    let conditions = LoadMeasure::ALL
        .into_iter()
        .filter_map(|(key, measure)| {
            let found = table.get(key, problems, |value, span| match measure {
                LoadMeasure::ErrorRatio => values::ratio_comparison(value, span),
                measure if measure.is_latency() => values::latency_comparison(value, span),
                _ => values::comparison(value, span),
            });
            Some((measure, found?))
        })
        .collect();
    if !LoadMeasure::ALL.iter().any(|(key, _)| table.has_or_meant(key)) {
        let hint = format!("add one of {}", LoadMeasure::ALL.map(|(key, _)| key).join(", "));
        problems.incomplete(&table.span, Issue::new("nothing is expected of the load").hint(hint));
    }
    LoadExpectDraft { load, step, phase, conditions }
}

pub(super) fn autoscaler(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> AutoscalerDraft {
    let autoscaler = table.get("autoscaler", problems, values::object_name);
    let fault = stimulus(table, problems);
    let mut goals = Vec::new();
    for key in GOALS {
        let goal = match key {
            "scales_up" => table.table(key, problems).and_then(|table| {
                let (replicas, within) = (replicas(&table, problems), table.duration("within", problems));
                Some(AutoscalerGoal::ScalesUpTo { replicas, within: within?.value })
            }),
            "ready_lag" => {
                table.duration(key, problems).map(|found| AutoscalerGoal::ReadyLag { at_most: found.value })
            }
            "direction_changes" => table.integer(key, problems).and_then(|found| {
                Some(AutoscalerGoal::DirectionChanges { at_most: u32::try_from(found.value).ok()? })
            }),
            "scales_down" => table.table(key, problems).and_then(|table| {
                let (replicas, within) = (replicas(&table, problems), table.duration("within", problems));
                Some(AutoscalerGoal::ScalesDownTo { replicas, within: within?.value })
            }),
            _ => table
                .get(key, problems, values::object_name)
                .map(|found| AutoscalerGoal::KeepsBudget { budget: found.value }),
        };
        goals.extend(goal.map(|value| (key, Found { value, span: table.place(key), given: true })));
    }
    if !GOALS.iter().any(|key| table.has_or_meant(key)) {
        let hint = format!("add one of {}", GOALS.join(", "));
        problems.incomplete(&table.span, Issue::new("nothing is expected of the autoscaler").hint(hint));
    }
    AutoscalerDraft {
        span: table.span.clone(),
        autoscaler: autoscaler.map(|found| found.value),
        fault,
        goals,
    }
}

fn replicas(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<i32> {
    table.integer("to", problems).and_then(|found| i32::try_from(found.value).ok())
}

pub(super) fn slo(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> SloDraft {
    let slo = table.get("slo", problems, values::slo_id);
    let burn = table.table("burn", problems).and_then(|table| {
        let window = table.get("window", problems, values::slo_window);
        let below = table.number("below", problems);
        Some(SloGoal::BurnStaysBelow { window: window?.value, rate: below?.value })
    });
    let share = table.get("budget_spent_below", problems, values::share);
    let min_requests = table.integer("min_requests", problems);
    let burn = burn.map(|value| Found { value, span: table.place("burn"), given: true });
    let share = share.map(|found| Found {
        value: SloGoal::BudgetSpentBelow { share: found.value },
        span: found.span,
        given: true,
    });
    if !["burn", "budget_spent_below"].iter().any(|key| table.has_or_meant(key)) {
        let issue = Issue::new("nothing is expected of the SLO");
        let hint = "add burn = { window = \"1h\", below = 14.4 } or budget_spent_below = \"2%\"; \
                    to watch an SLO only, name it in `slos`";
        problems.incomplete(&table.span, issue.hint(hint));
    }
    SloDraft {
        slo,
        goals: burn.into_iter().chain(share).collect(),
        min_requests: min_requests.and_then(|found| u64::try_from(found.value).ok()),
    }
}

/// What starts the clock: `fault`, or `load` for those who find that more readable.
fn stimulus(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<Found<String>> {
    let fault = table.get("fault", problems, values::name);
    let load = table.get("load", problems, values::name);
    if table.has("fault") && table.has("load") {
        let issue = Issue::new("`fault` and `load` exclude each other: one clock is started by one thing");
        problems.error(&table.place("load"), issue.hint("remove one of them"));
    }
    fault.or(load)
}
