//! What the `harness` binary does, short of leaving the process.

use std::{
    ffi::OsString,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use clap::{ColorChoice, CommandFactory, FromArgMatches, error::ErrorKind};
use tokio::runtime::Builder;
use tracing_subscriber::{EnvFilter, util::SubscriberInitExt};

use crate::{
    cli::{App, Context, GlobalArgs},
    exit_code,
    output::{ColorArg, Output},
    own_exe,
};

/// Runs one command and returns the process' exit code, one of [`exit_code`].
pub fn main_impl() -> u8 {
    own_exe();
    // Results of the command are on stdout and stderr by then. A panic's message was printed by the panic hook.
    catch_unwind(AssertUnwindSafe(|| parse_and_run(std::env::args_os().collect())))
        .unwrap_or(exit_code::INTERNAL)
}

fn parse_and_run(args: Vec<OsString>) -> u8 {
    let command = App::command().color(match color_before_parsing(&args) {
        Some(ColorArg::Always) => ColorChoice::Always,
        Some(ColorArg::Never) => ColorChoice::Never,
        Some(ColorArg::Auto) | None => ColorChoice::Auto,
    });
    let app = match command.try_get_matches_from(args).and_then(|matches| App::from_arg_matches(&matches)) {
        Ok(app) => app,
        Err(error) => {
            // A reader that went away (`harness --help | head`) is no error of ours.
            drop(error.print());
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => exit_code::PASSED,
                _ => exit_code::USAGE,
            };
        }
    };
    init_logs(&app.global);
    // One TLS provider is compiled in; naming it keeps a second one, pulled in by a dependency, from being ambiguous.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());

    let context = Context::new(&app.global);
    // One that waits for something outside must not hold up the others, which time the ends of faults and listen to signals.
    let workers = thread::available_parallelism().map_or(2, |cpus| cpus.get().max(2));
    let runtime = match Builder::new_multi_thread().worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            context.err.line(format_args!("error: can't start the runtime: {error}"));
            return exit_code::INTERNAL;
        }
    };
    let result = runtime.block_on(app.run(&context));
    // A thread may still wait for a file lock: it must not hold up the exit.
    runtime.shutdown_background();
    let code = match result {
        Ok(code) => code,
        Err(error) => {
            error.display(&context.err);
            error.exit_code()
        }
    };
    finish(&context, code)
}

/// Output that could not be written (a full disk, not a closed pipe) must not look like success.
fn finish(context: &Context, code: u8) -> u8 {
    match context.out.finish() {
        Err(error) if code == exit_code::PASSED => {
            context.err.line(format_args!("error: can't write to standard output: {error}"));
            exit_code::INTERNAL
        }
        _ => code,
    }
}

/// Logs go to stderr: warnings by default, more with each `-v`, or as `RUST_LOG` says.
fn init_logs(global: &GlobalArgs) {
    let default = match global.verbose {
        0 => "warn,kube_client=off",
        1 => "warn,harness=info,harness_engine=info,cluster=info",
        2 => "info,harness=debug,harness_engine=debug,cluster=debug",
        _ => "trace,hyper=info,h2=info,rustls=info,tower=info",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(Output::stderr(global.color).colored())
        .finish();
    // Fails only if a subscriber is set already, as in a test that calls this in-process.
    drop(subscriber.try_init());
}

/// Usage errors are printed before `--color` is parsed, so it is looked for by hand.
fn color_before_parsing(args: &[OsString]) -> Option<ColorArg> {
    use clap::ValueEnum;
    let mut rest = args.iter().skip(1).map(|argument| argument.to_string_lossy());
    while let Some(argument) = rest.next() {
        let value = match argument.as_ref() {
            "--" => return None,
            "--color" => rest.next()?.into_owned(),
            _ => match argument.strip_prefix("--color=") {
                Some(value) => value.to_owned(),
                None => continue,
            },
        };
        return ColorArg::from_str(&value, false).ok();
    }
    None
}
