//! One line that is typed.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use crate::{
    paint::{self, Pen},
    theme::Role,
    view::Cx,
};

/// A line of text with a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextField {
    text: String,
    /// Byte at which the next character goes; at the border of a character.
    cursor: usize,
}

impl TextField {
    /// Longest text that can be typed, in characters.
    pub const MOST: usize = 500;

    /// Begins with a text, the cursor at its end.
    #[must_use]
    pub fn with(text: String) -> Self {
        let cursor = text.len();
        Self { text, cursor }
    }

    /// What was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Takes a key: characters, arrows, Home and End (Ctrl-A, Ctrl-E), Backspace and Delete, Ctrl-W (a word), Ctrl-U (all). True if
    /// it was one of these.
    pub fn key(&mut self, key: &KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('w') if control => {
                let kept = self.text[..self.cursor].trim_end();
                let start = kept.rfind(' ').map_or(0, |space| space + 1);
                self.text.drain(start..self.cursor);
                self.cursor = start;
            }
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => return false,
            KeyCode::Char(char) => {
                if !char.is_control() && self.text.chars().count() < Self::MOST {
                    self.text.insert(self.cursor, char);
                    self.cursor += char.len_utf8();
                }
            }
            KeyCode::Backspace => {
                if let Some(char) = self.text[..self.cursor].chars().next_back() {
                    self.cursor -= char.len_utf8();
                    self.text.remove(self.cursor);
                }
            }
            KeyCode::Delete => {
                if self.cursor < self.text.len() {
                    self.text.remove(self.cursor);
                }
            }
            KeyCode::Left => {
                let before = self.text[..self.cursor].chars().next_back();
                self.cursor -= before.map_or(0, char::len_utf8);
            }
            KeyCode::Right => {
                let after = self.text[self.cursor..].chars().next();
                self.cursor += after.map_or(0, char::len_utf8);
            }
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            _ => return false,
        }
        true
    }

    /// Draws it into the first row of an area, with a reversed cell as cursor. A long text is shown from where the cursor is in sight.
    pub fn render(&self, cx: &Cx<'_>, area: Rect, buf: &mut Buffer) {
        let columns = usize::from(area.width).saturating_sub(1);
        let mut start = 0;
        while paint::width(&self.text[start..self.cursor]) > columns {
            start += self.text[start..].chars().next().map_or(1, char::len_utf8);
        }
        let after = self.text[self.cursor..].chars().next();
        let under = after.map_or_else(|| " ".to_owned(), String::from);
        let rest = self.cursor + after.map_or(0, char::len_utf8);
        let reversed = cx.theme.style(Role::Plain).add_modifier(Modifier::REVERSED);
        Pen::new(buf, cx.theme, area, 0)
            .put(&self.text[start..self.cursor], Role::Plain)
            .styled(&under, reversed)
            .put(&self.text[rest..], Role::Plain);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[(KeyCode, KeyModifiers)]) -> TextField {
        let mut field = TextField::default();
        for (code, modifiers) in keys {
            field.key(&KeyEvent::new(*code, *modifiers));
        }
        field
    }

    #[test]
    fn a_line_is_typed_and_mended() {
        let plain = |char| (KeyCode::Char(char), KeyModifiers::NONE);
        let named = |code| (code, KeyModifiers::NONE);
        let mut keys: Vec<_> = "zürich 水".chars().map(plain).collect();
        assert_eq!(typed(&keys).text(), "zürich 水");
        keys.extend([
            named(KeyCode::Backspace),
            named(KeyCode::Home),
            named(KeyCode::Right),
            named(KeyCode::Delete),
        ]);
        assert_eq!(typed(&keys).text(), "zrich ");
        keys.extend([named(KeyCode::End), plain('x'), (KeyCode::Char('w'), KeyModifiers::CONTROL)]);
        assert_eq!(typed(&keys).text(), "zrich ");
        keys.push((KeyCode::Char('u'), KeyModifiers::CONTROL));
        assert_eq!(typed(&keys).text(), "");
        assert_eq!(
            typed(&[named(KeyCode::Left), named(KeyCode::Backspace), named(KeyCode::Delete)]).text(),
            ""
        );
    }
}
