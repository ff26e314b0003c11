//! Every way in which a user or an environment can be wrong, with a cause, a hint and an exit code.

use std::{error::Error, io, path::PathBuf};

use harness_slo::compress::CompressError;

use crate::{
    exit_code,
    output::{Output, Style},
    stack::{ControlPlaneError, NoHistory, RecordError, ServicesError, StackError},
    target::TargetError,
};

/// An error that is shown to the user. Everything else is a bug and ends with a panic.
#[derive(Debug, thiserror::Error)]
pub enum ExpectedError {
    /// The embedded stack is not there.
    #[error(transparent)]
    Stack(StackError),
    /// A cluster of the user's own cannot be used.
    #[error(transparent)]
    Target(TargetError),
    /// A scenario file is wrong; the problems have been shown.
    #[error("{}", problems(*files, *found))]
    Scenario {
        /// Number of files with problems.
        files: usize,
        /// Number of problems.
        found: usize,
    },
    /// A file that the user named cannot be read or written.
    #[error("can't {verb} {}", path.display())]
    File {
        /// `read` or `write`.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The command line asks for something that is not there.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// A part of the target did not answer or never got ready.
    #[error("{what}")]
    Unreachable {
        /// What, as in "Prometheus at http://… does not answer".
        what: String,
        /// Cause.
        #[source]
        source: Option<Box<dyn Error + Send + Sync>>,
    },
    /// A signal ended the command; everything is as before.
    #[error("interrupted by {signal}; {state}")]
    Interrupted {
        /// The signal's name.
        signal: &'static str,
        /// What the state is now.
        state: String,
    },
    /// Faults are still applied.
    #[error("the rollback is incomplete: {left}")]
    RollbackIncomplete {
        /// What is left.
        left: String,
        /// The command that takes it back.
        recover: String,
    },
    /// A run is over, but who looks for its reports will not find them.
    #[error("the run is over and rolled back, but its reports could not be written")]
    Unreported {
        /// Cause.
        #[source]
        source: Box<ExpectedError>,
    },
    /// Something that should work anywhere failed.
    #[error("{what}")]
    Internal {
        /// What failed.
        what: String,
        /// Cause.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl ExpectedError {
    /// The exit code, as in the table of `harness --help`.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Scenario { .. } | Self::File { .. } | Self::Usage { .. } => exit_code::USAGE,
            Self::Target(error) => match error {
                TargetError::Kubeconfig(_) => exit_code::USAGE,
                TargetError::Client { .. } | TargetError::Refused { .. } | TargetError::Silent { .. } => {
                    exit_code::UNREACHABLE
                }
            },
            Self::Stack(error) => match error {
                StackError::MissingPrograms(_)
                | StackError::Image(_)
                | StackError::Ports(_)
                | StackError::Version { .. }
                | StackError::State { .. }
                | StackError::Record(_)
                | StackError::NoManifests
                | StackError::Manifests(_)
                | StackError::Compress { .. }
                | StackError::History(_)
                | StackError::NoGrafana
                | StackError::Services(_) => exit_code::USAGE,
                StackError::ControlPlane(_)
                | StackError::Target(_)
                | StackError::Apply(_)
                | StackError::NotReady(_)
                | StackError::NotLoaded(_)
                | StackError::Stop { .. } => exit_code::UNREACHABLE,
            },
            Self::Unreachable { .. } => exit_code::UNREACHABLE,
            Self::Interrupted { .. } => exit_code::ABORTED,
            Self::RollbackIncomplete { .. } => exit_code::ROLLBACK_INCOMPLETE,
            Self::Unreported { .. } | Self::Internal { .. } => exit_code::INTERNAL,
        }
    }

    /// What the user can do about it: each error has a next step.
    pub fn hint(&self) -> String {
        match self {
            Self::Stack(error) => stack_hint(error),
            Self::Target(error) => target_hint(error),
            Self::Usage { hint: Some(hint), .. } => hint.clone(),
            Self::Usage { hint: None, .. } => "the command's --help has its options, with examples".to_owned(),
            Self::RollbackIncomplete { recover, .. } => format!("take it back with `{recover}`"),
            Self::Internal { .. } => "this is a bug; run it again with -vv and report what it prints".to_owned(),
            Self::Scenario { .. } => {
                "docs/scenario-format.md documents every key; `harness validate FILE` checks a file without touching \
                 anything"
                    .to_owned()
            }
            Self::File { verb, source, .. } => file_hint(verb, source.kind()).to_owned(),
            Self::Unreachable { .. } => {
                "`harness status` shows what is there; -v shows what was asked, and what answered".to_owned()
            }
            Self::Interrupted { .. } => "run the same command again when you like".to_owned(),
            Self::Unreported { .. } => {
                "`harness report last` makes them again out of the log, `harness judge last` gives the verdict".to_owned()
            }
        }
    }

    /// Lines that show the cause beyond the chain of errors: logs, Events, missing programs.
    fn evidence(&self) -> Option<String> {
        let Self::Stack(error) = self else { return None };
        match error {
            StackError::NotReady(not_ready) if !not_ready.evidence.is_empty() => {
                Some(not_ready.evidence.clone())
            }
            StackError::MissingPrograms(programs) => {
                let line = |program: &cluster::kubelet::catalog::ProgramStatus| {
                    format!("{} ({}): {}", program.program, program.install, program.purpose)
                };
                Some(programs.iter().map(line).collect::<Vec<_>>().join("\n"))
            }
            StackError::Compress { source: CompressError::Impossible { problems }, .. }
                if problems.len() > 1 =>
            {
                Some(problems.join("\n"))
            }
            StackError::Ports(held) => {
                Some(held.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
            }
            _ => None,
        }
    }

    /// Prints the error with its causes, evidence and hint.
    pub fn display(&self, output: &Output) {
        let text = output.paint(Style::Plain, self);
        output.line(format_args!("{} {text}", output.paint(Style::Bad, "error:")));
        let mut shown = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            cause = error.source();
            // Some libraries repeat the cause in the text.
            if shown.contains(&error.to_string()) {
                continue;
            }
            shown = error.to_string();
            for (at, line) in error.to_string().trim_end().lines().enumerate() {
                let prefix = if at == 0 { "caused by: " } else { "" };
                output.line(output.paint(Style::Plain, format_args!("  {prefix}{line}")));
            }
        }
        for line in self.evidence().iter().flat_map(|text| text.lines()) {
            output.line(output.paint(Style::Plain, format_args!("  {line}")));
        }
        output.line(format_args!("  {} {}", output.paint(Style::Strong, "hint:"), self.hint()));
    }
}

impl From<StackError> for ExpectedError {
    fn from(error: StackError) -> Self {
        Self::Stack(error)
    }
}

impl From<TargetError> for ExpectedError {
    fn from(error: TargetError) -> Self {
        Self::Target(error)
    }
}

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        // Some libraries repeat the cause in the text.
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

fn problems(files: usize, found: usize) -> String {
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!("{} in {}", plural(found, "problem"), plural(files, "file"))
}

fn file_hint(verb: &str, kind: io::ErrorKind) -> &'static str {
    match (verb, kind) {
        ("read", io::ErrorKind::NotFound) => "is the path right? it counts from the current directory",
        (_, io::ErrorKind::IsADirectory) => "name a file, not a directory",
        (_, io::ErrorKind::PermissionDenied) => "are file and directory yours?",
        (_, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            "`harness history prune` deletes old runs, `harness down` the embedded stack's data"
        }
        ("read", _) => "is it the file that you meant?",
        _ => "does the directory exist, and is it yours? another one can be named",
    }
}

fn target_hint(error: &TargetError) -> String {
    error.hint().unwrap_or_else(|| {
        "`kubectl version` with the same kubeconfig shows whether its certificates and plugins work"
            .to_owned()
    })
}

fn stack_hint(error: &StackError) -> String {
    match error {
        StackError::MissingPrograms(_) => {
            "`make tools` unpacks them into a cache directory; nothing is installed or started".to_owned()
        }
        StackError::Ports(_) => "stop that program, or let it listen on an address of its own".to_owned(),
        StackError::Version { .. } => "`harness down` ends the running stack; then try again".to_owned(),
        StackError::Record(RecordError::Foreign { .. }) => {
            "a harness of another version runs this stack: end it with that version's `harness down`"
                .to_owned()
        }
        StackError::State { .. } | StackError::Record(_) => {
            "is the state directory (--state-dir) yours?".to_owned()
        }
        StackError::NoManifests => {
            "run it inside a checkout, or name the directory of the manifests with --deploy-dir".to_owned()
        }
        StackError::Services(ServicesError::Missing { .. }) => {
            "run it inside a checkout, where they are built when they are needed".to_owned()
        }
        StackError::Services(ServicesError::Cargo { .. }) => {
            "is Rust's toolchain on the PATH? see https://rustup.rs".to_owned()
        }
        StackError::NotReady(_) => {
            "`harness up` leaves the stack running to look into; `harness down` ends it".to_owned()
        }
        // It is on this machine: what helps against a cluster far away does not help here.
        StackError::Target(_) => {
            "`harness down` cleans up, `harness up` starts a new one; `harness status` names its log".to_owned()
        }
        StackError::NoGrafana => {
            "install the package `grafana` of Grafana Labs (Debian has none; see \
             https://grafana.com/docs/grafana/latest/setup-grafana/installation/debian/), or name one that runs with \
             --grafana-url, or import the files in dashboards/ into any Grafana"
                .to_owned()
        }
        StackError::History(NoHistory::Up) => {
            "`harness down` ends the running stack; a new one gets its history before Prometheus starts"
                .to_owned()
        }
        StackError::Compress { .. } => {
            "a smaller factor keeps more samples in each range; docs/compressed-time.md says what limits it"
                .to_owned()
        }
        StackError::ControlPlane(ControlPlaneError::Start { .. }) => {
            "is the harness' own program still where it was? `harness doctor` says what else is missing".to_owned()
        }
        StackError::ControlPlane(ControlPlaneError::Died { .. }) => {
            "`harness down` cleans up; then `harness -vv up` shows more of what it does".to_owned()
        }
        StackError::ControlPlane(ControlPlaneError::Late { .. }) => {
            "is the machine busy? `harness down` cleans up; then try again".to_owned()
        }
        StackError::Services(ServicesError::Build { .. }) => {
            "what cargo printed above says why; `cargo build -p services` does the same".to_owned()
        }
        StackError::Manifests(_) | StackError::Apply(_) => {
            "the manifests are those of --deploy-dir, else of deploy/ in the checkout; `kubectl apply --dry-run=client -k` \
             reads them, too"
                .to_owned()
        }
        StackError::NotLoaded(_) => {
            "`harness down`, then `harness up` with the pace that is wanted, starts the monitoring anew".to_owned()
        }
        StackError::History(_) => {
            "without --history (and without `history` in the scenario) Prometheus begins with an empty past".to_owned()
        }
        StackError::Image(_) => {
            "`harness doctor` lists what the embedded cluster can run; a real cluster runs any image".to_owned()
        }
        StackError::Stop { .. } => "`harness status` shows whether it is still there; is it yours?".to_owned(),
    }
}

#[cfg(test)]
mod tests;
