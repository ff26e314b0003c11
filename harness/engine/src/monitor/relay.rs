//! A loopback relay into the cluster: plain HTTP on one side, the API server's `services/NAME:PORT/proxy` subresource on the
//! other. Requests go through [`kube::Client::send`], so every way of authentication that a kubeconfig knows works, and every
//! HTTP library can talk to a Service as if it were next door, without a port-forward.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{instrument::WithSubscriber, subscriber::NoSubscriber};

use super::chain;

/// Largest request body that is forwarded. Requests are queries and alerts; answers are streamed and have no limit here.
const REQUEST_LIMIT: usize = 16 << 20;

/// Time limit until the head of an answer: longer than the longest long poll. The client has none of its own.
const ANSWER_LIMIT: Duration = Duration::from_secs(65);

/// Headers that belong to one connection and are not forwarded (RFC 9110, section 7.6.1), and those which the API server must
/// get from the kubeconfig alone.
const NOT_FORWARDED: [HeaderName; 9] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
];

/// A running relay; it stops when this is dropped.
#[derive(Debug)]
pub(super) struct Relay {
    base: String,
    _stop: DropGuard,
}

struct Shared {
    kube: kube::Client,
    /// First path segment: other processes of the machine that find the port can't use our credentials.
    secret: String,
}

impl Relay {
    /// Starts a relay on a free loopback port.
    pub(super) async fn start(kube: kube::Client) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let secret = format!("{:032x}", rand::random::<u128>());
        let base = format!("http://{}/{secret}", listener.local_addr()?);
        let app = Router::new().fallback(forward).with_state(Arc::new(Shared { kube, secret }));
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        tokio::spawn(async move {
            tokio::select! {
                () = stopped => {}
                served = async { axum::serve(listener, app).await } => {
                    if let Err(error) = served {
                        tracing::warn!(%error, "the relay into the cluster stopped");
                    }
                }
            }
        });
        Ok(Self { base, _stop: stop.drop_guard() })
    }

    /// Base URL of a Service behind the relay.
    pub(super) fn service_url(&self, namespace: &str, name_and_port: &str) -> String {
        format!("{}/{namespace}/{name_and_port}", self.base)
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(uri) = cluster_uri(request.uri(), &shared.secret) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, REQUEST_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut outgoing = http::Request::new(kube::client::Body::from(body));
    *outgoing.method_mut() = parts.method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = forwarded(parts.headers);
    // The client logs every 5xx as an error of its own; here it is the answer of a service that may well be meant to fail.
    let answer = shared.kube.send(outgoing).with_subscriber(NoSubscriber::new());
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(Ok(answer)) => {
            let (mut parts, body) = answer.into_parts();
            let length = parts.headers.remove(header::CONTENT_LENGTH);
            parts.headers = forwarded(parts.headers);
            parts.version = http::Version::HTTP_11;
            // The body is passed on as it is, so its length still holds.
            if let Some(length) = length {
                parts.headers.insert(header::CONTENT_LENGTH, length);
            }
            Response::from_parts(parts, Body::new(body))
        }
        Ok(Err(error)) => {
            (StatusCode::BAD_GATEWAY, format!("the API server could not be asked: {}", chain(&error)))
                .into_response()
        }
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, "the API server did not answer in time").into_response(),
    }
}

/// `/SECRET/NAMESPACE/NAME:PORT/REST?QUERY` as a path of the API server. Percent-encoding is left as it is.
fn cluster_uri(uri: &Uri, secret: &str) -> Option<Uri> {
    let mut parts = uri.path().strip_prefix('/')?.splitn(4, '/');
    let (given, namespace, service) = (parts.next()?, parts.next()?, parts.next()?);
    if given != secret || namespace.is_empty() || service.is_empty() {
        return None;
    }
    let rest = parts.next().unwrap_or_default();
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/api/v1/namespaces/{namespace}/services/{service}/proxy/{rest}{query}").parse().ok()
}

fn forwarded(mut headers: HeaderMap) -> HeaderMap {
    // "Connection: x-foo" makes x-foo a header of the connection, too.
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in NOT_FORWARDED.iter().chain(&named) {
        headers.remove(name);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_mapped_to_the_service_proxy() {
        let map = |path: &str| cluster_uri(&path.parse().unwrap(), "s3").map(|uri| uri.to_string());
        assert_eq!(
            map("/s3/monitoring/prometheus:9090/api/v1/query?query=up%7Ba%3D%22b%22%7D").as_deref(),
            Some(
                "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query=up%7Ba%3D%22b%22%7D"
            ),
        );
        assert_eq!(
            map("/s3/m/p:1").as_deref(),
            Some("/api/v1/namespaces/m/services/p:1/proxy/"),
            "without the slash the API server answers with a redirect",
        );
        assert_eq!(map("/s4/m/p:1/x"), None, "not without the secret");
        assert_eq!(map("/s3/m"), None);
        assert_eq!(map("/"), None);
    }

    #[test]
    fn headers_of_the_connection_are_left_out() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("host", "h"),
            ("accept", "*/*"),
            ("authorization", "Basic x"),
        ] {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let left: Vec<_> = forwarded(headers).keys().map(ToString::to_string).collect();
        assert_eq!(left, ["accept"]);
    }
}
