//! The way from text to scenario.

use std::fmt::Write as _;

use harness_event::Plan;
use sha2::{Digest, Sha256};

use crate::{
    check,
    diagnostic::{Diagnostic, Diagnostics, SourceText},
    problems::{Issue, Problems},
    read, syntax,
};

/// A scenario that can be run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What to do and to prove.
    pub plan: Plan,
    /// SHA-256 of the text, hexadecimal: which version of the file a run used.
    pub sha256: String,
    /// What is probably not as meant.
    pub warnings: Vec<Diagnostic>,
}

/// Reads and checks the text of a scenario file. `file_name` appears in messages only.
///
/// # Errors
/// Every problem of the file at once, warnings included.
pub fn parse(file_name: &str, text: &str) -> Result<Scenario, Diagnostics> {
    let mut problems = Problems::new(SourceText::new(file_name, text));
    let plan = syntax::document(text, &mut problems)
        .map(|document| read::scenario(document.get_ref(), &mut problems))
        .and_then(|draft| check::plan(draft, &mut problems));
    match plan {
        Some(plan) if !problems.any_error() => {
            let warnings = problems.into_diagnostics().iter().cloned().collect();
            Ok(Scenario { plan, sha256: hexadecimal(&Sha256::digest(text.as_bytes())), warnings })
        }
        _ => {
            if !problems.any_error() {
                // Each step reports why it gives up; should one forget to, the file is still not accepted.
                problems.incomplete(&(0..0), Issue::new("the scenario could not be read"));
            }
            Err(problems.into_diagnostics())
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
