//! [`RunState`]: everything that a view shows of a run, as a fold over its events.
//!
//! The fold is cheap (no event is kept, no list is searched from its beginning) and bounded: series keep
//! [`SERIES_LENGTH`] points, the log [`LOG_LENGTH`] lines, and so on for everything that may grow with the length of a run rather
//! than with the size of the system. It takes no time but the events' own, so a replay gives the same state.
//!
//! What it says about expectations before the verdict is what polling shows ([`Progress`]): it never claims more than is known.

mod alerts;
mod expectations;
mod faults;
mod fold;
mod loads;
mod model;
mod objects;
mod pods;
mod series;
#[cfg(test)]
mod tests;

pub use model::{
    AlertKind, AlertPhase, AlertView, AutoscalerView, BudgetView, Connection, ExpectationView, FaultStage,
    FaultView, LoadStage, LoadView, LogLineView, PhaseSpan, PodView, Progress, RunState, SloView, Subject,
    Tone,
};
pub use series::{SERIES_LENGTH, Series};

/// Lines of the log that are kept, newest last.
pub const LOG_LENGTH: usize = 5_000;
/// Characters of a line of the log that are kept.
pub const LOG_LINE_LENGTH: usize = 4_000;
/// Points of a pod's usage that are kept: there may be thousands of pods.
pub const POD_SERIES_LENGTH: usize = 60;
/// Notifications that are kept, newest last.
pub const NOTIFICATIONS_KEPT: usize = 500;
/// Alerts that are kept. Beyond that, those that were inactive for the longest time are dropped.
pub const ALERTS_KEPT: usize = 2_000;
/// Log excerpts that are kept, newest last.
pub const POD_LOGS_KEPT: usize = 200;
/// Objects of which Events are kept; those of which one was first seen longest ago are dropped.
pub const OBJECTS_WITH_EVENTS: usize = 2_000;
/// Events that are kept of an object, newest last.
pub const EVENTS_KEPT: usize = 20;
/// States that are kept of a pod or an alert, newest last.
pub const HISTORY_KEPT: usize = 30;
