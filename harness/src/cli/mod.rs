//! The command line: one file per command; the options of all of them, and what they have in common, in [`args`].

mod addresses;
mod alert_receiver;
pub mod args;
mod compare;
mod completions;
mod compress;
mod context;
mod control_plane;
mod doctor;
mod down;
mod dry_run;
mod export_scenario;
mod gameday;
mod grafana;
mod history;
mod judge;
mod pace;
mod publish;
mod record;
mod recover;
mod replay;
mod report;
mod reports;
mod run;
pub mod signals;
mod slo;
mod slo_status;
mod status;
mod up;
mod validate;
mod values;
mod watch;

pub use args::{App, GlobalArgs};
pub use context::Context;

use self::args::Command;
use crate::expected_error::ExpectedError;

impl App {
    /// Runs the command and gives the exit code.
    pub async fn run(self, context: &Context) -> Result<u8, ExpectedError> {
        match self.command {
            Command::Run(args) => run::exec(args, context).await,
            Command::Validate(args) => validate::exec(&args, context),
            Command::Up(args) => up::exec(args, context).await,
            Command::Down(args) => down::exec(&args, context).await,
            Command::Status(args) => status::exec(&args, context).await,
            Command::Recover(args) => recover::exec(args, context).await,
            Command::Watch(args) => watch::exec(args, context).await,
            Command::Judge(args) => judge::exec(args, context).await,
            Command::Report(args) => report::exec(args, context).await,
            Command::Replay(args) => replay::exec(args, context).await,
            Command::Gameday(args) => gameday::exec(args, context).await,
            Command::ExportScenario(args) => export_scenario::exec(&args, context),
            Command::History(args) => history::exec(args, context).await,
            Command::Compare(args) => compare::exec(args, context).await,
            Command::Slo(args) => slo::exec(&args, context).await,
            Command::Grafana(args) => grafana::exec(args, context).await,
            Command::Doctor(args) => doctor::exec(&args, context).await,
            Command::Completions(args) => Ok(completions::completions(&args, context)),
            Command::Man(args) => completions::man(&args, context),
            Command::ControlPlane(args) => control_plane::exec(args).await,
            Command::AlertReceiver(args) => alert_receiver::exec(args).await,
            // main() dispatches it before options are parsed.
            Command::PodShim => unreachable!("pod-shim is dispatched by main"),
        }
    }
}
