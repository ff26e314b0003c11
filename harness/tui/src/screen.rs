//! A screen as text, to be left in the terminal.

use std::fmt::Write;

use ratatui::{
    buffer::{Buffer, Cell},
    style::{Color, Modifier},
};
use unicode_width::UnicodeWidthStr;

/// The lines of a screen without blanks at their ends and without blank lines at the end.
#[must_use]
pub fn text(screen: &Buffer, styled: bool) -> String {
    let area = screen.area;
    let mut lines: Vec<String> = Vec::new();
    for y in area.top()..area.bottom() {
        let row: Vec<&Cell> = (area.left()..area.right()).map(|x| &screen[(x, y)]).collect();
        let end = row.iter().rposition(|cell| cell.symbol() != " ").map_or(0, |last| last + 1);
        lines.push(line(&row[..end], styled));
    }
    while lines.last().is_some_and(String::is_empty) {
        lines.pop();
    }
    lines.join("\n")
}

fn line(cells: &[&Cell], styled: bool) -> String {
    let (mut text, mut style, mut skip) = (String::new(), String::new(), 0);
    for cell in cells {
        // The second column of a wide character has a cell that is not printed.
        if skip > 0 {
            skip -= 1;
            continue;
        }
        skip = cell.symbol().width().saturating_sub(1);
        let wanted = if styled { sequence(cell) } else { String::new() };
        if wanted != style {
            let _ = write!(text, "\u{1b}[0{wanted}m");
            style = wanted;
        }
        text.push_str(cell.symbol());
    }
    if !style.is_empty() {
        text.push_str("\u{1b}[0m");
    }
    text
}

/// Parameters of "select graphic rendition" (ECMA-48) after the reset.
fn sequence(cell: &Cell) -> String {
    let mut parameters = String::new();
    for (modifier, parameter) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
    ] {
        if cell.modifier.contains(modifier) {
            let _ = write!(parameters, ";{parameter}");
        }
    }
    let colour = match cell.fg {
        Color::Red => 31,
        Color::Green => 32,
        Color::Yellow => 33,
        Color::Blue => 34,
        Color::Magenta => 35,
        Color::Cyan => 36,
        // The theme has no others.
        _ => return parameters,
    };
    let _ = write!(parameters, ";{colour}");
    parameters
}

#[cfg(test)]
mod tests {
    use ratatui::{layout::Rect, style::Style};

    use super::*;

    #[test]
    fn a_screen_is_left_as_lines_with_their_styles() {
        let mut screen = Buffer::empty(Rect::new(0, 0, 12, 3));
        screen.set_string(0, 0, "ok ", Style::new().fg(Color::Green));
        screen.set_string(3, 0, "水 x", Style::new());
        screen.set_string(0, 1, "bad", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        assert_eq!(text(&screen, false), "ok 水 x\nbad");
        assert_eq!(text(&screen, true), "\u{1b}[0;32mok \u{1b}[0m水 x\n\u{1b}[0;1;31mbad\u{1b}[0m");
    }
}
