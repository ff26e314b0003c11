//! The envelope of a fact.

use serde::{Deserialize, Serialize};

use crate::{EventKind, Millis, Timestamp};

/// One recorded fact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Event {
    /// Place in the run's total order, from 0, without gaps.
    pub seq: u64,
    /// Wall clock when the conductor recorded it. The time at which the thing itself happened, where that is known better, is a
    /// field of the kind.
    pub at: Timestamp,
    /// Monotonic time since the start of the run.
    pub elapsed: Millis,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}
