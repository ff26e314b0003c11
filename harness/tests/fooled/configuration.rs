//! Scenarios that cannot be met by what is configured: refused before anything is touched.

use crate::{scenarios::auth_lost, support::Stack};

/// Refused with exit code 2 and that reason; the world is as it was.
#[track_caller]
fn refused(stack: &Stack, expect: &str, reasons: &[&str]) {
    let before = stack.world();
    let run = stack.run(&auth_lost("15s", expect));
    run.ended(stack, 2).touched_nothing();
    for reason in reasons {
        run.because(reason);
    }
    assert!(run.ran.out.contains("REFUSED"), "{run}");
    assert_eq!(stack.world(), before);
    assert!(stack.ledger().is_none());
}

#[test]
fn what_the_configuration_cannot_keep_is_refused() {
    let stack = Stack::up_with(&[
        ("alerts/rules/api.yml", "- alert: APIServiceDown", "- alert: APIServiceDownRenamed"),
        ("alerts/rules/postgres.yml", "for: 5s", "for: 5m"),
    ]);
    // The rule is not there.
    refused(
        &stack,
        r#"alert = "APIServiceDown"
           firing_within = "11s""#,
        &["alert APIServiceDown: Prometheus has no rule of that name", "Did you mean APIServiceDownRenamed?"],
    );
    // Its `for` is longer than the deadline.
    refused(
        &stack,
        r#"alert = "PostgresDown"
           firing_within = "11s""#,
        &["alert/PostgresDown/firing within 11s: can never be met, because the rule waits 5m00s (its `for`)"],
    );
    // A label that the rule sets to something else.
    refused(
        &stack,
        r#"alert = "PostgresExporterHighScrapeLatency"
           labels = { severity = "critical" }
           firing_within = "11s""#,
        &["alert PostgresExporterHighScrapeLatency: ", "severity=\"warning\""],
    );
    // A deadline that a healthy pipeline misses if the phases are unlucky.
    refused(
        &stack,
        r#"alert = "PostgresExporterHighScrapeLatency"
           firing_within = "6s""#,
        &["alert/PostgresExporterHighScrapeLatency/firing within 6s: below what this configuration can keep"],
    );
    // A receiver that Alertmanager does not know.
    refused(
        &stack,
        r#"alert = "PostgresExporterHighScrapeLatency"
           delivered_within = "14s"
           receiver = "harnes""#,
        &["Alertmanager has no receiver \"harnes\". Did you mean \"harness\"?"],
    );
    // All problems of one scenario at once, not one after the other.
    refused(
        &stack,
        r#"alert = "Nothing"
           firing_within = "11s"
           [[expect.alert]]
           alert = "PostgresDown"
           firing_within = "11s""#,
        &["alert Nothing: Prometheus has no rule", "alert/PostgresDown/firing within 11s: can never be met"],
    );
}

#[test]
fn a_scenario_without_expectations_is_refused_before_a_stack_is_started() {
    let stack = Stack::down();
    let scenario = crate::scenarios::portal_lost("1s");
    let without = scenario.split("recovery_within").next().unwrap();
    let run = stack.run(without);
    assert_eq!(run.ran.code, Some(2), "{run}");
    assert!(
        run.ran.err.contains("there are no expectations: a run in which nothing is checked proves nothing"),
        "{run}"
    );
    assert!(run.ran.err.contains("scenario.toml:13:"), "{run}");
    assert_eq!(run.dir, None);
    assert!(!stack.state().exists(), "nothing was recorded or started");
}
