//! What stands before the faults: where it comes from, and what is there before anything is done.

use harness_event::{Chronicle, HttpStep, Millis, Plan, ProbeSpec, SteadyCheckKind, Timestamp};
use toml::{Table, Value};

use super::write::{Document, duration, json, texts};

/// Longest title of the format, in characters.
const MAX_TITLE: usize = 200;

/// Where it comes from, and what people wrote down.
pub(super) fn head(out: &mut Document, run: &str, what: &str, at: Timestamp, chronicle: &Chronicle) {
    out.comment(&format!(
        "Made by `harness export-scenario` of {what}, {run}, begun at {at}. Faults and loads are as they were. What must be seen \
         is what was seen then, with room for a slower machine: look at each deadline and make it what you want to be told of."
    ));
    if !chronicle.exact {
        out.comment(
            "Prometheus' record of its alerts was not read: the measured times are those of polling, and some may be \
             missing.",
        );
    }
    if !chronicle.notes.is_empty() {
        out.comment("\nWritten down at the time:");
        for note in &chronicle.notes {
            out.comment(&format!("  +{}  {}", note.elapsed, note.text.replace(['\n', '\r'], " ")));
        }
    }
}

/// Title, namespace, monitoring, steady state.
pub(super) fn surroundings(out: &mut Document, run: &str, plan: &Plan) {
    out.gap();
    let title: String =
        format!("{} ({run})", plan.title).chars().filter(|c| !c.is_control()).take(MAX_TITLE).collect();
    out.set("title", title);
    if !plan.description.trim().is_empty() {
        out.set("description", plan.description.as_str());
    }
    out.set("namespace", plan.namespace.as_str());
    out.maybe("compress", plan.compress.map(i64::from));
    if !plan.slos.is_empty() {
        out.set("slos", plan.slos.iter().map(|slo| Value::from(slo.as_str())).collect::<Vec<_>>());
    }
    out.table("[monitoring]");
    out.set("prometheus", plan.monitoring.prometheus.as_str());
    out.set("alertmanager", plan.monitoring.alertmanager.as_str());
    out.set("receiver", plan.monitoring.receiver.as_str());
    if let Some(history) = &plan.history {
        out.table("[history]");
        out.set("length", duration(history.length));
        out.set("rate", history.rate);
    }
    out.heading("what healthy means");
    if plan.steady_state.is_empty() {
        out.comment(
            "Nothing says what a healthy system looks like: add [[steady_state.http]] or [[steady_state.promql]], so that a run \
             begins only with one, and recovery can be expected.",
        );
    }
    out.table("[steady_state]");
    out.set("for", duration(plan.baseline.max(Millis(1))));
    for check in &plan.steady_state {
        match &check.kind {
            SteadyCheckKind::Http { url, status, body_contains, timeout } => {
                out.table("[[steady_state.http]]");
                out.set("name", check.name.as_str());
                out.set("url", url.as_str());
                out.set("status", i64::from(*status));
                out.maybe("body_contains", body_contains.as_deref());
                out.set("timeout", duration(*timeout));
            }
            SteadyCheckKind::Promql { query, is } => {
                out.table("[[steady_state.promql]]");
                out.set("name", check.name.as_str());
                out.set("query", query.as_str());
                out.set("is", is.to_string());
            }
        }
    }
}

/// Users, one by one.
pub(super) fn probes(out: &mut Document, probes: &[ProbeSpec]) {
    if probes.is_empty() {
        return;
    }
    out.heading("users");
    out.comment("Nothing is expected of them yet: see [[expect.http]].");
    for probe in probes {
        out.table("[[probe]]");
        out.set("name", probe.name.as_str());
        out.set("every", duration(probe.every));
        probe.setup.iter().for_each(|step| probe_step(out, "[[probe.setup]]", step));
        probe.steps.iter().for_each(|step| probe_step(out, "[[probe.step]]", step));
    }
}

fn probe_step(out: &mut Document, header: &str, step: &HttpStep) {
    out.table(header);
    out.set("name", step.name.as_str());
    out.set("method", step.method.as_str());
    out.set("url", step.url.as_str());
    if !step.headers.is_empty() {
        out.set("headers", Value::Table(texts(&step.headers)));
    }
    match (&step.json, &step.body) {
        (Some(value), _) => out.set("json", json(value)),
        (None, Some(body)) => out.set("body", body.as_str()),
        (None, None) => {}
    }
    out.set("status", i64::from(step.status));
    out.set("timeout", duration(step.timeout));
}

/// A table of one key, for lists.
pub(super) fn entry(pairs: Vec<(String, Value)>) -> Value {
    Value::Table(Table::from_iter(pairs))
}
