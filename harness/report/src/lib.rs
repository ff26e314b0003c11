//! Reports over a run: each is a pure function of its events.
//!
//! - [`LineView`]: a line for everything that people care about, as it happens, and the summary at the end;
//! - [`RunResult`]: `result.json`, for programs;
//! - [`html`]: `report.html`, a run on one page, for people;
//! - [`junit`]: `junit.xml`, for CI, one test case per expectation;
//! - [`markdown`]: `summary.md`, for the page of a CI job;
//! - [`trace`]: `trace.json`, for Perfetto.

mod duration;
mod game_day;
mod html;
mod junit;
mod line;
mod links;
mod loads;
mod markdown;
mod objectives;
mod result;
#[cfg(test)]
mod schema;
mod style;
mod summary;
mod table;
mod timeline;
mod trace;

pub use html::{HtmlError, HtmlOptions, html};
pub use junit::junit;
pub use line::LineView;
pub use links::{Dashboard, Link, dashboard_links};
pub use loads::{LoadFigures, LoadReport};
pub use markdown::{LIMIT as MARKDOWN_LIMIT, MarkdownOptions, markdown};
pub use objectives::{SloReport, WindowReport};
pub use result::{RESULT_FORMAT, RunResult, Timing};
pub use style::{Style, Tone};
pub use summary::{conclusion, summary};
pub use timeline::{FaultSpan, LoadSpan, PhaseSpan, Timeline};
pub use trace::trace;
