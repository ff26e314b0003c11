//! Values of options, as they are typed.

use std::time::Duration;

use harness_slo::compress::Length;

pub(super) fn address(text: &str) -> Result<String, String> {
    let known = ["http://", "https://", "service://"];
    match known.iter().find_map(|scheme| text.strip_prefix(scheme)) {
        None => Err(format!("it must begin with {}", known.join(", "))),
        Some(rest) if rest.is_empty() || rest.starts_with(['/', ':']) => {
            Err("the host is missing".to_owned())
        }
        Some(rest) if text.starts_with("service://") => service(rest).map(|()| text.to_owned()),
        Some(_) => Ok(text.to_owned()),
    }
}

fn service(rest: &str) -> Result<(), String> {
    let bad = || "it must be service://NAMESPACE/NAME:PORT".to_owned();
    let (_, name) = rest.split_once('/').ok_or_else(bad)?;
    let (name, port) = name.split('/').next().and_then(|part| part.split_once(':')).ok_or_else(bad)?;
    if name.is_empty() || port.parse::<u16>().is_err() { Err(bad()) } else { Ok(()) }
}

pub(super) fn length(text: &str) -> Result<Length, String> {
    let length = Length::parse(text).filter(|length| length.millis() > 0);
    length.ok_or_else(|| "it must be a duration as Prometheus writes it, such as 90s, 2h or 1h30m".to_owned())
}

pub(super) fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "it must be a number above 0".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: f64 =
        digits.parse().map_err(|_| "it must be a number with a unit, such as 90s or 2m".to_owned())?;
    let seconds = match &text[digits.len()..] {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "" => return Err("the unit is missing: ms, s or m".to_owned()),
        unit => return Err(format!("unknown unit {unit:?}: ms, s or m")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["90", "s", "-1s", "5h", "", "1e400s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_checked_before_anything_is_started() {
        for good in [
            "http://prom:9090",
            "https://x/prefix",
            "service://monitoring/prometheus:19090",
            "service://a/b:1/p",
        ] {
            assert_eq!(address(good).as_deref(), Ok(good));
        }
        for bad in [
            "prom:9090",
            "http://",
            "http:///x",
            "service://monitoring",
            "service://a/b",
            "service://a/b:http",
            "ftp://x",
        ] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
