//! Loads as tables.

use harness_event::{ExtractFrom, LoadBody, LoadPart, LoadSpec, LoadStep, Millis, Plan, RateStage};
use toml::{Table, Value};

use super::{
    stimuli::Stimulus,
    write::{Document, duration, json, texts},
};

/// How long a load goes on by itself.
pub(super) fn own_length(load: &LoadSpec) -> Option<Millis> {
    let stages = || {
        let lengths: Option<Vec<Millis>> = load.stages.iter().map(|stage| stage.length).collect();
        lengths.filter(|lengths| !lengths.is_empty()).map(|lengths| lengths.into_iter().sum())
    };
    load.duration.or_else(stages)
}

/// True if its schedule sends nothing in this time.
pub(super) fn is_silent(load: &LoadSpec, length: Millis) -> bool {
    let stages = cut(&load.stages, length);
    let zero = |stage: &RateStage| stage.rate == 0.0 && stage.to.is_none_or(|to| to == 0.0);
    !stages.is_empty() && stages.iter().all(zero)
}

/// The schedule up to this time; a ramp that is cut ends at the rate that it had then. The last stage is open unless it is a
/// ramp.
fn cut(stages: &[RateStage], length: Millis) -> Vec<RateStage> {
    let mut left = length;
    let mut kept = Vec::new();
    for stage in stages {
        let own = stage.length.unwrap_or(left);
        if left <= Millis(0) {
            break;
        }
        if own < left {
            kept.push(*stage);
            left = left - own;
            continue;
        }
        let to = stage.to.map(|to| {
            let share = if own.0 > 0 { left.0 as f64 / own.0 as f64 } else { 1.0 };
            stage.rate + (to - stage.rate) * share
        });
        kept.push(RateStage { rate: stage.rate, to, length: to.map(|_| left) });
        left = Millis(0);
    }
    if left > Millis(0) {
        // It went on for longer than its stages: until its last answers were there.
        match kept.last_mut() {
            Some(last) if last.to.is_none() => last.length = None,
            _ => {}
        }
    }
    kept
}

/// Loads in the background of the run, then those that happen to the system.
pub(super) fn write(out: &mut Document, plan: &Plan, stimuli: &[Stimulus<'_>]) {
    let background: Vec<_> = plan.loads.iter().filter(|load| load.is_background()).collect();
    let timed: Vec<_> =
        stimuli.iter().filter_map(|stimulus| Some((stimulus, stimulus.deed.load()?))).collect();
    if background.is_empty() && timed.is_empty() {
        return;
    }
    out.heading("load");
    for load in background {
        out.table("[[load]]");
        out.set("name", load.name.as_str());
        out.set("background", true);
        rest(out, load, &load.stages, None);
    }
    for (stimulus, load) in timed {
        one(out, stimulus, load);
    }
}

fn one(out: &mut Document, stimulus: &Stimulus<'_>, load: &LoadSpec) {
    let stopped = stimulus.deed.reason.as_deref() == Some("stopped");
    out.gap();
    if stopped {
        out.comment(&format!("It was stopped after {}.", stimulus.really));
    }
    out.table("[[load]]");
    out.set("name", load.name.as_str());
    out.set("start", duration(stimulus.start));
    let stages = match (stopped, stimulus.duration) {
        (true, Some(length)) => cut(&load.stages, length),
        _ => load.stages.clone(),
    };
    // Stages that all have a length say how long the load is.
    let by_stages = !stages.is_empty() && stages.iter().all(|stage| stage.length.is_some());
    if !by_stages {
        out.maybe("duration", stimulus.duration.map(duration));
    }
    if !stopped {
        out.maybe("requests", load.requests.map(|requests| i64::try_from(requests).unwrap_or(i64::MAX)));
    }
    let length = if by_stages { stages.iter().filter_map(|stage| stage.length).sum() } else { Millis(0) };
    rest(out, load, &stages, stimulus.duration.map(|own| if by_stages { length } else { own }));
}

/// Everything but its name, start and end. `length` is how long it goes on, if that is known.
fn rest(out: &mut Document, load: &LoadSpec, stages: &[RateStage], length: Option<Millis>) {
    out.set("users", i64::from(load.users));
    // All users started, and something counted, before it ends.
    let within = |time: Millis| length.is_none_or(|length| time < length);
    for (key, time) in [("ramp", load.ramp), ("warm_up", load.warm_up)] {
        if time > Millis(0) && within(time) {
            out.set(key, duration(time));
        } else if time > Millis(0) {
            out.comment(&format!("Its {key} of {time} is left out: the load ended before."));
        }
    }
    match stages {
        [] => {}
        [RateStage { rate, to: None, length: None }] => out.set("rate", *rate),
        stages => out.set("stages", stages.iter().map(stage).collect::<Vec<_>>()),
    }
    out.maybe("requests_per_connection", load.requests_per_connection.map(i64::from));
    out.maybe("ca_file", load.ca_file.as_deref());
    if !load.in_order {
        out.set("order", "weighted");
    }
    let weighted = !load.in_order;
    load.setup.iter().for_each(|found| step(out, "[[load.setup]]", found, false));
    load.steps.iter().for_each(|found| step(out, "[[load.step]]", found, weighted));
}

fn stage(stage: &RateStage) -> Value {
    let mut table = Table::new();
    table.insert("rate".to_owned(), Value::from(stage.rate));
    if let Some(to) = stage.to {
        table.insert("to".to_owned(), Value::from(to));
    }
    if let Some(length) = stage.length {
        table.insert("for".to_owned(), Value::from(duration(length)));
    }
    Value::Table(table)
}

fn step(out: &mut Document, header: &str, step: &LoadStep, weighted: bool) {
    out.table(header);
    out.set("name", step.name.as_str());
    out.set("method", step.method.as_str());
    out.set("url", step.url.as_str());
    if !step.headers.is_empty() {
        out.set("headers", Value::Table(texts(&step.headers)));
    }
    match &step.body {
        None => {}
        Some(LoadBody::Json(value)) => out.set("json", json(value)),
        Some(LoadBody::Form(fields)) => out.set("form", Value::Table(texts(fields))),
        Some(LoadBody::Text(text)) => out.set("body", text.as_str()),
        Some(LoadBody::File(path)) => out.set("file", path.as_str()),
        Some(LoadBody::Multipart(parts)) => out.set("multipart", parts.iter().map(part).collect::<Vec<_>>()),
    }
    if !step.extract.is_empty() {
        let place = |from: &ExtractFrom| {
            let (kind, at) = match from {
                ExtractFrom::Json(at) => ("json", at),
                ExtractFrom::Header(at) => ("header", at),
                ExtractFrom::Cookie(at) => ("cookie", at),
            };
            Value::Table(Table::from_iter([(kind.to_owned(), Value::from(at.as_str()))]))
        };
        let places = step.extract.iter().map(|one| (one.name.clone(), place(&one.from)));
        out.set("extract", Value::Table(places.collect()));
    }
    out.set("status", i64::from(step.status));
    if weighted {
        out.set("weight", i64::from(step.weight));
    }
    match step.think {
        None => {}
        Some((least, most)) if least == most => out.set("think", duration(least)),
        Some((least, most)) => {
            let limits = [("min", least), ("max", most)];
            let limits = limits.map(|(key, time)| (key.to_owned(), Value::from(duration(time))));
            out.set("think", Value::Table(Table::from_iter(limits)));
        }
    }
    out.set("timeout", duration(step.timeout));
}

fn part(part: &LoadPart) -> Value {
    let fields = [
        ("name", Some(&part.name)),
        ("text", part.text.as_ref()),
        ("file", part.file.as_ref()),
        ("filename", part.filename.as_ref()),
        ("content_type", part.content_type.as_ref()),
    ];
    let given =
        fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), Value::from(value?.as_str()))));
    Value::Table(given.collect())
}
