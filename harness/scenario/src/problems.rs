//! Collects what is wrong while a file is read.

use std::{collections::HashSet, ops::Range};

use crate::diagnostic::{Diagnostics, Severity, SourceText};

/// Bytes of the text.
pub(crate) type Span = Range<usize>;

/// A value and the place where it stands. Of a default, the place of its table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Found<T> {
    pub value: T,
    pub span: Span,
    /// False for a default.
    pub given: bool,
}

/// What is wrong with one value; its place is known to the caller unless `span` says a narrower one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Issue {
    pub message: String,
    pub hint: Option<String>,
    pub span: Option<Span>,
    /// What else is wrong in the same value.
    pub also: Vec<Issue>,
}

impl Issue {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, span: None, also: Vec::new() }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    pub(crate) fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// The hint, unless there is a better one already.
    pub(crate) fn or_hint(self, hint: impl Into<String>) -> Self {
        let hint = self.hint.unwrap_or_else(|| hint.into());
        Self { hint: Some(hint), ..self }
    }

    /// Several issues as one; none is success.
    pub(crate) fn all(issues: Vec<Self>) -> Result<(), Self> {
        let mut issues = issues.into_iter();
        match issues.next() {
            None => Ok(()),
            Some(first) => Err(Self { also: issues.collect(), ..first }),
        }
    }

    /// Says which key they are about.
    pub(crate) fn of_key(self, key: &str) -> Self {
        let also = self.also.into_iter().map(|issue| issue.of_key(key)).collect();
        Self { message: format!("`{key}`: {}", self.message), also, ..self }
    }

    pub(crate) fn at(self, span: &Span) -> Self {
        Self { span: Some(span.clone()), ..self }
    }
}

/// The problems found so far.
pub(crate) struct Problems<'t> {
    source: SourceText<'t>,
    found: Vec<(Severity, Span, Issue)>,
    /// Lines with a syntax error: what else is wrong there follows from it.
    broken_lines: HashSet<u32>,
}

impl<'t> Problems<'t> {
    pub(crate) fn new(source: SourceText<'t>) -> Self {
        Self { source, found: Vec::new(), broken_lines: HashSet::new() }
    }

    /// The text is not TOML here.
    pub(crate) fn syntax(&mut self, span: &Span, issue: Issue) {
        self.broken_lines.insert(self.source.line(span.start));
        self.push(Severity::Error, span, issue);
    }

    /// Something that stands in the file is wrong.
    pub(crate) fn error(&mut self, span: &Span, mut issue: Issue) {
        for other in std::mem::take(&mut issue.also) {
            self.error(span, other);
        }
        let span = issue.span.clone().unwrap_or_else(|| span.clone());
        if !self.broken_lines.contains(&self.source.line(span.start)) {
            self.push(Severity::Error, &span, issue);
        }
    }

    /// Something is missing or does not go together. Not reported if the file is not TOML: it may stand in the part that
    /// could not be read.
    pub(crate) fn incomplete(&mut self, span: &Span, issue: Issue) {
        if self.broken_lines.is_empty() {
            self.push(Severity::Error, span, issue);
        }
    }

    pub(crate) fn warning(&mut self, span: &Span, issue: Issue) {
        self.push(Severity::Warning, span, issue);
    }

    fn push(&mut self, severity: Severity, span: &Span, issue: Issue) {
        self.found.push((severity, span.clone(), issue));
    }

    /// Line of a place, from 1.
    pub(crate) fn line(&self, span: &Span) -> u32 {
        self.source.line(span.start)
    }

    /// The place of a whole line, from 1.
    pub(crate) fn line_span(&self, line: u32) -> Span {
        self.source.line_span(line)
    }

    pub(crate) fn any_error(&self) -> bool {
        self.found.iter().any(|(severity, ..)| *severity == Severity::Error)
    }

    /// In the order of the text. Excerpts are made of those that are shown only: a line may be long, and wrong many times.
    pub(crate) fn into_diagnostics(mut self) -> Diagnostics {
        self.found.sort_by_key(|(severity, span, _)| (self.source.clamped(span.start), *severity));
        let left_out = self.found.len().saturating_sub(Diagnostics::SHOWN);
        let shown = self.found.into_iter().take(Diagnostics::SHOWN);
        let items = shown.map(|(severity, span, Issue { message, hint, .. })| {
            self.source.diagnostic(severity, &span, message, hint)
        });
        Diagnostics::new(items.collect(), left_out)
    }
}
