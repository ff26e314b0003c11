//! From YAML to [`Service`]s. What Sloth accepts is accepted; what it would silently make wrong rules of is refused.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Alert, Intervals, Query, Service, Sli, Slo,
    node::{self, Located, Node, Table},
    problem::Problems,
};
use crate::PromDuration;

/// `version` of the format.
const VERSION: &str = "prometheus/v1";
/// Labels that tell an SLO's series apart: another value would break its rules.
const RESERVED: [&str; 4] = ["sloth_id", "sloth_service", "sloth_slo", "sloth_window"];
/// The one SLO plugin whose effect is known here.
const RULE_INTERVALS: &str = "sloth.dev/contrib/rule_intervals/v1";

pub(super) fn file(text: &str, problems: &mut Problems) -> Vec<Service> {
    let documents = match node::documents(text) {
        Ok(documents) => documents,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    if documents.is_empty() {
        problems.error(1, 1, "the file is empty");
    }
    let mut ids = BTreeMap::new();
    let services: Vec<Service> =
        documents.iter().filter_map(|document| service(document, problems)).collect();
    for slo in services.iter().flat_map(|service| &service.slos) {
        if let Some(first) = ids.insert(slo.id.clone(), slo.line) {
            problems.error(slo.line, 1, format!("the SLO {:?} is here twice: first in line {first}", slo.id));
        }
    }
    services
}

fn service(document: &Node, problems: &mut Problems) -> Option<Service> {
    let mut root = document.table("the specification", problems)?;
    if !is_supported(&mut root, problems) {
        return None;
    }
    let name = required_name(&mut root, "service", problems);
    let labels = labels(&mut root, problems);
    let plugins = intervals(&mut root, "slo_plugins", problems);
    let list = root.list("slos", problems);
    root.finish(problems);
    match &list {
        None => problems.missing(&root, "slos"),
        Some(list) if list.value.is_empty() => {
            problems.error(list.line, list.column, "slos is empty: there is nothing to make rules of");
        }
        Some(_) => {}
    }
    let known = name.unwrap_or_default();
    let nodes = list.map_or(&[][..], |list| list.value);
    let slos: Vec<Slo> =
        nodes.iter().filter_map(|node| slo(node, known, &labels, plugins, problems)).collect();
    name.map(|name| Service { name: name.to_owned(), slos })
}

/// Only this format; others are told apart by name.
fn is_supported(root: &mut Table<'_>, problems: &mut Problems) -> bool {
    if let Some(found) = root.text("version", problems) {
        if found.value == VERSION {
            return true;
        }
        problems.error(
            found.line,
            found.column,
            format!("version {:?} is not supported: {VERSION:?} is", found.value),
        );
        return false;
    }
    let (line, column) = (root.line, root.column);
    let api = root.text("apiVersion", problems).map(|found| found.value);
    match api {
        Some(api) => problems.error_with(
            line,
            column,
            format!("apiVersion {api:?} is not supported: Sloth's {VERSION:?} is"),
            format!("the format begins with `version: {VERSION}`; a PrometheusServiceLevel's spec has the same parts"),
        ),
        None => problems.error(line, column, format!("the specification has no version: {VERSION:?}")),
    }
    false
}

fn slo(
    node: &Node,
    service: &str,
    shared: &BTreeMap<String, String>,
    plugins: Option<Intervals>,
    problems: &mut Problems,
) -> Option<Slo> {
    let mut table = node.table("the SLO", problems)?;
    let name = required_name(&mut table, "name", problems);
    if let Some(name) = name {
        table.name = format!("the SLO {name:?}");
    }
    let description = table.text("description", problems).map_or("", |found| found.value).to_owned();
    let objective = table.located_number("objective", problems);
    if let Some(found) = &objective
        && !(found.value > 0.0 && found.value <= 100.0)
    {
        let hint = if found.value == 0.0 { "" } else { ", as in 99.9" };
        problems.error(
            found.line,
            found.column,
            format!("the objective is {}: it must be a percentage above 0, at most 100{hint}", found.value),
        );
    }
    if let Some(found) = &objective
        && found.value > 0.0
        && found.value < 1.0
    {
        problems.warning(
            found.line,
            found.column,
            format!("an objective of {} % allows nearly every request to fail", found.value),
            Some("it is a percentage: 99.9, not 0.999".to_owned()),
        );
    }
    let mut all = shared.clone();
    all.extend(labels(&mut table, problems));
    let own = intervals(&mut table, "plugins", problems);
    let sli = sli(&mut table, problems);
    let alerts = alerting(&mut table, problems);
    table.finish(problems);
    let (page, ticket) = alerts?;
    Some(Slo {
        id: format!("{service}-{}", name?),
        service: service.to_owned(),
        name: name?.to_owned(),
        description,
        objective: objective.as_ref()?.value,
        labels: all,
        sli: sli?,
        page,
        ticket,
        intervals: own.or(plugins).unwrap_or_default(),
        line: node.line,
        objective_at: objective.map_or((node.line, node.column), |found| (found.line, found.column)),
    })
}

fn sli(slo: &mut Table<'_>, problems: &mut Problems) -> Option<Sli> {
    let Some(mut table) = slo.table("sli", problems) else {
        problems.missing(slo, "sli");
        return None;
    };
    if let Some(plugin) = table.node("plugin") {
        let id = plugin.table("plugin", problems).and_then(|mut plugin| plugin.text("id", problems));
        problems.error_with(
            plugin.line,
            plugin.column,
            format!(
                "the SLI plugin {:?} can't be run: Sloth's plugins are Go programs",
                id.map_or("", |id| id.value)
            ),
            "write the query that it makes as sli.events or sli.raw; `sloth generate` shows it",
        );
        return None;
    }
    let events = table.table("events", problems);
    let raw = table.table("raw", problems);
    table.finish(problems);
    match (events, raw) {
        (Some(mut events), None) => {
            let error = query(&mut events, "error_query", problems);
            let total = query(&mut events, "total_query", problems);
            events.finish(problems);
            let (error, total) = (error?, total?);
            if error == total {
                problems.error(events.line, events.column, "error_query and total_query are the same");
            }
            Some(Sli::Events { error, total })
        }
        (None, Some(mut raw)) => {
            let error_ratio = query(&mut raw, "error_ratio_query", problems);
            raw.finish(problems);
            Some(Sli::Raw { error_ratio: error_ratio? })
        }
        (Some(_), Some(raw)) => {
            problems.error(raw.line, raw.column, "sli has both events and raw: only one is allowed");
            None
        }
        (None, None) => {
            if !table.has("events") && !table.has("raw") {
                problems.error(table.line, table.column, "sli must have events or raw");
            }
            None
        }
    }
}

fn query(table: &mut Table<'_>, key: &str, problems: &mut Problems) -> Option<Query> {
    let Some(text) = table.text(key, problems) else {
        problems.missing(table, key);
        return None;
    };
    let query = match Query::parse(text.value) {
        Ok(query) => query,
        Err(error) => {
            problems.error(text.line, text.column, format!("{key}: {error}"));
            return None;
        }
    };
    match promql_parser::parser::parse(&query.with_window("1m")) {
        Ok(_) => Some(query),
        Err(error) => {
            let error = error.trim().replace('\n', " ");
            problems.error(text.line, text.column, format!("{key} is no PromQL: {error}"));
            None
        }
    }
}

/// The page and the ticket alert; the outer none if something is wrong.
fn alerting(slo: &mut Table<'_>, problems: &mut Problems) -> Option<(Option<Alert>, Option<Alert>)> {
    let Some(mut table) = slo.table("alerting", problems) else {
        problems.missing(slo, "alerting");
        return None;
    };
    let name = table.text("name", problems);
    let all = Alert {
        name: name.as_ref().map_or_else(String::new, |name| name.value.to_owned()),
        labels: labels(&mut table, problems),
        annotations: annotations(&mut table, problems),
    };
    let page = alert(&mut table, "page_alert", &all, problems);
    let ticket = alert(&mut table, "ticket_alert", &all, problems);
    table.finish(problems);
    if (page.is_some() || ticket.is_some()) && all.name.is_empty() {
        match name {
            Some(name) => problems.error(name.line, name.column, "the alerts' name is empty"),
            None => problems.missing(&table, "name"),
        }
        return None;
    }
    Some((page, ticket))
}

fn alert(table: &mut Table<'_>, key: &str, all: &Alert, problems: &mut Problems) -> Option<Alert> {
    let mut one = all.clone();
    if let Some(mut own) = table.table(key, problems) {
        let disabled = own.flag("disable", problems);
        one.labels.extend(labels(&mut own, problems));
        one.annotations.extend(annotations(&mut own, problems));
        own.finish(problems);
        if disabled {
            return None;
        }
    }
    Some(one)
}

/// A name that becomes part of an id.
fn required_name<'n>(table: &mut Table<'n>, key: &str, problems: &mut Problems) -> Option<&'n str> {
    let Some(found) = table.text(key, problems) else {
        problems.missing(table, key);
        return None;
    };
    // Sloth's rule: two characters at least.
    let ends = |c: char| c.is_ascii_alphanumeric();
    let good = found.value.len() >= 2
        && found.value.starts_with(ends)
        && found.value.ends_with(ends)
        && found.value.chars().all(|c| ends(c) || "-_.".contains(c));
    if !good {
        problems.error(
            found.line,
            found.column,
            format!(
                "{key} is {:?}: two or more letters, digits, '.', '_' and '-', with a letter or digit at both ends",
                found.value
            ),
        );
        return None;
    }
    Some(found.value)
}

fn is_label_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn labels(table: &mut Table<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    table.strings("labels", problems, |name, value, problems| {
        if name.value == "__name__" || !is_label_name(&name.value) {
            problems.error(name.line, name.column, format!("{:?} can't be a label", name.value));
        } else if RESERVED.contains(&name.value.as_str()) {
            problems.error(
                name.line,
                name.column,
                format!(
                    "the label {} is made by the generator: with another value the rules break",
                    name.value
                ),
            );
        }
        not_empty("label", name, value, problems);
    })
}

fn annotations(table: &mut Table<'_>, problems: &mut Problems) -> BTreeMap<String, String> {
    table.strings("annotations", problems, |name, value, problems| {
        if !is_label_name(&name.value) {
            problems.error(name.line, name.column, format!("{:?} can't be an annotation", name.value));
        }
        not_empty("annotation", name, value, problems);
    })
}

fn not_empty(what: &str, name: &Located<String>, value: &Located<&str>, problems: &mut Problems) {
    if value.value.is_empty() {
        problems.error(value.line, value.column, format!("the {what} {} is empty", name.value));
    }
}

/// Sloth's chain of SLO plugins: intervals are understood, everything else changes rules in ways that only its Go code knows.
fn intervals(table: &mut Table<'_>, key: &str, problems: &mut Problems) -> Option<Intervals> {
    let mut plugins = table.table(key, problems)?;
    if plugins.flag("overridePrevious", problems) {
        problems.error(
            plugins.line,
            plugins.column,
            format!("{key}.overridePrevious replaces Sloth's own rules: not supported"),
        );
    }
    let chain = plugins.list("chain", problems);
    plugins.finish(problems);
    let mut found = None;
    let mut seen = BTreeSet::new();
    for node in chain.map_or(&[][..], |chain| chain.value) {
        let Some(mut plugin) = node.table("the plugin", problems) else { continue };
        let Some(id) = plugin.text("id", problems) else {
            problems.missing(&plugin, "id");
            continue;
        };
        if id.value != RULE_INTERVALS {
            problems.error_with(
                id.line,
                id.column,
                format!("the SLO plugin {:?} can't be run: Sloth's plugins are Go programs", id.value),
                format!("supported is {RULE_INTERVALS}"),
            );
            continue;
        }
        if !seen.insert(id.value) {
            problems.error(id.line, id.column, format!("the plugin {} is here twice", id.value));
        }
        // With one plugin there is no order.
        let _ = plugin.node("priority");
        found = interval_config(&mut plugin, problems);
        plugin.finish(problems);
    }
    found
}

fn interval_config(plugin: &mut Table<'_>, problems: &mut Problems) -> Option<Intervals> {
    let Some(mut config) = plugin.table("config", problems) else {
        problems.missing(plugin, "config");
        return None;
    };
    let interval = config.table("interval", problems);
    config.finish(problems);
    let Some(mut interval) = interval else {
        problems.missing(&config, "interval");
        return None;
    };
    let mut read = |key: &str| {
        let text = interval.text(key, problems)?;
        match text.value.parse::<PromDuration>() {
            Ok(duration) if duration.millis() > 0 => Some(duration),
            Ok(_) => {
                problems.error(text.line, text.column, format!("{key} is 0"));
                None
            }
            Err(error) => {
                problems.error(text.line, text.column, format!("{key}: {error}"));
                None
            }
        }
    };
    let (default, sli, metadata, alerts) =
        (read("default"), read("sliError"), read("metadata"), read("alert"));
    interval.finish(problems);
    if default.is_none() {
        problems.missing(&interval, "default");
    }
    Some(Intervals { sli: sli.or(default), metadata: metadata.or(default), alerts: alerts.or(default) })
}
