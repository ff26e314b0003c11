//! The receiving side.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use harness_event::Timestamp;
use serde::Deserialize;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::sync::CancellationToken;

use super::{
    protocol::{Batch, LONGEST_WAIT, PATH, Received},
    webhook::read_webhook,
};
use crate::publish::{self, RunReport, Runs};

/// Notifications that are kept; a run that is not followed any more must not fill the memory.
const KEPT: usize = 10_000;
/// Alerts in the kept notifications: groups can be large.
const KEPT_ALERTS: usize = 100_000;
/// Largest payload.
const BODY_LIMIT: usize = 16 << 20;
/// Largest report of a run.
const REPORT_LIMIT: usize = 512 << 10;
/// Alerts in one answer; the harness asks again for the rest.
const ANSWERED_ALERTS: usize = 5_000;

struct Shared {
    instance: String,
    kept: Mutex<Kept>,
    /// Number of the last notification.
    last: watch::Sender<u64>,
    rejected: AtomicU64,
    runs: Mutex<Runs>,
    shutdown: CancellationToken,
}

#[derive(Default)]
struct Kept {
    notifications: VecDeque<Received>,
    alerts: usize,
}

/// Serves at this address until shutdown.
///
/// # Errors
/// If the address cannot be listened on.
pub async fn serve(listen: SocketAddr, shutdown: CancellationToken) -> io::Result<()> {
    serve_on(TcpListener::bind(listen).await?, shutdown).await
}

/// Serves on this listener until shutdown.
///
/// # Errors
/// If serving fails.
pub fn serve_on(listener: TcpListener, shutdown: CancellationToken) -> impl Future<Output = io::Result<()>> {
    let shared = Arc::new(Shared {
        instance: format!("{:032x}", rand::random::<u128>()),
        kept: Mutex::default(),
        last: watch::Sender::new(0),
        rejected: AtomicU64::new(0),
        runs: Mutex::default(),
        shutdown: shutdown.clone(),
    });
    let app = Router::new()
        .route("/webhook", post(webhook))
        .route(PATH, get(notifications))
        .route(&format!("{}/{{run}}", publish::PATH), post(report))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(|| async { "ok\n" }))
        .route("/metrics", get(metrics))
        .with_state(shared);
    async move { axum::serve(listener, app).with_graceful_shutdown(shutdown.cancelled_owned()).await }
}

async fn webhook(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    // Called when the head of the request is there: a slow body must not make the delivery look late.
    let received_at = Timestamp::now();
    let refuse = |status: StatusCode, why: String| {
        shared.rejected.fetch_add(1, Ordering::Relaxed);
        (status, why).into_response()
    };
    let body = match axum::body::to_bytes(request.into_body(), BODY_LIMIT).await {
        Ok(body) => body,
        Err(error) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
    };
    match read_webhook(&body, received_at) {
        Ok(notification) => {
            tracing::info!(receiver = %notification.receiver, status = %notification.status, alerts = notification.alerts.len(), "notification received");
            let number = {
                let mut kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
                let number = *shared.last.borrow() + 1;
                kept.push(Received { number, notification });
                // Under the lock, so that numbers are in order.
                shared.last.send_replace(number);
                number
            };
            (StatusCode::OK, format!("{number}\n")).into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, format!("not an Alertmanager webhook: {error}\n")),
    }
}

impl Kept {
    fn push(&mut self, received: Received) {
        self.alerts += received.notification.alerts.len();
        self.notifications.push_back(received);
        while self.notifications.len() > KEPT || (self.alerts > KEPT_ALERTS && self.notifications.len() > 1) {
            let oldest = self.notifications.pop_front();
            self.alerts -= oldest.map_or(0, |oldest| oldest.notification.alerts.len());
        }
    }

    fn after(&self, number: u64) -> Vec<Received> {
        let mut alerts = 0;
        let rest = self.notifications.iter().filter(|received| received.number > number);
        let fits = |received: &&Received| {
            // One at least, or a large group would never be answered.
            let fits = alerts == 0 || alerts + received.notification.alerts.len() <= ANSWERED_ALERTS;
            alerts += received.notification.alerts.len();
            fits
        };
        rest.take_while(fits).cloned().collect()
    }
}

#[derive(Deserialize)]
struct Poll {
    #[serde(default)]
    after: u64,
    /// Milliseconds.
    #[serde(default)]
    wait: u64,
}

async fn notifications(State(shared): State<Arc<Shared>>, Query(poll): Query<Poll>) -> Json<Batch> {
    let mut last = shared.last.subscribe();
    let wait = Duration::from_millis(poll.wait.min(LONGEST_WAIT));
    // A poll that waits behind the last number (after a restart) is answered at once: the instance says what happened.
    tokio::select! {
        _ = tokio::time::timeout(wait, last.wait_for(|last| *last != poll.after)) => {}
        () = shared.shutdown.cancelled() => {}
    }
    let kept = shared.kept.lock().unwrap_or_else(PoisonError::into_inner);
    let last = *shared.last.borrow();
    Json(Batch {
        instance: shared.instance.clone(),
        now: Timestamp::now(),
        last,
        notifications: kept.after(poll.after),
    })
}

/// A run tells how it goes, for `/metrics`. It has nothing to do with notifications.
async fn report(State(shared): State<Arc<Shared>>, Path(run): Path<String>, request: Request) -> Response {
    let refuse = |status: StatusCode, why: String| (status, format!("{why}\n")).into_response();
    let body = match axum::body::to_bytes(request.into_body(), REPORT_LIMIT).await {
        Ok(body) => body,
        Err(error) => return refuse(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
    };
    let report: RunReport = match serde_json::from_slice(&body) {
        Ok(report) => report,
        Err(error) => return refuse(StatusCode::BAD_REQUEST, format!("not a report of a run: {error}")),
    };
    if report.run != run {
        return refuse(StatusCode::BAD_REQUEST, format!("a report of {:?}, not of {run:?}", report.run));
    }
    match shared.runs.lock().unwrap_or_else(PoisonError::into_inner).take(report) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refuse(StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> String {
    let (received, rejected) = (*shared.last.borrow(), shared.rejected.load(Ordering::Relaxed));
    let runs = shared.runs.lock().unwrap_or_else(PoisonError::into_inner).exposition();
    format!(
        "# HELP alert_receiver_notifications_total Notifications that arrived.\n\
         # TYPE alert_receiver_notifications_total counter\n\
         alert_receiver_notifications_total {received}\n\
         # HELP alert_receiver_rejected_total Requests to the webhook that were no notifications.\n\
         # TYPE alert_receiver_rejected_total counter\n\
         alert_receiver_rejected_total {rejected}\n\
         {runs}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use harness_event::{Labels, Notification, NotifiedAlert};

    fn received(number: u64, alerts: usize) -> Received {
        let alert = NotifiedAlert {
            status: "firing".into(),
            labels: Labels::new(),
            starts_at: Timestamp(0),
            ends_at: None,
            fingerprint: String::new(),
        };
        let notification = Notification {
            receiver: "r".into(),
            received_at: Timestamp(0),
            status: "firing".into(),
            alerts: vec![alert; alerts],
        };
        Received { number, notification }
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many() {
        let mut kept = Kept::default();
        (1..=KEPT as u64 + 5).for_each(|number| kept.push(received(number, 1)));
        assert_eq!(kept.notifications.len(), KEPT);
        assert_eq!(kept.notifications[0].number, 6);
        kept.push(received(20_000, KEPT_ALERTS));
        assert_eq!((kept.notifications.len(), kept.alerts), (1, KEPT_ALERTS));
    }

    #[test]
    fn answers_are_limited_but_never_empty() {
        let mut kept = Kept::default();
        [ANSWERED_ALERTS + 1, 1, ANSWERED_ALERTS]
            .iter()
            .zip(1..)
            .for_each(|(alerts, number)| kept.push(received(number, *alerts)));
        let numbers = |after| kept.after(after).iter().map(|received| received.number).collect::<Vec<_>>();
        assert_eq!(numbers(0), [1]);
        assert_eq!(numbers(1), [2]);
        assert_eq!(numbers(2), [3]);
        assert_eq!(numbers(3), [0; 0]);
    }
}
