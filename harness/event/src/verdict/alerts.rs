//! Expected alerts: pending, firing, delivered, resolved.

use super::{
    facts::Facts,
    monitoring,
    outcome::{CheckOutcome, Detection, Resolution},
};
use crate::{
    AlertExpectation, AlertInterval, AlertSeries, AlertState, IntervalEnd, LabelMatcher, Labels, Millis,
    Timestamp,
};

/// Result of one state: outcome, reason, measured time.
pub(super) type Judged = (CheckOutcome, String, Option<Millis>);

fn inconclusive(reason: impl Into<String>) -> Judged {
    (CheckOutcome::Inconclusive, reason.into(), None)
}

fn failed(reason: impl Into<String>) -> Judged {
    (CheckOutcome::Failed, reason.into(), None)
}

/// Judges one state of one expected alert.
pub(super) fn judge(facts: &Facts<'_>, fault: &str, expected: &AlertExpectation) -> Judged {
    let case = match Case::new(facts, fault, expected) {
        Ok(case) => case,
        Err(reason) => return inconclusive(reason),
    };
    let mut disturbed = monitoring::prometheus_disturbances(facts);
    if expected.state == AlertState::Delivered {
        disturbed.extend(monitoring::delivery_disturbances(facts));
    }
    if !disturbed.is_empty() {
        return inconclusive(disturbed.join("; "));
    }
    match expected.state {
        AlertState::Pending => case.reached(case.pending_at(), "pending", || case.why_not_pending()),
        AlertState::Firing => case.reached(case.firing_at(), "firing", || case.why_not_firing()),
        AlertState::Delivered => case.delivered(),
        AlertState::Resolved => case.resolved(),
    }
}

/// The way of an expected alert through the pipeline, as far as it is known.
pub(super) fn detection(facts: &Facts<'_>, fault: &str, expected: &AlertExpectation) -> Option<Detection> {
    let case = Case::new(facts, fault, expected).ok()?;
    let resolved = case.last_end().and_then(Result::ok);
    let labels = case.series.first().map(|series| series.labels.clone());
    Some(Detection {
        alert: expected.alert.clone(),
        labels: labels.unwrap_or_default(),
        fault: fault.to_owned(),
        effect_at: case.effect,
        pending_at: case.pending_at(),
        firing_at: case.firing_at(),
        delivered_at: case.notified("firing").map(|(at, _)| at),
        healed_at: case.healed.map(|(_, at)| at),
        resolved_at: resolved,
        resolution: case.resolution(),
        resolved_delivered_at: resolved.and(case.notified("resolved")).map(|(at, _)| at),
        episodes: case.firing().count() as u32,
    })
}

/// Everything about one expected alert.
struct Case<'f> {
    facts: &'f Facts<'f>,
    expected: &'f AlertExpectation,
    matchers: Vec<LabelMatcher>,
    /// When the fault's call was sent, and when its effect was seen.
    applied: Timestamp,
    effect: Timestamp,
    /// When the revert was sent, and when its effect was seen.
    healed: Option<(Timestamp, Timestamp)>,
    history_to: Timestamp,
    series: Vec<&'f AlertSeries>,
    all: &'f [AlertSeries],
}

impl<'f> Case<'f> {
    fn new(facts: &'f Facts<'f>, fault: &str, expected: &'f AlertExpectation) -> Result<Self, String> {
        let (fault, effect) = facts.effect(fault)?;
        let history = facts.history.as_ref().ok_or_else(|| match facts.history_error {
            Some(error) => format!("Prometheus' record of its alerts could not be read: {error}"),
            None => "Prometheus' record of its alerts was not read".to_owned(),
        })?;
        let matchers = expected.matchers();
        let series =
            history.series.iter().filter(|series| LabelMatcher::all(&matchers, &series.labels)).collect();
        let healed = fault.revert_sent.zip(fault.reverted.as_ref().map(|(at, _)| *at));
        let applied = fault.applied_at.unwrap_or(effect);
        let case = Self {
            facts,
            expected,
            matchers,
            applied,
            effect,
            healed,
            history_to: facts.corrected(history.to),
            series,
            all: history.series,
        };
        case.check_quiet_before()?;
        if facts.record_misses(case.applied) {
            return Err("Prometheus' record of its alerts begins only after the fault".to_owned());
        }
        Ok(case)
    }

    /// An alert that was active before the fault says nothing about it.
    fn check_quiet_before(&self) -> Result<(), String> {
        let Some(baseline) = self.facts.baseline else {
            return Err("it is not known which alerts were active before the fault".to_owned());
        };
        if let Some(alert) = baseline.iter().find(|alert| LabelMatcher::all(&self.matchers, &alert.labels)) {
            return Err(format!("{} was already {} before the fault", self.expected.alert, alert.state));
        }
        let limit = self.applied - self.facts.clock_bound();
        let before = |interval: &&AlertInterval| self.facts.corrected(interval.from) < limit;
        // Episodes that were over before the baseline began are the past; one that reached into it may be back for its old cause.
        let since = limit - self.facts.plan.map_or(Millis(0), |plan| plan.baseline);
        let reaches_in = |interval: &&AlertInterval| match interval.end {
            IntervalEnd::Stale(end) => self.facts.corrected(end) >= since,
            IntervalEnd::Open | IntervalEnd::Unknown => true,
        };
        let early = self
            .series
            .iter()
            .find(|series| series.intervals.iter().any(|run| before(&run) && reaches_in(&run)));
        early.map_or(Ok(()), |series| {
            Err(format!("{} was already {} before the fault", self.expected.alert, series.state))
        })
    }

    /// Runs of samples that began with the fault or after it.
    fn runs(&self, states: &'static [&'static str]) -> impl Iterator<Item = &'f AlertInterval> {
        let limit = self.applied - self.facts.clock_bound();
        let facts = self.facts;
        let series =
            self.series.clone().into_iter().filter(move |series| states.contains(&series.state.as_str()));
        series.flat_map(|series| &series.intervals).filter(move |run| facts.corrected(run.from) >= limit)
    }

    fn firing(&self) -> impl Iterator<Item = &'f AlertInterval> {
        self.runs(&["firing"])
    }

    /// A rule without `for` fires without having been pending, which counts as both.
    fn pending_at(&self) -> Option<Timestamp> {
        self.runs(&["pending", "firing"]).map(|run| self.facts.corrected(run.from)).min()
    }

    fn firing_at(&self) -> Option<Timestamp> {
        self.firing().map(|run| self.facts.corrected(run.from)).min()
    }

    /// Compares a time with the deadline. What lies within the clocks' uncertainty is nobody's to tell.
    fn against_deadline(&self, at: Timestamp, from: Timestamp, state: &str) -> Judged {
        let (measured, within, bound) = (at - from, self.expected.within, self.facts.clock_bound());
        let outcome = match measured {
            early if early + bound <= within => CheckOutcome::Passed,
            late if late - bound > within => CheckOutcome::Failed,
            _ => CheckOutcome::Inconclusive,
        };
        let reason = match outcome {
            CheckOutcome::Passed => format!("{state} after {measured}"),
            CheckOutcome::Failed => format!("{state} only after {measured}, {} too late", measured - within),
            CheckOutcome::Inconclusive => {
                format!("{state} after {measured}, within the clocks' uncertainty of {bound} of the deadline")
            }
        };
        (outcome, reason, Some(measured))
    }

    fn reached(&self, at: Option<Timestamp>, state: &str, why_not: impl Fn() -> String) -> Judged {
        match at {
            Some(at) => self.against_deadline(at, self.effect, state),
            None => self.not_by(self.effect, why_not()),
        }
    }

    /// Absence counts only if the record reaches to the deadline.
    fn not_by(&self, from: Timestamp, why: String) -> Judged {
        if self.history_to < from + self.expected.within {
            return inconclusive(format!("{why}; but the run ended before the deadline"));
        }
        failed(why)
    }

    fn why_not_pending(&self) -> String {
        let others = self.same_name_other_labels();
        let other = others.iter().map(|labels| differences(&self.expected.labels, labels)).next();
        match other {
            Some(difference) => {
                format!("no {} with these labels: it went active with {difference}", self.expected.alert)
            }
            None => format!("{} never became active", self.expected.alert),
        }
    }

    fn why_not_firing(&self) -> String {
        let longest = self.runs(&["pending"]).map(|run| run.last - run.from).max();
        match longest {
            Some(longest) => format!(
                "{} was pending for {longest} at the longest; its `for` was never met",
                self.expected.alert
            ),
            None => self.why_not_pending(),
        }
    }

    fn same_name_other_labels(&self) -> Vec<&'f Labels> {
        let name = LabelMatcher::equal("alertname", &self.expected.alert);
        self.all.iter().map(|series| &series.labels).filter(|labels| name.matches(labels)).collect()
    }

    /// First notification with this status for an episode of this fault, and the receiver that got it. One that came before
    /// Prometheus recorded the alert as firing is about another alert: of another Prometheus, or made by hand.
    fn notified(&self, status: &str) -> Option<(Timestamp, &'f str)> {
        self.notifications(status).filter(|(_, receiver)| self.right_receiver(receiver)).min()
    }

    fn right_receiver(&self, receiver: &str) -> bool {
        self.expected.receiver.as_deref().is_none_or(|wanted| wanted == receiver)
    }

    fn notifications(&self, status: &str) -> impl Iterator<Item = (Timestamp, &'f str)> {
        let limit = self.applied - self.facts.clock_bound();
        let fired = self.firing_at().map(|at| at - self.facts.clock_bound());
        let notifications = self.facts.notifications.iter();
        notifications
            .filter(move |notification| fired.is_some_and(|fired| notification.received_at >= fired))
            .filter(move |notification| {
                notification.alerts.iter().any(|alert| {
                    let began = self.facts.corrected(alert.starts_at) >= limit;
                    alert.status == status && began && LabelMatcher::all(&self.matchers, &alert.labels)
                })
            })
            .map(|notification| (notification.received_at, notification.receiver.as_str()))
    }

    fn delivered(&self) -> Judged {
        match self.notified("firing") {
            Some((at, receiver)) => {
                let (outcome, reason, measured) = self.against_deadline(at, self.effect, "delivered");
                (outcome, format!("{reason} to {receiver}"), measured)
            }
            None => self.not_by(self.effect, self.why_not_delivered()),
        }
    }

    fn why_not_delivered(&self) -> String {
        let alert = &self.expected.alert;
        if self.firing_at().is_none() {
            return self.why_not_firing();
        }
        let held = self.facts.suppressed.iter().find(|(labels, _)| LabelMatcher::all(&self.matchers, labels));
        if let Some((_, by)) = held {
            return format!("{alert} fired, but Alertmanager held it back: {by}");
        }
        let wanted = self.expected.receiver.as_deref().unwrap_or("any receiver");
        match self.notifications("firing").min() {
            Some((_, other)) => format!("{alert} fired, but receiver {wanted} was not told; {other} was"),
            None => format!("{alert} fired, but no notification reached {wanted}"),
        }
    }

    /// End of the last firing episode: its time, or the reason why it has none.
    fn last_end(&self) -> Option<Result<Timestamp, String>> {
        let ends: Vec<_> = self.firing().map(|run| run.end).collect();
        if ends.is_empty() {
            return None;
        }
        if ends.contains(&IntervalEnd::Open) {
            return Some(Err("still firing at the end of the run".to_owned()));
        }
        let stale = |end: &IntervalEnd| match end {
            IntervalEnd::Stale(at) => Some(self.facts.corrected(*at)),
            IntervalEnd::Open | IntervalEnd::Unknown => None,
        };
        let known: Option<Vec<_>> = ends.iter().map(stale).collect();
        let unknown = || "its samples stop without an evaluation that ended it".to_owned();
        Some(known.and_then(|ends| ends.into_iter().max()).ok_or_else(unknown))
    }

    /// When the alert first stopped firing: the first end that no other series of it bridges.
    fn first_end(&self) -> Option<Timestamp> {
        let mut runs: Vec<_> = self.firing().collect();
        runs.sort_by_key(|run| run.from);
        let mut covered: Option<Timestamp> = None;
        for run in runs {
            if covered.is_some_and(|end| self.facts.corrected(run.from) > end) {
                break;
            }
            let IntervalEnd::Stale(end) = run.end else { return None };
            covered = covered.max(Some(self.facts.corrected(end)));
        }
        covered
    }

    fn resolution(&self) -> Option<Resolution> {
        match self.last_end()? {
            Ok(_) => match self.facts.inputs.get(self.expected.alert.as_str()) {
                Some((true, _)) => Some(Resolution::Explicit),
                Some((false, _)) => Some(Resolution::Absence),
                None => Some(Resolution::Unknown),
            },
            Err(_) if self.firing().any(|run| run.end == IntervalEnd::Unknown) => Some(Resolution::Unknown),
            Err(_) => None,
        }
    }

    fn resolved(&self) -> Judged {
        let alert = &self.expected.alert;
        let Some((revert_sent, healed)) = self.healed else {
            return inconclusive("the fault was not reverted, so nothing can resolve");
        };
        let at = match self.last_end() {
            None => return self.not_by(healed, format!("nothing to resolve: {}", self.why_not_firing())),
            Some(Err(reason)) if self.resolution() == Some(Resolution::Unknown) => {
                return inconclusive(format!("{alert}: {reason}"));
            }
            Some(Err(reason)) => return self.not_by(healed, format!("{alert}: {reason}")),
            Some(Ok(at)) => at,
        };
        // Whether or not it fired again later: while the fault was on, it said that all is well.
        if let Some(end) = self.first_end().filter(|end| *end + self.facts.clock_bound() < revert_sent) {
            return failed(format!("{alert} resolved {} before the fault was lifted", revert_sent - end));
        }
        if self.runs(&["pending"]).any(|run| run.end == IntervalEnd::Open) {
            return failed(format!("{alert} resolved, but is pending again"));
        }
        if self.runs(&["pending"]).any(|run| run.end == IntervalEnd::Unknown) {
            return inconclusive(format!("{alert} resolved, but it is not known how its pending ended"));
        }
        match self.facts.inputs.get(alert.as_str()) {
            Some((true, _)) => {}
            Some((false, detail)) => {
                return inconclusive(format!("resolved by absence: its data is gone ({detail})"));
            }
            None => return inconclusive("resolved, but it was not checked that its data is still there"),
        }
        if let Some((name, what)) = self.unhealthy_check(healed) {
            return inconclusive(format!("resolved, but the service is not healthy: {name:?} {what}"));
        }
        self.against_deadline(at, healed, "resolved")
    }

    /// A steady-state check that is not known to hold since the fault was lifted.
    fn unhealthy_check(&self, healed: Timestamp) -> Option<(&'f str, &'static str)> {
        let checks = self.facts.plan.map(|plan| plan.steady_state.as_slice()).unwrap_or_default();
        checks.iter().map(|check| check.name.as_str()).find_map(|name| {
            let last = self.facts.steady.iter().rfind(|steady| steady.check == name);
            match last.filter(|steady| steady.asked_at >= healed) {
                Some(steady) if steady.ok => None,
                Some(_) => Some((name, "does not hold")),
                None => Some((name, "was not checked after the fault")),
            }
        })
    }
}

/// How labels differ from what was expected: `severity="ticket" (expected severity="page")`.
fn differences(expected: &[LabelMatcher], labels: &Labels) -> String {
    let wrong = expected.iter().filter(|matcher| !matcher.matches(labels));
    let texts: Vec<_> = wrong
        .map(|matcher| match labels.get(&matcher.name) {
            Some(value) => format!("{}={value:?} (expected {matcher})", matcher.name),
            None => format!("no label {} (expected {matcher})", matcher.name),
        })
        .collect();
    texts.join(", ")
}
