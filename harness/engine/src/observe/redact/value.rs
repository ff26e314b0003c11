//! Where a value ends.

use std::ops::Range;

use regex::Regex;

use super::REDACTED;

/// Replaces the values after a pattern, if `takes` says so of what the pattern found and its value.
pub(super) fn mask(
    text: &str,
    before: &Regex,
    takes: impl Fn(Range<usize>, Range<usize>) -> bool,
) -> Option<String> {
    let (mut masked, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(found) = before.find_at(text, at) {
        at = found.end();
        let Some(end) = end(text, at).filter(|end| takes(found.range(), at..*end)) else { continue };
        masked.push_str(&text[copied..at]);
        masked.push_str(REDACTED);
        (copied, at) = (end, end);
    }
    (copied > 0).then(|| masked + &text[copied..])
}

/// The end of the value that begins at a place: that of its quotes (also escaped ones, as in JSON inside JSON), or the next blank or
/// separator. A quote that is not closed goes to the end of the text, which was cut.
pub(super) fn end(text: &str, start: usize) -> Option<usize> {
    let rest = &text[start..];
    if let Some((quote, slashes)) = opening(rest) {
        let inner = start + slashes + 1;
        return Some(inner + closing(&text[inner..], quote, slashes));
    }
    let known = if rest.starts_with(REDACTED) { REDACTED.len() } else { 0 };
    let stops = |c: char| c.is_whitespace() || ",;&\"'])}".contains(c);
    let length = rest[known..].find(stops).map_or(rest.len(), |length| known + length);
    (length > 0).then_some(start + length)
}

/// The quote that a text begins with, and how many backslashes stand before it.
pub(super) fn opening(text: &str) -> Option<(char, usize)> {
    let quote = text.trim_start_matches('\\');
    let found = quote.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    Some((found, text.len() - quote.len()))
}

/// How far it is to behind the quote that closes one with so many backslashes before it.
///
/// In a string of depth d (JSON inside JSON has 1), quotes that delimit it have b = 2^d - 1 backslashes before them. Of those within it
/// each is escaped once more, so a run of r backslashes before a quote closes it if r mod 2(b + 1) = b.
pub(super) fn closing(text: &str, quote: char, slashes: usize) -> usize {
    let mut run = 0;
    for (at, c) in text.char_indices() {
        match c {
            '\\' => run += 1,
            // The string around it ends.
            c if c == quote && run < slashes => return at - run,
            c if c == quote && run % (2 * (slashes + 1)) == slashes => return at + 1,
            _ => run = 0,
        }
    }
    text.len()
}
