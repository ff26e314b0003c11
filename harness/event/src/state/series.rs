//! A bounded series of values over the run's time.

use std::collections::VecDeque;

use crate::Millis;

/// Points that are kept: ten minutes of one a second.
pub const SERIES_LENGTH: usize = 600;

/// Values over time, oldest first. A point without a value is a sample that is missing, which is not zero.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    points: VecDeque<(Millis, Option<f64>)>,
}

impl Series {
    /// Adds a point; the oldest goes if there are too many. A point at the time of the last one replaces it.
    pub fn push(&mut self, elapsed: Millis, value: Option<f64>) {
        self.push_bounded(elapsed, value, SERIES_LENGTH);
    }

    /// As [`Self::push`], with a bound of its own.
    pub(super) fn push_bounded(&mut self, elapsed: Millis, value: Option<f64>, bound: usize) {
        if self.points.back().is_some_and(|(last, _)| *last == elapsed) {
            self.points.pop_back();
        }
        while self.points.len() >= bound.max(1) {
            self.points.pop_front();
        }
        self.points.push_back((elapsed, value));
    }

    /// Time since the start of the run, and value.
    pub fn points(&self) -> impl DoubleEndedIterator<Item = (Millis, Option<f64>)> + ExactSizeIterator + '_ {
        self.points.iter().copied()
    }

    /// The newest point's value.
    pub fn last(&self) -> Option<f64> {
        self.points.back().and_then(|(_, value)| *value)
    }

    /// True before the first point.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_points_are_kept() {
        let mut series = Series::default();
        for second in 0..1000 {
            series.push(Millis::from_secs(second), Some(second as f64));
        }
        series.push(Millis::from_secs(999), None);
        assert_eq!(series.points().len(), SERIES_LENGTH);
        assert_eq!(series.points().next(), Some((Millis::from_secs(400), Some(400.0))));
        assert_eq!(series.last(), None);
    }
}
