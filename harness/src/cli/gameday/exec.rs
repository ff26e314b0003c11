//! A game day from its command line to its exit code.

use std::{path::Path, time::Duration};

use harness_engine::{
    conductor::{Controls, GameDayOptions, gameday},
    load::WorkerCommand,
};
use harness_event::{Millis, Outcome, Plan};
use harness_scenario::{Scenario, catalogue::bare};

use super::{
    super::{
        Context, history, pace,
        record::Record,
        reports,
        run::{Finished, Wanted, connect, read_scenario, take_down},
        signals::Cancel,
    },
    GameDayArgs, answers,
    offered::loads,
    script::{Runner, Script, named},
    situation,
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
    let (target, stack) = connect(&args.stack, wanted, context, &cancel).await?;
    let record = Record::begin(context, args.scenario.as_deref())?;
    let bring_up =
        stack.as_ref().filter(|stack| stack.started_by_us).map_or(Duration::ZERO, |stack| stack.bring_up);
    let compression = stack.as_ref().and_then(|stack| stack.compression.clone());
    let (controls, commands) = Controls::new();
    let by_hand = cancel.clone();
    let host = Host::new(target.client.clone(), move || by_hand.by_hand("Ctrl-C"))
        .of_game_day(answers::answers(controls.clone(), offered.clone()));
    // From here until the view is closed, nothing else may write to the terminal.
    let (record, viewed) = record.view(kind, args.exit, Some(host), context)?;
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
    let running = script.map(|script| {
        let out = if context.global.quiet { Output::nowhere() } else { Output::stdout(context.global.color) };
        let runner = Runner {
            controls: controls.clone(),
            situation: situation::follow(&record.log, &options.plan),
            out,
        };
        tokio::spawn(runner.run(script))
    });
    // The host has its own: with the terminal view the game day goes on until it is ended there.
    drop(controls);
    let verdict = gameday(options, &target, &record.log, commands).await;
    // A command that was under way is told that it is over; one that waits for a line is not waited for.
    let failed = match running {
        Some(running) if running.is_finished() => running.await.ok().and_then(Result::err),
        Some(running) => {
            running.abort();
            None
        }
        None => None,
    };
    let left = !verdict.left_behind.is_empty();
    let dir = record.dir.clone();
    let finished = Finished { record, viewed, verdict: &verdict, kind };
    let result = finished.report(&args.reports, grafana.as_ref(), &cancel, context).await;
    history::record(&dir, &args.index, context).await;
    // A stack in which a fault is left is kept: there is something to recover in it.
    take_down(stack, args.keep || left, context).await?;
    match (failed, verdict.outcome) {
        (Some(command), Outcome::Ended) => {
            let text = format!("error: a command of {} failed: {command}", named(args.script.as_ref()));
            context.err.line(context.err.paint(Style::Bad, format_args!("{text}")));
            result.map(|_| exit_code::FAILED)
        }
        _ => result,
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
