//! What every command gets beside its own options.

use crate::{
    cli::GlobalArgs,
    output::Output,
    stack::{OutputProgress, StateDir},
};

/// Global options, resolved once, and the two output streams.
pub struct Context {
    /// The global options as given.
    pub global: GlobalArgs,
    /// Where stack, runs and ledgers are kept.
    pub state_dir: StateDir,
    /// Results.
    pub out: Output,
    /// Progress and errors.
    pub err: Output,
}

impl Context {
    /// Resolves the global options.
    pub fn new(global: &GlobalArgs) -> Self {
        Self {
            state_dir: StateDir::resolve(global.state_dir.clone()),
            out: Output::stdout(global.color),
            err: Output::stderr(global.color),
            global: global.clone(),
        }
    }

    /// True if the user named a cluster of their own: nothing embedded is started then.
    pub fn external(&self) -> bool {
        self.global.kubeconfig.is_some() || self.global.context.is_some()
    }

    /// Progress on stderr: a line that is rewritten on a terminal, else one line per step; nothing with `--quiet`.
    pub fn progress(&self) -> OutputProgress<'_> {
        OutputProgress::new(&self.err, self.global.quiet)
    }

    /// Something that is no result and no error.
    pub fn remark(&self, text: impl std::fmt::Display) {
        if !self.global.quiet {
            self.out.line(text);
        }
    }
}
