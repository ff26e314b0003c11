//! What must be seen: what was seen.

use std::collections::{BTreeMap, BTreeSet};

use harness_event::{Chronicle, Event, EventKind, FaultAction, Millis, Plan, Timestamp, WorkloadRef};
use toml::Value;

use super::{
    alerts::{Deadline, Proposals},
    parts::entry,
    stimuli::Stimulus,
    write::{Document, duration, matcher},
};

/// Writes `[expect]`, with something in it in any case: a run that expects nothing proves nothing.
pub(super) fn write(
    out: &mut Document,
    events: &[Event],
    chronicle: &Chronicle,
    plan: &Plan,
    stimuli: &[Stimulus<'_>],
    proposals: &Proposals<'_>,
) {
    out.heading("what must be seen");
    out.table("[expect]");
    let recovery = recovery(events, plan, stimuli);
    match &recovery {
        Ok(deadline) => {
            let measured = format!("measured {}", deadline.measured);
            out.set_noted("recovery_within", duration(deadline.within), &measured);
        }
        Err(why) => out.comment(why),
    }
    allowed(out, plan, proposals);
    let several = stimuli.len() > 1;
    for proposal in &proposals.expected {
        let done = &chronicle.deeds[proposal.deed];
        out.gap();
        proposal.comments.iter().for_each(|comment| out.comment(comment));
        out.table("[[expect.alert]]");
        out.set("alert", proposal.alert);
        if let Some(severity) = proposal.severity.filter(|severity| !severity.is_empty()) {
            let severity = matcher(&harness_event::LabelMatcher::equal("severity", severity));
            out.set("labels", entry(vec![("severity".to_owned(), Value::from(severity))]));
        }
        if several {
            out.set("fault", done.name());
        }
        let mut deadline = |key: &str, found: Option<Deadline>| {
            if let Some(found) = found {
                out.set_noted(key, duration(found.within), &format!("measured {}", found.measured));
            }
        };
        deadline("pending_within", proposal.pending);
        deadline("firing_within", proposal.firing);
        deadline("delivered_within", proposal.delivered.map(|(found, _)| found));
        deadline("resolved_within", proposal.resolved);
        out.maybe("receiver", proposal.delivered.map(|(_, receiver)| receiver));
    }
    let workloads = workloads(events, stimuli);
    for (stimulus, workload, ready, deadline) in &workloads {
        out.table("[[expect.workload]]");
        out.set("workload", workload.to_string());
        out.set("ready", i64::from(*ready));
        out.set_noted("within", duration(deadline.within), &format!("measured {}", deadline.measured));
        if several {
            out.set("fault", stimulus.name());
        }
    }
    if recovery.is_err() && proposals.expected.is_empty() && workloads.is_empty() {
        something(out, stimuli);
    }
}

/// Alerts that may become active: those of the scenario, and those that were seen and cannot be expected.
fn allowed(out: &mut Document, plan: &Plan, proposals: &Proposals<'_>) {
    let mut entries = Vec::new();
    for matchers in &plan.allowed_alerts {
        let key = |name: &str| if name == "alertname" { "alert".to_owned() } else { name.to_owned() };
        entries.push(entry(matchers.iter().map(|one| (key(&one.name), Value::from(matcher(one)))).collect()));
    }
    let mut why = BTreeMap::<&str, Vec<String>>::new();
    for allowed in proposals.only_allowed() {
        let text = |value: &str| Value::from(matcher(&harness_event::LabelMatcher::equal("alert", value)));
        let mut pairs = vec![("alert".to_owned(), text(&allowed.alert))];
        if let Some(severity) = &allowed.severity {
            pairs.push(("severity".to_owned(), text(severity)));
        }
        entries.push(entry(pairs));
        why.entry(&allowed.why).or_default().push(allowed.alert.clone());
    }
    if entries.is_empty() {
        return;
    }
    for (why, alerts) in why {
        out.comment(&format!("Allowed, not expected: {} ({why}).", alerts.join(", ")));
    }
    out.set("allow_alerts", entries);
}

/// Time from the beginning of the last revert until the steady state held for good.
fn recovery(events: &[Event], plan: &Plan, stimuli: &[Stimulus<'_>]) -> Result<Deadline, String> {
    if plan.steady_state.is_empty() {
        return Err("Recovery is not expected: there is no steady-state check.".to_owned());
    }
    let last = stimuli.iter().filter_map(|stimulus| stimulus.deed.ending_at).max();
    let sent =
        last.ok_or_else(|| "Recovery is not expected: the end of the last fault was not seen.".to_owned())?;
    let mut latest = sent;
    for check in &plan.steady_state {
        let results: Vec<(Timestamp, bool)> = events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::SteadyStateChecked { check: name, asked_at, ok, .. }
                    if *name == check.name && *asked_at >= sent =>
                {
                    Some((*asked_at, *ok))
                }
                _ => None,
            })
            .collect();
        let first = results.iter().rev().take_while(|(_, ok)| *ok).last();
        match first {
            Some((at, _)) => latest = latest.max(*at),
            None => {
                let name = &check.name;
                return Err(format!(
                    "Recovery is not expected: {name:?} did not hold when the recording ended."
                ));
            }
        }
    }
    Deadline::after(latest - sent).ok_or_else(|| "Recovery took more than a day.".to_owned())
}

/// Workloads that were scaled or restarted, or whose pods were deleted, and when they had their replicas again.
fn workloads<'s>(
    events: &[Event],
    stimuli: &'s [Stimulus<'s>],
) -> Vec<(&'s Stimulus<'s>, WorkloadRef, i32, Deadline)> {
    let observed = |workload: &WorkloadRef| {
        let seen = events.iter().filter_map(|event| match &event.kind {
            EventKind::WorkloadObserved(seen) => Some(seen),
            _ => None,
        });
        let of_it: Vec<(Timestamp, i32)> =
            seen.filter(|seen| seen.workload == *workload).map(|seen| (seen.seen_at, seen.ready)).collect();
        of_it
    };
    let one = |stimulus: &'s Stimulus<'s>| {
        let workload = match &stimulus.deed.fault()?.action {
            FaultAction::Scale { workload, .. } | FaultAction::Restart { workload } => workload.clone(),
            FaultAction::DeletePods { .. } => owner(events, &stimulus.deed.targets)?,
        };
        let (began, ending) = stimulus.deed.began_at.zip(stimulus.deed.ending_at)?;
        let seen = observed(&workload);
        let ready = seen.iter().rev().find(|(at, _)| *at <= began).map(|(_, ready)| *ready)?;
        let ready = (1..=10_000).contains(&ready).then_some(ready)?;
        // What was so when the revert began, and what came after it.
        let at_ending = seen.iter().rev().find(|(at, _)| *at <= ending).map(|(_, ready)| *ready);
        let back = match at_ending {
            Some(now) if now >= ready => Millis(0),
            _ => seen.iter().find(|(at, now)| *at > ending && *now >= ready)?.0 - ending,
        };
        Some((stimulus, workload, ready, Deadline::after(back)?))
    };
    stimuli.iter().filter_map(one).collect()
}

/// The Deployment that deleted pods were of, if it is one.
fn owner(events: &[Event], targets: &[String]) -> Option<WorkloadRef> {
    let of_pod = |target: &String| {
        let name = target.strip_prefix("pod/")?;
        events.iter().find_map(|event| match &event.kind {
            EventKind::PodObserved(seen) if seen.pod == name => seen.owner.clone(),
            _ => None,
        })
    };
    let owners: Option<BTreeSet<String>> = targets.iter().map(of_pod).collect();
    let owners = owners.filter(|owners| owners.len() == 1)?;
    let name = owners.first()?.strip_prefix("deployment/")?;
    Some(WorkloadRef { kind: "Deployment".to_owned(), name: name.to_owned() })
}

/// Where nothing was seen that could be expected.
fn something(out: &mut Document, stimuli: &[Stimulus<'_>]) {
    if let Some(stimulus) = stimuli.iter().find(|stimulus| stimulus.deed.load().is_some()) {
        out.gap();
        out.comment("Nothing was seen that could be expected but that there was load: say what you want to be told of.");
        out.table("[[expect.load]]");
        out.set("load", stimulus.name());
        out.set("requests", ">= 1");
        return;
    }
    out.gap();
    out.comment(
        "Nothing was seen that could be expected. This only proves that Prometheus has data: say what you want to be told of.",
    );
    out.table("[[expect.promql]]");
    out.set("name", "prometheus-has-data");
    out.set("query", "count(up)");
    out.set("is", ">= 1");
    out.set("window", "after");
    out.set("within", "30s");
    if stimuli.len() > 1
        && let Some(last) = stimuli.last()
    {
        out.set("fault", last.name());
    }
}
