//! Text that cannot command a terminal.

use std::borrow::Cow;

/// A text on one line, without what is no text: control characters (escape sequences begin with one), marks that turn the direction of
/// writing, and characters without a width that are used to hide others. Each becomes one character, so no column moves.
///
/// Everything that a log holds goes through here before it is shown on a terminal: a log may have come from anywhere.
#[must_use]
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let shown = |char: char| match char {
        '\t' | '\n' | '\r' => ' ',
        char if is_unsafe(char) => '?',
        char => char,
    };
    Cow::Owned(text.chars().map(shown).collect())
}

fn is_unsafe(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn what_is_no_text_is_taken_out() {
        assert_eq!(clean("plain"), "plain");
        assert_eq!(clean("züri"), "züri");
        assert_eq!(clean("a\u{1b}[31mb\u{9b}c\r\n"), "a?[31mb?c  ");
        assert_eq!(clean("\u{1b}]8;;http://x\u{7}link\u{7f}"), "?]8;;http://x?link?");
        assert_eq!(clean("evil\u{202e}gpj.exe\u{200b}"), "evil?gpj.exe?");
    }
}
