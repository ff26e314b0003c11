//! Times and numbers for people, as narrow as they can be.

use harness_event::{Millis, Timestamp};

/// A time on the run's clock: `0:07`, `12:30`, `1:02:03`.
#[must_use]
pub fn clock(time: Millis) -> String {
    let seconds = time.0.unsigned_abs() / 1000;
    let sign = if time.0 <= -1000 { "-" } else { "" };
    match seconds / 3600 {
        0 => format!("{sign}{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{sign}{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// A length of time with one decimal below a minute: `8.3s`, `2m05s`, `3h12m`, `4d02h`.
#[must_use]
pub fn length(time: Millis) -> String {
    let sign = if time.0 < 0 { "-" } else { "" };
    let ms = time.0.unsigned_abs();
    let seconds = ms / 1000;
    match seconds {
        0..60 => format!("{sign}{}.{}s", seconds, ms % 1000 / 100),
        60..3600 => format!("{sign}{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{sign}{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{sign}{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// A length of time with a decimal below ten seconds: `8.3s`, `42s`, `2m05s`.
#[must_use]
pub fn brief(time: Millis) -> String {
    match time.0.unsigned_abs() {
        10_000..60_000 => format!("{}s", time.0 / 1000),
        _ => length(time),
    }
}

/// An age as `kubectl get` shows it: `7s`, `5m12s`, `47m`, `3h`, `12d`. Nothing is younger than now.
#[must_use]
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now - since).0.max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A window: `5m`, `6h`, `30d`.
#[must_use]
pub fn window(length: Millis) -> String {
    let seconds = length.0 / 1000;
    match seconds {
        s if s > 0 && s % 86_400 == 0 => format!("{}d", s / 86_400),
        s if s > 0 && s % 3600 == 0 => format!("{}h", s / 3600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

/// Milliseconds of latency with three digits: `0.42ms`, `38ms`, `1.25s`.
#[must_use]
pub fn latency(ms: f64) -> String {
    match ms {
        ms if !ms.is_finite() => "-".into(),
        ms if ms < 1.0 => format!("{ms:.2}ms"),
        ms if ms < 10.0 => format!("{ms:.1}ms"),
        ms if ms < 1000.0 => format!("{ms:.0}ms"),
        ms if ms < 100_000.0 => format!("{:.2}s", ms / 1000.0),
        ms => format!("{:.0}s", ms / 1000.0),
    }
}

/// A number with at most four characters where that is possible: `0.02`, `7.5`, `120`, `12k`.
#[must_use]
pub fn short(number: f64) -> String {
    let size = number.abs();
    match size {
        _ if !number.is_finite() => "-".into(),
        _ if number == 0.0 => "0".into(),
        size if size < 0.01 => if number > 0.0 { "<0.01" } else { ">-0.01" }.into(),
        size if size < 1.0 => format!("{number:.2}"),
        size if size < 10.0 => format!("{number:.1}"),
        size if size < 10_000.0 => format!("{number:.0}"),
        size if size < 1e7 => format!("{:.0}k", number / 1e3),
        _ => format!("{:.0}M", number / 1e6),
    }
}

/// A ratio as percent. What is not zero is never shown as zero, and what is not one never as one.
#[must_use]
pub fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    match value {
        value if !value.is_finite() => "-".into(),
        0.0 => "0%".into(),
        value if value > 0.0 && value < 0.01 => "<0.01%".into(),
        value if value.abs() < 1.0 => format!("{value:.2}%"),
        value if value.abs() < 10.0 => format!("{value:.1}%"),
        value if value > 99.0 && value < 100.0 => format!("{:.2}%", value.min(99.99)),
        value => format!("{value:.0}%"),
    }
}

/// Bytes, binary: `12Mi`, `1.5Gi`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["", "Ki", "Mi", "Gi", "Ti"];
    let (mut value, mut unit) = (bytes as f64, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match value {
        value if unit > 0 && value < 10.0 => format!("{value:.1}{}", UNITS[unit]),
        value => format!("{value:.0}{}", UNITS[unit]),
    }
}

/// Thousandths of a core: `35m`, `9500m`, and whole cores from ten on: `12`.
#[must_use]
pub fn cpu(millicores: u64) -> String {
    match millicores {
        0..10_000 => format!("{millicores}m"),
        cores => format!("{}", (cores + 500) / 1000),
    }
}

/// `1 pod`, `2 pods`.
#[must_use]
pub fn count(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (ms, text) in
            [(0, "0:00"), (7400, "0:07"), (750_000, "12:30"), (3_723_000, "1:02:03"), (-5000, "-0:05")]
        {
            assert_eq!(clock(Millis(ms)), text);
        }
        for (ms, text) in [
            (8340, "8.3s"),
            (125_000, "2m05s"),
            (11_520_000, "3h12m"),
            (352_800_000, "4d02h"),
            (-400, "-0.4s"),
        ] {
            assert_eq!(length(Millis(ms)), text);
        }
        for (seconds, text) in
            [(-3, "0s"), (119, "119s"), (312, "5m12s"), (2820, "47m"), (14_400, "4h"), (1_036_800, "12d")]
        {
            assert_eq!(age(Timestamp(0), Timestamp(seconds * 1000)), text);
        }
        assert_eq!((window(Millis(300_000)), window(Millis(2_592_000_000))), ("5m".into(), "30d".into()));
    }

    #[test]
    fn decimals_are_for_short_times() {
        assert_eq!([8_340, 42_900, 125_000].map(|ms| brief(Millis(ms))), ["8.3s", "42s", "2m05s"]);
    }

    #[test]
    fn numbers() {
        for (ms, text) in
            [(0.42, "0.42ms"), (3.21, "3.2ms"), (38.4, "38ms"), (1250.0, "1.25s"), (f64::NAN, "-")]
        {
            assert_eq!(latency(ms), text);
        }
        for (number, text) in [
            (0.0, "0"),
            (0.001, "<0.01"),
            (0.02, "0.02"),
            (7.5, "7.5"),
            (1234.0, "1234"),
            (12_345.0, "12k"),
            (f64::INFINITY, "-"),
        ] {
            assert_eq!(short(number), text);
        }
        for (ratio, text) in [
            (0.0, "0%"),
            (0.000_01, "<0.01%"),
            (0.001, "0.10%"),
            (0.999_999, "99.99%"),
            (1.0, "100%"),
            (1.5, "150%"),
        ] {
            assert_eq!(percent(ratio), text);
        }
        for (number, text) in [(512, "512"), (2048, "2.0Ki"), (12 << 20, "12Mi"), (1536 << 20, "1.5Gi")] {
            assert_eq!(bytes(number), text);
        }
        assert_eq!((count(1, "pod"), count(2, "pod")), ("1 pod".into(), "2 pods".into()));
    }
}
