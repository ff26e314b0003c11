//! Durations as Prometheus writes them: `5m`, `1d12h`, `4w`.

use std::{fmt, str::FromStr};

/// Milliseconds of each unit, longest first, and whether Prometheus prints it only where it divides without a rest
/// (`model.Duration.String` in prometheus/common: 8 days are `8d`, 14 days are `2w`).
const UNITS: [(&str, u64, bool); 7] = [
    ("y", 365 * 86_400_000, true),
    ("w", 7 * 86_400_000, true),
    ("d", 86_400_000, false),
    ("h", 3_600_000, false),
    ("m", 60_000, false),
    ("s", 1000, false),
    ("ms", 1, false),
];

/// A length of time in Prometheus' notation, in milliseconds. Displayed exactly as Prometheus does, so that
/// `slo:sli_error:ratio_rate4w` has the name that Sloth gives it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromDuration(u64);

/// A text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no duration: write whole numbers with y, w, d, h, m, s, ms, longest first, as in 1d12h")]
pub struct DurationError {
    text: String,
}

impl PromDuration {
    /// From milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// In milliseconds.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// In hours, rounded as Go's `Duration.Hours` does: burn rate factors are printed, and must be the same numbers.
    #[expect(clippy::cast_precision_loss, reason = "both parts are far below 2^53")]
    pub fn hours(self) -> f64 {
        const HOUR: u64 = 3_600_000;
        (self.0 / HOUR) as f64 + ((self.0 % HOUR) * 1_000_000) as f64 / 3.6e12
    }
}

impl fmt::Display for PromDuration {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        if left == 0 {
            return out.write_str("0s");
        }
        for (unit, length, exact) in UNITS {
            if (exact && !left.is_multiple_of(length)) || left < length {
                continue;
            }
            write!(out, "{}{unit}", left / length)?;
            left %= length;
        }
        Ok(())
    }
}

impl FromStr for PromDuration {
    type Err = DurationError;

    /// Prometheus' notation: each unit at most once, the longest first. A lone `0` is allowed.
    fn from_str(text: &str) -> Result<Self, DurationError> {
        let bad = || DurationError { text: text.to_owned() };
        if text == "0" {
            return Ok(Self(0));
        }
        let (mut rest, mut millis, mut next) = (text, 0_u64, 0);
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let number: u64 = rest[..digits].parse().map_err(|_| bad())?;
            rest = &rest[digits..];
            let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
            let at = UNITS.iter().position(|(unit, ..)| *unit == &rest[..letters]).ok_or_else(bad)?;
            if at < next {
                return Err(bad());
            }
            next = at + 1;
            rest = &rest[letters..];
            millis = number
                .checked_mul(UNITS[at].1)
                .and_then(|part| millis.checked_add(part))
                // What Go's Duration holds: 292 years.
                .filter(|sum| *sum <= i64::MAX.unsigned_abs() / 1_000_000)
                .ok_or_else(bad)?;
        }
        Ok(Self(millis))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> String {
        text.parse::<PromDuration>().expect("valid").to_string()
    }

    #[test]
    fn printed_as_prometheus_does() {
        for (text, printed) in [
            ("5m", "5m"),
            ("60m", "1h"),
            ("24h", "1d"),
            ("3d", "3d"),
            ("7d", "1w"),
            ("28d", "4w"),
            ("30d", "30d"),
            ("36h", "1d12h"),
            ("365d", "1y"),
            ("90s", "1m30s"),
            ("1500ms", "1s500ms"),
            ("0", "0s"),
            ("0s", "0s"),
            // Eight days are no whole week; a week and an hour are no whole week either.
            ("8d", "8d"),
            ("169h", "7d1h"),
        ] {
            assert_eq!(parsed(text), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for bad in
            ["", "m", "5", "1.5h", "-5m", "5m1h", "5m5m", "5 m", "5mm", "99999999999999999999s", "300y", "é"]
        {
            assert!(bad.parse::<PromDuration>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back(millis in 0_u64..9_000_000_000_000) {
            let one = PromDuration::from_millis(millis);
            prop_assert_eq!(one.to_string().parse::<PromDuration>(), Ok(one));
        }

        #[test]
        fn no_text_panics(text in "[0-9a-zé .]{0,12}") {
            drop(text.parse::<PromDuration>());
        }
    }
}
