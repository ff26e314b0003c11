//! Problems of a scenario file as people see them.

use std::fmt;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The scenario cannot be run.
    Error,
    /// It can be run, but probably does not say what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem, with the place in the file.
///
/// Displayed as compilers do, with the source line and a marker:
///
/// ```text
/// scenarios/x.toml:12:1: error: unknown key "pending_witin" in [[expect.alert]]
///   12 | pending_witin = "4s"
///      | ^^^^^^^^^^^^^
/// hint: did you mean "pending_within"?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// File name as given to [`parse`](crate::parse).
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Error or warning.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The source line (or the part of a long one around the place), without control characters.
    pub excerpt: String,
    /// Where the marker stands in `excerpt`: first character and number of characters.
    pub marker: (usize, usize),
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, severity, message, hint, excerpt, marker } = self;
        writeln!(out, "{file}:{line}:{column}: {severity}: {message}")?;
        let number = line.to_string();
        writeln!(out, "  {number} | {excerpt}")?;
        // Tabs stay tabs, so that the marker stands below its text whatever their width.
        let indent: String =
            excerpt.chars().take(marker.0).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        write!(out, "  {:width$} | {indent}{}", "", "^".repeat(marker.1.max(1)), width = number.len())?;
        match hint {
            Some(hint) => write!(out, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// All problems of one file, in the order of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
    left_out: usize,
}

impl Diagnostics {
    /// More problems than this are counted, not shown.
    pub(crate) const SHOWN: usize = 100;

    pub(crate) fn new(items: Vec<Diagnostic>, left_out: usize) -> Self {
        Self { items, left_out }
    }

    /// Each problem.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// Number of problems, also of those that are not shown.
    pub fn count(&self) -> usize {
        self.items.len() + self.left_out
    }

    /// Number of problems that forbid a run, also of those that are not shown.
    pub fn error_count(&self) -> usize {
        self.count() - self.iter().filter(|one| one.severity == Severity::Warning).count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, item) in self.items.iter().enumerate() {
            write!(out, "{}{item}", if at == 0 { "" } else { "\n\n" })?;
        }
        match self.left_out {
            0 => Ok(()),
            more => write!(out, "\n\n… and {more} more problems"),
        }
    }
}

impl std::error::Error for Diagnostics {}

/// A text with its line starts, for turning byte spans into what people count in.
pub(crate) struct SourceText<'t> {
    file: &'t str,
    text: &'t str,
    line_starts: Vec<usize>,
}

impl<'t> SourceText<'t> {
    /// Longest excerpt, in characters.
    const WIDTH: usize = 120;

    pub(crate) fn new(file: &'t str, text: &'t str) -> Self {
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, line_starts }
    }

    /// Line of a byte offset, from 1.
    pub(crate) fn line(&self, offset: usize) -> u32 {
        u32::try_from(self.line_starts.partition_point(|start| *start <= offset)).unwrap_or(u32::MAX)
    }

    /// A byte offset that is in the text.
    pub(crate) fn clamped(&self, offset: usize) -> usize {
        offset.min(self.text.len())
    }

    /// The text of a line, from 1, without the blanks around it.
    pub(crate) fn line_span(&self, line: u32) -> std::ops::Range<usize> {
        let at = (line.max(1) as usize - 1).min(self.line_starts.len() - 1);
        let start = self.line_starts[at];
        let end = self.line_starts.get(at + 1).copied().unwrap_or(self.text.len());
        let content = &self.text[start..end];
        let from = start + (content.len() - content.trim_start().len());
        from..(start + content.trim_end().len()).max(from)
    }

    pub(crate) fn diagnostic(
        &self,
        severity: Severity,
        span: &std::ops::Range<usize>,
        message: String,
        hint: Option<String>,
    ) -> Diagnostic {
        let start = floor_char_boundary(self.text, span.start);
        let line = self.line(start);
        let line_start = self.line_starts[line as usize - 1];
        let rest = &self.text[line_start..];
        let content = rest[..rest.find('\n').unwrap_or(rest.len())].trim_end_matches('\r');
        let end = floor_char_boundary(self.text, span.end).min(line_start + content.len());
        // At the end of a line at the latest: not on its line break.
        let start = start.min(line_start + content.len());
        let end = end.max(start);
        let column = self.text[line_start..start].chars().count();
        let length = self.text[start..end].chars().count();

        // Of a long line show the part around the place.
        let skip = if column + length.min(40) > Self::WIDTH { column.saturating_sub(30) } else { 0 };
        let shown = content.chars().skip(skip).take(Self::WIDTH);
        let excerpt: String =
            shown.map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect();
        let room = excerpt.chars().count().saturating_sub(column - skip);
        Diagnostic {
            file: self.file.to_owned(),
            line,
            column: u32::try_from(column + 1).unwrap_or(u32::MAX),
            severity,
            message,
            hint,
            excerpt,
            marker: (column - skip, length.min(room).max(1)),
        }
    }
}

fn floor_char_boundary(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}
