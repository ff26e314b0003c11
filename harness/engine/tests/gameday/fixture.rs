//! Everything that a game day needs.

use std::{
    future::Future,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::Request,
    http::Method,
    middleware::{Next, from_fn},
};
use cluster::{
    api::{ApiServer, ApiServerConfig},
    net::Addresses,
};
use harness_engine::{
    Log, Target,
    conductor::{Controls, GameDayOptions, OfferedLoad, gameday},
};
use harness_event::{EventKind, FaultSpec, Monitoring, Plan, Verdict, verdict::testkit};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::ConfigMap},
    serde_json::{Value, from_value, json},
};
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::worker;

/// Nothing that is waited for takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// A loopback address at which nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

pub struct Fixture {
    pub server: ApiServer,
    pub dir: tempfile::TempDir,
    pub log: Log,
    pub cancel: CancellationToken,
    pub loads: Vec<OfferedLoad>,
    pub require_monitoring: bool,
    /// True while nobody can write to the ledger.
    held: watch::Sender<bool>,
    _controllers: DropGuard,
}

impl Fixture {
    /// A namespace with these Deployments, each of one pod.
    pub async fn new(deployments: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        let (stop, log, cancel) = (CancellationToken::new(), Log::unrecorded(), CancellationToken::new());
        let fixture = Self {
            server,
            dir,
            log,
            cancel,
            loads: Vec::new(),
            require_monitoring: false,
            held: watch::Sender::new(false),
            _controllers: stop.clone().drop_guard(),
        };
        for name in deployments {
            fixture.deploy(name).await;
        }
        tokio::spawn(controllers(fixture.client(), stop));
        fixture
    }

    pub fn client(&self) -> Client {
        Client::new(self.server.router(), "default")
    }

    pub fn target(&self) -> Target {
        let held = self.held.clone();
        let held = from_fn(move |request: Request, next: Next| {
            let mut held = held.subscribe();
            async move {
                if request.method() == Method::PATCH
                    && request.uri().path().ends_with("/configmaps/sre-harness-ledger")
                {
                    held.wait_for(|held| !held).await.unwrap();
                }
                next.run(request).await
            }
        });
        let router = Router::new().fallback_service(self.server.router()).layer(held);
        Target {
            client: Client::new(router, "default"),
            context: "test".into(),
            server: "https://127.0.0.1".into(),
            own_stack: false,
        }
    }

    /// Lets writes to the ledger wait, or go on.
    pub fn hold_ledger(&self, held: bool) {
        self.held.send_replace(held);
    }

    pub async fn deploy(&self, name: &str) {
        let labels = json!({ "app": name });
        let pod = json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "c", "image": "pause" }] } });
        let object = json!({
            "metadata": { "name": name },
            "spec": { "replicas": 1, "selector": { "matchLabels": labels }, "template": pod },
        });
        let api: Api<Deployment> = Api::namespaced(self.client(), "default");
        api.create(&Default::default(), &from_value(object).unwrap()).await.unwrap();
        settle(&api).await;
    }

    pub async fn replicas(&self, name: &str) -> i32 {
        let api: Api<Deployment> = Api::namespaced(self.client(), "default");
        api.get(name).await.unwrap().spec.replicas.unwrap()
    }

    /// The ledger's ConfigMap, if it is there.
    pub async fn ledger(&self) -> Option<ConfigMap> {
        let api: Api<ConfigMap> = Api::namespaced(self.client(), "default");
        api.get_opt("sre-harness-ledger").await.unwrap()
    }

    /// Starts a game day; what it needs beside the fixture's own is in `dir`.
    pub fn start(&self) -> (Controls, JoinHandle<Verdict>) {
        let monitoring =
            Monitoring { prometheus: NOBODY.into(), alertmanager: NOBODY.into(), receiver: NOBODY.into() };
        let plan = Plan { namespace: "default".into(), monitoring, steady_state: vec![], ..testkit::plan() };
        let options = GameDayOptions {
            run: "test".into(),
            run_dir: self.dir.path().to_owned(),
            scenario: String::new(),
            scenario_sha256: String::new(),
            plan,
            loads: self.loads.clone(),
            version: "0".into(),
            bring_up: Default::default(),
            cancel: self.cancel.clone(),
            signal: Arc::new(OnceLock::from("SIGINT".to_owned())),
            load_worker: worker::command(self.dir.path()),
            compression: None,
            require_monitoring: self.require_monitoring,
        };
        let (controls, commands) = Controls::new();
        let (target, log) = (self.target(), self.log.clone());
        (controls, tokio::spawn(async move { gameday(options, &target, &log, commands).await }))
    }

    pub fn kinds(&self) -> Vec<EventKind> {
        self.log.events().into_iter().map(|event| event.kind).collect()
    }

    /// Places of the facts of these kinds, which must be there in this order.
    #[track_caller]
    pub fn in_order(&self, wanted: &[&dyn Fn(&EventKind) -> bool]) {
        let kinds = self.kinds();
        let mut rest = kinds.iter();
        for (number, is) in wanted.iter().enumerate() {
            assert!(rest.any(is), "fact {number} is not there, or not in its place:\n{}", written(&kinds));
        }
    }

    /// Waits for a fact.
    pub async fn fact(&self, what: &str, is: impl Fn(&EventKind) -> bool) {
        eventually(what, || {
            let found = self.kinds().iter().any(&is).then_some(());
            async move { found }
        })
        .await;
    }

    /// A filled-in form.
    pub fn fault(kind: &str, values: &[(&str, &str)]) -> FaultSpec {
        let values = values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        harness_scenario::catalogue::fault(kind, &values).unwrap()
    }
}

pub fn written(kinds: &[EventKind]) -> String {
    let telling =
        |kind: &&EventKind| !matches!(kind, EventKind::RunStarted { .. } | EventKind::LoadSampled { .. });
    kinds.iter().filter(telling).map(|kind| format!("{kind:?}\n")).collect()
}

/// Waits until a look finds something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the Deployment controller and a kubelet would have done by now.
async fn settle(api: &Api<Deployment>) {
    let Ok(list) = api.list(&ListParams::default()).await else { return };
    for deployment in list {
        let observed = deployment.status.as_ref().and_then(|status| status.observed_generation);
        if observed >= deployment.metadata.generation {
            continue;
        }
        let replicas = deployment.spec.replicas.unwrap_or(1);
        let status: Value = json!({ "status": {
            "observedGeneration": deployment.metadata.generation,
            "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas, "updatedReplicas": replicas,
        } });
        let _ =
            api.patch_status(&deployment.name_any(), &PatchParams::default(), &Patch::Merge(status)).await;
    }
}

async fn controllers(client: Client, stop: CancellationToken) {
    let api: Api<Deployment> = Api::namespaced(client, "default");
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        settle(&api).await;
    }
}
