//! Why a load cannot be carried out.

use std::{error::Error, fmt::Write, io};

use thiserror::Error;

use super::{body::BodyError, request::StepError, tls::TlsError};

/// Why a load cannot be carried out. Its text goes to people who have written the scenario.
#[derive(Debug, Error)]
pub(crate) enum LoadError {
    /// Not one of ours.
    #[error("the assignment is not understood")]
    Assignment(#[source] serde_json::Error),
    /// Another build of the harness.
    #[error("the harness speaks version {theirs} of the load protocol and the worker version {ours}")]
    Version {
        /// Of the assignment.
        theirs: u64,
        /// Of this worker.
        ours: u32,
    },
    /// Not a load.
    #[error("a load needs {0}")]
    Needs(&'static str),
    /// The system does not let the worker have so many connections.
    #[error("{users} users need a connection each, and this process may have {limit} open files")]
    OpenFiles {
        /// Of the load.
        users: u32,
        /// Hard limit of the process.
        limit: u64,
    },
    /// The stages end before.
    #[error("its rate's stages end before there were {wanted} requests")]
    Schedule {
        /// The total that the load asks for.
        wanted: u64,
    },
    /// A file cannot be used.
    #[error("files of bodies")]
    Files(#[source] BodyError),
    /// A step cannot be made.
    #[error(transparent)]
    Step(#[from] StepError),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A step of the setup was not answered as it has to be.
    #[error("setup step {step:?}: {found} instead of status {status}")]
    Setup {
        /// Its name.
        step: String,
        /// Status or kind of error.
        found: String,
        /// What it has to be.
        status: u16,
    },
    /// A line on standard input is no command.
    #[error("not a command: {line:?}")]
    Command {
        /// Its beginning.
        line: String,
        /// Why.
        source: serde_json::Error,
    },
    /// goose cannot run the users.
    #[error("goose can't run the users: {0}")]
    Goose(String),
    /// A panic somewhere in the process.
    #[error("the worker is broken: {0}")]
    Panic(String),
    /// The harness does not listen any more, or a thread cannot be started.
    #[error("the worker can't go on")]
    Io(#[from] io::Error),
}

impl LoadError {
    /// All causes in one line.
    pub(crate) fn describe(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            // Writing to a string does not fail.
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        text
    }
}
