//! What is expected of SLOs, compared with what Prometheus has.

use harness_event::{EventKind, Expectation, ExpectationKind, Millis, Plan, SloExpectation, SloGoal};

use super::definition::{Slo, find_slos};
use crate::monitor::{Error, Prometheus, nearest};

/// The SLOs of a plan.
#[derive(Debug, Default)]
pub struct SloCheck {
    /// Those that can be watched.
    pub slos: Vec<Slo>,
    /// Each definition, and each SLO that is only watched and cannot be.
    pub facts: Vec<EventKind>,
    /// Why the run would be pointless: what is wrong, and what there is instead.
    pub problems: Vec<String>,
}

/// Looks for every SLO that a plan watches. One of which something is expected must be there, with the windows that are named.
///
/// # Errors
/// If Prometheus gives no usable answer.
pub async fn check_slos(plan: &Plan, prometheus: &Prometheus) -> Result<SloCheck, Error> {
    let mut check = SloCheck::default();
    for (id, found) in find_slos(prometheus, &plan.slos).await? {
        match found {
            Ok(slo) => {
                check.problems.extend(
                    expected(plan, &id).filter_map(|(expectation, one)| wrong_window(expectation, one, &slo)),
                );
                check.facts.push(EventKind::SloDefined(slo.definition.clone()));
                check.slos.push(slo);
            }
            Err(error) if expected(plan, &id).next().is_some() => {
                let hint = match &error {
                    super::SloError::Unknown { others } => {
                        let others: Vec<&str> = others.iter().map(String::as_str).collect();
                        nearest(&id, &others)
                            .map(|near| format!(". Did you mean {near:?}?"))
                            .unwrap_or_default()
                    }
                    super::SloError::Unusable(_) => String::new(),
                };
                check.problems.push(format!("SLO {id:?}: {error}{hint}"));
            }
            Err(error) => check.facts.push(EventKind::SloMissing { slo: id, error: error.to_string() }),
        }
    }
    Ok(check)
}

fn expected<'p>(plan: &'p Plan, id: &'p str) -> impl Iterator<Item = (&'p Expectation, &'p SloExpectation)> {
    plan.expectations.iter().filter_map(move |expectation| match &expectation.kind {
        ExpectationKind::Slo(one) if one.slo == id => Some((expectation, one)),
        _ => None,
    })
}

fn wrong_window(expectation: &Expectation, expected: &SloExpectation, slo: &Slo) -> Option<String> {
    let SloGoal::BurnStaysBelow { window, .. } = expected.goal else { return None };
    let windows = &slo.definition.windows;
    if windows.iter().any(|one| one.window == window) {
        return None;
    }
    let known: Vec<&str> =
        windows.iter().filter_map(|one| one.record.strip_prefix(super::definition::ERROR_RATIO)).collect();
    Some(format!(
        "{}: SLO {:?} has no window of {}. It has: {}",
        expectation.id,
        expected.slo,
        in_words(window),
        known.join(", ")
    ))
}

fn in_words(window: Millis) -> String {
    harness_slo::PromDuration::from_millis(window.0.unsigned_abs()).to_string()
}
