//! `harness replay`: the terminal view of a recorded run.

use std::{fs, path::Path, time::Duration};

use clap::Args;
use harness_event::{Millis, SalvagedLog, Verdict, salvage_log};
use harness_report::{LineView, summary};
use harness_tui::{
    Mode, Options, ReplayCommand, Reply, Request, channel,
    replay::{Deck, Tape},
};

use super::{Context, reports, signals, values::duration};
use crate::{
    exit_code,
    expected_error::{ExpectedError, chain},
    output::Style,
    view::{Environment, Kind, ViewArg, choose},
};

/// Show a recorded run in the terminal view, as it was live
///
/// Space plays and stands, `.` and `,` go event by event, the arrow keys go ten seconds on and back, `]` and `[` go to the next and
/// the previous phase, fault or change of an alert, `}` and `{` to the end and the start, `>` and `<` change the speed; `?` shows
/// all keys. Where there is no terminal, and in CI jobs, the lines of the plain view are written instead.
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness replay last                        the last run, as fast as it was
  harness replay 20261121-120102 --speed 10  ten times as fast
  harness replay last --from 30s             from half a minute after its start on

Exit code 0, whatever the verdict is; `harness judge` gives the verdict's.")]
pub struct ReplayArgs {
    /// Run: its id (or its first characters), `last`, or the path of its directory or of its events.ndjson
    pub run: String,
    /// Seconds of the run that pass in one second
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    pub speed: f64,
    /// Begin so long after the start of the run
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub from: Option<Duration>,
    /// What is shown: the terminal view, or the lines of the plain view
    #[arg(long, value_enum, default_value_t, value_name = "VIEW")]
    pub view: ViewArg,
}

pub(super) async fn exec(args: ReplayArgs, context: &Context) -> Result<u8, ExpectedError> {
    let kind = choose(args.view, Environment::here())?;
    let dir = reports::find(&context.state_dir, &args.run)?;
    let log = read(&dir)?;
    let warn = |text: &str| context.err.line(context.err.paint(Style::Warn, format_args!("warning: {text}")));
    let mut problems = log.problems.clone();
    if !log.can_be_judged {
        problems.push("a damaged log is shown without a verdict".to_owned());
    }
    let verdict = log.can_be_judged.then(|| Verdict::of(&log.events));
    if kind == Kind::Lines {
        problems.iter().for_each(|problem| warn(problem));
        if args.view == ViewArg::Auto {
            context.err.line("no terminal to draw on: these are the lines of the plain view");
        }
        lines(&log, verdict.as_ref(), context);
        return Ok(exit_code::PASSED);
    }
    let options = options(context);
    let from = args.from.map_or(Millis(0), Millis::from);
    let view = tokio::task::spawn_blocking(move || show(log, verdict, &args, from, options));
    let shown = tokio::select! {
        shown = view => shown,
        signal = signals::stop_requested() => {
            // The view ends by itself when it has the terminal no more.
            harness_tui::restore_terminal();
            context.err.line(format!("stopped by {signal}"));
            return Ok(exit_code::ABORTED);
        }
    };
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| ExpectedError::Internal {
        what: "the view ended".to_owned(),
        source,
    };
    let exit = shown.map_err(|error| failed(error.into()))?.map_err(|error| failed(error.into()))?;
    if let Some(screen) = exit.last_screen {
        context.out.line(screen);
    }
    // Said in the view, too; there it goes after some seconds.
    problems.iter().for_each(|problem| warn(problem));
    Ok(exit_code::PASSED)
}

/// Reads what can be read.
fn read(dir: &Path) -> Result<SalvagedLog, ExpectedError> {
    let path = dir.join(reports::EVENTS);
    let bytes =
        fs::read(&path).map_err(|source| ExpectedError::File { verb: "read", path: path.clone(), source })?;
    salvage_log(bytes.as_slice()).map_err(|error| ExpectedError::Usage {
        message: format!("{}: {}", path.display(), chain(&error)),
        hint: Some(
            "there is nothing in it that could be shown; the reports of the run are beside it".to_owned(),
        ),
    })
}

fn options(context: &Context) -> Options {
    let style = reports::style(&context.out);
    Options { color: style.color, unicode: style.unicode, mode: Mode::Replay, ..Options::default() }
}

fn show(
    log: SalvagedLog,
    verdict: Option<Verdict>,
    args: &ReplayArgs,
    from: Millis,
    options: Options,
) -> std::io::Result<harness_tui::Exit> {
    let (sender, feed) = channel();
    for problem in log.problems.iter().rev().take(3).rev() {
        let request = Request::Replay(ReplayCommand::Start);
        sender.reply(Reply::Failed { request, error: format!("the log: {problem}") });
    }
    let deck = Deck::start(Tape::new(log.events, verdict), sender, from, args.speed)?;
    harness_tui::run(options, &feed, |request| deck.request(request))
}

fn lines(log: &SalvagedLog, verdict: Option<&Verdict>, context: &Context) {
    let style = reports::style(&context.out);
    let mut view = LineView::new(style);
    log.events.iter().flat_map(|event| view.lines(event)).for_each(|line| context.out.line(line));
    if let Some(verdict) = verdict {
        summary(&log.events, verdict, style).iter().for_each(|line| context.out.line(line));
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let (slowest, fastest) = harness_tui::replay::Player::SPEEDS;
    let speed: f64 = text.parse().map_err(|_| "it must be a number, such as 10 or 0.5".to_owned())?;
    match (slowest..=fastest).contains(&speed) {
        true => Ok(speed),
        false => Err(format!("it must be from {slowest} to {fastest}")),
    }
}

#[cfg(test)]
mod tests {
    use super::speed;

    #[test]
    fn speeds_are_numbers_within_reason() {
        assert_eq!((speed("10"), speed("0.5")), (Ok(10.0), Ok(0.5)));
        for bad in ["0", "-1", "fast", "NaN", "inf", "1e9"] {
            assert!(speed(bad).is_err(), "{bad}");
        }
    }
}
