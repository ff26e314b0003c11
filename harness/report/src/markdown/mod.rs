//! The summary of a run as Markdown, for a CI job's page or a comment (GitHub's and GitLab's flavour).
//!
//! Verdict and reason come first. Whatever the log holds, the text stays below [`LIMIT`]: cells are cut, and tables end with how many
//! rows are not shown.

mod document;
mod escape;
mod sections;

use harness_event::{Event, Verdict};

pub use document::LIMIT;

use crate::links::Link;

/// What a summary shows beside what the log says.
#[derive(Clone, Debug, Default)]
pub struct MarkdownOptions {
    /// Links to dashboards.
    pub links: Vec<Link>,
}

/// Folds a log into a summary.
pub fn markdown(events: &[Event], verdict: &Verdict, options: &MarkdownOptions) -> String {
    sections::all(events, verdict, options)
}
