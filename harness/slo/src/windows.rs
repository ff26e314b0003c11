//! The pairs of windows of multi-window multi-burn-rate alerts, in Sloth's `AlertWindows` format.

use crate::{
    PromDuration,
    spec::{
        Problem, Problems,
        node::{self, Node},
    },
};

/// `apiVersion` of a windows file.
const API_VERSION: &str = "sloth.slok.dev/v1";
/// `kind` of a windows file.
const KIND: &str = "AlertWindows";

/// One pair: the alert's condition holds while both windows burn faster than the factor. The long one says that enough budget
/// is gone, the short one that it still goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// Share of the period's error budget, in percent, that is gone when the long window fires.
    pub budget_percent: f64,
    /// Ends the alert soon after the errors end.
    pub short: PromDuration,
    /// Over which the budget is counted.
    pub long: PromDuration,
}

/// The four pairs of an SLO period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Windows {
    /// Period of the error budget.
    pub period: PromDuration,
    /// Page alert, fast burn.
    pub page_quick: Pair,
    /// Page alert, slower burn.
    pub page_slow: Pair,
    /// Ticket alert, fast burn.
    pub ticket_quick: Pair,
    /// Ticket alert, slower burn.
    pub ticket_slow: Pair,
}

const HOUR: u64 = 3_600_000;

const fn pair(budget_percent: f64, short_minutes: u64, long_hours: u64) -> Pair {
    Pair {
        budget_percent,
        short: PromDuration::from_millis(short_minutes * 60_000),
        long: PromDuration::from_millis(long_hours * HOUR),
    }
}

impl Windows {
    /// The windows of the SRE workbook (chapter "Alerting on SLOs", recommended parameters) for a period of 30 or 28 days, as
    /// Sloth has them; none for other periods.
    pub fn for_period(period: PromDuration) -> Option<Self> {
        matches!(period.millis() / (24 * HOUR), 28 | 30)
            .then_some(period)
            .filter(|period| period.millis() % (24 * HOUR) == 0)
            .map(|period| Self {
                period,
                page_quick: pair(2.0, 5, 1),
                page_slow: pair(5.0, 30, 6),
                ticket_quick: pair(10.0, 120, 24),
                ticket_slow: pair(10.0, 360, 72),
            })
    }

    /// The windows of the usual 30 days.
    pub fn month() -> Self {
        Self::for_period(PromDuration::from_millis(30 * 24 * HOUR)).expect("30 days are known")
    }

    /// Burn rate from which on a pair fires: the rate that spends its share of the budget in its long window.
    pub fn factor(&self, pair: &Pair) -> f64 {
        // In this order: the result is printed, and must be the number that Sloth prints.
        pair.budget_percent * self.period.hours() / 100.0 / pair.long.hours()
    }

    /// Every window, each once, shortest first, the period last.
    pub fn lengths(&self) -> Vec<PromDuration> {
        let mut all: Vec<_> = [self.page_quick, self.page_slow, self.ticket_quick, self.ticket_slow]
            .iter()
            .flat_map(|pair| [pair.short, pair.long])
            .collect();
        all.sort();
        all.dedup();
        all.push(self.period);
        all
    }

    /// Reads an `AlertWindows` file.
    ///
    /// # Errors
    ///
    /// Every problem of the file, with its place.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        let read = match node::documents(text) {
            Err(problem) => {
                problems.push(problem);
                None
            }
            Ok(documents) => match documents.as_slice() {
                [one] => read(one, &mut problems),
                [] => {
                    problems.error(1, 1, "the file is empty");
                    None
                }
                [_, second, ..] => {
                    problems.error(second.line, second.column, "a windows file holds one document");
                    None
                }
            },
        };
        match read {
            Some(windows) if !problems.has_errors() => Ok(windows),
            _ => Err(problems.into_sorted()),
        }
    }
}

fn read(document: &Node, problems: &mut Problems) -> Option<Windows> {
    let mut root = document.table("the file", problems)?;
    let version = root.text("apiVersion", problems);
    let kind = root.text("kind", problems);
    for (found, wanted, key) in [(version, API_VERSION, "apiVersion"), (kind, KIND, "kind")] {
        match found {
            Some(found) if found.value == wanted => {}
            Some(found) => problems.error(
                found.line,
                found.column,
                format!("{key} is {:?}: a windows file has {wanted:?}", found.value),
            ),
            None => problems.error(document.line, document.column, format!("{key} is missing: {wanted:?}")),
        }
    }
    let spec = root.table("spec", problems);
    root.finish(problems);
    let Some(mut spec) = spec else {
        problems.error(document.line, document.column, "spec is missing");
        return None;
    };
    let period = duration(&mut spec, "sloPeriod", problems);
    let mut pairs = Vec::new();
    for severity in ["page", "ticket"] {
        let Some(mut table) = spec.table(severity, problems) else {
            problems.missing(&spec, severity);
            continue;
        };
        for speed in ["quick", "slow"] {
            pairs.push(read_pair(&mut table, speed, period, problems));
        }
        table.finish(problems);
    }
    spec.finish(problems);
    let pairs: Option<Vec<Pair>> = pairs.into_iter().collect();
    let &[page_quick, page_slow, ticket_quick, ticket_slow] = pairs?.as_slice() else { return None };
    Some(Windows { period: period?, page_quick, page_slow, ticket_quick, ticket_slow })
}

fn read_pair(
    table: &mut node::Table<'_>,
    speed: &str,
    period: Option<PromDuration>,
    problems: &mut Problems,
) -> Option<Pair> {
    let Some(mut pair) = table.table(speed, problems) else {
        problems.missing(table, speed);
        return None;
    };
    let percent = pair.number("errorBudgetPercent", problems);
    let short = duration(&mut pair, "shortWindow", problems);
    let long = duration(&mut pair, "longWindow", problems);
    pair.finish(problems);
    let found = Pair { budget_percent: percent?, short: short?, long: long? };
    check(&pair, &found, period, problems);
    Some(found)
}

fn duration(table: &mut node::Table<'_>, key: &str, problems: &mut Problems) -> Option<PromDuration> {
    let Some(text) = table.text(key, problems) else {
        problems.missing(table, key);
        return None;
    };
    match text.value.parse::<PromDuration>() {
        Ok(duration) if duration.millis() > 0 => Some(duration),
        Ok(_) => {
            problems.error(text.line, text.column, format!("{key} is 0: a window has a length"));
            None
        }
        Err(error) => {
            problems.error(text.line, text.column, format!("{key}: {error}"));
            None
        }
    }
}

fn check(table: &node::Table<'_>, pair: &Pair, period: Option<PromDuration>, problems: &mut Problems) {
    let name = &table.name;
    let Pair { budget_percent, short, long } = *pair;
    let mut error = |message| problems.error(table.line, table.column, message);
    if !(budget_percent > 0.0 && budget_percent <= 100.0) {
        error(format!("{name}.errorBudgetPercent is {budget_percent}: above 0, at most 100"));
    }
    if short >= long {
        error(format!("{name}: the short window ({short}) must be shorter than the long one ({long})"));
    }
    if period.is_some_and(|period| long >= period) {
        error(format!("{name}: the long window ({long}) must be shorter than the period"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEK: &str = "\
apiVersion: sloth.slok.dev/v1
kind: AlertWindows
spec:
  sloPeriod: 7d
  page:
    quick: { errorBudgetPercent: 8, shortWindow: 5m, longWindow: 1h }
    slow: { errorBudgetPercent: 12.5, shortWindow: 30m, longWindow: 6h }
  ticket:
    quick: { errorBudgetPercent: 20, shortWindow: 2h, longWindow: 1d }
    slow: { errorBudgetPercent: 42, shortWindow: 6h, longWindow: 3d }
";

    fn factors(windows: &Windows) -> [f64; 4] {
        [windows.page_quick, windows.page_slow, windows.ticket_quick, windows.ticket_slow]
            .map(|pair| windows.factor(&pair))
    }

    #[test]
    fn the_factors_are_those_of_the_workbook() {
        assert_eq!(factors(&Windows::month()), [14.4, 6.0, 3.0, 1.0]);
        let four_weeks = Windows::for_period("28d".parse().unwrap()).unwrap();
        assert_eq!(factors(&four_weeks), [13.44, 5.6000000000000005, 2.8000000000000003, 0.9333333333333333]);
        assert_eq!(Windows::for_period("29d".parse().unwrap()), None);
        assert_eq!(Windows::for_period("30d1h".parse().unwrap()), None);
    }

    #[test]
    fn windows_of_ones_own() {
        let week = Windows::parse(WEEK).unwrap();
        assert_eq!(factors(&week), [13.44, 3.5, 1.4000000000000001, 0.98]);
        let lengths: Vec<String> = week.lengths().iter().map(ToString::to_string).collect();
        assert_eq!(lengths, ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "1w"]);
    }

    #[test]
    fn every_problem_is_named_with_its_line() {
        let text = WEEK
            .replace("kind: AlertWindows", "kind: Windows")
            .replace("shortWindow: 6h", "shortWindow: six, color: red")
            .replace("shortWindow: 30m, longWindow: 6h", "shortWindow: 6h, longWindow: 30m")
            .replace("errorBudgetPercent: 20, ", "");
        let problems: Vec<String> = Windows::parse(&text)
            .unwrap_err()
            .iter()
            .map(|one| format!("{}: {}", one.line, one.message))
            .collect();
        insta::assert_debug_snapshot!(problems);
    }
}
