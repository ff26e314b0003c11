//! The one time axis of a page.

use harness_event::{Millis, Timestamp};
use serde::Serialize;

/// Units of a path from the beginning of the axis to its end.
pub(super) const WIDTH: i64 = 4000;

/// A stretch of time, in milliseconds since the start of the run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    pub(super) from: i64,
    pub(super) to: i64,
    /// The wall clock at zero.
    pub(super) zero: Timestamp,
}

/// A mark of the axis.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Tick {
    /// Percent of the width.
    pub(super) x: String,
    pub(super) label: String,
    /// Where the label stands that would stick out: `start` or `end` of the axis.
    pub(super) edge: &'static str,
}

impl Axis {
    pub(super) fn new(from: i64, to: i64, zero: Timestamp) -> Self {
        let from = from.max(0);
        Self { from, to: to.max(from + 1000), zero }
    }

    fn share(&self, at: i64) -> f64 {
        ((at - self.from) as f64 / (self.to - self.from) as f64).clamp(0.0, 1.0)
    }

    /// Place of a time in percent, without the sign.
    pub(super) fn percent(&self, at: i64) -> f64 {
        (self.share(at) * 10_000.0).round() / 100.0
    }

    /// Place of a time, for an attribute.
    pub(super) fn x(&self, at: i64) -> String {
        format!("{}%", self.percent(at))
    }

    /// Width of a stretch, for an attribute.
    pub(super) fn width(&self, from: i64, to: i64) -> String {
        let width = (self.percent(to) - self.percent(from)).max(0.0);
        format!("{}%", (width * 100.0).round() / 100.0)
    }

    /// Place of a time in a path.
    pub(super) fn unit(&self, at: i64) -> i64 {
        (self.share(at) * WIDTH as f64).round() as i64
    }

    pub(super) fn shows(&self, from: i64, to: i64) -> bool {
        to >= self.from && from <= self.to
    }

    /// `+12.34s, 18:15:30.123 UTC`.
    pub(super) fn told(&self, at: i64) -> String {
        format!("{}, {} UTC", super::text::elapsed(at), (self.zero + Millis(at)).clock())
    }

    /// Marks at round times, at most eight.
    pub(super) fn ticks(&self) -> Vec<Tick> {
        const SECOND: i64 = 1000;
        const STEPS: [i64; 18] =
            [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400];
        let length = self.to - self.from;
        let step = STEPS.iter().map(|step| step * SECOND).find(|step| length / step < 8);
        let step = step.unwrap_or_else(|| (length / 8 / 86_400_000 + 1) * 86_400_000);
        let first = (self.from + step - 1) / step * step;
        let times = std::iter::successors(Some(first), |at| Some(at + step)).take_while(|at| *at <= self.to);
        let edge = |at: i64| match self.percent(at) {
            low if low < 2.5 => "start",
            high if high > 97.5 => "end",
            _ => "",
        };
        times.map(|at| Tick { x: self.x(at), label: label(at), edge: edge(at) }).collect()
    }
}

/// `45s`, `1m30`, `2h05m`.
fn label(ms: i64) -> String {
    let seconds = ms / 1000;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, 0) => format!("{minutes}m"),
        (0, minutes, seconds) => format!("{minutes}m{seconds:02}"),
        (hours, 0, _) => format!("{hours}h"),
        (hours, minutes, _) => format!("{hours}h{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_few() {
        for (from, to) in
            [(0, 900), (3171, 49_832), (0, 93_719), (4524, 84_026), (0, 3_600_000 * 30), (0, 86_400_000 * 90)]
        {
            let ticks = Axis::new(from, to, Timestamp(0)).ticks();
            assert!((1..=9).contains(&ticks.len()), "{from} {to}: {ticks:?}");
        }
        let labels: Vec<_> =
            Axis::new(3171, 93_719, Timestamp(0)).ticks().into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["15s", "30s", "45s", "1m", "1m15", "1m30"]);
    }

    #[test]
    fn what_is_outside_stays_at_the_edge() {
        let axis = Axis::new(1000, 3000, Timestamp(0));
        assert_eq!((axis.x(0), axis.x(2000), axis.x(9000)), ("0%".into(), "50%".into(), "100%".into()));
        assert_eq!(axis.width(1500, 2000), "25%");
        assert_eq!(axis.unit(2000), WIDTH / 2);
    }
}
