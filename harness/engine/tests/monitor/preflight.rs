//! What is found before a run, on the configuration that real servers have loaded.

use std::time::Duration;

use harness_engine::monitor::{Loaded, bounds, preflight};
use harness_event::{
    AlertExpectation, AlertState, Expectation, ExpectationKind, LabelMatcher, MatchOp, Millis, Monitoring,
    Plan,
};

use crate::support::{Stack, StackConfig, eventually};

const RULES: &str = r#"
groups:
- name: recorded
  interval: 2s
  rules:
  - { record: "job:errors:rate1m", expr: "sum by (job) (rate(errors_total[1m]))" }
- name: demo
  rules:
  - { alert: DemoDown, expr: "up{job=\"demo\"} == 0", for: 500ms, labels: { severity: page, team: "{{ $labels.team }}" } }
  - { alert: SlowDown, expr: "sum(up{job=\"slow\"}) == 0", for: 1m, keep_firing_for: 3s, labels: { severity: info } }
  - { alert: Errors, expr: "job:errors:rate1m > 1", labels: { severity: page } }
  - { alert: Fails, expr: "label_replace(demo, \"code\", \"x\", \"\", \"\")" }
  - { alert: Twice, expr: "demo > 1", labels: { severity: page } }
  - { alert: Twice, expr: "demo > 2", labels: { severity: info } }
"#;

const ALERTMANAGER: &str = r#"
route:
  receiver: default
  group_wait: 1s
  group_interval: 5s
  routes:
    - { receiver: pager, matchers: [severity="page"], group_wait: 300ms }
    - { receiver: nightly, matchers: [severity="info"], mute_time_intervals: [night] }
receivers: [{ name: default }, { name: pager, webhook_configs: [{ url: "RECEIVER/webhook" }] }, { name: nightly }]
inhibit_rules: [{ source_matchers: [alertname="SlowDown"], target_matchers: [severity="page"], equal: [job] }]
mute_time_intervals: [{ name: night, time_intervals: [{ times: [{ start_time: "00:00", end_time: "00:01" }] }] }]
"#;

pub fn expect(alert: &str, labels: &[(&str, &str)], state: AlertState, within: i64) -> Expectation {
    Expectation {
        id: format!("alert/{alert}/{state}"),
        title: String::new(),
        line: 1,
        fault: "f".into(),
        kind: ExpectationKind::Alert(AlertExpectation {
            alert: alert.into(),
            labels: labels.iter().map(|(name, value)| LabelMatcher::equal(*name, *value)).collect(),
            state,
            within: Millis(within),
            receiver: None,
        }),
    }
}

pub fn delivered(alert: &str, receiver: &str, within: i64) -> Expectation {
    let mut expectation = expect(alert, &[], AlertState::Delivered, within);
    if let ExpectationKind::Alert(alert) = &mut expectation.kind {
        alert.receiver = Some(receiver.into());
    }
    expectation
}

pub fn plan(expectations: Vec<Expectation>) -> Plan {
    Plan {
        title: String::new(),
        description: String::new(),
        namespace: "demo".into(),
        monitoring: Monitoring {
            prometheus: String::new(),
            alertmanager: String::new(),
            receiver: String::new(),
        },
        baseline: Millis(0),
        steady_state: vec![],
        probes: vec![],
        loads: vec![],
        slos: vec![],
        compress: None,
        history: None,
        faults: vec![],
        expectations,
        allowed_alerts: vec![],
    }
}

#[tokio::test]
async fn problems_are_found_before_a_run() {
    use AlertState::{Delivered, Firing, Pending, Resolved};
    let stack = Stack::start(StackConfig {
        rules: RULES,
        alertmanager: ALERTMANAGER,
        jobs: "- { job_name: slow, scrape_interval: 4s, scrape_timeout: 3s, static_configs: [{ targets: [\"127.0.0.1:9\"] }] }\n",
        ..StackConfig::default()
    })
    .await;
    stack.metrics.set("demo{code=\"a\"}", 0.0);
    stack.metrics.set("demo{code=\"b\"}", 0.0);
    let mut loaded =
        eventually("targets are discovered and a rule fails", Duration::from_secs(20), || async {
            let loaded = Loaded::read(&stack.prometheus, &stack.alertmanager).await.ok()?;
            let failing = harness_engine::monitor::sick_rules(&loaded.groups)
                .iter()
                .any(|rule| rule.contains("demo/Fails: err"));
            (loaded.targets.len() == 2 && failing).then_some(loaded)
        })
        .await;

    let age = loaded.data_age.expect("there are samples");
    assert!(Millis(0) < age && age < Millis::from_secs(60), "{age}");
    loaded.data_age = Some(Millis::from_secs(7));

    let good = plan(vec![
        expect("DemoDown", &[("severity", "page"), ("team", "x")], Pending, 600),
        expect("DemoDown", &[("job", "demo")], Firing, 1200),
        delivered("DemoDown", "pager", 1500),
        expect("SlowDown", &[("cluster", "test")], Firing, 67_200),
        expect("SlowDown", &[], Resolved, 10_200),
        expect("Errors", &[], Delivered, 9_600),
        expect("Twice", &[("severity", "info")], Firing, 7200),
    ]);
    let found = preflight(&good, &loaded);
    assert_eq!(found.problems, [""; 0]);
    insta::assert_snapshot!("notes", found.notes.join("\n"));
    let text = |bound: harness_event::DetectionBound| {
        format!("{}: {}..{} = {}", bound.expectation, bound.earliest, bound.worst, bound.terms)
    };
    insta::assert_snapshot!(
        "bounds",
        bounds(&good, &loaded).into_iter().map(text).collect::<Vec<_>>().join("\n")
    );

    let mut regex = expect("DemoDown", &[], Firing, 60_000);
    if let ExpectationKind::Alert(alert) = &mut regex.kind {
        alert.labels =
            vec![LabelMatcher { name: "severity".into(), op: MatchOp::Regex, value: "info|warning".into() }];
    }
    let bad = plan(vec![
        expect("DemoDwon", &[], Firing, 60_000),
        expect("Unknown", &[], Firing, 60_000),
        expect("DemoDown", &[("severity", "info")], Firing, 60_000),
        regex,
        expect("SlowDown", &[("instance", "x")], Firing, 90_000),
        expect("SlowDown", &[("cluster", "prod")], Firing, 90_000),
        expect("SlowDown", &[], Firing, 30_000),
        expect("DemoDown", &[], Pending, 599),
        expect("DemoDown", &[], Firing, 1199),
        delivered("DemoDown", "pagre", 60_000),
        delivered("DemoDown", "nightly", 60_000),
        delivered("DemoDown", "pager", 1499),
        expect("SlowDown", &[], Resolved, 5000),
        expect("Errors", &[], Firing, 1000),
        expect("Fails", &[], Firing, 60_000),
        expect("Twice", &[], Firing, 60_000),
    ]);
    insta::assert_snapshot!("problems", preflight(&bad, &loaded).problems.join("\n"));
}
