//! The shape of a verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Labels, Millis, Timestamp};

/// Result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Positive evidence that the expectation was met.
    Passed,
    /// Nobody can tell; the reason says why.
    Inconclusive,
    /// Positive evidence that it was not met.
    Failed,
}

/// Result of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every check passed.
    Passed,
    /// A game day came to its end, with everything rolled back. It proves nothing, since nothing was expected.
    Ended,
    /// At least one check failed.
    Failed,
    /// The scenario cannot be met by this configuration; nothing was touched.
    Refused,
    /// No check failed, but not all passed.
    Inconclusive,
    /// Cluster or monitoring could not be reached or never got ready.
    NotReady,
    /// Cancelled by a signal; everything is rolled back.
    Aborted,
    /// A fault could not be undone.
    RollbackIncomplete,
    /// The harness itself failed; everything is rolled back.
    InternalError,
}

impl Outcome {
    /// Exit code of the process, as documented in the README.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Passed | Self::Ended => 0,
            Self::Failed => 1,
            Self::Refused => 2,
            Self::Inconclusive => 3,
            Self::NotReady => 4,
            Self::Aborted => 5,
            Self::RollbackIncomplete => 6,
            Self::InternalError => 70,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Passed => "passed",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Inconclusive => "inconclusive",
            Self::NotReady => "not ready",
            Self::Aborted => "aborted",
            Self::RollbackIncomplete => "rollback incomplete",
            Self::InternalError => "internal error",
        })
    }
}

/// One expectation with its result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Check {
    /// Expectation's id.
    pub id: String,
    /// One sentence.
    pub title: String,
    /// Line in the scenario file.
    pub line: u32,
    /// Result.
    pub outcome: CheckOutcome,
    /// What was measured, or why nothing can be said.
    pub reason: String,
    /// Measured time, where the expectation has a deadline and the thing happened.
    pub measured: Option<Millis>,
    /// Deadline.
    pub deadline: Option<Millis>,
}

/// How an alert ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// The expression stopped holding, with its inputs present.
    Explicit,
    /// Its inputs were gone: it resolved because there was no data.
    Absence,
    /// No evaluation ended it, but its samples stop.
    Unknown,
}

/// The way of one expected alert through the pipeline. Times are wall-clock times corrected for the clocks' offset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Detection {
    /// Alert name.
    pub alert: String,
    /// Labels of the first series that matched.
    pub labels: Labels,
    /// Fault.
    pub fault: String,
    /// The fault's effect.
    pub effect_at: Timestamp,
    /// First sample of `ALERTS` in any state.
    pub pending_at: Option<Timestamp>,
    /// First sample with `alertstate="firing"`.
    pub firing_at: Option<Timestamp>,
    /// First notification at the receiver.
    pub delivered_at: Option<Timestamp>,
    /// The revert's effect.
    pub healed_at: Option<Timestamp>,
    /// Stale marker of the last firing series.
    pub resolved_at: Option<Timestamp>,
    /// How it resolved.
    pub resolution: Option<Resolution>,
    /// First notification with status `resolved` after that.
    pub resolved_delivered_at: Option<Timestamp>,
    /// Number of separate firing episodes.
    pub episodes: u32,
}

/// The verdict over a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// Result.
    pub outcome: Outcome,
    /// Why it is not passed, or remarks. Each names its cause.
    pub reasons: Vec<String>,
    /// One per expectation, in the scenario's order.
    pub checks: Vec<Check>,
    /// One per expected alert.
    pub detections: Vec<Detection>,
    /// Faults that could not be undone, with what is left.
    pub left_behind: Vec<String>,
    /// What limits the meaning of the checks without making them doubtful: compressed time, windows longer than the history. For
    /// people; shown with every verdict.
    #[serde(default)]
    pub caveats: Vec<String>,
}
