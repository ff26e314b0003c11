//! From facts to the verdict.

use super::{
    alerts,
    alerts::Judged,
    autoscaling, caveats,
    facts::{Facts, FaultFacts},
    http, load, load_facts, monitoring,
    outcome::{Check, CheckOutcome, Detection, Outcome, Verdict},
    promql, recovery, slo, unexpected, workload,
};
use crate::{
    AutoscalerGoal, CancelReason, Event, Expectation, ExpectationKind, Millis, Plan, PromqlMode, RunMode,
};

impl Verdict {
    /// Judges a run by its log. A pure function: the same log always gives the same verdict.
    pub fn of(events: &[Event]) -> Self {
        conclude(&Facts::collect(events))
    }
}

fn conclude(facts: &Facts<'_>) -> Verdict {
    let Some(plan) = facts.plan else {
        let reasons = vec!["the log does not say what the run set out to do".to_owned()];
        return Verdict {
            outcome: Outcome::Inconclusive,
            reasons,
            checks: vec![],
            detections: vec![],
            left_behind: vec![],
            caveats: vec![],
        };
    };
    let stopped = facts.stopped_by_hand();
    let checks: Vec<_> = plan
        .expectations
        .iter()
        .map(|expectation| not_convicted(check(facts, plan, expectation), &stopped))
        .collect();
    let left_behind = left_behind(facts);
    let (outcome, reasons) = outcome(facts, plan, &checks, &left_behind, stopped);
    let detections = detections(facts, plan);
    let caveats = caveats::of(facts, plan, &detections);
    Verdict { outcome, reasons, checks, detections, left_behind, caveats }
}

fn check(facts: &Facts<'_>, plan: &Plan, expectation: &Expectation) -> Check {
    let (outcome, reason, measured) = judge(facts, plan, expectation);
    let Expectation { id, title, line, .. } = expectation.clone();
    Check { id, title, line, outcome, reason, measured, deadline: deadline(&expectation.kind) }
}

fn judge(facts: &Facts<'_>, plan: &Plan, expectation: &Expectation) -> Judged {
    let fault = expectation.fault.as_str();
    match &expectation.kind {
        ExpectationKind::Alert(alert) => alerts::judge(facts, fault, alert),
        ExpectationKind::NoUnexpectedAlert => unexpected::judge(facts, plan),
        ExpectationKind::Http(expected) => http::judge(facts, fault, expected),
        ExpectationKind::Promql(expected) => promql::judge(facts, expectation, expected),
        ExpectationKind::Workload(expected) => workload::judge(facts, fault, expected),
        ExpectationKind::Recovery { within } => recovery::judge(facts, plan, fault, *within),
        ExpectationKind::Load(expected) => load::judge(facts, plan, fault, expected),
        ExpectationKind::Autoscaler(expected) => autoscaling::judge(facts, fault, expected),
        ExpectationKind::Slo(expected) => slo::judge(facts, fault, expected),
    }
}

/// When an expectation is to be met, from its clock's start.
pub(crate) fn deadline(kind: &ExpectationKind) -> Option<Millis> {
    match kind {
        ExpectationKind::Alert(alert) => Some(alert.within),
        ExpectationKind::Http(expected) => (expected.within != Millis(0)).then_some(expected.within),
        ExpectationKind::Promql(expected) => match expected.mode {
            PromqlMode::Within(limit) | PromqlMode::Until(limit) => Some(limit),
            PromqlMode::Stays(_) => None,
        },
        ExpectationKind::Workload(expected) => Some(expected.within),
        ExpectationKind::Recovery { within } => Some(*within),
        ExpectationKind::Autoscaler(expected) => match expected.goal {
            AutoscalerGoal::ScalesUpTo { within, .. } | AutoscalerGoal::ScalesDownTo { within, .. } => {
                Some(within)
            }
            AutoscalerGoal::ReadyLag { at_most } => Some(at_most),
            AutoscalerGoal::DirectionChanges { .. } | AutoscalerGoal::KeepsBudget { .. } => None,
        },
        ExpectationKind::NoUnexpectedAlert | ExpectationKind::Load(_) | ExpectationKind::Slo(_) => None,
    }
}

/// One line per expected alert, whatever number of states is expected of it.
fn detections(facts: &Facts<'_>, plan: &Plan) -> Vec<Detection> {
    let mut seen = Vec::new();
    let mut found = Vec::new();
    for expectation in &plan.expectations {
        let ExpectationKind::Alert(alert) = &expectation.kind else { continue };
        let key = (&expectation.fault, &alert.alert, &alert.labels);
        if !seen.contains(&key) {
            seen.push(key);
            // The receiver is named only by the delivered expectation, and the way to it is part of the picture.
            let same = |other: &&Expectation| match &other.kind {
                ExpectationKind::Alert(other) => {
                    other.alert == alert.alert && other.labels == alert.labels && other.receiver.is_some()
                }
                _ => false,
            };
            let with_receiver =
                plan.expectations.iter().filter(|other| other.fault == expectation.fault).find(same);
            let chosen = match with_receiver.map(|other| &other.kind) {
                Some(ExpectationKind::Alert(other)) => other,
                _ => alert,
            };
            found.extend(alerts::detection(facts, &expectation.fault, chosen));
        }
    }
    found
}

/// Faults that may still be on. A load ends with the process that makes it.
fn left_behind(facts: &Facts<'_>) -> Vec<String> {
    let touched = |fault: &FaultFacts| fault.planned || fault.applied_at.is_some();
    let on = |fault: &FaultFacts| !fault.is_load && touched(fault) && fault.reverted.is_none();
    let left = facts.faults.iter().filter(|(_, fault)| on(fault));
    left.map(|(name, fault)| match &fault.revert_error {
        Some(error) => format!("{name}: {error}"),
        None => format!("{name}: not reverted"),
    })
    .collect()
}

fn outcome(
    facts: &Facts<'_>,
    plan: &Plan,
    checks: &[Check],
    left_behind: &[String],
    stopped: Vec<String>,
) -> (Outcome, Vec<String>) {
    if !left_behind.is_empty() {
        return (Outcome::RollbackIncomplete, left_behind.to_vec());
    }
    match facts.cancelled {
        Some(CancelReason::Signal(signal)) => {
            return (Outcome::Aborted, vec![format!("cancelled by {signal}; everything is rolled back")]);
        }
        Some(CancelReason::Internal(error)) => {
            return (Outcome::InternalError, vec![format!("the harness itself failed: {error}")]);
        }
        Some(CancelReason::Recovered) => {
            return (
                Outcome::Aborted,
                vec!["the run was interrupted, and rolled back afterwards".to_owned()],
            );
        }
        None => {}
    }
    if !facts.refused.is_empty() {
        return (Outcome::Refused, facts.refused.iter().map(|problem| (*problem).to_owned()).collect());
    }
    if let Some((component, reason)) = facts.not_ready {
        return (Outcome::NotReady, vec![format!("{component}: {reason}")]);
    }
    if facts.mode == RunMode::GameDay && checks.is_empty() {
        return game_day_outcome(facts);
    }
    judged_outcome(facts, plan, checks, stopped)
}

/// A fault that somebody ended before its time makes the run another experiment than the one that was asked for: it convicts nobody
/// of anything.
fn not_convicted(check: Check, stopped: &[String]) -> Check {
    let Some(why) = stopped.first().filter(|_| check.outcome == CheckOutcome::Failed) else { return check };
    let reason = format!("{why}; without that: {}", check.reason);
    Check { outcome: CheckOutcome::Inconclusive, reason, ..check }
}

/// A game day has nothing to prove: that it ended, and that nothing is left of it, is all there is to say.
fn game_day_outcome(facts: &Facts<'_>) -> (Outcome, Vec<String>) {
    match facts.finished {
        true => (Outcome::Ended, Vec::new()),
        false => (Outcome::Inconclusive, vec!["the game day did not finish".to_owned()]),
    }
}

fn judged_outcome(
    facts: &Facts<'_>,
    plan: &Plan,
    checks: &[Check],
    stopped: Vec<String>,
) -> (Outcome, Vec<String>) {
    let by_hand = !stopped.is_empty();
    let mut reasons = stopped;
    reasons.extend(facts.skipped.iter().map(|reason| facts.nothing_done(reason)));
    if !facts.finished {
        reasons.push("the run did not finish".to_owned());
    }
    if facts.skipped.is_none() {
        // Every fault of the scenario, whether or not something is expected of it: without it, this was another experiment.
        let stopped = |name: &str| facts.faults.get(name).is_some_and(|fault| fault.stopped.is_some());
        let others = plan.faults.iter().filter(|fault| !stopped(&fault.name));
        reasons.extend(others.filter_map(|fault| facts.effect(&fault.name).err()));
        reasons.extend(load_facts::disturbances(facts, plan));
        reasons.extend(monitoring::prometheus_disturbances(facts));
    }
    if checks.is_empty() {
        reasons.push("nothing was checked".to_owned());
    }
    // A run whose load could not be carried out was another experiment than the one that was asked for: it convicts nobody.
    let lost = |load: &crate::LoadSpec| {
        facts.loads.get(load.name.as_str()).is_some_and(|facts| facts.failed.is_some())
    };
    let lost = plan.loads.iter().any(lost);
    if !lost && !by_hand && checks.iter().any(|check| check.outcome == CheckOutcome::Failed) {
        return (Outcome::Failed, reasons);
    }
    let all_passed = checks.iter().all(|check| check.outcome == CheckOutcome::Passed);
    // Every reason so far is one for not trusting the checks, so none may be left beside a pass.
    let outcome = if all_passed && reasons.is_empty() { Outcome::Passed } else { Outcome::Inconclusive };
    (outcome, reasons)
}
