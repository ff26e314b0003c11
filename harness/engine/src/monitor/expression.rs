//! What can be told from a PromQL expression without evaluating it.

use std::{collections::BTreeSet, time::Duration};

use promql_parser::{
    label::{Labels as LabelNames, METRIC_NAME, MatchOp, Matcher},
    parser::{
        self, AggregateExpr, BinaryExpr, Call, Expr, LabelModifier, VectorMatchCardinality, VectorSelector,
        token::{T_BOTTOMK, T_COUNT_VALUES, T_LOR, T_TOPK},
        value::ValueType,
    },
};

/// One vector selector of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    /// Without `offset` and `@`.
    pub(super) vector: VectorSelector,
    /// Range, if a range function is applied to it.
    pub(super) range: Option<Duration>,
    /// Inside of `absent()` or `absent_over_time()`.
    pub(super) absent: bool,
}

impl Selector {
    /// Metric name, where it is a plain one.
    pub(super) fn metric(&self) -> Option<&str> {
        let by_label =
            || self.matchers().find(|matcher| matcher.name == METRIC_NAME && matcher.op == MatchOp::Equal);
        self.vector.name.as_deref().or_else(|| by_label().map(|matcher| matcher.value.as_str()))
    }

    /// Its matchers. Of those joined by `or` none: they decide nothing alone.
    pub(super) fn matchers(&self) -> impl Iterator<Item = &Matcher> {
        self.vector.matchers.matchers.iter()
    }
}

/// Reads an expression. The error is the parser's text.
pub(super) fn parse(expr: &str) -> Result<Expr, String> {
    parser::parse(expr)
}

/// All vector selectors, each once.
pub(super) fn selectors(expr: &Expr) -> Vec<Selector> {
    let mut found = Vec::new();
    collect(expr, false, &mut found);
    found
}

fn collect(expr: &Expr, absent: bool, found: &mut Vec<Selector>) {
    let mut add = |vector: &VectorSelector, range| {
        let vector = VectorSelector { offset: None, at: None, ..vector.clone() };
        let selector = Selector { vector, range, absent };
        if !found.contains(&selector) {
            found.push(selector);
        }
    };
    match expr {
        Expr::VectorSelector(vector) => add(vector, None),
        Expr::MatrixSelector(matrix) => add(&matrix.vs, Some(matrix.range)),
        Expr::Aggregate(AggregateExpr { expr, param, .. }) => {
            collect(expr, absent, found);
            if let Some(param) = param {
                collect(param, absent, found);
            }
        }
        Expr::Unary(unary) => collect(&unary.expr, absent, found),
        Expr::Binary(binary) => {
            collect(&binary.lhs, absent, found);
            collect(&binary.rhs, absent, found);
        }
        Expr::Paren(paren) => collect(&paren.expr, absent, found),
        Expr::Subquery(subquery) => collect(&subquery.expr, absent, found),
        Expr::Call(call) => {
            let absent = absent || is_absent(call);
            call.args.args.iter().for_each(|argument| collect(argument, absent, found));
        }
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

/// The longest range of a range selector or subquery.
pub(super) fn longest_range(expr: &Expr) -> Option<Duration> {
    struct Longest(Option<Duration>);
    impl promql_parser::util::ExprVisitor for Longest {
        type Error = std::convert::Infallible;
        fn pre_visit(&mut self, expr: &Expr) -> Result<bool, Self::Error> {
            match expr {
                Expr::MatrixSelector(matrix) => self.0 = self.0.max(Some(matrix.range)),
                Expr::Subquery(subquery) => self.0 = self.0.max(Some(subquery.range)),
                _ => {}
            }
            Ok(true)
        }
    }
    let mut longest = Longest(None);
    let Ok(_) = promql_parser::util::walk_expr(&mut longest, expr);
    longest.0
}

/// Label names that the result can have, the metric name left out; none if it can have any.
pub(super) fn output_labels(expr: &Expr) -> Option<BTreeSet<String>> {
    match expr {
        Expr::Aggregate(aggregate) => match (aggregate.op.id(), &aggregate.modifier) {
            (T_TOPK | T_BOTTOMK, _) => output_labels(&aggregate.expr),
            (T_COUNT_VALUES, _) => None,
            (_, None) => Some(BTreeSet::new()),
            (_, Some(LabelModifier::Include(by))) => Some(set(by)),
            (_, Some(LabelModifier::Exclude(without))) => without_labels(&aggregate.expr, without),
        },
        Expr::Unary(unary) => output_labels(&unary.expr),
        Expr::Paren(paren) => output_labels(&paren.expr),
        Expr::Subquery(subquery) => output_labels(&subquery.expr),
        Expr::Binary(binary) => binary_labels(binary),
        Expr::Call(call) => call_labels(call),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) => Some(BTreeSet::new()),
        Expr::VectorSelector(_) | Expr::MatrixSelector(_) | Expr::Extension(_) => None,
    }
}

fn binary_labels(binary: &BinaryExpr) -> Option<BTreeSet<String>> {
    let scalar = |side: &Expr| matches!(side.value_type(), ValueType::Scalar);
    if scalar(&binary.lhs) || scalar(&binary.rhs) {
        return output_labels(if scalar(&binary.lhs) { &binary.rhs } else { &binary.lhs });
    }
    if binary.op.is_set_operator() {
        let left = output_labels(&binary.lhs)?;
        // `and` and `unless` only filter the left side.
        return match binary.op.id() == T_LOR {
            true => Some(&left | &output_labels(&binary.rhs)?),
            false => Some(left),
        };
    }
    let modifier = binary.modifier.as_ref();
    match modifier.map(|modifier| (&modifier.card, &modifier.matching)) {
        Some((VectorMatchCardinality::ManyToOne(more), _)) => Some(&output_labels(&binary.lhs)? | &set(more)),
        Some((VectorMatchCardinality::OneToMany(more), _)) => Some(&output_labels(&binary.rhs)? | &set(more)),
        Some((_, Some(LabelModifier::Include(on)))) => Some(set(on)),
        Some((_, Some(LabelModifier::Exclude(ignoring)))) => without_labels(&binary.lhs, ignoring),
        _ => output_labels(&binary.lhs),
    }
}

fn call_labels(call: &Call) -> Option<BTreeSet<String>> {
    let arguments = &call.args.args;
    match call.func.name {
        // Those of the selector's equality matchers; without a plain selector none.
        "absent" | "absent_over_time" => {
            let inner = arguments.first()?;
            let vector = match inner.as_ref() {
                Expr::VectorSelector(vector) => vector,
                Expr::MatrixSelector(matrix) => &matrix.vs,
                _ => return Some(BTreeSet::new()),
            };
            let equal = vector.matchers.matchers.iter().filter(|matcher| matcher.op == MatchOp::Equal);
            Some(equal.map(|matcher| matcher.name.clone()).filter(|name| name != METRIC_NAME).collect())
        }
        "label_replace" | "label_join" => {
            let Expr::StringLiteral(target) = arguments.get(1)?.as_ref() else { return None };
            let mut labels = output_labels(arguments.first()?)?;
            labels.insert(target.val.clone());
            Some(labels)
        }
        _ => match arguments
            .iter()
            .find(|argument| matches!(argument.value_type(), ValueType::Vector | ValueType::Matrix))
        {
            Some(argument) => output_labels(argument),
            None => Some(BTreeSet::new()),
        },
    }
}

fn without_labels(expr: &Expr, without: &LabelNames) -> Option<BTreeSet<String>> {
    output_labels(expr).map(|labels| &labels - &set(without))
}

fn set(names: &LabelNames) -> BTreeSet<String> {
    names.labels.iter().cloned().collect()
}

fn is_absent(call: &Call) -> bool {
    matches!(call.func.name, "absent" | "absent_over_time")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(expr: &str) -> Option<String> {
        output_labels(&parse(expr).unwrap()).map(|labels| labels.into_iter().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn result_labels_are_known_where_the_expression_decides_them() {
        for (expr, expected) in [
            ("up == 0", None),
            ("rate(x[1m]) > 1", None),
            ("sum(up) == 0", Some("")),
            ("1 - sum by (job) (up)", Some("job")),
            ("sum without (pod) (up)", None),
            ("sum without (a) (sum by (a, b) (up))", Some("b")),
            ("sum by (a) (x) / sum by (a) (y) > 0.5 and sum by (a, b) (z)", Some("a")),
            ("sum(a) == 0 or max by (b) (c)", Some("b")),
            ("sum(a) or up", None),
            ("sum by (a, b) (x) / on(a) sum by (a) (y)", Some("a")),
            ("sum by (a, b) (x) / on(a) group_left(c) sum by (a, c) (y)", Some("a b c")),
            ("absent(up{job=\"api\", env=~\"x\"})", Some("job")),
            ("max(absent(up{job=\"api\"}))", Some("")),
            ("topk(1, sum by (a) (x))", Some("a")),
            ("count_values(\"v\", x)", None),
            ("label_replace(sum by (a) (x), \"b\", \"$1\", \"a\", \"(.*)\")", Some("a b")),
            ("vector(1)", Some("")),
            ("histogram_quantile(0.9, sum by (le, job) (rate(x_bucket[1m])))", Some("job le")),
            ("max_over_time(sum by (a) (x)[5m:1m])", Some("a")),
        ] {
            assert_eq!(labels(expr).as_deref(), expected, "{expr}");
        }
    }

    #[test]
    fn selectors_are_found_everywhere() {
        let expr = parse("sum(rate(a{x=\"1\"}[5m] offset 1h)) / b > 1 or absent(c) or max_over_time(d[1h:1m]) or b or quantile(scalar(e), f)").unwrap();
        let found: Vec<_> = selectors(&expr)
            .into_iter()
            .map(|s| (s.vector.to_string(), s.range.map(|r| r.as_secs()), s.absent))
            .collect();
        let plain = |name: &str| (name.to_owned(), None, false);
        let expected = [
            ("a{x=\"1\"}".to_owned(), Some(300), false),
            plain("b"),
            ("c".to_owned(), None, true),
            plain("d"),
            plain("f"),
            plain("e"),
        ];
        assert_eq!(found, expected);
        assert_eq!(longest_range(&expr), Some(Duration::from_secs(3600)));
        assert_eq!(selectors(&parse("vector(1)").unwrap()), []);
    }
}
