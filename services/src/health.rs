//! Liveness, readiness, and the state of dependencies.
//!
//! `/healthz` says that the process answers. `/readyz` asks the real dependencies, with a time limit. Apart from
//! that, a background task asks them every second for the gauge `dependency_up`, so that the metric does not
//! depend on anybody probing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::future::{BoxFuture, join_all};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{metrics::Metrics, request::Route};

/// Longest time a dependency may take to answer a check.
pub const CHECK_LIMIT: Duration = Duration::from_secs(1);
/// Time from one background check to the next while the dependency is up.
const INTERVAL_UP: Duration = Duration::from_secs(1);
/// The same while it is down: shorter, so that its return is seen soon.
const INTERVAL_DOWN: Duration = Duration::from_millis(250);
/// Routes that [`routes`] adds.
pub const ROUTES: &[Route] = &[("GET", "/healthz"), ("GET", "/readyz")];

type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Something a service needs.
#[derive(Clone)]
pub struct Dependency {
    name: &'static str,
    required: bool,
    check: Check,
}

impl std::fmt::Debug for Dependency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dependency").field("name", &self.name).field("required", &self.required).finish()
    }
}

impl Dependency {
    /// A dependency without which the service is not ready.
    pub fn required<F, Fut>(name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { name, required: true, check: Arc::new(move || Box::pin(check())) }
    }

    /// A dependency without which the service still answers what it can: it is reported, but the service
    /// stays ready, because taking it out of its Kubernetes Service would turn clear errors into refused
    /// connections.
    pub fn soft<F, Fut>(name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        Self { required: false, ..Self::required(name, check) }
    }

    async fn state(&self) -> DependencyState {
        let result = match tokio::time::timeout(CHECK_LIMIT, (self.check)()).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {CHECK_LIMIT:?}")),
        };
        DependencyState { name: self.name, up: result.is_ok(), required: self.required, error: result.err() }
    }
}

/// What a check of a dependency found.
#[derive(Clone, Debug, Serialize)]
pub struct DependencyState {
    /// Name of the dependency.
    pub name: &'static str,
    /// Whether it answered as it should.
    pub up: bool,
    /// Whether the service is not ready without it.
    pub required: bool,
    /// Why it is not up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The answer of `/readyz`.
#[derive(Clone, Debug, Serialize)]
pub struct Readiness {
    /// Whether requests should be sent here.
    pub ready: bool,
    /// Whether the service is about to end.
    pub draining: bool,
    /// All dependencies.
    pub dependencies: Vec<DependencyState>,
}

/// Health of one service. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Health(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    draining: AtomicBool,
    dependencies: Vec<Dependency>,
}

impl Health {
    /// Health that depends on `dependencies`.
    pub fn new(dependencies: Vec<Dependency>) -> Self {
        Self(Arc::new(Inner { draining: AtomicBool::new(false), dependencies }))
    }

    /// Makes the service not ready for good: it is about to end.
    pub fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// True once the service is on its way out.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Asks all dependencies at the same time.
    pub async fn readiness(&self) -> Readiness {
        let dependencies = join_all(self.0.dependencies.iter().map(Dependency::state)).await;
        let draining = self.is_draining();
        let ready = !draining && dependencies.iter().all(|dependency| dependency.up || !dependency.required);
        Readiness { ready, draining, dependencies }
    }

    /// Keeps `dependency_up` current and logs changes, until cancelled.
    pub async fn monitor(self, metrics: Metrics, stop: CancellationToken) {
        metrics.describe_gauge(
            "dependency_up",
            "Whether the dependency answered the last check (1) or not (0).",
        );
        let watch = self.0.dependencies.iter().map(async |dependency| {
            // Not known is not down: the series begins with the first result.
            let mut last = None;
            loop {
                let start = tokio::time::Instant::now();
                let state = dependency.state().await;
                let gauge = metrics.gauge("dependency_up", &[("dependency", dependency.name)]);
                gauge.set(if state.up { 1.0 } else { 0.0 });
                if last != Some(state.up) {
                    log_change(&state);
                    last = Some(state.up);
                }
                let interval = if state.up { INTERVAL_UP } else { INTERVAL_DOWN };
                tokio::time::sleep_until(start + interval).await;
            }
        });
        tokio::select! {
            () = stop.cancelled() => {}
            _ = join_all(watch) => {}
        }
    }
}

fn log_change(state: &DependencyState) {
    match &state.error {
        None => tracing::info!(dependency = state.name, "dependency is up"),
        Some(error) => tracing::warn!(dependency = state.name, error, "dependency is down"),
    }
}

/// `/healthz` and `/readyz`.
pub fn routes<S: Clone + Send + Sync + 'static>(health: Health) -> Router<S> {
    Router::new()
        .route("/healthz", get(async || Json(serde_json::json!({ "status": "ok" }))))
        .route("/readyz", get(readyz).with_state(health))
}

async fn readyz(State(health): State<Health>) -> Response {
    let readiness = health.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness)).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn required_and_soft_dependencies() {
        let ok = || async { Ok(()) };
        let down = || async { Err("connection refused".to_owned()) };
        let soft = Health::new(vec![Dependency::required("a", ok), Dependency::soft("b", down)]);
        assert!(soft.readiness().await.ready);
        let required = Health::new(vec![Dependency::required("a", down), Dependency::soft("b", ok)]);
        let readiness = required.readiness().await;
        assert!(!readiness.ready);
        assert_eq!(readiness.dependencies[0].error.as_deref(), Some("connection refused"));
        soft.drain();
        assert!(!soft.readiness().await.ready);
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_down_at_the_limit() {
        let health = Health::new(vec![Dependency::required("a", std::future::pending)]);
        let start = tokio::time::Instant::now();
        assert!(!health.readiness().await.ready);
        let elapsed = start.elapsed();
        assert!(elapsed >= CHECK_LIMIT && elapsed < 3 * CHECK_LIMIT, "{elapsed:?}");
    }
}
