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
    let script = String::from_utf8_lossy(&script);
    let script = if args.shell == Shell::Bash { with_runs(&script) } else { script.into_owned() };
    context.out.line(script.trim_end_matches('\n'));
    exit_code::PASSED
}

/// Names of runs, as they are in the state directory that the shell knows of.
const RUNS: &str = "\
_harness_runs() {
    echo last
    command ls -- \"${SRE_HARNESS_STATE:-.harness}/runs\" 2>/dev/null
}

";

/// Bash completes runs where a command takes one: the generator has no words for arguments that are neither options nor files.
fn with_runs(script: &str) -> String {
    let definition = definition();
    let takes_run = |one: &&Definition| one.get_positionals().any(|argument| argument.get_id() == "run");
    let mut script = script.to_owned();
    for name in definition.get_subcommands().filter(takes_run).map(Definition::get_name) {
        let begin =
            format!("        harness__subcmd__{})\n            opts=\"", name.replace('-', "__subcmd__"));
        script = script.replace(&begin, &format!("{begin}$(_harness_runs) "));
    }
    format!("{RUNS}{script}")
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
