//! Service level objectives during a run: which rules Prometheus has of them, how fast their error budgets burn, and what the run
//! cost of them.
//!
//! Everything is read from Prometheus, from the rules that Sloth or `harness slo rules` made: an SLO is known by its `sloth_id`.

mod check;
mod definition;
mod expression;
mod figures;
mod history;
mod measure;
mod watch;

pub use self::{
    check::{SloCheck, check_slos},
    definition::{Slo, SloError, find_slos, known_slos},
    measure::measure_slo,
    watch::{sample_slos, watch_slos},
};
