//! Back-off between restarts and image pulls: 10 s, doubling to 300 s, forgotten after 10 minutes without trouble.
//!
//! The rule is the kubelet's (client-go's `flowcontrol.Backoff`): an event outside the current back-off starts the container
//! at once and doubles the wait for the next time, so the first restart is immediate.

use std::time::Duration;

use jiff::Timestamp;

/// First wait.
pub const INITIAL: Duration = Duration::from_secs(10);
/// Longest wait.
pub const MAX: Duration = Duration::from_secs(300);

/// Back-off of one container. Time is passed in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    current: Option<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    wait: Duration,
    updated: Timestamp,
}

impl Backoff {
    /// When an attempt after an end at `ended` may be made; `None` if it may be made now.
    pub fn wait_until(&self, ended: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let entry = self.current.filter(|entry| !expired(entry, ended))?;
        let until = ended + entry.wait;
        (now < until).then_some(until)
    }

    /// The wait that applies at present, for messages.
    pub fn current(&self) -> Duration {
        self.current.map_or(INITIAL, |entry| entry.wait)
    }

    /// An attempt is made now after an end at `ended`: the next wait doubles.
    pub fn next(&mut self, ended: Timestamp, now: Timestamp) {
        let wait = match self.current {
            Some(entry) if !expired(&entry, ended) => (entry.wait * 2).min(MAX),
            _ => INITIAL,
        };
        self.current = Some(Entry { wait, updated: now });
    }
}

fn expired(entry: &Entry, ended: Timestamp) -> bool {
    ended.duration_since(entry.updated) > (MAX * 2).try_into().unwrap_or(jiff::SignedDuration::MAX)
}

/// A duration as Go prints it: `10s`, `1m20s`, `5m0s`.
pub fn go_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_000_000 + second).unwrap()
    }

    #[test]
    fn the_first_restart_is_immediate_then_10_20_40_to_300() {
        let mut backoff = Backoff::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..8 {
            // Runs for a second, ends, waits what it has to.
            let ended = at(now + 1);
            let start = backoff.wait_until(ended, ended).unwrap_or(ended);
            waits.push(start.duration_since(ended).as_secs());
            assert_eq!(backoff.wait_until(ended, start), None);
            backoff.next(ended, start);
            now = start.duration_since(at(0)).as_secs();
        }
        assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    }

    #[test]
    fn a_container_that_ran_for_ten_minutes_starts_again_from_ten_seconds() {
        let mut backoff = Backoff::default();
        backoff.next(at(0), at(0));
        backoff.next(at(1), at(11));
        assert_eq!(backoff.current(), Duration::from_secs(20));
        let ended = at(11 + 601);
        assert_eq!(backoff.wait_until(ended, ended), None);
        backoff.next(ended, ended);
        assert_eq!(backoff.current(), INITIAL);
    }

    #[test]
    fn durations_read_as_in_go() {
        let texts: Vec<String> = [10, 80, 300].map(|s| go_duration(Duration::from_secs(s))).to_vec();
        assert_eq!(texts, ["10s", "1m20s", "5m0s"]);
    }
}
