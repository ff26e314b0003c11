//! [`RunState`]: everything that a view shows of a run, as a fold over its events.
//!
//! The fold is cheap (no event is kept, no list is searched from its beginning) and bounded: series keep
//! [`SERIES_LENGTH`] points, the log [`LOG_LENGTH`] lines. It takes no time but the events' own, so a replay gives the same state.

mod model;
mod series;

pub use model::{
    AlertKind, AlertPhase, AlertView, AutoscalerView, BudgetView, Connection, ExpectationView, FaultStage,
    FaultView, LoadStage, LoadView, LogLineView, PhaseSpan, PodView, Progress, RunState, SloView, Subject,
    Tone,
};
pub use series::{SERIES_LENGTH, Series};

/// Lines of the log that are kept, newest last.
pub const LOG_LENGTH: usize = 5_000;
