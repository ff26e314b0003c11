//! The facts themselves. Names are in the past tense; every time is the source's own where it has one.

use serde::{Deserialize, Serialize};

use crate::{
    AlertRule, AlertSeries, AlertmanagerHealth, BaselineAlert, CancelReason, ClusterEvent, DetectionBound,
    FaultAction, FaultSpec, Labels, LoadPhase, LoadSample, LoadSpec, LoadStats, Millis, Notification,
    ObservedAutoscaler, ObservedBudget, ObservedPod, ObservedWorkload, Phase, Plan, PodLog, PodUsage,
    PrometheusHealth, RunMode, RunTarget, Sample, SloDefinition, SloSample, SloUsage, Timestamp,
};

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant, reason = "one plan a run; boxing it would only obscure the format")]
pub enum EventKind {
    /// First event of every log.
    RunStarted {
        /// Format of the log, see [`crate::FORMAT_VERSION`].
        format: u32,
        /// Name of the run and of its directory.
        run: String,
        /// Version of the harness.
        harness: String,
        /// Path of the scenario file as given.
        scenario: String,
        /// SHA-256 of the scenario file's text, hexadecimal.
        scenario_sha256: String,
        /// What kind of run it is.
        #[serde(default)]
        mode: RunMode,
        /// What the run is going to do and to prove.
        plan: Plan,
    },
    /// The cluster and its monitoring answered.
    TargetConnected(RunTarget),
    /// The scenario cannot be met by this system as it is configured. Nothing was touched.
    RunRefused {
        /// Each problem with what to do about it.
        problems: Vec<String>,
    },
    /// Cluster, Prometheus, Alertmanager or receiver could not be reached or did not get ready in time.
    NotReady {
        /// Which part.
        component: String,
        /// Why.
        reason: String,
    },
    /// What the configuration allows at best and at worst for an expected alert.
    BoundComputed(DetectionBound),
    /// A phase began.
    PhaseStarted {
        /// Which.
        phase: Phase,
    },
    /// A phase ended.
    PhaseFinished {
        /// Which.
        phase: Phase,
    },
    /// Offset of Prometheus' clock against ours (positive: theirs is ahead), at most `bound` wrong.
    ClockMeasured {
        /// Offset.
        offset: Millis,
        /// Half the round trip of the best measurement.
        bound: Millis,
    },
    /// One more thing is proven ready (targets scraped twice, groups evaluated, canary delivered ...).
    ReadinessProven {
        /// What.
        what: String,
    },
    /// State of the monitoring system itself. Differences within a run make alert verdicts inconclusive.
    MonitoringObserved {
        /// Prometheus, if it answered.
        prometheus: Option<PrometheusHealth>,
        /// Alertmanager, if it answered.
        alertmanager: Option<AlertmanagerHealth>,
        /// What did not answer, and why.
        errors: Vec<String>,
    },
    /// Alerts that were active when the baseline ended.
    BaselineTaken {
        /// Pending and firing alerts as Prometheus lists them.
        alerts: Vec<BaselineAlert>,
    },
    /// A steady-state condition was checked.
    SteadyStateChecked {
        /// Name of the check.
        check: String,
        /// When it was asked.
        asked_at: Timestamp,
        /// Did it hold?
        ok: bool,
        /// What was seen.
        detail: String,
    },
    /// The faults are not injected: a run now would prove nothing.
    InjectionSkipped {
        /// Why: steady state not held, expected alert already active ...
        reason: String,
    },
    /// The fault's targets are resolved and its inverse is durable.
    FaultPlanned {
        /// Name of the fault.
        fault: String,
        /// What will be done.
        action: FaultAction,
        /// Objects it touches, `deployment/postgres`, `pod/api-7d4…`.
        targets: Vec<String>,
        /// What undoes it, for people.
        inverse: String,
    },
    /// The API calls were accepted.
    FaultApplied {
        /// Name of the fault.
        fault: String,
        /// When the first call was sent.
        sent_at: Timestamp,
    },
    /// The API calls failed, or part of them.
    FaultApplyFailed {
        /// Name of the fault.
        fault: String,
        /// Why.
        error: String,
    },
    /// The world shows the fault.
    FaultEffectObserved {
        /// Name of the fault.
        fault: String,
        /// When the effect was seen: start of every detection deadline.
        effect_at: Timestamp,
        /// What was seen.
        detail: String,
    },
    /// The effect was not seen in time. The run proves nothing about this fault.
    FaultEffectMissing {
        /// Name of the fault.
        fault: String,
        /// What was seen instead.
        detail: String,
    },
    /// Somebody wanted this fault in a game day. What follows is told as of any fault.
    FaultRequested {
        /// The fault; its `start` is the time since the run began.
        spec: FaultSpec,
    },
    /// Somebody wanted a fault to be undone before its time. The run is then not the experiment that the scenario describes.
    FaultStopped {
        /// Name of the fault.
        fault: String,
    },
    /// The inverse is being applied.
    FaultRevertStarted {
        /// Name of the fault.
        fault: String,
        /// When the first call was sent: start of recovery deadlines.
        sent_at: Timestamp,
    },
    /// The world is as in the snapshot again.
    FaultRevertVerified {
        /// Name of the fault.
        fault: String,
        /// When that was seen: start of `resolved` deadlines.
        effect_at: Timestamp,
        /// What was seen.
        detail: String,
    },
    /// The inverse could not be applied or the world did not come back: something is left.
    FaultRevertFailed {
        /// Name of the fault.
        fault: String,
        /// What is left and why.
        error: String,
    },
    /// A probe's setup is done (or failed).
    ProbeSetUp {
        /// Probe.
        probe: String,
        /// Did every step answer as expected?
        ok: bool,
        /// What was seen.
        detail: String,
    },
    /// A probe's step was answered, or not.
    ProbeAnswered {
        /// Probe.
        probe: String,
        /// Step.
        step: String,
        /// Number of the round, from 0.
        round: u64,
        /// When the request was sent.
        sent_at: Timestamp,
        /// Time to the complete answer (or to giving up), in microseconds.
        latency_us: u64,
        /// Status code, if there was an answer.
        status: Option<u16>,
        /// First 512 bytes of the body.
        body: String,
        /// Why there was no answer.
        error: Option<String>,
        /// Is it the answer of a healthy system ([`crate::HttpStep::status`])?
        healthy: bool,
    },
    /// Replicas of a workload changed.
    WorkloadObserved(ObservedWorkload),
    /// A pod changed in a way people care about: phase, readiness, restarts.
    PodObserved(ObservedPod),
    /// What pods used, from `metrics.k8s.io`. Telemetry: a view may skip all but the last.
    PodsMeasured {
        /// When it was asked for.
        sampled_at: Timestamp,
        /// Every pod with a measurement.
        pods: Vec<PodUsage>,
    },
    /// Kubernetes said something about an object.
    ClusterEventSeen(ClusterEvent),
    /// Lines of a pod's log that are worth keeping with the run.
    PodLogRead(PodLog),
    /// Somebody wanted this load in a game day. What follows is told as of any load.
    LoadRequested {
        /// The load.
        spec: LoadSpec,
    },
    /// Somebody wanted a load to end before its time.
    LoadStopped {
        /// The load.
        load: String,
    },
    /// A load's worker is at work.
    LoadStarted {
        /// The load.
        load: String,
        /// When its first user started (or the first start of its schedule was due).
        started_at: Timestamp,
    },
    /// One second of a load.
    LoadSampled {
        /// The load.
        load: String,
        /// What was seen.
        sample: LoadSample,
    },
    /// The requests of a load in one phase, from merged histograms. Recorded when the load has ended.
    LoadMeasured {
        /// The load.
        load: String,
        /// The phase in which the requests started.
        phase: LoadPhase,
        /// One step; all steps together if absent.
        step: Option<String>,
        /// What was measured.
        stats: LoadStats,
    },
    /// A load came to its end, with every answer accounted for.
    LoadFinished {
        /// The load.
        load: String,
        /// When the last answer was there.
        ended_at: Timestamp,
        /// `requests`, `duration` or `stopped`.
        reason: String,
        /// Requests begun.
        begun: u64,
        /// Starts that the schedule asked for; zero without a rate.
        due: u64,
        /// The farthest that it was behind its schedule.
        most_behind: Millis,
    },
    /// The worker could not do its work: it died, hung, said what nobody understands, or its setup was not answered as expected.
    /// What it did cannot be told.
    LoadFailed {
        /// The load.
        load: String,
        /// Why.
        error: String,
    },
    /// An autoscaler changed.
    AutoscalerObserved(ObservedAutoscaler),
    /// A disruption budget changed.
    BudgetObserved(ObservedBudget),
    /// Time is compressed for the alert rules: no time measured in this run says how fast production would be.
    TimeCompressed {
        /// How many seconds of the rules' own time pass in one second.
        factor: u32,
        /// Rules whose thresholds do not scale, with the reason. For people.
        unscaled: Vec<String>,
    },
    /// An SLO's rules were found in Prometheus.
    SloDefined(SloDefinition),
    /// An SLO is not known to Prometheus, or its rules cannot be read.
    SloMissing {
        /// `sloth_id`.
        slo: String,
        /// Why.
        error: String,
    },
    /// Burn rates of an SLO.
    SloSampled(SloSample),
    /// What the run did to an error budget.
    SloMeasured(SloUsage),
    /// The alerting rules that Prometheus has loaded.
    AlertRulesRead {
        /// In the order of their groups.
        rules: Vec<AlertRule>,
    },
    /// An alert was seen in a new state by polling: for live views only, verdicts use [`EventKind::AlertHistoryRead`].
    AlertSeen {
        /// All labels, with `alertname`.
        labels: Labels,
        /// `pending`, `firing` or `inactive`.
        state: String,
        /// When it became active (pending or firing), on Prometheus' clock.
        #[serde(default)]
        active_at: Option<Timestamp>,
        /// Value of the rule's expression, as Prometheus writes it.
        #[serde(default)]
        value: Option<String>,
    },
    /// A notification of Alertmanager arrived at the receiver.
    NotificationReceived(Notification),
    /// What Prometheus recorded about alerts, by remote read with stale markers.
    AlertHistoryRead {
        /// Start of the window.
        from: Timestamp,
        /// End of the window.
        to: Timestamp,
        /// Every `ALERTS` series in the window.
        series: Vec<AlertSeries>,
        /// SHA-256 over the decoded samples, hexadecimal.
        sha256: String,
    },
    /// The evidence could not be read.
    AlertHistoryMissing {
        /// Why.
        error: String,
    },
    /// Are the inputs of an alert's expression there at the time it resolved? (Resolved must not mean "no data".)
    AlertInputsChecked {
        /// Alert name.
        alert: String,
        /// When the alert resolved.
        resolved_at: Timestamp,
        /// Are there at least as many series for each selector as before the fault?
        present: bool,
        /// Selectors and counts.
        detail: String,
    },
    /// Alertmanager holds an expected alert back.
    AlertSuppressed {
        /// Its labels.
        labels: Labels,
        /// Silences and inhibiting alerts.
        by: String,
    },
    /// Values of a PromQL expectation over its window.
    PromqlRead {
        /// Expectation's id.
        expectation: String,
        /// Values per evaluation; empty if nothing was returned at that time.
        samples: Vec<Sample>,
        /// Why there are none.
        error: Option<String>,
    },
    /// An observer lost its source; it goes on trying.
    ObserverFailed {
        /// Which.
        observer: String,
        /// Why.
        error: String,
    },
    /// The observer has its source back.
    ObserverRecovered {
        /// Which.
        observer: String,
    },
    /// The run is being cancelled; faults are reverted.
    RunCancelled {
        /// Why.
        reason: CancelReason,
    },
    /// What somebody wrote down during the run.
    NoteWritten {
        /// The text.
        text: String,
    },
    /// Something for people.
    Note {
        /// The text.
        text: String,
    },
    /// Last event of a complete log.
    RunFinished {
        /// Time that the scenario itself demanded: faults and deadlines that were waited for.
        demanded: Millis,
        /// Time from nothing to a ready system, where the harness brought it up; else zero.
        bring_up: Millis,
    },
}
