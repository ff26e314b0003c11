//! Tables for people.

use harness_event::Outcome;
use harness_report::{Style, Tone};

use crate::{
    compare::{Comparison, Earlier, Row, Word},
    measure::{self, Measure},
    query::Sort,
    run::{Ending, Run},
    text,
};

/// A column: its head, whether it is for numbers, and how it gives way on a narrow terminal.
struct Column {
    head: String,
    right: bool,
    /// Cut down to this when there is no room; never if absent.
    least: Option<usize>,
}

impl Column {
    fn new(head: impl Into<String>) -> Self {
        Self { head: head.into(), right: false, least: None }
    }

    fn right(head: impl Into<String>) -> Self {
        Self { right: true, ..Self::new(head) }
    }

    fn flexible(head: impl Into<String>, least: usize) -> Self {
        Self { least: Some(least), ..Self::new(head) }
    }
}

/// One cell, with its meaning.
type Cell = (String, Option<Tone>);

fn plain(text: impl Into<String>) -> Cell {
    (text.into(), None)
}

/// Lines of a table: a dim head, two blanks between columns. Text that does not fit is cut, with an ellipsis.
fn table(columns: &[Column], rows: &[Vec<Cell>], width: Option<usize>, style: Style) -> Vec<String> {
    const GAP: usize = 2;
    let length = |text: &str| text.chars().count();
    let mut widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let cells = rows.iter().map(|row| length(&row[at].0));
            cells.max().unwrap_or(0).max(length(&column.head))
        })
        .collect();
    if let Some(width) = width {
        let whole = widths.iter().sum::<usize>() + GAP * columns.len().saturating_sub(1);
        let mut over = whole.saturating_sub(width);
        // The last flexible column gives way first.
        for (at, column) in columns.iter().enumerate().rev() {
            let Some(least) = column.least else { continue };
            let give = widths[at].saturating_sub(least).min(over);
            widths[at] -= give;
            over -= give;
        }
    }
    let line = |cells: &mut dyn Iterator<Item = Cell>| {
        let mut line = String::new();
        for ((at, column), (text, tone)) in columns.iter().enumerate().zip(cells) {
            let text = cut(&text, widths[at], style);
            let pad = " ".repeat(widths[at].saturating_sub(length(&text)));
            let painted = style.paint(tone.unwrap_or(Tone::Plain), &text);
            let gap = if at == 0 { "" } else { "  " };
            line += gap;
            let (first, second) = if column.right { (&pad, &painted) } else { (&painted, &pad) };
            line += first;
            line += second;
        }
        line.trim_end().to_owned()
    };
    // A head is cut like any cell.
    let head = line(&mut columns.iter().map(|column| plain(column.head.as_str())));
    let rows = rows.iter().map(|row| line(&mut row.iter().cloned()));
    std::iter::once(style.paint(Tone::Dim, &head)).chain(rows).collect()
}

fn cut(text: &str, width: usize, style: Style) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let dots = if style.unicode { "…" } else { "..." };
    let keep = width.saturating_sub(dots.chars().count());
    text.chars().take(keep).collect::<String>().trim_end().to_owned() + dots
}

/// How a run ended, for people.
pub fn ending(run: &Run) -> String {
    let word = run.outcome.word().replace('_', " ");
    match (run.outcome, run.left_behind) {
        (Ending::Interrupted, 1..) => format!("{word}, faults left"),
        _ => word,
    }
}

/// What an ending means.
pub fn tone(ending: Ending) -> Option<Tone> {
    match ending {
        Ending::Verdict(Outcome::Passed) => Some(Tone::Good),
        Ending::Verdict(Outcome::Inconclusive | Outcome::Aborted) | Ending::Interrupted => Some(Tone::Warn),
        Ending::Verdict(Outcome::Ended) | Ending::Running | Ending::Unknown => None,
        Ending::Verdict(
            Outcome::Failed
            | Outcome::Refused
            | Outcome::NotReady
            | Outcome::RollbackIncomplete
            | Outcome::InternalError,
        ) => Some(Tone::Bad),
    }
}

/// A table of runs. `width` is that of the terminal.
pub fn runs(rows: &[(Run, Option<f64>)], sort: &Sort, width: Option<usize>, style: Style) -> Vec<String> {
    let plain = Style { color: false, ..style };
    let fits = |line: &String| width.is_none_or(|width| line.chars().count() <= width);
    // A run's id says when it began, too.
    let started = list(rows, sort, width, plain, true).iter().all(fits);
    list(rows, sort, width, style, started)
}

fn list(
    rows: &[(Run, Option<f64>)],
    sort: &Sort,
    width: Option<usize>,
    style: Style,
    started: bool,
) -> Vec<String> {
    let some = |pick: fn(&Run) -> bool| rows.iter().any(|(run, _)| pick(run));
    let mut columns = vec![Column::new("RUN"), Column::new("OUTCOME"), Column::right("DURATION")];
    if started {
        columns.insert(1, Column::new("STARTED (UTC)"));
    }
    let measure = match sort {
        Sort::Measure { name, .. } => Some(name),
        _ => None,
    };
    if let Some(name) = measure {
        columns.push(Column::right(name.replace('_', " ").to_uppercase()));
    }
    let (paced, external) = (
        some(|run| run.compress.is_some()),
        some(|run| run.context.as_deref().is_some_and(|one| one != "embedded")),
    );
    if paced {
        columns.push(Column::right("PACE"));
    }
    if external {
        columns.push(Column::flexible("CLUSTER", 10));
    }
    columns.push(Column::flexible("SCENARIO", 12));
    columns.push(Column::flexible("TITLE", 5));
    let row = |(run, value): &(Run, Option<f64>)| {
        let mut cells =
            vec![plain(run.id.as_str()), (ending(run), tone(run.outcome)), plain(run.duration.to_string())];
        if started {
            cells.insert(1, plain(text::minute(run.started_at)));
        }
        if let Some(name) = measure {
            cells.push(plain(
                value.map_or_else(|| "-".to_owned(), |value| text::value(measure::unit(name), value)),
            ));
        }
        if paced {
            cells.push(plain(run.compress.map_or_else(|| "-".to_owned(), |factor| format!("x{factor}"))));
        }
        if external {
            cells.push(plain(run.context.as_deref().unwrap_or("-")));
        }
        let game_day = run.mode == "game_day";
        cells.push(plain(if game_day { "(game day)" } else { run.scenario_name() }));
        cells.push(plain(run.title.as_str()));
        cells
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    table(&columns, &rows, width, style)
}

/// A table of a run's measures.
pub fn measures(all: &[Measure], width: Option<usize>, style: Style) -> Vec<String> {
    let columns = [
        Column::new("MEASURE"),
        Column::flexible("OF", 16),
        Column::right("VALUE"),
        Column::right("AT MOST"),
        Column::right("RESOLUTION"),
    ];
    let mut all: Vec<&Measure> = all.iter().collect();
    all.sort_by_key(|one| (measure::rank(&one.name).unwrap_or(usize::MAX), &one.name, &one.subject));
    let row = |one: &&Measure| {
        vec![
            plain(one.name.replace('_', " ")),
            plain(one.subject.as_str()),
            plain(text::value(one.unit, one.value)),
            plain(one.deadline.map_or_else(|| "-".to_owned(), |most| text::value(one.unit, most))),
            plain(text::value(one.unit, one.resolution)),
        ]
    };
    let rows: Vec<_> = all.iter().map(row).collect();
    table(&columns, &rows, width, style)
}

/// A comparison: what is compared, what limits it, the table, and what it comes to.
pub fn comparison(of: &Comparison, width: Option<usize>, style: Style) -> Vec<String> {
    let about = |run: &Run| {
        let outcome = ending(run);
        let outcome = style.paint(tone(run.outcome).unwrap_or(Tone::Plain), &outcome);
        let plain = |text: &str| style.paint(Tone::Plain, text);
        format!(
            "{}  {}  {outcome}  {}",
            plain(&run.id),
            text::minute(run.started_at),
            plain(run.scenario_name())
        )
    };
    let mut lines = Vec::new();
    match &of.a {
        Earlier::Run(run) => lines.push(format!("A  {}", about(run))),
        Earlier::Runs(runs) => match (runs.first(), runs.last()) {
            (Some(_), Some(_)) if of.noise_from.is_empty() => {
                lines.push(format!("A  none of {} before B passed", count(runs.len(), "run")));
            }
            (Some(newest), Some(oldest)) => lines.push(format!(
                "A  the median of {} before B that passed, of {} since {}",
                count(of.noise_from.len(), "run"),
                count(runs.len(), "run"),
                text::minute(oldest.started_at.min(newest.started_at)),
            )),
            _ => lines.push("A  there is no run before B".to_owned()),
        },
    }
    lines.push(format!("B  {}", about(&of.b)));
    for warning in &of.warnings {
        lines.push(style.paint(Tone::Warn, &format!("warning: {warning}")));
    }
    lines.push(String::new());
    if of.rows.iter().all(|row| row.a.is_none()) {
        lines.push("there is nothing to compare it with".to_owned());
        return lines;
    }
    let columns = [
        Column::new("MEASURE"),
        Column::flexible("OF", 14),
        Column::right("A"),
        Column::right("B"),
        Column::right("DIFFERENCE"),
        Column::right("NOISE"),
        Column::new(""),
    ];
    let rows: Vec<_> = of.rows.iter().map(|one| row(one, style)).collect();
    lines.extend(table(&columns, &rows, width, style));
    lines.push(String::new());
    lines.push(tally(of));
    lines
}

fn row(one: &Row, style: Style) -> Vec<Cell> {
    let value =
        |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| text::value(one.unit, number));
    let sign = if style.unicode { "±" } else { "+-" };
    let tone = match one.word {
        Word::Worse => Some(Tone::Bad),
        Word::Better => Some(Tone::Good),
        Word::Changed | Word::Missing => Some(Tone::Warn),
        Word::Unjudged | Word::WithinNoise => Some(Tone::Dim),
    };
    vec![
        plain(one.name.replace('_', " ")),
        plain(one.subject.as_str()),
        plain(value(one.a)),
        plain(value(one.b)),
        plain(one.difference.map_or_else(|| "-".to_owned(), |by| text::difference(one.unit, by))),
        plain(
            one.band.map_or_else(|| "-".to_owned(), |band| format!("{sign}{}", text::value(one.unit, band))),
        ),
        (one.word.text().to_owned(), tone),
    ]
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// `1 worse, 2 better, 30 within noise; noise from 7 runs`.
fn tally(of: &Comparison) -> String {
    let words = [Word::Worse, Word::Better, Word::Changed, Word::Missing, Word::Unjudged, Word::WithinNoise];
    let counts = words.map(|word| (word, of.rows.iter().filter(|row| row.word == word).count()));
    let parts: Vec<_> = counts
        .into_iter()
        .filter(|(_, number)| *number > 0)
        .map(|(word, number)| match word {
            Word::Unjudged => format!("{number} not judged"),
            word => format!("{number} {}", word.text()),
        })
        .collect();
    let from = match of.noise_from.len() {
        0 => String::new(),
        runs => format!("; noise of {}", count(runs, "passed run")),
    };
    if parts.is_empty() { "nothing was measured".to_owned() } else { format!("{}{from}", parts.join(", ")) }
}
