//! Figures for people.

use crate::Millis;

/// A latency in microseconds, to three significant digits: `850us`, `4.12ms`, `200ms`, `1.25s`.
pub fn latency(us: u64) -> String {
    let (value, unit) = match us {
        0..1000 => return format!("{us}us"),
        1000..1_000_000 => (us as f64 / 1000.0, "ms"),
        _ => (us as f64 / 1_000_000.0, "s"),
    };
    let digits = match value {
        small if small < 9.995 => 2,
        middle if middle < 99.95 => 1,
        _ => 0,
    };
    format!("{}{unit}", trimmed(value, digits))
}

/// A length of time that may be months, to about its second unit: `150d`, `3h05m`, else as [`Millis`] writes it.
pub fn long(length: Millis) -> String {
    let minutes = length.0 / 60_000;
    match minutes {
        2880.. => format!("{}d", minutes / 1440),
        120..2880 => format!("{}h{:02}m", minutes / 60, minutes % 60),
        _ => length.to_string(),
    }
}

/// A window or a period as Prometheus writes it: `5m`, `6h`, `30d`.
pub fn window(length: Millis) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let unit = UNITS.iter().find(|(unit, _)| length.0 != 0 && length.0 % unit == 0);
    unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", length.0 / unit))
}

/// With so many digits after the point at most, without zeros at the end.
pub fn trimmed(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

/// A share as percent: `0.025%`; what is not zero does not look like zero.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value {
        0.0 => "0%".to_owned(),
        tiny if tiny.abs() < 0.000_1 => "<0.0001%".to_owned(),
        small if small.abs() < 1.0 => format!("{}%", trimmed(value, 4)),
        _ => format!("{}%", trimmed(value, 2)),
    }
}

/// A burn rate: `14.4x`, `0.0012x`.
pub fn burn(rate: f64) -> String {
    let digits = if rate.abs() < 0.1 { 4 } else { 2 };
    format!("{}x", trimmed(rate, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        for (us, text) in [
            (0, "0us"),
            (850, "850us"),
            (4120, "4.12ms"),
            (60_000, "60ms"),
            (200_400, "200ms"),
            (1_250_000, "1.25s"),
        ] {
            assert_eq!(latency(us), text);
        }
        for (ms, text) in [(6, "6ms"), (11_100_000, "3h05m"), (150 * 86_400_000, "150d")] {
            assert_eq!(long(Millis(ms)), text);
        }
        for (share, text) in
            [(0.0, "0%"), (0.000_25, "0.025%"), (1.5, "150%"), (1e-9, "<0.0001%"), (0.123_456, "12.35%")]
        {
            assert_eq!(percent(share), text);
        }
    }
}
