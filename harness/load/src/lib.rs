//! Load on the system under test, made by a process of its own.
//!
//! goose takes over Ctrl-C and may end its process, so it runs in a child: `harness load-worker`. The child reads one
//! [`Assignment`] and then [`Command`]s from standard input and writes [`Message`]s to standard output, one JSON object a line.
//! Latencies travel as histograms, which merge without loss; nothing is averaged on the way.

mod protocol;
#[cfg(feature = "worker")]
pub mod worker;

pub use protocol::{
    Assignment, Command, Entry, Frame, HISTOGRAM_DIGITS, HISTOGRAM_MAX_US, Message, PROTOCOL_VERSION, Reason,
};
