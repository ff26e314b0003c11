//! A monitoring system that is broken, or breaks while it is relied on.

use harness_event::{EventKind, Millis, Timestamp};
use rustix::process::{Signal, kill_process};

use crate::{
    scenarios::{auth_lost, faulted, portal_lost},
    support::{Edit, Stack},
};

/// Rules that fire after a second, so that a fault of a few seconds is enough.
const QUICK: [Edit<'static>; 2] = [
    ("alerts/rules/api.yml", "for: 5s", "for: 1s"),
    (
        "alerts/rules/postgres.yml",
        "max by (service) (scrape_duration_seconds{job=\"postgres-exporter\"}) > 0.5\n        for: 5s",
        "max by (service) (scrape_duration_seconds{job=\"postgres-exporter\"}) > 0.5\n        for: 1s",
    ),
];

const FIRING: &str = r#"
alert = "APIServiceDown"
firing_within = "6s"
"#;
const DELIVERED: &str = r#"
alert = "APIServiceDown"
firing_within = "6s"
delivered_within = "7s"
receiver = "harness"
"#;

#[test]
#[ignore = "long: part of make test-long"]
fn a_receiver_that_is_not_reached_is_found_before_the_fault() {
    let stack = Stack::up_with(&[(
        "alerts/alertmanager.yml",
        "http://alert-receiver.monitoring.svc:18099/webhook",
        "http://alert-receiver.monitoring.svc:18099/wrong",
    )]);
    let run = stack.run(&portal_lost("1s"));
    run.ended(&stack, 4).touched_nothing();
    run.because("delivery of notifications")
        .because("the canary alert was posted, but has not arrived at the receiver");
    run.because("receiver \"harness\" (webhook ").because("failed requests to webhooks");
    // And without Prometheus there is nothing to ask.
    stack.scale("monitoring", "prometheus", 0);
    let run = stack.run(&portal_lost("1s"));
    run.ended(&stack, 4).touched_nothing().because("Prometheus: ");
    assert!(stack.ledger().is_none());
}

#[test]
fn a_disturbance_in_the_middle_makes_the_run_inconclusive() {
    let stack = Stack::up_with(&QUICK);
    let before = stack.world();

    // Undisturbed, it passes: what follows fails for its own reason.
    let run = stack.run(&auth_lost("7s", DELIVERED));
    run.ended(&stack, 0);

    let mut running = stack.start(&auth_lost("7s", DELIVERED));
    running.until_effect();
    kill_process(stack.process("prometheus-alertmanager"), Signal::KILL).unwrap();
    let run = running.finish();
    run.ended(&stack, 3).because("Alertmanager restarted during the run");
    assert_eq!(stack.world(), before);

    // The alert that was expected fired with other labels, which nobody can know beforehand.
    let fault = "name = \"database-lost\"\nduration = \"8s\"\nscale = { workload = \"deployment/postgres\", replicas = 0 }";
    let expect = "alert = \"PostgresExporterHighScrapeLatency\"\nlabels = { service = \"exporter\" }\nfiring_within = \"7s\"";
    let run = stack.run(&faulted(fault, expect));
    run.ended(&stack, 1).because("service=\"postgres-exporter\" (expected service=\"exporter\")");
    assert_eq!(stack.world(), before);

    let mut running = stack.start(&auth_lost("7s", FIRING));
    running.until_effect();
    kill_process(stack.process("prometheus"), Signal::KILL).unwrap();
    let run = running.finish();
    run.ended(&stack, 3).because("Prometheus restarted during the run");
    assert_eq!(stack.world(), before);
    assert!(stack.ledger().is_none());
}

#[test]
#[ignore = "long: part of make test-long"]
fn an_alert_that_fires_before_the_fault_proves_nothing() {
    let stack = Stack::up_with(&QUICK);
    stack.wait_for_alert("APIServiceDown", None);
    stack.scale("gallery", "auth", 0);
    stack.wait_for_alert("APIServiceDown", Some("firing"));
    let before = stack.world();
    let fault =
        "name = \"fault\"\nduration = \"6s\"\nscale = { workload = \"deployment/portal\", replicas = 0 }";
    let run = stack.run(&faulted(fault, FIRING));
    run.ended(&stack, 3).touched_nothing();
    run.because("no fault was injected: expected alert APIServiceDown is already firing");
    assert!(run.events.iter().any(|event| matches!(event.kind, EventKind::InjectionSkipped { .. })));
    assert_eq!(stack.world(), before);
    assert!(stack.ledger().is_none());

    // It has resolved a moment ago: a flapping alert would be back by itself, so the fault waits until it is known to be quiet.
    stack.scale("gallery", "auth", 2);
    stack.wait_for_alert("APIServiceDown", None);
    let quiet_since = Timestamp::now();
    let run = stack.run(&auth_lost("6s", FIRING));
    run.ended(&stack, 0);
    let applied = run.events.iter().find_map(|event| match event.kind {
        EventKind::FaultApplied { sent_at, .. } => Some(sent_at),
        _ => None,
    });
    // Scrape interval, scrape, evaluation and `for` are a second each; the alert may have resolved that long before it was seen.
    assert!(applied.unwrap() - quiet_since >= Millis::from_secs(3), "{run}");
}
