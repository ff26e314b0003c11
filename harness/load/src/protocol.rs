//! What goes between the harness and its load worker.

use std::collections::BTreeMap;

use harness_event::{LoadPhase, LoadSpec, Millis, Timestamp};
use serde::{Deserialize, Serialize};

/// Version of this protocol. Both sides are the same program, but not necessarily the same build of it.
pub const PROTOCOL_VERSION: u32 = 1;
/// Significant digits of the latency histograms.
pub const HISTOGRAM_DIGITS: u8 = 3;
/// Largest latency that a histogram holds, in microseconds. What takes longer counts as this long.
pub const HISTOGRAM_MAX_US: u64 = 600_000_000;

/// First line on the worker's standard input: what to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assignment {
    /// [`PROTOCOL_VERSION`] of the sender.
    pub protocol: u32,
    /// Name of the run, for `${run.id}`.
    pub run: String,
    /// The load, with every `service://` address replaced by one that can be connected to.
    pub load: LoadSpec,
    /// Certificates of private authorities that are trusted beside the system's, PEM.
    pub ca_pem: Option<String>,
    /// Contents of files that bodies name, Base64, by their path as written in the scenario.
    pub files: BTreeMap<String, String>,
    /// Phase in which requests are counted until a [`Command::Phase`] comes. Requests that start before the warm-up is over
    /// count as [`LoadPhase::WarmUp`] whatever this says.
    pub phase: LoadPhase,
}

/// Further lines on the worker's standard input. End of input means that the harness is gone: the worker stops at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Starts the load; the worker waits for it after [`Message::Ready`].
    Start,
    /// Requests whose start (with a rate: whose intended start) is later count in this phase.
    Phase {
        /// The phase.
        phase: LoadPhase,
    },
    /// No new requests until [`Command::Resume`]. With a rate, starts that fall into the pause are not owed.
    Pause,
    /// Goes on.
    Resume,
    /// Multiplies the rate of the schedule from now on. Without a rate it is refused with a [`Message::Failed`].
    Rate {
        /// Factor, at least 0.
        factor: f64,
    },
    /// No new requests; those in flight may end within their time limits, then [`Message::Done`].
    Stop,
}

/// A line on the worker's standard output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// First line.
    Hello {
        /// [`PROTOCOL_VERSION`] of the worker.
        protocol: u32,
    },
    /// The assignment is understood, the setup steps are done, connections can be made.
    Ready,
    /// The first user was started (or the first start of the schedule is due).
    Started {
        /// When.
        started_at: Timestamp,
    },
    /// What was done in about one second. Sent every second, also when nothing happened: silence means a hang.
    Frame(Frame),
    /// Last line of a load that came to its end.
    Done {
        /// Why it ended.
        reason: Reason,
        /// When the last answer was there.
        ended_at: Timestamp,
        /// All requests of all frames, to check that none was lost.
        requests: u64,
    },
    /// Last line of a load that could not be carried out, or an answer to a command that cannot be obeyed.
    Failed {
        /// Why, for people.
        error: String,
    },
}

/// Why a load ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The total of requests was reached.
    Requests,
    /// The duration was over.
    Duration,
    /// It was told to stop.
    Stopped,
}

/// One interval of the load.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Frame {
    /// Number of the frame, from 0, without gaps.
    pub number: u64,
    /// Start of the interval. Requests are in the frame in which their answer came.
    pub from: Timestamp,
    /// Its length.
    pub length: Millis,
    /// Users that are running.
    pub users: u32,
    /// How far the load is behind its schedule: the age of the oldest start that is due and has no user. Zero without a rate.
    pub behind: Millis,
    /// Starts that the schedule asked for since the beginning. Zero without a rate.
    pub due: u64,
    /// Requests begun since the beginning.
    pub begun: u64,
    /// What was done, by phase and step. Steps without requests are left out.
    pub entries: Vec<Entry>,
}

/// Requests of one step in one phase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Phase in which they started.
    pub phase: LoadPhase,
    /// Step, as its place in [`LoadSpec::steps`].
    pub step: usize,
    /// Answers by status code.
    #[serde(with = "harness_event::status_counts")]
    pub statuses: BTreeMap<u16, u64>,
    /// Requests without an answer by kind of error: `connect`, `timeout`, `reset`, `protocol`, `tls`, `body`, `value` (a value
    /// that a request needs was not in an earlier answer).
    pub errors: BTreeMap<String, u64>,
    /// Answers whose status code is not the expected one, and requests without an answer.
    pub failed: u64,
    /// Bytes of bodies received.
    pub bytes: u64,
    /// When the first of them started (with a rate: should have started).
    pub first_start: Timestamp,
    /// Latencies in microseconds to the complete answer, from the start, or with a rate from the intended start. An
    /// [`hdrhistogram`] in its V2 serialization, Base64. Requests without an answer are in it with the time until giving up.
    pub latencies: String,
}

impl Entry {
    /// All requests.
    pub fn requests(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.errors.values().sum::<u64>()
    }
}
