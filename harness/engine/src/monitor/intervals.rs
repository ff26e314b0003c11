//! From the stored samples of `ALERTS` to the intervals in which an alert was pending or firing.

use std::collections::BTreeMap;

use harness_event::{AlertInterval, AlertSeries, IntervalEnd, Labels, Millis, Timestamp};

use super::protobuf::{RawSample, RawSeries};

/// Splits every `ALERTS` series into maximal runs of samples.
///
/// A run ends with a stale marker ([`IntervalEnd::Stale`]: the alert left the state at that evaluation), or without one when
/// the next sample, or the window's end, is more than one and a half evaluation intervals away ([`IntervalEnd::Unknown`]:
/// crash, rule error, series limit). A run whose last sample is near the window's end is [`IntervalEnd::Open`]. Samples
/// outside of the window are left out: servers differ in whether its left end belongs to it. `interval_of` gives the
/// evaluation interval by alert name.
pub fn alert_series(
    raw: Vec<RawSeries>,
    from: Timestamp,
    to: Timestamp,
    interval_of: impl Fn(&str) -> Millis,
) -> Vec<AlertSeries> {
    let mut merged: BTreeMap<(Labels, String), Vec<RawSample>> = BTreeMap::new();
    for RawSeries { mut labels, samples } in raw {
        labels.remove("__name__");
        let state = labels.remove("alertstate").unwrap_or_default();
        merged.entry((labels, state)).or_default().extend(samples);
    }
    let mut series = Vec::new();
    for ((labels, state), mut samples) in merged {
        samples.retain(|sample| from <= sample.at && sample.at <= to);
        samples.sort_by_key(|sample| sample.at);
        let interval = interval_of(labels.get("alertname").map_or("", String::as_str));
        let intervals = runs(&samples, to, interval);
        // A window that begins between the last sample and its marker sees only the marker.
        if !intervals.is_empty() {
            series.push(AlertSeries { labels, state, intervals });
        }
    }
    series
}

fn runs(samples: &[RawSample], to: Timestamp, interval: Millis) -> Vec<AlertInterval> {
    let longest_gap = Millis(interval.0 + interval.0 / 2);
    let mut intervals: Vec<AlertInterval> = Vec::new();
    let mut current: Option<(Timestamp, Timestamp)> = None;
    for sample in samples {
        current = match current {
            Some((first, last)) if sample.is_stale_marker() => {
                intervals.push(AlertInterval { from: first, last, end: IntervalEnd::Stale(sample.at) });
                None
            }
            None if sample.is_stale_marker() => None,
            Some((first, last)) if sample.at - last <= longest_gap => Some((first, sample.at)),
            Some((first, last)) => {
                intervals.push(AlertInterval { from: first, last, end: IntervalEnd::Unknown });
                Some((sample.at, sample.at))
            }
            None => Some((sample.at, sample.at)),
        };
    }
    if let Some((first, last)) = current {
        let end = if to - last <= longest_gap { IntervalEnd::Open } else { IntervalEnd::Unknown };
        intervals.push(AlertInterval { from: first, last, end });
    }
    intervals
}

#[cfg(test)]
mod tests {
    use super::{super::protobuf::STALE_MARKER, *};
    use proptest::prelude::*;

    const E: i64 = 1000;

    fn one(samples: &[(i64, bool)], to: i64) -> Vec<AlertInterval> {
        let labels = Labels::from(
            [("__name__", "ALERTS"), ("alertname", "A"), ("alertstate", "firing")]
                .map(|(n, v)| (n.to_owned(), v.to_owned())),
        );
        let sample = |(at, stale)| RawSample {
            at: Timestamp(at),
            value: if stale { f64::from_bits(STALE_MARKER) } else { 1.0 },
        };
        let raw = vec![RawSeries { labels, samples: samples.iter().copied().map(sample).collect() }];
        let mut series = alert_series(raw, Timestamp(0), Timestamp(to), |_| Millis(E));
        series.pop().map(|series| series.intervals).unwrap_or_default()
    }

    fn interval(from: i64, last: i64, end: IntervalEnd) -> AlertInterval {
        AlertInterval { from: Timestamp(from), last: Timestamp(last), end }
    }

    #[test]
    fn each_kind_of_end() {
        let stale = |at| IntervalEnd::Stale(Timestamp(at));
        let cases = [
            (vec![(100, false), (1100, false), (2100, true)], 9000, vec![interval(100, 1100, stale(2100))]),
            (vec![(100, false), (1100, false)], 2600, vec![interval(100, 1100, IntervalEnd::Open)]),
            (vec![(100, false), (1100, false)], 2601, vec![interval(100, 1100, IntervalEnd::Unknown)]),
            (
                vec![(100, false), (5100, false), (6100, true)],
                9000,
                vec![interval(100, 100, IntervalEnd::Unknown), interval(5100, 5100, stale(6100))],
            ),
            // The rule failed for a while: its state was frozen, and the marker says when it was left.
            (vec![(100, false), (5100, true)], 9000, vec![interval(100, 100, stale(5100))]),
            (vec![(100, true), (1100, true)], 9000, vec![]),
        ];
        for (samples, to, expected) in cases {
            assert_eq!(one(&samples, to), expected, "{samples:?}");
        }
    }

    #[test]
    fn samples_outside_of_the_window_do_not_count() {
        let labels = Labels::from([("alertname".to_owned(), "A".to_owned())]);
        let samples = [-1000, 0, 1000, 2000].map(|at| RawSample { at: Timestamp(at), value: 1.0 }).to_vec();
        let series =
            alert_series(vec![RawSeries { labels, samples }], Timestamp(0), Timestamp(1000), |_| Millis(E));
        assert_eq!(series[0].intervals, [interval(0, 1000, IntervalEnd::Open)]);
    }

    /// The definition, slot by slot: what is the last thing known at each sample, and does the next one continue it?
    fn oracle(samples: &[(i64, bool)], to: i64) -> Vec<AlertInterval> {
        let mut found = Vec::new();
        for (index, (start, stale)) in samples.iter().enumerate() {
            let continues = index > 0 && !samples[index - 1].1 && 2 * (start - samples[index - 1].0) <= 3 * E;
            if *stale || continues {
                continue;
            }
            let mut last = index;
            while last + 1 < samples.len()
                && !samples[last + 1].1
                && 2 * (samples[last + 1].0 - samples[last].0) <= 3 * E
            {
                last += 1;
            }
            let at = samples[last].0;
            let end = match samples.get(last + 1) {
                Some((marker, true)) => IntervalEnd::Stale(Timestamp(*marker)),
                Some((_, false)) => IntervalEnd::Unknown,
                None if 2 * (to - at) <= 3 * E => IntervalEnd::Open,
                None => IntervalEnd::Unknown,
            };
            found.push(interval(*start, at, end));
        }
        found
    }

    proptest! {
        #[test]
        fn runs_agree_with_the_definition(steps in proptest::collection::vec((1_i64..4000, proptest::bool::weighted(0.25)), 0..60), tail in 0_i64..4000) {
            let mut at = 0;
            let samples: Vec<_> = steps.into_iter().map(|(step, stale)| { at += step; (at, stale) }).collect();
            prop_assert_eq!(one(&samples, at + tail), oracle(&samples, at + tail));
        }
    }
}
