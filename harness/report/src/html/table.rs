//! Tables.

use serde::Serialize;

/// A table for people; the first cell of a row names it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Table {
    /// What it shows.
    pub(super) caption: String,
    /// Heads of its columns.
    pub(super) head: Vec<Head>,
    /// Its rows.
    pub(super) rows: Vec<Row>,
    /// What is not in it, if anything.
    pub(super) note: String,
}

/// Head of a column.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Head {
    pub(super) text: String,
    /// Numbers: aligned at their end.
    pub(super) number: bool,
}

/// A row.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Row {
    /// Time in milliseconds since the start, for the script; none where the row is of no time.
    pub(super) at: Option<i64>,
    /// `good`, `warn`, `bad`, or nothing. The cells say so, too.
    pub(super) tone: &'static str,
    pub(super) cells: Vec<String>,
}

/// Rows of a table at most, where it can have any number.
pub(super) const MOST_ROWS: usize = 90;

impl Table {
    /// Columns as `("name", is a number)`.
    pub(super) fn new(caption: impl Into<String>, head: &[(&str, bool)]) -> Self {
        let head = head.iter().map(|(text, number)| Head { text: (*text).to_owned(), number: *number });
        Self { caption: caption.into(), head: head.collect(), ..Self::default() }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Row {
        self.rows.push(Row { cells: cells.into_iter().collect(), ..Row::default() });
        let last = self.rows.len() - 1;
        &mut self.rows[last]
    }

    /// Leaves out the middle of very long tables, and says so.
    pub(super) fn capped(mut self) -> Self {
        if self.rows.len() > MOST_ROWS {
            let (first, left_out) = (MOST_ROWS * 2 / 3, self.rows.len() - MOST_ROWS);
            self.rows.drain(first..first + left_out);
            self.note = format!(
                "{left_out} rows in the middle, after the first {first}, are left out; the log of the run has all of them."
            );
        }
        self
    }

    /// Nothing of an empty table, and no column in which nothing stands.
    pub(super) fn if_any(mut self) -> Option<Self> {
        for column in (1..self.head.len()).rev() {
            if self.rows.iter().all(|row| row.cells.get(column).is_none_or(String::is_empty)) {
                self.head.remove(column);
                self.rows.iter_mut().filter(|row| row.cells.len() > column).for_each(|row| {
                    row.cells.remove(column);
                });
            }
        }
        (!self.rows.is_empty()).then(|| self.capped())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_without_anything_is_left_out() {
        let mut table = Table::new("t", &[("a", false), ("b", false), ("c", true)]);
        table.row(["1", "", "x"].map(str::to_owned));
        table.row(["2", "", ""].map(str::to_owned));
        let table = table.if_any().unwrap();
        let heads: Vec<_> = table.head.iter().map(|head| head.text.as_str()).collect();
        assert_eq!((heads, table.rows[0].cells.join(",")), (vec!["a", "c"], "1,x".to_owned()));
        assert!(Table::new("t", &[("a", false)]).if_any().is_none());
    }

    #[test]
    fn a_long_table_keeps_its_ends_and_says_what_it_lacks() {
        let mut table = Table::new("numbers", &[("number", true)]);
        for number in 0..1000 {
            table.row([number.to_string()]);
        }
        let table = table.if_any().unwrap();
        assert_eq!(table.rows.len(), MOST_ROWS);
        assert_eq!(
            (table.rows[0].cells[0].as_str(), table.rows[MOST_ROWS - 1].cells[0].as_str()),
            ("0", "999")
        );
        assert!(table.note.starts_with("910 rows"), "{}", table.note);
    }
}
