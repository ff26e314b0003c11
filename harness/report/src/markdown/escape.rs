//! Text that stays text in Markdown, whatever it holds.

/// Longest text of a cell or an item, in characters.
const LONGEST: usize = 400;

/// Prose: on one line, cut, and with nothing in it that Markdown, HTML or the forge would take for its own.
pub(super) fn text(text: &str) -> String {
    let mut out = String::new();
    for c in one_line(text).chars() {
        match c {
            // A mention would notify people who have nothing to do with it.
            '@' => out.push_str("@<!-- -->"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' | '!' | '^' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    // Else a list or a heading could begin with it.
    match out.chars().next() {
        Some('-' | '+' | '=') => out.insert(0, '\\'),
        Some(digit) if digit.is_ascii_digit() => {
            let end = out.find(|c: char| !c.is_ascii_digit()).unwrap_or(out.len());
            let rest = &out[end..];
            if rest.starts_with(['.', ')']) && rest[1..].chars().next().is_none_or(char::is_whitespace) {
                out.insert(end, '\\');
            }
        }
        _ => {}
    }
    out
}

/// A name or a command, as code. A table's `|` ends a cell even in code, so it is escaped there, which the forges undo.
pub(super) fn code(text: &str, in_table: bool) -> String {
    let text = one_line(text);
    if text.is_empty() {
        return String::new();
    }
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let pad = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    let text = if in_table { text.replace('|', "\\|") } else { text };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// Control characters, those that turn the direction of the text around them, and those that are no characters: no name may
/// disguise itself.
pub(super) fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// Without control characters and line ends, of bounded length.
fn one_line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if is_invisible(c) { ' ' } else { c }).collect();
    let words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= LONGEST {
        return words;
    }
    words.chars().take(LONGEST - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        assert_eq!(text("a|b *c* <script> @user #12"), r"a\|b \*c\* &lt;script&gt; @<!-- -->user \#12");
        assert_eq!(text("one\n\ntwo\t\u{7}three"), "one two three");
        assert_eq!(text("- x"), r"\- x");
        assert_eq!(text("12. x"), r"12\. x");
        assert_eq!(text("1.5 s"), "1.5 s");
    }

    #[test]
    fn code_survives_its_own_fences() {
        assert_eq!(code("a", true), "`a`");
        assert_eq!(code("a``b", true), "```a``b```");
        assert_eq!(code("`a", true), "`` `a ``");
        assert_eq!(code("a|b", true), r"`a\|b`");
        assert_eq!(code("a|b", false), "`a|b`");
        assert_eq!(code("", true), "");
    }

    #[test]
    fn what_is_long_is_cut() {
        assert_eq!(text(&"x".repeat(5000)).chars().count(), LONGEST);
    }
}
