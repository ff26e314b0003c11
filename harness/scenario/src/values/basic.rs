//! Texts, names, numbers, lengths of time.

use harness_event::Millis;
use toml::de::DeValue;

use crate::{
    problems::{Issue, Span},
    schema::length,
    suggest::{self, quoted},
    syntax::type_name,
};

const MAX_LINE: usize = 200;
const MAX_NAME: usize = 63;

fn expected(what: &str, value: &DeValue<'_>) -> Issue {
    Issue::new(format!("expected {what}, this is {}", type_name(value)))
}

/// Any text that is not empty.
pub(crate) fn text(value: &DeValue<'_>, _: &Span) -> Result<String, Issue> {
    match value.as_str() {
        Some("") => Err(Issue::new("is empty")),
        Some(text) => Ok(text.to_owned()),
        None => Err(expected("a text", value)),
    }
}

/// One line of text.
pub(crate) fn line(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let text = text(value, span)?;
    if text.trim().is_empty() {
        Err(Issue::new("is empty"))
    } else if text.chars().any(char::is_control) {
        Err(Issue::new("must be one line"))
    } else if text.chars().count() > MAX_LINE {
        Err(Issue::new(format!("is longer than {MAX_LINE} characters")))
    } else {
        Ok(text)
    }
}

/// A name of something in the scenario.
pub(crate) fn name(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let name = text(value, span)?;
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.len() > MAX_NAME {
        return Err(Issue::new(format!("is longer than {MAX_NAME} characters")));
    }
    if !name.chars().all(known) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(Issue::new(format!("{} is not a name", quoted(&name))).hint(
            "names appear in reports: letters, digits, `-`, `_`, `.`, starting with a letter or digit",
        ));
    }
    Ok(name)
}

/// An integer in its limits, both included.
pub(crate) fn integer(value: &DeValue<'_>, min: i64, max: i64) -> Result<i64, Issue> {
    let Some(number) = value.as_integer() else {
        let quoted_number = value.as_str().is_some_and(|text| text.parse::<i64>().is_ok());
        let hint = quoted_number.then(|| "numbers stand without quotes".to_owned());
        return Err(expected("an integer", value).maybe_hint(hint));
    };
    match i64::from_str_radix(number.as_str(), number.radix()) {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        _ => Err(Issue::new(format!("must be between {min} and {max}"))),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &DeValue<'_>, _: &Span) -> Result<bool, Issue> {
    let quoted_word = value.as_str().is_some_and(|text| text == "true" || text == "false");
    let hint = quoted_word.then(|| "true and false stand without quotes".to_owned());
    value.as_bool().ok_or_else(|| expected("true or false", value).maybe_hint(hint))
}

/// A number in its limits, both included.
pub(crate) fn number(value: &DeValue<'_>, min: f64, max: f64) -> Result<f64, Issue> {
    let found = match value {
        DeValue::Integer(number) => {
            // Beyond 2^53 a number is rounded; the limits are far below.
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(|number| number as f64)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        other => {
            let quoted_number = other.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
            let hint = quoted_number.then(|| "numbers stand without quotes".to_owned());
            return Err(expected("a number", other).maybe_hint(hint));
        }
    };
    match found.filter(|number| (min..=max).contains(number)) {
        Some(number) => Ok(number),
        None => Err(Issue::new(format!("must be between {min} and {max}"))),
    }
}

/// A length of time in its limits (milliseconds), both included.
pub(crate) fn duration(value: &DeValue<'_>, min: i64, max: i64) -> Result<Millis, Issue> {
    const HINT: &str = "a number and a unit (ms, s, m, h), also several: \"1m30s\"";
    let Some(text) = value.as_str() else {
        let hint = match value {
            DeValue::Integer(number) => format!("write the unit: \"{}s\"", number.as_str()),
            _ => HINT.to_owned(),
        };
        return Err(expected("a duration such as \"25s\"", value).hint(hint));
    };
    let millis = parse_duration(text)
        .ok_or_else(|| Issue::new(format!("{} is not a duration", quoted(text))).hint(HINT))?;
    if millis < min {
        let message = if millis == 0 {
            "must not be zero".to_owned()
        } else {
            format!("must be at least {}", length(min))
        };
        return Err(Issue::new(message));
    }
    if millis > max {
        return Err(Issue::new(format!("must be at most {}", length(max))));
    }
    Ok(Millis(millis))
}

/// `1h2m3s400ms`, units from large to small and each once; a decimal fraction is exact to the millisecond: `1.5s`.
fn parse_duration(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];
    parse_units(text, &UNITS)
}

/// Numbers with these units, each with its milliseconds, from large to small and each once.
pub(super) fn parse_units(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let (mut rest, mut units, mut total) = (text, units, 0_i64);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let at = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(scaled(number, units[at].1)?)?;
        (rest, units) = (tail, &units[at + 1..]);
    }
    Some(total)
}

/// A decimal number times the unit, if that is a whole number of milliseconds.
fn scaled(number: &str, unit: i64) -> Option<i64> {
    let (whole, fraction) = match number.split_once('.') {
        None => (number, ""),
        Some((whole, fraction)) if !fraction.is_empty() && fraction.len() <= 6 => (whole, fraction),
        Some(_) => return None,
    };
    let whole = whole.parse::<i64>().ok()?.checked_mul(unit)?;
    if fraction.is_empty() {
        return Some(whole);
    }
    let places = 10_i64.pow(u32::try_from(fraction.len()).ok()?);
    let part = fraction.parse::<i64>().ok()?.checked_mul(unit)?;
    (part % places == 0).then(|| whole.checked_add(part / places))?
}

/// One of a few words.
pub(crate) fn one_of<T: Copy>(value: &DeValue<'_>, words: &[(&str, T)]) -> Result<T, Issue> {
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let Some(typed) = value.as_str() else {
        return Err(expected(&format!("one of {}", names.join(", ")), value));
    };
    words.iter().find(|(word, _)| *word == typed).map(|(_, meaning)| *meaning).ok_or_else(|| {
        Issue::new(format!("{} is not known here", quoted(typed)))
            .maybe_hint(suggest::hint(typed, &names, "one of"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_exact_to_the_millisecond() {
        let good = [
            ("25s", 25_000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5s", 1500),
            ("0s", 0),
            ("1h1ms", 3_600_001),
            ("0.001s", 1),
        ];
        for (text, ms) in good {
            assert_eq!(parse_duration(text), Some(ms), "{text}");
        }
        let bad = [
            "",
            "s",
            "5",
            "5 s",
            "-5s",
            "5x",
            "1s1m",
            "1s1s",
            "1.s",
            ".5s",
            "1.0005s",
            "1e3s",
            "5S",
            "99999999999999999h",
            "1..5s",
            "٣s",
        ];
        for text in bad {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_in_any_way_is_read_alike(ms in 0..=86_400_000_i64) {
            let (h, m, s, rest) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
            let forms = [
                format!("{ms}ms"),
                format!("{}.{:03}s", ms / 1000, rest),
                format!("{h}h{m}m{s}s{rest}ms"),
                format!("{h}h{}ms", ms % 3_600_000),
            ];
            for form in forms {
                proptest::prop_assert_eq!(parse_duration(&form), Some(ms), "{}", form);
            }
        }
    }
}
