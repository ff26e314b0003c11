//! `[[probe]]`

use harness_event::HttpStep;

use super::{names, unique};
use crate::{
    draft::ProbeDraft,
    problems::{Issue, Problems},
    reader::Reader,
    values::{self, Scope},
};

pub(super) fn read(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> ProbeDraft {
    let name = table.get("name", problems, values::name);
    let every = table.duration("every", problems);
    let (setup, setup_names) = steps(table, "setup", problems);
    let (steps, step_names) = steps(table, "step", problems);
    ProbeDraft { name, every, setup, steps, setup_names, step_names }
}

/// The steps and the names of all of them.
fn steps(table: &Reader<'_, '_>, key: &str, problems: &mut Problems<'_>) -> (Vec<HttpStep>, Vec<String>) {
    let tables = table.tables(key, problems);
    let found: Vec<_> = tables.iter().map(|table| table.get("name", problems, values::name)).collect();
    unique(found.iter().flatten(), "steps of this probe", problems);
    let steps = tables
        .iter()
        .zip(found)
        .filter_map(|(table, name)| step(table, name.map(|found| found.value), problems))
        .collect();
    (steps, names(&tables))
}

fn step(table: &Reader<'_, '_>, name: Option<String>, problems: &mut Problems<'_>) -> Option<HttpStep> {
    let method = table.get("method", problems, values::method);
    let url = table.get("url", problems, |value, span| {
        values::placeholder_text(values::url(value, span)?, Scope::Probe)
    });
    let headers = table.get("headers", problems, |value, _| values::headers(value, Scope::Probe));
    let json = table.get("json", problems, |value, span| values::json(value, span, Scope::Probe));
    let body = table.get("body", problems, |value, span| {
        values::placeholder_text(values::text(value, span)?, Scope::Probe)
    });
    let status = table.integer("status", problems);
    let timeout = table.duration("timeout", problems);
    if table.has("json") && table.has("body") {
        let issue = Issue::new("a step has one body: `json` or `body`").hint("remove one of them");
        problems.error(&table.place("body"), issue);
    }
    Some(HttpStep {
        name: name?,
        method: method?.value,
        url: url?.value,
        headers: headers.map(|found| found.value).unwrap_or_default(),
        json: json.map(|found| found.value),
        body: body.map(|found| found.value),
        status: u16::try_from(status?.value).ok()?,
        timeout: timeout?.value,
    })
}
