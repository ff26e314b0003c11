//! Loads, on their own: ends, rates, weights, values.

use std::collections::HashSet;

use harness_event::{LoadSpec, LoadStart, Millis, RateStage};

use super::faults::MAX_END;
use crate::{
    draft::{LoadDraft, LoadStepDraft, StageDraft},
    problems::{Found, Issue, Problems},
    suggest::{self, quoted},
};

/// Checks each load; gives those a `duration` whose stages say how long they are.
pub(super) fn check(loads: &mut [LoadDraft], problems: &mut Problems<'_>) {
    for load in loads {
        background(load, problems);
        rates(load, problems);
        let stages = length_of_stages(load);
        stages_and_duration(load, stages.as_ref(), problems);
        if load.duration.is_none() && !load.is_background() {
            load.duration = stages;
        }
        end(load, problems);
        beginning(load, problems);
        order(load, problems);
        values(load, problems);
        authorities(load, problems);
    }
}

/// A load in the background has no start and no end of its own.
fn background(load: &LoadDraft, problems: &mut Problems<'_>) {
    if !load.is_background() {
        return;
    }
    let given = [
        ("start", load.start.as_ref().filter(|start| start.given).map(|start| &start.span)),
        ("duration", load.duration.as_ref().map(|duration| &duration.span)),
        ("requests", load.requests.as_ref().map(|requests| &requests.span)),
    ];
    for (key, span) in given {
        if let Some(span) = span {
            let issue = Issue::new(format!(
                "a load in the background has no `{key}`: it goes on during the whole run"
            ));
            problems.error(span, issue.hint("remove it, or `background`"));
        }
    }
}

/// A timed load ends some time, and not after a day.
fn end(load: &LoadDraft, problems: &mut Problems<'_>) {
    if load.is_background() {
        return;
    }
    let stages_end = !load.stages.is_empty() && load.stages.iter().all(|stage| stage.has_length);
    if !load.end_meant && !stages_end {
        let name = load.name.as_ref().map_or_else(String::new, |name| format!(" {:?}", name.value));
        let issue = Issue::new(format!("the load{name} has no end"));
        problems.incomplete(&load.span, issue.hint("add `duration` or `requests`, or background = true"));
    }
    if let (Some(start), Some(duration)) = (&load.start, &load.duration)
        && start.value + duration.value > MAX_END
    {
        problems.error(&duration.span, Issue::new("the load ends more than 24h after the baseline"));
    }
}

/// Start-up and warm-up leave something of the load.
fn beginning(load: &LoadDraft, problems: &mut Problems<'_>) {
    let Some(duration) = load.duration.as_ref().map(|duration| duration.value) else { return };
    if let Some(ramp) = load.ramp.as_ref().filter(|ramp| ramp.value >= duration) {
        let issue =
            Issue::new(format!("the users are not all started before the load ends after {duration}"));
        problems.error(&ramp.span, issue.hint(format!("less than {duration}")));
    }
    if let Some(warm_up) = load.warm_up.as_ref().filter(|warm_up| warm_up.value >= duration) {
        let issue =
            Issue::new(format!("the load ends after {duration}: all of it is warm-up, nothing counts"));
        problems.error(&warm_up.span, issue.hint(format!("less than {duration}")));
    }
}

/// Rates of the stages, each on its own and together.
fn rates(load: &LoadDraft, problems: &mut Problems<'_>) {
    let [before @ .., last] = load.stages.as_slice() else { return };
    for stage in before.iter().filter(|stage| !stage.has_length) {
        let issue = Issue::new("only the last stage may go on until the load ends");
        problems.incomplete(&stage.span, issue.hint("add `for`"));
    }
    for stage in load.stages.iter().filter(|stage| !stage.has_length) {
        if let Some(to) = &stage.to {
            let issue = Issue::new("a rate that changes needs a time over which it does");
            problems.incomplete(&to.span, issue.hint("add `for`"));
        }
    }
    let zero = |stage: &StageDraft| {
        let none = |rate: &Option<Found<f64>>| rate.as_ref().is_some_and(|rate| rate.value == 0.0);
        none(&stage.rate) && (stage.to.is_none() || none(&stage.to))
    };
    if load.stages.iter().all(zero) {
        let span = load.rate_at.clone().unwrap_or_else(|| last.span.clone());
        problems.error(&span, Issue::new("the rate is zero all the time: nothing is sent"));
    }
    for think in load.steps.iter().filter_map(|step| step.think_at.as_ref()) {
        let issue = Issue::new("with a rate the schedule says when requests start: users do not think");
        problems.error(think, issue.hint("remove `think`, or the rate"));
    }
}

/// Sum of the stages, if each says its length.
fn length_of_stages(load: &LoadDraft) -> Option<Found<Millis>> {
    if load.stages.is_empty() {
        return None;
    }
    let lengths: Option<Vec<Millis>> =
        load.stages.iter().map(|stage| stage.length.as_ref().map(|length| length.value)).collect();
    let value = lengths?.into_iter().fold(Millis(0), |sum, length| sum + length);
    let span = load.rate_at.clone().unwrap_or_else(|| load.span.clone());
    Some(Found { value, span, given: false })
}

/// Stages end with the load, or the last one is open and there is time for it.
fn stages_and_duration(load: &LoadDraft, stages: Option<&Found<Millis>>, problems: &mut Problems<'_>) {
    let Some(last) = load.stages.last() else { return };
    if load.is_background() {
        if let Some(length) = &last.length {
            let issue = Issue::new("a load in the background goes on, but its stages end");
            problems.error(&length.span, issue.hint("remove `for` of the last stage"));
        }
        return;
    }
    let Some(duration) = &load.duration else { return };
    match stages {
        Some(sum) if sum.value != duration.value => {
            let issue = Issue::new(format!("the stages last {}, the load {}", sum.value, duration.value));
            let hint = "remove `duration`, or `for` of the last stage: it then goes on until the load ends";
            problems.error(&duration.span, issue.hint(hint));
        }
        Some(_) => {}
        None => {
            let before = load.stages.iter().filter_map(|stage| stage.length.as_ref());
            let before = before.fold(Millis(0), |sum, length| sum + length.value);
            if before >= duration.value && !last.has_length {
                let issue = Issue::new(format!(
                    "the last stage begins after {before}, when the load of {} has ended",
                    duration.value
                ));
                problems.error(&last.span, issue.hint("a longer `duration`, or shorter stages"));
            }
        }
    }
}

/// Weights are for weighted order.
fn order(load: &LoadDraft, problems: &mut Problems<'_>) {
    if load.in_order != Some(true) {
        return;
    }
    for weight in load.steps.iter().filter_map(|step| step.weight_at.as_ref()) {
        let issue = Issue::new("weights say nothing about steps that are done in their order");
        problems.error(weight, issue.hint("remove it, or add order = \"weighted\" to the load"));
    }
}

/// Values are extracted before they are used.
fn values(load: &LoadDraft, problems: &mut Problems<'_>) {
    let all = |steps: &[LoadStepDraft]| -> HashSet<String> {
        steps.iter().flat_map(|step| step.extracts.iter().cloned()).collect()
    };
    let (of_setup, of_steps) = (all(&load.setup), all(&load.steps));
    let in_order = load.in_order != Some(false);
    let mut known = Known::default();
    for step in &load.setup {
        for used in step.uses.iter().filter(|used| !known.has(&used.value)) {
            let later = of_setup.contains(&used.value) || of_steps.contains(&used.value);
            unknown_value(used, later.then_some(Later::Above), &known, problems);
        }
        known.add(&step.extracts);
    }
    for step in &load.steps {
        for used in step.uses.iter().filter(|used| !known.has(&used.value)) {
            let why = if in_order { Later::Above } else { Later::AnyFirst };
            unknown_value(used, of_steps.contains(&used.value).then_some(why), &known, problems);
        }
        if in_order {
            known.add(&step.extracts);
        }
    }
}

/// Values that a step may ask for.
#[derive(Default)]
struct Known<'d> {
    names: HashSet<&'d str>,
    /// Some of them, for suggestions.
    some: Vec<&'d str>,
}

impl<'d> Known<'d> {
    /// More are not looked through for a similar name.
    const SOME: usize = 100;

    fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    fn add(&mut self, names: &'d [String]) {
        self.names.extend(names.iter().map(String::as_str));
        self.some.extend(names.iter().map(String::as_str).take(Self::SOME - self.some.len()));
    }
}

/// Why a value that a step extracts is not there yet.
enum Later {
    /// The step stands below.
    Above,
    /// Any step may be the first.
    AnyFirst,
}

fn unknown_value(used: &Found<String>, later: Option<Later>, known: &Known<'_>, problems: &mut Problems<'_>) {
    let name = quoted(&used.value);
    let (message, hint) = match later {
        Some(Later::AnyFirst) => (
            format!("the value {name} may not be there yet: any step may be a user's first"),
            "in weighted order the steps of the setup extract; or order = \"sequence\"".to_owned(),
        ),
        Some(Later::Above) => (
            format!("the value {name} is extracted later than it is used"),
            "a step knows what the ones above it extracted".to_owned(),
        ),
        None => (
            format!("no step extracts the value {name}"),
            suggest::hint(&used.value, &known.some, "known here are").unwrap_or_else(|| {
                let value = &used.value;
                format!("a step above this one needs extract = {{ {value} = {{ json = \"/id\" }} }}")
            }),
        ),
    };
    problems.incomplete(&used.span, Issue::new(message).hint(hint));
}

/// Certificates of private authorities are for HTTPS.
fn authorities(load: &LoadDraft, problems: &mut Problems<'_>) {
    let Some(ca_file) = &load.ca_file else { return };
    let mut urls = load.setup.iter().chain(&load.steps).map(|step| step.step.as_ref().map(|step| &step.url));
    if urls.all(|url| url.is_some_and(|url| !url.starts_with("https://"))) {
        let issue = Issue::new("`ca_file` says nothing: no step has an https:// address");
        problems.warning(&ca_file.span, issue);
    }
}

/// Most requests that the load can send, if that is known.
pub(super) fn most_requests(load: &LoadDraft) -> Option<f64> {
    let total = load.requests.as_ref().map(|requests| requests.value as f64);
    let scheduled = load.duration.as_ref().and_then(|duration| scheduled(load, duration.value));
    match (total, scheduled) {
        (Some(total), Some(scheduled)) => Some(total.min(scheduled)),
        (total, scheduled) => total.or(scheduled),
    }
}

/// Requests of the schedule in this time. None if the schedule is wrong, too, which is reported.
fn scheduled(load: &LoadDraft, duration: Millis) -> Option<f64> {
    let (mut left, mut sum) = (duration.as_secs_f64(), 0.0);
    let (last, before) = load.stages.split_last()?;
    if before.iter().any(|stage| !stage.has_length) || (last.to.is_some() && !last.has_length) {
        return None;
    }
    for stage in &load.stages {
        let (from, to) = ends(stage)?;
        let length = stage.length.as_ref().map_or(left, |length| length.value.as_secs_f64()).min(left);
        sum += (from + to) / 2.0 * length;
        left -= length;
    }
    // The first start is at the very beginning.
    (sum > 0.0).then_some(sum.ceil() + 1.0)
}

/// Largest rate of the schedule.
pub(super) fn highest_rate(load: &LoadDraft) -> Option<f64> {
    let rates: Option<Vec<f64>> =
        load.stages.iter().map(|stage| ends(stage).map(|(from, to)| from.max(to))).collect();
    rates?.into_iter().reduce(f64::max)
}

fn ends(stage: &StageDraft) -> Option<(f64, f64)> {
    let from = stage.rate.as_ref()?.value;
    Some((from, stage.to.as_ref().map_or(from, |to| to.value)))
}

pub(super) fn spec(draft: LoadDraft) -> Option<LoadSpec> {
    let start = match draft.background?.value {
        true => LoadStart::Background,
        false => LoadStart::After(draft.start?.value),
    };
    let stage = |stage: StageDraft| {
        Some(RateStage {
            rate: stage.rate?.value,
            to: stage.to.map(|to| to.value),
            length: stage.length.map(|length| length.value),
        })
    };
    let steps =
        |drafts: Vec<LoadStepDraft>| drafts.into_iter().map(|draft| draft.step).collect::<Option<Vec<_>>>();
    Some(LoadSpec {
        name: draft.name?.value,
        start,
        duration: draft.duration.map(|duration| duration.value),
        users: draft.users?,
        ramp: draft.ramp?.value,
        warm_up: draft.warm_up?.value,
        requests: draft.requests.map(|requests| requests.value),
        stages: draft.stages.into_iter().map(stage).collect::<Option<Vec<_>>>()?,
        requests_per_connection: draft.requests_per_connection,
        ca_file: draft.ca_file.map(|file| file.value),
        setup: steps(draft.setup)?,
        in_order: draft.in_order?,
        steps: steps(draft.steps)?,
    })
}
