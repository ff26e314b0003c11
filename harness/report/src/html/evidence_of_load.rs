//! Evidence of expectations about loads, autoscalers and error budgets.

use harness_event::{AutoscalerExpectation, AutoscalerGoal, LoadExpectation, SloExpectation};

use super::{
    evidence::Evidence,
    figures,
    log::Log,
    table::Table,
    text::{Unit, elapsed},
};
use crate::{
    duration::{percent, trimmed, window},
    loads::LoadReport,
};

pub(super) fn of_load(log: &Log<'_>, wanted: &LoadExpectation, evidence: &mut Evidence) {
    if let Some(load) = log.load(&wanted.load) {
        for step in
            load.spec.steps.iter().filter(|step| wanted.step.as_ref().is_none_or(|name| *name == step.name))
        {
            evidence.code(
                format!("Step {}, success is {}", step.name, step.status),
                format!("{} {}", step.method, step.url),
            );
        }
        if let Some((_, error)) = load.error {
            evidence.notes.push(format!("The load could not be carried out: {error}."));
        }
    }
    let report = LoadReport::of(log.events).into_iter().find(|report| report.load == wanted.load);
    if let Some(report) = report {
        let figures: Vec<_> =
            report.figures.iter().filter(|one| wanted.step.is_none() || one.step == wanted.step).collect();
        evidence.table(figures::load_table(format!("Figures of {}", report.load), &figures));
    }
}

pub(super) fn of_autoscaler(log: &Log<'_>, wanted: &AutoscalerExpectation, evidence: &mut Evidence) {
    if let AutoscalerGoal::KeepsBudget { budget } = &wanted.goal {
        let mut table = Table::new(
            format!("PodDisruptionBudget {budget}, as its watch delivered it"),
            &[("since start", true), ("healthy", true), ("demanded", true), ("up to date", false)],
        );
        for seen in log.budgets.iter().filter(|seen| seen.budget == *budget) {
            let state = match (seen.exists, seen.up_to_date) {
                (false, _) => "deleted",
                (true, true) => "yes",
                (true, false) => "no",
            };
            let broken = seen.up_to_date && seen.healthy < seen.demanded;
            let cells = [
                elapsed(log.ms(seen.seen_at)),
                seen.healthy.to_string(),
                seen.demanded.to_string(),
                state.to_owned(),
            ];
            table.row(cells).tone = if broken { "bad" } else { "" };
        }
        evidence.table(table);
        return;
    }
    let mut table = Table::new(
        format!("HorizontalPodAutoscaler {}, as its watch delivered it", wanted.autoscaler),
        &[
            ("since start", true),
            ("desired", true),
            ("current", true),
            ("metrics", false),
            ("conditions", false),
        ],
    );
    let mut last = None;
    for seen in log.autoscalers.iter().filter(|seen| seen.autoscaler == wanted.autoscaler) {
        // Its metric moves with every look; that alone is in the chart.
        let state = (seen.desired, seen.current, seen.conditions.clone(), seen.exists);
        if last.as_ref() == Some(&state) {
            continue;
        }
        let conditions = if seen.exists { seen.conditions.join(", ") } else { "deleted".to_owned() };
        table.row([
            elapsed(log.ms(seen.seen_at)),
            seen.desired.to_string(),
            seen.current.to_string(),
            seen.metrics.join(", "),
            conditions,
        ]);
        last = Some(state);
    }
    evidence.table(table);
    let Some(target) =
        log.autoscalers.iter().find(|seen| seen.autoscaler == wanted.autoscaler).map(|seen| &seen.target)
    else {
        return;
    };
    let mut table = Table::new(
        format!("Replicas of {target}"),
        &[("since start", true), ("desired", true), ("ready", true)],
    );
    for seen in log.workloads.iter().filter(|seen| seen.workload == *target) {
        table.row([elapsed(log.ms(seen.seen_at)), seen.desired.to_string(), seen.ready.to_string()]);
    }
    evidence.table(table);
}

pub(super) fn of_slo(log: &Log<'_>, wanted: &SloExpectation, evidence: &mut Evidence) {
    let Some(definition) = log.definitions.iter().find(|one| one.slo == wanted.slo) else {
        evidence.notes.push("Prometheus does not know this SLO.".to_owned());
        return;
    };
    let objective = format!("{} over {}", percent(definition.objective), window(definition.period));
    evidence.code(
        format!("Error ratio of the shortest window; objective {objective}"),
        definition.expression.clone(),
    );
    let Some(usage) = log.usages.iter().find(|usage| usage.slo == wanted.slo) else {
        evidence.notes.push("What the run did to the budget was never measured.".to_owned());
        return;
    };
    let number = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| trimmed(value, 1));
    let mut table = Table::new("What was measured", &[("what", false), ("value", true)]);
    table.row(["measured from".to_owned(), elapsed(log.ms(usage.from))]);
    table.row(["measured to".to_owned(), elapsed(log.ms(usage.to))]);
    table.row(["requests".to_owned(), number(usage.total)]);
    table.row(["errors".to_owned(), number(usage.errors)]);
    table.row(["errors that no rate sees, at most".to_owned(), number(usage.unseen_errors)]);
    table.row(["error ratio".to_owned(), usage.error_ratio.map_or_else(|| "unknown".to_owned(), percent)]);
    table.row(["budget spent".to_owned(), usage.budget_spent.map_or_else(|| "unknown".to_owned(), percent)]);
    let blind = usage.blind.map_or_else(|| "unknown".to_owned(), |blind| blind.to_string());
    table.row(["time without any series".to_owned(), blind]);
    table.row(["requests that are enough for a ratio".to_owned(), wanted.min_requests.to_string()]);
    for (one, peak) in definition.windows.iter().zip(&usage.peaks) {
        let peak = peak.map_or_else(|| "unknown".to_owned(), |peak| Unit::Burn.write(peak));
        table.row([format!("highest burn rate over {}", window(one.window)), peak]);
    }
    evidence.table(table);
    evidence.notes.extend(usage.caveats.iter().cloned());
}
