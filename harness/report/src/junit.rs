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
        Some(EventKind::RunStarted { scenario, plan, run, .. }) => {
            (named(scenario, run), named(&plan.title, run))
        }
        _ => ("unknown", "unknown"),
    };
    let (scenario, title) = (clean(scenario), clean(title));
    let duration = Timing::of(events).duration.to_duration();
    let mut suite = TestSuite::new(title.as_str());
    suite.set_time(duration);
    suite.add_property(("scenario", scenario.as_str()));
    suite.add_property(("outcome", verdict.outcome.to_string().as_str()));
    for caveat in &verdict.caveats {
        suite.add_property(("caveat", clean(caveat).as_str()));
    }
    let mut run = whole_run(&scenario, verdict);
    run.set_time(duration);
    suite.add_test_case(run);
    for check in &verdict.checks {
        suite.add_test_case(case(&scenario, check));
    }
    let mut report = Report::new("sre-harness");
    report.add_test_suite(suite);
    // The common schema knows this number of suites, not of the whole file.
    let skipped = format!(" skipped=\"{}\"", report.skipped);
    report.to_string().map(|xml| xml.replacen(&skipped, "", 1))
}

/// A game day has no scenario: its run stands for it.
fn named<'a>(text: &'a str, run: &'a str) -> &'a str {
    if text.is_empty() { run } else { text }
}

/// The run itself: catches what is no check's fault, such as a refused scenario or a fault that could not be undone.
fn whole_run(scenario: &str, verdict: &Verdict) -> TestCase {
    let status = match verdict.outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Ended => {
            let mut status = TestCaseStatus::skipped();
            status.set_type("game day").set_message("a game day: nothing was to be proved");
            status
        }
        Outcome::Failed => non_success(NonSuccessKind::Failure, "failed", &reasons(verdict)),
        outcome => non_success(NonSuccessKind::Error, &outcome.to_string(), &reasons(verdict)),
    };
    let mut case = TestCase::new("run", status);
    case.set_classname(scenario);
    if !verdict.caveats.is_empty() {
        case.set_system_out(clean(&verdict.caveats.join("\n")));
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
    let mut case = TestCase::new(clean(&check.id), status);
    case.set_classname(scenario);
    case.set_time(check.measured.map_or(Duration::ZERO, |measured| measured.to_duration()));
    let deadline = check.deadline.map(|deadline| format!("\ndeadline: {deadline}")).unwrap_or_default();
    case.set_system_out(clean(&format!(
        "{}\n{}{deadline}\nline {} of the scenario",
        check.title, check.reason, check.line
    )));
    case
}

fn non_success(kind: NonSuccessKind, type_: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(type_).set_message(clean(message));
    status
}

/// Without characters that XML 1.0 has no way to write (<https://www.w3.org/TR/xml/#charsets>): one of them and no CI system reads
/// the file.
fn clean(text: &str) -> String {
    let allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars().filter(allowed).collect()
}
