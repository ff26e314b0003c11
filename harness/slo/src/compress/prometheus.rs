//! Prometheus' own configuration and command line.

use serde::Serialize;
use serde_json::Value;

use super::{CompressError, Length, Ratio, Report};

/// Scraping or evaluating more often than this is refused: measured, Prometheus keeps 100 ms (119 ms at worst), and each scrape
/// costs its target as much as ever.
pub const SHORTEST_INTERVAL: Length = Length::from_millis(100);

/// Intervals that Prometheus takes if the file gives none.
pub(super) const GLOBAL_DEFAULTS: [(&str, Length); 2] =
    [("scrape_interval", Length::from_millis(60_000)), ("evaluation_interval", Length::from_millis(60_000))];
/// Durations of the command line, with what Prometheus takes without them.
pub(super) const FLAGS: [(&str, Length); 4] = [
    ("--query.lookback-delta", Length::from_millis(300_000)),
    ("--rules.alert.resend-delay", Length::from_millis(60_000)),
    ("--rules.alert.for-outage-tolerance", Length::from_millis(3_600_000)),
    ("--rules.alert.for-grace-period", Length::from_millis(600_000)),
];

/// Scales a `prometheus.yml`: the global intervals, those of jobs, and those that relabelling sets. Intervals that are not given
/// are Prometheus' own, which are production time: they are written down, divided by `factor`. Timeouts scale with their
/// intervals. Left alone: service discovery and remote storage, whose pace is not that of the rules.
///
/// Gives the shortest scrape interval and the evaluation interval that come out.
pub fn scale_prometheus(
    config: &mut Value,
    ratio: Ratio,
    factor: u32,
    place: &str,
    report: &mut Report,
) -> super::Sampling {
    if !config["global"].is_object() {
        config["global"] = serde_json::json!({});
    }
    let global = &mut config["global"];
    for key in ["scrape_interval", "evaluation_interval", "scrape_timeout", "rule_query_offset"] {
        scale_field(global, key, ratio, place, report);
    }
    for (key, length) in GLOBAL_DEFAULTS {
        default_field(global, key, length, factor);
    }
    let mut shortest = field(global, "scrape_interval");
    let evaluation = field(global, "evaluation_interval");
    for job in list(config, "scrape_configs") {
        let place = format!("{place}, job {}", job["job_name"].as_str().unwrap_or_default());
        for key in ["scrape_interval", "scrape_timeout"] {
            scale_field(job, key, ratio, &place, report);
        }
        for relabelling in list(job, "relabel_configs") {
            let target = relabelling["target_label"].as_str().unwrap_or_default();
            let literal = relabelling["replacement"].as_str().is_some_and(|text| !text.contains('$'));
            if literal && matches!(target, "__scrape_interval__" | "__scrape_timeout__") {
                scale_field(relabelling, "replacement", ratio, &place, report);
            }
        }
        if let Some(own) = field(job, "scrape_interval") {
            shortest = shortest.min(Some(own));
        }
    }
    for (what, interval) in [("scraping", shortest), ("evaluating", evaluation)] {
        if let Some(interval) = interval.filter(|interval| *interval < SHORTEST_INTERVAL) {
            report.problem(place, too_often(what, interval));
        }
    }
    super::Sampling { scrape: shortest, evaluation }
}

pub(super) fn too_often(what: &str, interval: Length) -> String {
    format!("{what} every {interval} is too often, {SHORTEST_INTERVAL} is the limit")
}

/// Scales the durations of Prometheus' command line, and adds those that it lacks.
pub(super) fn scale_flags(
    args: &mut Vec<Value>,
    ratio: Ratio,
    factor: u32,
    place: &str,
    report: &mut Report,
) {
    for (flag, default) in FLAGS {
        let mut length = default;
        match given(args, flag) {
            Some((at, text)) => match Length::parse(&text) {
                Some(given) => {
                    length = given;
                    report.scale(&mut length, ratio, &format!("{place}, {flag}"));
                    args[at] = match args[at].as_str() {
                        Some(whole) if whole.contains('=') => format!("{flag}={length}").into(),
                        _ => length.to_string().into(),
                    };
                }
                None => report.problem(place, format_args!("{flag}: {text:?} is not a duration")),
            },
            None => {
                report.scale(&mut length, Ratio::divide_by(factor), &format!("{place}, {flag}"));
                args.push(format!("{flag}={length}").into());
            }
        }
    }
}

/// Where the value of a flag stands, and the value: `--flag=value` or `--flag value`.
pub(super) fn given(args: &[Value], flag: &str) -> Option<(usize, String)> {
    args.iter().enumerate().find_map(|(at, arg)| {
        let rest = arg.as_str()?.strip_prefix(flag)?;
        match rest.strip_prefix('=') {
            Some(value) => Some((at, value.to_owned())),
            None if rest.is_empty() => Some((at + 1, args.get(at + 1)?.as_str()?.to_owned())),
            None => None,
        }
    })
}

/// The elements of a list, none if there is no list.
pub(super) fn list<'a>(object: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    object.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten()
}

pub(super) fn field(object: &Value, key: &str) -> Option<Length> {
    Length::parse(object[key].as_str()?)
}

pub(super) fn scale_field(object: &mut Value, key: &str, ratio: Ratio, place: &str, report: &mut Report) {
    let Some(value) = object.get_mut(key).filter(|value| !value.is_null()) else { return };
    // `0` needs no unit and so is a number in YAML.
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match Length::parse(&text) {
        Some(mut length) => {
            report.scale(&mut length, ratio, &format!("{place}, {key}"));
            *value = length.to_string().into();
        }
        None => report.problem(place, format_args!("{key}: {text:?} is not a duration")),
    }
}

/// Writes down a duration that is production time where none is given.
pub(super) fn default_field(object: &mut Value, key: &str, default: Length, factor: u32) {
    if object.get(key).is_none_or(Value::is_null)
        && let Some(length) = default.scaled(Ratio::divide_by(factor))
    {
        object[key] = length.to_string().into();
    }
}

/// YAML that older readers understand in the same way: what they would take for a number or a boolean is quoted.
pub(super) fn to_yaml(file: &str, value: &impl Serialize) -> Result<String, CompressError> {
    // Long expressions stay on their line.
    let options = serde_saphyr::ser_options! { folded_wrap_chars: 1_000_000 };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|source| CompressError::Write { file: file.to_owned(), source: Box::new(source) })
}
