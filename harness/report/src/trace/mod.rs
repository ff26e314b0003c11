//! A run as a trace in Chrome's Trace Event Format, for <https://ui.perfetto.dev> and `chrome://tracing`.
//!
//! The format: <https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU>. Times are microseconds since the
//! first event. A process of the trace is a kind of thing (faults, loads, alerts …), a thread is one thing of that kind; spans are
//! complete events (`X`), moments are instants (`i`), numbers are counters (`C`). A flow (`s`, `f`) leads from an alert to the
//! notification that told of it.

mod alerts;
mod counters;
mod expectations;
mod model;
mod tracks;

use harness_event::{Event, Verdict};

/// Folds a log into a trace.
///
/// # Errors
/// None in practice: every field is plain data.
pub fn trace(events: &[Event], verdict: &Verdict) -> Result<String, serde_json::Error> {
    let mut trace = model::Trace::new(events);
    tracks::add(&mut trace, events);
    alerts::add(&mut trace, events);
    expectations::add(&mut trace, events, verdict);
    counters::add(&mut trace, events);
    trace.into_json(events, verdict)
}
