//! The server's state and the dispatch of requests.

use std::{path::PathBuf, sync::Arc, time::Instant};

use axum::{
    Router,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, Method, header};
use tokio_util::sync::CancellationToken;
use tower::util::MapRequest;

use super::{
    custom_metrics, discovery, logs, metrics, proxy,
    request::{Call, Query, Route, Target},
    resources::{self, Subresource},
    status::ApiError,
    verbs,
};
use crate::{metrics::Usage, net::Addresses, store::Store};

/// Subresources of pods on real clusters that have nothing behind them here; they are refused by name.
const NOT_SERVED: [&str; 5] = ["attach", "ephemeralcontainers", "exec", "portforward", "resize"];

/// What an API server needs.
#[derive(Debug)]
pub struct ApiServerConfig {
    /// Gives Services their ClusterIP and says which addresses the proxy subresources may reach.
    pub addresses: Addresses,
    /// Directory of the container logs, `<namespace>_<pod>_<uid>/<container>/<restartCount>.log`.
    pub logs: PathBuf,
    /// Ends open watches and log streams.
    pub shutdown: CancellationToken,
}

/// The API server. Cheap to clone; clones share the state.
#[derive(Clone, Debug)]
pub struct ApiServer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    proxy: proxy::Transport,
    usage: Usage,
    config: ApiServerConfig,
}

impl ApiServer {
    /// A server with the namespaces that every cluster has.
    pub fn new(config: ApiServerConfig) -> Self {
        let store = Store::new(resources::collection_specs());
        let server = Self {
            inner: Arc::new(Inner { store, proxy: proxy::transport(), usage: Usage::default(), config }),
        };
        verbs::create::system_namespaces(&server);
        server
    }

    /// The HTTP service, without authentication.
    pub fn router(&self) -> Router {
        Router::new().fallback(serve).with_state(self.clone())
    }

    /// A client without a socket, which names itself in `managedFields`.
    pub fn client(&self, agent: &'static str) -> kube::Client {
        let named = move |mut request: http::Request<kube::client::Body>| {
            request.headers_mut().insert(header::USER_AGENT, HeaderValue::from_static(agent));
            request
        };
        kube::Client::new(MapRequest::new(self.router(), named), "default")
    }

    /// The objects.
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What metrics.k8s.io answers from; the kubelet records here.
    pub fn usage(&self) -> &Usage {
        &self.inner.usage
    }

    /// The cluster's addresses.
    pub fn addresses(&self) -> &Addresses {
        &self.inner.config.addresses
    }

    /// Directory of the container logs.
    pub fn logs(&self) -> &std::path::Path {
        &self.inner.config.logs
    }

    /// Client of the proxy subresources.
    pub(super) fn proxy_transport(&self) -> &proxy::Transport {
        &self.inner.proxy
    }

    /// Cancelled when open streams must end.
    pub fn shutdown_token(&self) -> CancellationToken {
        self.inner.config.shutdown.clone()
    }
}

async fn serve(State(server): State<ApiServer>, request: Request) -> Response {
    let began = Instant::now();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let response = handle(&server, request).await.unwrap_or_else(IntoResponse::into_response);
    tracing::debug!(%method, %uri, status = response.status().as_u16(), took = ?began.elapsed(), "request");
    response
}

async fn handle(server: &ApiServer, request: Request) -> Result<Response, ApiError> {
    if let Some(answer) = metrics::serve(server, &request) {
        return answer;
    }
    if let Some(asked) = custom_metrics::Asked::of(server, &request) {
        return asked.answer(server).await;
    }
    let route = Route::parse(request.uri().path())?;
    let Route::Target(target) = route else {
        return discovery::serve(server, &route, &request);
    };
    let (parts, body) = request.into_parts();
    let query = Query::of(&parts.uri);
    let call = Call { method: parts.method, uri: parts.uri, target: *target, query, headers: parts.headers };
    let Target { resource, name, subresource, .. } = &call.target;
    // Answers to HEAD are those to GET; the HTTP layer leaves the body out.
    let verb = if call.method == Method::HEAD { Method::GET } else { call.method.clone() };
    let Some(subresource) = subresource else {
        return match (verb, name.is_some()) {
            (Method::GET, false) => verbs::list::list(server, &call).await,
            (Method::GET, true) => verbs::get::get(server, &call),
            (Method::POST, false) => verbs::create::create(server, &call, body).await,
            (Method::PUT, true) => verbs::update::update(server, &call, body).await,
            (Method::PATCH, true) => verbs::patch::patch(server, &call, body).await,
            (Method::DELETE, true) => verbs::delete::delete(server, &call, body).await,
            (Method::DELETE, false) if resource.delete_collection => {
                verbs::delete::delete_collection(server, &call, body).await
            }
            _ => Err(ApiError::method_not_allowed()),
        };
    };
    let Some(subresource) = resource.subresource(subresource) else {
        return Err(if resource.kind == "Pod" && NOT_SERVED.contains(&subresource.as_str()) {
            ApiError::not_served(resource, subresource)
        } else {
            ApiError::no_such_resource()
        });
    };
    match (subresource, verb) {
        (Subresource::Status, Method::GET) => verbs::get::get(server, &call),
        (Subresource::Status | Subresource::Finalize, Method::PUT) => {
            verbs::update::update(server, &call, body).await
        }
        (Subresource::Status, Method::PATCH) => verbs::patch::patch(server, &call, body).await,
        (Subresource::Log, Method::GET) => logs::logs(server, &call).await,
        (Subresource::Proxy, _) => proxy::proxy(server, &call, body).await,
        (Subresource::Scale, _) => verbs::scale::scale(server, &call, body).await,
        (Subresource::Binding, Method::POST) => verbs::binding::bind(server, &call, body).await,
        (Subresource::Eviction, Method::POST) => verbs::eviction::evict(server, &call, body).await,
        _ => Err(ApiError::method_not_allowed()),
    }
}
