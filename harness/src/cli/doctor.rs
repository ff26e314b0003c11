//! `harness doctor`.

use std::{collections::BTreeMap, path::PathBuf};

use cluster::kubelet::catalog::ProgramStatus;
use serde::Serialize;

use super::{Context, args::DoctorArgs};
use crate::{
    exit_code,
    expected_error::ExpectedError,
    output::{Output, Style},
    stack::{self, Progress},
};

/// What `--json` shows. Documented in `docs/cli.md`.
#[derive(Debug, Serialize)]
struct Report {
    harness: &'static str,
    /// Nothing that is needed is missing.
    ok: bool,
    /// Number of programs that are needed and missing.
    missing: usize,
    programs: Vec<Program>,
    /// The demo system's binaries; one without a path is built when it is needed.
    services: BTreeMap<&'static str, Option<PathBuf>>,
}

#[derive(Debug, Serialize)]
struct Program {
    program: String,
    purpose: String,
    /// Where it is; null if it is missing.
    path: Option<PathBuf>,
    version: Option<String>,
    /// What to install.
    install: String,
    /// Nothing is amiss without it.
    optional: bool,
}

impl From<ProgramStatus> for Program {
    fn from(one: ProgramStatus) -> Self {
        let ProgramStatus { program, purpose, path, version, install, optional } = one;
        Self { program, purpose, path, version, install, optional }
    }
}

pub(super) async fn exec(args: &DoctorArgs, context: &Context) -> Result<u8, ExpectedError> {
    let progress = context.progress();
    progress.now("asking programs for their versions");
    let survey = progress.alive(tokio::task::spawn_blocking(stack::survey)).await;
    drop(progress);
    let programs = survey.map_err(|source| ExpectedError::Internal {
        what: "the programs could not be looked for".to_owned(),
        source: source.into(),
    })?;
    let missing = programs.iter().filter(|one| one.path.is_none() && !one.optional).count();
    let report = Report {
        harness: env!("CARGO_PKG_VERSION"),
        ok: missing == 0,
        missing,
        programs: programs.into_iter().map(Program::from).collect(),
        services: stack::service_binaries().into_iter().collect(),
    };
    match args.json {
        true => context.out.json(&report)?,
        false => show(&report, &context.out),
    }
    Ok(if report.ok { exit_code::PASSED } else { exit_code::UNREACHABLE })
}

fn show(report: &Report, out: &Output) {
    out.line(format_args!("harness {}", report.harness));
    out.line("");
    let width = report.programs.iter().map(|one| one.program.len()).max().unwrap_or(0);
    for one in &report.programs {
        let name = format!("{:<width$}", one.program);
        out.line(match &one.path {
            Some(path) => format!(
                "{} {name}  {:<10} {}",
                out.paint(Style::Good, "ok     "),
                one.version.as_deref().unwrap_or("?"),
                path.display()
            ),
            None => {
                let (style, state) =
                    if one.optional { (Style::Dim, "absent ") } else { (Style::Bad, "missing") };
                format!("{} {name}  {} ({})", out.paint(style, state), one.purpose, one.install)
            }
        });
    }
    out.line("");
    for (name, found) in &report.services {
        out.line(match found {
            Some(path) => format!("{} {name:<width$}  {}", out.paint(Style::Good, "ok     "), path.display()),
            None => format!("{} {name:<width$}  built when it is needed", out.paint(Style::Dim, "later  ")),
        });
    }
    out.line("");
    match report.missing {
        0 => out.line("The embedded stack can run here."),
        missing => out.line(format_args!(
            "{missing} missing: `make tools` unpacks them into a cache directory (nothing is installed or started)."
        )),
    }
}
