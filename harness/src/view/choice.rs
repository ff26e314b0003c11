//! Which view is shown.

use std::io::{IsTerminal, stdin, stdout};

use clap::ValueEnum;

use crate::expected_error::ExpectedError;

/// `--view`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ViewArg {
    /// The terminal view on a terminal, else lines.
    #[default]
    Auto,
    /// The terminal view.
    Tui,
    /// One line for each thing that happens.
    Line,
}

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The terminal view.
    Terminal,
    /// Lines.
    Lines,
}

/// What decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Environment {
    /// Somebody can press keys.
    pub(crate) stdin: bool,
    /// Somebody sees the screen.
    pub(crate) stdout: bool,
    /// The terminal can place its cursor.
    pub(crate) capable: bool,
    /// A CI job.
    pub(crate) ci: bool,
}

impl Environment {
    /// As it is.
    pub(crate) fn here() -> Self {
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        Self {
            stdin: stdin().is_terminal(),
            stdout: stdout().is_terminal(),
            capable: !matches!(variable("TERM").as_str(), "" | "dumb"),
            // What CI systems set to `true` or `1`; people who export `CI=false` mean it.
            ci: !matches!(variable("CI").to_lowercase().as_str(), "" | "0" | "false" | "no"),
        }
    }
}

/// The view for a wish.
///
/// # Errors
/// If a terminal view is wanted where there can be none.
pub(crate) fn choose(wanted: ViewArg, here: Environment) -> Result<Kind, ExpectedError> {
    let possible = here.stdin && here.stdout && here.capable;
    match wanted {
        ViewArg::Line => Ok(Kind::Lines),
        ViewArg::Auto if possible && !here.ci => Ok(Kind::Terminal),
        ViewArg::Auto => Ok(Kind::Lines),
        ViewArg::Tui if possible => Ok(Kind::Terminal),
        ViewArg::Tui => {
            let why = match here {
                Environment { stdout: false, .. } => "standard output is not one",
                Environment { stdin: false, .. } => "standard input is not one",
                _ => "TERM says that this one can only print lines",
            };
            Err(ExpectedError::Usage {
                message: format!("--view tui needs a terminal, and {why}"),
                hint: Some("`--view line` writes one line for each thing that happens".to_owned()),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMINAL: Environment = Environment { stdin: true, stdout: true, capable: true, ci: false };

    #[test]
    fn the_terminal_view_is_for_people_at_terminals() {
        let kind = |wanted, here| choose(wanted, here).ok();
        assert_eq!(kind(ViewArg::Auto, TERMINAL), Some(Kind::Terminal));
        for here in [
            Environment { stdin: false, ..TERMINAL },
            Environment { stdout: false, ..TERMINAL },
            Environment { capable: false, ..TERMINAL },
        ] {
            assert_eq!(kind(ViewArg::Auto, here), Some(Kind::Lines), "{here:?}");
            assert_eq!(kind(ViewArg::Tui, here), None, "{here:?}");
        }
        // Who names it gets it, also in a CI job with a terminal.
        let ci = Environment { ci: true, ..TERMINAL };
        assert_eq!(
            (kind(ViewArg::Auto, ci), kind(ViewArg::Tui, ci)),
            (Some(Kind::Lines), Some(Kind::Terminal))
        );
        assert_eq!(kind(ViewArg::Line, TERMINAL), Some(Kind::Lines));
    }
}
