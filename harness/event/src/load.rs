//! Load: what a scenario asks for, and what was measured of it.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{Comparison, Millis, Timestamp};

/// One load: users that send requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadSpec {
    /// Name, unique among loads and faults: expectations name either.
    pub name: String,
    /// When it begins.
    pub start: LoadStart,
    /// How long it goes on. Absent: until [`Self::requests`] are done, or, for a load in the background, until the end of the run.
    pub duration: Option<Millis>,
    /// Users that send requests at the same time: with a rate the most that may be in flight.
    pub users: u32,
    /// Time over which the users are started, evenly.
    pub ramp: Millis,
    /// Requests of this time at the beginning are counted apart: connections are made, caches are filled.
    pub warm_up: Millis,
    /// Total of requests, over all users and steps; the load ends when they are done.
    pub requests: Option<u64>,
    /// The schedule of starts. Empty: a closed model, every user sends its next request when the last one is answered.
    pub stages: Vec<RateStage>,
    /// A connection is closed after so many requests and a new one made, as clients that come and go would: a Service
    /// balances connections, not requests. Absent: connections are kept.
    pub requests_per_connection: Option<u32>,
    /// File with certificates of private authorities, PEM, relative to the scenario file.
    pub ca_file: Option<String>,
    /// Done once before the load starts, in order; each must be answered as expected. Values that they extract are known to
    /// every user.
    pub setup: Vec<LoadStep>,
    /// True: each user goes through the steps in their order, again and again. False: each request is one of the steps, chosen
    /// by [`LoadStep::weight`].
    pub in_order: bool,
    /// The requests.
    pub steps: Vec<LoadStep>,
}

impl LoadSpec {
    /// True if its users take their start times from a schedule (an open model).
    pub fn is_open(&self) -> bool {
        !self.stages.is_empty()
    }

    /// True if it goes on in the background for the whole run.
    pub fn is_background(&self) -> bool {
        self.start == LoadStart::Background
    }

    /// Placeholders that are replaced in URLs, headers and bodies, beside `${value.NAME}` for extracted values.
    pub const PLACEHOLDERS: [&'static str; 4] = ["run.id", "user.id", "user.round", "random"];
}

/// When a load begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoadStart {
    /// Before the baseline; it goes on until the run ends. Faults and other loads strike a system that is in use.
    Background,
    /// So long after the end of the baseline. Like a fault it is something that happens to the system: expectations may count
    /// from its start and from its end.
    After(Millis),
}

/// A part of a rate's profile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RateStage {
    /// Requests per second at its beginning.
    pub rate: f64,
    /// Requests per second at its end; the rate goes there evenly. Absent: it stays the same.
    pub to: Option<f64>,
    /// Length. The last stage goes on until the load ends if it has none.
    pub length: Option<Millis>,
}

/// One request of a load. Placeholders are replaced in URL, headers and body: [`LoadSpec::PLACEHOLDERS`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadStep {
    /// Name, unique in the load.
    pub name: String,
    /// Method, upper case.
    pub method: String,
    /// `http(s)://…`, or `service://NAMESPACE/NAME:PORT/path`, which is reached by the Service's cluster IP.
    pub url: String,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Option<LoadBody>,
    /// Values to take from the answer, for later steps of the same user.
    pub extract: Vec<Extraction>,
    /// Status code that counts as success.
    pub status: u16,
    /// Share of the requests, among the steps' weights.
    pub weight: u32,
    /// Pause of the user after the answer: a random time between these. None with a rate.
    pub think: Option<(Millis, Millis)>,
    /// Time limit of the whole request.
    pub timeout: Millis,
}

/// A request's body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoadBody {
    /// `application/json`.
    Json(serde_json::Value),
    /// `application/x-www-form-urlencoded`.
    Form(BTreeMap<String, String>),
    /// `text/plain` unless a header says otherwise.
    Text(String),
    /// `multipart/form-data`.
    Multipart(Vec<LoadPart>),
    /// The contents of a file; `application/octet-stream` unless a header says otherwise. Relative to the scenario file.
    File(String),
}

/// One part of a multipart body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadPart {
    /// Name of the field.
    pub name: String,
    /// The text, with placeholders. Exclusive with `file`.
    pub text: Option<String>,
    /// File whose contents are sent, relative to the scenario file.
    pub file: Option<String>,
    /// File name that is sent; the file's own if absent.
    pub filename: Option<String>,
    /// Media type that is sent.
    pub content_type: Option<String>,
}

/// A value that is taken from an answer as `${value.NAME}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Extraction {
    /// NAME.
    pub name: String,
    /// Where it is.
    pub from: ExtractFrom,
}

/// Where a value is in an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ExtractFrom {
    /// JSON pointer (RFC 6901) into the body.
    Json(String),
    /// Header of this name.
    Header(String),
    /// Cookie of this name, from `Set-Cookie`.
    Cookie(String),
}

/// Part of a run by which a load's requests are told apart. A request belongs to the phase in which it started; with a rate,
/// in which it should have started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoadPhase {
    /// The load's own warm-up.
    WarmUp,
    /// Until the first fault or timed load begins.
    Before,
    /// Until the last fault is healed and the last timed load has ended.
    During,
    /// After that.
    After,
}

impl LoadPhase {
    /// All, in their order.
    pub const ALL: [Self; 4] = [Self::WarmUp, Self::Before, Self::During, Self::After];
}

impl fmt::Display for LoadPhase {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::WarmUp => "warm-up",
            Self::Before => "before",
            Self::During => "during",
            Self::After => "after",
        })
    }
}

/// Statistics over one second of a load, for live views. Verdicts use [`LoadStats`], which come from merged histograms.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadSample {
    /// Start of the second.
    pub from: Timestamp,
    /// Its length.
    pub length: Millis,
    /// Users that are running.
    pub users: u32,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those that were not answered as expected.
    pub failed: u64,
    /// How far the load is behind its schedule.
    pub behind: Millis,
    /// Median latency in microseconds; zero without requests.
    pub p50_us: u64,
    /// 95th percentile.
    pub p95_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
}

/// Statistics over all requests of a phase, of a step or of a whole load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadStats {
    /// When the phase began for this load: with the load, with the end of its warm-up, or with what happened to the system.
    pub from: Timestamp,
    /// When the phase ended for this load: the start of the next one, or the load's end.
    pub to: Timestamp,
    /// Requests.
    pub requests: u64,
    /// Those that were not answered as expected.
    pub failed: u64,
    /// Answers by status code.
    #[serde(with = "crate::status_counts")]
    #[cfg_attr(feature = "schema", schemars(with = "BTreeMap<String, u64>"))]
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer by kind of error.
    pub errors: BTreeMap<String, u64>,
    /// Bytes of bodies received.
    pub bytes: u64,
    /// Latencies in microseconds, to the complete answer.
    pub latency: Latency,
}

/// A distribution of latencies, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Latency {
    /// Arithmetic mean.
    pub mean: f64,
    /// Median.
    pub p50: u64,
    /// 90th percentile.
    pub p90: u64,
    /// 95th percentile.
    pub p95: u64,
    /// 99th percentile.
    pub p99: u64,
    /// 99.9th percentile.
    pub p999: u64,
    /// Largest.
    pub max: u64,
}

impl LoadStats {
    /// Requests per second; none without a length.
    pub fn rate(&self) -> Option<f64> {
        let seconds = (self.to - self.from).0 as f64 / 1000.0;
        (seconds > 0.0).then(|| self.requests as f64 / seconds)
    }

    /// Share of the requests that failed, 0 to 1; none without requests.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.failed as f64 / self.requests as f64)
    }
}

/// What is measured of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LoadMeasure {
    /// Number of requests.
    Requests,
    /// Requests per second.
    Rate,
    /// Share of failed requests, 0 to 1.
    ErrorRatio,
    /// Median latency in milliseconds.
    P50,
    /// 90th percentile in milliseconds.
    P90,
    /// 95th percentile in milliseconds.
    P95,
    /// 99th percentile in milliseconds.
    P99,
    /// 99.9th percentile in milliseconds.
    P999,
    /// Largest latency in milliseconds.
    Max,
}

impl LoadMeasure {
    /// All, with the keys that scenarios use.
    pub const ALL: [(&'static str, Self); 9] = [
        ("requests", Self::Requests),
        ("rate", Self::Rate),
        ("error_ratio", Self::ErrorRatio),
        ("p50", Self::P50),
        ("p90", Self::P90),
        ("p95", Self::P95),
        ("p99", Self::P99),
        ("p999", Self::P999),
        ("max", Self::Max),
    ];

    /// Its value; none where there were no requests.
    pub fn of(self, stats: &LoadStats) -> Option<f64> {
        let milliseconds = |microseconds: u64| (stats.requests > 0).then_some(microseconds as f64 / 1000.0);
        match self {
            Self::Requests => Some(stats.requests as f64),
            Self::Rate => stats.rate(),
            Self::ErrorRatio => stats.error_ratio(),
            Self::P50 => milliseconds(stats.latency.p50),
            Self::P90 => milliseconds(stats.latency.p90),
            Self::P95 => milliseconds(stats.latency.p95),
            Self::P99 => milliseconds(stats.latency.p99),
            Self::P999 => milliseconds(stats.latency.p999),
            Self::Max => milliseconds(stats.latency.max),
        }
    }

    /// True for latencies, which are in milliseconds.
    pub fn is_latency(self) -> bool {
        !matches!(self, Self::Requests | Self::Rate | Self::ErrorRatio)
    }
}

impl fmt::Display for LoadMeasure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, measure)| measure == self).map_or("", |(name, _)| name);
        out.pad(name)
    }
}

/// A condition on a load's statistics in a phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadExpectation {
    /// The load.
    pub load: String,
    /// One step of it; all if absent.
    pub step: Option<String>,
    /// The phase.
    pub phase: LoadPhase,
    /// What is measured.
    pub measure: LoadMeasure,
    /// The condition; latencies in milliseconds.
    pub is: Comparison,
}
