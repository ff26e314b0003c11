//! What happens in a run, in words: the lines that the plain view prints and that the log of the terminal view keeps. One place
//! makes them, so that both say the same.

mod figures;
mod narrator;
mod progress;
mod words;

pub use figures::{burn, latency, long, percent, trimmed, window};
pub use narrator::{Detail, Narrator, Told};
pub use words::{describe_alert, excerpt, fault_does};
