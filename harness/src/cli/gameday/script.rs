//! Commands as lines: of a file, or typed.

use std::{
    fs,
    io::{self, BufRead, IsTerminal},
    path::{Path, PathBuf},
    thread,
};

use harness_engine::conductor::Controls;
use tokio::sync::mpsc;

use super::{
    shown::Lines,
    situation::{self, Tracker},
    steps::{self, HELP, Step},
};
use crate::expected_error::ExpectedError;

/// Where commands come from.
pub(super) enum Script {
    /// A file, read and checked as a whole before anything is done.
    File(Vec<(String, Step)>),
    /// Standard input, line by line.
    Input {
        /// Somebody types: a command that cannot be carried out is no reason to end it all.
        typed: bool,
    },
}

impl Script {
    /// Standard input.
    pub(super) fn input() -> Self {
        Self::Input { typed: io::stdin().is_terminal() }
    }

    /// A file; every problem in it at once.
    pub(super) fn read(path: &Path) -> Result<Self, ExpectedError> {
        if path == Path::new("-") {
            return Ok(Self::input());
        }
        let failed = |source| ExpectedError::File { verb: "read", path: path.to_owned(), source };
        let text = fs::read_to_string(path).map_err(failed)?;
        let (mut found, mut problems) = (Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            match steps::read(line) {
                Ok(Some(step)) => found.push((line.trim().to_owned(), step)),
                Ok(None) => {}
                Err(error) => problems.push(format!("{}:{}: {error}", path.display(), number + 1)),
            }
        }
        match problems.is_empty() {
            true => Ok(Self::File(found)),
            false => Err(ExpectedError::Usage {
                message: problems.join("\n"),
                hint: Some("`harness gameday --help` lists the commands".to_owned()),
            }),
        }
    }
}

/// Carries commands out and shows their answers.
pub(super) struct Runner {
    pub(super) controls: Controls,
    pub(super) situation: Tracker,
    pub(super) lines: Lines,
}

impl Runner {
    /// Does what the script says, then ends the game day.
    ///
    /// # Errors
    /// The command that could not be carried out, and why; nothing after it was done.
    pub(super) async fn run(mut self, script: Script) -> Result<(), String> {
        let result = match script {
            Script::File(steps) => self.file(steps).await,
            Script::Input { typed } => self.input(typed).await,
        };
        self.controls.finish().await;
        result
    }

    async fn file(&mut self, steps: Vec<(String, Step)>) -> Result<(), String> {
        for (line, step) in steps {
            self.show(&format!("> {line}"));
            if step == Step::Finish {
                break;
            }
            self.carry_out(step).await.map_err(|error| format!("{line}: {error}"))?;
        }
        Ok(())
    }

    async fn input(&mut self, typed: bool) -> Result<(), String> {
        let mut lines = lines();
        if typed {
            self.show("commands: inject, plan, stop, load, note, wait, targets, finish; help explains them");
        }
        while let Some(line) = lines.recv().await {
            let result = match steps::read(&line) {
                Ok(None) => continue,
                Ok(Some(Step::Finish)) => break,
                Ok(Some(step)) => {
                    if !typed {
                        self.show(&format!("> {}", line.trim()));
                    }
                    self.carry_out(step).await
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(()) => {}
                Err(error) if typed => self.show(&format!("! {error}")),
                Err(error) => return Err(format!("{}: {error}", line.trim())),
            }
        }
        Ok(())
    }

    async fn carry_out(&mut self, step: Step) -> Result<(), String> {
        let controls = self.controls.clone();
        match step {
            Step::Inject(fault) => {
                let wanted = fault.name.clone();
                let name = controls.inject(fault).await?;
                if name != wanted {
                    self.show(&format!("the fault is called {name}"));
                }
                Ok(())
            }
            Step::Plan(fault) => {
                let plan = controls.plan(fault).await?;
                self.show(&plan.effect);
                self.show(&format!("touches {}; undone by: {}", plan.targets.join(", "), plan.inverse));
                plan.warnings.iter().for_each(|warning| self.show(&format!("warning: {warning}")));
                Ok(())
            }
            Step::Stop(fault) => controls.stop_fault(&fault).await,
            Step::StartLoad(load) => {
                let name = controls.start_load(&load).await?;
                if name != load {
                    self.show(&format!("the load is called {name}"));
                }
                Ok(())
            }
            Step::StopLoad(load) => controls.stop_load(&load).await,
            Step::Note(text) => controls.note(&text).await,
            Step::Wait(wait) => situation::wait(&mut self.situation, wait).await,
            Step::Targets => {
                let targets = controls.targets().await?;
                targets.workloads.iter().for_each(|target| self.show(target));
                targets.selectors.iter().for_each(|target| self.show(&format!("selector {target}")));
                Ok(())
            }
            Step::Help => {
                HELP.lines().for_each(|line| self.show(line));
                Ok(())
            }
            Step::Finish => Ok(()),
        }
    }

    fn show(&self, text: &str) {
        self.lines.show(text);
    }
}

/// The lines of standard input, read by a thread that nobody waits for: at a terminal it may wait for ever.
fn lines() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    let read = move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    };
    if let Err(error) = thread::Builder::new().name("commands".to_owned()).spawn(read) {
        tracing::error!(%error, "standard input can't be read");
    }
    receiver
}

/// The files that a script names, for messages.
pub(super) fn named(script: Option<&PathBuf>) -> String {
    script.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::mpsc::Receiver, time::Duration};

    use harness_engine::{Log, conductor::Command};
    use harness_event::verdict::testkit;

    use super::*;
    use crate::{
        cli::gameday::shown,
        output::{ColorArg, Output},
    };

    /// A pipe that is full until its reader reads, or goes away.
    struct Full(Receiver<()>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.recv_timeout(Duration::from_secs(30)) {
                Ok(()) => Ok(bytes.len()),
                Err(_) => Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// In a runtime of one thread: what waits for the reader there holds up everything, also the end of faults.
    #[tokio::test]
    async fn a_reader_that_does_not_read_holds_nothing_up() {
        let (reader, full) = std::sync::mpsc::channel();
        let (lines, writer) =
            shown::start(Output::new(Box::new(Full(full)), false, ColorArg::Never)).unwrap();
        let (controls, mut commands) = Controls::new();
        let log = Log::unrecorded();
        let runner = Runner { controls, situation: situation::follow(&log, &testkit::plan()), lines };
        let steps = std::iter::repeat_n(("help".to_owned(), Step::Help), 200).collect();
        let begun = std::time::Instant::now();
        let running = tokio::spawn(runner.run(Script::File(steps)));
        assert!(matches!(commands.recv().await, Some(Command::Finish)));
        assert_eq!(running.await.unwrap(), Ok(()));
        assert!(begun.elapsed() < Duration::from_secs(20), "it waited for the reader");
        // It goes away.
        drop(reader);
        writer.finish().await;
    }
}
