//! `[[load]]`

use std::collections::HashSet;

use harness_event::{LoadBody, LoadPart, LoadStep, Millis};

use super::{names, unique};
use crate::{
    draft::{LoadDraft, LoadStepDraft, StageDraft},
    problems::{Found, Issue, Problems},
    reader::Reader,
    schema::Kind,
    values::{self, Scope},
};

const BODIES: [&str; 5] = ["json", "form", "body", "file", "multipart"];
const ORDERS: [(&str, bool); 2] = [("sequence", true), ("weighted", false)];
/// Keys of a step in which placeholders are replaced.
const TEMPLATES: [&str; 6] = ["url", "headers", "json", "form", "body", "multipart"];

pub(super) fn read(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> LoadDraft {
    let name = table.get("name", problems, values::name);
    let background = table.get("background", problems, values::boolean);
    let start = table.duration("start", problems);
    let duration = table.duration("duration", problems);
    let requests = table.integer("requests", problems);
    let users = table.integer("users", problems);
    let (ramp, warm_up) = (table.duration("ramp", problems), table.duration("warm_up", problems));
    let stages = stages(table, problems);
    let requests_per_connection = table.integer("requests_per_connection", problems);
    let ca_file = table.get("ca_file", problems, values::path);
    let in_order = table.get("order", problems, |value, _| values::one_of(value, &ORDERS));
    let (setup, setup_names) = steps(table, "setup", problems);
    let (steps, step_names) = steps(table, "step", problems);
    let mistyped = table.has_or_meant("background") && !table.has("background");
    let end_meant = ["duration", "requests"].iter().any(|key| table.has_or_meant(key)) || mistyped;
    LoadDraft {
        span: table.span.clone(),
        name,
        background,
        start,
        duration,
        requests: requests.and_then(|Found { value, span, given }| {
            Some(Found { value: u64::try_from(value).ok()?, span, given })
        }),
        end_meant,
        users: users.and_then(|found| u32::try_from(found.value).ok()),
        ramp,
        warm_up,
        rate_at: ["rate", "stages"].into_iter().find(|key| table.has(key)).map(|key| table.place(key)),
        stages,
        requests_per_connection: requests_per_connection.and_then(|found| u32::try_from(found.value).ok()),
        ca_file,
        in_order: in_order.map(|found| found.value),
        setup,
        steps,
        setup_names,
        step_names,
    }
}

/// `rate` is one stage that goes on.
fn stages(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Vec<StageDraft> {
    let rate = table.number("rate", problems);
    let tables = table.tables("stages", problems);
    let mut stages: Vec<_> = tables.iter().map(|table| stage(table, problems)).collect();
    if table.has("rate") && table.has("stages") {
        let issue = Issue::new("`rate` and `stages` exclude each other");
        problems.error(&table.place("rate"), issue.hint("a constant rate is `rate` alone"));
    } else if table.has("stages") && tables.is_empty() {
        let issue = Issue::new("`stages` says nothing");
        problems.error(
            &table.place("stages"),
            issue.hint("write [ { rate = 50, for = \"10s\" }, { rate = 500 } ]"),
        );
    } else if table.has("rate") {
        let span = table.place("rate");
        stages.push(StageDraft { span, rate, to: None, length: None, has_length: false });
    }
    stages
}

fn stage(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> StageDraft {
    StageDraft {
        span: table.span.clone(),
        rate: table.number("rate", problems),
        to: table.number("to", problems),
        length: table.duration("for", problems),
        has_length: table.has_or_meant("for"),
    }
}

/// The steps and the names of all of them.
fn steps(
    table: &Reader<'_, '_>,
    key: &str,
    problems: &mut Problems<'_>,
) -> (Vec<LoadStepDraft>, Vec<String>) {
    let tables = table.tables(key, problems);
    let found: Vec<_> = tables.iter().map(|table| table.get("name", problems, values::name)).collect();
    unique(found.iter().flatten(), "steps of this load", problems);
    let is_setup = key == "setup";
    let steps = tables
        .iter()
        .zip(found)
        .map(|(table, name)| LoadStepDraft {
            step: step(table, name.map(|found| found.value), is_setup, problems),
            uses: uses(table),
            extracts: table.raw_keys("extract"),
            weight_at: (!is_setup && table.has("weight")).then(|| table.place("weight")),
            think_at: (!is_setup && table.has("think")).then(|| table.place("think")),
        })
        .collect();
    (steps, names(&tables))
}

/// Extracted values that a step asks for, each once.
fn uses(table: &Reader<'_, '_>) -> Vec<Found<String>> {
    let (mut seen, mut uses) = (HashSet::new(), Vec::new());
    for (text, span) in TEMPLATES.into_iter().flat_map(|key| table.texts(key)) {
        for name in values::extracted_values(text).filter(|name| seen.insert(*name)) {
            uses.push(Found { value: name.to_owned(), span: span.clone(), given: true });
        }
    }
    uses
}

fn step(
    table: &Reader<'_, '_>,
    name: Option<String>,
    is_setup: bool,
    problems: &mut Problems<'_>,
) -> Option<LoadStep> {
    let method = table.get("method", problems, values::method);
    let url = table
        .get("url", problems, |value, span| values::placeholder_text(values::url(value, span)?, Scope::Load));
    let headers = table.get("headers", problems, |value, _| values::headers(value, Scope::Load));
    let headers = headers.map(|found| found.value).unwrap_or_default();
    let body = body(table, problems);
    let extract = table.get("extract", problems, values::extractions);
    let status = table.integer("status", problems);
    let timeout = table.duration("timeout", problems);
    let weight = match is_setup || !table.has("weight") {
        true => Some(1),
        false => table.integer("weight", problems).map(|found| found.value),
    };
    let think = if is_setup { None } else { think(table, problems) };
    let own_type = headers.keys().any(|name| name.eq_ignore_ascii_case("content-type"));
    if own_type && table.has("multipart") {
        let issue = Issue::new("the header Content-Type of a multipart body follows from its parts");
        problems.error(&table.place("headers"), issue.hint("remove it; a part may have a `content_type`"));
    }
    Some(LoadStep {
        name: name?,
        method: method?.value,
        url: url?.value,
        headers,
        body,
        extract: extract.map(|found| found.value).unwrap_or_default(),
        status: u16::try_from(status?.value).ok()?,
        weight: u32::try_from(weight?).ok()?,
        think,
        timeout: timeout?.value,
    })
}

fn think(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<(Millis, Millis)> {
    let limits = table.kind("think").and_then(|kind| match kind {
        Kind::Think(min, max) => Some((min, max)),
        _ => None,
    })?;
    table.get("think", problems, |value, _| values::think(value, limits.0, limits.1)).map(|found| found.value)
}

/// The body of a step: at most one of five keys.
fn body(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<LoadBody> {
    let given: Vec<&str> = BODIES.into_iter().filter(|key| table.has(key)).collect();
    if let [first, rest @ ..] = given.as_slice() {
        for other in rest {
            let issue = Issue::new(format!("a request has one body: this one has `{first}` and `{other}`"));
            problems.error(&table.place(other), issue.hint("remove one of them"));
        }
    }
    let json = table.get("json", problems, |value, span| values::json(value, span, Scope::Load));
    let form = table.get("form", problems, values::form);
    let text = table.get("body", problems, |value, span| {
        values::placeholder_text(values::text(value, span)?, Scope::Load)
    });
    let file = table.get("file", problems, values::path);
    let parts = table.tables("multipart", problems);
    if table.has("multipart") && parts.is_empty() {
        let issue = Issue::new("`multipart` has no part");
        problems
            .error(&table.place("multipart"), issue.hint("write [ { name = \"file\", file = \"x.png\" } ]"));
    }
    let parts: Vec<_> = parts.iter().filter_map(|table| part(table, problems)).collect();
    let multipart = (!parts.is_empty()).then_some(parts);
    json.map(|found| LoadBody::Json(found.value))
        .or_else(|| form.map(|found| LoadBody::Form(found.value)))
        .or_else(|| text.map(|found| LoadBody::Text(found.value)))
        .or_else(|| file.map(|found| LoadBody::File(found.value)))
        .or_else(|| multipart.map(LoadBody::Multipart))
}

fn part(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<LoadPart> {
    let name = table.get("name", problems, values::line);
    let text = table.get("text", problems, |value, span| {
        values::placeholder_text(values::text(value, span)?, Scope::Load)
    });
    let file = table.get("file", problems, values::path);
    let filename = table.get("filename", problems, values::line);
    let content_type = table.get("content_type", problems, values::media_type);
    match (table.has_or_meant("text"), table.has_or_meant("file")) {
        (true, true) => {
            let issue = Issue::new("`text` and `file` exclude each other");
            problems.error(&table.place("file"), issue.hint("write two parts"));
        }
        (false, false) => {
            let issue = Issue::new("the part has neither `text` nor `file`");
            problems.incomplete(&table.span, issue.hint("{ name = \"file\", file = \"x.png\" }"));
        }
        _ => {}
    }
    Some(LoadPart {
        name: name?.value,
        text: text.map(|found| found.value),
        file: file.map(|found| found.value),
        filename: filename.map(|found| found.value),
        content_type: content_type.map(|found| found.value),
    })
}
