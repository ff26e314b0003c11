//! Text to a TOML document with spans, and every syntax error of it.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};
use toml_parser::lexer::TokenKind;

use crate::problems::{Issue, Problems, Span};

/// Longest scenario file, in bytes. It bounds what follows, above all time.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of brackets, and longest dotted key. Documents are dropped recursively: a key of 100,000 parts would
/// overflow the stack.
const MAX_DEPTH: usize = 20;

/// Reads the text. With errors, the document holds what could be understood nevertheless.
pub(crate) fn document<'t>(text: &'t str, problems: &mut Problems<'_>) -> Option<Spanned<DeTable<'t>>> {
    if text.len() > MAX_BYTES {
        let issue =
            Issue::new(format!("the file has {} bytes; a scenario has at most {MAX_BYTES}", text.len()));
        problems.syntax(&(0..0), issue);
        return None;
    }
    if let Some(span) = too_deep(text) {
        problems.syntax(&span, Issue::new(format!("keys and values are nested more than {MAX_DEPTH} deep")));
        return None;
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        problems
            .syntax(&span, Issue::new(error.message()).maybe_hint(syntax_hint(error.message(), text, &span)));
    }
    Some(document)
}

/// The first place where the nesting is deeper than any scenario needs.
fn too_deep(text: &str) -> Option<Span> {
    let (mut open, mut dots) = (0_usize, 0_usize);
    for token in toml_parser::Source::new(text).lex() {
        match token.kind() {
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => (open, dots) = (open + 1, 0),
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                (open, dots) = (open.saturating_sub(1), 0)
            }
            TokenKind::Equals | TokenKind::Comma | TokenKind::Newline => dots = 0,
            TokenKind::Dot => dots += 1,
            _ => {}
        }
        if open > MAX_DEPTH || dots > MAX_DEPTH {
            return Some(token.span().start()..token.span().end());
        }
    }
    None
}

fn syntax_hint(message: &str, text: &str, span: &Span) -> Option<String> {
    if message.contains("duplicate key") {
        return Some("a key stands once in its table; a list of tables repeats its [[header]]".to_owned());
    }
    let value = text.get(span.clone())?;
    let unquoted = message.contains("must be quoted") && value.len() <= 60;
    unquoted.then(|| format!("write {:?}", value.trim_end()))
}

/// What a value is, for messages.
pub(crate) fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
