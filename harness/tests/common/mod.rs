//! Running the real binary, with a state directory of its own and nothing of the caller's environment that it looks at.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

/// A place to run commands in. A stack that a test leaves running is stopped when this is dropped.
pub struct Place {
    pub dir: TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// `harness ARGS` with the state directory of this place.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_harness"));
        command.args(args).env("SRE_HARNESS_STATE", self.path().join("state"));
        for variable in [
            "KUBECONFIG",
            "NO_COLOR",
            "RUST_LOG",
            "RUST_BACKTRACE",
            "COLUMNS",
            "GRAFANA_URL",
            "GRAFANA_TOKEN",
        ] {
            command.env_remove(variable);
        }
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.path().join("state/stack").exists() {
            self.run(&["down"]);
        }
    }
}

/// How a command ended and what it printed.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// Fails the test unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}
