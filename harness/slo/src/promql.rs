//! Changing the durations of a PromQL expression: ranges, subquery steps, offsets.
//!
//! The new text is the old one with other durations: comments and line breaks stay, and nothing depends on printing an
//! expression again (promql-parser's own printing loses `by ()` and turns `ignoring () group_left` into something that
//! Prometheus refuses). That the text means what it should is not assumed but checked each time: the syntax tree of the new text
//! must be the tree of the old one with its durations changed. An expression for which that does not hold is refused.

use std::{borrow::Cow, time::Duration};

use promql_parser::parser::{self, Expr, Offset, VectorSelector};

use crate::compress::{Length, Ratio};

/// Why an expression could not be changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromqlError {
    /// Prometheus would refuse it, too.
    #[error("`{expression}` is not understood: {problem}")]
    Parse {
        /// The expression, on one line.
        expression: String,
        /// What the parser says.
        problem: String,
    },
    /// A duration would become shorter than half a millisecond.
    #[error("{duration} becomes less than a millisecond")]
    TooShort {
        /// The duration as written.
        duration: String,
    },
    /// The expression looks back over several lengths, so there is no one range to replace.
    #[error("`{expression}` has ranges of different lengths ({})", ranges.join(", "))]
    Ranges {
        /// The expression, on one line.
        expression: String,
        /// Its ranges.
        ranges: Vec<String>,
    },
    /// The expression has a duration that is written in a way which cannot be changed in place.
    #[error("the durations of `{expression}` cannot be changed in place")]
    Form {
        /// The expression, on one line.
        expression: String,
    },
}

/// What a duration in an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `[5m]`, also of a subquery.
    Range,
    /// The `1m` of `[1h:1m]`.
    Step,
    /// `offset 5m`.
    Offset,
}

/// Multiplies every duration of an expression. Times after `@` stay: they are points in time, not durations.
pub fn scale(expression: &str, ratio: Ratio) -> Result<String, PromqlError> {
    if ratio.is_one() {
        return parse(expression).map(|_| expression.to_owned());
    }
    rewrite(expression, &mut |_, length, text| {
        length.scaled(ratio).ok_or_else(|| PromqlError::TooShort { duration: text.to_owned() })
    })
}

/// Makes an expression look back over exactly `length`: replaces its ranges, which must all be the same. Ranges within a
/// subquery belong to what the subquery repeats and stay.
pub fn replace_ranges(expression: &str, length: Length) -> Result<String, PromqlError> {
    let outer = outer_ranges(&parse(expression)?);
    let first = outer.first().copied();
    if outer.iter().any(|range| Some(*range) != first) {
        let mut ranges: Vec<String> = outer.iter().map(ToString::to_string).collect();
        ranges.dedup();
        return Err(PromqlError::Ranges { expression: one_line(expression), ranges });
    }
    let spans = spans(expression).ok_or_else(|| form(expression))?;
    let changed = splice(expression, &spans, &mut |span, _, _| {
        Ok((span.role == Role::Range && span.outermost).then_some(length))
    })?;
    let mut expected = parse(expression)?;
    for_each_outer_range(&mut expected, &mut |range| *range = Duration::from_millis(length.millis()));
    if parse(&changed)? == expected { Ok(changed) } else { Err(form(expression)) }
}

/// The lengths over which an expression looks back itself, without those inside of subqueries; in order.
pub fn ranges(expression: &str) -> Result<Vec<Length>, PromqlError> {
    Ok(outer_ranges(&parse(expression)?))
}

/// All durations of an expression, each as often as it occurs.
pub fn durations(expression: &str) -> Result<Vec<Length>, PromqlError> {
    let mut durations = Vec::new();
    each(&mut parse(expression)?, &mut |_, duration| {
        durations.push(Length::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)));
        Ok(duration)
    })?;
    Ok(durations)
}

/// Parses an expression.
pub(crate) fn parse(expression: &str) -> Result<Expr, PromqlError> {
    parser::parse(&without_raw_strings(expression))
        .map_err(|problem| PromqlError::Parse { expression: one_line(expression), problem })
}

/// Raw strings as escaped ones: promql-parser looks for escapes in raw strings, where there are none.
fn without_raw_strings(expression: &str) -> Cow<'_, str> {
    if !expression.contains('`') {
        return Cow::Borrowed(expression);
    }
    let bytes = expression.as_bytes();
    let (mut text, mut from, mut at) = (String::new(), 0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'#' => at = skip_comment(bytes, at),
            quote @ (b'"' | b'\'' | b'`') => {
                let Some(end) = skip_string(bytes, at, quote) else { return Cow::Borrowed(expression) };
                if quote == b'`' {
                    text.push_str(&expression[from..at]);
                    let raw = &expression[at + 1..end - 1];
                    let escaped = raw.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
                    text.extend(["\"", &escaped, "\""]);
                    from = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    text.push_str(&expression[from..]);
    Cow::Owned(text)
}

/// An expression for a message.
pub(crate) fn one_line(expression: &str) -> String {
    const SHOWN: usize = 100;
    let line = expression.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn form(expression: &str) -> PromqlError {
    PromqlError::Form { expression: one_line(expression) }
}

type Splice<'a> = &'a mut dyn FnMut(&Span, Length, &str) -> Result<Option<Length>, PromqlError>;
type Change<'a> = &'a mut dyn FnMut(Role, Length, &str) -> Result<Length, PromqlError>;

/// Changes every duration in the text and proves by the tree that just those were changed.
fn rewrite(expression: &str, change: Change<'_>) -> Result<String, PromqlError> {
    let mut expected = parse(expression)?;
    let spans = spans(expression).ok_or_else(|| form(expression))?;
    let changed =
        splice(expression, &spans, &mut |span, length, text| change(span.role, length, text).map(Some))?;
    let mut count = 0;
    each(&mut expected, &mut |role, duration| {
        count += 1;
        let millis = u64::try_from(duration.as_millis()).map_err(|_| form(expression))?;
        let length = Length::from_millis(millis);
        Ok(Duration::from_millis(change(role, length, &length.to_string())?.millis()))
    })?;
    if count == spans.len() && parse(&changed)? == expected { Ok(changed) } else { Err(form(expression)) }
}

/// A duration in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
    role: Role,
    /// It is not within what a subquery repeats.
    outermost: bool,
}

fn splice(expression: &str, spans: &[Span], change: Splice<'_>) -> Result<String, PromqlError> {
    let mut changed = String::with_capacity(expression.len());
    let mut from = 0;
    for span in spans {
        let text = &expression[span.start..span.end];
        let length = Length::parse(text).or_else(|| seconds(text)).ok_or_else(|| form(expression))?;
        changed.push_str(&expression[from..span.start]);
        match change(span, length, text)? {
            Some(length) => changed.push_str(&length.to_string()),
            None => changed.push_str(text),
        }
        from = span.end;
    }
    changed.push_str(&expression[from..]);
    Ok(changed)
}

/// A plain number of seconds, as newer versions of Prometheus accept it.
fn seconds(text: &str) -> Option<Length> {
    text.parse::<u64>().ok()?.checked_mul(1000).map(Length::from_millis)
}

/// The durations of an expression that parses, in order of the text. `None` if one is written in an unusual way.
fn spans(expression: &str) -> Option<Vec<Span>> {
    let bytes = expression.as_bytes();
    let mut spans: Vec<Span> = Vec::new();
    // For each open parenthesis, how many durations there were before it.
    let mut open: Vec<usize> = Vec::new();
    // Where the last operand began, as a count of durations: what a subquery's brackets refer to.
    let mut operand = 0;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            quote @ (b'"' | b'\'' | b'`') => at = skip_string(bytes, at, quote)?,
            b'#' => at = skip_comment(bytes, at),
            b'(' => {
                open.push(spans.len());
                at += 1;
            }
            b')' => {
                operand = open.pop()?;
                at += 1;
            }
            b'[' => {
                let close = at + bytes[at..].iter().position(|byte| *byte == b']')?;
                let inside = &expression[at + 1..close];
                let (range, step) = match inside.split_once(':') {
                    Some((range, step)) => (range, Some(step)),
                    None => (inside, None),
                };
                if step.is_some() {
                    // What stands in the parentheses before is repeated by this subquery. A selector without parentheses
                    // has no duration of its own.
                    for span in spans.get_mut(operand..).into_iter().flatten() {
                        span.outermost &= span.role == Role::Offset;
                    }
                }
                spans.push(trimmed(expression, at + 1, range, Role::Range)?);
                if let Some(step) = step.filter(|step| !step.trim().is_empty()) {
                    spans.push(trimmed(expression, close - step.len(), step, Role::Step)?);
                }
                at = close + 1;
            }
            byte if is_word(byte) => {
                let end = word_end(bytes, at);
                let is_offset = expression[at..end].eq_ignore_ascii_case("offset");
                // A selector or a function: the parenthesis that follows it sets this again when it closes.
                if !is_offset {
                    operand = spans.len();
                }
                at = end;
                if is_offset && let Some(start) = offset_value(bytes, end) {
                    let end = word_end(bytes, start);
                    spans.push(Span { start, end, role: Role::Offset, outermost: true });
                    at = end;
                }
            }
            _ => at += 1,
        }
    }
    Some(spans)
}

fn trimmed(expression: &str, from: usize, text: &str, role: Role) -> Option<Span> {
    let start = from + (text.len() - text.trim_start().len());
    let end = start + text.trim().len();
    let plain = expression[start..end].bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && start < end).then_some(Span { start, end, role, outermost: true })
}

/// Where the duration after `offset` begins; `None` if none follows, so that the word is a name.
fn offset_value(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut signed = false;
    loop {
        match *bytes.get(at)? {
            byte if byte.is_ascii_whitespace() => at += 1,
            b'#' => at = skip_comment(bytes, at),
            b'+' | b'-' if !signed => {
                signed = true;
                at += 1;
            }
            byte => return byte.is_ascii_digit().then_some(at),
        }
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':' || byte == b'.'
}

fn word_end(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| is_word(**byte)).count()
}

fn skip_comment(bytes: &[u8], at: usize) -> usize {
    at + bytes[at..].iter().take_while(|byte| **byte != b'\n').count()
}

fn skip_string(bytes: &[u8], at: usize, quote: u8) -> Option<usize> {
    let mut end = at + 1;
    loop {
        match *bytes.get(end)? {
            b'\\' if quote != b'`' => end += 2,
            byte if byte == quote => return Some(end + 1),
            _ => end += 1,
        }
    }
}

/// Changes every duration in a tree.
fn each(
    expr: &mut Expr,
    change: &mut dyn FnMut(Role, Duration) -> Result<Duration, PromqlError>,
) -> Result<(), PromqlError> {
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                each(param, change)?;
            }
            each(&mut aggregate.expr, change)
        }
        Expr::Unary(unary) => each(&mut unary.expr, change),
        Expr::Binary(binary) => {
            each(&mut binary.lhs, change)?;
            each(&mut binary.rhs, change)
        }
        Expr::Paren(paren) => each(&mut paren.expr, change),
        Expr::Subquery(subquery) => {
            each(&mut subquery.expr, change)?;
            subquery.range = change(Role::Range, subquery.range)?;
            if let Some(step) = &mut subquery.step {
                *step = change(Role::Step, *step)?;
            }
            offset(&mut subquery.offset, change)
        }
        Expr::VectorSelector(VectorSelector { offset: own, .. }) => offset(own, change),
        Expr::MatrixSelector(matrix) => {
            matrix.range = change(Role::Range, matrix.range)?;
            offset(&mut matrix.vs.offset, change)
        }
        Expr::Call(call) => call.args.args.iter_mut().try_for_each(|argument| each(argument, change)),
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => Ok(()),
    }
}

fn offset(
    offset: &mut Option<Offset>,
    change: &mut dyn FnMut(Role, Duration) -> Result<Duration, PromqlError>,
) -> Result<(), PromqlError> {
    match offset {
        Some(Offset::Pos(duration) | Offset::Neg(duration)) => {
            *duration = change(Role::Offset, *duration)?;
            Ok(())
        }
        None => Ok(()),
    }
}

fn outer_ranges(expr: &Expr) -> Vec<Length> {
    let mut ranges = Vec::new();
    for_each_outer_range(&mut expr.clone(), &mut |range| {
        ranges.push(Length::from_millis(u64::try_from(range.as_millis()).unwrap_or(u64::MAX)));
    });
    ranges
}

fn for_each_outer_range(expr: &mut Expr, see: &mut dyn FnMut(&mut Duration)) {
    match expr {
        Expr::Aggregate(aggregate) => {
            if let Some(param) = &mut aggregate.param {
                for_each_outer_range(param, see);
            }
            for_each_outer_range(&mut aggregate.expr, see);
        }
        Expr::Unary(unary) => for_each_outer_range(&mut unary.expr, see),
        Expr::Binary(binary) => {
            for_each_outer_range(&mut binary.lhs, see);
            for_each_outer_range(&mut binary.rhs, see);
        }
        Expr::Paren(paren) => for_each_outer_range(&mut paren.expr, see),
        Expr::Subquery(subquery) => see(&mut subquery.range),
        Expr::MatrixSelector(matrix) => see(&mut matrix.range),
        Expr::Call(call) => {
            call.args.args.iter_mut().for_each(|argument| for_each_outer_range(argument, see))
        }
        Expr::VectorSelector(_) | Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => {}
    }
}

#[cfg(test)]
#[path = "promql_tests.rs"]
mod tests;
