//! Options of all commands. The texts here are what `--help` shows.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};
use harness_slo::compress::Length;

use super::history::IndexArgs;
use super::{
    publish::PublishArgs,
    reports::ReportFiles,
    values::{address, duration, length, rate},
};
use crate::{exit_code, output::ColorArg, view::ViewArg};

/// Breaks a system on purpose and proves what is seen of it.
///
/// A scenario says what breaks and what must be seen: which alert goes pending, fires, reaches which receiver and resolves,
/// each by when, and how long recovery takes. `harness run` carries it out and answers passed, failed or inconclusive, with
/// evidence.
///
/// Without --kubeconfig and --context, an embedded cluster is started that runs pods as processes of this machine; nothing
/// outside it is touched.
#[derive(Debug, Parser)]
#[command(
    name = "harness",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "See `harness --help` for examples and exit codes.",
    after_long_help = format!("{EXAMPLES}\n\n{}", exit_code::help()),
)]
pub struct App {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  harness doctor                          what is installed, what is missing
  harness run scenarios/db-failure.toml   break the demo system's database
  harness run --dry-run my.toml           only show what would be done
  harness up                              start the embedded stack, leave it up
  harness report last --format html       the report of the last run
  harness --context kind-dev run my.toml  use a cluster of your own

Shell completion: `harness completions --help`; manual pages: `harness man --help`.";

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Where the embedded stack, the runs and their ledgers are kept [default: .harness in the checkout, else in the current
    /// directory]
    #[arg(long, global = true, value_name = "DIR", env = "SRE_HARNESS_STATE", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    /// Use the cluster of this kubeconfig file instead of the embedded one
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Use this context of the kubeconfig ($KUBECONFIG or ~/.kube/config without --kubeconfig)
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Colours in the output: auto, always or never; auto means on a terminal, unless NO_COLOR is set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: ColorArg,
    /// Only results and errors: no progress, no remarks, no view of a run
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// More about what is done, on stderr; -vv for even more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(RunArgs),
    Validate(ValidateArgs),
    Up(UpArgs),
    Down(DownArgs),
    Status(StatusArgs),
    Recover(RecoverArgs),
    Judge(JudgeArgs),
    Watch(super::watch::WatchArgs),
    Report(super::report::ReportArgs),
    Replay(super::replay::ReplayArgs),
    Gameday(super::gameday::GameDayArgs),
    ExportScenario(super::export_scenario::ExportScenarioArgs),
    History(super::history::HistoryArgs),
    Compare(super::compare::CompareArgs),
    Slo(SloArgs),
    Grafana(super::grafana::GrafanaArgs),
    Doctor(DoctorArgs),
    Completions(super::completions::CompletionsArgs),
    Man(super::completions::ManArgs),
    #[command(hide = true)]
    ControlPlane(ControlPlaneArgs),
    #[command(hide = true)]
    AlertReceiver(AlertReceiverArgs),
    /// Starts one pod's process
    #[command(hide = true)]
    PodShim,
}

/// Run a scenario and give a verdict
#[derive(Clone, Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  harness run scenarios/db-failure.toml
  harness run --dry-run scenarios/db-failure.toml
  harness run --junit report.xml --json result.json scenarios/db-failure.toml
  harness run --html report.html --markdown \"$GITHUB_STEP_SUMMARY\" scenarios/db-failure.toml
  harness --context kind-dev run --prometheus service://monitoring/prometheus:9090 my.toml

{}", exit_code::help()))]
pub struct RunArgs {
    /// Scenario file
    pub scenario: PathBuf,
    /// Show targets, plan and earliest possible times, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Leave the embedded stack running if this run starts it
    #[arg(long)]
    pub keep: bool,
    /// What is shown: auto, tui (the terminal view) or line (one line for each thing that happens); auto means tui on a terminal,
    /// and line elsewhere, in CI jobs and with TERM=dumb
    #[arg(
        long,
        value_name = "VIEW",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub view: ViewArg,
    /// Leave the terminal view as soon as the run is over, instead of showing its end until a key is pressed
    #[arg(long)]
    pub exit: bool,
    /// Further copies of its reports.
    #[command(flatten)]
    pub reports: ReportFiles,
    /// Where phases and faults are to be seen.
    #[command(flatten)]
    pub grafana: PublishArgs,
    /// Where the monitoring system is.
    #[command(flatten)]
    pub monitoring: MonitoringArgs,
    /// How the embedded stack is brought up.
    #[command(flatten)]
    pub stack: StackArgs,
    /// Where the index of runs is.
    #[command(flatten)]
    pub index: IndexArgs,
}

/// Where the monitoring system is, if not where the scenario says.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Addresses (URL, or service://NAMESPACE/NAME:PORT through the API server)")]
pub struct MonitoringArgs {
    /// Prometheus, instead of the scenario's
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub prometheus: Option<String>,
    /// Alertmanager, instead of the scenario's
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub alertmanager: Option<String>,
    /// The receiver that Alertmanager sends to, instead of the scenario's
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub receiver: Option<String>,
}

/// How the embedded stack is brought up.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Embedded stack")]
pub struct StackArgs {
    /// Manifests of the embedded stack: a directory with one kustomization per subdirectory [default: deploy in the checkout]
    #[arg(long, value_name = "DIR")]
    pub deploy_dir: Option<PathBuf>,
    /// How long the embedded stack may take to get ready
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = duration)]
    pub ready_timeout: Duration,
    /// Compress the alert rules' time: N seconds of production time pass in one second. All durations of rules, Prometheus and
    /// Alertmanager are divided alike [default: as the scenario says, else as the manifests are written]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub compress: Option<u32>,
}

/// Check scenario files and show every problem in them
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness validate scenarios/*.toml
  harness validate --json my.toml | jq -r '.files[].problems[].message'

Exit code 0 if all files are good, 2 if one is not.")]
pub struct ValidateArgs {
    /// Scenario files
    #[arg(required = true)]
    pub scenarios: Vec<PathBuf>,
    /// Show what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Start the embedded stack (cluster, demo system, monitoring) and leave it running
///
/// Returns when every Deployment is available. Does nothing if it is up already; manifests that changed are applied again.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness up
  harness up --grafana                    with the Grafana that is installed, and the dashboards
  export KUBECONFIG=\"$PWD/.harness/stack/kubeconfig\"; kubectl get pods -A
  harness --state-dir /tmp/second up      a second stack beside the first")]
pub struct UpArgs {
    /// Give Prometheus a healthy past of this length (30m, 2h), so that the long windows of SLOs rest on what they say. Only for a
    /// stack that is not up yet
    #[arg(long, value_name = "DURATION", value_parser = length)]
    pub history: Option<Length>,
    /// Requests per second of each SLO in that past
    #[arg(long, value_name = "N", default_value = "10", value_parser = rate)]
    pub history_rate: f64,
    /// Grafana.
    #[command(flatten)]
    pub grafana: super::grafana::UpGrafanaArgs,
    /// Show addresses and what else there is to know as JSON
    #[arg(long)]
    pub json: bool,
    /// How the embedded stack is brought up.
    #[command(flatten)]
    pub stack: StackArgs,
}

/// Stop the embedded stack and remove its data
///
/// Recorded runs stay. Clusters of your own are left alone.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness down
  harness --state-dir /tmp/second down    the stack of another state directory

Exit code 0 also if there is nothing to stop.")]
pub struct DownArgs {}

/// Show the stack, its pods and the runs that were not finished
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness status
  harness status --json | jq -r '.stack.addresses.Prometheus'
  harness --context kind-dev status      a cluster of your own

Exit code 0 also if no stack is running; 4 if it is but does not answer.")]
pub struct StatusArgs {
    /// Show it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Take back what interrupted runs have left in the cluster
///
/// A run writes down how to take a fault back before it applies it. After a crash, a SIGKILL or a power cut, this command does
/// so. It changes nothing if there is nothing to take back.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  harness recover                 all unfinished runs
  harness recover 20261121-120102-k3f
  harness --context kind-dev recover     on a cluster of your own, also what other machines left

{}", exit_code::help()))]
pub struct RecoverArgs {
    /// Only this run (id, or its first characters)
    pub run: Option<String>,
    /// Show what was done as JSON
    #[arg(long)]
    pub json: bool,
    /// Where the index of runs is.
    #[command(flatten)]
    pub index: IndexArgs,
}

/// Give the verdict of a recorded run again
#[derive(Clone, Debug, Args)]
#[command(after_long_help = format!("\
Examples:
  harness judge last
  harness judge --junit report.xml 20261121-120102-k3f
  harness judge --json - last            the result as JSON, instead of text

{}", exit_code::help()))]
pub struct JudgeArgs {
    /// Run: its id (or its first characters), `last`, or the path of an events.ndjson
    pub run: String,
    /// Reports to write.
    #[command(flatten)]
    pub reports: ReportFiles,
}

/// Service level objectives: make their rules, show their error budgets
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness slo rules --out alerts/rules/slo.yml alerts/slo/*.yml
  harness slo status
  harness slo compress 30 alerts/rules/slo.yml")]
pub struct SloArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: SloCommand,
}

/// The commands of `harness slo`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum SloCommand {
    Rules(SloRulesArgs),
    Status(SloStatusArgs),
    Compress(SloCompressArgs),
}

/// Show a rule file with its time compressed
///
/// Every duration is divided by FACTOR: ranges, steps and offsets of expressions, `for`, `keep_firing_for`, intervals. Rules
/// whose thresholds depend on the length of time are named on standard error.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness slo compress 30 alerts/rules/slo.yml
  harness slo compress --scrape-interval 15s 60 /etc/prometheus/rules/*.yml >/dev/null

Exit code 0 if the rules can be compressed, 2 if one is not understood or could never fire then.")]
pub struct SloCompressArgs {
    /// How many seconds of production time are to pass in one second
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub factor: u32,
    /// Rule files, as Prometheus loads them
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How many seconds of production time one second stands for in the files
    #[arg(long, value_name = "SCALE", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub time_scale: u32,
    /// How often is scraped and evaluated, in the time of the files: ranges that hold too few samples are refused then
    #[arg(long, value_name = "DURATION")]
    pub scrape_interval: Option<String>,
}

/// Show how fast error budgets burn, and what is left of them
///
/// Asks a running Prometheus for the SLOs that it has rules of.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness slo status
  harness --context kind-dev slo status --prometheus service://monitoring/prometheus:9090
  harness slo status gallery-portal-availability

Exit code 0 whatever burns, 2 if an SLO is not known, 4 if Prometheus does not answer.")]
pub struct SloStatusArgs {
    /// SLOs (their sloth_id) [default: all]
    #[arg(value_name = "SLO")]
    pub slos: Vec<String>,
    /// Show it as JSON
    #[arg(long)]
    pub json: bool,
    /// Prometheus: a URL, or service://NAMESPACE/NAME:PORT through the API server
    #[arg(long, value_name = "ADDRESS", value_parser = address, default_value = "service://monitoring/prometheus:19090")]
    pub prometheus: String,
}

/// Make recording rules and burn rate alerts of SLO specifications
///
/// Specifications are in Sloth's prometheus/v1 format, and series, labels and alerts get the names that Sloth gives them. All
/// problems of all files are shown at once.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness slo rules --out alerts/rules/slo.yml alerts/slo/*.yml
  harness slo rules --check --out alerts/rules/slo.yml alerts/slo/*.yml
  harness slo rules --windows windows/7d.yaml my-slos.yml

Exit code 0 if the rules were made or are up to date, 1 if --check finds them stale, 2 if a specification is wrong.")]
pub struct SloRulesArgs {
    /// Specification files
    #[arg(required = true, value_name = "SPEC")]
    pub specs: Vec<PathBuf>,
    /// Where to write the rules: one file, or a directory with one file per specification [default: standard output]
    #[arg(long, value_name = "FILE|DIR")]
    pub out: Option<PathBuf>,
    /// Write nothing; fail if what --out names is not what would be written
    #[arg(long, requires = "out")]
    pub check: bool,
    /// Period of the error budget: 30d or 28d, with the windows of the SRE workbook
    #[arg(long, value_name = "DURATION", default_value = "30d")]
    pub period: String,
    /// Windows of your own, in Sloth's AlertWindows format
    #[arg(long, value_name = "FILE", conflicts_with = "period")]
    pub windows: Option<PathBuf>,
    /// Only warn of windows that can never fire because the objective is too low for them
    #[arg(long)]
    pub allow_unreachable: bool,
}

/// Say which programs the embedded stack needs, which are there and which are missing
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness doctor
  harness doctor --json | jq -r '.programs[] | select(.path == null) | .install'

Exit code 0 if nothing is missing, else 4.")]
pub struct DoctorArgs {
    /// Show it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Serve the embedded cluster until SIGTERM
#[derive(Clone, Debug, Args)]
pub struct ControlPlaneArgs {
    /// Directory of volumes and logs
    #[arg(long)]
    pub data_dir: PathBuf,
    /// Where to write the kubeconfig
    #[arg(long)]
    pub kubeconfig: PathBuf,
    /// Directory of the demo system's binaries
    #[arg(long)]
    pub services_dir: PathBuf,
    /// The record of the running control plane, kept locked while it lives
    #[arg(long)]
    pub record: PathBuf,
}

/// Take Alertmanager's webhooks and keep them with their time of arrival
#[derive(Clone, Debug, Args)]
pub struct AlertReceiverArgs {
    /// Address to listen on
    #[arg(long)]
    pub listen: SocketAddr,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_definition_is_consistent() {
        App::command().debug_assert();
    }
}
