//! `harness gameday`.

mod answers;
mod catalogue;
mod exec;
mod offered;
mod script;
mod shown;
mod situation;
mod steps;

use std::path::PathBuf;

use clap::Args;

use super::{
    args::{MonitoringArgs, StackArgs},
    history::IndexArgs,
    publish::PublishArgs,
    reports::ReportFiles,
};
use crate::{exit_code, view::ViewArg};

pub(super) use exec::exec;
pub(super) use offered::named_files;

/// Break things by hand: inject faults, start and stop load, write notes
///
/// The live view, with more keys: i injects a fault (choose what and where, see what it would do, confirm), o starts and stops load,
/// n writes a note, x undoes a fault before its time. Each fault is undone by itself when its time is over, and all of them when the
/// game day ends, whatever ends it. Everything is recorded; `harness export-scenario` makes a scenario of it.
///
/// Without a terminal, give --script FILE, or --view line and commands on standard input.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = format!("\
Commands of scripts and of standard input, one a line:
{}

Examples:
  harness gameday
  harness gameday scenarios/db-failure.toml      with its steady state, probes and allowed alerts
  harness gameday --loads scenarios/image-surge.toml
  harness gameday --script drill.txt && harness export-scenario last -o drill.toml
  harness --context kind-dev gameday -n shop --prometheus service://monitoring/prometheus:9090

Exit code 0 when it has ended and everything is undone, 1 if a command of a script failed; else:
{}", steps::HELP, exit_code::help()))]
pub struct GameDayArgs {
    /// Scenario whose namespace, monitoring, steady state, probes, SLOs and allowed alerts are used, and whose loads can be started.
    /// Nothing of it is injected and nothing expected
    pub scenario: Option<PathBuf>,
    /// Namespace of the system [default: the scenario's; without one the demo system's in the embedded stack, else that of the
    /// context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Scenario files whose loads can be started, too
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub loads: Vec<PathBuf>,
    /// Do what this file says, line by line (- for standard input), instead of what somebody types
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// What is shown: auto, tui (the terminal view) or line (one line for each thing that happens, commands from standard input)
    #[arg(
        long,
        value_name = "VIEW",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub view: ViewArg,
    /// Do not begin unless Prometheus, Alertmanager and the alert receiver answer
    #[arg(long)]
    pub require_monitoring: bool,
    /// Leave the embedded stack running if this game day starts it
    #[arg(long)]
    pub keep: bool,
    /// Leave the terminal view as soon as the game day is over
    #[arg(long)]
    pub exit: bool,
    /// Further copies of its reports.
    #[command(flatten)]
    pub reports: ReportFiles,
    /// Where its annotations go.
    #[command(flatten)]
    pub grafana: PublishArgs,
    /// Where the index of runs is.
    #[command(flatten)]
    pub index: IndexArgs,
    /// Where the monitoring system is.
    #[command(flatten)]
    pub monitoring: MonitoringArgs,
    /// How the embedded stack is brought up.
    #[command(flatten)]
    pub stack: StackArgs,
}
