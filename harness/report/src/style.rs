//! How text looks: ANSI colours by meaning, symbols for terminals that can show them.

pub use harness_event::state::Tone;
use harness_event::{CheckOutcome, Outcome, clean};

/// What a terminal can show. Meaning never rests on colour or symbol alone: a word goes with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// ANSI colours.
    pub color: bool,
    /// Characters beyond ASCII.
    pub unicode: bool,
}

impl Style {
    /// Paints a text of one line, without what could command a terminal. All that a log holds goes through here, also as
    /// [`Tone::Plain`]; what was painted already must not go through it again.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let text = clean(text);
        if !self.color || text.is_empty() || tone == Tone::Plain {
            return text.into_owned();
        }
        // The 16 ANSI colours only: they follow the user's theme.
        let code = match tone {
            Tone::Good => "32",
            Tone::Warn => "33",
            Tone::Bad => "31",
            Tone::Dim => "2",
            Tone::Strong => "1",
            Tone::Plain => "0",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }

    /// Symbol and word of a check's outcome, of equal width.
    pub fn check(self, outcome: CheckOutcome) -> String {
        let (symbol, ascii, word, tone) = match outcome {
            CheckOutcome::Passed => ("✔", "+", "passed", Tone::Good),
            CheckOutcome::Failed => ("✘", "x", "failed", Tone::Bad),
            CheckOutcome::Inconclusive => ("?", "?", "inconclusive", Tone::Warn),
        };
        let symbol = if self.unicode { symbol } else { ascii };
        self.paint(tone, &format!("{symbol} {word:<12}"))
    }

    /// The run's outcome in capitals.
    pub fn outcome(self, outcome: Outcome) -> String {
        let tone = match outcome {
            Outcome::Passed | Outcome::Ended => Tone::Good,
            Outcome::Inconclusive | Outcome::Aborted => Tone::Warn,
            Outcome::Failed
            | Outcome::Refused
            | Outcome::NotReady
            | Outcome::RollbackIncomplete
            | Outcome::InternalError => Tone::Bad,
        };
        self.paint(tone, &outcome.to_string().to_uppercase())
    }

    /// An arrow.
    pub const fn arrow(self) -> &'static str {
        if self.unicode { "→" } else { "->" }
    }
}
