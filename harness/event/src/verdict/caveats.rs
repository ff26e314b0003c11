//! What limits the meaning of the checks without making them doubtful.

use super::{
    facts::{Facts, SloFacts},
    outcome::Detection,
    slo::length,
};
use crate::{AlertExpectation, ExpectationKind, Millis, Plan};

/// A load that was later than this may have been held up by the machine that made it.
const BEHIND: Millis = Millis::from_secs(1);

/// The caveats, each once.
pub(super) fn of(facts: &Facts<'_>, plan: &Plan, detections: &[Detection]) -> Vec<String> {
    let mut all = compressed(facts);
    all.extend(plan.history.map(|history| {
        format!(
            "Prometheus was given a past of {} at {} requests/s without an error: what reaches back to it rests on that",
            history.length, history.rate
        )
    }));
    all.extend(facts.slos.iter().flat_map(|(name, slo)| of_slo(facts, name, slo)));
    // A run that did not get to its experiment has looked at nothing.
    let begun = facts.baseline.is_some();
    let unknown = plan.slos.iter().filter(|name| begun && !facts.slos.contains_key(name.as_str()));
    all.extend(unknown.map(|name| format!("SLO {name}: nothing is known of it")));
    all.extend(alerts_on_short_windows(facts, plan, detections));
    all.extend(of_loads(facts, plan));
    let mut seen = Vec::new();
    for caveat in all {
        if !seen.contains(&caveat) {
            seen.push(caveat);
        }
    }
    seen
}

fn compressed(facts: &Facts<'_>) -> Vec<String> {
    let Some((factor, unscaled)) = facts.compressed else { return Vec::new() };
    let first = format!(
        "compressed x{factor}, not a latency claim: the alert rules' own time passes {factor} times as fast"
    );
    let rules = unscaled.iter().map(|rule| format!("does not scale with compressed time: {rule}"));
    std::iter::once(first).chain(rules).collect()
}

fn of_slo(facts: &Facts<'_>, name: &str, slo: &SloFacts<'_>) -> Vec<String> {
    let own = slo.usage.iter().flat_map(|usage| &usage.caveats);
    let mut all: Vec<_> = own.map(|caveat| format!("SLO {name}: {caveat}")).collect();
    all.extend(slo.missing.map(|error| format!("SLO {name}: not known to Prometheus: {error}")));
    let short = short_windows(facts, slo);
    if let Some((_, history)) = short.first() {
        let windows: Vec<_> = short.iter().map(|(window, _)| length(*window)).collect();
        all.push(format!(
            "SLO {name}: the windows {} rest on {} (C19): they react faster than in production",
            windows.join(", "),
            facts.data(*history)
        ));
    }
    all
}

/// Windows that are longer than the data that they rest on since the first fault or timed load, and how long that is. The whole
/// period is no window that anybody is alerted by.
fn short_windows(facts: &Facts<'_>, slo: &SloFacts<'_>) -> Vec<(Millis, Millis)> {
    let since = facts.first_applied().unwrap_or_default();
    let samples = slo.samples.iter().filter(|sample| facts.corrected(sample.sampled_at) >= since);
    let Some(history) = samples.map(|sample| sample.history).min() else { return Vec::new() };
    let Some(definition) = slo.definition else { return Vec::new() };
    let windows = definition.windows.iter().filter(|window| window.window < definition.period);
    let short = windows.filter(|window| window.length > history);
    short.map(|window| (window.window, history)).collect()
}

/// Expected alerts that rest on such windows: those that carry an SLO's `sloth_id`, in what was expected or in what fired.
fn alerts_on_short_windows(facts: &Facts<'_>, plan: &Plan, detections: &[Detection]) -> Vec<String> {
    let expected = plan.expectations.iter().filter_map(|expectation| match &expectation.kind {
        ExpectationKind::Alert(alert) => Some(alert),
        _ => None,
    });
    let rests_on = |alert: &AlertExpectation, slo: &str| {
        let named = alert.labels.iter().any(|label| label.name == "sloth_id" && label.value == slo);
        let fired = |seen: &&Detection| {
            seen.alert == alert.alert && seen.labels.get("sloth_id").is_some_and(|id| id == slo)
        };
        named || detections.iter().any(|seen| fired(&seen))
    };
    let mut found = Vec::new();
    for alert in expected {
        for (name, slo) in facts.slos.iter().filter(|(name, _)| rests_on(alert, name)) {
            if let Some((_, history)) = short_windows(facts, slo).first() {
                found.push(format!(
                    "alert {}: its times are not production's: windows of SLO {name} rest on {}, and burn alerts on \
                     young data come up to many times too early",
                    alert.alert,
                    facts.data(*history)
                ));
            }
        }
    }
    found
}

fn of_loads(facts: &Facts<'_>, plan: &Plan) -> Vec<String> {
    let mut all = Vec::new();
    for spec in plan.loads.iter() {
        let Some(load) = facts.loads.get(spec.name.as_str()) else { continue };
        let (name, users) = (&spec.name, spec.users);
        if !spec.is_open() {
            all.push(format!(
                "load {name}: closed model, {users} users wait for their answers: a slow system is asked less often, and its \
                 latencies look better than those of independent visitors would"
            ));
        } else if let Some(finish) = load.finish.as_ref().filter(|finish| finish.most_behind > BEHIND) {
            all.push(format!(
                "load {name}: open model, up to {} behind its schedule with {users} users: latencies count from the intended start",
                finish.most_behind
            ));
        }
    }
    all
}
