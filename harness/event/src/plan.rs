//! What a run sets out to do and to prove: a checked scenario, as data. It is part of the log (`RunStarted`), so that a
//! verdict needs nothing but the log.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{AutoscalerExpectation, LabelMatcher, LoadExpectation, LoadSpec, Millis, SloExpectation};

/// A checked scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Plan {
    /// One line for people.
    pub title: String,
    /// Longer text, may be empty.
    pub description: String,
    /// Namespace of the system under test.
    pub namespace: String,
    /// Where Prometheus, Alertmanager and the alert receiver are.
    pub monitoring: Monitoring,
    /// How long the steady state must hold before the first fault.
    pub baseline: Millis,
    /// What must hold before the fault and again after it.
    pub steady_state: Vec<SteadyCheck>,
    /// Users of the system: HTTP conversations repeated over the whole run.
    pub probes: Vec<ProbeSpec>,
    /// Loads on the system, those in the background first, then in order of their start.
    #[serde(default)]
    pub loads: Vec<LoadSpec>,
    /// Service level objectives that are watched, by `sloth_id`.
    #[serde(default)]
    pub slos: Vec<String>,
    /// Time compression that the scenario needs: how many seconds of the alert rules' own time pass in one second. Only the
    /// embedded stack can do that.
    #[serde(default)]
    pub compress: Option<u32>,
    /// A healthy past that Prometheus is given before the run. Only the embedded stack can do that.
    #[serde(default)]
    pub history: Option<PlannedHistory>,
    /// What breaks, in order of `start`.
    pub faults: Vec<FaultSpec>,
    /// What must be seen.
    pub expectations: Vec<Expectation>,
    /// Alerts that may be active without failing the run, beside the expected ones.
    pub allowed_alerts: Vec<Vec<LabelMatcher>>,
}

/// A past without errors, so that the long windows of SLOs rest on as much data as their names say.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PlannedHistory {
    /// How far it goes back from the beginning of the run, in real time.
    pub length: Millis,
    /// Requests per second of each SLO.
    pub rate: f64,
}

/// Addresses of the monitoring system. Each is an `http(s)://` URL or `service://NAMESPACE/NAME:PORT`, which is reached
/// through the API server's service proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Monitoring {
    /// Prometheus' base URL.
    pub prometheus: String,
    /// Alertmanager's base URL.
    pub alertmanager: String,
    /// The harness's alert receiver.
    pub receiver: String,
}

/// One condition of the steady state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SteadyCheck {
    /// Name, unique in the scenario.
    pub name: String,
    /// What is asked.
    #[serde(flatten)]
    pub kind: SteadyCheckKind,
}

/// Kinds of steady-state conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "check", rename_all = "snake_case")]
pub enum SteadyCheckKind {
    /// A GET answers as said.
    Http {
        /// `http(s)://…` or `service://NAMESPACE/NAME:PORT/path`.
        url: String,
        /// Expected status code.
        status: u16,
        /// Text that the body must contain.
        body_contains: Option<String>,
        /// Time limit of one request.
        timeout: Millis,
    },
    /// Every series of an instant query satisfies the comparison, and there is at least one.
    Promql {
        /// The query.
        query: String,
        /// The condition.
        is: Comparison,
    },
}

/// An HTTP conversation that is repeated from the baseline to the end of the run, as a user of the system would have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ProbeSpec {
    /// Name, unique in the scenario.
    pub name: String,
    /// Time from the start of one round to the start of the next.
    pub every: Millis,
    /// Steps done once, before the baseline; each must answer as expected.
    pub setup: Vec<HttpStep>,
    /// Steps of one round.
    pub steps: Vec<HttpStep>,
}

/// One HTTP request of a probe. `${run.id}`, `${probe.round}` and `${random}` are replaced in URL, headers and body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpStep {
    /// Name, unique in the probe.
    pub name: String,
    /// Method, upper case.
    pub method: String,
    /// `http(s)://…` or `service://NAMESPACE/NAME:PORT/path`.
    pub url: String,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// JSON body.
    pub json: Option<serde_json::Value>,
    /// Plain body; exclusive with `json`.
    pub body: Option<String>,
    /// Status code that a healthy system answers with.
    pub status: u16,
    /// Time limit.
    pub timeout: Millis,
}

impl HttpStep {
    /// Placeholders that are replaced in URL, headers and body.
    pub const PLACEHOLDERS: [&'static str; 3] = ["run.id", "probe.round", "random"];
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct FaultSpec {
    /// Name, unique in the scenario.
    pub name: String,
    /// What is done.
    #[serde(flatten)]
    pub action: FaultAction,
    /// When, counted from the end of the baseline.
    pub start: Millis,
    /// For how long; after it the fault is reverted. A one-shot fault (delete, restart) has nothing to revert: then this is
    /// the length of the observation window.
    pub duration: Millis,
    /// How long after the API call the effect must be seen.
    pub effect_within: Millis,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultAction {
    /// Sets the replicas of a workload; reverted to the number found before.
    Scale {
        /// The workload.
        workload: WorkloadRef,
        /// Wanted number.
        replicas: i32,
    },
    /// Deletes pods. Their controller replaces them.
    DeletePods {
        /// Label selector.
        selector: String,
        /// How many; all that match if absent.
        count: Option<u32>,
        /// Grace period in seconds; the pod's own if absent.
        grace_period_seconds: Option<u32>,
    },
    /// Restarts a rollout, as `kubectl rollout restart` does.
    Restart {
        /// The workload.
        workload: WorkloadRef,
    },
}

/// A workload of the system's namespace, written `deployment/postgres`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkloadRef {
    /// `Deployment` (the only kind of this version).
    pub kind: String,
    /// Name.
    pub name: String,
}

impl fmt::Display for WorkloadRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind.to_lowercase(), self.name)
    }
}

/// One thing that must be seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Expectation {
    /// Stable name in reports: `alert/APIServiceDown/firing`.
    pub id: String,
    /// One sentence for people.
    pub title: String,
    /// Line in the scenario file, for reports.
    pub line: u32,
    /// Name of the fault whose effect (or revert) starts the clock, or of the timed load whose start (or end) does. Every scenario
    /// with expectations has one.
    pub fault: String,
    /// What.
    #[serde(flatten)]
    pub kind: ExpectationKind,
}

/// Kinds of expectations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "expect", rename_all = "snake_case")]
pub enum ExpectationKind {
    /// An alert reaches a state by its deadline.
    Alert(AlertExpectation),
    /// No alert other than the expected and the allowed ones fires after the first fault. Always present.
    NoUnexpectedAlert,
    /// A probe's step answers as said.
    Http(HttpExpectation),
    /// A PromQL condition.
    Promql(PromqlExpectation),
    /// A workload has so many ready replicas by its deadline after the revert.
    Workload(WorkloadExpectation),
    /// A condition on a load's statistics.
    Load(LoadExpectation),
    /// What an autoscaler does.
    Autoscaler(AutoscalerExpectation),
    /// What happens to an error budget.
    Slo(SloExpectation),
    /// The whole steady state holds again by this time after the revert began, and until the end.
    Recovery {
        /// Deadline.
        within: Millis,
    },
}

/// An alert, the state it must reach, and by when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AlertExpectation {
    /// Value of the `alertname` label.
    pub alert: String,
    /// Further labels.
    pub labels: Vec<LabelMatcher>,
    /// The state.
    pub state: AlertState,
    /// Deadline: for `resolved` counted from the revert's effect, else from the fault's effect.
    pub within: Millis,
    /// Receiver that must be told (for `delivered`).
    pub receiver: Option<String>,
}

impl Plan {
    /// The fault of an expectation.
    pub fn fault(&self, name: &str) -> Option<&FaultSpec> {
        self.faults.iter().find(|fault| fault.name == name)
    }

    /// The load of that name.
    pub fn load(&self, name: &str) -> Option<&LoadSpec> {
        self.loads.iter().find(|load| load.name == name)
    }

    /// Loads that begin after the baseline: like faults, they are something that happens to the system.
    pub fn timed_loads(&self) -> impl Iterator<Item = &LoadSpec> {
        self.loads.iter().filter(|load| !load.is_background())
    }
}

impl AlertExpectation {
    /// Alert name and labels as matchers.
    pub fn matchers(&self) -> Vec<LabelMatcher> {
        let name = LabelMatcher::equal("alertname", &self.alert);
        std::iter::once(name).chain(self.labels.iter().cloned()).collect()
    }
}

/// States of an alert, in the order in which it goes through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum AlertState {
    /// The expression holds; `for` is running. A rule without `for` fires at once, which satisfies this too.
    Pending,
    /// `for` is over.
    Firing,
    /// Alertmanager's notification arrived at the receiver.
    Delivered,
    /// The expression does not hold any more, with the data still there and the service healthy.
    Resolved,
}

impl fmt::Display for AlertState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Delivered => "delivered",
            Self::Resolved => "resolved",
        })
    }
}

/// Part of the run that an expectation looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// From the fault's effect to the beginning of its revert.
    During,
    /// From the revert's effect to the end of the run.
    After,
}

/// Answers of a probe's step in a window: the expected answer comes by the deadline, and from then on every answer is so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct HttpExpectation {
    /// Probe.
    pub probe: String,
    /// Step of the probe.
    pub step: String,
    /// Where to look.
    pub window: Window,
    /// Expected status code.
    pub status: u16,
    /// Text that the body must contain.
    pub body_contains: Option<String>,
    /// Deadline of the first expected answer, from the window's start. Zero: every answer in the window, and during a fault
    /// also what its call breaks before its effect is seen.
    pub within: Millis,
    /// Longest answer time allowed.
    pub max_latency: Option<Millis>,
}

/// A PromQL condition in a window, evaluated on the server's own samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PromqlExpectation {
    /// The query; every series of its result must satisfy the comparison.
    pub query: String,
    /// The comparison.
    pub is: Comparison,
    /// Where to look.
    pub window: Window,
    /// How long and when.
    pub mode: PromqlMode,
}

/// When a PromQL condition must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum PromqlMode {
    /// Holds at one evaluation at least, by this time after the window's start.
    Within(Millis),
    /// Holds at every evaluation of this length from the window's start.
    Stays(Millis),
    /// May hold at first, but from this time after the window's start on it does not hold any more.
    Until(Millis),
}

/// Ready replicas of a workload after the revert.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkloadExpectation {
    /// The workload.
    pub workload: WorkloadRef,
    /// At least so many.
    pub ready: i32,
    /// Deadline, from the beginning of the revert.
    pub within: Millis,
}

/// A comparison with a number, written `">= 1"`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Comparison {
    /// Operator.
    pub op: CompareOp,
    /// Right-hand side.
    pub value: f64,
}

/// Comparison operators of PromQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum CompareOp {
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
}

impl CompareOp {
    /// All operators with their spelling, longest first, so that `>=` is not read as `>`.
    pub const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::NotEqual),
        (">=", Self::GreaterOrEqual),
        ("<=", Self::LessOrEqual),
        (">", Self::Greater),
        ("<", Self::Less),
    ];
}

impl Comparison {
    /// True if `left` satisfies the comparison. NaN satisfies none, not even `!=`: it means "no data" in a ratio.
    pub fn holds(&self, left: f64) -> bool {
        if left.is_nan() {
            return false;
        }
        match self.op {
            CompareOp::Equal => left == self.value,
            CompareOp::NotEqual => left != self.value,
            CompareOp::Greater => left > self.value,
            CompareOp::GreaterOrEqual => left >= self.value,
            CompareOp::Less => left < self.value,
            CompareOp::LessOrEqual => left <= self.value,
        }
    }

    /// Reads `">= 0.99"`. A number alone means equality.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let found =
            CompareOp::ALL.iter().find_map(|(spelling, op)| Some((*op, text.strip_prefix(spelling)?)));
        let (op, number) = found.unwrap_or((CompareOp::Equal, text));
        let value: f64 = number.trim().parse().ok()?;
        value.is_finite().then_some(Self { op, value })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spelling =
            CompareOp::ALL.iter().find(|(_, op)| *op == self.op).map_or("", |(spelling, _)| spelling);
        write!(out, "{spelling} {}", self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_read_as_in_promql() {
        assert!(Comparison::parse(">= 1").unwrap().holds(1.0));
        assert!(!Comparison::parse("> 1").unwrap().holds(1.0));
        assert!(Comparison::parse("0").unwrap().holds(0.0));
        assert!(!Comparison::parse("!= 0").unwrap().holds(f64::NAN));
        assert_eq!(Comparison::parse(">= x"), None);
        assert_eq!(Comparison::parse("< inf"), None);
    }
}
