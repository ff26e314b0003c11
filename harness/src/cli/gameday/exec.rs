//! A game day from its command line to its exit code.

use std::{path::Path, time::Duration};

use harness_engine::{
    conductor::{Controls, GameDayOptions, gameday},
    load::WorkerCommand,
};
use harness_event::{Millis, Outcome, Plan};
use harness_scenario::{Scenario, catalogue::bare};
use tokio::task::JoinHandle;

use super::{
    super::{
        Context, history, pace,
        record::Record,
        reports,
        run::{Finished, Wanted, connect, or_take_down, read_scenario, take_down},
        signals::Cancel,
    },
    GameDayArgs, answers,
    offered::loads,
    script::{Runner, Script, named},
    shown, situation,
};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::{Output, Style},
    target::Target,
    view::{Environment, Host, Kind, ViewArg, choose},
};

/// Namespace of the demo system.
const DEMO: &str = "gallery";
/// What stands at the top of every report.
const TITLE: &str = "Game day";

pub(in super::super) async fn exec(args: GameDayArgs, context: &Context) -> Result<u8, ExpectedError> {
    let (kind, script) = way(&args)?;
    let scenario =
        args.scenario.as_deref().map(|path| read_scenario(path, &args.monitoring, context)).transpose()?;
    let of_file = args.scenario.as_deref().zip(scenario.as_ref());
    let offered = loads(of_file, &args.loads, context)?;
    let mut plan = surroundings(&args, scenario.as_ref(), context).await?;
    plan.compress = pace::wanted(args.stack.compress, plan.compress, context)?;
    let compress = plan.compress;
    let past = pace::history(plan.history, context)?;
    let grafana = args.grafana.grafana()?;
    for path in args.reports.files()? {
        reports::put(path, "")?;
    }
    // From here on signals do not end the process: what was started or changed is undone first.
    let cancel = Cancel::listen();
    let wanted = Wanted { compress, history: past, change: true };
    let out = if context.global.quiet { Output::nowhere() } else { Output::stdout(context.global.color) };
    let shown = shown::start(out).map_err(|source| ExpectedError::Internal {
        what: "the answers to commands cannot be shown".to_owned(),
        source: source.into(),
    })?;
    let (target, mut stack) = connect(&args.stack, wanted, context, &cancel).await?;
    let bring_up =
        stack.as_ref().filter(|stack| stack.started_by_us).map_or(Duration::ZERO, |stack| stack.bring_up);
    let compression = stack.as_ref().and_then(|stack| stack.compression.clone());
    let (controls, commands) = Controls::new();
    let by_hand = cancel.clone();
    let host = Host::new(target.client.clone(), move || by_hand.by_hand("Ctrl-C"))
        .of_game_day(answers::answers(controls.clone(), offered.clone()));
    // From here until the view is closed, nothing else may write to the terminal.
    let viewed = Record::begin(context, args.scenario.as_deref())
        .and_then(|record| record.view(kind, args.exit, Some(host), context));
    let (record, viewed) = or_take_down(viewed, &mut stack, args.keep, context).await?;
    viewed.announce(&cancel);
    let options = GameDayOptions {
        run: record.run.clone(),
        run_dir: record.dir.clone(),
        scenario: args.scenario.as_deref().map_or_else(String::new, |path| path.display().to_string()),
        scenario_sha256: scenario.as_ref().map_or_else(String::new, |scenario| scenario.sha256.clone()),
        plan,
        loads: offered,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        bring_up: Millis::from(bring_up),
        cancel: cancel.token.clone(),
        signal: cancel.name.clone(),
        load_worker: WorkerCommand {
            program: crate::own_exe().to_owned(),
            arguments: vec![crate::LOAD_WORKER.to_owned()],
        },
        compression: compression.map(|one| (one.factor, one.unscaled)),
        require_monitoring: args.require_monitoring,
    };
    let (lines, writer) = shown;
    // Whoever commands has the only controls, the terminal view or the script: without it the game day ends.
    let running = script.map(|script| {
        let situation = situation::follow(&record.log, &options.plan);
        tokio::spawn(Runner { controls, situation, lines }.run(script))
    });
    let verdict = gameday(options, &target, &record.log, commands).await;
    let commanded = match running {
        Some(running) => end(running).await,
        None => Ok(()),
    };
    writer.finish().await;
    let left = !verdict.left_behind.is_empty();
    let dir = record.dir.clone();
    let finished = Finished { record, viewed, verdict: &verdict, kind };
    let result = finished.report(&args.reports, grafana.as_ref(), &cancel, context).await;
    history::record(&dir, &args.index, context).await;
    // A stack in which a fault is left is kept: there is something to recover in it.
    take_down(stack, args.keep || left, context).await?;
    match (commanded, verdict.outcome) {
        (Err(failure), Outcome::Ended) => {
            let script = named(args.script.as_ref());
            let (text, code) = match failure {
                Failure::Command(command) => {
                    (format!("a command of {script} failed: {command}"), exit_code::FAILED)
                }
                Failure::Internal(error) => {
                    (format!("the commands of {script} were not carried out: {error}"), exit_code::INTERNAL)
                }
            };
            context.err.line(context.err.paint(Style::Bad, format_args!("error: {text}")));
            result.map(|_| code)
        }
        _ => result,
    }
}

/// Why a script did not come to its end.
#[derive(Debug, PartialEq, Eq)]
enum Failure {
    /// A command could not be carried out.
    Command(String),
    /// The harness itself failed.
    Internal(String),
}

/// The end of a script, when the game day is over. A command that was under way is told so; one that waits for a line is not waited
/// for.
async fn end(running: JoinHandle<Result<(), String>>) -> Result<(), Failure> {
    running.abort();
    match running.await {
        Ok(result) => result.map_err(Failure::Command),
        Err(error) if error.is_cancelled() => Ok(()),
        Err(error) => Err(Failure::Internal(error.to_string())),
    }
}

/// What is shown, and where commands come from if not from the keys.
fn way(args: &GameDayArgs) -> Result<(Kind, Option<Script>), ExpectedError> {
    let usage = |message: &str, hint: &str| ExpectedError::Usage {
        message: message.to_owned(),
        hint: Some(hint.to_owned()),
    };
    if let Some(path) = &args.script {
        if args.view == ViewArg::Tui {
            return Err(usage(
                "--script and --view tui exclude each other",
                "a script is shown line by line: leave --view out",
            ));
        }
        return Ok((Kind::Lines, Some(Script::read(path)?)));
    }
    match (choose(args.view, Environment::here())?, args.view) {
        (Kind::Terminal, _) => Ok((Kind::Terminal, None)),
        (Kind::Lines, ViewArg::Line) => Ok((Kind::Lines, Some(Script::input()))),
        (Kind::Lines, _) => Err(usage(
            "a game day needs a terminal: there is none here",
            "give commands with --script FILE, or with --view line on standard input",
        )),
    }
}

/// What there is before anything is done: the scenario's, or nothing but a namespace and its monitoring.
async fn surroundings(
    args: &GameDayArgs,
    scenario: Option<&Scenario>,
    context: &Context,
) -> Result<Plan, ExpectedError> {
    let mut plan = match scenario {
        Some(scenario) => {
            let title = format!("{TITLE}: {}", scenario.plan.title);
            Plan { title, ..scenario.plan.clone() }
        }
        None => {
            let namespace = namespace(args, context).await?;
            let mut plan = bare(TITLE, &namespace)
                .map_err(|problems| ExpectedError::Usage { message: problems.join("; "), hint: None })?;
            let addresses = &mut plan.monitoring;
            for (given, address) in [
                (&args.monitoring.prometheus, &mut addresses.prometheus),
                (&args.monitoring.alertmanager, &mut addresses.alertmanager),
                (&args.monitoring.receiver, &mut addresses.receiver),
            ] {
                if let Some(given) = given {
                    address.clone_from(given);
                }
            }
            plan
        }
    };
    if let Some(namespace) = &args.namespace {
        plan.namespace.clone_from(namespace);
    }
    Ok(plan)
}

async fn namespace(args: &GameDayArgs, context: &Context) -> Result<String, ExpectedError> {
    if let Some(namespace) = &args.namespace {
        return Ok(namespace.clone());
    }
    if !context.external() {
        return Ok(DEMO.to_owned());
    }
    let kubeconfig: Option<&Path> = context.global.kubeconfig.as_deref();
    let target = Target::external(kubeconfig, context.global.context.as_deref()).await?;
    Ok(target.namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_script_that_panics_has_failed() {
        let script = tokio::spawn(async { panic!("a bug") });
        while !script.is_finished() {
            tokio::task::yield_now().await;
        }
        let Err(Failure::Internal(error)) = end(script).await else { panic!("it counts as done") };
        assert!(error.contains("a bug"), "{error}");
        let failed = tokio::spawn(async { Err("inject x: no".to_owned()) });
        while !failed.is_finished() {
            tokio::task::yield_now().await;
        }
        assert_eq!(end(failed).await, Err(Failure::Command("inject x: no".to_owned())));
        // It waits for a line that nobody writes any more.
        assert_eq!(end(tokio::spawn(std::future::pending())).await, Ok(()));
    }
}
