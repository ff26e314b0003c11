//! Values for people.

use harness_event::{Millis, Timestamp};

use crate::measure::Unit;

/// A window as Prometheus writes it: `5m`, `6h`, `30d`.
pub(crate) fn window(length: Millis) -> String {
    const UNITS: [(i64, &str); 5] =
        [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let unit = UNITS.iter().find(|(unit, _)| length.0 != 0 && length.0 % unit == 0);
    unit.map_or_else(|| "0s".to_owned(), |(unit, name)| format!("{}{name}", length.0 / unit))
}

/// A value with its unit, to about three significant digits.
pub fn value(unit: Unit, value: f64) -> String {
    match unit {
        Unit::Ms if value.abs() < 0.0005 => "0s".to_owned(),
        Unit::Ms if value.abs() < 1.0 => format!("{}us", digits(value * 1000.0)),
        Unit::Ms if value.abs() < 1000.0 => format!("{}ms", digits(value)),
        Unit::Ms => Millis(value.round() as i64).to_string(),
        Unit::Ratio => format!("{}%", digits(value * 100.0)),
        Unit::Burn => format!("{}x", digits(value)),
        Unit::PerSecond => format!("{}/s", digits(value)),
        Unit::Count => digits(value),
    }
}

/// A difference: with its sign, and `0` in the unit where there is none.
pub fn difference(unit: Unit, by: f64) -> String {
    let sign = if by > 0.0 { "+" } else { "" };
    format!("{sign}{}", value(unit, by))
}

/// Three significant digits, without zeros at the end.
fn digits(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let places = (2 - value.abs().log10().floor() as i32).clamp(0, 7);
    let text = format!("{value:.*}", places.unsigned_abs() as usize);
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    };
    if text == "-0" { "0".to_owned() } else { text }
}

/// Date and time of day in UTC, `2026-11-21 14:03`.
pub fn minute(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).map_or_else(|| text.clone(), |text| text.replacen('T', " ", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        for (unit, number, text) in [
            (Unit::Ms, 0.0, "0s"),
            (Unit::Ms, 0.25, "250us"),
            (Unit::Ms, 12.345, "12.3ms"),
            (Unit::Ms, 999.0, "999ms"),
            (Unit::Ms, 4120.0, "4.12s"),
            (Unit::Ms, -500.0, "-500ms"),
            (Unit::Ratio, 0.000_25, "0.025%"),
            (Unit::Ratio, 1.5, "150%"),
            (Unit::Ratio, 3.16e-8, "0.0000032%"),
            (Unit::Burn, 439.25, "439x"),
            (Unit::PerSecond, 99.97, "100/s"),
            (Unit::Count, 10.0, "10"),
        ] {
            assert_eq!(value(unit, number), text);
        }
        assert_eq!(difference(Unit::Ms, 500.0), "+500ms");
        assert_eq!(difference(Unit::Count, 0.0), "0");
        assert_eq!(minute(Timestamp(1_763_700_000_123)), "2025-11-21 04:40");
    }
}
