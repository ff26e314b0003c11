//! What a state consists of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Series, expectations::Followed};
use crate::{
    AlertRule, CancelReason, CheckOutcome, ClusterEvent, FaultSpec, Labels, LoadPhase, LoadSample, LoadSpec,
    LoadStats, Millis, Notification, ObservedAutoscaler, ObservedBudget, ObservedPod, ObservedWorkload,
    Phase, Plan, PodLog, PodUsage, RunMode, RunTarget, SloDefinition, SloSample, SloUsage, Timestamp,
    Verdict, narrate::Narrator,
};

/// Everything that a view shows of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunState {
    /// Name of the run; empty before its first event.
    pub run: String,
    /// Path of the scenario file; empty where there is none.
    pub scenario: String,
    /// What kind of run it is.
    pub mode: RunMode,
    /// What it sets out to do.
    pub plan: Option<Plan>,
    /// What it is pointed at.
    pub target: Option<RunTarget>,
    /// Wall clock of the run's start: the first event's time less the time that had passed by then.
    pub started_at: Timestamp,
    /// Wall clock of the last event.
    pub now: Timestamp,
    /// Time since the start of the run, of the last event.
    pub elapsed: Millis,
    /// Events so far.
    pub events: u64,
    /// Phases that began, in order.
    pub phases: Vec<PhaseSpan>,
    /// It is being cancelled, and why.
    pub cancelled: Option<CancelReason>,
    /// Why it did not get to its faults: refused, not ready, steady state not held.
    pub stopped: Vec<String>,
    /// The last event was seen.
    pub finished: bool,
    /// What was proven, once that is known ([`RunState::conclude`]).
    pub verdict: Option<Verdict>,
    /// Factor of the time compression.
    pub compressed: Option<u32>,
    /// Sources by observer's name.
    pub connections: BTreeMap<String, Connection>,
    /// Faults: those of the plan and those injected by hand, in order of their start.
    pub faults: Vec<FaultView>,
    /// Loads, likewise.
    pub loads: Vec<LoadView>,
    /// Pods by namespace and name. Those that are gone stay for [`PodView::KEPT`].
    pub pods: BTreeMap<(String, String), PodView>,
    /// Workloads by `kind/name`, as `deployment/api`.
    pub workloads: BTreeMap<String, ObservedWorkload>,
    /// Autoscalers by name.
    pub autoscalers: BTreeMap<String, AutoscalerView>,
    /// Disruption budgets by name.
    pub budgets: BTreeMap<String, BudgetView>,
    /// SLOs by `sloth_id`.
    pub slos: BTreeMap<String, SloView>,
    /// Alerts that were active at any time, by their labels.
    pub alerts: BTreeMap<Labels, AlertView>,
    /// Rules by alert name; several may have the same.
    pub rules: BTreeMap<String, Vec<AlertRule>>,
    /// What Alertmanager sent, newest last, bounded.
    pub notifications: VecDeque<Notification>,
    /// Last answer of every probe's step: `probe/step`, what it said, and whether it was a healthy system's.
    pub probes: BTreeMap<String, (String, bool)>,
    /// Steady-state checks by name: what was seen, and whether it held.
    pub steady: BTreeMap<String, (String, bool)>,
    /// Expectations in the plan's order.
    pub expectations: Vec<ExpectationView>,
    /// What Kubernetes said about objects, by `namespace/kind/name`, newest last, bounded for each.
    pub cluster_events: BTreeMap<String, VecDeque<ClusterEvent>>,
    /// Log excerpts that were recorded.
    pub pod_logs: VecDeque<PodLog>,
    /// Lines for people, newest last, at most [`super::LOG_LENGTH`].
    pub log: VecDeque<LogLineView>,
    /// Names of alerts that the plan expects or allows.
    pub expected_alerts: BTreeSet<String>,
    /// What the fold itself needs.
    pub(super) memo: Memo,
}

/// What the fold remembers beside what it shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memo {
    /// Makes the log's lines.
    pub(super) narrator: Narrator,
    /// Offset of Prometheus' clock against ours, as first measured.
    pub(super) clock_offset: Millis,
    /// Places in [`RunState::faults`] and [`RunState::loads`].
    pub(super) faults: BTreeMap<String, usize>,
    pub(super) loads: BTreeMap<String, usize>,
    /// Pods that are gone, in the order in which they went.
    pub(super) gone_pods: VecDeque<(Millis, (String, String))>,
    /// Alerts in the order in which they became inactive.
    pub(super) quiet_alerts: VecDeque<(Millis, Labels)>,
    /// Objects with Events, in the order in which they were first spoken of.
    pub(super) objects: VecDeque<String>,
    /// Alerts that were active when the baseline ended, in this state, and have been so since.
    pub(super) baseline: BTreeMap<Labels, AlertPhase>,
    /// Last result of each steady-state check, with the time at which it was asked.
    pub(super) steady_asked: BTreeMap<String, (Millis, bool)>,
    /// How each expectation is followed, in the plan's order.
    pub(super) followed: Vec<Followed>,
}

/// A phase with its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseSpan {
    /// Which.
    pub phase: Phase,
    /// Since the start of the run.
    pub from: Millis,
    /// Absent while it goes on.
    pub to: Option<Millis>,
}

/// Whether a source is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Why it is lost; absent while it is there.
    pub error: Option<String>,
    /// Since when it is so.
    pub since: Millis,
}

/// How far a fault is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultStage {
    /// Its time has not come.
    Waiting,
    /// Its inverse is durable; it is being applied.
    Applying,
    /// The calls were accepted, its effect was not seen yet.
    Applied,
    /// Its effect was seen.
    Active,
    /// It is being undone.
    Reverting,
    /// It is undone.
    Reverted,
    /// It did not happen, or its effect was not seen; why.
    Failed(String),
    /// It could not be undone; what is left.
    LeftBehind(String),
}

/// A fault.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultView {
    /// What is to happen.
    pub spec: FaultSpec,
    /// Injected by hand.
    pub by_hand: bool,
    /// How far it is.
    pub stage: FaultStage,
    /// Objects that it touches.
    pub targets: Vec<String>,
    /// What undoes it.
    pub inverse: String,
    /// What was seen of its effect, or of its revert.
    pub detail: String,
    /// When its calls were sent, since the start of the run.
    pub applied: Option<Millis>,
    /// When its effect was seen.
    pub effect: Option<Millis>,
    /// When its revert began.
    pub reverting: Option<Millis>,
    /// When the world was as before.
    pub reverted: Option<Millis>,
    /// Somebody wanted it undone before its time.
    pub stopped_by_hand: bool,
    /// Why it did not happen, or that its effect was not seen; stays when it is undone.
    pub failure: Option<String>,
}

/// How far a load is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadStage {
    /// Its time has not come.
    Waiting,
    /// It sends requests.
    Running,
    /// It came to its end; how (`requests`, `duration`, `stopped`).
    Ended(String),
    /// It could not do its work; why.
    Failed(String),
}

/// A load.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadView {
    /// What is to happen.
    pub spec: LoadSpec,
    /// Started by hand.
    pub by_hand: bool,
    /// How far it is.
    pub stage: LoadStage,
    /// When its first user started, since the start of the run.
    pub started: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// Requests that ended.
    pub requests: u64,
    /// Those that were not answered as expected.
    pub failed: u64,
    /// The last second.
    pub last: Option<LoadSample>,
    /// Requests per second.
    pub rate: Series,
    /// Share of failed requests, 0 to 1.
    pub error_ratio: Series,
    /// Median latency in milliseconds.
    pub p50: Series,
    /// 95th percentile.
    pub p95: Series,
    /// 99th percentile.
    pub p99: Series,
    /// Somebody wanted it to end before its time.
    pub stopped_by_hand: bool,
    /// Starts that its schedule asked for, and requests begun; known at its end, none without a rate.
    pub due: Option<(u64, u64)>,
    /// The farthest that it was behind its schedule so far.
    pub most_behind: Millis,
    /// Measured at its end, by phase and step (all steps: none).
    pub measured: Vec<(LoadPhase, Option<String>, LoadStats)>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq)]
pub struct PodView {
    /// As last seen.
    pub seen: ObservedPod,
    /// When it last changed, since the start of the run.
    pub changed: Millis,
    /// What it uses.
    pub usage: Option<PodUsage>,
    /// CPU in thousandths of a core; few points, since there may be many pods.
    pub cpu: Series,
    /// Statuses that it went through, with their time, oldest first, bounded.
    pub history: VecDeque<(Millis, String)>,
}

impl PodView {
    /// A pod that is gone is shown for so long.
    pub const KEPT: Millis = Millis::from_secs(10);
}

/// An autoscaler.
#[derive(Clone, Debug, PartialEq)]
pub struct AutoscalerView {
    /// As last seen.
    pub seen: ObservedAutoscaler,
    /// Current replicas.
    pub current: Series,
    /// Wanted replicas.
    pub desired: Series,
}

/// A disruption budget.
#[derive(Clone, Debug, PartialEq)]
pub struct BudgetView {
    /// As last seen.
    pub seen: ObservedBudget,
}

/// An SLO.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SloView {
    /// What Prometheus knows about it.
    pub definition: Option<SloDefinition>,
    /// Why nothing is known.
    pub missing: Option<String>,
    /// Burn rates as last seen.
    pub last: Option<SloSample>,
    /// Burn rate of each window, in the definition's order.
    pub burn: Vec<Series>,
    /// What the run did to the budget, measured at its end.
    pub usage: Option<SloUsage>,
}

/// Where an alert is, as polled and notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertPhase {
    /// `for` is running.
    Pending,
    /// It fires.
    Firing,
    /// It was active and is not any more.
    Inactive,
}

/// Whether an alert is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertKind {
    /// An expectation names it.
    Expected,
    /// It may be active without failing the run.
    Allowed,
    /// It fails the run if it fires after the first fault.
    Unexpected,
    /// Nothing is expected here (a watch, a game day), or it was active before anything was done and has been so since.
    Unjudged,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertView {
    /// All labels, with `alertname`.
    pub labels: Labels,
    /// Where it is.
    pub state: AlertPhase,
    /// Since when, from the start of the run.
    pub since: Millis,
    /// Is it wanted?
    pub kind: AlertKind,
    /// When Prometheus says that it became active, on its clock; may be before the run.
    pub active_at: Option<Timestamp>,
    /// Value of its expression.
    pub value: Option<String>,
    /// States that it went through, oldest first, bounded.
    pub history: VecDeque<(Millis, AlertPhase)>,
    /// When a notification that it fires arrived, and at which receiver.
    pub delivered: Option<(Millis, String)>,
    /// When a notification that it is resolved arrived after that.
    pub resolved_delivered: Option<(Millis, String)>,
    /// What holds it back in Alertmanager.
    pub suppressed: Option<String>,
}

/// How an expectation stands. Before the verdict this is what polling shows, for people; the verdict may differ, since it rests
/// on exact evidence.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Its clock has not started.
    NotStarted,
    /// Its clock runs: so much time is left, if it has a deadline (negative: it is over, and the evidence will tell).
    Waiting {
        /// When its clock started, since the start of the run.
        since: Millis,
    },
    /// What is expected was seen so long after its clock's start.
    Met {
        /// After the clock's start; absent where the expectation has no point in time.
        after: Option<Millis>,
    },
    /// What is expected was seen, but only after its deadline, as far as polling can tell; the evidence will decide.
    Late {
        /// After the clock's start.
        after: Millis,
    },
    /// It cannot be met any more; why.
    Missed {
        /// What was seen, or not.
        reason: String,
    },
    /// The verdict's word on it.
    Judged {
        /// Result.
        outcome: CheckOutcome,
        /// What was measured, or why nothing can be said.
        reason: String,
        /// Measured time.
        measured: Option<Millis>,
    },
}

/// An expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectationView {
    /// Stable name: `alert/APIServiceDown/firing`.
    pub id: String,
    /// One sentence.
    pub title: String,
    /// Deadline, from its clock's start; absent where none is to be met by a single point in time.
    pub deadline: Option<Millis>,
    /// How it stands.
    pub progress: Progress,
}

/// What a line of the log means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tone {
    /// As expected.
    Good,
    /// Undecided, or worth a look.
    Warn,
    /// Not as expected.
    Bad,
    /// Secondary.
    Dim,
    /// Headings: something was done.
    Strong,
    /// Anything else.
    #[default]
    Plain,
}

/// What a line of the log is about, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// The run itself: phases, readiness, verdict, connections.
    Run,
    /// A fault.
    Fault,
    /// A load.
    Load,
    /// An alert or a notification.
    Alert,
    /// A pod, workload, autoscaler, budget, Event of Kubernetes.
    Cluster,
    /// An SLO.
    Slo,
    /// A probe or a steady-state check.
    Probe,
    /// A remark of a person.
    Note,
}

/// A line for people.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLineView {
    /// Event's number.
    pub seq: u64,
    /// Since the start of the run.
    pub elapsed: Millis,
    /// Wall clock.
    pub at: Timestamp,
    /// What it is about.
    pub subject: Subject,
    /// What it means.
    pub tone: Tone,
    /// The text.
    pub text: String,
}
