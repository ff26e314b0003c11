//! Conditions on what is measured of loads and SLOs.

use harness_event::{CompareOp, Comparison, Millis};
use toml::de::DeValue;

use super::{basic, matching};
use crate::{
    problems::{Issue, Span},
    suggest::quoted,
    syntax::type_name,
};

/// Longest `sloth_id`: service and name, both names of Kubernetes.
const MAX_SLO_ID: usize = 200;

/// Most SLOs that are watched.
const MAX_SLOS: usize = 100;

/// The operator in front of a text, and the rest; no operator means equality.
fn operator(text: &str) -> (CompareOp, &str) {
    let text = text.trim();
    let found = CompareOp::ALL.iter().find_map(|(spelling, op)| Some((*op, text.strip_prefix(spelling)?)));
    let (op, rest) = found.unwrap_or((CompareOp::Equal, text));
    (op, rest.trim())
}

/// `"< 500ms"`; the value is in milliseconds.
pub(crate) fn latency_comparison(value: &DeValue<'_>, _: &Span) -> Result<Comparison, Issue> {
    const HINT: &str = "one of <, <=, >, >= and a time with its unit (us, ms, s): \"< 500ms\"";
    let Some(text) = value.as_str() else {
        return Err(
            Issue::new(format!("expected a comparison with a time, this is {}", type_name(value))).hint(HINT)
        );
    };
    let (op, time) = operator(text);
    match milliseconds(time) {
        Some(_) if matches!(op, CompareOp::Equal | CompareOp::NotEqual) => {
            let issue = Issue::new("a latency is never expected to be exactly something");
            Err(issue.hint(format!("did you mean \"< {time}\"?")))
        }
        Some(value) => Ok(Comparison { op, value }),
        None => {
            let issue = Issue::new(format!("{} is not a comparison with a time", quoted(text)));
            Err(match time.parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    issue.hint(format!("write the unit: {:?}", format!("{text}ms")))
                }
                _ => issue.hint(HINT),
            })
        }
    }
}

/// A time with one unit. Latencies are measured in microseconds.
fn milliseconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 4] = [("us", 0.001), ("µs", 0.001), ("ms", 1.0), ("s", 1000.0)];
    let (number, factor) =
        UNITS.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), factor)))?;
    let plain = |c: char| c.is_ascii_digit() || c == '.';
    let number = number.parse::<f64>().ok().filter(|_| number.chars().all(plain))?;
    Some(number * factor).filter(|value| value.is_finite() && *value <= 86_400_000.0)
}

/// `"< 1%"` or `"< 0.01"`.
pub(crate) fn ratio_comparison(value: &DeValue<'_>, span: &Span) -> Result<Comparison, Issue> {
    if let Some((text, percent)) =
        value.as_str().and_then(|text| Some((text, text.trim().strip_suffix('%')?)))
    {
        let issue = || Issue::new(format!("{} is not a comparison", quoted(text))).hint("such as \"< 1%\"");
        let found = Comparison::parse(percent).ok_or_else(issue)?;
        return Ok(Comparison { value: found.value / 100.0, ..found });
    }
    matching::comparison(value, span)
}

/// `"2%"` or `0.02`: from 0 to 1.
pub(crate) fn share(value: &DeValue<'_>, _: &Span) -> Result<f64, Issue> {
    const HINT: &str = "write \"2%\" or 0.02";
    let Some(text) = value.as_str() else {
        return basic::number(value, 0.0, 1.0).map_err(|issue| issue.or_hint(HINT));
    };
    let number = text.trim().strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
    match number {
        Some(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Some(_) => Err(Issue::new("must be between 0% and 100%")),
        None => Err(Issue::new(format!("{} is not a percentage", quoted(text))).hint(HINT)),
    }
}

/// A `sloth_id`.
pub(crate) fn slo_id(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let id = basic::line(value, span)?;
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if id.len() <= MAX_SLO_ID && id.chars().all(known) {
        return Ok(id);
    }
    Err(Issue::new(format!("{} is not the id of an SLO", quoted(&id)))
        .hint("the label `sloth_id`: service and name of the SLO with `-` between them"))
}

/// A list of `sloth_id`s, each once.
pub(crate) fn slo_ids(value: &DeValue<'_>, _: &Span) -> Result<Vec<String>, Issue> {
    let Some(items) = value.as_array() else {
        return Err(Issue::new(format!("expected a list of SLOs, this is {}", type_name(value)))
            .hint("write [ \"gallery-requests-availability\" ]"));
    };
    if items.len() > MAX_SLOS {
        return Err(Issue::new(format!("there are {} SLOs, at most {MAX_SLOS} are watched", items.len())));
    }
    let (mut ids, mut wrong) = (Vec::<String>::new(), Vec::new());
    for item in items.iter() {
        let span = item.span();
        match slo_id(item.get_ref(), &span) {
            Ok(id) if ids.contains(&id) => {
                wrong.push(Issue::new(format!("{} stands there twice", quoted(&id))).at(&span));
            }
            Ok(id) => ids.push(id),
            Err(issue) => wrong.push(issue.at(&span)),
        }
    }
    Issue::all(wrong)?;
    Ok(ids)
}

/// A window as Prometheus writes durations: `5m`, `1h`, `3d`.
pub(crate) fn slo_window(value: &DeValue<'_>, span: &Span) -> Result<Millis, Issue> {
    const UNITS: [(&str, i64); 5] =
        [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];
    const YEAR: i64 = 366 * 86_400_000;
    let text = basic::text(value, span)?;
    match basic::parse_units(&text, &UNITS) {
        Some(length) if (1..=YEAR).contains(&length) => Ok(Millis(length)),
        _ => Err(Issue::new(format!("{} is not a window", quoted(&text))).hint(
            "one that the SLO's rules record: \"5m\", \"30m\", \"1h\", \"2h\", \"6h\", \"1d\" or \"3d\"",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> DeValue<'_> {
        DeValue::String(text.into())
    }

    #[test]
    fn latencies_have_a_unit() {
        let read =
            |typed: &str| latency_comparison(&text(typed), &(0..0)).map(|found| (found.op, found.value));
        assert_eq!(read("< 500ms"), Ok((CompareOp::Less, 500.0)));
        assert_eq!(read("<=1.5 s"), Ok((CompareOp::LessOrEqual, 1500.0)));
        assert_eq!(read("> 250us"), Ok((CompareOp::Greater, 0.25)));
        for bad in ["< 500", "< ms", "< -5ms", "< 1e3ms", "< infs", "< 5m", "500", "500ms", "", "< NaNs"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        assert_eq!(read("< 500").unwrap_err().hint.as_deref(), Some("write the unit: \"< 500ms\""));
    }

    #[test]
    fn ratios_and_shares_may_be_percentages() {
        let ratio = |typed: &str| ratio_comparison(&text(typed), &(0..0)).map(|found| found.value);
        assert_eq!((ratio("< 1%"), ratio("< 0.01")), (Ok(0.01), Ok(0.01)));
        assert!(ratio("< x%").is_err());
        assert_eq!(share(&text("2 %"), &(0..0)), Ok(0.02));
        for bad in ["2", "-1%", "101%", "%", "nan%"] {
            assert!(share(&text(bad), &(0..0)).is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_are_durations_of_prometheus() {
        let read = |typed: &str| slo_window(&text(typed), &(0..0)).map(|length| length.0);
        assert_eq!((read("5m"), read("1h30m"), read("3d")), (Ok(300_000), Ok(5_400_000), Ok(259_200_000)));
        for bad in ["", "0s", "5", "400d", "5M"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
