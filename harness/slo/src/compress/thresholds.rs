//! Which thresholds survive compressed time.
//!
//! Durations can be divided, numbers cannot: nobody says what a number means. So each expression is looked at for how its value
//! changes when all ranges get shorter while the system lives on at its own pace. A rate stays; an increase over a range
//! shrinks with the range; the age of something (`time() - x`) counts real seconds. Comparing one that changes with a number that
//! stays is what gets reported. Comparing with zero is fine: no range is too short for "more than none".

use std::{collections::BTreeMap, time::Duration};

use promql_parser::parser::{AggregateExpr, BinaryExpr, Call, Expr};

use super::{Length, Ratio, Report, rules::Rule, rules::Sampling};
use crate::promql;

/// How a value depends on the length of time.
#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// A number that is written down.
    Number(f64),
    /// It does not: rates, ratios, gauges, latencies.
    Plain,
    /// What comes together in a range, or the age of something; with where it comes from.
    Amount(String),
    /// A number of samples in a range.
    Samples(String),
    /// A point in time.
    Instant,
}

impl Kind {
    /// It changes with the length of time.
    fn changes(&self) -> bool {
        matches!(self, Self::Amount(_) | Self::Samples(_))
    }

    fn is_zero(&self) -> bool {
        matches!(self, Self::Number(number) if *number == 0.0)
    }
}

/// What is known of recorded series, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds(BTreeMap<String, Kind>);

impl Kinds {
    /// Looks at recording rules, which may build on each other in any order.
    pub(super) fn of<'a>(rules: impl Iterator<Item = &'a Rule>) -> Self {
        let records: Vec<(&str, Expr)> = rules
            .filter_map(|rule| Some((rule.record.as_deref()?, promql::parse(&rule.expr).ok()?)))
            .collect();
        let mut kinds = Self(records.iter().map(|(name, _)| ((*name).to_owned(), Kind::Plain)).collect());
        // Each round settles at least one more name of a chain; series that are made of themselves never settle.
        for _ in 0..records.len() {
            let next: BTreeMap<String, Kind> = records
                .iter()
                .map(|(name, tree)| {
                    let kind = Walk { kinds: &kinds, findings: Vec::new(), ratio: Ratio::ONE }.kind(tree);
                    ((*name).to_owned(), kind)
                })
                .collect();
            if kinds.0 == next {
                break;
            }
            kinds.0 = next;
        }
        kinds
    }

    /// Why thresholds of an expression do not scale; nothing if they do.
    pub(super) fn findings(&self, tree: &Expr, ratio: Ratio) -> Vec<String> {
        let mut walk = Walk { kinds: self, findings: Vec::new(), ratio };
        walk.kind(tree);
        walk.findings.dedup();
        walk.findings
    }

    fn is_recorded(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

struct Walk<'a> {
    kinds: &'a Kinds,
    findings: Vec<String>,
    ratio: Ratio,
}

impl Walk<'_> {
    fn kind(&mut self, expr: &Expr) -> Kind {
        match expr {
            Expr::NumberLiteral(number) => Kind::Number(number.val),
            Expr::StringLiteral(_) | Expr::Extension(_) => Kind::Plain,
            Expr::Paren(paren) => self.kind(&paren.expr),
            Expr::Unary(unary) => match self.kind(&unary.expr) {
                Kind::Number(number) => Kind::Number(-number),
                kind => kind,
            },
            Expr::VectorSelector(selector) => self.recorded(selector.name.as_deref()),
            Expr::MatrixSelector(matrix) => self.recorded(matrix.vs.name.as_deref()),
            Expr::Subquery(subquery) => self.kind(&subquery.expr),
            Expr::Aggregate(aggregate) => self.aggregate(aggregate),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Call(call) => self.call(call),
        }
    }

    fn recorded(&self, name: Option<&str>) -> Kind {
        match name.and_then(|name| Some((name, self.kinds.0.get(name)?))) {
            Some((name, Kind::Amount(_))) => Kind::Amount(name.to_owned()),
            Some((name, Kind::Samples(_))) => Kind::Samples(name.to_owned()),
            Some((_, Kind::Instant)) => Kind::Instant,
            _ => Kind::Plain,
        }
    }

    fn aggregate(&mut self, aggregate: &AggregateExpr) -> Kind {
        if let Some(param) = &aggregate.param {
            self.kind(param);
        }
        let kind = self.kind(&aggregate.expr);
        match aggregate.op.to_string().as_str() {
            "count" | "count_values" | "group" => Kind::Plain,
            _ => kind,
        }
    }

    fn binary(&mut self, binary: &BinaryExpr) -> Kind {
        let (left, right) = (self.kind(&binary.lhs), self.kind(&binary.rhs));
        let op = binary.op;
        if op.is_comparison_operator() {
            self.compare(binary, &left, &right);
            return if binary.return_bool() { Kind::Plain } else { left };
        }
        let name = op.to_string();
        match (name.as_str(), left, right) {
            ("and" | "unless", left, _) => left,
            ("or", left, right) => {
                if right.changes() {
                    right
                } else {
                    left
                }
            }
            (_, Kind::Number(one), Kind::Number(two)) => Kind::Number(calculated(&name, one, two)),
            ("-", Kind::Instant, _) | ("-", _, Kind::Instant) => {
                Kind::Amount("the difference of two times".to_owned())
            }
            ("%", Kind::Instant, _) => {
                self.clock("the time of day");
                Kind::Plain
            }
            // A share of what comes together in a range, or how often: the lengths cancel out.
            ("/", Kind::Amount(_), Kind::Amount(_))
            | ("/", Kind::Samples(_) | Kind::Amount(_), Kind::Samples(_)) => Kind::Plain,
            ("*" | "/" | "%" | "^" | "atan2", left, right) => {
                if left.changes() {
                    left
                } else if right.changes() {
                    right
                } else {
                    Kind::Plain
                }
            }
            ("+" | "-", left, right) => {
                if left.changes() != right.changes() && !left.is_zero() && !right.is_zero() {
                    self.compare(binary, &left, &right);
                }
                if left.changes() {
                    left
                } else if right.changes() {
                    right
                } else if left == Kind::Instant {
                    left
                } else {
                    Kind::Plain
                }
            }
            _ => Kind::Plain,
        }
    }

    /// One that changes with the length of time against one that does not.
    fn compare(&mut self, binary: &BinaryExpr, left: &Kind, right: &Kind) {
        let (changing, other) = match (left.changes(), right.changes()) {
            (true, false) => (left, right),
            (false, true) => (right, left),
            _ => return,
        };
        if other.is_zero() {
            return;
        }
        let against = match other {
            Kind::Number(number) => format!("{} {number}", binary.op),
            _ => format!("{} a value that does not change with the range", binary.op),
        };
        self.findings.push(match changing {
            Kind::Samples(what) => format!(
                "{what} {against}: a number of samples, the same only where production scrapes as often in a range as here"
            ),
            Kind::Amount(what) if what.starts_with("the ") => format!("{what} {against}: these are real seconds, and here everything is to happen in a time {}", self.ratio),
            _ => {
                let what = match changing { Kind::Amount(what) => what.as_str(), _ => "" };
                format!("{what} {against}: the number stays, but it counts what comes together in a range {}", self.ratio)
            }
        });
    }

    fn clock(&mut self, what: &str) {
        self.findings.push(format!("{what} follows the clock on the wall, which is not compressed"));
    }

    fn call(&mut self, call: &Call) -> Kind {
        let kinds: Vec<Kind> = call.args.args.iter().map(|argument| self.kind(argument)).collect();
        let name = call.func.name;
        let first = || kinds.first().cloned().unwrap_or(Kind::Plain);
        match name {
            "increase" | "delta" | "idelta" | "changes" | "resets" => Kind::Amount(format!("{name}()")),
            "count_over_time" | "sum_over_time" => Kind::Samples(format!("{name}()")),
            "rate" | "irate" | "deriv" | "present_over_time" | "absent_over_time" | "absent" | "sgn"
            | "histogram_quantile" | "histogram_fraction" | "histogram_avg" | "days_in_month" => Kind::Plain,
            "time" | "timestamp" => Kind::Instant,
            "minute" | "hour" | "day_of_week" | "day_of_month" | "day_of_year" | "month" | "year" => {
                self.clock(&format!("{name}()"));
                Kind::Plain
            }
            "predict_linear" => {
                if let Some(Kind::Number(ahead)) = kinds.get(1)
                    && *ahead != 0.0
                {
                    self.findings.push(format!(
                        "predict_linear() looks {ahead} real seconds ahead, not a time {}",
                        self.ratio
                    ));
                } else if !matches!(kinds.get(1), Some(Kind::Number(_))) {
                    self.findings
                        .push("predict_linear() looks ahead by a value that is not compressed".to_owned());
                }
                first()
            }
            "quantile_over_time" => kinds.get(1).cloned().unwrap_or(Kind::Plain),
            "vector" | "scalar" => first(),
            _ => match first() {
                // Numbers that went through a function are not followed any further.
                Kind::Number(_) => Kind::Plain,
                kind => kind,
            },
        }
    }
}

fn calculated(op: &str, one: f64, two: f64) -> f64 {
    match op {
        "+" => one + two,
        "-" => one - two,
        "*" => one * two,
        "/" => one / two,
        "%" => one % two,
        "^" => one.powf(two),
        _ => f64::NAN,
    }
}

/// Functions that give nothing, or always zero, for a single sample.
const NEED_TWO: [&str; 11] = [
    "rate",
    "irate",
    "increase",
    "delta",
    "idelta",
    "deriv",
    "predict_linear",
    "changes",
    "resets",
    "holt_winters",
    "double_exponential_smoothing",
];
/// With fewer samples a single lost scrape makes a hole.
const ROBUST: u64 = 4;

/// Checks that each range of a scaled expression holds the samples that its function needs.
pub(super) fn check_ranges(tree: &Expr, sampling: Sampling, kinds: &Kinds, place: &str, report: &mut Report) {
    let mut check = |function: &str, range: Duration, interval: Option<Length>, of: &str| {
        let range = Length::from_millis(u64::try_from(range.as_millis()).unwrap_or(u64::MAX));
        let Some(interval) = interval.filter(|interval| interval.millis() > 0) else { return };
        let holds = range.millis() / interval.millis();
        let needs = if NEED_TWO.contains(&function) { 2 } else { 1 };
        if holds < needs {
            report.problem(
                place,
                format_args!("{function}() over {range} needs {needs} samples, and {of} every {interval} gives {holds}: it can never fire"),
            );
        } else if needs == 2 && holds < ROBUST {
            report.warn(
                place,
                format_args!("{function}() over {range} rests on {holds} samples ({of} every {interval}): one lost scrape is a hole"),
            );
        }
    };
    visit(tree, &mut |call| {
        for argument in &call.args.args {
            match argument.as_ref() {
                Expr::MatrixSelector(matrix)
                    if matrix.vs.name.as_deref().is_some_and(|name| kinds.is_recorded(name)) =>
                {
                    check(call.func.name, matrix.range, sampling.evaluation, "an evaluation");
                }
                Expr::MatrixSelector(matrix) => {
                    check(call.func.name, matrix.range, sampling.scrape, "a scrape")
                }
                Expr::Subquery(subquery) => {
                    let step = subquery
                        .step
                        .and_then(|step| u64::try_from(step.as_millis()).ok())
                        .map(Length::from_millis);
                    check(call.func.name, subquery.range, step.or(sampling.evaluation), "a step");
                }
                _ => {}
            }
        }
    });
}

fn visit(expr: &Expr, see: &mut dyn FnMut(&Call)) {
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &aggregate.param {
                visit(param, see);
            }
            visit(&aggregate.expr, see);
        }
        Expr::Unary(unary) => visit(&unary.expr, see),
        Expr::Binary(binary) => {
            visit(&binary.lhs, see);
            visit(&binary.rhs, see);
        }
        Expr::Paren(paren) => visit(&paren.expr, see),
        Expr::Subquery(subquery) => visit(&subquery.expr, see),
        Expr::Call(call) => {
            see(call);
            call.args.args.iter().for_each(|argument| visit(argument, see));
        }
        Expr::MatrixSelector(_)
        | Expr::VectorSelector(_)
        | Expr::NumberLiteral(_)
        | Expr::StringLiteral(_)
        | Expr::Extension(_) => {}
    }
}
