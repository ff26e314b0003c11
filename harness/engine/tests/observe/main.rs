//! Facts for people who watch: an API server in this process, in which nothing happens that a test does not do.

mod cluster_facts;
mod logs;
mod monitoring;
mod rights;
#[path = "../support/mod.rs"]
mod support;

use std::{
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{Response, StatusCode},
    middleware::{Next, from_fn_with_state},
};
use cluster::{
    api::{ApiServer, ApiServerConfig},
    net::Addresses,
};
use harness_engine::{Log, Scope, Target, WatchOptions, watch_cluster};
use harness_event::EventKind;
use k8s_openapi::{
    NamespaceResourceScope,
    serde::{Serialize, de::DeserializeOwned},
    serde_json::{Value, from_value},
};
use kube::{Api, Client, Resource, api::Patch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use support::{eventually, rbac::Rights};

const LIMIT: Duration = Duration::from_secs(30);

/// An API server, and a log of what is seen in it.
struct Fixture {
    server: ApiServer,
    dir: tempfile::TempDir,
    log: Log,
    stop: CancellationToken,
    usage: Usage,
    /// What the client may do; everything if none are given.
    rights: Option<Rights>,
}

/// What `metrics.k8s.io` answers, and whether it does.
#[derive(Clone, Default)]
struct Usage {
    pods: Arc<Mutex<Option<Value>>>,
    broken: Arc<AtomicBool>,
}

async fn with_usage(State(usage): State<Usage>, request: Request, next: Next) -> Response<Body> {
    let path = request.uri().path();
    if !(path.starts_with("/apis/metrics.k8s.io/v1beta1/") && path.ends_with("/pods")) {
        return next.run(request).await;
    }
    let answer = |status: StatusCode, body: String| {
        let answer = Response::builder().status(status).header("content-type", "application/json");
        answer.body(Body::from(body)).unwrap()
    };
    let pods = usage.pods.lock().unwrap().clone();
    match pods {
        _ if usage.broken.load(Ordering::Relaxed) => answer(
            StatusCode::SERVICE_UNAVAILABLE,
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","message":"metrics are away","code":503}"#.into(),
        ),
        Some(pods) => answer(StatusCode::OK, pods.to_string()),
        None => answer(
            StatusCode::NOT_FOUND,
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"not served","code":404}"#
                .into(),
        ),
    }
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        let (log, stop, usage) = (Log::unrecorded(), CancellationToken::new(), Usage::default());
        Self { server, dir, log, stop, usage, rights: None }
    }

    /// Of a test, which may do everything.
    fn client(&self) -> Client {
        Client::new(self.router(), "default")
    }

    /// Of what is tested.
    fn restricted(&self) -> Client {
        let router = self.router();
        let router = self.rights.as_ref().map_or(router.clone(), |rights| rights.over(router));
        Client::new(router, "default")
    }

    fn router(&self) -> Router {
        let usage = from_fn_with_state(self.usage.clone(), with_usage);
        Router::new().fallback_service(self.server.router()).layer(usage)
    }

    fn api<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(&self, namespace: &str) -> Api<K> {
        Api::namespaced(self.client(), namespace)
    }

    async fn create<K>(&self, namespace: &str, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + std::fmt::Debug
            + Serialize
            + DeserializeOwned,
    {
        self.api::<K>(namespace).create(&Default::default(), &from_value(object).unwrap()).await.unwrap()
    }

    async fn patch_status<K>(&self, namespace: &str, name: &str, status: Value)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + DeserializeOwned,
    {
        let patch = Patch::Merge(k8s_openapi::serde_json::json!({ "status": status }));
        self.api::<K>(namespace).patch_status(name, &Default::default(), &patch).await.unwrap();
    }

    /// Watches until [`Fixture::stop`].
    fn watch(&self, scope: Scope, prometheus: Option<String>) -> JoinHandle<()> {
        let target = Target {
            client: self.restricted(),
            context: "test".into(),
            server: "https://127.0.0.1".into(),
            own_stack: false,
        };
        let options = WatchOptions { scope, prometheus, version: "0".into(), kubernetes: "v1.36.0".into() };
        let (log, stop) = (self.log.clone(), self.stop.clone());
        tokio::spawn(async move { watch_cluster(options, &target, &log, &stop).await })
    }

    fn kinds(&self) -> Vec<EventKind> {
        self.log.events().into_iter().map(|event| event.kind).collect()
    }

    /// Waits for a fact.
    async fn fact<T>(&self, what: &str, is: impl Fn(&EventKind) -> Option<T>) -> T {
        eventually(what, LIMIT, || {
            let found = self.kinds().iter().find_map(&is);
            async move { found }
        })
        .await
    }

    /// Ends the watch, which must not take long.
    async fn end(&self, watch: impl Future) {
        self.stop.cancel();
        assert!(tokio::time::timeout(LIMIT, watch).await.is_ok(), "the watch does not end");
    }

    fn count(&self, is: impl Fn(&EventKind) -> bool) -> usize {
        self.kinds().iter().filter(|kind| is(kind)).count()
    }
}

fn namespace(name: &str) -> Scope {
    Scope::Namespace(name.to_owned())
}
