//! `harness completions` and `harness man`: made of the same definitions as `--help`.

use std::{fs, io, path::PathBuf};

use clap::{Args, Command as Definition, CommandFactory};
use clap_complete::Shell;

use super::{App, Context};
use crate::{exit_code, expected_error::ExpectedError};

/// Write a shell's completion script to standard output
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness completions bash > ~/.local/share/bash-completion/completions/harness
  harness completions zsh > \"${fpath[1]}/_harness\"
  harness completions fish > ~/.config/fish/completions/harness.fish
  source <(harness completions bash)      only in this shell")]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Write the manual page to standard output, or the pages of all commands into a directory
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
Examples:
  harness man | man -l -
  harness man --dir ~/.local/share/man/man1    then: man harness-run")]
pub struct ManArgs {
    /// Write one page for each command into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// The command line without what only the harness itself calls.
fn definition() -> Definition {
    let all = App::command();
    let shown: Vec<Definition> = all.get_subcommands().filter(|one| !one.is_hide_set()).cloned().collect();
    let mut shell =
        Definition::new("harness").version(env!("CARGO_PKG_VERSION")).disable_help_subcommand(true);
    for (text, set) in [
        (all.get_about(), Definition::about as fn(Definition, clap::builder::StyledStr) -> Definition),
        (all.get_long_about(), Definition::long_about),
        (all.get_after_long_help(), Definition::after_long_help),
    ] {
        if let Some(text) = text {
            shell = set(shell, text.clone());
        }
    }
    shell.args(all.get_arguments()).subcommands(shown)
}

/// `harness completions`.
pub(super) fn completions(args: &CompletionsArgs, context: &Context) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "harness", &mut script);
    context.out.line(String::from_utf8_lossy(&script).trim_end_matches('\n'));
    exit_code::PASSED
}

/// `harness man`.
pub(super) fn man(args: &ManArgs, context: &Context) -> Result<u8, ExpectedError> {
    let failed = |path: PathBuf| move |source: io::Error| ExpectedError::File { verb: "write", path, source };
    match &args.dir {
        None => {
            let mut page = Vec::new();
            let to = PathBuf::from("standard output");
            clap_mangen::Man::new(definition()).render(&mut page).map_err(failed(to))?;
            context.out.line(String::from_utf8_lossy(&page).trim_end_matches('\n'));
        }
        Some(dir) => {
            fs::create_dir_all(dir).map_err(failed(dir.clone()))?;
            clap_mangen::generate_to(definition(), dir).map_err(failed(dir.clone()))?;
            context.out.line(format_args!("the manual pages are in {}", dir.display()));
        }
    }
    Ok(exit_code::PASSED)
}
