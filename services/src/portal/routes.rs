//! The HTTP side of `portal`.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::Response,
    routing::{any, get},
};
use reqwest::Url;
use tokio::time::timeout;

use super::assets::ASSETS;
use crate::{
    body::{self, LimitedBody},
    config::{ConfigError, Env},
    downstream::{Chain, Downstream},
    error::ApiError,
    health::{Dependency, Health},
    images,
    metrics::Metrics,
    proxy,
    request::Route,
    service::{Listen, Service},
};

/// Longest time for passing a request and its answer on.
const TRANSFER_LIMIT: Duration = Duration::from_secs(30);
/// Longest time until the answer to a request without a body begins.
const HEAD_LIMIT: Duration = Duration::from_secs(4);
/// Time a check of `api` may take.
const CHECK_LIMIT: Duration = Duration::from_millis(900);
const ROUTES: &[Route] = &[
    ("GET", "/"),
    ("GET", "/app.js"),
    ("GET", "/style.css"),
    ("GET", "/favicon.svg"),
    ("GET", "/api/{*path}"),
    ("POST", "/api/{*path}"),
];
/// Headers of a browser that `api` gets to see.
static PASSED_ON: [HeaderName; 7] = [
    header::ACCEPT,
    header::AUTHORIZATION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::COOKIE,
    header::IF_NONE_MATCH,
    header::USER_AGENT,
];

#[derive(Clone, Debug)]
struct Portal {
    api: Downstream,
    base: Arc<Url>,
    max_body: u64,
}

/// The service, configured from the environment.
pub fn service(env: &Env) -> Result<Service, ConfigError> {
    let base = env.http_url("API_URL", "http://127.0.0.1:18081")?;
    let failed = |error| ConfigError::new("API_URL", Chain(&error).to_string());
    let api = Downstream::new("API", base.clone(), TRANSFER_LIMIT).map_err(failed)?;
    let checked = Downstream::new("API", base.clone(), CHECK_LIMIT).map_err(failed)?;
    let max_body = images::max_upload(env)?;
    let listen = Listen::from_env(env, 18080, 18090)?;
    let metrics = Metrics::new("portal");
    let health = Health::new(vec![Dependency::required("api", move || {
        let api = checked.clone();
        async move { api.check("healthz").await }
    })]);
    let mut router = Router::new();
    for asset in ASSETS {
        router = router.route(asset.path, get(async |headers: HeaderMap| asset.response(&headers)));
    }
    let router =
        router.route("/api/{*path}", any(pass_on)).with_state(Portal { api, base: Arc::new(base), max_body });
    Ok(Service { listen, metrics, health, routes: ROUTES.to_vec(), router, background: Vec::new() })
}

/// Passes a request below `/api` on to `api`, body and answer as streams.
async fn pass_on(State(portal): State<Portal>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let refusal = match portal.target(parts.uri.path(), parts.uri.query()) {
        None => ApiError::new(StatusCode::NOT_FOUND, "No such page or resource").closing(),
        Some(_) if body::announced_length(&parts.headers).is_some_and(|n| n > portal.max_body) => {
            body::too_large(portal.max_body)
        }
        Some(url) => {
            let mut headers = HeaderMap::new();
            proxy::copy_headers(&parts.headers, &mut headers, &PASSED_ON);
            let mut outgoing = portal.api.request(parts.method, url).headers(headers);
            let has_body = parts.headers.contains_key(header::CONTENT_LENGTH)
                || parts.headers.contains_key(header::TRANSFER_ENCODING);
            let body = LimitedBody::new(body, portal.max_body);
            let fate = body.fate();
            if has_body {
                outgoing = outgoing.body(reqwest::Body::wrap_stream(body));
            }
            let limit = if has_body { TRANSFER_LIMIT } else { HEAD_LIMIT };
            let sent = match timeout(limit, outgoing.send()).await {
                Ok(sent) => sent.map_err(|error| portal.api.failed(&Chain(&error))),
                Err(_) => Err(portal.api.failed(&format_args!("no answer within {limit:?}"))),
            };
            // Error answers of `api` go through as they are, with its message.
            return fate.refusal().map_or(sent.map(proxy::relay), Err);
        }
    };
    body::discard(body).await;
    Err(refusal)
}

impl Portal {
    /// The address at `api` for a path below `/api`; `None` for a path that tries to leave it.
    fn target(&self, path: &str, query: Option<&str>) -> Option<Url> {
        let rest = path.strip_prefix("/api")?;
        let lower = rest.to_ascii_lowercase().replace("%2e", ".");
        if lower.split(['/', '\\']).any(|segment| matches!(segment, "." | "..")) || lower.contains("%2f") {
            return None;
        }
        let mut url = Url::clone(&self.base);
        url.set_path(rest);
        url.set_query(query);
        Some(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_stay_at_the_api() {
        let base = Url::parse("http://127.0.0.1:18081").unwrap();
        let api = Downstream::new("API", base.clone(), Duration::from_secs(1)).unwrap();
        let portal = Portal { api, base: Arc::new(base), max_body: 1 };
        let target = |path: &str| portal.target(path, Some("a=b")).map(String::from);
        assert_eq!(target("/api/profile").as_deref(), Some("http://127.0.0.1:18081/profile?a=b"));
        assert_eq!(
            target("/api//evil.example/x").as_deref(),
            Some("http://127.0.0.1:18081//evil.example/x?a=b")
        );
        for bad in ["/api/../x", "/api/a/%2e%2E/x", "/api/a/..%2fx", "/api/..\\x", "/other"] {
            assert_eq!(target(bad), None, "{bad:?}");
        }
    }
}
