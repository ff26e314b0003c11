//! The typed facts of a run, and the folds over them.
//!
//! A run is a log of [`Event`]s in one total order, written by one actor and never changed afterwards. Everything that people
//! see is a pure function of that log; [`Verdict`] is what the run proved. So `harness judge RUN` gives the same answer as the
//! run itself did.
//!
//! This crate does no I/O and knows neither Kubernetes nor Prometheus.

mod autoscaling;
mod chronicle;
mod clean;
mod event;
mod kind;
mod live;
mod load;
mod matcher;
pub mod narrate;
mod parts;
mod plan;
mod salvage;
mod slo;
pub mod state;
pub mod status_counts;
mod time;
pub mod verdict;
mod wire;

pub use autoscaling::{AutoscalerExpectation, AutoscalerGoal, ObservedAutoscaler, ObservedBudget};
pub use chronicle::{Chronicle, Deed, DeedKind, SeenAlert, WrittenNote};
pub use clean::clean;
pub use event::Event;
pub use kind::EventKind;
pub use live::{AlertRule, ClusterEvent, LogLine, ObservedPod, PodLog, PodUsage, RunMode};
pub use load::{
    ExtractFrom, Extraction, Latency, LoadBody, LoadExpectation, LoadMeasure, LoadPart, LoadPhase,
    LoadSample, LoadSpec, LoadStart, LoadStats, LoadStep, RateStage,
};
pub use matcher::{LabelMatcher, Labels, MatchOp};
pub use parts::{
    AlertInterval, AlertSeries, AlertmanagerHealth, BaselineAlert, CancelReason, DetectionBound, IntervalEnd,
    Notification, NotifiedAlert, ObservedWorkload, Phase, PrometheusHealth, RunTarget, Sample,
};
pub use plan::{
    AlertExpectation, AlertState, CompareOp, Comparison, Expectation, ExpectationKind, FaultAction,
    FaultSpec, HttpExpectation, HttpStep, Monitoring, Plan, PlannedHistory, ProbeSpec, PromqlExpectation,
    PromqlMode, SteadyCheck, SteadyCheckKind, Window, WorkloadExpectation, WorkloadRef,
};
pub use salvage::{SalvagedLog, salvage_log};
pub use slo::{SloDefinition, SloExpectation, SloGoal, SloSample, SloUsage, SloWindow};
pub use state::RunState;
pub use time::{Millis, Timestamp};
pub use verdict::{Check, CheckOutcome, Detection, Outcome, Resolution, Scaling, Verdict};
pub use wire::{FORMAT_VERSION, ReadError, ReadLog, read_log, to_line};
