//! Colours by meaning, and symbols.
//!
//! Only the sixteen colours of the terminal's own palette are used, on its own background: so the view is as readable as the
//! person's terminal is, dark or light. Colour never stands alone: a word or a symbol says the same.

use harness_event::state::Tone;
use ratatui::style::{Color, Modifier, Style};

/// What something means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Ordinary text.
    Plain,
    /// As expected.
    Good,
    /// Undecided, or worth a look.
    Warn,
    /// Not as expected.
    Bad,
    /// Secondary.
    Dim,
    /// Headings and what matters.
    Strong,
    /// A fault.
    Fault,
    /// A load.
    Load,
    /// An alert that nothing is said against.
    Alert,
    /// Keys, and what has the focus.
    Accent,
    /// The selected row.
    Selected,
    /// What changed within the last seconds.
    Changed,
}

impl From<Tone> for Role {
    fn from(tone: Tone) -> Self {
        match tone {
            Tone::Good => Self::Good,
            Tone::Warn => Self::Warn,
            Tone::Bad => Self::Bad,
            Tone::Dim => Self::Dim,
            Tone::Strong => Self::Strong,
            Tone::Plain => Self::Plain,
        }
    }
}

/// How roles look, and which symbols there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Colours are used.
    pub color: bool,
    /// Symbols outside ASCII are used.
    pub unicode: bool,
}

impl Theme {
    /// The style of a role. Without colours only weight and reversal tell roles apart.
    pub fn style(&self, role: Role) -> Style {
        let plain = Style::new();
        let weight = match role {
            Role::Plain | Role::Good | Role::Load | Role::Alert => plain,
            Role::Warn | Role::Accent | Role::Changed => plain.add_modifier(Modifier::BOLD),
            Role::Bad | Role::Strong | Role::Fault => plain.add_modifier(Modifier::BOLD),
            // DIM, not "bright black": that is the background's colour in some palettes.
            Role::Dim => plain.add_modifier(Modifier::DIM),
            Role::Selected => plain.add_modifier(Modifier::REVERSED),
        };
        if !self.color {
            return weight;
        }
        match role {
            Role::Plain | Role::Dim | Role::Strong | Role::Selected => weight,
            Role::Good => weight.fg(Color::Green),
            Role::Warn => weight.fg(Color::Yellow),
            Role::Bad => weight.fg(Color::Red),
            Role::Fault => weight.fg(Color::Magenta),
            Role::Load => weight.fg(Color::Blue),
            Role::Alert => weight.fg(Color::Yellow),
            Role::Accent | Role::Changed => weight.fg(Color::Cyan),
        }
    }

    /// The symbols.
    pub fn symbols(&self) -> &'static Symbols {
        if self.unicode { &UNICODE } else { &ASCII }
    }
}

/// What is drawn with something else than letters. Each is one column wide.
#[derive(Debug, PartialEq, Eq)]
pub struct Symbols {
    /// Levels of a sparkline, lowest first.
    pub levels: &'static [&'static str],
    /// A sample that is missing.
    pub missing: &'static str,
    /// Filled part of a gauge.
    pub full: &'static str,
    /// Empty part of a gauge.
    pub empty: &'static str,
    /// As expected.
    pub good: &'static str,
    /// Not as expected.
    pub bad: &'static str,
    /// Undecided.
    pub unsure: &'static str,
    /// Waiting.
    pub waiting: &'static str,
    /// Its time has not come.
    pub not_yet: &'static str,
    /// Changed within the last seconds.
    pub changed: &'static str,
    /// The selected row.
    pub selected: &'static str,
    /// Now, on a time axis.
    pub now: &'static str,
    /// The time axis.
    pub axis: &'static str,
    /// A place on the time axis that has a number.
    pub tick: &'static str,
    /// A fault on the time axis.
    pub fault: &'static str,
    /// A fault or load that is planned.
    pub planned: &'static str,
    /// A load on the time axis.
    pub load: &'static str,
    /// An alert that is pending, on the time axis.
    pub pending: &'static str,
    /// An alert that fires, on the time axis.
    pub firing: &'static str,
    /// From one to another.
    pub arrow: &'static str,
    /// Text was cut.
    pub cut: &'static str,
    /// Between parts of a line.
    pub separator: &'static str,
    /// A rule.
    pub horizontal: &'static str,
    /// A rule from top to bottom.
    pub vertical: &'static str,
}

static UNICODE: Symbols = Symbols {
    levels: &["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    missing: "╳",
    full: "█",
    empty: "░",
    good: "✓",
    bad: "✗",
    unsure: "?",
    waiting: "…",
    not_yet: "·",
    changed: "◆",
    selected: "▸",
    now: "┃",
    axis: "─",
    tick: "┴",
    fault: "█",
    planned: "░",
    load: "▅",
    pending: "▒",
    firing: "█",
    arrow: "→",
    cut: "…",
    separator: "·",
    horizontal: "─",
    vertical: "│",
};

static ASCII: Symbols = Symbols {
    levels: &["_", ".", "-", "=", "+", "*", "%", "#"],
    missing: "x",
    full: "#",
    empty: ".",
    good: "+",
    bad: "!",
    unsure: "?",
    waiting: "~",
    not_yet: "-",
    changed: "*",
    selected: ">",
    now: "|",
    axis: "-",
    tick: "+",
    fault: "#",
    planned: ":",
    load: "=",
    pending: "p",
    firing: "F",
    arrow: ">",
    cut: "~",
    separator: "-",
    horizontal: "-",
    vertical: "|",
};

#[cfg(test)]
mod tests {
    use unicode_width::UnicodeWidthStr;

    use super::*;

    const ROLES: [Role; 12] = [
        Role::Plain,
        Role::Good,
        Role::Warn,
        Role::Bad,
        Role::Dim,
        Role::Strong,
        Role::Fault,
        Role::Load,
        Role::Alert,
        Role::Accent,
        Role::Selected,
        Role::Changed,
    ];

    #[test]
    fn without_colours_there_are_none_and_with_them_no_background_is_painted() {
        for role in ROLES {
            let off = Theme { color: false, unicode: true }.style(role);
            assert_eq!((off.fg, off.bg), (None, None), "{role:?}");
            let on = Theme { color: true, unicode: true }.style(role);
            assert_eq!(on.bg, None, "{role:?}: the terminal's own background");
            let hard_to_see = [
                Color::White,
                Color::Black,
                Color::Gray,
                Color::DarkGray,
                Color::LightYellow,
                Color::LightCyan,
                Color::LightGreen,
            ];
            assert!(
                on.fg.is_none_or(|fg| !hard_to_see.contains(&fg)),
                "{role:?}: unreadable on some background"
            );
        }
    }

    #[test]
    fn every_symbol_is_one_column_wide_and_the_fallback_is_ascii() {
        let all = |symbols: &'static Symbols| {
            let single = [
                symbols.missing,
                symbols.full,
                symbols.empty,
                symbols.good,
                symbols.bad,
                symbols.unsure,
                symbols.waiting,
                symbols.not_yet,
                symbols.changed,
                symbols.selected,
                symbols.now,
                symbols.axis,
                symbols.tick,
                symbols.fault,
                symbols.planned,
                symbols.load,
                symbols.pending,
                symbols.firing,
                symbols.arrow,
                symbols.cut,
                symbols.separator,
                symbols.horizontal,
                symbols.vertical,
            ];
            single.into_iter().chain(symbols.levels.iter().copied())
        };
        assert!(all(&UNICODE).chain(all(&ASCII)).all(|symbol| symbol.width() == 1));
        assert!(all(&ASCII).all(str::is_ascii));
        assert_eq!(UNICODE.levels.len(), ASCII.levels.len());
    }
}
