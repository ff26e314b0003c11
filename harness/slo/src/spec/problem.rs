//! What is wrong in a file, and where.

use std::fmt;

use super::node::Table;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No rules can be made.
    Error,
    /// Rules can be made, but they may not be what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One problem of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
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
}

impl fmt::Display for Problem {
    /// Without the file's name: `12:3: error: …`, the hint on a line of its own.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}: {}", self.line, self.column, self.severity, self.message)?;
        match &self.hint {
            Some(hint) => write!(out, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Problem>);

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    pub(crate) fn error(&mut self, line: u32, column: u32, message: impl Into<String>) {
        self.add(line, column, Severity::Error, message.into(), None);
    }

    pub(crate) fn error_with(
        &mut self,
        line: u32,
        column: u32,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.add(line, column, Severity::Error, message.into(), Some(hint.into()));
    }

    pub(crate) fn warning(
        &mut self,
        line: u32,
        column: u32,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        self.add(line, column, Severity::Warning, message.into(), hint);
    }

    /// A key that must be there and is not. Says nothing if it is there with a value of the wrong type: that was said.
    pub(crate) fn missing(&mut self, table: &Table<'_>, key: &str) {
        if !table.has(key) {
            self.error(table.line, table.column, format!("{} has no {key}", table.name));
        }
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|one| one.severity == Severity::Error)
    }

    /// In the order of the text.
    pub(crate) fn into_sorted(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|one| (one.line, one.column, one.severity));
        self.0.dedup();
        self.0
    }

    fn add(&mut self, line: u32, column: u32, severity: Severity, message: String, hint: Option<String>) {
        self.0.push(Problem { line, column, severity, message, hint });
    }
}
