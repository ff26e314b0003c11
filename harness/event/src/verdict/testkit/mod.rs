//! Scripted runs for tests: complete passing runs, to be changed in one place at a time.
//!
//! - [`passing_run`]: a database failure with its alert, users and recovery;
//! - [`recorded_run`]: a real run, as it was recorded;
//! - [`surge_run`]: a load that an autoscaler follows, with an SLO, a disruption budget and visitors in the background.

mod common;
mod failure;
mod recorded;
mod surge;

pub use common::*;
pub use failure::*;
pub use recorded::*;
pub use surge::*;
