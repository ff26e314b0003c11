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

    /// What the user can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Stack(error) => stack_hint(error),
            Self::Target(error) => error.hint(),
            Self::Usage { hint, .. } => hint.clone(),
            Self::RollbackIncomplete { recover, .. } => Some(format!("take it back with `{recover}`")),
            Self::Internal { .. } => {
                Some("this is a bug; run it again with -vv and report what it prints".to_owned())
            }
            Self::Scenario { .. }
            | Self::File { .. }
            | Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Unreported { .. } => None,
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
        output.line(format_args!("{} {self}", output.paint(Style::Bad, "error:")));
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
                output.line(format_args!("  {prefix}{line}"));
            }
        }
        for line in self.evidence().iter().flat_map(|text| text.lines()) {
            output.line(format_args!("  {line}"));
        }
        if let Some(hint) = self.hint() {
            output.line(format_args!("  {} {hint}", output.paint(Style::Strong, "hint:")));
        }
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

fn stack_hint(error: &StackError) -> Option<String> {
    Some(match error {
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
        StackError::Target(error) => return error.hint(),
        StackError::History(NoHistory::Up) => {
            "`harness down` ends the running stack; a new one gets its history before Prometheus starts"
                .to_owned()
        }
        StackError::Compress { .. } => {
            "a smaller factor keeps more samples in each range; docs/compressed-time.md says what limits it"
                .to_owned()
        }
        StackError::ControlPlane(ControlPlaneError::Start { .. } | ControlPlaneError::Died { .. })
        | StackError::ControlPlane(ControlPlaneError::Late { .. })
        | StackError::Services(ServicesError::Build { .. })
        | StackError::Manifests(_)
        | StackError::NotLoaded(_)
        | StackError::History(_)
        | StackError::Image(_)
        | StackError::Apply(_)
        | StackError::Stop { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::output::ColorArg;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn shown(error: &ExpectedError) -> String {
        let sink = Sink::default();
        error.display(&Output::new(Box::new(sink.clone()), false, ColorArg::Never));
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn causes_and_hint_are_shown_once_each() {
        let cause = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = ExpectedError::from(StackError::State { path: "/x".into(), source: cause });
        insta::assert_snapshot!(shown(&error), @r"
        error: can't use /x
          caused by: permission denied
          hint: is the state directory (--state-dir) yours?
        ");
        assert_eq!(error.exit_code(), exit_code::USAGE);
    }

    #[test]
    fn a_rollback_that_is_incomplete_names_the_command() {
        let error = ExpectedError::RollbackIncomplete {
            left: "Deployment gallery/postgres has 0 replicas instead of 1".to_owned(),
            recover: "harness recover 20261121-120102-k3f".to_owned(),
        };
        insta::assert_snapshot!(shown(&error), @r"
        error: the rollback is incomplete: Deployment gallery/postgres has 0 replicas instead of 1
          hint: take it back with `harness recover 20261121-120102-k3f`
        ");
        assert_eq!(error.exit_code(), exit_code::ROLLBACK_INCOMPLETE);
    }

    #[test]
    fn a_dead_control_plane_shows_the_end_of_its_log() {
        let died = ControlPlaneError::Died {
            status: "exit status: 101".to_owned(),
            log: "/state/log".into(),
            tail: "  one\n  two\n".to_owned(),
        };
        let error = ExpectedError::from(StackError::ControlPlane(died));
        insta::assert_snapshot!(shown(&error), @r"
        error: the embedded cluster did not start
          caused by: the control plane ended (exit status: 101); the end of /state/log:
            one
            two
        ");
        assert_eq!(error.exit_code(), exit_code::UNREACHABLE);
    }

    #[test]
    fn problems_are_counted_in_words() {
        assert_eq!(problems(1, 1), "1 problem in 1 file");
        assert_eq!(problems(2, 7), "7 problems in 2 files");
    }
}
