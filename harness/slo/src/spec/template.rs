//! `{{.window}}` in queries: the one variable that Sloth's queries have.

/// A query with places for the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The text around the places: one more than there are places.
    parts: Vec<String>,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("it does not contain {{{{.window}}}}: every range must be the window for which the rule is made")]
    NoWindow,
    #[error("{{{{{0}}}}} is not supported: {{{{.window}}}} is the only variable")]
    Unknown(String),
    #[error("a {{{{ is not closed")]
    Open,
}

impl Query {
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (action, after) = after.split_once("}}").ok_or(TemplateError::Open)?;
            // Sloth wants blanks only here.
            if action.trim_matches(' ') != ".window" {
                return Err(TemplateError::Unknown(action.to_owned()));
            }
            parts.push(before.to_owned());
            rest = after;
        }
        if parts.is_empty() {
            return Err(TemplateError::NoWindow);
        }
        parts.push(rest.to_owned());
        Ok(Self { parts })
    }

    /// The query with `window` in all its places.
    pub fn with_window(&self, window: &str) -> String {
        self.parts.join(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_takes_its_places() {
        let query = Query::parse("rate(a[{{.window}}]) / rate(b[{{ .window  }}])").unwrap();
        assert_eq!(query.with_window("5m"), "rate(a[5m]) / rate(b[5m])");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (text, message) in [
            ("rate(a[5m])", "it does not contain {{.window}}"),
            ("rate(a[{{.range}}])", "{{.range}} is not supported"),
            ("rate(a[{{- .window -}}])", "{{- .window -}} is not supported"),
            ("rate(a[{{.window])", "a {{ is not closed"),
        ] {
            let error = Query::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(message), "{error}");
        }
    }
}
