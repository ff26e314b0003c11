//! What the receiver and the harness say to each other.

use harness_event::{Notification, Timestamp};
use serde::{Deserialize, Serialize};

/// Answer to `GET /v1/notifications?after=N&wait=MS`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// Random id of the receiver's process: another one means that it restarted and forgot everything.
    pub instance: String,
    /// The receiver's clock when it answered.
    pub now: Timestamp,
    /// Number of the last notification so far, 0 if there was none.
    pub last: u64,
    /// Notifications after `N`, in order.
    pub notifications: Vec<Received>,
}

/// A notification with its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Received {
    /// From 1, without gaps.
    pub number: u64,
    /// The notification.
    #[serde(flatten)]
    pub notification: Notification,
}

/// Path of the long poll.
pub(super) const PATH: &str = "/v1/notifications";

/// Longest wait of one poll, in milliseconds.
pub(super) const LONGEST_WAIT: u64 = 30_000;
