//! `harness compare`: a run beside another one, or beside those before it.

use clap::Args;
use harness_history::{
    Ending, Entry, History, Query, Run,
    compare::{self, Comparison},
    show,
};
use serde_json::json;

use super::{
    Context,
    history::{self, IndexArgs, pretty, width},
    reports,
};
use crate::{exit_code, expected_error::ExpectedError, output::Style};

/// The noise of a pair of runs is taken from so many before them.
const NOISE_FROM: u32 = 20;

/// Compare a run with another one, or with those before it
///
/// Says of each measure (detection, delivery, recovery, budget burn, latency, replicas) whether the difference is more than what
/// differs from run to run anyway. That noise is taken from earlier passed runs of the same scenario, with the same pace and in
/// the same cluster; with fewer than three of them no measure is called better or worse.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  harness compare 20261120-090000-abcd last
  harness compare --last 10
  harness compare --last 10 --scenario db-failure --fail-on-regression --tolerance 10%
  harness compare --last 10 --measure 'alert_*' --json

{}", exit_code::help()))]
pub struct CompareArgs {
    /// A, the earlier run: its id (or its first characters), or `last`
    #[arg(required_unless_present = "last", conflicts_with = "last")]
    pub a: Option<String>,
    /// B, the later run
    #[arg(required_unless_present = "last", conflicts_with = "last")]
    pub b: Option<String>,
    /// Compare the newest run with the N before it of the same scenario
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub last: Option<u32>,
    /// With --last: the newest run of scenarios whose path, file name or name without .toml matches
    #[arg(long, value_name = "GLOB", requires = "last")]
    pub scenario: Option<String>,
    /// Also count runs of other versions of the scenario file, known by its path
    #[arg(long)]
    pub any_version: bool,
    /// Only measures whose name, or name and subject (alert_firing/APIServiceDown), matches
    #[arg(long, value_name = "GLOB")]
    pub measure: Option<String>,
    /// Exit with 7 if B is worse than noise allows, or did not pass where A did
    #[arg(long)]
    pub fail_on_regression: bool,
    /// How much worse than the noise a measure may be before it is a regression, in percent of A
    #[arg(long, value_name = "PERCENT", default_value = "0%", value_parser = percent)]
    pub tolerance: f64,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Where the index is.
    #[command(flatten)]
    pub index: IndexArgs,
}

pub(super) async fn exec(args: CompareArgs, context: &Context) -> Result<u8, ExpectedError> {
    let mut history = history::open(&args.index, context).await?;
    let compared = match history::sync(&mut history, context).await {
        Ok(()) => compare(&args, &mut history).await,
        Err(error) => Err(error),
    };
    history.close().await;
    let mut comparison = compared?;
    if let Some(pattern) = &args.measure {
        comparison.rows.retain(|row| {
            let id = format!("{}/{}", row.name, row.subject);
            harness_history::glob(pattern, &row.name) || harness_history::glob(pattern, &id)
        });
    }
    let regressions = comparison.regressions();
    let out = &context.out;
    if args.json {
        let note = compare::too_few(&comparison);
        out.line(pretty(&json!({
            "format": 1,
            "comparison": comparison,
            "note": note,
            "regressions": regressions,
        })));
    } else {
        for line in show::comparison(&comparison, width(context), reports::style(out)) {
            out.line(line);
        }
        if let Some(note) = compare::too_few(&comparison) {
            out.line(out.paint(Style::Warn, note));
        }
        for regression in &regressions {
            let regression = out.paint(Style::Plain, regression);
            out.line(format_args!("{} {regression}", out.paint(Style::Bad, "regression:")));
        }
    }
    Ok(if args.fail_on_regression && !regressions.is_empty() {
        exit_code::REGRESSION
    } else {
        exit_code::PASSED
    })
}

async fn compare(args: &CompareArgs, history: &mut History) -> Result<Comparison, ExpectedError> {
    match (&args.a, &args.b, args.last) {
        (Some(a), Some(b), _) => pair(a, b, args, history).await,
        (_, _, last) => newest(last.unwrap_or(1), args, history).await,
    }
}

async fn pair(
    a: &str,
    b: &str,
    args: &CompareArgs,
    history: &mut History,
) -> Result<Comparison, ExpectedError> {
    let a = history::find(history, a).await?;
    let b = history::find(history, b).await?;
    // Those before the later one, whichever that is: so A beside B says the same as B beside A.
    let later = if (b.run.started_at, &b.run.id) >= (a.run.started_at, &a.run.id) { &b.run } else { &a.run };
    let same = a.run.sha256 == b.run.sha256 || (args.any_version && a.run.scenario == b.run.scenario);
    let others = if same { before(later, NOISE_FROM + 1, args, history).await? } else { Vec::new() };
    compare::pair(&a, &b, &others, args.tolerance)
        .map_err(|error| ExpectedError::Usage { message: error.to_string(), hint: None })
}

async fn newest(number: u32, args: &CompareArgs, history: &mut History) -> Result<Comparison, ExpectedError> {
    let found = history.matching(args.scenario.as_deref(), None).await;
    let (scenarios, _) = found.map_err(|error| history::failed(&error))?;
    // One that is still running has proved nothing yet, for better or for worse.
    let over = Ending::ALL.into_iter().filter(|ending| *ending != Ending::Running);
    let query = Query {
        scenarios,
        modes: Some(vec!["scenario".to_owned()]),
        outcomes: Some(over.map(|ending| ending.word().to_owned()).collect()),
        limit: Some(1),
        ..Query::default()
    };
    let runs = history.runs(&query).await.map_err(|error| history::failed(&error))?;
    let run = runs.into_iter().map(|(run, _)| run).next().ok_or_else(|| ExpectedError::Usage {
        message: "there is no such run yet".to_owned(),
        hint: Some("`harness history` lists the runs".to_owned()),
    })?;
    let before = before(&run, number, args, history).await?;
    let b = history::entries(history, vec![run]).await?;
    let b = b.first().ok_or_else(|| ExpectedError::Usage {
        message: "the run has been deleted in the meantime".to_owned(),
        hint: None,
    })?;
    Ok(compare::last(b, &before, args.tolerance))
}

/// So many runs before one, made under the same conditions, newest first.
async fn before(
    run: &Run,
    number: u32,
    args: &CompareArgs,
    history: &mut History,
) -> Result<Vec<Entry>, ExpectedError> {
    // Pace and cluster are looked at here; runs of others in between must not make them too few.
    let query = compare::population(run, args.any_version, number.saturating_mul(10).max(200));
    let runs = history.runs(&query).await.map_err(|error| history::failed(&error))?;
    let fitting = runs.into_iter().map(|(other, _)| other).filter(|other| compare::fits(other, run));
    let chosen: Vec<Run> = fitting.take(number as usize).collect();
    history::entries(history, chosen).await
}

fn percent(text: &str) -> Result<f64, String> {
    let bad = || "it must be a percentage, such as 10%".to_owned();
    let number: f64 = text.strip_suffix('%').ok_or_else(bad)?.trim().parse().map_err(|_| bad())?;
    if number.is_finite() && number >= 0.0 { Ok(number / 100.0) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tolerance_is_a_percentage() {
        assert_eq!(percent("10%"), Ok(0.1));
        assert_eq!(percent("0%"), Ok(0.0));
        for bad in ["10", "-1%", "NaN%", "inf%", "%", ""] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }
}
