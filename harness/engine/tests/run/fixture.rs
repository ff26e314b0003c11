//! Everything that a run needs.

use std::{
    path::Path,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
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
    conductor::{Control, RunOptions, run},
};
use harness_event::{
    Comparison, EventKind, Expectation, ExpectationKind, LabelMatcher, LoadExpectation, LoadMeasure,
    LoadPhase, LoadSpec, Millis, Plan, SteadyCheck, SteadyCheckKind, Verdict,
};
use kube::Client;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    support::{Stack, StackConfig, eventually, rbac::Rights},
    worker,
};

pub struct Fixture {
    pub server: ApiServer,
    pub stack: Stack,
    pub dir: tempfile::TempDir,
    pub cancel: CancellationToken,
    pub log: Log,
    pub compression: Option<(u32, Vec<String>)>,
    /// For what is asked of the run while it goes on.
    pub control: mpsc::Sender<Control>,
    pub wishes: Mutex<Option<mpsc::Receiver<Control>>>,
    /// What the run may do; everything if none are given.
    pub rights: Option<Rights>,
    /// The run is cancelled while the inverse of its first fault is written down in the cluster.
    pub cancel_at_ledger: bool,
}

impl Fixture {
    pub async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        let stack = Stack::start(StackConfig::default()).await;
        let (cancel, log) = (CancellationToken::new(), Log::unrecorded());
        let (control, wishes) = mpsc::channel(4);
        let wishes = Mutex::new(Some(wishes));
        Self {
            server,
            stack,
            dir,
            cancel,
            log,
            compression: None,
            control,
            wishes,
            rights: None,
            cancel_at_ledger: false,
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.server.router(), "default")
    }

    /// Something that can be connected to.
    pub fn url(&self) -> String {
        format!("http://{}/", self.stack.metrics.address)
    }

    /// These loads, and nothing else but a steady state that holds.
    pub fn plan(&self, loads: Vec<LoadSpec>, expectations: Vec<Expectation>) -> Plan {
        let is = Comparison::parse("== 1").unwrap();
        let kind = SteadyCheckKind::Promql { query: "min(up)".into(), is };
        Plan {
            title: "Loads".into(),
            description: String::new(),
            namespace: "default".into(),
            monitoring: self.stack.addresses(),
            baseline: Millis(1000),
            steady_state: vec![SteadyCheck { name: "up".into(), kind }],
            probes: vec![],
            loads,
            slos: vec![],
            compress: None,
            history: None,
            faults: vec![],
            expectations,
            allowed_alerts: vec![vec![LabelMatcher::equal("alertname", "Watchdog")]],
        }
    }

    pub async fn run(&self, plan: Plan) -> Verdict {
        let options = RunOptions {
            run: "test".into(),
            run_dir: self.dir.path().to_owned(),
            scenario: "test.toml".into(),
            scenario_sha256: String::new(),
            plan,
            version: "0".into(),
            bring_up: Millis(0),
            cancel: self.cancel.clone(),
            signal: Arc::new(OnceLock::from("SIGINT".to_owned())),
            scenario_dir: self.dir.path().to_owned(),
            load_worker: worker::command(self.dir.path()),
            compression: self.compression.clone(),
            control: self.wishes.lock().unwrap().take(),
        };
        let router = self.server.router();
        let router = self.rights.as_ref().map_or(router.clone(), |rights| rights.over(router));
        let router = if self.cancel_at_ledger { self.cancelling(router) } else { router };
        let target = Target {
            client: Client::new(router, "default"),
            context: "test".into(),
            server: "https://127.0.0.1".into(),
            own_stack: false,
        };
        run(options, &target, &self.log).await
    }

    fn cancelling(&self, router: Router) -> Router {
        let cancel = self.cancel.clone();
        let layer = from_fn(move |request: Request, next: Next| {
            if request.method() == Method::PATCH && request.uri().path().ends_with("/sre-harness-ledger") {
                cancel.cancel();
            }
            next.run(request)
        });
        Router::new().fallback_service(router).layer(layer)
    }

    pub fn kinds(&self) -> Vec<EventKind> {
        self.log.events().into_iter().map(|event| event.kind).collect()
    }

    /// Place of the first fact of this kind.
    pub fn place(&self, what: &str, is: impl Fn(&EventKind) -> bool) -> usize {
        let kinds = self.kinds();
        kinds.iter().position(is).unwrap_or_else(|| panic!("no {what} in {}", written(&kinds)))
    }

    /// Waits for a fact.
    pub async fn fact(&self, what: &str, is: impl Fn(&EventKind) -> bool) {
        eventually(what, Duration::from_secs(60), || {
            let found = self.kinds().iter().any(&is).then_some(());
            async move { found }
        })
        .await;
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

/// Facts for a failure's text, without those of every second.
pub fn written(kinds: &[EventKind]) -> String {
    let telling = |kind: &&EventKind| {
        !matches!(
            kind,
            EventKind::RunStarted { .. }
                | EventKind::LoadSampled { .. }
                | EventKind::SteadyStateChecked { .. }
                | EventKind::AlertHistoryRead { .. }
        )
    };
    kinds.iter().filter(telling).map(|kind| format!("{kind:?}\n")).collect()
}

/// A condition on a load.
pub fn expect(stimulus: &str, load: &str, phase: LoadPhase, measure: LoadMeasure, is: &str) -> Expectation {
    let expected =
        LoadExpectation { load: load.into(), step: None, phase, measure, is: Comparison::parse(is).unwrap() };
    Expectation {
        id: format!("load/{load}/{phase}/{measure}"),
        title: "it is so".into(),
        line: 1,
        fault: stimulus.into(),
        kind: ExpectationKind::Load(expected),
    }
}
