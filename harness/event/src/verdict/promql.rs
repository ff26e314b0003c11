//! PromQL conditions over a window.

use super::{alerts::Judged, facts::Facts, http::window, outcome::CheckOutcome};
use crate::{Expectation, Millis, PromqlExpectation, PromqlMode, Sample, Timestamp};

/// Judges one condition. An evaluation without data is no evidence for either side.
pub(super) fn judge(facts: &Facts<'_>, expectation: &Expectation, expected: &PromqlExpectation) -> Judged {
    let inconclusive = |reason: String| (CheckOutcome::Inconclusive, reason, None);
    let (from, to) = match window(facts, &expectation.fault, expected.window) {
        Ok(window) => window,
        Err(reason) => return inconclusive(reason),
    };
    let Some((samples, error)) = facts.promql.get(expectation.id.as_str()) else {
        return inconclusive("the query was not evaluated".to_owned());
    };
    if let Some(error) = error {
        return inconclusive(format!("the query failed: {error}"));
    }
    let look = Look { facts, samples, expected, from, to };
    match expected.mode {
        PromqlMode::Within(limit) => look.within(limit),
        PromqlMode::Stays(length) => look.stays(length),
        PromqlMode::Until(limit) => look.until(limit),
    }
}

struct Look<'f> {
    facts: &'f Facts<'f>,
    samples: &'f [Sample],
    expected: &'f PromqlExpectation,
    from: Timestamp,
    to: Timestamp,
}

impl<'f> Look<'f> {
    /// Evaluations from `start` up to `end`, both of our clock.
    fn between(&self, start: Timestamp, end: Timestamp) -> Vec<&'f Sample> {
        let inside = |sample: &&Sample| {
            let at = self.facts.corrected(sample.at);
            at >= start && at <= end
        };
        self.samples.iter().filter(inside).collect()
    }

    /// `None` where there is no data.
    fn holds(&self, sample: &Sample) -> Option<bool> {
        let known = !sample.values.is_empty() && !sample.values.iter().any(|value| value.is_nan());
        known.then(|| sample.values.iter().all(|value| self.expected.is.holds(*value)))
    }

    fn since_start(&self, sample: &Sample) -> Millis {
        self.facts.corrected(sample.at) - self.from
    }

    fn inconclusive(&self, reason: &str) -> Judged {
        (CheckOutcome::Inconclusive, format!("{reason}: {}", self.expected.query), None)
    }

    /// The window must be long enough for what is asked of it.
    fn too_short(&self, length: Millis) -> bool {
        self.to < self.from + length
    }

    /// True if the evaluations reach over that length from the window's start: the query may have been asked too early.
    fn cover(&self, samples: &[&Sample], length: Millis) -> bool {
        let step = self.samples.windows(2).map(|two| two[1].at - two[0].at).min().unwrap_or_default();
        let ends = samples.first().zip(samples.last());
        ends.is_some_and(|(first, last)| {
            self.since_start(first) <= step && self.since_start(last) + step >= length
        })
    }

    fn within(&self, limit: Millis) -> Judged {
        let samples = self.between(self.from, self.to);
        if let Some(first) = samples.iter().find(|sample| self.holds(sample) == Some(true)) {
            let measured = self.since_start(first);
            let bound = self.facts.clock_bound();
            let is = self.expected.is;
            let (outcome, reason) = match measured {
                early if early + bound <= limit => (CheckOutcome::Passed, format!("{is} after {measured}")),
                late if late - bound > limit => (CheckOutcome::Failed, format!("{is} only after {measured}")),
                _ => (
                    CheckOutcome::Inconclusive,
                    format!(
                        "{is} after {measured}, within the clocks' uncertainty of {bound} of the deadline"
                    ),
                ),
            };
            return (outcome, reason, Some(measured));
        }
        if !samples.iter().any(|sample| self.holds(sample).is_some()) {
            return self.inconclusive("no data");
        }
        if self.too_short(limit) {
            return self.inconclusive("the window ended before the deadline");
        }
        (
            CheckOutcome::Failed,
            format!("never {}; last value {}", self.expected.is, last_value(&samples)),
            None,
        )
    }

    fn stays(&self, length: Millis) -> Judged {
        let samples = self.between(self.from, self.from + length);
        if let Some(breach) = samples.iter().find(|sample| self.holds(sample) == Some(false)) {
            let reason = format!(
                "was {} after {}, not {}",
                last_value(&[*breach]),
                self.since_start(breach),
                self.expected.is
            );
            return (CheckOutcome::Failed, reason, None);
        }
        if self.too_short(length) {
            return self.inconclusive("the window is shorter than the time asked for");
        }
        if !self.cover(&samples, length) || samples.iter().any(|sample| self.holds(sample).is_none()) {
            return self.inconclusive("no data for a part of the window");
        }
        (CheckOutcome::Passed, format!("{} at all {} evaluations", self.expected.is, samples.len()), None)
    }

    fn until(&self, limit: Millis) -> Judged {
        let samples = self.between(self.from + limit, self.to);
        if let Some(still) = samples.iter().find(|sample| self.holds(sample) == Some(true)) {
            let reason = format!("still {} after {}", self.expected.is, self.since_start(still));
            return (CheckOutcome::Failed, reason, None);
        }
        if samples.is_empty() || samples.iter().any(|sample| self.holds(sample).is_none()) {
            return self.inconclusive("no data after the limit");
        }
        let all = self.between(self.from, self.to);
        let last = all
            .iter()
            .rfind(|sample| self.holds(sample) == Some(true))
            .map(|sample| self.since_start(sample));
        (CheckOutcome::Passed, format!("not {} from {limit} on", self.expected.is), last)
    }
}

fn last_value(samples: &[&Sample]) -> String {
    let values =
        samples.iter().rev().find(|sample| !sample.values.is_empty()).map(|sample| sample.values.as_slice());
    match values {
        None => "none".to_owned(),
        Some([value]) => value.to_string(),
        Some(values) => format!("{values:?}"),
    }
}
