//! How durations are scaled.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The one type of durations, which is a length here: of a range, of a wait.
pub use crate::duration::PromDuration as Length;

impl Length {
    /// Reads a duration as Prometheus does; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// Multiplies with the ratio and rounds to whole milliseconds; `None` if something becomes nothing.
    pub fn scaled(self, ratio: Ratio) -> Option<Self> {
        let (by, of) = (u128::from(ratio.numerator), u128::from(ratio.denominator));
        let scaled = u64::try_from((u128::from(self.millis()) * by + of / 2) / of).ok()?;
        (scaled > 0 || self.millis() == 0).then_some(Self::from_millis(scaled))
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// What durations are multiplied with: a fraction, so that nothing is lost by doing it in steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

impl Ratio {
    /// Leaves durations as they are.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// Divides by `factor`.
    pub const fn divide_by(factor: u32) -> Self {
        Self::between(1, factor)
    }

    /// From a time scale to another. A time scale says how many seconds of production time one second stands for. A scale of
    /// zero is taken for one.
    pub const fn between(from: u32, to: u32) -> Self {
        let (from, to) = (if from == 0 { 1 } else { from }, if to == 0 { 1 } else { to });
        let common = gcd(from, to);
        Self { numerator: from / common, denominator: to / common }
    }

    /// True if nothing changes.
    pub const fn is_one(self) -> bool {
        self.numerator == self.denominator
    }
}

impl fmt::Display for Ratio {
    /// `30 times shorter`, `2 times longer`, `3/2 times longer`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (large, small, word) = if self.numerator <= self.denominator {
            (self.denominator, self.numerator, "shorter")
        } else {
            (self.numerator, self.denominator, "longer")
        };
        match small {
            1 => write!(f, "{large} times {word}"),
            _ => write!(f, "{large}/{small} times {word}"),
        }
    }
}

const fn gcd(mut one: u32, mut two: u32) -> u32 {
    while two != 0 {
        (one, two) = (two, one % two);
    }
    one
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn scaling_rounds_to_milliseconds_and_refuses_to_make_nothing_of_something() {
        let scaled =
            |text: &str, ratio| Length::parse(text).unwrap().scaled(ratio).map(|length| length.to_string());
        let by = Ratio::divide_by;
        assert_eq!(scaled("5m", by(30)).as_deref(), Some("10s"));
        assert_eq!(scaled("30d", by(30)).as_deref(), Some("1d"));
        assert_eq!(scaled("1m", by(7)).as_deref(), Some("8s571ms"));
        assert_eq!(scaled("1s", Ratio::between(30, 60)).as_deref(), Some("500ms"));
        assert_eq!(scaled("1s", Ratio::between(30, 15)).as_deref(), Some("2s"));
        assert_eq!(scaled("1s", Ratio::between(30, 1)).as_deref(), Some("30s"));
        assert_eq!(scaled("0s", by(30)).as_deref(), Some("0s"));
        assert_eq!(scaled("10ms", by(30)), None);
        assert_eq!(scaled("15ms", by(30)).as_deref(), Some("1ms"));
    }

    #[test]
    fn ratios_say_what_they_do() {
        assert_eq!(Ratio::divide_by(30).to_string(), "30 times shorter");
        assert_eq!(Ratio::between(30, 15).to_string(), "2 times longer");
        assert_eq!(Ratio::between(30, 45).to_string(), "3/2 times shorter");
        assert!(Ratio::between(30, 30).is_one() && !Ratio::divide_by(2).is_one());
    }

    proptest! {
        #[test]
        fn two_exact_steps_are_one(one in 1_u32..200, two in 1_u32..200, length in 1_u64..10_000_000) {
            let whole = Length::from_millis(length * u64::from(one) * u64::from(two));
            let steps = whole.scaled(Ratio::divide_by(one)).and_then(|part| part.scaled(Ratio::divide_by(two)));
            prop_assert_eq!(steps, whole.scaled(Ratio::divide_by(one * two)));
            prop_assert_eq!(steps, Some(Length::from_millis(length)));
        }

        #[test]
        fn rounding_errs_by_half_a_millisecond_at_most(millis in 0_u64..1_000_000_000, factor in 1_u32..1000) {
            if let Some(scaled) = Length::from_millis(millis).scaled(Ratio::divide_by(factor)) {
                let exact = i128::from(millis);
                let back = i128::from(scaled.millis()) * i128::from(factor);
                prop_assert!((exact - back).abs() * 2 <= i128::from(factor));
            } else {
                prop_assert!(millis * 2 < u64::from(factor));
            }
        }
    }
}
