//! The cluster's bars, measured against the real program: start, list, fan-out, pods, memory.
//!
//! `cargo bench -p cluster` prints each with its limit and fails if one is missed.

use std::{
    path::Path,
    process::{Child, Command, ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, future::try_join_all};
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Namespace, Pod},
};
use kube::{
    Api, Client, Config,
    api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use serde_json::{from_value, json};
use tokio::time::{sleep, timeout};

const CONFIG_MAPS: usize = 5000;
const WATCHERS: usize = 100;
/// Longest wait for anything; far above the bars.
const LIMIT: Duration = Duration::from_secs(120);

struct Bar {
    name: &'static str,
    measured: f64,
    limit: f64,
    unit: &'static str,
}

/// The program, killed when the benchmark ends early.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> ExitCode {
    // Cargo runs benchmarks as tests too; unoptimised measurements would say nothing.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("not measured: run it with cargo bench");
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Runtime::new();
    let bars = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(measure()));
    let bars = match bars {
        Ok(bars) => bars,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::FAILURE;
        }
    };
    let mut missed = 0;
    println!("{:<52} {:>12} {:>12}", "bar", "measured", "limit");
    for bar in &bars {
        let verdict = if bar.measured <= bar.limit { "ok" } else { "MISSED" };
        missed += usize::from(bar.measured > bar.limit);
        println!(
            "{:<52} {:>9.1} {:<2} {:>9.1} {:<2} {verdict}",
            bar.name, bar.measured, bar.unit, bar.limit, bar.unit
        );
    }
    if missed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn measure() -> Result<Vec<Bar>> {
    let directory = tempfile::tempdir()?;
    let mut bars = Vec::new();
    let milliseconds =
        |name, took: Duration, limit| Bar { name, measured: took.as_secs_f64() * 1e3, limit, unit: "ms" };

    let started = Instant::now();
    let program = Command::new(env!("CARGO_BIN_EXE_cluster"))
        .arg("serve")
        .arg("--data-dir")
        .arg(directory.path())
        .stdout(Stdio::null())
        .spawn()
        .context("the cluster program did not start")?;
    let program = Running(program);
    let client = connect(&directory.path().join("kubeconfig")).await?;
    client.apiserver_version().await?;
    bars.push(milliseconds("start to API ready", started.elapsed(), 300.0));

    bars.push(milliseconds("list 5,000 ConfigMaps", list(&client).await?, 100.0));
    bars.push(milliseconds("one write to 100 watchers", fan_out(&client, directory.path()).await?, 50.0));
    bars.push(milliseconds("50 pods Ready after apply", pods(&client, 50).await?, 3000.0));
    pods(&client, 100).await?;
    let resident = resident_megabytes(program.0.id())?;
    bars.push(Bar {
        name: "resident memory with 100 pods, 5,000 ConfigMaps",
        measured: resident,
        limit: 60.0,
        unit: "MB",
    });

    stop(&client).await?;
    Ok(bars)
}

async fn connect(kubeconfig: &Path) -> Result<Client> {
    let appeared = async {
        while !kubeconfig.exists() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(LIMIT, appeared).await.context("no kubeconfig was written")?;
    new_client(kubeconfig).await
}

async fn new_client(kubeconfig: &Path) -> Result<Client> {
    let config =
        Config::from_custom_kubeconfig(Kubeconfig::read_from(kubeconfig)?, &KubeConfigOptions::default())
            .await?;
    Ok(Client::try_from(config)?)
}

fn config_map(name: String) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta { name: Some(name), ..ObjectMeta::default() },
        data: Some([("key".to_owned(), "value".to_owned())].into()),
        ..ConfigMap::default()
    }
}

/// Best of five: the bytes of the list, over TLS.
async fn list(client: &Client) -> Result<Duration> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let params = PostParams::default();
    futures::stream::iter((0..CONFIG_MAPS).map(|index| {
        let (maps, params) = (maps.clone(), params.clone());
        async move { maps.create(&params, &config_map(format!("m{index:05}"))).await }
    }))
    .buffer_unordered(16)
    .try_for_each(|_| async { Ok(()) })
    .await?;
    let mut best = LIMIT;
    for _ in 0..5 {
        let request = http::Request::get("/api/v1/namespaces/default/configmaps").body(Vec::new())?;
        let began = Instant::now();
        let body = client.request_text(request).await?;
        best = best.min(began.elapsed());
        if body.matches("\"uid\"").count() < CONFIG_MAPS {
            bail!("the list is not complete");
        }
    }
    Ok(best)
}

/// From the write until the last watcher, each on its own connection, has the event. Worst of five.
async fn fan_out(client: &Client, directory: &Path) -> Result<Duration> {
    let kubeconfig = directory.join("kubeconfig");
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some("fan".to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "fan");
    maps.create(&PostParams::default(), &config_map("fan".to_owned())).await?;
    let version = maps.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
    let mut watchers = Vec::new();
    for _ in 0..WATCHERS {
        let maps: Api<ConfigMap> = Api::namespaced(new_client(&kubeconfig).await?, "fan");
        watchers.push(maps.watch(&WatchParams::default(), &version).await?.boxed());
    }
    let mut worst = Duration::ZERO;
    for round in 0..5 {
        let began = Instant::now();
        let patch = json!({ "data": { "round": round.to_string() } });
        maps.patch("fan", &PatchParams::default(), &Patch::Merge(patch)).await?;
        let arrivals = watchers.iter_mut().map(|watcher| async {
            match watcher.try_next().await? {
                Some(WatchEvent::Modified(_)) => Ok(()),
                other => bail!("expected a change, got {other:?}"),
            }
        });
        timeout(LIMIT, try_join_all(arrivals)).await.context("an event did not arrive")??;
        worst = worst.max(began.elapsed());
    }
    Ok(worst)
}

/// Applies a Deployment of that many pods and waits until all are Ready.
async fn pods(client: &Client, count: i32) -> Result<Duration> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    let object: Deployment = from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"},
        "spec": {"replicas": count, "selector": {"matchLabels": {"app": "many"}}, "template": {
            "metadata": {"labels": {"app": "many"}},
            "spec": {"terminationGracePeriodSeconds": 1, "containers": [{"name": "main", "image": "busybox", "command": ["sleep", "100000"]}]}}},
    }))?;
    let began = Instant::now();
    deployments.patch("many", &PatchParams::apply("bars").force(), &Patch::Apply(&object)).await?;
    let mut events = kube::runtime::watcher(
        deployments,
        kube::runtime::watcher::Config::default().fields("metadata.name=many"),
    )
    .boxed();
    let ready = async {
        while let Some(event) = events.try_next().await? {
            use kube::runtime::watcher::Event;
            if let Event::Apply(object) | Event::InitApply(object) = event
                && object.status.as_ref().and_then(|status| status.ready_replicas) == Some(count)
            {
                return Ok(());
            }
        }
        bail!("the watch ended")
    };
    timeout(LIMIT, ready).await.context("the pods did not become Ready")??;
    Ok(began.elapsed())
}

fn resident_megabytes(process: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}

/// Removes the pods, so that none outlives the program that the benchmark kills.
async fn stop(client: &Client) -> Result<()> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "default");
    deployments.delete("many", &kube::api::DeleteParams::background()).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), "default");
    let gone = async {
        while !pods.list(&ListParams::default().limit(1)).await?.items.is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
        Ok::<_, kube::Error>(())
    };
    timeout(LIMIT, gone).await.context("the pods did not go")??;
    Ok(())
}
