//! What is measured in a run, in a form that can be compared with other runs: a pure function of the log.

use harness_event::{
    AlertExpectation, AutoscalerGoal, Detection, Event, EventKind, Expectation, ExpectationKind,
    LabelMatcher, LoadPhase, Millis, Plan, Resolution, Scaling, Timestamp, Verdict,
};
use harness_report::{LoadFigures, LoadReport, SloReport, Timing};
use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less is better: times, errors, burnt budget.
    Lower,
    /// More is better: requests per second of users that wait for their answers.
    Higher,
    /// Neither: a number of replicas.
    None,
}

/// What a value is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Milliseconds.
    Ms,
    /// A share, 0 to 1.
    Ratio,
    /// Times the rate that spends exactly the budget.
    Burn,
    /// Requests per second.
    PerSecond,
    /// A number of things.
    Count,
}

/// One value of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// What: one of the names in `docs/history.md`.
    pub name: String,
    /// Of what: an alert, a fault, a load's phase. Empty for the run itself.
    pub subject: String,
    /// Its unit.
    pub unit: Unit,
    /// Which way is better.
    pub better: Better,
    /// The value.
    pub value: f64,
    /// The smallest difference that can mean something, in the same unit: how finely it was measured.
    pub resolution: f64,
    /// What the scenario allows at most, where it has a deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<f64>,
}

impl Measure {
    /// `name/subject`, or the name alone.
    pub fn id(&self) -> String {
        if self.subject.is_empty() { self.name.clone() } else { format!("{}/{}", self.name, self.subject) }
    }
}

/// Every measure: its name, unit, direction, and what it is. In the order in which a run tells its story.
pub const CATALOGUE: [(&str, Unit, Better, &str); 26] = [
    ("alert_pending", Unit::Ms, Better::Lower, "from the fault's effect until the alert is pending"),
    ("alert_firing", Unit::Ms, Better::Lower, "from the fault's effect until the alert fires"),
    ("alert_delivered", Unit::Ms, Better::Lower, "from the fault's effect until the notification arrives"),
    (
        "alert_resolved",
        Unit::Ms,
        Better::Lower,
        "from the healed fault until the alert resolves, with its data there",
    ),
    (
        "alert_resolved_delivered",
        Unit::Ms,
        Better::Lower,
        "from the healed fault until the resolved notification arrives",
    ),
    ("fault_effect", Unit::Ms, Better::Lower, "from the fault's first call until its effect is seen"),
    ("fault_heal", Unit::Ms, Better::Lower, "from the revert's first call until its effect is seen"),
    (
        "recovery",
        Unit::Ms,
        Better::Lower,
        "from the revert's first call until the steady state holds for good",
    ),
    ("workload_ready", Unit::Ms, Better::Lower, "from the revert's first call until the replicas are ready"),
    ("http_answered", Unit::Ms, Better::Lower, "until an expected answer came"),
    ("promql_met", Unit::Ms, Better::Lower, "until an expected condition held"),
    ("autoscaler_met", Unit::Ms, Better::Lower, "until the autoscaler did what was expected"),
    (
        "scale_up",
        Unit::Ms,
        Better::Lower,
        "from the start of the load (the fault's effect) until the most replicas were ready",
    ),
    ("ready_lag", Unit::Ms, Better::Lower, "the longest time from wanted to ready replicas"),
    (
        "scale_down",
        Unit::Ms,
        Better::Lower,
        "from the end of the load (the fault) until the replicas were back",
    ),
    ("replicas_max", Unit::Count, Better::None, "the most replicas that were ready"),
    ("direction_changes", Unit::Count, Better::Lower, "how often the wanted replicas changed direction"),
    ("budget_spent", Unit::Ratio, Better::Lower, "share of the SLO's error budget that the run spent"),
    ("burn_peak", Unit::Burn, Better::Lower, "highest burn rate over a window of the SLO"),
    ("latency_p50", Unit::Ms, Better::Lower, "median latency of a load's phase"),
    ("latency_p95", Unit::Ms, Better::Lower, "95th percentile"),
    ("latency_p99", Unit::Ms, Better::Lower, "99th percentile"),
    ("error_ratio", Unit::Ratio, Better::Lower, "share of failed requests"),
    (
        "request_rate",
        Unit::PerSecond,
        Better::Higher,
        "requests per second; no direction where a schedule sets the rate",
    ),
    ("bring_up", Unit::Ms, Better::Lower, "to bring up the stack, if the run did"),
    ("readiness", Unit::Ms, Better::Lower, "to connect and to prove that alerts can be seen"),
];

/// Place in [`CATALOGUE`].
pub(crate) fn rank(name: &str) -> Option<usize> {
    CATALOGUE.iter().position(|(known, ..)| *known == name)
}

/// Unit of a measure of this name.
pub(crate) fn unit(name: &str) -> Unit {
    rank(name).map_or(Unit::Count, |at| CATALOGUE[at].1)
}

/// Evaluation interval that is assumed where the log does not show it: Prometheus' in the embedded stack.
const EVALUATION: Millis = Millis::from_secs(1);
/// How often the steady state is asked for where the log does not show it.
const STEADY: Millis = Millis(500);
/// Watches and the polls beside them: what is seen of objects in the cluster.
const WATCH: Millis = Millis(250);
/// Latencies: schedulers and histograms of three digits.
const LATENCY_MS: f64 = 1.0;
/// Burn rates, which are read once a second and shown with two digits.
const BURN: f64 = 0.01;

/// Everything that a run measured. Names and subjects are the same in every run of a scenario.
pub fn measures(events: &[Event]) -> Vec<Measure> {
    of_verdict(events, &Verdict::of(events))
}

/// As [`measures`], with the verdict of those events.
pub(crate) fn of_verdict(events: &[Event], verdict: &Verdict) -> Vec<Measure> {
    let Some(EventKind::RunStarted { plan, .. }) = events.first().map(|event| &event.kind) else {
        return Vec::new();
    };
    let mut all = Collected { events, plan, all: Vec::new() };
    all.alerts(verdict);
    all.faults();
    all.checks(verdict);
    all.loads();
    all.autoscalers();
    all.slos();
    all.run();
    all.finish()
}

struct Collected<'e> {
    events: &'e [Event],
    plan: &'e Plan,
    all: Vec<Measure>,
}

impl Collected<'_> {
    fn push(&mut self, name: &str, subject: &str, value: f64, resolution: f64) {
        let (_, unit, better, _) = CATALOGUE[rank(name).unwrap_or_default()];
        // Infinities and NaN cannot be compared, and not be written as JSON.
        if value.is_finite() {
            let (name, subject) = (name.to_owned(), subject.to_owned());
            self.all.push(Measure { name, subject, unit, better, value, resolution, deadline: None });
        }
    }

    fn time(
        &mut self,
        name: &str,
        subject: &str,
        length: Option<Millis>,
        resolution: Millis,
        deadline: Option<Millis>,
    ) {
        let Some(length) = length else { return };
        self.push(name, subject, length.0 as f64, resolution.0 as f64);
        if let Some(last) = self.all.last_mut() {
            last.deadline = deadline.map(|deadline| deadline.0 as f64);
        }
    }

    fn alerts(&mut self, verdict: &Verdict) {
        let resolution = evaluation_interval(self.events).unwrap_or(EVALUATION);
        let expected = expected_alerts(self.plan);
        for detection in &verdict.detections {
            let subject = alert_subject(&expected, detection);
            let deadline = |state: &str| {
                let same = expected.iter().filter(|(fault, alert)| {
                    matches(fault, alert, detection) && alert.state.to_string() == state
                });
                same.map(|(_, alert)| alert.within).min()
            };
            let since = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to? - from?);
            let effect = Some(detection.effect_at);
            // What resolved because its data were gone did not recover.
            let explicit = detection.resolution != Some(Resolution::Absence);
            let resolved_at = detection.resolved_at.filter(|_| explicit);
            let told_at = detection.resolved_delivered_at.filter(|_| explicit);
            for (name, from, to, state) in [
                ("alert_pending", effect, detection.pending_at, "pending"),
                ("alert_firing", effect, detection.firing_at, "firing"),
                ("alert_delivered", effect, detection.delivered_at, "delivered"),
                ("alert_resolved", detection.healed_at, resolved_at, "resolved"),
                ("alert_resolved_delivered", detection.healed_at, told_at, ""),
            ] {
                self.time(name, &subject, since(from, to), resolution, deadline(state));
            }
        }
    }

    fn faults(&mut self) {
        for fault in &self.plan.faults {
            let name = &fault.name;
            let find = |pick: &dyn Fn(&EventKind) -> Option<Timestamp>| {
                self.events.iter().find_map(|event| pick(&event.kind))
            };
            let applied = find(&|kind| match kind {
                EventKind::FaultApplied { fault, sent_at } if fault == name => Some(*sent_at),
                _ => None,
            });
            let effect = find(&|kind| match kind {
                EventKind::FaultEffectObserved { fault, effect_at, .. } if fault == name => Some(*effect_at),
                _ => None,
            });
            let reverted = find(&|kind| match kind {
                EventKind::FaultRevertStarted { fault, sent_at } if fault == name => Some(*sent_at),
                _ => None,
            });
            let healed = find(&|kind| match kind {
                EventKind::FaultRevertVerified { fault, effect_at, .. } if fault == name => Some(*effect_at),
                _ => None,
            });
            let limit = Some(fault.effect_within);
            self.time("fault_effect", name, applied.zip(effect).map(|(from, to)| to - from), WATCH, limit);
            self.time("fault_heal", name, reverted.zip(healed).map(|(from, to)| to - from), WATCH, None);
        }
    }

    /// Times of expectations that nothing else here tells.
    fn checks(&mut self, verdict: &Verdict) {
        let steady = steady_interval(self.events).unwrap_or(STEADY);
        for (expectation, check) in self.plan.expectations.iter().zip(&verdict.checks) {
            let (name, resolution) = match &expectation.kind {
                ExpectationKind::Recovery { .. } => ("recovery", steady),
                ExpectationKind::Workload(_) => ("workload_ready", WATCH),
                ExpectationKind::Http(expected) => {
                    let every = probe_interval(self.events, &expected.probe, &expected.step);
                    ("http_answered", every.unwrap_or(WATCH).max(WATCH))
                }
                ExpectationKind::Promql(_) => {
                    ("promql_met", evaluation_interval(self.events).unwrap_or(EVALUATION))
                }
                // The lag is a measure of its own.
                ExpectationKind::Autoscaler(one) if matches!(one.goal, AutoscalerGoal::ReadyLag { .. }) => {
                    continue;
                }
                ExpectationKind::Autoscaler(_) => ("autoscaler_met", WATCH),
                ExpectationKind::Alert(_)
                | ExpectationKind::NoUnexpectedAlert
                | ExpectationKind::Load(_)
                | ExpectationKind::Slo(_) => continue,
            };
            self.time(name, &check_subject(expectation), check.measured, resolution, check.deadline);
        }
    }

    fn loads(&mut self) {
        for report in LoadReport::of(self.events) {
            // Statistics of a load that could not be carried out are of something else.
            if report.error.is_some() {
                continue;
            }
            let closed = report.model == "closed";
            // Steps are not told apart: a hundred figures a run would make one of them odd in most runs.
            let whole = |one: &&LoadFigures| one.phase != LoadPhase::WarmUp && one.step.is_none();
            for figures in report.figures.iter().filter(whole) {
                self.figures(&report.load, closed, figures);
            }
        }
    }

    fn figures(&mut self, load: &str, closed: bool, figures: &LoadFigures) {
        let subject = format!("{load}/{}", figures.phase);
        let times = &figures.stats.latency;
        for (name, us) in [("latency_p50", times.p50), ("latency_p95", times.p95), ("latency_p99", times.p99)]
        {
            self.push(name, &subject, us as f64 / 1000.0, LATENCY_MS);
        }
        let requests = figures.stats.requests.max(1) as f64;
        if let Some(ratio) = figures.error_ratio {
            self.push("error_ratio", &subject, ratio, 1.0 / requests);
        }
        if let Some(rate) = figures.rate {
            // With a schedule the rate is what was asked for: nothing about the system.
            self.push("request_rate", &subject, rate, rate / requests);
            if let Some(last) = self.all.last_mut().filter(|_| !closed) {
                last.better = Better::None;
            }
        }
    }

    fn autoscalers(&mut self) {
        for scaling in Scaling::of(self.events) {
            let name = &scaling.autoscaler;
            self.time("scale_up", name, scaling.reached_after, WATCH, None);
            self.time("scale_down", name, scaling.back_after, WATCH, None);
            self.time("ready_lag", name, scaling.worst_lag, WATCH, None);
            self.push("replicas_max", name, f64::from(scaling.most), 0.0);
            let turns = f64::from(scaling.direction_changes);
            self.push("direction_changes", name, turns, 0.0);
        }
    }

    fn slos(&mut self) {
        for slo in SloReport::of(self.events) {
            if let Some(spent) = slo.budget_spent {
                // One error more or less.
                let one = slo.errors.filter(|errors| *errors >= 1.0).map_or(0.0, |errors| spent / errors);
                self.push("budget_spent", &slo.slo, spent, one);
            }
            for window in slo.windows.iter().filter(|one| Some(one.window) != slo.period) {
                if let Some(peak) = window.peak {
                    let subject = format!("{}/{}", slo.slo, crate::text::window(window.window));
                    self.push("burn_peak", &subject, peak, BURN);
                }
            }
        }
    }

    fn run(&mut self) {
        let timing = Timing::of(self.events);
        let there = |length: Millis| (length > Millis(0)).then_some(length);
        self.time("bring_up", "", there(timing.bring_up), WATCH, None);
        self.time("readiness", "", there(timing.readiness), WATCH, None);
    }

    /// Two of the same name and subject are told apart by their order, as expectations are.
    fn finish(self) -> Vec<Measure> {
        let mut all = self.all;
        for at in 0..all.len() {
            let (before, rest) = all.split_at_mut(at);
            let one = &mut rest[0];
            let (subject, mut number) = (one.subject.clone(), 1);
            while before.iter().any(|other| other.name == one.name && other.subject == one.subject) {
                number += 1;
                one.subject = format!("{subject}#{number}");
            }
        }
        all
    }
}

/// How often rules are evaluated: a stale marker stands one evaluation after the last sample.
fn evaluation_interval(events: &[Event]) -> Option<Millis> {
    let series = events.iter().filter_map(|event| match &event.kind {
        EventKind::AlertHistoryRead { series, .. } => Some(series),
        _ => None,
    });
    let gaps = series.flatten().flat_map(|one| &one.intervals).filter_map(|run| match run.end {
        harness_event::IntervalEnd::Stale(at) => Some(at - run.last),
        _ => None,
    });
    gaps.filter(|gap| *gap > Millis(0)).min()
}

/// How often the steady state was asked for, as a rule: the median over all checks.
fn steady_interval(events: &[Event]) -> Option<Millis> {
    let mut last = std::collections::BTreeMap::<&str, Timestamp>::new();
    let mut gaps = Vec::new();
    for event in events {
        if let EventKind::SteadyStateChecked { check, asked_at, .. } = &event.kind
            && let Some(before) = last.insert(check, *asked_at)
        {
            gaps.push(*asked_at - before);
        }
    }
    typical(gaps)
}

/// How often a probe's step was sent, as a rule.
fn probe_interval(events: &[Event], of_probe: &str, of_step: &str) -> Option<Millis> {
    let sent = events.iter().filter_map(|event| match &event.kind {
        EventKind::ProbeAnswered { probe, step, sent_at, .. } if probe == of_probe && step == of_step => {
            Some(*sent_at)
        }
        _ => None,
    });
    let sent: Vec<_> = sent.collect();
    typical(sent.windows(2).map(|two| two[1] - two[0]).collect())
}

/// The median of gaps.
fn typical(mut gaps: Vec<Millis>) -> Option<Millis> {
    // With few of them the gaps are those between phases.
    if gaps.len() < 10 {
        return None;
    }
    gaps.sort_unstable();
    Some(gaps[gaps.len() / 2]).filter(|gap| *gap > Millis(0))
}

type Expected<'p> = (&'p str, &'p AlertExpectation);

fn expected_alerts(plan: &Plan) -> Vec<Expected<'_>> {
    let alerts = plan.expectations.iter().filter_map(|one| match &one.kind {
        ExpectationKind::Alert(alert) => Some((one.fault.as_str(), alert)),
        _ => None,
    });
    alerts.collect()
}

fn matches(fault: &str, alert: &AlertExpectation, detection: &Detection) -> bool {
    let has = |matcher: &LabelMatcher| matcher.matches(&detection.labels);
    fault == detection.fault && alert.alert == detection.alert && alert.labels.iter().all(has)
}

/// The alert's name; with those expected labels that tell it from others of the name, and the fault where that is not enough.
fn alert_subject(expected: &[Expected<'_>], detection: &Detection) -> String {
    let named: Vec<_> = expected.iter().filter(|(_, alert)| alert.alert == detection.alert).collect();
    let shared = |matcher: &&LabelMatcher| !named.iter().all(|(_, alert)| alert.labels.contains(matcher));
    let own = named.iter().find(|(fault, alert)| matches(fault, alert, detection));
    let labels: Vec<String> = own.map_or_else(Vec::new, |(_, alert)| {
        alert.labels.iter().filter(shared).map(ToString::to_string).collect()
    });
    let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
    let several = named.iter().any(|(fault, _)| *fault != detection.fault);
    let fault = if several { format!("@{}", detection.fault) } else { String::new() };
    format!("{}{labels}{fault}", detection.alert)
}

/// The expectation's id without its kind, which the measure's name says; a recovery is known by what it recovers from.
fn check_subject(expectation: &Expectation) -> String {
    match (&expectation.kind, expectation.id.split_once('/')) {
        (ExpectationKind::Recovery { .. }, _) => expectation.fault.clone(),
        (_, Some((_, rest))) => rest.to_owned(),
        (_, None) => expectation.id.clone(),
    }
}
