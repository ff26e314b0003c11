//! Putting text on the screen. Everything goes through here: text of the cluster is cleaned, and nothing is drawn outside its area.

use std::borrow::Cow;

use harness_event::clean;
use ratatui::{buffer::Buffer, layout::Rect, style::Style};
use unicode_width::UnicodeWidthStr;

use crate::theme::{Role, Theme};

/// A text in ASCII, for terminals that know nothing else: what events say in arrows and dots is spelled out, the rest is `?`.
fn spelled(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.is_ascii() {
        return text;
    }
    let mut ascii = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '→' => ascii.push_str("->"),
            '…' => ascii.push_str("..."),
            '–' | '—' | '−' => ascii.push('-'),
            '×' => ascii.push('x'),
            '±' => ascii.push_str("+-"),
            'µ' => ascii.push('u'),
            '·' => ascii.push('-'),
            char if char.is_ascii() => ascii.push(char),
            _ => ascii.push('?'),
        }
    }
    Cow::Owned(ascii)
}

/// A text cut in its middle if it does not fit: names of pods tell more at both ends.
#[must_use]
pub fn middle<'a>(text: &'a str, columns: usize, theme: &Theme) -> Cow<'a, str> {
    let text = clean(text);
    if width(&text) <= columns || columns < 5 {
        return text;
    }
    let end = (columns - 1) / 2;
    let start = columns - 1 - end;
    let taken = |chars: &mut dyn Iterator<Item = char>, most: usize| {
        let mut used = 0;
        let fits = |char: &char| {
            used += unicode_width::UnicodeWidthChar::width(*char).unwrap_or(0);
            used <= most
        };
        chars.take_while(fits).collect::<Vec<char>>()
    };
    let head: String = taken(&mut text.chars(), start).into_iter().collect();
    let tail: String = taken(&mut text.chars().rev(), end).into_iter().rev().collect();
    Cow::Owned(format!("{head}{}{tail}", theme.symbols().cut))
}

/// Columns that a text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// One line that is written from left to right, in parts. What does not fit is cut, and the cut is shown.
pub struct Pen<'a> {
    buf: &'a mut Buffer,
    theme: &'a Theme,
    x: u16,
    y: u16,
    end: u16,
    on: bool,
}

impl<'a> Pen<'a> {
    /// At the beginning of a row of an area, counted from its top. Below the area nothing is drawn.
    pub fn new(buf: &'a mut Buffer, theme: &'a Theme, area: Rect, row: u16) -> Self {
        let area = area.intersection(buf.area);
        let y = area.y.saturating_add(row);
        Self { on: row < area.height && area.width > 0, x: area.x, y, end: area.right(), buf, theme }
    }

    /// Columns that are left.
    pub fn left(&self) -> usize {
        usize::from(self.end.saturating_sub(self.x)) * usize::from(self.on)
    }

    /// Writes a text.
    pub fn put(&mut self, text: &str, role: Role) -> &mut Self {
        self.styled(text, self.theme.style(role))
    }

    /// Writes a text in a style of its own.
    pub fn styled(&mut self, text: &str, style: Style) -> &mut Self {
        let left = self.left();
        if left == 0 || text.is_empty() {
            return self;
        }
        let text = if self.theme.unicode { clean(text) } else { spelled(clean(text)) };
        if width(&text) <= left {
            self.x = self.buf.set_stringn(self.x, self.y, &text, left, style).0;
            return self;
        }
        let cut = self.theme.symbols().cut;
        let x = self.buf.set_stringn(self.x, self.y, &text, left - 1, style).0;
        self.buf.set_stringn(x, self.y, cut, 1, style);
        self.x = self.end;
        self
    }

    /// Writes a text into so many columns; the rest is blank. `right`: at their right end.
    pub fn cell(&mut self, text: &str, columns: usize, right: bool, role: Role) -> &mut Self {
        let columns = columns.min(self.left());
        if columns == 0 {
            return self;
        }
        let text = clean(text);
        let blank = columns.saturating_sub(width(&text));
        if right {
            self.skip(blank);
        }
        let end = std::mem::replace(&mut self.end, self.x + (columns - if right { blank } else { 0 }) as u16);
        let from = self.x;
        self.styled(&text, self.theme.style(role));
        self.end = end;
        let written = usize::from(self.x - from);
        if !right {
            self.skip(columns.saturating_sub(written));
        }
        self
    }

    /// Leaves columns blank.
    pub fn skip(&mut self, columns: usize) -> &mut Self {
        self.x = self.x.saturating_add(columns.min(self.left()) as u16);
        self
    }

    /// Goes on so that a text of this width ends at the right; not back.
    pub fn right(&mut self, columns: usize) -> &mut Self {
        let left = self.left();
        self.skip(left.saturating_sub(columns))
    }
}

/// Paints the style of a role over what is there: a selected row.
pub fn over(buf: &mut Buffer, theme: &Theme, area: Rect, role: Role) {
    let area = area.intersection(buf.area);
    buf.set_style(area, theme.style(role));
}

/// Blanks an area, for what is drawn over something else.
pub fn blank(buf: &mut Buffer, area: Rect) {
    let area = area.intersection(buf.area);
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            buf[(x, y)].reset();
        }
    }
}

/// A title line with a rule, and the area below it. `focused` panels have a mark as well as a colour.
pub fn panel(buf: &mut Buffer, theme: &Theme, area: Rect, title: &str, note: &str, focused: bool) -> Rect {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return area;
    }
    let symbols = theme.symbols();
    let role = if focused { Role::Accent } else { Role::Strong };
    let mut pen = Pen::new(buf, theme, area, 0);
    pen.put(
        if focused { symbols.selected } else { symbols.horizontal },
        if focused { role } else { Role::Dim },
    );
    pen.put(title, role).put(" ", Role::Plain);
    if !note.is_empty() {
        pen.put(note, Role::Dim).put(" ", Role::Plain);
    }
    let rest = symbols.horizontal.repeat(pen.left());
    pen.put(&rest, Role::Dim);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// A bordered box over everything, in the middle, at most as large as the screen; and the area in it.
pub fn dialog(buf: &mut Buffer, theme: &Theme, screen: Rect, columns: u16, rows: u16, title: &str) -> Rect {
    let screen = screen.intersection(buf.area);
    let (width, height) =
        (columns.saturating_add(4).min(screen.width), rows.saturating_add(2).min(screen.height));
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    blank(buf, area);
    if width < 5 || height < 3 {
        return area;
    }
    let (side, corner) = (theme.symbols().vertical, "+");
    let corners = if theme.unicode { ["┌", "┐", "└", "┘"] } else { [corner; 4] };
    let rule = theme.symbols().horizontal.repeat(usize::from(width - 2));
    for (row, left, right) in [(0, corners[0], corners[1]), (height - 1, corners[2], corners[3])] {
        Pen::new(buf, theme, area, row)
            .put(left, Role::Strong)
            .put(&rule, Role::Strong)
            .put(right, Role::Strong);
    }
    for row in 1..height - 1 {
        Pen::new(buf, theme, area, row)
            .put(side, Role::Strong)
            .skip(usize::from(width - 2))
            .put(side, Role::Strong);
    }
    let head = Rect { x: area.x + 2, width: width - 4, height: 1, ..area };
    Pen::new(buf, theme, head, 0).put(" ", Role::Strong).put(title, Role::Strong).put(" ", Role::Strong);
    Rect { x: area.x + 2, y: area.y + 1, width: width - 4, height: height - 2 }
}

/// Breaks a text into lines of at most so many columns, at spaces where there are any.
#[must_use]
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let columns = columns.max(1);
    let mut lines = Vec::new();
    for paragraph in text.split('\n') {
        let paragraph = clean(paragraph);
        let (mut line, mut used) = (String::new(), 0);
        for word in paragraph.split_inclusive(' ') {
            let fits = width(word.trim_end());
            if used > 0 && used + fits > columns {
                lines.push(std::mem::take(&mut line).trim_end().to_owned());
                used = 0;
            }
            for char in word.chars() {
                let wide = unicode_width::UnicodeWidthChar::width(char).unwrap_or(0);
                if used + wide > columns {
                    if char == ' ' {
                        continue;
                    }
                    lines.push(std::mem::take(&mut line));
                    used = 0;
                }
                line.push(char);
                used += wide;
            }
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The first of `rows` rows of a list of `length` that is shown, so that the cursor is in sight: in the middle where it can be.
#[must_use]
pub fn first_row(length: usize, rows: usize, cursor: usize) -> usize {
    cursor.saturating_sub(rows / 2).min(length.saturating_sub(rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    const THEME: Theme = Theme { color: false, unicode: true };

    fn line(buf: &Buffer, y: u16) -> String {
        (0..buf.area.width).map(|x| buf[(x, y)].symbol()).collect::<String>().trim_end().to_owned()
    }

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 10, 2));
        let area = buf.area;
        Pen::new(&mut buf, &THEME, area, 0).put("abc ", Role::Plain).put("defghijkl", Role::Plain);
        Pen::new(&mut buf, &THEME, area, 1).put("水水水水水水", Role::Plain);
        Pen::new(&mut buf, &THEME, area, 2).put("below", Role::Plain);
        assert_eq!(line(&buf, 0), "abc defgh…");
        assert_eq!(line(&buf, 1).replace(' ', ""), "水水水水…");
    }

    #[test]
    fn without_unicode_texts_are_spelled_out() {
        let theme = Theme { color: false, unicode: false };
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 1));
        let area = buf.area;
        Pen::new(&mut buf, &theme, area, 0).put("2 → 6 … zürich", Role::Plain);
        assert_eq!(line(&buf, 0), "2 -> 6 ... z?rich");
    }

    #[test]
    fn a_name_is_cut_in_its_middle() {
        assert_eq!(middle("api-7d4b9c6f8-x2k4p", 11, &THEME), "api-7…x2k4p");
        assert_eq!(middle("api", 11, &THEME), "api");
        assert_eq!(middle("水水水水水水", 7, &THEME), "水…水");
    }

    #[test]
    fn cells_keep_their_columns() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 20, 1));
        let area = buf.area;
        let mut pen = Pen::new(&mut buf, &THEME, area, 0);
        pen.cell("ab", 4, false, Role::Plain).cell("7", 3, true, Role::Plain).cell(
            "abcdef",
            4,
            false,
            Role::Plain,
        );
        pen.put("|", Role::Plain);
        assert_eq!(line(&buf, 0), "ab    7abc…|");
    }

    #[test]
    fn text_is_wrapped_at_spaces_and_long_words_are_broken() {
        assert_eq!(wrap("the quick brown fox", 10), ["the quick", "brown fox"]);
        assert_eq!(wrap("abcdefghij\nk", 4), ["abcd", "efgh", "ij", "k"]);
        assert_eq!(wrap("水水水", 4), ["水水", "水"]);
        assert_eq!(wrap("水", 1), ["", "水"], "too narrow for it: nothing is lost, the drawing cuts it");
    }

    #[test]
    fn the_cursor_is_in_sight() {
        for (length, rows, cursor) in [(100, 10, 0), (100, 10, 50), (100, 10, 99), (5, 10, 4), (3, 1, 2)] {
            let first = first_row(length, rows, cursor);
            assert!(first <= cursor && cursor < first + rows, "{length} {rows} {cursor}: {first}");
        }
        assert_eq!(first_row(0, 0, 0), 0);
    }
}
