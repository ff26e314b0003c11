//! The parts of an error ratio's expression.

use harness_event::Millis;
use harness_slo::{compress::Length, promql};
use promql_parser::{
    parser::{self, Expr, token::T_DIV},
    util::{ExprVisitor, walk_expr},
};

/// What the value of an expression counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Events per second: `rate()`.
    PerSecond,
    /// Events within the range: `increase()`, `sum_over_time()`, `count_over_time()`.
    Events,
    /// Neither: only ratios of it mean something.
    Unknown,
}

/// An expression over the range that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Counted {
    /// As loaded, over a window of the rule.
    expression: String,
    pub(super) unit: Unit,
    /// It reads counters: `rate()` and `increase()` only.
    pub(super) counters: bool,
    /// What it reads: vector selectors without range.
    pub(super) selectors: Vec<String>,
}

/// An error ratio.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ratio {
    /// Errors through all events: Sloth's `sli.events`.
    Events { errors: Counted, total: Counted },
    /// Anything else: Sloth's `sli.raw`.
    Raw(Counted),
}

impl Counted {
    fn new(expression: &str, tree: &Expr) -> Self {
        let mut reads = Reads::default();
        let Ok(_) = walk_expr(&mut reads, tree);
        Self {
            expression: expression.to_owned(),
            unit: reads.unit(),
            counters: reads.only(&["rate", "increase"]),
            selectors: reads.selectors,
        }
    }

    /// The expression over exactly `length`. The error says why there is none.
    pub(super) fn over(&self, length: Millis) -> Result<String, String> {
        let length = Length::from_millis(length.0.max(1).unsigned_abs());
        promql::replace_ranges(&self.expression, length).map_err(|error| error.to_string())
    }
}

impl Ratio {
    /// Takes an expression apart.
    ///
    /// # Errors
    /// If it is no PromQL.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let tree = parser::parse(expression)?;
        Ok(split(expression, &tree).unwrap_or_else(|| Self::Raw(Counted::new(expression, &tree))))
    }
}

/// Splits `errors / total` in its text, so that nothing needs to be printed again, and proves the parts by the tree.
fn split(expression: &str, tree: &Expr) -> Option<Ratio> {
    let binary = match tree {
        Expr::Paren(paren) => {
            let inside = expression.trim().strip_prefix('(')?.strip_suffix(')')?;
            return (parser::parse(inside).ok()? == *paren.expr).then(|| split(inside, &paren.expr))?;
        }
        Expr::Binary(binary) if binary.op.id() == T_DIV && binary.modifier.is_none() => binary,
        _ => return None,
    };
    expression.match_indices('/').find_map(|(at, _)| {
        let (left, right) = (expression[..at].trim(), expression[at + 1..].trim());
        let same = |text: &str, tree: &Expr| parser::parse(text).is_ok_and(|parsed| parsed == *tree);
        (same(left, &binary.lhs) && same(right, &binary.rhs)).then(|| Ratio::Events {
            errors: Counted::new(left, &binary.lhs),
            total: Counted::new(right, &binary.rhs),
        })
    })
}

/// What an expression reads, and with which functions over time.
#[derive(Default)]
struct Reads {
    functions: Vec<&'static str>,
    selectors: Vec<String>,
}

impl Reads {
    fn only(&self, known: &[&str]) -> bool {
        !self.functions.is_empty() && self.functions.iter().all(|name| known.contains(name))
    }

    fn unit(&self) -> Unit {
        match self {
            _ if self.only(&["rate"]) => Unit::PerSecond,
            _ if self.only(&["increase", "sum_over_time", "count_over_time"]) => Unit::Events,
            _ => Unit::Unknown,
        }
    }
}

impl ExprVisitor for Reads {
    type Error = std::convert::Infallible;

    fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
        let selector = match expr {
            Expr::VectorSelector(vector) => Some(vector),
            Expr::MatrixSelector(matrix) => Some(&matrix.vs),
            Expr::Call(call) => {
                let over_time =
                    |argument: &Expr| matches!(argument, Expr::MatrixSelector(_) | Expr::Subquery(_));
                if call.args.args.iter().any(|argument| over_time(argument)) {
                    self.functions.push(call.func.name);
                }
                None
            }
            _ => None,
        };
        if let Some(vector) = selector {
            let plain = parser::VectorSelector { offset: None, at: None, ..vector.clone() }.to_string();
            if !self.selectors.contains(&plain) {
                self.selectors.push(plain);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(expression: &str) -> Option<(String, String, Unit, Unit)> {
        match Ratio::parse(expression).unwrap() {
            Ratio::Events { errors, total } => {
                Some((errors.expression, total.expression, errors.unit, total.unit))
            }
            Ratio::Raw(_) => None,
        }
    }

    #[test]
    fn ratios_are_taken_apart() {
        for (expression, errors, total) in [
            ("(sum(rate(a[5m]))) / (sum(rate(b[5m])))", "(sum(rate(a[5m])))", "(sum(rate(b[5m])))"),
            ("sum(rate(a[5m])) / sum(rate(b[5m]))", "sum(rate(a[5m]))", "sum(rate(b[5m]))"),
            ("((rate(a[5m])) / (rate(b[5m]) > 0))", "(rate(a[5m]))", "(rate(b[5m]) > 0)"),
            // A slash in a string or in a part is none of the ratio's own.
            ("(rate(a{path=\"/x/y\"}[5m])) / (rate(b[5m]))", "(rate(a{path=\"/x/y\"}[5m]))", "(rate(b[5m]))"),
            ("(rate(a[5m]) / 2) / (rate(b[5m]) / 3)", "(rate(a[5m]) / 2)", "(rate(b[5m]) / 3)"),
            // From left to right: the last division is the outer one.
            ("rate(a[5m]) / 2 / rate(b[5m])", "rate(a[5m]) / 2", "rate(b[5m])"),
        ] {
            let (found_errors, found_total, ..) = parts(expression).expect(expression);
            assert_eq!((found_errors.as_str(), found_total.as_str()), (errors, total), "{expression}");
        }
        for raw in [
            "(1 - (sum(rate(a[5m])) / sum(rate(b[5m]))))",
            "slo:raw",
            "sum(rate(a[5m])) / ignoring (x) sum(rate(b[5m]))",
            "rate(a[5m]) * 2",
        ] {
            assert_eq!(parts(raw), None, "{raw}");
        }
        assert!(Ratio::parse("rate(").is_err());
    }

    #[test]
    fn units_follow_from_the_functions() {
        for (expression, unit) in [
            ("sum(rate(a[5m])) - sum(rate(b[5m]))", Unit::PerSecond),
            ("sum(increase(a[5m]))", Unit::Events),
            ("sum_over_time((count(x < 0.75))[5m:]) or on () vector(0)", Unit::Events),
            ("sum(rate(a[5m])) + sum(increase(b[5m]))", Unit::Unknown),
            ("avg_over_time(a[5m])", Unit::Unknown),
            ("sum(irate(a[5m]))", Unit::Unknown),
            ("a", Unit::Unknown),
        ] {
            let counted = Counted::new(expression, &parser::parse(expression).unwrap());
            assert_eq!(counted.unit, unit, "{expression}");
        }
    }

    #[test]
    fn an_expression_over_the_length_of_a_run() {
        let Ratio::Events { errors, total } = Ratio::parse(
            "(sum(rate(a{x=~\"/y|[5m]\"}[5m])) - sum(rate(b[5m]))) / (sum(rate(a{x=~\"/y|[5m]\"}[5m])) > 0)",
        )
        .unwrap() else {
            panic!("events")
        };
        assert_eq!(
            errors.over(Millis(61_500)).unwrap(),
            "(sum(rate(a{x=~\"/y|[5m]\"}[1m1s500ms])) - sum(rate(b[1m1s500ms])))"
        );
        assert_eq!(errors.selectors, ["a{x=~\"/y|[5m]\"}", "b"]);
        assert_eq!(total.selectors, ["a{x=~\"/y|[5m]\"}"]);
        // Which of two ranges the run's length should replace, nobody can tell.
        let Ratio::Raw(mixed) = Ratio::parse("rate(a[5m]) - rate(b[1h])").unwrap() else { panic!("raw") };
        assert!(mixed.over(Millis(1000)).is_err());
    }
}
