//! One way to every monitoring component: a plain base URL and an HTTP client, whether the component is given by URL or by
//! Service.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::OnceCell;

use super::{Error, relay::Relay};

/// Time limit of a request that names no other.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer that is read (rules and remote read of a big server stay far below).
const ANSWER_LIMIT: usize = 128 << 20;

/// Makes [`Upstream`]s. All `service://` addresses share one loopback relay, which is started with the first of them and
/// stops when the last user is gone.
#[derive(Clone)]
pub struct Upstreams {
    kube: kube::Client,
    http: reqwest::Client,
    relay: Arc<OnceCell<Relay>>,
}

impl Upstreams {
    /// Through this client for everything that is given as a Service.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(kube: kube::Client) -> Result<Self, Error> {
        // No proxy of the environment: what is given is what is asked. No redirects to other hosts are expected either, but
        // Prometheus behind a path prefix uses them, so they stay on.
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(5))
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(|error| Error::SetUp(error.into()))?;
        Ok(Self { kube, http, relay: Arc::default() })
    }

    /// The way to a component: `http(s)://HOST[:PORT][/PREFIX]` or `service://NAMESPACE/NAME:PORT[/PREFIX]`. Asks nothing yet.
    ///
    /// # Errors
    /// If the address is malformed or the relay cannot be started.
    pub async fn connect(&self, spec: &str) -> Result<Upstream, Error> {
        let base = self.url(spec).await?.trim_end_matches('/').to_owned();
        Ok(Upstream { spec: spec.to_owned(), base, http: self.http.clone(), relay: Arc::clone(&self.relay) })
    }

    /// The plain URL for an address with path and query, `service://gallery/portal:18080/login?next=x`. Valid as long as this
    /// value or a clone of it lives.
    ///
    /// # Errors
    /// As [`Upstreams::connect`].
    pub async fn url(&self, spec: &str) -> Result<String, Error> {
        let bad = |reason: &str| Error::Address { spec: spec.to_owned(), reason: reason.to_owned() };
        if let Some(service) = spec.strip_prefix("service://") {
            let (namespace, rest) =
                service.split_once('/').ok_or_else(|| bad("it must be service://NAMESPACE/NAME:PORT"))?;
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            let (name_and_port, path) = rest.split_at(end);
            let (name, port) = name_and_port.split_once(':').ok_or_else(|| bad("the port is missing"))?;
            let plain = |text: &str| {
                !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b))
            };
            if ![namespace, name, port].into_iter().all(plain) {
                return Err(bad("it must be service://NAMESPACE/NAME:PORT"));
            }
            let start = || async {
                Relay::start(self.kube.clone()).await.map_err(|error| Error::SetUp(error.into()))
            };
            let relay = self.relay.get_or_try_init(start).await?;
            return Ok(format!("{}{path}", relay.service_url(namespace, name_and_port)));
        }
        let url = reqwest::Url::parse(spec).map_err(|error| bad(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(bad("it must begin with http://, https:// or service://"));
        }
        Ok(spec.to_owned())
    }

    /// The HTTP client for [`Upstreams::url`]s: no proxy, [`REQUEST_TIMEOUT`] unless a request sets its own.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }
}

/// A component of the monitoring system and how to talk to it.
#[derive(Clone)]
pub struct Upstream {
    spec: String,
    base: String,
    http: reqwest::Client,
    /// Keeps the relay running.
    #[allow(dead_code, reason = "held for its Drop")]
    relay: Arc<OnceCell<Relay>>,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the base URL: it may hold the relay's secret.
        write!(out, "Upstream({})", self.spec)
    }
}

impl Upstream {
    /// The address as given.
    pub fn spec(&self) -> &str {
        &self.spec
    }

    /// Plain base URL without a slash at the end. Not for people: with a Service it holds the relay's secret.
    pub fn base_url(&self) -> &str {
        &self.base
    }

    /// The HTTP client: no proxy, with time limits.
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// GET; the body as text.
    ///
    /// # Errors
    /// If there is no answer, or none with a success status.
    pub async fn get_text(&self, path: &str) -> Result<String, Error> {
        let body = self.exchange(path, self.http.get(format!("{}{path}", self.base))).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// GET; the body as JSON.
    ///
    /// # Errors
    /// As [`Upstream::get_text`], or if the body is not the expected JSON.
    pub async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Error> {
        let body = self.exchange(path, self.http.get(format!("{}{path}", self.base)).query(query)).await?;
        serde_json::from_slice(&body).map_err(|error| self.unreadable(path, error))
    }

    /// Sends a request made with [`Upstream::http`]; the body of a success. `path` is for error texts.
    ///
    /// # Errors
    /// As [`Upstream::get_text`].
    pub async fn exchange(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Bytes, Error> {
        let unreachable = |error: reqwest::Error| Error::Unreachable {
            upstream: self.spec.clone(),
            path: path.to_owned(),
            source: error.without_url(),
        };
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + part.len() > ANSWER_LIMIT {
                return Err(self.unreadable(path, format!("it is longer than {ANSWER_LIMIT} bytes")));
            }
            body.extend_from_slice(&part);
        }
        if status.is_success() {
            return Ok(body.into());
        }
        let message = said(&body);
        Err(Error::Status {
            upstream: self.spec.clone(),
            path: path.to_owned(),
            status: status.as_u16(),
            message,
        })
    }

    /// The error for a body that is not what it should be.
    pub(super) fn unreadable(
        &self,
        path: &str,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Decode { upstream: self.spec.clone(), path: path.to_owned(), source: why.into() }
    }
}

/// What an error body says: the text inside the JSON that Kubernetes (`message`), Prometheus (`error`) and Alertmanager (a bare
/// string) write, else its beginning.
fn said(body: &[u8]) -> String {
    const SHOWN: usize = 300;
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let text = json.as_ref().and_then(|json| {
        ["message", "error"].into_iter().find_map(|field| json.get(field)?.as_str()).or_else(|| json.as_str())
    });
    let text = text.map_or_else(|| String::from_utf8_lossy(body).into_owned(), ToOwned::to_owned);
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None if text.is_empty() => "(empty body)".to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_are_read_for_people() {
        assert_eq!(
            said(br#"{"kind":"Status","message":"no endpoints available for service \"p\""}"#),
            "no endpoints available for service \"p\""
        );
        assert_eq!(
            said(br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#),
            "parse error"
        );
        assert_eq!(said(b"\"bad matcher format\""), "bad matcher format");
        assert_eq!(said(b"Service\n Unavailable "), "Service Unavailable");
        assert_eq!(said(b""), "(empty body)");
        assert_eq!(said("ä".repeat(400).as_bytes()).chars().count(), 301);
    }
}
