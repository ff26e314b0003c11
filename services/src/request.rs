//! What happens around every request: its id, its log line, its metrics, and the last lines of defence
//! (oversized headers, panics).

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt;
use tracing::Instrument;

use crate::{error::ApiError, metrics::Metrics};

/// The header in which the request id travels.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a caller.
const MAX_ID: usize = 64;
/// Most bytes of header names and values in one request.
pub const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Statuses that every route's counter has from the first scrape on.
const STATUSES: &[u16] =
    &[200, 201, 204, 304, 400, 401, 404, 405, 408, 409, 413, 415, 422, 429, 431, 499, 500, 502, 503, 504];
/// Label value for requests that no route matched.
const UNMATCHED: &str = "unmatched";

tokio::task_local! {
    static CURRENT_ID: String;
}

/// Id of the request that the current task handles.
pub fn current_id() -> Option<String> {
    CURRENT_ID.try_with(Clone::clone).ok()
}

/// A route as `METHOD` and path pattern, for creating its metric series at the start.
pub type Route = (&'static str, &'static str);

/// HTTP metrics of one service.
#[derive(Clone, Debug)]
pub struct HttpMetrics(Arc<Metrics>);

impl HttpMetrics {
    /// Creates the series of all `routes`.
    pub fn new(metrics: &Metrics, routes: &[Route]) -> Self {
        metrics
            .describe_counter("http_requests_total", "HTTP requests answered, by route pattern and status.");
        metrics.describe_histogram(
            "http_request_duration_seconds",
            "Time from the request's head to the answer's head, by route pattern.",
        );
        metrics.describe_gauge("http_requests_in_flight", "HTTP requests being handled.");
        let this = Self(Arc::new(metrics.clone()));
        this.in_flight().set(0.0);
        for (method, route) in routes.iter().chain(&[("GET", UNMATCHED), ("POST", UNMATCHED)]) {
            for status in STATUSES {
                let _ = this.count(method, route, *status);
            }
            let _ = this.duration(method, route);
        }
        this
    }

    fn in_flight(&self) -> metrics::Gauge {
        self.0.gauge("http_requests_in_flight", &[("service", self.0.service())])
    }

    fn count(&self, method: &str, route: &str, status: u16) -> metrics::Counter {
        let status = status.to_string();
        let labels = [
            ("service", self.0.service()),
            ("method", method),
            ("route", route),
            ("status", status.as_str()),
        ];
        self.0.counter("http_requests_total", &labels)
    }

    fn duration(&self, method: &str, route: &str) -> metrics::Histogram {
        let labels = [("service", self.0.service()), ("method", method), ("route", route)];
        self.0.histogram("http_request_duration_seconds", &labels)
    }
}

/// Accounts for one request even when its client goes away and the handler is dropped.
struct Accounting {
    metrics: HttpMetrics,
    method: &'static str,
    route: String,
    start: Instant,
    /// 499 (client closed the connection) until there is an answer.
    status: StatusCode,
}

impl Drop for Accounting {
    fn drop(&mut self) {
        let elapsed = self.start.elapsed();
        self.metrics.in_flight().decrement(1.0);
        self.metrics.count(self.method, &self.route, self.status.as_u16()).increment(1);
        self.metrics.duration(self.method, &self.route).record(elapsed.as_secs_f64());
        log_line(self.method, &self.route, self.status, elapsed);
    }
}

/// Middleware for all routes of a service and its fallback.
pub async fn observe(State(metrics): State<HttpMetrics>, mut request: Request, next: Next) -> Response {
    let id = match request.headers().get(REQUEST_ID).and_then(acceptable) {
        Some(id) => id,
        None => new_id(),
    };
    // Handlers that pass the request on send this header along.
    if let Ok(value) = HeaderValue::from_str(&id) {
        request.headers_mut().insert(REQUEST_ID, value);
    }
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let span = tracing::info_span!("request", request_id = %id);
    metrics.in_flight().increment(1.0);
    let accounting = Accounting {
        method: method_label(request.method()),
        route,
        start: Instant::now(),
        status: StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        metrics,
    };
    CURRENT_ID.scope(id.clone(), handle(accounting, request, next, id).instrument(span)).await
}

async fn handle(mut accounting: Accounting, request: Request, next: Next, id: String) -> Response {
    let too_large = header_bytes(&request) > MAX_HEADER_BYTES;
    let mut response = if too_large {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        ApiError::new(status, "The request's headers are too large").closing().into_response()
    } else {
        match AssertUnwindSafe(next.run(request)).catch_unwind().await {
            Ok(response) => response,
            // The panic hook has written where it happened to the log.
            Err(_) => ApiError::internal(&"a request handler panicked").into_response(),
        }
    };
    accounting.status = response.status();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

fn log_line(method: &str, route: &str, status: StatusCode, elapsed: Duration) {
    let status = status.as_u16();
    let duration_ms = (elapsed.as_secs_f64() * 1e6).round() / 1e3;
    if status >= 500 {
        tracing::warn!(method, route, status, duration_ms, "request failed");
    } else if matches!(route, "/healthz" | "/readyz") {
        tracing::debug!(method, route, status, duration_ms, "request");
    } else {
        tracing::info!(method, route, status, duration_ms, "request");
    }
}

/// A caller's request id, when it is short and of harmless characters.
fn acceptable(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let harmless = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let fits = (1..=MAX_ID).contains(&text.len()) && text.bytes().all(harmless);
    fits.then(|| text.to_owned())
}

fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Methods are chosen by the client, label values must not be.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

fn header_bytes(request: &Request) -> usize {
    request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_of_callers() {
        let taken = |text: &str| HeaderValue::from_str(text).ok().as_ref().and_then(acceptable);
        assert_eq!(taken("abc-123_x.y:z").as_deref(), Some("abc-123_x.y:z"));
        for bad in ["", "a b", "a\"b", "{}", "ä", &"x".repeat(65)] {
            assert_eq!(taken(bad), None, "{bad:?}");
        }
        assert!(taken(&new_id()).is_some());
        assert_ne!(new_id(), new_id());
    }
}
