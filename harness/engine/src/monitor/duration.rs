//! Durations as Prometheus and Alertmanager write them: `1m30s`, `250ms`, `0`.

use harness_event::Millis;

/// Reads a duration with the units y, w, d, h, m, s, ms, each at most once and in this order.
pub fn parse_duration(text: &str) -> Option<Millis> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    if text == "0" {
        return Some(Millis(0));
    }
    let (mut rest, mut total, mut next) = (text, 0_i64, 0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let position =
            UNITS.iter().position(|(name, _)| *name == unit).filter(|position| *position >= next)?;
        total = total.checked_add(number.parse::<i64>().ok()?.checked_mul(UNITS[position].1)?)?;
        (rest, next) = (tail, position + 1);
    }
    (!text.is_empty()).then_some(Millis(total))
}

/// Writes a duration so that PromQL reads it (`1500ms`).
pub fn promql_duration(length: Millis) -> String {
    format!("{}ms", length.0.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_prometheus() {
        for (text, ms) in [
            ("0", 0),
            ("0s", 0),
            ("1s", 1000),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("1h", 3_600_000),
            ("1d12h", 129_600_000),
            ("2w", 1_209_600_000),
        ] {
            assert_eq!(parse_duration(text), Some(Millis(ms)), "{text}");
        }
        for text in
            ["", "1", "s", "1s1m", "1s2s", "-1s", "1.5s", "1x", "99999999999999999999s", "9999999999999y"]
        {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
