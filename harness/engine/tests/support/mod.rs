//! A real Prometheus and a real Alertmanager on loopback addresses of their own, with a metrics server whose values a test
//! sets. Everything is stopped and removed when the test ends.

#![allow(dead_code, reason = "each test binary uses its part")]

pub mod rbac;

use std::{
    collections::BTreeMap,
    env, fs,
    future::Future,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode, routing::get};
use harness_engine::monitor::{Alertmanager, Prometheus, ReceiverClient, Upstreams, receiver};
use tempfile::TempDir;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A program of the tools cache or of the machine. Tests that need one fail without it: `make tools` gets them all.
pub fn program(names: &[&str]) -> PathBuf {
    let cache = env::var_os("SRE_HARNESS_TOOLS").map(PathBuf::from).into_iter();
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cache/sre-harness/tools"));
    let cache = cache
        .chain([PathBuf::from("/var/cache/sre-harness/tools")])
        .chain(home)
        .map(|root| root.join("usr/bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> =
        env::split_paths(&path).chain(["/usr/bin".into(), "/usr/sbin".into()]).chain(cache).collect();
    let candidates =
        directories.iter().flat_map(|directory| names.iter().map(move |name| directory.join(name)));
    candidates
        .into_iter()
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{names:?} not found: run `make tools`"))
}

/// A loopback address that nothing else uses, with a free port.
pub fn free_address() -> SocketAddr {
    for _ in 0..100 {
        let address =
            Ipv4Addr::new(127, rand::random_range(2..60), rand::random(), rand::random_range(1..255));
        if let Ok(listener) = TcpListener::bind((address, 0)) {
            return listener.local_addr().unwrap();
        }
    }
    panic!("no free loopback address")
}

/// Waits until a look finds something.
pub async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    limit: Duration,
    mut look: impl FnMut() -> F,
) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A child process that dies with this value.
pub struct Program(Child);

impl Program {
    fn start(program: &Path, arguments: &[String], log: &Path) -> Self {
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Serves the values that a test sets.
pub struct MetricsServer {
    pub address: SocketAddr,
    values: Arc<Mutex<BTreeMap<String, f64>>>,
    healthy: Arc<AtomicBool>,
    _stop: DropGuard,
}

impl MetricsServer {
    async fn start() -> Self {
        let values = Arc::new(Mutex::new(BTreeMap::<String, f64>::new()));
        let healthy = Arc::new(AtomicBool::new(true));
        let (shown, up) = (Arc::clone(&values), Arc::clone(&healthy));
        let metrics = move || {
            let text: String =
                shown.lock().unwrap().iter().map(|(series, value)| format!("{series} {value}\n")).collect();
            let status =
                if up.load(Ordering::Relaxed) { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
            async move { (status, text) }
        };
        let listener = tokio::net::TcpListener::bind(free_address()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let stopped = stop.clone().cancelled_owned();
        let app = Router::new().route("/metrics", get(metrics));
        tokio::spawn(async move { axum::serve(listener, app).with_graceful_shutdown(stopped).await });
        Self { address, values, healthy, _stop: stop.drop_guard() }
    }

    /// Sets a series, written as in the text format.
    pub fn set(&self, series: &str, value: f64) {
        self.values.lock().unwrap().insert(series.to_owned(), value);
    }

    /// Removes a series.
    pub fn remove(&self, series: &str) {
        self.values.lock().unwrap().remove(series);
    }

    /// Makes scrapes fail or work.
    pub fn healthy(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
    }
}

/// How a stack is configured.
pub struct StackConfig<'a> {
    /// Rule file.
    pub rules: &'a str,
    /// Alertmanager's configuration; `RECEIVER` is replaced by the base URL of the alert receiver.
    pub alertmanager: &'a str,
    /// Further scrape jobs, as YAML list items.
    pub jobs: &'a str,
    /// Scrape and evaluation interval in milliseconds.
    pub interval: i64,
    /// Where Prometheus sends alerts, if not to this stack's Alertmanager.
    pub alerts_to: Option<SocketAddr>,
}

impl Default for StackConfig<'_> {
    fn default() -> Self {
        let rules = "groups: [{ name: demo, rules: [{ alert: Watchdog, expr: vector(1) }] }]";
        Self { rules, alertmanager: Self::ROUTE_ALL, jobs: "", interval: 200, alerts_to: None }
    }
}

impl StackConfig<'_> {
    /// Everything goes to the receiver `team.a` at once.
    pub const ROUTE_ALL: &'static str = r#"
route: { receiver: team.a, group_by: [alertname, run_id], group_wait: 0s, group_interval: 200ms }
receivers: [{ name: team.a, webhook_configs: [{ url: "RECEIVER/webhook" }] }]
"#;
}

/// A running stack.
pub struct Stack {
    pub metrics: MetricsServer,
    pub prometheus: Prometheus,
    pub alertmanager: Alertmanager,
    pub receiver: ReceiverClient,
    prometheus_address: SocketAddr,
    alertmanager_address: SocketAddr,
    receiver_url: String,
    prometheus_process: Option<Program>,
    _alertmanager_process: Program,
    _receiver: DropGuard,
    directory: TempDir,
}

impl Stack {
    /// Starts everything; it is not ready then.
    pub async fn start(config: StackConfig<'_>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| directory.path().join(name);
        let metrics = MetricsServer::start().await;

        let listener = tokio::net::TcpListener::bind(free_address()).await.unwrap();
        let receiver_url = format!("http://{}", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(receiver::serve_on(listener, stop.clone()));

        let alertmanager_address = free_address();
        fs::write(file("alertmanager.yml"), config.alertmanager.replace("RECEIVER", &receiver_url)).unwrap();
        let alertmanager_process = Program::start(
            &program(&["prometheus-alertmanager", "alertmanager"]),
            &[
                format!("--config.file={}", file("alertmanager.yml").display()),
                format!("--storage.path={}", file("alertmanager").display()),
                format!("--web.listen-address={alertmanager_address}"),
                "--cluster.listen-address=".to_owned(),
            ],
            &file("alertmanager.log"),
        );

        let prometheus_address = free_address();
        fs::write(file("rules.yml"), config.rules).unwrap();
        let interval = config.interval;
        let text = format!(
            "global: {{ scrape_interval: {interval}ms, scrape_timeout: {interval}ms, evaluation_interval: {interval}ms, \
             external_labels: {{ cluster: test }} }}\n\
             rule_files: [rules.yml]\n\
             alerting: {{ alertmanagers: [{{ static_configs: [{{ targets: [\"{}\"] }}] }}] }}\n\
             scrape_configs:\n\
             - {{ job_name: demo, static_configs: [{{ targets: [\"{}\"] }}] }}\n{}",
            config.alerts_to.unwrap_or(alertmanager_address),
            metrics.address,
            config.jobs,
        );
        fs::write(file("prometheus.yml"), text).unwrap();

        // A client for clusters that none of these addresses needs.
        let kube = kube::Client::new(Router::<()>::new(), "default");
        let upstreams = Upstreams::new(kube).unwrap();
        let connect = async |address: &str| upstreams.connect(address).await.unwrap();
        let mut stack = Self {
            metrics,
            prometheus: Prometheus::new(connect(&format!("http://{prometheus_address}")).await),
            alertmanager: Alertmanager::new(connect(&format!("http://{alertmanager_address}")).await),
            receiver: ReceiverClient::new(connect(&receiver_url).await),
            prometheus_address,
            alertmanager_address,
            receiver_url,
            prometheus_process: None,
            _alertmanager_process: alertmanager_process,
            _receiver: stop.drop_guard(),
            directory,
        };
        stack.start_prometheus();
        stack
    }

    /// Where everything is, for a plan.
    pub fn addresses(&self) -> harness_event::Monitoring {
        harness_event::Monitoring {
            prometheus: format!("http://{}", self.prometheus_address),
            alertmanager: format!("http://{}", self.alertmanager_address),
            receiver: self.receiver_url.clone(),
        }
    }

    /// Starts Prometheus (again) with the data that it has.
    pub fn start_prometheus(&mut self) {
        let file = |name: &str| self.directory.path().join(name);
        self.prometheus_process = Some(Program::start(
            &program(&["prometheus"]),
            &[
                format!("--config.file={}", file("prometheus.yml").display()),
                format!("--storage.tsdb.path={}", file("prometheus").display()),
                format!("--web.listen-address={}", self.prometheus_address),
                // An alert that is sent before Alertmanager is discovered is lost until then.
                "--rules.alert.resend-delay=1s".to_owned(),
            ],
            &file("prometheus.log"),
        ));
    }

    /// SIGKILL, as a crash.
    pub fn kill_prometheus(&mut self) {
        self.prometheus_process = None;
    }

    /// What the servers logged, for failures.
    pub fn logs(&self) -> String {
        ["prometheus.log", "alertmanager.log"]
            .map(|name| fs::read_to_string(self.directory.path().join(name)).unwrap_or_default())
            .join("\n")
    }
}
