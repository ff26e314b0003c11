//! Alert names, label matchers, PromQL, comparisons.

use harness_event::{Comparison, LabelMatcher, MatchOp};
use promql_parser::parser::{self, value::ValueType};
use toml::de::DeValue;

use super::basic;
use crate::{
    problems::{Issue, Span},
    suggest::quoted,
    syntax::type_name,
};

/// Longest query, in bytes: the parser works recursively on what it read.
const MAX_QUERY: usize = 4096;
/// Deepest nesting of brackets in a query, for the same reason.
const MAX_QUERY_DEPTH: usize = 64;
/// Longest value of a matcher, in bytes.
const MAX_PATTERN: usize = 1024;
/// Labels that are not the alert's own.
const RESERVED: [(&str, &str); 3] = [
    ("alertname", "the name of the alert is the key `alert`"),
    ("alertstate", "states are given by their deadlines, such as `firing_within`"),
    ("__name__", "alerts have no metric name"),
];

/// An alert name, exactly.
pub(crate) fn alert_name(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let name = basic::line(value, span)?;
    if name.starts_with("=~") || name.starts_with("!=") || name.starts_with("!~") {
        return Err(Issue::new("the name of an expected alert is exact").hint("matchers go into `labels`"));
    }
    Ok(name)
}

/// A label's value: exact, or with one of the operators `=`, `!=`, `=~`, `!~` in front.
pub(crate) fn matcher(name: &str, value: &DeValue<'_>) -> Result<LabelMatcher, Issue> {
    let Some(text) = value.as_str() else {
        return Err(Issue::new(format!(
            "label {}: expected a text, this is {}",
            quoted(name),
            type_name(value)
        )));
    };
    if text.len() > MAX_PATTERN {
        return Err(Issue::new(format!("is longer than {MAX_PATTERN} bytes")));
    }
    let operators =
        [("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex), ("!=", MatchOp::NotEqual), ("=", MatchOp::Equal)];
    let found = operators.into_iter().find_map(|(spelling, op)| Some((op, text.strip_prefix(spelling)?)));
    let (op, value) = found.unwrap_or((MatchOp::Equal, text));
    if matches!(op, MatchOp::Regex | MatchOp::NotRegex) {
        regex_lite::Regex::new(value)
            .map_err(|error| Issue::new(format!("{} is not a regular expression: {error}", quoted(value))))?;
    }
    Ok(LabelMatcher { name: name.to_owned(), op, value: value.to_owned() })
}

/// True if an exact value looks as if a regular expression was meant.
fn looks_like_a_pattern(matcher: &LabelMatcher) -> bool {
    let signs = [".*", ".+", "|", "[", "(", "^", "$", "*"];
    matches!(matcher.op, MatchOp::Equal | MatchOp::NotEqual)
        && signs.iter().any(|sign| matcher.value.contains(sign))
}

/// A label name, as Prometheus has them.
pub(crate) fn label_name(name: &str) -> Result<(), Issue> {
    if let Some((_, reason)) = RESERVED.iter().find(|(reserved, _)| *reserved == name) {
        return Err(Issue::new(format!("{name:?} is not a label to match here")).hint(*reason));
    }
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(inner) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Issue::new(format!("{} is not a label name", quoted(name))));
    }
    Ok(())
}

/// Matchers and what is suspicious about them.
pub(crate) type Matched = (Vec<LabelMatcher>, Vec<Issue>);

/// A table of labels with matchers.
pub(crate) fn matchers(value: &DeValue<'_>, own_keys: &[&str]) -> Result<Matched, Issue> {
    let Some(labels) = value.as_table() else {
        return Err(Issue::new(format!("expected a table of labels, this is {}", type_name(value)))
            .hint("write { severity = \"page\", instance = \"=~10\\\\..*\" }"));
    };
    let (mut matchers, mut suspicious, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for (name, value) in labels.iter().filter(|(name, _)| !own_keys.contains(&name.get_ref().as_ref())) {
        let (name_span, value_span) = (name.span(), value.span());
        if let Err(issue) = label_name(name.get_ref()) {
            wrong.push(issue.at(&name_span));
        }
        match matcher(name.get_ref(), value.get_ref()) {
            Ok(matcher) => {
                suspicious.extend(suspicion(&matcher).map(|issue| issue.at(&value_span)));
                matchers.push(matcher);
            }
            Err(issue) => wrong.push(issue.at(&value_span)),
        }
    }
    Issue::all(wrong)?;
    Ok((matchers, suspicious))
}

/// What is suspicious about a matcher.
pub(crate) fn suspicion(matcher: &LabelMatcher) -> Option<Issue> {
    looks_like_a_pattern(matcher).then(|| {
        let op = if matcher.op == MatchOp::Equal { "=~" } else { "!~" };
        Issue::new(format!(
            "{} is compared exactly, but looks like a regular expression",
            quoted(&matcher.value)
        ))
        .hint(format!("write {:?} to match a pattern", format!("{op}{}", matcher.value)))
    })
}

/// PromQL whose result can be compared with a number.
pub(crate) fn query(value: &DeValue<'_>, span: &Span) -> Result<String, Issue> {
    let query = basic::text(value, span)?;
    if query.len() > MAX_QUERY {
        return Err(Issue::new(format!("is longer than {MAX_QUERY} bytes")));
    }
    let mut depth = 0_usize;
    for byte in query.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_QUERY_DEPTH {
            return Err(Issue::new(format!("is nested more than {MAX_QUERY_DEPTH} deep")));
        }
    }
    let expression =
        parser::parse(&query).map_err(|reason| Issue::new(format!("is not PromQL: {reason}")))?;
    match expression.value_type() {
        ValueType::Vector | ValueType::Scalar => Ok(query),
        ValueType::Matrix => {
            Err(Issue::new("gives a range of values; a comparison needs one value per series")
                .hint("wrap it in a function, such as rate(…[1m])"))
        }
        ValueType::String => Err(Issue::new("gives a text; a comparison needs a number")),
    }
}

/// `">= 1"`.
pub(crate) fn comparison(value: &DeValue<'_>, _: &Span) -> Result<Comparison, Issue> {
    const HINT: &str = "one of ==, !=, <, <=, >, >= and a number: \">= 0.99\"";
    let text = match value {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) if number.radix() == 10 => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        other => {
            return Err(Issue::new(format!("expected a comparison, this is {}", type_name(other))).hint(HINT));
        }
    };
    let swapped = [("=>", ">="), ("=<", "<="), ("<>", "!=")];
    let meant = swapped.iter().find_map(|(typed, op)| Some((op, text.trim().strip_prefix(typed)?.trim())));
    let hint =
        meant.map_or_else(|| HINT.to_owned(), |(op, number)| format!("did you mean \"{op} {number}\"?"));
    Comparison::parse(&text)
        .ok_or_else(|| Issue::new(format!("{} is not a comparison", quoted(&text))).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LabelMatcher, Issue> {
        matcher("severity", &DeValue::String(text.into()))
    }

    #[test]
    fn operators_stand_in_front_of_the_value() {
        for (text, op, value) in [
            ("page", MatchOp::Equal, "page"),
            ("=page", MatchOp::Equal, "page"),
            ("=~pa.*", MatchOp::Regex, "pa.*"),
            ("!=page", MatchOp::NotEqual, "page"),
            ("!~pa.*", MatchOp::NotRegex, "pa.*"),
            ("==~x", MatchOp::Equal, "=~x"),
            ("", MatchOp::Equal, ""),
        ] {
            assert_eq!(
                read(text),
                Ok(LabelMatcher { name: "severity".into(), op, value: value.into() }),
                "{text}"
            );
        }
        assert!(read("=~(").is_err());
        assert!(read("=~a)|(b").is_err(), "anchoring must not change what a pattern means");
    }
}
