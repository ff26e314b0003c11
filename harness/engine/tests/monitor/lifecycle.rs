//! One alert through its life, to the millisecond, and what a crash of Prometheus looks like.

use std::{pin::pin, time::Duration};

use futures::{Stream, StreamExt};
use harness_engine::monitor::{
    AlertHistory, ReadinessOptions, ReceiverEvent, alert_history, check_inputs, clock_offset,
    monitoring_health, prove_ready, watch_alerts,
};
use harness_event::{
    AlertInterval, EventKind, IntervalEnd, LabelMatcher, Labels, Millis, Notification, NotifiedAlert,
    Timestamp,
};

use crate::support::{Stack, StackConfig, eventually};

const RULES: &str = r#"
groups:
- name: demo
  rules:
  - { alert: DemoBroken, expr: demo_broken == 1, for: 2s, labels: { severity: page } }
  - { alert: DemoFollows, expr: demo_broken == 1, labels: { severity: info } }
  - { alert: Watchdog, expr: vector(1) }
"#;

const ALERTMANAGER: &str = r#"
route: { receiver: team.a, group_by: [alertname, run_id], group_wait: 0s, group_interval: 200ms }
receivers: [{ name: team.a, webhook_configs: [{ url: "RECEIVER/webhook" }] }]
inhibit_rules: [{ source_matchers: [alertname="DemoBroken"], target_matchers: [alertname="DemoFollows"] }]
"#;

/// Long enough that a busy machine misses no evaluation.
const INTERVAL: i64 = 500;

const LIMIT: Duration = Duration::from_secs(20);

async fn notified(
    events: &mut (impl Stream<Item = ReceiverEvent> + Unpin),
    alert: &str,
    status: &str,
) -> (Notification, NotifiedAlert) {
    let find = async {
        loop {
            match events.next().await {
                Some(ReceiverEvent::Received(notification)) => {
                    let found = notification
                        .alerts
                        .iter()
                        .find(|one| one.labels["alertname"] == alert && one.status == status);
                    if let Some(found) = found.cloned() {
                        return (notification, found);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    };
    tokio::time::timeout(LIMIT, find).await.unwrap_or_else(|_| panic!("{alert} {status} was not delivered"))
}

async fn seen(
    events: &mut (impl Stream<Item = EventKind> + Unpin),
    what: impl Fn(&EventKind) -> bool,
) -> EventKind {
    let find = async { events.by_ref().filter(|event| futures::future::ready(what(event))).next().await };
    tokio::time::timeout(LIMIT, find).await.expect("not seen in time").expect("the watch never ends")
}

fn is_seen<'a>(alert: &'a str, wanted: &'a str) -> impl Fn(&EventKind) -> bool + 'a {
    move |event| matches!(event, EventKind::AlertSeen { labels, state, .. } if labels["alertname"] == alert && state == wanted)
}

fn intervals(history: &AlertHistory, alert: &str, state: &str) -> Vec<AlertInterval> {
    let found =
        history.series.iter().filter(|series| series.labels["alertname"] == alert && series.state == state);
    found.flat_map(|series| series.intervals.clone()).collect()
}

#[tokio::test]
async fn times_are_exact_and_a_crash_is_no_resolution() {
    let mut stack = Stack::start(StackConfig {
        rules: RULES,
        alertmanager: ALERTMANAGER,
        interval: INTERVAL,
        ..StackConfig::default()
    })
    .await;
    stack.metrics.set("demo_broken", 0.0);

    let mut proven = Vec::new();
    let options = ReadinessOptions { deadline: LIMIT, strict: true };
    let ready =
        prove_ready(&stack.prometheus, &stack.alertmanager, &stack.receiver, "run-1", options, &mut |what| {
            proven.push(what)
        })
        .await;
    ready.unwrap_or_else(|error| panic!("{error}\n{proven:#?}\n{}", stack.logs()));
    for part in [
        "1 target up and scraped at least twice (demo)",
        "3 rules in 1 rule group evaluated, those with alerts at least twice, all healthy",
        "Prometheus sends alerts to Alertmanager (Watchdog has arrived there)",
        "a canary alert was delivered to receiver \"team.a\"",
    ] {
        assert!(proven.iter().any(|what| what.contains(part)), "{part}: {proven:#?}");
    }

    let clock = clock_offset(&stack.prometheus, 5).await.unwrap();
    assert!(clock.offset.0.abs() <= clock.bound.0, "the same clock: {clock:?}");
    let before = monitoring_health(&stack.prometheus, &stack.alertmanager).await;
    let prometheus_before = before.prometheus.expect("prometheus answered");
    assert_eq!((before.errors, prometheus_before.sick_rules.clone()), (vec![], vec![]));

    let position = stack.receiver.position().await.unwrap();
    let mut notifications = pin!(stack.receiver.follow(position));
    let mut alerts = pin!(watch_alerts(stack.prometheus.clone(), Duration::from_millis(100)));
    seen(&mut alerts, is_seen("Watchdog", "firing")).await;

    // Broken.
    let baseline_at = Timestamp::now();
    stack.metrics.set("demo_broken", 1.0);
    let effect_at = Timestamp::now();
    seen(&mut alerts, is_seen("DemoBroken", "pending")).await;
    seen(&mut alerts, is_seen("DemoBroken", "firing")).await;
    let (notification, delivered) = notified(&mut notifications, "DemoBroken", "firing").await;
    assert_eq!(notification.receiver, "team.a", "not quoted");
    assert_eq!((delivered.labels["cluster"].as_str(), delivered.ends_at), ("test", None));
    let follows = vec![LabelMatcher::equal("alertname", "DemoFollows")];
    let held = eventually("DemoFollows is inhibited", LIMIT, || async {
        stack.alertmanager.suppressed(std::slice::from_ref(&follows)).await.unwrap().pop()
    })
    .await;
    assert_eq!(held.by, "inhibited by DemoBroken");
    let active = stack.prometheus.baseline().await.unwrap();
    assert_eq!(active.len(), 3);
    assert!(
        active.iter().all(|alert| alert.labels["cluster"] == "test"),
        "the same labels everywhere: {active:?}"
    );

    // Healed.
    stack.metrics.set("demo_broken", 0.0);
    seen(&mut alerts, is_seen("DemoBroken", "inactive")).await;
    let (resolution, resolved) = notified(&mut notifications, "DemoBroken", "resolved").await;

    let read = |from, to| alert_history(&stack.prometheus, from, to, |_| Millis(INTERVAL));
    let history = read(baseline_at, Timestamp::now()).await.unwrap();
    let (pending, firing) =
        (intervals(&history, "DemoBroken", "pending"), intervals(&history, "DemoBroken", "firing"));
    let ([pending], [firing]) = (pending.as_slice(), firing.as_slice()) else { panic!("{history:#?}") };
    assert!(effect_at < pending.from, "{effect_at} {pending:?}");
    assert_eq!(pending.end, IntervalEnd::Stale(firing.from), "pending ends at the evaluation that fires");
    assert_eq!(firing.from - pending.from, Millis(2000), "`for` to the millisecond");
    assert_eq!(delivered.starts_at, firing.from, "Alertmanager was told the same");
    assert_eq!(firing.end, IntervalEnd::Stale(resolved.ends_at.unwrap()));
    assert!(firing.from <= notification.received_at && resolved.ends_at.unwrap() <= resolution.received_at);
    let worst = Millis(3 * INTERVAL + 2000 + 500);
    assert!(firing.from - effect_at <= worst, "{} > {worst}", firing.from - effect_at);
    assert_eq!(intervals(&history, "DemoFollows", "pending"), [], "a rule without `for` is never pending");
    assert_eq!(intervals(&history, "DemoFollows", "firing")[0].from, pending.from);
    assert!(matches!(
        intervals(&history, "Watchdog", "firing")[..],
        [AlertInterval { end: IntervalEnd::Open, .. }]
    ));
    assert_eq!(history.sha256.len(), 64);
    let (first, second) =
        (read(baseline_at, firing.last).await.unwrap(), read(baseline_at, firing.last).await.unwrap());
    assert_eq!(first, second, "evidence does not change");

    check_data(&stack, baseline_at, resolved.ends_at.unwrap()).await;

    // A crash while it fires.
    stack.metrics.set("demo_broken", 1.0);
    seen(&mut alerts, is_seen("DemoBroken", "firing")).await;
    notified(&mut notifications, "DemoBroken", "firing").await;
    let crash_at = Timestamp::now();
    stack.kill_prometheus();
    seen(&mut alerts, |event| matches!(event, EventKind::ObserverFailed { .. })).await;
    let during = monitoring_health(&stack.prometheus, &stack.alertmanager).await;
    assert!(during.prometheus.is_none() && during.alertmanager.is_some());
    assert!(during.errors[0].contains("did not answer"), "{:?}", during.errors);
    stack.start_prometheus();
    seen(&mut alerts, |event| matches!(event, EventKind::ObserverRecovered { .. })).await;
    seen(&mut alerts, is_seen("DemoBroken", "firing")).await;
    let after = monitoring_health(&stack.prometheus, &stack.alertmanager).await.prometheus.unwrap();
    assert!(after.started_at > prometheus_before.started_at, "a restart is seen");
    let history =
        alert_history(&stack.prometheus, baseline_at, Timestamp::now(), |_| Millis(INTERVAL)).await.unwrap();
    let firing = intervals(&history, "DemoBroken", "firing");
    assert_eq!(firing.len(), 3, "{firing:#?}");
    assert_eq!(firing[1].end, IntervalEnd::Unknown, "the crash is not taken for a resolution");
    assert!(firing[1].last <= crash_at);
}

/// Inputs of an expression between two times at which they were there, and after they are gone.
async fn check_data(stack: &Stack, baseline_at: Timestamp, resolved_at: Timestamp) {
    let expr = "demo_broken == 1 or max(absent(demo_broken)) unless ALERTS";
    let inputs = check_inputs(&stack.prometheus, expr, baseline_at, resolved_at).await.unwrap();
    assert!(inputs.present, "{inputs:?}");
    assert_eq!(inputs.detail, "demo_broken: 1 target at the baseline, 1 target when it resolved");
    let step = Millis(INTERVAL / 2);
    let start = Timestamp(resolved_at.0 - 1751);
    let values = stack.prometheus.query_range("demo_broken", start, resolved_at, step).await.unwrap();
    assert_eq!(values.len(), 8, "1751 ms in steps of 250 ms");
    assert_eq!(values[1].at, start + step, "exact to the millisecond");
    assert!(values.iter().all(|sample| sample.values.len() == 1));
    let none = stack.prometheus.query_range("no_such_metric", start, resolved_at, step).await.unwrap();
    assert!(
        none.len() == 8 && none.iter().all(|sample| sample.values.is_empty()),
        "no data is an entry without values"
    );
    let error = stack.prometheus.query("demo_broken ==", None).await.unwrap_err();
    assert!(error.to_string().contains("answered 400 to /api/v1/query: "), "{error}");

    // The exporter forgets the series: alerts on it would resolve.
    stack.metrics.remove("demo_broken");
    let gone_at = eventually("the series is stale", LIMIT, || async {
        let at = Timestamp::now();
        stack.prometheus.query("demo_broken", Some(at)).await.unwrap().is_empty().then_some(at)
    })
    .await;
    let inputs = check_inputs(&stack.prometheus, "demo_broken == 1", baseline_at, gone_at).await.unwrap();
    assert!(!inputs.present, "{inputs:?}");
    assert!(inputs.detail.ends_with("nothing when it resolved: data is missing"), "{inputs:?}");
    // What absent() looks for was there; that it is not now is no recovery.
    let inputs = check_inputs(&stack.prometheus, "absent(demo_broken)", baseline_at, gone_at).await.unwrap();
    assert!(!inputs.present, "{inputs:?}");
    // A counter class that does not exist yet, of a metric that does.
    stack.metrics.set("requests_total{code=\"200\"}", 1.0);
    stack.metrics.set("requests_total{code=\"500\"}", 1.0);
    let both = eventually("both classes are there", LIMIT, || async {
        let at = Timestamp::now();
        (stack.prometheus.query("requests_total", Some(at)).await.unwrap().len() == 2).then_some(at)
    })
    .await;
    stack.metrics.remove("requests_total{code=\"500\"}");
    let one = eventually("one class is there", LIMIT, || async {
        let at = Timestamp::now();
        (stack.prometheus.query("requests_total", Some(at)).await.unwrap().len() == 1).then_some(at)
    })
    .await;
    let expr = "rate(requests_total{code=\"500\"}[1m]) > 0";
    let inputs = check_inputs(&stack.prometheus, expr, both, one).await.unwrap();
    assert!(inputs.present, "{inputs:?}");
    let error = check_inputs(&stack.prometheus, "rate(", both, one).await.unwrap_err();
    assert!(error.to_string().contains("is not a PromQL expression"), "{error}");
    stack.metrics.set("demo_broken", 0.0);
    let labels: Labels = stack.prometheus.external_labels().await.unwrap();
    assert_eq!(labels["cluster"], "test");
    assert_eq!(stack.prometheus.scrape_jobs().await.unwrap(), ["demo"]);
}
