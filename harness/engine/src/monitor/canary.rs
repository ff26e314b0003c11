//! A canary alert: posted to Alertmanager, it must come out at the receiver before anything is concluded from alerts that
//! don't.

use std::time::{Duration, Instant};

use harness_event::{Labels, Millis, Notification, Timestamp};

use super::{
    Alertmanager, ReceiverClient,
    alertmanager::PostableAlert,
    chain,
    exposition::Metrics,
    readiness::{Report, Step},
    routing::Routing,
};

/// Alert name of the canary.
pub const CANARY_ALERT: &str = "HarnessCanary";
/// Label that every canary has, with the value `true`: route by it.
pub const CANARY_LABEL: &str = "harness_canary";

/// Name of the readiness condition.
pub(super) const COMPONENT: &str = "delivery of notifications";

/// Pause between two attempts.
const RETRY: Duration = Duration::from_millis(100);
/// How long a canary lives that nobody resolves.
const LIFE: Millis = Millis::from_secs(300);
/// The canary pretends to have started so long ago: then a new group is notified at once, whatever its `group_wait`.
const AGE: Millis = Millis::from_secs(3600);
/// Time for the canary before failed attempts count, and how many make further waiting pointless.
const PATIENCE: Duration = Duration::from_secs(10);
const HOPELESS: f64 = 3.0;

/// Labels of a run's canary.
pub fn canary_labels(run_id: &str) -> Labels {
    [("alertname", CANARY_ALERT), (CANARY_LABEL, "true"), ("run_id", run_id)]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

/// Is this notification (also) about a canary?
pub fn is_canary(labels: &Labels) -> bool {
    labels.get(CANARY_LABEL).is_some_and(|value| value == "true")
}

/// Posts the canary and waits for it at the receiver, for ever; then resolves it.
pub(super) async fn prove_delivery(
    alertmanager: &Alertmanager,
    receiver: &ReceiverClient,
    run_id: &str,
    step: &Step,
    report: &Report<'_>,
) {
    let position = loop {
        match receiver.position().await {
            Ok(position) => break position,
            Err(error) => step.set(Some(chain(&error))),
        }
        tokio::time::sleep(RETRY).await;
    };
    let posted_at = loop {
        let now = Timestamp::now();
        match post(alertmanager, run_id, now + LIFE).await {
            Ok(()) => break now,
            Err(error) => step.set(Some(chain(&error))),
        }
        tokio::time::sleep(RETRY).await;
    };
    step.set(Some("the canary alert was posted, but has not arrived at the receiver".to_owned()));
    let (mut instance, mut after) = (position.instance.clone(), position.after);
    let delivered = loop {
        match receiver.fetch(after, Duration::from_secs(1)).await {
            Ok(batch) => {
                let restarted = batch.instance != instance;
                let canary = batch.notifications.iter().find(|one| carries(&one.notification, run_id));
                if let Some(canary) = canary {
                    break position.on_our_clock(canary.notification.clone());
                }
                after =
                    if restarted { 0 } else { batch.notifications.last().map_or(after, |last| last.number) };
                instance = batch.instance;
            }
            Err(error) => {
                step.set(Some(chain(&error)));
                tokio::time::sleep(RETRY).await;
            }
        }
    };
    step.set(None);
    report.proven(format!(
        "a canary alert was delivered to receiver {:?} {} after it was posted",
        delivered.receiver,
        Millis((delivered.received_at - posted_at).0.max(0)),
    ));
    resolve(alertmanager, run_id).await;
}

fn carries(notification: &Notification, run_id: &str) -> bool {
    notification.alerts.iter().any(|alert| {
        alert.status == "firing"
            && alert.labels.get("run_id").is_some_and(|id| id == run_id)
            && is_canary(&alert.labels)
    })
}

async fn post(alertmanager: &Alertmanager, run_id: &str, ends_at: Timestamp) -> Result<(), super::Error> {
    let annotations = Labels::from([(
        "summary".to_owned(),
        "Test of the notification path before a run of the SRE test harness. Nothing is wrong.".to_owned(),
    )]);
    let alert = PostableAlert {
        labels: canary_labels(run_id),
        annotations,
        starts_at: Timestamp::now() - AGE,
        ends_at,
    };
    alertmanager.post_alerts(&[alert]).await
}

/// Ends the canary. If that fails it ends by itself.
pub(super) async fn resolve(alertmanager: &Alertmanager, run_id: &str) {
    if let Err(error) = post(alertmanager, run_id, Timestamp::now()).await {
        tracing::debug!(error = %chain(&error), "the canary alert could not be resolved; it ends by itself");
    }
}

/// Returns when the canary has had its time, everything else is proven, and Alertmanager's attempts to deliver fail; else
/// never.
pub(super) async fn hopeless(alertmanager: &Alertmanager, rest_is_proven: impl Fn() -> bool) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if started.elapsed() < PATIENCE || !rest_is_proven() {
            continue;
        }
        if let Ok(metrics) = alertmanager.metrics().await
            && failed_requests(&Metrics::parse(&metrics)) >= HOPELESS
        {
            return;
        }
    }
}

/// Attempts that failed: a notification counts as failed only when its retries are over, ten seconds later at the earliest.
fn failed_requests(metrics: &Metrics) -> f64 {
    let failed =
        metrics.sum_with("alertmanager_notification_requests_failed_total", "integration", "webhook");
    failed.unwrap_or_default()
}

/// Why a posted canary did not arrive, from what Alertmanager says about its routes and its deliveries.
pub(super) async fn explain(alertmanager: &Alertmanager, run_id: &str, reason: String) -> String {
    let (status, metrics) = tokio::join!(alertmanager.status(), alertmanager.metrics());
    let mut parts = vec![reason];
    if let Ok(status) = status
        && let Ok(routing) = Routing::parse(&status.config)
    {
        let routed: Vec<String> = routing
            .route_for(&canary_labels(run_id))
            .into_iter()
            .map(|route| match routing.webhooks(&route.receiver) {
                [] => format!("{:?} (which has no webhook)", route.receiver),
                urls => format!("{:?} (webhook {})", route.receiver, urls.join(", ")),
            })
            .collect();
        parts.push(format!("Alertmanager routes it to receiver {}", routed.join(" and ")));
    }
    if let Ok(metrics) = metrics {
        parts.push(match failed_requests(&Metrics::parse(&metrics)) {
            0.0 => "Alertmanager reports no failed request to a webhook".to_owned(),
            n => format!("Alertmanager reports {n} failed requests to webhooks: the URL is wrong, or it cannot be reached from there"),
        });
    }
    parts.join("; ")
}
