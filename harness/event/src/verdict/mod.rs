//! What a run proved: a pure fold of its events.
//!
//! Three values, fail-closed. A check passes only on positive evidence from the source itself; missing evidence, disturbed
//! monitoring and unproven faults make it inconclusive with the reason. The rules are those of alerting itself:
//!
//! - pending, firing and resolved times are sample times of `ALERTS` (a stale marker is the end), never polling times;
//! - delivered is the receiver's own receive time;
//! - deadlines count from the time at which the fault's effect (or its removal's) was seen;
//! - the uncertainty between the clocks is taken off on both sides: what lies inside it is inconclusive;
//! - "resolved" counts only while the data is still there and the service is healthy.

mod alerts;
mod autoscaling;
mod caveats;
mod conclude;
mod facts;
#[cfg(test)]
mod game_day_tests;
mod http;
mod load;
mod load_facts;
mod monitoring;
mod outcome;
mod promql;
mod recovery;
mod slo;
#[cfg(test)]
mod stopped_tests;
#[cfg(test)]
mod surge_tests;
#[cfg(any(test, feature = "testkit"))]
pub mod testkit;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod traps;
mod unexpected;
mod workload;

pub use autoscaling::Scaling;
pub(crate) use conclude::deadline;
pub use outcome::{Check, CheckOutcome, Detection, Outcome, Resolution, Verdict};
