//! Service level objectives: what is expected of the error budget, and what was measured of it.
//!
//! An SLO is known by its `sloth_id` and read from Prometheus alone: from the recording rules that Sloth, or `harness slo
//! rules`, generated.

use serde::{Deserialize, Serialize};

use crate::{Millis, Timestamp};

/// A condition on the error budget of an SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SloExpectation {
    /// `sloth_id`.
    pub slo: String,
    /// What.
    pub goal: SloGoal,
    /// Fewer requests than these in the run prove nothing about a ratio.
    pub min_requests: u64,
}

/// What is expected of an error budget from the effect of the fault (the start of the load) to the end of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "goal", rename_all = "snake_case")]
pub enum SloGoal {
    /// The burn rate over a window stays at or below this. A burn rate of 1 spends exactly the budget in the SLO's period.
    BurnStaysBelow {
        /// One of the SLO's windows, in its own (uncompressed) time.
        window: Millis,
        /// Largest burn rate allowed.
        rate: f64,
    },
    /// The run spends at most this share of the period's error budget, 0 to 1.
    BudgetSpentBelow {
        /// Largest share allowed.
        share: f64,
    },
}

/// What Prometheus knows about an SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SloDefinition {
    /// `sloth_id`.
    pub slo: String,
    /// `sloth_service`.
    pub service: String,
    /// Objective as a ratio: 0.999.
    pub objective: f64,
    /// Period of the error budget, in the SLO's own time.
    pub period: Millis,
    /// Windows for which an error ratio is recorded, shortest first.
    pub windows: Vec<SloWindow>,
    /// Expression of the shortest window's error ratio, as loaded.
    pub expression: String,
}

impl SloDefinition {
    /// How much of the SLO's own time passes in `length`: more where time is compressed.
    pub fn own_time(&self, length: Millis) -> Millis {
        // The longest window is rounded least.
        let longest = self.windows.iter().max_by_key(|window| window.length);
        let factor = longest
            .filter(|window| window.length > Millis(0))
            .map_or(1.0, |window| window.window.as_secs_f64() / window.length.as_secs_f64());
        Millis::from_secs_f64(length.as_secs_f64() * factor)
    }
}

/// A window of an SLO.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SloWindow {
    /// In the SLO's own time, the label `sloth_window`: `5m`.
    pub window: Millis,
    /// Length over which it is computed here: shorter where time is compressed.
    pub length: Millis,
    /// Recorded series: `slo:sli_error:ratio_rate5m`.
    pub record: String,
}

/// Burn rates of an SLO at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SloSample {
    /// `sloth_id`.
    pub slo: String,
    /// Evaluation time, on Prometheus' clock.
    pub sampled_at: Timestamp,
    /// One per window, in the definition's order; none where the ratio has no value (no traffic).
    pub burn_rates: Vec<Option<f64>>,
    /// How far back the data of the error ratio goes. Windows longer than this rest on less than they say (C19).
    pub history: Millis,
}

/// What a run did to an error budget.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SloUsage {
    /// `sloth_id`.
    pub slo: String,
    /// Start of the measured time: the first call of the first fault (what it breaks before its effect is seen counts too), or the
    /// start of the first timed load.
    pub from: Timestamp,
    /// Its end: the end of the recovery phase.
    pub to: Timestamp,
    /// Events (requests) in it; none where the total could not be read.
    pub total: Option<f64>,
    /// Those that were errors.
    pub errors: Option<f64>,
    /// Errors that [`Self::errors`] lacks: what counters that were new in this time had counted before their first sample, which no
    /// rate sees (C19). Rather too many than too few; none where that cannot be told.
    #[serde(default)]
    pub unseen_errors: Option<f64>,
    /// How far the data reaches: the newest sample of the target whose data is oldest. On Prometheus' clock.
    #[serde(default)]
    pub known_until: Option<Timestamp>,
    /// Until when what happened is in the recorded error ratios, which lag behind the data by an evaluation. On Prometheus' clock.
    #[serde(default)]
    pub recorded_until: Option<Timestamp>,
    /// For how long of the measured time there was no series at all to count events. None if that cannot be told.
    #[serde(default)]
    pub blind: Option<Millis>,
    /// Share of errors in it; none without events.
    pub error_ratio: Option<f64>,
    /// Share of the period's budget that was spent, 0 to 1 and above: error ratio / (1 - objective) * length / period, where
    /// the length is in the SLO's own time.
    pub budget_spent: Option<f64>,
    /// The same as time: of complete failure, in the SLO's own time.
    pub spent_time: Option<Millis>,
    /// Time until a full budget is spent at the mean burn rate of the measured time, in the SLO's own time; none if nothing burns.
    pub exhausted_in: Option<Millis>,
    /// Highest burn rate per window, in the definition's order.
    pub peaks: Vec<Option<f64>>,
    /// What makes these figures less than they seem: windows longer than the history, little traffic, counters that started
    /// above zero, missed samples. For people.
    pub caveats: Vec<String>,
}
