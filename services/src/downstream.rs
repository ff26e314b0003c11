//! HTTP client for another service of the system.
//!
//! Every call has a time limit, carries the request id, and fails in one of two ways: the other service's own
//! 4xx answer is passed on, anything else (no connection, no answer in time, 5xx) is 503
//! "Failed to communicate with ... service", which tells a user what a user can know.

use std::time::Duration;

use axum::http::{HeaderValue, Method, StatusCode};
use reqwest::{Client, RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use crate::{
    error::{ApiError, ErrorBody},
    request::{self, REQUEST_ID},
};

/// Longest time for opening a connection.
const CONNECT_LIMIT: Duration = Duration::from_millis(500);
/// Idle connections are kept this long. Short, so that a service that moved is not looked for at its old place.
const IDLE: Duration = Duration::from_secs(15);

/// Another service.
#[derive(Clone, Debug)]
pub struct Downstream {
    name: &'static str,
    base: Url,
    http: Client,
    limit: Duration,
}

impl Downstream {
    /// The service `name` (as a person reads it) at `base`; `limit` is the time for a whole exchange.
    pub fn new(name: &'static str, base: Url, limit: Duration) -> Result<Self, reqwest::Error> {
        let http = Client::builder()
            .connect_timeout(CONNECT_LIMIT)
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            // A proxy of the user's shell has no business between the services.
            .no_proxy()
            .build()?;
        Ok(Self { name, base, http, limit })
    }

    /// The URL of a path below the base. Each segment is percent-encoded, so none can leave its place.
    pub fn url(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(segments);
        }
        url
    }

    /// A request with the default time limit and the current request id.
    pub fn request(&self, method: Method, url: Url) -> RequestBuilder {
        let builder = self.http.request(method, url).timeout(self.limit);
        match request::current_id().and_then(|id| HeaderValue::from_str(&id).ok()) {
            Some(id) => builder.header(REQUEST_ID, id),
            None => builder,
        }
    }

    /// The error that stands for every failure to get a usable answer.
    pub fn failed(&self, cause: &dyn std::fmt::Display) -> ApiError {
        tracing::warn!(service = self.name, error = %cause, "call to another service failed");
        ApiError::unavailable(format!("Failed to communicate with {} service", self.name))
    }

    /// Sends the request and returns an answer below 500, whatever it says.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let response = request.send().await.map_err(|error| self.failed(&Chain(&error)))?;
        if response.status().is_server_error() {
            return Err(self.failed(&format_args!("it answered {}", response.status())));
        }
        Ok(response)
    }

    /// Sends the request and reads a JSON answer; a 4xx answer becomes the same error here.
    pub async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let response = self.success(request).await?;
        response.json().await.map_err(|error| self.failed(&Chain(&error)))
    }

    /// Sends the request; a 4xx answer becomes the same error here.
    pub async fn success(&self, request: RequestBuilder) -> Result<Response, ApiError> {
        let response = self.send(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refusal(response).await)
    }

    /// The error for an answer that is no success, with the other service's own message.
    pub async fn refusal(&self, response: Response) -> ApiError {
        let status = response.status();
        if !status.is_client_error() {
            return self.failed(&format_args!("it answered {status}"));
        }
        let retry_after = response
            .headers()
            .get(http::header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        match response.json::<ErrorBody>().await {
            Ok(body) => ApiError { retry_after, ..ApiError::new(status, body.error) },
            Err(error) => self.failed(&Chain(&error)),
        }
    }

    /// Whether a GET of `path` (e.g. `readyz`) answers 200.
    pub async fn check(&self, path: &'static str) -> Result<(), String> {
        let answer = self.http.get(self.url(&[path])).timeout(self.limit).send().await;
        match answer {
            Ok(response) if response.status() == StatusCode::OK => Ok(()),
            Ok(response) => Err(format!("/{path} answered {}", response.status())),
            Err(error) => Err(Chain(&error).to_string()),
        }
    }
}

/// An error with its causes in one line.
pub struct Chain<'a>(pub &'a (dyn std::error::Error + 'a));

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl std::fmt::Debug for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_stay_segments() {
        let base = Url::parse("http://127.0.0.1:1/").unwrap();
        let downstream = Downstream::new("Images", base, Duration::from_secs(1)).unwrap();
        let url = downstream.url(&["images", "../../etc/passwd?x#y"]);
        assert_eq!(url.as_str(), "http://127.0.0.1:1/images/..%2F..%2Fetc%2Fpasswd%3Fx%23y");
    }
}
