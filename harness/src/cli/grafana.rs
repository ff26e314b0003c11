//! `harness grafana`: dashboards are checked.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use harness_engine::monitor::{Error, Prometheus, Upstreams};
use harness_event::{Labels, Millis};
use harness_slo::compress::Length;
use serde::Serialize;

use super::{Context, args, slo_status};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    grafana::{
        Dashboards, Problem,
        check::panels,
        live::{self, Answer, Answers},
    },
    output::Style,
};

/// Series of a query that are shown by --values; the rest is counted.
const SHOWN_SERIES: usize = 5;

/// Grafana dashboards: check them
#[derive(Clone, Debug, Args)]
pub struct GrafanaArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: GrafanaCommand,
}

/// The commands of `harness grafana`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum GrafanaCommand {
    Check(CheckArgs),
}

/// Check dashboard files and, with --prometheus, that every query of every panel returns data
///
/// Without --prometheus only the files are looked at: uid, schema version, data sources by variable, units and descriptions,
/// places of panels, variables, PromQL. With it, variables are filled in as Grafana does, every metric must exist and every
/// query return data. A panel that may be empty says why in its description, after "No data:". All problems are shown at once.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness grafana check dashboards
  harness grafana check --prometheus http://127.0.0.1:9090 my-dashboard.json
  harness grafana check --prometheus service://monitoring/prometheus:19090 --since 15m dashboards
  harness grafana check --prometheus service://monitoring/prometheus:19090 --values dashboards/slo.json

Exit code 0 if there is no problem, 1 if there is one, 2 if a file cannot be read, 4 if Prometheus does not answer.")]
pub struct CheckArgs {
    /// Dashboard files, or directories of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub dashboards: Vec<PathBuf>,
    /// Ask this Prometheus: a URL, or service://NAMESPACE/NAME:PORT through the API server
    #[arg(long, value_name = "ADDRESS", value_parser = args::address)]
    pub prometheus: Option<String>,
    /// How far back queries look
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = args::length, requires = "prometheus")]
    pub since: Length,
    /// Show what each query returns
    #[arg(long, requires = "prometheus", conflicts_with = "json")]
    pub values: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// What --json prints.
#[derive(Serialize)]
struct Report<'a> {
    dashboards: usize,
    panels: usize,
    queries: usize,
    problems: &'a [Problem],
    /// Queries without data of panels that may be empty.
    empty: &'a [Problem],
}

pub(super) async fn exec(args: GrafanaArgs, context: &Context) -> Result<u8, ExpectedError> {
    match args.command {
        GrafanaCommand::Check(args) => check(args, context).await,
    }
}

async fn check(args: CheckArgs, context: &Context) -> Result<u8, ExpectedError> {
    let found = Dashboards::read(&args.dashboards)?;
    let mut answers = Answers::default();
    if let Some(address) = &args.prometheus {
        let client = slo_status::client(address, context).await?;
        let upstreams = Upstreams::new(client).map_err(unreachable)?;
        let prometheus = Prometheus::new(upstreams.connect(address).await.map_err(unreachable)?);
        let since = Millis(i64::try_from(args.since.millis()).unwrap_or(i64::MAX));
        answers = live::check(&found, &prometheus, since).await.map_err(unreachable)?;
    }
    let mut problems = found.problems.clone();
    problems.append(&mut answers.problems);
    problems.sort_by(|one, two| one.file.cmp(&two.file));
    let report = Report {
        dashboards: found.read.len(),
        panels: found.read.iter().map(|(_, dashboard)| panels(&dashboard.panels).len()).sum(),
        queries: found.queries().count(),
        problems: &problems,
        empty: &answers.empty,
    };
    if args.json {
        let text = serde_json::to_string_pretty(&report).map_err(|source| ExpectedError::Internal {
            what: "the result cannot be written as JSON".to_owned(),
            source: source.into(),
        })?;
        context.out.line(text);
    } else {
        if args.values {
            values(&answers.all, context);
        }
        show(&report, args.prometheus.as_deref(), context);
    }
    Ok(if problems.is_empty() { exit_code::PASSED } else { exit_code::FAILED })
}

fn show(report: &Report<'_>, prometheus: Option<&str>, context: &Context) {
    let out = &context.out;
    for one in report.empty {
        out.line(out.paint(Style::Dim, format_args!("note: {}: {one}", one.file)));
    }
    let mut file = "";
    for one in report.problems {
        if one.file != file {
            file = &one.file;
            out.line(out.paint(Style::Strong, file));
        }
        out.line(format_args!("  {one}"));
        if let Some(expr) = &one.expr {
            out.line(format_args!("      {}", out.paint(Style::Dim, expr)));
        }
    }
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let asked = prometheus.map_or_else(String::new, |address| format!(" asked of {address}"));
    let (style, problems) = match report.problems.len() {
        0 => (Style::Good, "no problem".to_owned()),
        some => (Style::Bad, count(some, "problem")),
    };
    out.line(format_args!(
        "{}, {}, {}{asked}: {}",
        count(report.dashboards, "dashboard"),
        count(report.panels, "panel"),
        if report.queries == 1 { "1 query".to_owned() } else { format!("{} queries", report.queries) },
        out.paint(style, problems),
    ));
}

/// Every query with its series.
fn values(all: &[Answer], context: &Context) {
    let out = &context.out;
    let mut file = "";
    for one in all {
        if one.file != file {
            file = &one.file;
            out.line(out.paint(Style::Strong, file));
        }
        let query = one.query.as_ref().map_or_else(String::new, |query| format!(", query {query}"));
        out.line(format_args!("  {}{query}", one.place));
        out.line(format_args!("      {}", out.paint(Style::Dim, &one.expr)));
        for (labels, value) in one.series.iter().take(SHOWN_SERIES) {
            out.line(format_args!("      {value} {}", selector(labels)));
        }
        if one.series.len() > SHOWN_SERIES {
            out.line(format_args!("      and {} more series", one.series.len() - SHOWN_SERIES));
        }
    }
}

fn selector(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn unreachable(error: Error) -> ExpectedError {
    ExpectedError::Unreachable { what: "Prometheus can't be asked".to_owned(), source: Some(error.into()) }
}
