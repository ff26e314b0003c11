//! Numbers as Go prints them with `%g`: expressions are compared with Sloth's as text.

/// Shortest text that reads back as `value`, with an exponent below 1e-4 and from 1e6 on.
pub(super) fn go_g(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    // Rust's `{:e}` gives the shortest digits too: d.ddde-N.
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::go_g;

    #[test]
    fn as_go_prints_them() {
        for (value, text) in [
            (99.9 / 100.0, "0.9990000000000001"),
            ((100.0 - 99.9) / 100.0, "0.0009999999999999432"),
            ((100.0 - 99.999) / 100.0, "1.0000000000047748e-05"),
            (14.4, "14.4"),
            (1.0, "1"),
            (30.0, "30"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1e-10, "1e-10"),
            (0.0, "0"),
            (365.25, "365.25"),
            (100_000.0, "100000"),
            (1_234_567.0, "1.234567e+06"),
        ] {
            assert_eq!(go_g(value), text);
        }
    }
}
