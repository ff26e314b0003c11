//! Times, ages, sizes and outcomes on the command line.

use harness_event::{Millis, Timestamp};
use harness_history::Ending;

/// A point in time on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So long ago.
    Ago(Millis),
    /// A day, by its start.
    Day(Timestamp),
    /// A time.
    At(Timestamp),
}

impl When {
    pub(super) fn start(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(length) => now - length,
            Self::Day(at) | Self::At(at) => at,
        }
    }

    pub(super) fn end(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Day(at) => at + Millis(86_400_000 - 1),
            other => other.start(now),
        }
    }
}

pub(super) fn when(text: &str) -> Result<When, String> {
    if let Ok(length) = age(text) {
        return Ok(When::Ago(length));
    }
    if let Ok(day) = text.parse::<jiff::civil::Date>()
        && text.len() == 10
        && let Some(at) = Timestamp::parse(&format!("{day}T00:00:00Z"))
    {
        return Ok(When::Day(at));
    }
    Timestamp::parse(text).map(When::At).ok_or_else(|| {
        "it must be so long ago (30m, 12h, 7d, 4w), a date (2026-11-21) or a time (2026-11-21T14:00:00Z)"
            .to_owned()
    })
}

pub(super) fn age(text: &str) -> Result<Millis, String> {
    let bad = || "it must be a number with a unit: m, h, d or w".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: i64 = digits.parse().map_err(|_| bad())?;
    let unit: i64 = match &text[digits.len()..] {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).filter(|length| *length >= 0).map(Millis).ok_or_else(bad)
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    let bad = || "it must be a number of bytes, with K, M or G for powers of 1024".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| bad())?;
    let unit: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err(bad()),
    };
    number.checked_mul(unit).ok_or_else(bad)
}

pub(super) fn outcome(text: &str) -> Result<Ending, String> {
    Ending::parse(text).ok_or_else(|| {
        let all: Vec<_> = Ending::ALL.iter().map(|ending| ending.word()).collect();
        format!("it must be one of {}", all.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_ages_dates_or_instants() {
        let now = Timestamp::parse("2026-11-21T12:00:00Z").unwrap();
        for (text, start) in [
            ("30m", "2026-11-21T11:30:00Z"),
            ("7d", "2026-11-14T12:00:00Z"),
            ("2w", "2026-11-07T12:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T10:00:00Z", "2026-11-20T10:00:00Z"),
        ] {
            assert_eq!(when(text).unwrap().start(now), Timestamp::parse(start).unwrap(), "{text}");
        }
        let end = when("2026-11-20").unwrap().end(now);
        assert_eq!(end, Timestamp::parse("2026-11-20T23:59:59.999Z").unwrap());
        for bad in ["", "7", "7y", "-7d", "yesterday", "2026-13-01", "99999999999999999w"] {
            assert!(when(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_powers_of_1024() {
        for (text, number) in [("0", 0), ("800K", 819_200), ("500M", 524_288_000), ("2g", 2_147_483_648)] {
            assert_eq!(size(text), Ok(number), "{text}");
        }
        for bad in ["", "M", "1.5G", "-1", "5T", "99999999999G"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
