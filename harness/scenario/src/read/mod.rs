//! TOML to draft: every key by the schema, each part on its own.

mod expect;
mod fault;
mod load;
mod objectives;
mod probe;
mod steady;

use harness_event::{Monitoring, PlannedHistory};
use toml::de::DeTable;

use crate::{
    draft::{Declared, Draft},
    problems::{Found, Issue, Problems, Span},
    reader::Reader,
    schema, suggest, values,
};

/// Reads the whole document.
pub(crate) fn scenario(document: &DeTable<'_>, problems: &mut Problems<'_>) -> Draft {
    let top = Reader::new(&schema::SCENARIO, document, 0..0, problems);
    let title = top.get("title", problems, values::line);
    let description =
        top.get("description", problems, values::text).map_or_else(String::new, |found| found.value);
    let namespace = top.get("namespace", problems, values::namespace);
    let monitoring = monitoring(&top, problems);
    let steady = steady::read(&top, problems);
    let probes = top.tables("probe", problems);
    let (loads, faults) = (top.tables("load", problems), top.tables("fault", problems));
    let declared = Declared { faults: names(&faults), loads: names(&loads), probes: names(&probes) };
    let compress = top.integer("compress", problems).and_then(|found| u32::try_from(found.value).ok());
    let history = history(&top, problems);
    let slos = top.get("slos", problems, values::slo_ids).map_or_else(Vec::new, |found| found.value);
    let probes = probes.iter().map(|table| probe::read(table, problems)).collect();
    let loads = loads.iter().map(|table| load::read(table, problems)).collect();
    let faults = faults.iter().map(|table| fault::read(table, problems)).collect();
    let expect = top.table("expect", problems).map(|table| expect::read(&table, problems));
    Draft {
        title,
        description,
        namespace,
        monitoring,
        baseline: steady.baseline,
        steady_state: steady.checks,
        steady_state_written: steady.written,
        compress,
        history,
        slos,
        anything_written: ["fault", "load"].iter().any(|key| top.has_or_meant_some(key)),
        probes,
        loads,
        faults,
        declared,
        expect,
    }
}

fn history(top: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<PlannedHistory> {
    let table = top.table("history", problems)?;
    let (length, rate) = (table.duration("length", problems), table.number("rate", problems));
    Some(PlannedHistory { length: length?.value, rate: rate?.value })
}

fn monitoring(top: &Reader<'_, '_>, problems: &mut Problems<'_>) -> Option<Monitoring> {
    let empty = DeTable::new();
    let table = match top.table("monitoring", problems) {
        Some(table) => table,
        None => Reader::new(&schema::MONITORING, &empty, top.span.clone(), problems),
    };
    let mut address = |name| {
        table.get(name, problems, |value, span| {
            let url = values::without_placeholders(values::url(value, span)?)?;
            match url.find(['?', '#']) {
                None => Ok(url),
                Some(_) => Err(Issue::new("a base address has no query and no fragment")),
            }
        })
    };
    let (prometheus, alertmanager, receiver) =
        (address("prometheus"), address("alertmanager"), address("receiver"));
    Some(Monitoring {
        prometheus: prometheus?.value,
        alertmanager: alertmanager?.value,
        receiver: receiver?.value,
    })
}

/// The `name`s of a list of tables, as far as they are texts, each once.
fn names(tables: &[Reader<'_, '_>]) -> Vec<String> {
    let mut names = Vec::<String>::new();
    for name in tables.iter().filter_map(|table| table.raw_text("name")) {
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// Reports names that stand more than once.
pub(crate) fn unique<'n>(
    names: impl IntoIterator<Item = &'n Found<String>>,
    what: &str,
    problems: &mut Problems<'_>,
) {
    let mut seen = std::collections::HashMap::<&str, &Span>::new();
    for name in names {
        match seen.get(name.value.as_str()) {
            Some(first) => {
                let line = problems.line(first);
                let message = format!("there are two {what} with the name {}", suggest::quoted(&name.value));
                problems
                    .error(&name.span, Issue::new(message).hint(format!("the other one is in line {line}")));
            }
            None => {
                seen.insert(&name.value, &name.span);
            }
        }
    }
}
