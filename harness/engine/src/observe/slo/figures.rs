//! The arithmetic of error budgets.

use harness_event::{Millis, SloUsage};

/// What is needed of an SLO. Lengths are in its own time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Budget {
    /// Objective as a ratio.
    pub(super) objective: f64,
    /// Period of the error budget.
    pub(super) period: Millis,
}

/// What a time of measuring means for the budget.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spent {
    /// Share of the period's budget.
    pub(super) share: f64,
    /// The same as a time of complete failure.
    pub(super) time: Millis,
    /// Until a full budget is spent at the same rate; none if nothing is.
    pub(super) exhausted_in: Option<Millis>,
}

impl Budget {
    /// Share of events that may be errors.
    pub(super) fn allowed(&self) -> f64 {
        1.0 - self.objective
    }

    /// How many times as fast as allowed the budget is spent; none where the objective allows no error, or for what is no number.
    pub(super) fn burn_rate(&self, error_ratio: f64) -> Option<f64> {
        let rate = error_ratio / self.allowed();
        (self.allowed() > 0.0 && rate.is_finite()).then_some(rate)
    }

    /// What `length` with this share of errors spends of the budget, as if traffic were the same all through the period.
    pub(super) fn spent(&self, error_ratio: f64, length: Millis) -> Option<Spent> {
        let rate = self.burn_rate(error_ratio)?;
        let (length, period) = (length.as_secs_f64(), self.period.as_secs_f64());
        (period > 0.0).then(|| Spent {
            share: rate * length / period,
            time: Millis::from_secs_f64(error_ratio * length),
            exhausted_in: (rate > 0.0).then(|| Millis::from_secs_f64(period / rate)),
        })
    }
}

/// The ratio; none without events.
pub(super) fn error_ratio(errors: Option<f64>, total: Option<f64>) -> Option<f64> {
    let total = total.filter(|total| *total > 0.0)?;
    Some(errors? / total).filter(|ratio| ratio.is_finite())
}

/// Fills in what follows from the ratio.
pub(super) fn fill(usage: &mut SloUsage, budget: Budget, own_length: Millis) {
    let spent = usage.error_ratio.and_then(|ratio| budget.spent(ratio, own_length));
    usage.budget_spent = spent.map(|spent| spent.share);
    usage.spent_time = spent.map(|spent| spent.time);
    usage.exhausted_in = spent.and_then(|spent| spent.exhausted_in);
}

/// A remark if one error in so few events is already more than the budget allows.
pub(super) fn low_traffic(budget: Budget, total: f64) -> Option<String> {
    let rate = budget.burn_rate(1.0 / total)?;
    (rate >= 1.0)
        .then(|| format!("low traffic: in {total:.0} requests, a single error is a burn rate of {rate:.1}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MONTH: Millis = Millis(30 * 86_400_000);

    fn budget(objective: f64) -> Budget {
        Budget { objective, period: MONTH }
    }

    fn near(one: f64, two: f64) -> bool {
        (one - two).abs() <= 1e-9 * one.abs().max(two.abs()).max(1e-9)
    }

    #[test]
    fn spending() {
        // Objective, share of errors, minutes: burn rate, percent of the budget, seconds of failure, hours to the end.
        for (objective, ratio, minutes, rate, percent, seconds, hours) in [
            // The workbook's: 2 % of a month's budget in an hour is 14.4 times too fast.
            (0.999, 0.0144, 60, 14.4, 2.0, 51.84, Some(50.0)),
            (0.999, 0.006, 360, 6.0, 5.0, 129.6, Some(120.0)),
            (0.99, 0.01, 1440, 1.0, 100.0 / 30.0, 864.0, Some(720.0)),
            // All requests fail for a minute.
            (0.999, 1.0, 1, 1000.0, 100.0 / 43.2, 60.0, Some(0.72)),
            (0.95, 0.0, 10, 0.0, 0.0, 0.0, None),
        ] {
            let budget = budget(objective);
            let spent = budget.spent(ratio, Millis(minutes * 60_000)).unwrap();
            assert!(near(budget.burn_rate(ratio).unwrap(), rate), "{objective} {ratio}");
            assert!(near(spent.share * 100.0, percent), "{spent:?}");
            assert_eq!(spent.time, Millis::from_secs_f64(seconds), "{spent:?}");
            assert_eq!(spent.exhausted_in, hours.map(|hours| Millis::from_secs_f64(hours * 3600.0)));
        }
    }

    #[test]
    fn what_has_no_value() {
        // An objective of 100 % has no budget: every error overspends it infinitely.
        assert_eq!(budget(1.0).burn_rate(0.1), None);
        assert_eq!(budget(1.0).spent(0.0, Millis(1000)), None);
        assert_eq!(budget(0.99).burn_rate(f64::NAN), None);
        assert_eq!(error_ratio(Some(1.0), Some(0.0)), None);
        assert_eq!(error_ratio(None, Some(10.0)), None);
        assert_eq!(error_ratio(Some(1.0), None), None);
        assert_eq!(error_ratio(Some(1.0), Some(4.0)), Some(0.25));
    }

    #[test]
    fn little_traffic_is_named() {
        assert_eq!(
            low_traffic(budget(0.999), 100.0).as_deref(),
            Some("low traffic: in 100 requests, a single error is a burn rate of 10.0")
        );
        assert_eq!(low_traffic(budget(0.95), 100.0), None);
        assert_eq!(low_traffic(budget(1.0), 100.0), None);
    }

    proptest! {
        #[test]
        fn spending_is_proportional(
            objective in 0.5..0.9999_f64,
            ratio in 0.0001..1.0_f64,
            seconds in 1..100_000_i64,
            times in 2..50_i64,
        ) {
            let budget = budget(objective);
            let once = budget.spent(ratio, Millis::from_secs(seconds)).unwrap();
            // To the length, and to the ratio.
            let longer = budget.spent(ratio, Millis::from_secs(seconds * times)).unwrap();
            prop_assert!(near(longer.share, once.share * times as f64));
            prop_assert_eq!(longer.exhausted_in, once.exhausted_in);
            let worse = budget.spent(ratio * times as f64, Millis::from_secs(seconds)).unwrap();
            prop_assert!(near(worse.share, longer.share));
            // A tighter objective is spent faster, and half of the budget allowed is spent twice as fast.
            let tighter = Budget { objective: 1.0 - budget.allowed() / 2.0, ..budget };
            let tight = tighter.spent(ratio, Millis::from_secs(seconds)).unwrap();
            prop_assert!(near(tight.share, once.share * 2.0) || (tight.share - once.share * 2.0).abs() < 1e-9);
            // The time of failure is the same share of the allowed time.
            let allowed = budget.allowed() * MONTH.as_secs_f64();
            prop_assert!((once.time.as_secs_f64() / allowed - once.share).abs() <= 0.001 / allowed);
            // What is spent until the end is everything.
            let end = once.exhausted_in.unwrap();
            let all = budget.spent(ratio, end).unwrap();
            prop_assert!((all.share - 1.0).abs() < 1e-3, "{}", all.share);
        }
    }
}
