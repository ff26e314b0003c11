//! How far Prometheus' clock is from ours (rule C6): alert times are its, everything else is ours.

use std::time::{Duration, Instant};

use harness_event::{Millis, Timestamp};

use super::{Error, Prometheus};

/// Offset of a clock and how wrong it may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// Positive: Prometheus is ahead of us.
    pub offset: Millis,
    /// Half the round trip, rounded up, and the server's resolution of a millisecond.
    pub bound: Millis,
}

/// Asks for `time()` several times and keeps the measurement with the shortest round trip.
///
/// # Errors
/// If there is no usable answer to the first question; later failures only end the series.
pub async fn clock_offset(prometheus: &Prometheus, rounds: u32) -> Result<ClockOffset, Error> {
    let mut best: Option<(Duration, ClockOffset)> = None;
    for _ in 0..rounds.max(1) {
        let (sent_at, sent) = (Timestamp::now(), Instant::now());
        // Evaluated at the server's now, which has milliseconds.
        let answer = match prometheus.query("time()", None).await {
            Ok(answer) => answer,
            Err(error) if best.is_none() => return Err(error),
            Err(_) => break,
        };
        let round_trip = sent.elapsed();
        let theirs = answer.first().map(|sample| Timestamp::from_seconds(sample.value));
        let theirs = theirs
            .ok_or_else(|| prometheus.upstream().unreadable("/api/v1/query", "time() returned nothing"))?;
        if best.is_none_or(|(shortest, _)| round_trip < shortest) {
            best = Some((round_trip, measured(sent_at, round_trip, theirs)));
        }
    }
    best.map(|(_, offset)| offset)
        .ok_or_else(|| prometheus.upstream().unreadable("/api/v1/query", "time() was not answered"))
}

fn measured(sent_at: Timestamp, round_trip: Duration, theirs: Timestamp) -> ClockOffset {
    // In microseconds: half a millisecond matters here.
    let half = Millis((round_trip.as_micros() / 2).div_ceil(1000) as i64);
    let midpoint = sent_at + Millis((round_trip.as_micros() as i64 / 2 + 500) / 1000);
    ClockOffset { offset: theirs - midpoint, bound: half + Millis(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_midpoint_is_compared() {
        let offset = measured(Timestamp(1000), Duration::from_millis(10), Timestamp(1305));
        assert_eq!(offset, ClockOffset { offset: Millis(300), bound: Millis(6) });
        let offset = measured(Timestamp(1000), Duration::from_micros(400), Timestamp(990));
        assert_eq!(offset, ClockOffset { offset: Millis(-10), bound: Millis(2) });
    }
}
