//! What can be done by hand, as the view shows it.

use harness_engine::{
    conductor::{FaultPlan, OfferedLoad, Targets},
    load::length,
};
use harness_event::LoadSpec;
use harness_scenario::catalogue::{Choice, FaultKind, FormField, kinds};
use harness_tui::{Catalogue, CatalogueEntry, CatalogueField, FaultPreview, FieldInput, LoadChoice};

/// The catalogue. Where the cluster does not say what there is, targets are typed.
pub(super) fn catalogue(targets: Result<Targets, String>, loads: &[OfferedLoad]) -> Catalogue {
    let faults = kinds().into_iter().map(|kind| entry(kind, &targets)).collect();
    let loads =
        loads.iter().map(|load| LoadChoice { load: load.spec.name.clone(), summary: summary(&load.spec) });
    Catalogue { faults, loads: loads.collect() }
}

fn entry(kind: FaultKind, targets: &Result<Targets, String>) -> CatalogueEntry {
    let fields = kind.fields.into_iter().map(|one| field(one, targets)).collect();
    CatalogueEntry { kind: kind.kind.to_owned(), summary: kind.summary.to_owned(), fields }
}

fn field(field: FormField, targets: &Result<Targets, String>) -> CatalogueField {
    let mut summary = field.summary.to_owned();
    let input = match (field.choice, targets) {
        (Choice::Typed, _) => FieldInput::Text,
        (Choice::Workloads, Ok(targets)) => FieldInput::Choice(targets.workloads.clone()),
        (Choice::Selectors, Ok(targets)) => FieldInput::Choice(targets.selectors.clone()),
        (_, Err(error)) => {
            summary = format!("{summary} What there is could not be read: {error}");
            FieldInput::Text
        }
    };
    CatalogueField { key: field.key, summary, required: field.required, preset: field.preset, input }
}

/// What a load does, in a sentence.
fn summary(load: &LoadSpec) -> String {
    let users = format!("{} user{}", load.users, if load.users == 1 { "" } else { "s" });
    let model = match load.stages.as_slice() {
        [] => format!("{users}, each sends its next request when the last one is answered"),
        stages => {
            let rate = |rate: f64, to: Option<f64>| match to {
                Some(to) => format!("{rate} to {to}/s"),
                None => format!("{rate}/s"),
            };
            let rates: Vec<_> = stages.iter().map(|stage| rate(stage.rate, stage.to)).collect();
            format!("{}, by at most {users}", rates.join(", then "))
        }
    };
    let end = match (length(load), load.requests) {
        (Some(length), Some(requests)) => format!("; ends after {length} or {requests} requests"),
        (Some(length), None) => format!("; ends after {length}"),
        (None, Some(requests)) => format!("; ends after {requests} requests"),
        (None, None) => "; until it is stopped".to_owned(),
    };
    format!("{model}{end}")
}

/// A plan, as the view shows it.
pub(super) fn preview(plan: FaultPlan) -> FaultPreview {
    FaultPreview {
        targets: plan.targets,
        effect: plan.effect,
        inverse: plan.inverse,
        warnings: plan.warnings,
    }
}
