//! `report.html`: a run on one page, for people.
//!
//! One file without any network access, a pure function of the log: the verdict and the sentence that says why first, then what
//! happened on one shared time axis, then each expectation with its evidence.
//!
//! Everything in a log is untrusted: labels, answers, log lines and notes were written by the system under test. Templates are
//! minijinja's with autoescape, because escaping is then the property of the one function that writes any value ([`text::write`])
//! and not of each place that writes one; no template marks a value as safe. That function also shows control characters and
//! those that turn the direction of text, so that no name can disguise itself. Style and script are the only safe values, and are
//! constants; the script is named by its hash in the page's content security policy, under which nothing else runs.
//!
//! Each section is a view: a struct of texts and coordinates, filled by a module of its own, written by a template of the same
//! name.

mod alerts;
mod axis;
mod checks;
mod evidence;
mod evidence_of_load;
mod figures;
mod head;
mod lanes;
mod lanes_of_alerts;
mod lanes_of_health;
mod log;
mod log_faults;
mod page;
mod plot;
mod pods;
mod run;
mod runs_of;
mod series;
mod series_of_system;
mod story;
mod table;
mod text;
mod timeline;
mod way;

pub use page::{HtmlError, HtmlOptions, html};
