//! `harness grafana`: dashboards are checked, and brought into a Grafana; also for `harness up --grafana`.

use std::{env, fs, path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use harness_engine::monitor::{Error, Prometheus, Upstreams};
use harness_event::{Labels, Millis};
use harness_slo::compress::Length;
use serde::Serialize;

use super::{Context, addresses, slo_status, values};
use crate::{
    exit_code,
    expected_error::{ExpectedError, chain},
    grafana::{
        Dashboards, Problem,
        annotations::{Grafana, GrafanaError},
        check::panels,
        install::DataSource,
        live::{self, Answer, Answers},
    },
    output::{Output, Style},
    stack::{self, Stack, StackOptions},
    target::Target,
};

/// Series of a query that are shown by --values; the rest is counted.
const SHOWN_SERIES: usize = 5;

/// Grafana dashboards: check them, bring them into a Grafana
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
    Install(InstallArgs),
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
    #[arg(long, value_name = "ADDRESS", value_parser = values::address)]
    pub prometheus: Option<String>,
    /// How far back queries look
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = values::length, requires = "prometheus")]
    pub since: Length,
    /// Show what each query returns
    #[arg(long, requires = "prometheus", conflicts_with = "json")]
    pub values: bool,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Bring dashboards and their data source into a Grafana, by its HTTP API
///
/// Everything goes into the folder "SRE harness" and is overwritten by uid: doing it again brings it up to date.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  GRAFANA_TOKEN=glsa_... harness grafana install --grafana-url http://grafana:3000 --prometheus-url http://prometheus:9090 dashboards

Exit code 0 if it was done, 1 if a dashboard breaks the rules of `harness grafana check`, 2 if a file cannot be read, 4 if
Grafana does not answer or refuses.")]
pub struct InstallArgs {
    /// Dashboard files, or directories of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub dashboards: Vec<PathBuf>,
    /// Which Grafana.
    #[command(flatten)]
    pub grafana: GrafanaAddress,
    /// Prometheus, as Grafana reaches it
    #[arg(long, value_name = "URL")]
    pub prometheus_url: String,
    /// How often that Prometheus scrapes
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = values::length)]
    pub scrape_interval: Length,
}

/// A Grafana that runs somewhere.
#[derive(Clone, Debug, Args)]
pub struct GrafanaAddress {
    /// Base URL of a Grafana that runs; its token is taken from $GRAFANA_TOKEN or --grafana-token-file
    #[arg(long, value_name = "URL", required = true)]
    pub grafana_url: Option<String>,
    /// File with the token of a service account that may write dashboards and data sources (role Admin)
    #[arg(long, value_name = "FILE", requires = "grafana_url")]
    pub grafana_token_file: Option<PathBuf>,
}

/// Grafana for the embedded stack.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Grafana")]
pub struct UpGrafanaArgs {
    /// Run the Grafana that is installed on this machine as part of the stack, with the dashboards
    #[arg(long, conflicts_with = "grafana_url")]
    pub grafana: bool,
    /// Bring data source and dashboards into this Grafana, which must reach this machine's loopback addresses; its token is
    /// taken from $GRAFANA_TOKEN or --grafana-token-file
    #[arg(long, value_name = "URL")]
    pub grafana_url: Option<String>,
    /// File with the token of a service account that may write dashboards and data sources (role Admin)
    #[arg(long, value_name = "FILE", requires = "grafana_url")]
    pub grafana_token_file: Option<PathBuf>,
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
        GrafanaCommand::Install(args) => install_command(args, context).await,
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

/// Time for all of it.
const INSTALL_LIMIT: Duration = Duration::from_secs(60);

async fn install_command(args: InstallArgs, context: &Context) -> Result<u8, ExpectedError> {
    let GrafanaAddress { grafana_url, grafana_token_file } = args.grafana;
    let grafana = grafana_at(grafana_url.as_deref().unwrap_or_default(), grafana_token_file.as_ref())?;
    let interval = args.scrape_interval.to_string();
    let source = DataSource { url: args.prometheus_url, scrape_interval: interval };
    install(&grafana, &args.dashboards, &source, context, &context.out).await
}

/// The Grafana at this URL, with its token.
pub(super) fn grafana_at(url: &str, token_file: Option<&PathBuf>) -> Result<Grafana, ExpectedError> {
    const TOKEN: &str = "GRAFANA_TOKEN";
    let token = match token_file {
        Some(path) => {
            let read = fs::read_to_string(path);
            Some(read.map_err(|source| ExpectedError::File { verb: "read", path: path.clone(), source })?)
        }
        None => env::var(TOKEN).ok(),
    };
    let token = token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
    // The URL is not repeated: it may hold a password.
    let grafana = Grafana::new(url, token).map_err(|error| ExpectedError::Usage {
        message: format!("--grafana-url: {}", chain(&error)),
        hint: Some(format!("give http(s)://HOST:PORT and put the token into ${TOKEN}")),
    })?;
    Ok(grafana.with_limit(INSTALL_LIMIT))
}

/// Brings the dashboards into a Grafana and says where they are.
pub(super) async fn install(
    grafana: &Grafana,
    dashboards: &[PathBuf],
    source: &DataSource,
    context: &Context,
    out: &Output,
) -> Result<u8, ExpectedError> {
    let found = Dashboards::read(dashboards)?;
    if !found.problems.is_empty() {
        for problem in &found.problems {
            context.err.line(format_args!("{}: {problem}", problem.file));
        }
        return Ok(exit_code::FAILED);
    }
    let done = grafana.install(&found.json, source).await.map_err(|error| ExpectedError::Unreachable {
        what: install_error(&error),
        source: Some(error.into()),
    })?;
    let made = if done.made_data_source { "made" } else { "up to date" };
    out.line(format_args!(
        "data source {:?} ({}): {made}",
        crate::grafana::install::DATA_SOURCE.1,
        source.url
    ));
    for (title, path) in &done.dashboards {
        out.line(format_args!("  {title:<34} {}{path}", grafana.base()));
    }
    Ok(exit_code::PASSED)
}

impl UpGrafanaArgs {
    /// The Grafana that runs elsewhere, if one is named.
    pub(super) fn elsewhere(&self) -> Result<Option<Grafana>, ExpectedError> {
        let url = self.grafana_url.as_deref();
        url.map(|url| grafana_at(url, self.grafana_token_file.as_ref())).transpose()
    }
}

/// The checkout's dashboards into a Grafana that runs elsewhere, with the stack's Prometheus.
pub(super) async fn into_grafana(
    grafana: &Grafana,
    stack: &Stack,
    options: &StackOptions,
    context: &Context,
    output: &Output,
) -> Result<u8, ExpectedError> {
    let target = Target::embedded(&stack.kubeconfig).await?;
    let addresses = addresses::of(&target.client).await?;
    let prometheus = addresses.into_iter().find(|(title, _)| *title == "Prometheus").map(|(_, url)| url);
    let url = prometheus.ok_or_else(|| ExpectedError::Unreachable {
        what: "the stack has no Service monitoring/prometheus".to_owned(),
        source: None,
    })?;
    // Beside the manifests, as in the checkout.
    let dashboards = stack::deploy_dir(options)?.join("../dashboards");
    let source = DataSource { url, scrape_interval: STACK_SCRAPE_INTERVAL.to_owned() };
    install(grafana, &[dashboards], &source, context, output).await
}

/// `scrape_interval` of alerts/prometheus.yml.
const STACK_SCRAPE_INTERVAL: &str = "1s";

/// What could not be done, with what helps: the rights are others than those for annotations.
fn install_error(error: &GrafanaError) -> String {
    let what = "the dashboards could not be brought into Grafana";
    match error {
        GrafanaError::Refused { status, .. } if status.as_u16() == 401 => {
            format!("{what}: put the token of a service account into $GRAFANA_TOKEN")
        }
        GrafanaError::Refused { status, .. } if status.as_u16() == 403 => {
            format!(
                "{what}: the token's service account must be allowed to write dashboards and data sources (role Admin)"
            )
        }
        GrafanaError::Refused { text, .. } if text.contains("provisioned") => {
            format!("{what}: they are provisioned from files there, and follow those")
        }
        _ => what.to_owned(),
    }
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
