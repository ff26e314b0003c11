//! From specification files to the text of a rule file.

use std::{collections::BTreeMap, fmt};

use super::{generate, to_yaml, unreachable};
use crate::{
    spec::{Problem, Severity, Slo, SpecFile},
    windows::Windows,
};

/// The label `sloth_version` of `sloth_slo_info`: who made the rules. Without a version number, with which every release would
/// make every generated file stale.
const VERSION: &str = "sre-harness";

/// A specification file.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its name, for messages.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
}

/// How rules are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The windows of the alerts.
    pub windows: Windows,
    /// Only warn of pairs of windows that can never fire, instead of refusing them.
    pub allow_unreachable: bool,
}

impl Default for Options {
    /// A period of 30 days.
    fn default() -> Self {
        Self { windows: Windows::month(), allow_unreachable: false }
    }
}

/// A problem with its file. Displayed as `portal.yml:12:3: error: …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileProblem {
    /// The file's name, as given.
    pub file: String,
    /// What is wrong.
    pub problem: Problem,
}

impl fmt::Display for FileProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.file, self.problem)
    }
}

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its text.
    pub yaml: String,
    /// `sloth_id` of every SLO in it.
    pub slos: Vec<String>,
    /// What should be looked at.
    pub warnings: Vec<FileProblem>,
}

/// Makes one rule file of one or more specifications. `header` becomes a comment at its top.
///
/// # Errors
///
/// Every problem of every file, warnings too.
pub fn make(sources: &[Source<'_>], header: &str, options: &Options) -> Result<Made, Vec<FileProblem>> {
    let mut problems = Vec::new();
    let mut slos: Vec<(&str, Slo)> = Vec::new();
    for source in sources {
        let found = match SpecFile::parse(source.text) {
            Ok(file) => {
                slos.extend(
                    file.services.into_iter().flat_map(|service| service.slos).map(|slo| (source.name, slo)),
                );
                file.warnings
            }
            Err(found) => found,
        };
        problems
            .extend(found.into_iter().map(|problem| FileProblem { file: source.name.to_owned(), problem }));
    }
    let mut ids = BTreeMap::new();
    for (file, slo) in &slos {
        if let Some(first) = ids.insert(&slo.id, file) {
            let message = format!("the SLO {:?} is here twice: first in {first}", slo.id);
            problems.push(problem(file, (slo.line, 1), Severity::Error, message, None));
        }
        problems.extend(unreachable(slo, &options.windows).into_iter().map(|found| {
            let severity = if options.allow_unreachable { Severity::Warning } else { Severity::Error };
            let hint = format!(
                "disable the {} alert, or give its windows a smaller errorBudgetPercent or a longer long window",
                found.severity
            );
            problem(file, found.at, severity, found.to_string(), Some(hint))
        }));
    }
    if problems.iter().any(|one| one.problem.severity == Severity::Error) {
        return Err(problems);
    }
    let groups: Vec<_> = slos.iter().flat_map(|(_, slo)| generate(slo, &options.windows, VERSION)).collect();
    let slos = slos.iter().map(|(_, slo)| slo.id.clone()).collect();
    Ok(Made { yaml: to_yaml(header, &groups), slos, warnings: problems })
}

fn problem(
    file: &str,
    (line, column): (u32, u32),
    severity: Severity,
    message: String,
    hint: Option<String>,
) -> FileProblem {
    FileProblem { file: file.to_owned(), problem: Problem { line, column, severity, message, hint } }
}
