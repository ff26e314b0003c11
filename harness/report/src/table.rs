//! Columns for people.

use crate::style::{Style, Tone};

/// Lines of a table: a dim head, columns as wide as their widest cell, a gap between them.
pub(crate) fn lines<const N: usize>(head: [&str; N], rows: Vec<[String; N]>, style: Style) -> Vec<String> {
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |(number, row): (usize, &[String; N])| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let text = cells.join("  ").trim_end().to_owned();
        style.paint(if number == 0 { Tone::Dim } else { Tone::Plain }, &text)
    };
    rows.iter().enumerate().map(line).collect()
}
