//! A scenario out of what was done: the log of a game day, or of any run, as a file that can be run again.
//!
//! Faults and loads are as they really were; what was seen of them becomes what must be seen, with the measured times and room
//! for a slower machine. All of it is a proposal, written so that a person goes on from there: each deadline has its measured
//! time beside it, and what could not be made an expectation is said in a comment. What comes out always passes the checks of a
//! file: it is checked before it is given away.

mod alerts;
mod expect;
mod loads;
mod parts;
mod stimuli;
mod write;

use harness_event::{Chronicle, Event, EventKind, RunMode};

use crate::{Diagnostics, parse};

/// How a scenario is made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Make faults longer where the deadline of an alert would lie after their end. Otherwise they stay as they were, and what
    /// came too late is not expected.
    pub lengthen: bool,
}

/// A scenario file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Its text.
    pub text: String,
    /// What one should know of it, for people.
    pub remarks: Vec<String>,
}

/// Why there is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The log does not begin as one.
    #[error("the log does not say what the run set out to do")]
    NoRun,
    /// Without a fault or load that was seen, nothing happens in it.
    #[error("nothing was injected: there is no fault whose effect was seen, and no load that came to an end")]
    NothingDone,
    /// What was made is not a scenario. Not for any log that was recorded by a run of this version.
    #[error("what the log says cannot be written as a scenario")]
    Invalid(#[source] Diagnostics),
}

/// Makes a scenario of a log.
///
/// # Errors
/// See [`ExportError`].
pub fn export(events: &[Event], options: ExportOptions) -> Result<Exported, ExportError> {
    let first = events.first().ok_or(ExportError::NoRun)?;
    let EventKind::RunStarted { run, mode, plan, .. } = &first.kind else {
        return Err(ExportError::NoRun);
    };
    let chronicle = Chronicle::of(events);
    let mut remarks = Vec::new();
    let mut stimuli = stimuli::of(&chronicle, &mut remarks);
    if stimuli.is_empty() {
        return Err(ExportError::NothingDone);
    }
    let mut judged = alerts::propose(&chronicle, plan, &stimuli);
    stimuli::give_time(&mut stimuli, &mut judged, options);
    let what = if *mode == RunMode::GameDay { "a game day" } else { "a run" };
    let mut out = write::Document::default();
    parts::head(&mut out, run, what, first.at, &chronicle);
    parts::surroundings(&mut out, run, plan);
    parts::probes(&mut out, &plan.probes);
    loads::write(&mut out, plan, &stimuli);
    stimuli::write_faults(&mut out, &stimuli, &remarks);
    expect::write(&mut out, events, &chronicle, plan, &stimuli, &judged);
    let text = out.finish();
    if judged.too_late() > 0 {
        remarks.push(
            "alerts came too late to be expected of faults as short as they were: `--lengthen` makes those longer"
                .to_owned(),
        );
    }
    let scenario = parse("exported scenario", &text).map_err(ExportError::Invalid)?;
    remarks.extend(
        scenario.warnings.iter().map(|warning| format!("line {}: {}", warning.line, warning.message)),
    );
    Ok(Exported { text, remarks })
}
