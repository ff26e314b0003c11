//! What is said when the monitoring system does not get ready.

use std::time::Duration;

use harness_engine::monitor::{NotReady, ReadinessOptions, canary_labels, prove_ready};

use harness_event::Millis;

use crate::support::{Stack, StackConfig, free_address};

async fn ready(stack: &Stack, seconds: u64, strict: bool) -> Result<Vec<String>, NotReady> {
    let mut proven = Vec::new();
    let options = ReadinessOptions { deadline: Duration::from_secs(seconds), strict };
    prove_ready(&stack.prometheus, &stack.alertmanager, &stack.receiver, "run-1", options, &mut |what| {
        proven.push(what)
    })
    .await?;
    Ok(proven)
}

#[tokio::test]
async fn a_broken_webhook_url_and_a_dead_target_are_named() {
    let dead = free_address();
    let stack = Stack::start(StackConfig {
        rules: "groups: [{ name: demo, rules: [{ record: a, expr: vector(1) }] }]",
        alertmanager: &StackConfig::ROUTE_ALL.replace("RECEIVER", &format!("http://{}", free_address())),
        jobs: &format!(
            "- {{ job_name: gone, static_configs: [{{ targets: [\"{dead}\"] }}] }}\n- {{ job_name: empty }}"
        ),
        ..StackConfig::default()
    })
    .await;
    let error = ready(&stack, 60, false).await.unwrap_err();
    assert!(error.waited < Millis::from_secs(30), "hopeless before the deadline: {error}");
    assert_eq!(error.component, "delivery of notifications");
    for part in [
        "the canary alert was posted, but has not arrived",
        "receiver \"team.a\" (webhook http://127.",
        "failed requests to webhooks: the URL is wrong",
    ] {
        assert!(error.reason.contains(part), "{part}: {error}");
    }
    // The targets were scraped long ago: now only that one of them is down matters.
    let error = ready(&stack, 2, true).await.unwrap_err();
    assert_eq!(error.component, "Prometheus' targets");
    assert!(error.reason.starts_with(&format!("down: gone/{dead} (")), "{error}");
    assert!(error.reason.contains("connection refused"), "{error}");
}

#[tokio::test]
async fn an_alertmanager_that_prometheus_does_not_reach_is_named() {
    let mut stack =
        Stack::start(StackConfig { alerts_to: Some(free_address()), ..StackConfig::default() }).await;
    let error = ready(&stack, 12, true).await.unwrap_err();
    assert_eq!(error.component, "Prometheus' connection to Alertmanager");
    assert!(
        error.reason.contains("Watchdog fires in Prometheus, but Alertmanager does not know it"),
        "{error}"
    );
    let canary = stack.alertmanager.alerts().await.unwrap();
    assert!(canary.iter().all(|alert| alert.labels != canary_labels("run-1")), "resolved: {canary:?}");

    stack.kill_prometheus();
    let error = ready(&stack, 1, true).await.unwrap_err();
    assert_eq!(error.component, "Prometheus' targets");
    assert!(error.reason.contains("did not answer /-/ready"), "{error}");
}

#[tokio::test]
async fn a_rule_that_fails_is_named() {
    let stack = Stack::start(StackConfig {
        // Two results with the same labels: Prometheus refuses the whole rule.
        rules: r#"groups: [{ name: demo, rules: [{ alert: Twice, expr: 'label_replace(prometheus_demo, "code", "x", "", "")' }] }]"#,
        ..StackConfig::default()
    })
    .await;
    stack.metrics.set("prometheus_demo{code=\"a\"}", 1.0);
    stack.metrics.set("prometheus_demo{code=\"b\"}", 1.0);
    let error = ready(&stack, 10, true).await.unwrap_err();
    assert_eq!(error.component, "Prometheus' rules");
    assert!(error.reason.starts_with("rules that fail: demo/Twice: err: "), "{error}");
    let proven = ready(&stack, 5, false).await.unwrap();
    assert!(proven.iter().any(|what| what.contains("1 failing: demo/Twice")), "{proven:#?}");
}
