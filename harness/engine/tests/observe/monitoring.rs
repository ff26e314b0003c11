//! Alerts and rules, with and without a Prometheus.

use harness_engine::monitor::ALERT_WATCH;
use harness_event::{EventKind, Millis, RunMode};

use super::{
    Fixture, namespace,
    support::{Stack, StackConfig},
};

const RULES: &str = "
groups:
- name: demo
  rules:
  - { alert: Watchdog, expr: vector(7), for: 0s, labels: { severity: none }, annotations: { summary: \"it is {{ $value }}\" } }
  - { alert: Never, expr: vector(1) > 2, for: 5m }
";

#[tokio::test]
async fn rules_and_alerts_are_read_from_prometheus() {
    let stack = Stack::start(StackConfig { rules: RULES, ..StackConfig::default() }).await;
    let fixture = Fixture::new();
    let watch = fixture.watch(namespace("default"), Some(stack.addresses().prometheus));
    let rules = |kind: &EventKind| match kind {
        EventKind::AlertRulesRead { rules } => Some(rules.clone()),
        _ => None,
    };
    let rules = fixture.fact("the rules", rules).await;
    assert_eq!(rules.iter().map(|rule| rule.alert.as_str()).collect::<Vec<_>>(), ["Watchdog", "Never"]);
    assert_eq!((rules[0].expression.as_str(), rules[0].group.as_str()), ("vector(7)", "demo"));
    assert_eq!(rules[0].labels["severity"], "none");
    assert_eq!(rules[0].annotations["summary"], "it is {{ $value }}");
    assert_eq!((rules[1].pending_for, rules[1].keep_firing_for), (Millis(300_000), Millis(0)));
    let alert = |kind: &EventKind| match kind {
        EventKind::AlertSeen { labels, state, active_at, value } if state == "firing" => {
            Some((labels.clone(), *active_at, value.clone()))
        }
        _ => None,
    };
    let (labels, active_at, value) = fixture.fact("the alert", alert).await;
    assert_eq!(labels["alertname"], "Watchdog");
    assert!(active_at.is_some());
    assert_eq!(value.as_deref(), Some("7e+00"));
    fixture.end(watch).await;
    assert_eq!(
        fixture.count(|kind| matches!(kind, EventKind::AlertRulesRead { .. })),
        1,
        "rules that do not change"
    );
    assert!(matches!(&fixture.kinds()[0], EventKind::RunStarted { mode: RunMode::Watch, .. }));
}

#[tokio::test]
async fn without_prometheus_that_is_said_and_the_rest_goes_on() {
    for (address, why) in [(None, "no Prometheus was named"), (Some("http://127.0.0.1:9/"), "")] {
        let fixture = Fixture::new();
        let watch = fixture.watch(namespace("default"), address.map(str::to_owned));
        let lost = |kind: &EventKind| match kind {
            EventKind::ObserverFailed { observer, error } if observer == ALERT_WATCH => Some(error.clone()),
            _ => None,
        };
        let error = fixture.fact("what is missing", lost).await;
        assert!(error.contains(why), "{error}");
        fixture.create::<k8s_openapi::api::core::v1::Pod>("default", k8s_openapi::serde_json::json!({
            "metadata": { "name": "web" }, "spec": { "containers": [{ "name": "web", "image": "pause" }] },
        })).await;
        fixture.fact("the pod", |kind| matches!(kind, EventKind::PodObserved(_)).then_some(())).await;
        fixture.end(watch).await;
    }
}
