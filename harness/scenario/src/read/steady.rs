//! `[steady_state]`

use harness_event::{Millis, SteadyCheck, SteadyCheckKind};
use toml::de::DeTable;

use super::unique;
use crate::{
    problems::{Found, Problems},
    reader::Reader,
    schema, values,
};

/// What was read.
pub(super) struct Steady {
    pub baseline: Option<Found<Millis>>,
    pub checks: Vec<SteadyCheck>,
    /// Number of checks in the file.
    pub written: usize,
}

/// Baseline and checks.
pub(super) fn read(top: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Steady {
    let empty = DeTable::new();
    let table = match top.table("steady_state", problems) {
        Some(table) => table,
        None => Reader::new(&schema::STEADY_STATE, &empty, top.span.clone(), problems),
    };
    let baseline = table.duration("for", problems);
    let (http_tables, promql_tables) = (table.tables("http", problems), table.tables("promql", problems));
    let written = http_tables.len() + promql_tables.len();
    let (mut names, mut checks) = (Vec::new(), Vec::new());
    let kinds =
        http_tables.iter().map(|table| (table, true)).chain(promql_tables.iter().map(|table| (table, false)));
    for (table, is_http) in kinds {
        let name = table.get("name", problems, values::name);
        let kind = if is_http { http(table, problems) } else { promql(table, problems) };
        names.extend(name.clone());
        checks.extend(name.zip(kind).map(|(name, kind)| SteadyCheck { name: name.value, kind }));
    }
    unique(&names, "steady-state checks", problems);
    Steady { baseline, checks, written }
}

fn http(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<SteadyCheckKind> {
    let url =
        table.get("url", problems, |value, span| values::without_placeholders(values::url(value, span)?));
    let status = table.integer("status", problems);
    let body_contains = table.get("body_contains", problems, values::body_part);
    let timeout = table.duration("timeout", problems);
    Some(SteadyCheckKind::Http {
        url: url?.value,
        status: u16::try_from(status?.value).ok()?,
        body_contains: body_contains.map(|found| found.value),
        timeout: timeout?.value,
    })
}

fn promql(table: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<SteadyCheckKind> {
    let query = table.get("query", problems, values::query);
    let is = table.get("is", problems, values::comparison);
    Some(SteadyCheckKind::Promql { query: query?.value, is: is?.value })
}
