//! PromQL of dashboards.

use promql_parser::{
    label::{METRIC_NAME, MatchOp},
    parser::{self, Expr, VectorSelector},
    util::{ExprVisitor, walk_expr},
};

/// What a query asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Metric names that it needs, without repetitions.
    pub metrics: Vec<String>,
    /// Matchers `label="value"` or `label!="value"`.
    pub equalities: Vec<(String, String)>,
}

/// Parses a query whose variables are filled in.
///
/// # Errors
/// The parser's text.
pub fn parse(query: &str) -> Result<Parsed, String> {
    let expr = parser::parse(query)?;
    let mut selectors = Selectors(Parsed::default());
    let Ok(_) = walk_expr(&mut selectors, &expr);
    Ok(selectors.0)
}

struct Selectors(Parsed);

impl ExprVisitor for Selectors {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        match expr {
            Expr::VectorSelector(selector) => self.take(selector),
            Expr::MatrixSelector(selector) => self.take(&selector.vs),
            _ => {}
        }
        Ok(true)
    }
}

impl Selectors {
    fn take(&mut self, selector: &VectorSelector) {
        let matchers =
            selector.matchers.matchers.iter().chain(selector.matchers.or_matchers.iter().flatten());
        let mut name = selector.name.clone();
        for matcher in matchers {
            let equal = matches!(matcher.op, MatchOp::Equal);
            if matcher.name == METRIC_NAME && equal {
                name = Some(matcher.value.clone());
            } else if equal || matches!(matcher.op, MatchOp::NotEqual) {
                self.0.equalities.push((matcher.name.clone(), matcher.value.clone()));
            }
        }
        if let Some(name) = name
            && !self.0.metrics.contains(&name)
        {
            self.0.metrics.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_and_equalities_are_found_everywhere() {
        let query = r#"sum by (le) (rate(a_bucket{x="1",y=~"2"}[1m])) / on() group_left max_over_time((b or {__name__="c",z!="3"})[5m:1s])"#;
        let parsed = parse(query).unwrap();
        assert_eq!(parsed.metrics, ["a_bucket", "b", "c"]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(parsed.equalities, [pair("x", "1"), pair("z", "3")]);
        assert!(parse("sum(").is_err() && parse("rate(up)").is_err());
    }
}
