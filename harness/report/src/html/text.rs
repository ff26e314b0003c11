//! Untrusted text, and figures for people.

use std::{collections::HashSet, fmt::Write as _};

use harness_event::{Labels, Millis};
use minijinja::{Error, Output, State, Value};

use crate::duration::{latency, percent, trimmed};

/// Writes one value of a template: the only way in which anything gets from a log into a page.
pub(super) fn write(out: &mut Output<'_>, _: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    if value.is_none() {
        return Ok(());
    }
    if value.is_undefined() {
        return Err(Error::from(minijinja::ErrorKind::UndefinedError));
    }
    match value.as_str() {
        Some(text) if value.is_safe() => out.write_str(text)?,
        Some(text) => escape(out, text)?,
        None => escape(out, &value.to_string())?,
    }
    Ok(())
}

/// Escapes for text and for attributes in quotes of either kind. What cannot be seen is shown.
fn escape(out: &mut impl std::fmt::Write, text: &str) -> std::fmt::Result {
    let mut done = 0;
    for (index, character) in text.char_indices() {
        let replaced = match character {
            '<' => "&lt;",
            '>' => "&gt;",
            '&' => "&amp;",
            '"' => "&quot;",
            '\'' => "&#39;",
            '`' => "&#96;",
            '\n' | '\t' => continue,
            hidden if is_hidden(hidden) => "",
            _ => continue,
        };
        out.write_str(&text[done..index])?;
        done = index + character.len_utf8();
        match replaced {
            "" => write!(out, "\u{27e8}U+{:04X}\u{27e9}", u32::from(character))?,
            replaced => out.write_str(replaced)?,
        }
    }
    out.write_str(&text[done..])
}

/// Control characters, and those that turn, hide or join text.
fn is_hidden(character: char) -> bool {
    let invisible = matches!(
        character,
        '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    character.is_control() || invisible
}

/// At most so many characters; what is cut off is said.
pub(super) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}… ({} more characters)", &text[..end], text[end..].chars().count()),
        None => text.to_owned(),
    }
}

/// Anchors of a page: each only once.
#[derive(Debug, Default)]
pub(super) struct Anchors(HashSet<String>);

impl Anchors {
    /// An `id` that reads like the name and is not given yet.
    pub(super) fn new_for(&mut self, prefix: &str, name: &str) -> String {
        let fits = |character: char| character.is_ascii_alphanumeric() || "/._-".contains(character);
        let mut base: String =
            name.chars().map(|character| if fits(character) { character } else { '-' }).take(120).collect();
        base.insert_str(0, prefix);
        let mut id = base.clone();
        for number in 2.. {
            if self.0.insert(id.clone()) {
                break;
            }
            id = format!("{base}~{number}");
        }
        id
    }
}

/// What a number counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Things.
    Count,
    /// Per second.
    Rate,
    /// Shares from 0 to 1, written as percent.
    Share,
    /// Microseconds, written in the unit that fits.
    Latency,
    /// Burn rates.
    Burn,
}

impl Unit {
    /// A value with its unit.
    pub(super) fn write(self, value: f64) -> String {
        match self {
            Self::Count => trimmed(value, 2),
            Self::Rate => format!("{}/s", trimmed(value, if value < 10.0 { 2 } else { 0 })),
            Self::Share => percent(value),
            Self::Latency => latency(value.max(0.0).round() as u64),
            Self::Burn => format!("{}x", trimmed(value, if value < 0.1 { 3 } else { 2 })),
        }
    }
}

/// `+12.34s`, `+1m02.34s`: evidence is worth its hundredths also after a minute.
pub(super) fn elapsed(ms: i64) -> String {
    match ms {
        60_000.. => format!("+{}m{:02}.{:02}s", ms / 60_000, ms / 1000 % 60, ms % 1000 / 10),
        0.. => format!("+{}", Millis(ms)),
        // Before the run: pods are older than it.
        _ => Millis(ms).to_string(),
    }
}

/// `APIServiceDown{service="api"}`.
pub(super) fn alert(labels: &Labels) -> String {
    let name = labels.get("alertname").map_or("?", String::as_str);
    let mut text = name.to_owned();
    let others = labels.iter().filter(|(label, _)| *label != "alertname");
    for (number, (label, value)) in others.enumerate() {
        // Into a String: cannot fail.
        let _ = write!(text, "{}{label}={value:?}", if number == 0 { "{" } else { ", " });
    }
    if labels.len() > 1 {
        text.push('}');
    }
    text
}

/// A word with its number: `1 check`, `2 checks`.
pub(super) fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// As one word of a POSIX shell.
pub(super) fn shell_word(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-./:=,@%+".contains(character);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut out = String::new();
        escape(&mut out, text).unwrap();
        out
    }

    #[test]
    fn nothing_leaves_its_place() {
        assert_eq!(
            escaped("</script><b a=\"1\" b='2'>&`"),
            "&lt;/script&gt;&lt;b a=&quot;1&quot; b=&#39;2&#39;&gt;&amp;&#96;"
        );
        assert_eq!(escaped("läuft\nauf\t5"), "läuft\nauf\t5");
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(escaped("a\u{202e}b\u{0}\u{1b}[31m"), "a⟨U+202E⟩b⟨U+0000⟩⟨U+001B⟩[31m");
        assert_eq!(escaped("\u{2066}\u{feff}\r"), "⟨U+2066⟩⟨U+FEFF⟩⟨U+000D⟩");
    }

    #[test]
    fn anchors_are_given_once() {
        let mut anchors = Anchors::default();
        assert_eq!(anchors.new_for("", "alert/Api Down/firing"), "alert/Api-Down/firing");
        assert_eq!(anchors.new_for("", "alert/Api\"Down/firing"), "alert/Api-Down/firing~2");
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(shell_word("scenarios/db-failure.toml"), "scenarios/db-failure.toml");
        assert_eq!(shell_word("my scenarios/$(x)'.toml"), r"'my scenarios/$(x)'\''.toml'");
    }

    #[test]
    fn times_keep_their_hundredths() {
        let times = [0, 999, 12_345, 61_230, 3_600_000, -40].map(elapsed);
        assert_eq!(times, ["+0s", "+999ms", "+12.35s", "+1m01.23s", "+60m00.00s", "-40ms"]);
    }

    #[test]
    fn long_texts_say_that_they_are_cut() {
        assert_eq!(short("äbcdef", 3), "äbc… (3 more characters)");
        assert_eq!(short("abc", 3), "abc");
    }
}
