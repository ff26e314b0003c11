//! One service in a process: its routes, health and background work, started on its two listeners.

use std::{future::Future, net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use futures::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    config::{ConfigError, Env},
    error::{method_not_allowed, not_found},
    health::{self, Health},
    metrics::Metrics,
    request::{self, HttpMetrics, Route},
    server,
};

/// Time from one folding of histogram samples to the next.
const FOLD_INTERVAL: Duration = Duration::from_secs(5);

/// Where a service listens and how it ends.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Address for requests (`LISTEN_ADDR`).
    pub address: SocketAddr,
    /// Address for `/metrics` (`METRICS_ADDR`).
    pub metrics: SocketAddr,
    /// Time between "not ready" and closing the listener (`SHUTDOWN_DELAY`), so that those who route requests
    /// here can learn of it.
    pub delay: Duration,
    /// Longest time for running requests to finish (`SHUTDOWN_TIMEOUT`).
    pub drain: Duration,
}

impl Listen {
    /// From the environment; the defaults are loopback with the service's ports.
    pub fn from_env(env: &Env, port: u16, metrics_port: u16) -> Result<Self, ConfigError> {
        let (ms, s) = (Duration::from_millis, Duration::from_secs);
        Ok(Self {
            address: env.address("LISTEN_ADDR", &format!("127.0.0.1:{port}"))?,
            metrics: env.address("METRICS_ADDR", &format!("127.0.0.1:{metrics_port}"))?,
            delay: env.duration("SHUTDOWN_DELAY", ms(500), ms(0), s(60))?,
            drain: env.duration("SHUTDOWN_TIMEOUT", s(10), ms(0), s(600))?,
        })
    }
}

/// Work that runs beside the requests until its token is cancelled.
pub type Background = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// Makes a closure that returns a future into [`Background`] work.
pub fn background<F, Fut>(work: F) -> Background
where
    F: FnOnce(CancellationToken) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Box::new(move |stop| Box::pin(work(stop)))
}

/// A configured service that has not been started.
pub struct Service {
    /// Where it will listen.
    pub listen: Listen,
    /// Its metrics.
    pub metrics: Metrics,
    /// Its dependencies.
    pub health: Health,
    /// Its own routes as metrics know them, without those of [`health`].
    pub routes: Vec<Route>,
    /// Its own routes, without those of [`health`].
    pub router: Router,
    /// Its background work.
    pub background: Vec<Background>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("name", &self.metrics.service()).finish_non_exhaustive()
    }
}

impl Service {
    /// All routes with everything around them, for a listener or a test.
    pub fn app(&self) -> Router {
        let routes: Vec<Route> = self.routes.iter().chain(health::ROUTES).copied().collect();
        let http = HttpMetrics::new(&self.metrics, &routes);
        self.router
            .clone()
            .merge(health::routes(self.health.clone()))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn_with_state(http, request::observe))
            .layer(middleware::from_fn_with_state(self.health.clone(), close_when_draining))
    }

    /// Opens both listeners and serves on them.
    pub async fn start(self) -> Result<Running, ConfigError> {
        let listener = server::bind("LISTEN_ADDR", self.listen.address).await?;
        let metrics_listener = server::bind("METRICS_ADDR", self.listen.metrics).await?;
        let local = |variable: &str, listener: &tokio::net::TcpListener| {
            listener.local_addr().map_err(|error| ConfigError::new(variable, error.to_string()))
        };
        let address = local("LISTEN_ADDR", &listener)?;
        let metrics_address = local("METRICS_ADDR", &metrics_listener)?;
        let name = self.metrics.service();

        let app = self.app();
        let tasks = TaskTracker::new();
        let (stop_requests, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        tasks.spawn(self.health.clone().monitor(self.metrics.clone(), stop_rest.clone()));
        tasks.spawn(fold(self.metrics.clone(), stop_rest.clone()));
        for background in self.background {
            tasks.spawn(background(stop_rest.clone()));
        }
        let metrics_app = metrics_app(self.metrics.clone());
        tasks.spawn(discard(server::serve(
            metrics_listener,
            metrics_app,
            stop_rest.clone(),
            Duration::from_secs(1),
        )));
        let requests = tokio::spawn(server::serve(listener, app, stop_requests.clone(), self.listen.drain));
        tasks.close();
        tracing::info!(service = name, %address, metrics = %metrics_address, version = env!("CARGO_PKG_VERSION"), "listening");
        let (health, listen) = (self.health, self.listen);
        Ok(Running {
            name,
            address,
            metrics_address,
            health,
            listen,
            requests,
            tasks,
            stop_requests,
            stop_rest,
        })
    }
}

/// Tells clients to open a new connection, which leads to another pod, while this one is draining. Otherwise a request that
/// is sent on a kept connection in the very moment in which the connection is closed would be lost.
async fn close_when_draining(State(health): State<Health>, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    if health.is_draining() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A service that serves requests.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    /// The address it listens on.
    pub address: SocketAddr,
    /// The address of its metrics.
    pub metrics_address: SocketAddr,
    health: Health,
    listen: Listen,
    requests: JoinHandle<usize>,
    tasks: TaskTracker,
    stop_requests: CancellationToken,
    stop_rest: CancellationToken,
}

impl Running {
    /// Ends the service: not ready first, then no new connections, then running requests get their time, and
    /// metrics stay readable until they are done.
    pub async fn shut_down(self) {
        tracing::info!(service = self.name, delay_ms = self.listen.delay.as_millis() as u64, "draining");
        self.health.drain();
        tokio::time::sleep(self.listen.delay).await;
        self.stop_requests.cancel();
        match self.requests.await {
            Ok(0) => {}
            Ok(cut) => {
                tracing::warn!(service = self.name, connections = cut, "cut off at the end of draining")
            }
            Err(error) => tracing::error!(service = self.name, %error, "the server failed"),
        }
        self.stop_rest.cancel();
        self.tasks.wait().await;
        tracing::info!(service = self.name, "stopped");
    }
}

fn metrics_app(metrics: Metrics) -> Router {
    let page = move || {
        let metrics = metrics.clone();
        async move { ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics.render()) }
    };
    Router::new().route("/metrics", get(page)).fallback(not_found)
}

async fn fold(metrics: Metrics, stop: CancellationToken) {
    let mut interval = tokio::time::interval(FOLD_INTERVAL);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = interval.tick() => metrics.fold(),
        }
    }
}

async fn discard<T>(future: impl Future<Output = T>) {
    future.await;
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_draining_service_sends_its_clients_elsewhere() {
        let health = Health::new(Vec::new());
        let layer = middleware::from_fn_with_state(health.clone(), close_when_draining);
        let app = Router::new().route("/", get(|| async { "here" })).layer(layer);
        let connection = async || {
            let answer = app.clone().oneshot(Request::new(Body::empty())).await.unwrap();
            answer.headers().get(header::CONNECTION).cloned()
        };
        assert_eq!(connection().await, None);
        health.drain();
        assert_eq!(connection().await.unwrap(), "close");
    }
}
