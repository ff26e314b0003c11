//! Healthy history for SLOs: the raw series that their error ratios rest on, as they would be after a long time without errors.
//!
//! A window is only as long as the data. Two minutes after Prometheus has started, the error ratio over an hour is one over two
//! minutes, and a burn rate alert comes many times too early. With series that tell of a healthy past, it comes when it
//! should.
//!
//! Only what grows in good times is made: the total of requests, and those of them that were good. Series of errors are left
//! out, since a system without errors has none; the ratio is the same once there are some.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use promql_parser::{
    label::{MatchOp, Matcher},
    parser::{Expr, VectorSelector},
};

use crate::{
    compress::{Length, RuleFile},
    promql,
};

/// Recorded error ratios, without the window.
const ERROR_RATIO: &str = "slo:sli_error:ratio_rate";

/// Why there is no healthy history for an SLO.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// None of the rules records an error ratio.
    #[error("none of the rules records an error ratio ({ERROR_RATIO}…)")]
    NoSlo,
    /// It is no quotient of errors and all events.
    #[error(
        "`{expression}` is no quotient of errors and all events, so it can't be said what a healthy past would be"
    )]
    NoQuotient {
        /// The expression, on one line.
        expression: String,
    },
    /// It cannot be made up which series a selector would find.
    #[error("{selector} finds series by a pattern: nobody says what a series would be called")]
    Pattern {
        /// The selector.
        selector: String,
    },
}

/// A counter with a name and labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counter {
    /// Name of the series.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// The counters that grow in good times, for all SLOs whose rules are in the files. All grow alike: each event is good.
pub fn healthy<'a>(files: impl IntoIterator<Item = &'a RuleFile>) -> Result<Vec<Counter>, HistoryError> {
    let rules = files.into_iter().flat_map(|file| &file.groups).flat_map(|group| &group.rules);
    let ratios = rules.filter(|rule| rule.record.as_ref().is_some_and(|name| name.starts_with(ERROR_RATIO)));
    let mut counters = BTreeSet::new();
    let mut found = false;
    for rule in ratios {
        let no_quotient = || HistoryError::NoQuotient { expression: promql::one_line(&rule.expr) };
        let tree = promql::parse(&rule.expr).map_err(|_| no_quotient())?;
        let (errors, total) = quotient(&tree).ok_or_else(no_quotient)?;
        let mut selectors = Vec::new();
        collect(total, &mut selectors);
        // The mean over the period is one of recorded ratios, which come by themselves.
        if selectors.iter().any(|one| one.name.as_deref().is_some_and(|name| name.starts_with(ERROR_RATIO))) {
            continue;
        }
        found = true;
        // Good events are taken from all events: with no errors, both grow alike.
        subtracted(errors, &mut selectors);
        for selector in selectors {
            counters.insert(counter(selector)?);
        }
    }
    if found { Ok(counters.into_iter().collect()) } else { Err(HistoryError::NoSlo) }
}

/// Both sides of a division, whatever is around it.
fn quotient(tree: &Expr) -> Option<(&Expr, &Expr)> {
    match tree {
        Expr::Paren(paren) => quotient(&paren.expr),
        Expr::Binary(binary) if binary.op.to_string() == "/" => Some((&binary.lhs, &binary.rhs)),
        _ => None,
    }
}

/// All selectors of an expression.
fn collect<'t>(tree: &'t Expr, into: &mut Vec<&'t VectorSelector>) {
    match tree {
        Expr::Paren(paren) => collect(&paren.expr, into),
        Expr::Unary(unary) => collect(&unary.expr, into),
        Expr::Aggregate(aggregate) => collect(&aggregate.expr, into),
        Expr::Subquery(subquery) => collect(&subquery.expr, into),
        Expr::Call(call) => call.args.args.iter().for_each(|argument| collect(argument, into)),
        Expr::Binary(binary) => {
            collect(&binary.lhs, into);
            collect(&binary.rhs, into);
        }
        Expr::VectorSelector(selector) => into.push(selector),
        Expr::MatrixSelector(matrix) => into.push(&matrix.vs),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// Selectors of what is taken away from something.
fn subtracted<'t>(tree: &'t Expr, into: &mut Vec<&'t VectorSelector>) {
    match tree {
        Expr::Paren(paren) => subtracted(&paren.expr, into),
        Expr::Aggregate(aggregate) => subtracted(&aggregate.expr, into),
        Expr::Binary(binary) if binary.op.to_string() == "-" => {
            collect(&binary.lhs, into);
            collect(&binary.rhs, into);
        }
        Expr::Binary(binary) => {
            subtracted(&binary.lhs, into);
            subtracted(&binary.rhs, into);
        }
        _ => {}
    }
}

/// A series that a selector finds: with the labels that it asks for and no others.
fn counter(selector: &VectorSelector) -> Result<Counter, HistoryError> {
    let pattern = || HistoryError::Pattern { selector: selector.to_string() };
    if !selector.matchers.or_matchers.is_empty() {
        return Err(pattern());
    }
    let mut name = selector.name.clone();
    let mut labels = BTreeMap::new();
    for Matcher { op, name: label, value } in &selector.matchers.matchers {
        match op {
            MatchOp::Equal if label == "__name__" => name = Some(value.clone()),
            MatchOp::Equal if !value.is_empty() => drop(labels.insert(label.clone(), value.clone())),
            // A label that is not there is an empty one.
            MatchOp::Equal => {}
            MatchOp::NotEqual if !value.is_empty() => {}
            MatchOp::NotRe(regex) if !regex.is_match("") => {}
            MatchOp::Re(regex) if regex.is_match("") => {}
            _ => return Err(pattern()),
        }
    }
    Ok(Counter { name: name.ok_or_else(pattern)?, labels })
}

/// What the past was like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Past {
    /// Its end, in seconds since 1970.
    pub end: f64,
    /// How far it goes back.
    pub length: Length,
    /// Time between two samples: the scrape interval.
    pub step: Length,
    /// Growth of each counter, per second.
    pub per_second: f64,
}

/// Writes counters in the OpenMetrics format, as `promtool tsdb create-blocks-from openmetrics` reads it. The sample at the end is the
/// last one.
pub fn write_openmetrics(counters: &[Counter], past: &Past, out: &mut impl Write) -> io::Result<()> {
    let steps = past.length.millis().checked_div(past.step.millis()).unwrap_or(0);
    for counter in counters {
        let labels: Vec<String> =
            counter.labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        for at in 0..=steps {
            #[expect(clippy::cast_precision_loss, reason = "lengths of time are far below 2^52 ms")]
            let (since, before) = (
                (at * past.step.millis()) as f64 / 1000.0,
                ((steps - at) * past.step.millis()) as f64 / 1000.0,
            );
            let (value, time) = (past.per_second * since, past.end - before);
            writeln!(out, "{}{{{}}} {value:.3} {time:.3}", counter.name, labels.join(","))?;
        }
    }
    writeln!(out, "# EOF")
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(expr: &str) -> Result<Vec<String>, HistoryError> {
        let rule = serde_json::json!({ "groups": [{ "name": "g", "rules": [
            { "record": "slo:sli_error:ratio_rate5m", "expr": expr },
            { "record": "slo:sli_error:ratio_rate30d",
              "expr": "sum_over_time(slo:sli_error:ratio_rate5m[30d]) / count_over_time(slo:sli_error:ratio_rate5m[30d])" },
            { "record": "other", "expr": "up" },
        ] }] });
        let file = RuleFile::parse("rules.yml", &rule.to_string()).expect("test data");
        let shown = |counter: Counter| format!("{}{:?}", counter.name, counter.labels);
        Ok(healthy([&file])?.into_iter().map(shown).collect())
    }

    #[test]
    fn what_grows_in_good_times_is_made() {
        let cases: [(&str, &[&str]); 4] = [
            (
                "(sum(rate(r_total{job=\"a\", code=~\"5..\"}[5m]))) / (sum(rate(r_total{job=\"a\", route!~\"/health|/ready\", x=\"\"}[5m])) > 0)",
                &[r#"r_total{"job": "a"}"#],
            ),
            (
                "(sum(rate(d_count{job=\"a\"}[5m])) - sum(rate(d_bucket{job=\"a\", le=\"0.5\"}[5m]))) / sum(rate(d_count{job=\"a\"}[5m]))",
                &[r#"d_bucket{"job": "a", "le": "0.5"}"#, r#"d_count{"job": "a"}"#],
            ),
            ("rate({__name__=\"errors\"}[5m]) / rate({__name__=\"all\", z=~\".*\"}[5m])", &[r#"all{}"#]),
            ("(sum(rate(e[5m])) + sum(rate(f[5m]))) / sum(rate(all[5m]))", &[r#"all{}"#]),
        ];
        for (expr, expected) in cases {
            assert_eq!(
                counters(expr).as_deref().map_err(Clone::clone),
                Ok(&expected.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>()[..]),
                "{expr}"
            );
        }
    }

    #[test]
    fn what_nobody_can_know_is_refused() {
        assert!(matches!(counters("1 - avg_over_time(up[5m])"), Err(HistoryError::NoQuotient { .. })));
        for expr in [
            "rate(e[5m]) / rate(all{job=~\"a.*\"}[5m])",
            "rate(e[5m]) / rate(all{job!=\"\"}[5m])",
            "rate(e[5m]) / rate({job=\"a\"}[5m])",
        ] {
            assert!(matches!(counters(expr), Err(HistoryError::Pattern { .. })), "{expr}");
        }
        let file = RuleFile { groups: Vec::new() };
        assert_eq!(healthy([&file]), Err(HistoryError::NoSlo));
    }

    #[test]
    fn counters_are_written_up_to_the_end() {
        let counter = Counter {
            name: "x_total".to_owned(),
            labels: BTreeMap::from([("a".to_owned(), "b\"\\".to_owned())]),
        };
        let past = Past {
            end: 1000.5,
            length: Length::from_millis(2000),
            step: Length::from_millis(1000),
            per_second: 10.0,
        };
        let mut text = Vec::new();
        write_openmetrics(&[counter], &past, &mut text).unwrap();
        let expected = "x_total{a=\"b\\\"\\\\\"} 0.000 998.500\nx_total{a=\"b\\\"\\\\\"} 10.000 999.500\nx_total{a=\"b\\\"\\\\\"} 20.000 1000.500\n# EOF\n";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
}
