//! A text that is built up to a limit.

/// Largest summary, in bytes. GitHub takes 1 MiB for a job's summary and 64 KiB for a comment; this fits both.
pub const LIMIT: usize = 60_000;

/// Room for the line that says that something is left out.
const REMARK: usize = 120;

/// Markdown under construction.
pub(super) struct Document {
    text: String,
    limit: usize,
}

impl Document {
    /// `reserved` bytes are left for what is appended at the end by [`Document::finish`].
    pub(super) fn new(reserved: usize) -> Self {
        Self { text: String::new(), limit: LIMIT.saturating_sub(reserved) }
    }

    /// Paragraphs that matter most; they are small by construction.
    pub(super) fn paragraph(&mut self, text: &str) {
        if self.fits(text.len() + 2) {
            self.text.push_str(text);
            self.text.push_str("\n\n");
        }
    }

    /// A heading and a table. At most half of what room is left, so that what comes after has its chance.
    pub(super) fn table<const N: usize>(&mut self, heading: &str, head: [&str; N], rows: &[[String; N]]) {
        if rows.is_empty() {
            return;
        }
        let begin = format!("### {heading}\n\n| {} |\n|{}\n", head.join(" | "), " --- |".repeat(N));
        self.rows(&begin, rows.iter().map(|row| format!("| {} |\n", row.join(" | "))));
    }

    /// A heading and a list.
    pub(super) fn list(&mut self, heading: &str, items: &[String]) {
        if items.is_empty() {
            return;
        }
        let begin = if heading.is_empty() { String::new() } else { format!("### {heading}\n\n") };
        self.rows(&begin, items.iter().map(|item| format!("- {item}\n")));
    }

    fn rows(&mut self, begin: &str, rows: impl ExactSizeIterator<Item = String>) {
        let room = self.limit.saturating_sub(self.text.len()) / 2;
        let (count, end) = (rows.len(), self.text.len() + room.saturating_sub(REMARK));
        if self.text.len() + begin.len() > end {
            return;
        }
        self.text.push_str(begin);
        let mut shown = 0;
        for row in rows {
            if self.text.len() + row.len() > end {
                break;
            }
            self.text.push_str(&row);
            shown += 1;
        }
        self.text.push('\n');
        if shown < count {
            let left = count - shown;
            let remark = format!("_{left} more are not shown here; `result.json` has them._\n\n");
            self.text.push_str(&remark);
        }
    }

    fn fits(&self, length: usize) -> bool {
        self.text.len() + length <= self.limit
    }

    /// The text with its end.
    pub(super) fn finish(mut self, end: &str) -> String {
        self.text.push_str(end);
        self.text
    }
}
