//! `harness slo rules`: Prometheus rules from SLO specifications.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use harness_slo::{
    PromDuration,
    rules::{self, FileProblem, Made, Options, Source},
    spec::Severity,
    windows::Windows,
};

use super::{
    Context,
    args::{SloArgs, SloCommand, SloRulesArgs},
};
use crate::{exit_code, expected_error::ExpectedError, output::Style};

pub(super) async fn exec(args: &SloArgs, context: &Context) -> Result<u8, ExpectedError> {
    match &args.command {
        SloCommand::Rules(args) => rules(args, context),
        SloCommand::Status(args) => super::slo_status::exec(args, context).await,
        SloCommand::Compress(args) => super::compress::exec(args, context),
    }
}

fn rules(args: &SloRulesArgs, context: &Context) -> Result<u8, ExpectedError> {
    let options = Options { windows: windows(args, context)?, allow_unreachable: args.allow_unreachable };
    let mut texts = Vec::new();
    for path in &args.specs {
        texts.push((path, read(path)?));
    }
    let mut outputs = Vec::new();
    let (mut files, mut found) = (0, 0);
    for (target, sources) in outputs_of(args, &texts) {
        match rules::make(&sources, &header(&sources), &options) {
            Ok(made) => {
                show(&made.warnings, context);
                outputs.push((target, made));
            }
            Err(problems) => {
                show(&problems, context);
                let errors: Vec<_> =
                    problems.iter().filter(|one| one.problem.severity == Severity::Error).collect();
                let mut named: Vec<_> = errors.iter().map(|one| &one.file).collect();
                named.dedup();
                files += named.len();
                found += errors.len();
            }
        }
    }
    if found > 0 {
        return Err(ExpectedError::Scenario { files, found });
    }
    if args.check { check(&outputs, args, context) } else { write(&outputs, context) }
}

/// Which specifications become which file. Into a directory each becomes a file of its own, else all become one.
fn outputs_of<'t>(
    args: &SloRulesArgs,
    texts: &'t [(&'t PathBuf, String)],
) -> Vec<(Option<PathBuf>, Vec<Source<'t>>)> {
    let source = |(path, text): &'t (&'t PathBuf, String)| Source {
        name: path.to_str().unwrap_or("specification"),
        text: text.as_str(),
    };
    match &args.out {
        Some(out) if is_directory(out) => texts
            .iter()
            .map(|one| (Some(out.join(one.0.file_name().unwrap_or_default())), vec![source(one)]))
            .collect(),
        out => vec![(out.clone(), texts.iter().map(source).collect())],
    }
}

fn is_directory(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with('/')
}

/// The comment at the top of a generated file. It names files without their directories: the same specifications make the same
/// text wherever the command is run.
fn header(sources: &[Source<'_>]) -> String {
    let name = |source: &Source<'_>| {
        Path::new(source.name).file_name().unwrap_or_default().to_string_lossy().into_owned()
    };
    let names: Vec<String> = sources.iter().map(name).collect();
    format!("Made by `harness slo rules` from {}. Do not edit: change the specification.", names.join(", "))
}

fn windows(args: &SloRulesArgs, context: &Context) -> Result<Windows, ExpectedError> {
    let Some(path) = &args.windows else {
        let unknown = |hint: String| ExpectedError::Usage {
            message: format!("no windows are known for a period of {}", args.period),
            hint: Some(hint),
        };
        let period: PromDuration = args.period.parse().map_err(|error| unknown(format!("{error}")))?;
        return Windows::for_period(period)
            .ok_or_else(|| unknown("30d and 28d are; for others name a file with --windows".to_owned()));
    };
    Windows::parse(&read(path)?).map_err(|problems| {
        let file = path.display().to_string();
        let problems: Vec<FileProblem> =
            problems.into_iter().map(|problem| FileProblem { file: file.clone(), problem }).collect();
        show(&problems, context);
        ExpectedError::Scenario { files: 1, found: problems.len() }
    })
}

fn show(problems: &[FileProblem], context: &Context) {
    for one in problems {
        context.err.line(format_args!("{one}"));
    }
}

fn read(path: &Path) -> Result<String, ExpectedError> {
    fs::read_to_string(path).map_err(|source| ExpectedError::File {
        verb: "read",
        path: path.to_owned(),
        source,
    })
}

fn write(outputs: &[(Option<PathBuf>, Made)], context: &Context) -> Result<u8, ExpectedError> {
    for (target, made) in outputs {
        let Some(path) = target else {
            context.out.line(made.yaml.trim_end());
            continue;
        };
        let failed = |source| ExpectedError::File { verb: "write", path: path.clone(), source };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        // Prometheus may read the directory at any time.
        let partial = path.with_extension("yml.partial");
        fs::write(&partial, &made.yaml).and_then(|()| fs::rename(&partial, path)).map_err(failed)?;
        context.out.line(format_args!("wrote {}: {}", path.display(), made.slos.join(", ")));
    }
    Ok(exit_code::PASSED)
}

fn check(
    outputs: &[(Option<PathBuf>, Made)],
    args: &SloRulesArgs,
    context: &Context,
) -> Result<u8, ExpectedError> {
    let mut stale = 0;
    for (target, made) in outputs {
        // The command line demands --out with --check.
        let Some(path) = target else { continue };
        let found = match fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(ExpectedError::File { verb: "read", path: path.clone(), source }),
        };
        let state = match found {
            Some(text) if text == made.yaml => {
                let ok = context.out.paint(Style::Good, "ok");
                context.out.line(format_args!("{ok} {}: {}", path.display(), made.slos.join(", ")));
                continue;
            }
            Some(_) => "is stale",
            None => "is missing",
        };
        stale += 1;
        context.err.line(format_args!(
            "{}: {} {state}",
            context.err.paint(Style::Bad, "error"),
            path.display()
        ));
    }
    if stale == 0 {
        return Ok(exit_code::PASSED);
    }
    context.err.line(format_args!("run: {}", command(args)));
    Ok(exit_code::FAILED)
}

/// The command that writes what `--check` looks for.
fn command(args: &SloRulesArgs) -> String {
    let mut words = vec!["harness slo rules".to_owned()];
    if let Some(path) = &args.windows {
        words.push(format!("--windows {}", path.display()));
    } else if args.period != "30d" {
        words.push(format!("--period {}", args.period));
    }
    if args.allow_unreachable {
        words.push("--allow-unreachable".to_owned());
    }
    words.extend(args.out.iter().map(|out| format!("--out {}", out.display())));
    words.extend(args.specs.iter().map(|path| path.display().to_string()));
    words.join(" ")
}
