//! `junit.xml`: one test case per expectation, and one for the run as a whole.

use std::time::Duration;

use harness_event::{Check, CheckOutcome, Event, EventKind, Outcome, Verdict};
use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::result::Timing;

/// Folds a log into JUnit XML. A failed check is a `failure`, an inconclusive one an `error`: neither is a pass.
///
/// # Errors
/// If the XML cannot be written.
pub fn junit(events: &[Event], verdict: &Verdict) -> Result<String, SerializeError> {
    let (scenario, title) = match events.first().map(|event| &event.kind) {
        Some(EventKind::RunStarted { scenario, plan, .. }) => (scenario.as_str(), plan.title.as_str()),
        _ => ("unknown", "unknown"),
    };
    let mut suite = TestSuite::new(title);
    suite.set_time(Timing::of(events).duration.to_duration());
    suite.add_property(("scenario", scenario));
    suite.add_property(("outcome", verdict.outcome.to_string().as_str()));
    for caveat in &verdict.caveats {
        suite.add_property(("caveat", caveat.as_str()));
    }
    suite.add_test_case(whole_run(scenario, verdict));
    for check in &verdict.checks {
        suite.add_test_case(case(scenario, check));
    }
    let mut report = Report::new("sre-harness");
    report.add_test_suite(suite);
    report.to_string()
}

/// The run itself: catches what is no check's fault, such as a refused scenario or a fault that could not be undone.
fn whole_run(scenario: &str, verdict: &Verdict) -> TestCase {
    let status = match verdict.outcome {
        Outcome::Passed | Outcome::Ended => TestCaseStatus::success(),
        Outcome::Failed => non_success(NonSuccessKind::Failure, "failed", &reasons(verdict)),
        outcome => non_success(NonSuccessKind::Error, &outcome.to_string(), &reasons(verdict)),
    };
    let mut case = TestCase::new("run", status);
    case.set_classname(scenario);
    if !verdict.caveats.is_empty() {
        case.set_system_out(verdict.caveats.join("\n"));
    }
    case
}

fn reasons(verdict: &Verdict) -> String {
    if !verdict.reasons.is_empty() {
        return verdict.reasons.join("; ");
    }
    let bad = verdict.checks.iter().filter(|check| check.outcome != CheckOutcome::Passed);
    bad.map(|check| format!("{}: {}", check.id, check.reason)).collect::<Vec<_>>().join("; ")
}

fn case(scenario: &str, check: &Check) -> TestCase {
    let status = match check.outcome {
        CheckOutcome::Passed => TestCaseStatus::success(),
        CheckOutcome::Failed => non_success(NonSuccessKind::Failure, "failed", &check.reason),
        CheckOutcome::Inconclusive => non_success(NonSuccessKind::Error, "inconclusive", &check.reason),
    };
    let mut case = TestCase::new(check.id.as_str(), status);
    case.set_classname(scenario);
    case.set_time(check.measured.map_or(Duration::ZERO, |measured| measured.to_duration()));
    let deadline = check.deadline.map(|deadline| format!("\ndeadline: {deadline}")).unwrap_or_default();
    case.set_system_out(format!(
        "{}\n{}{deadline}\nline {} of the scenario",
        check.title, check.reason, check.line
    ));
    case
}

fn non_success(kind: NonSuccessKind, type_: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(type_).set_message(message);
    status
}
