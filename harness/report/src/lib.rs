//! Reports over a run: each is a pure function of its events.
//!
//! - [`LineView`]: a line for everything that people care about, as it happens, and the summary at the end;
//! - [`RunResult`]: `result.json`, for programs;
//! - [`junit`]: `junit.xml`, for CI, one test case per expectation.

mod duration;
mod junit;
mod line;
mod loads;
mod objectives;
mod progress;
mod result;
mod style;
mod summary;
mod table;

pub use junit::junit;
pub use line::LineView;
pub use loads::{LoadFigures, LoadReport};
pub use objectives::{SloReport, WindowReport};
pub use result::{RESULT_FORMAT, RunResult, Timing};
pub use style::{Style, Tone};
pub use summary::summary;
