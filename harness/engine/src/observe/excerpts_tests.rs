use std::{fs, io::Write, path::PathBuf};

use harness_event::{FaultAction, Timestamp};
use k8s_openapi::serde_json::{Value, from_value, json};
use kube::{ResourceExt, api::Patch};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

struct Fixture {
    dir: tempfile::TempDir,
    client: Client,
    log: Log,
    stop: CancellationToken,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = cluster::api::ApiServer::new(cluster::api::ApiServerConfig {
            addresses: cluster::net::Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        let client = Client::new(server.router(), "default");
        Self { dir, client, log: Log::unrecorded(), stop: CancellationToken::new() }
    }

    fn excerpts(&self) -> Excerpts {
        Excerpts::new(self.client.clone(), "default".into(), self.log.clone())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn pod(&self, name: &str) -> Pod {
        let pod = json!({
            "metadata": { "name": name },
            "spec": { "nodeName": "node-1", "containers": [{ "name": "main", "image": "demo" }] },
        });
        let pod = self.pods().create(&Default::default(), &from_value(pod).unwrap()).await.unwrap();
        self.status(name, 0, json!({ "running": {} }), json!({})).await;
        pod
    }

    async fn status(&self, name: &str, restarts: i32, state: Value, last: Value) {
        let status = json!({ "status": { "phase": "Running", "containerStatuses": [{
            "name": "main", "image": "", "imageID": "", "ready": true, "restartCount": restarts, "state": state, "lastState": last }] } });
        self.pods().patch_status(name, &Default::default(), &Patch::Merge(status)).await.unwrap();
    }

    fn write(&self, pod: &Pod, restart: i32, line: &str) {
        let directory = format!("default_{}_{}", pod.name_any(), pod.uid().unwrap());
        let directory: PathBuf = self.dir.path().join("logs").join(directory).join("main");
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("{restart}.log"));
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "2026-11-21T10:00:00.000000001Z stdout F {line}").unwrap();
    }

    /// As the watch of pods would report it.
    fn seen(&self, pod: &str, ready: bool, restarts: i32) {
        self.log.record(EventKind::PodObserved(ObservedPod {
            namespace: "default".into(),
            pod: pod.into(),
            status: "Running".into(),
            ready,
            restarts,
            owner: Some("deployment/db".into()),
            ..ObservedPod::default()
        }));
    }

    fn planned(&self, fault: &str, target: &str) {
        let action =
            FaultAction::DeletePods { selector: "app=db".into(), count: None, grace_period_seconds: None };
        let targets = vec![target.to_owned()];
        self.log.record(EventKind::FaultPlanned {
            fault: fault.into(),
            action,
            targets,
            inverse: String::new(),
        });
    }

    fn struck(&self, fault: &str) {
        let (fault, effect_at) = (fault.to_owned(), Timestamp::now());
        self.log.record(EventKind::FaultEffectObserved { fault, effect_at, detail: String::new() });
    }

    fn kept(&self) -> Vec<PodLog> {
        let logs = self.log.events().into_iter().filter_map(|event| match event.kind {
            EventKind::PodLogRead(log) => Some(log),
            _ => None,
        });
        logs.collect()
    }

    async fn eventually(&self, what: &str, holds: impl Fn(&[PodLog]) -> bool) -> Vec<PodLog> {
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let kept = self.kept();
            if holds(&kept) {
                return kept;
            }
            assert!(std::time::Instant::now() < deadline, "{what}: {kept:#?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

fn texts(log: &PodLog) -> Vec<&str> {
    log.lines.iter().map(|line| line.text.as_str()).collect()
}

#[tokio::test]
async fn a_target_is_heard_to_its_last_word() {
    let fixture = Fixture::new();
    let pod = fixture.pod("db-1").await;
    fixture.write(&pod, 0, "listening");
    let watch = tokio::spawn(fixture.excerpts().watch(fixture.stop.clone()));
    fixture.seen("db-1", true, 0);
    fixture.planned("kill", "deployment/db");
    // What it writes while it dies, and then the pod is gone: nobody could read that later.
    fixture.write(&pod, 0, "shutting down, password=hunter2");
    let ended = json!({ "terminated": { "exitCode": 0 } });
    fixture.status("db-1", 0, ended, json!({})).await;
    let kept = fixture.eventually("its log", |kept| !kept.is_empty()).await;
    assert_eq!(texts(&kept[0]), ["listening", "shutting down, password=[redacted]"]);
    assert_eq!((kept[0].why.as_str(), kept[0].container.as_str()), ("target of fault kill", "main"));
    fixture.stop.cancel();
    watch.await.unwrap();
    assert_eq!(fixture.kept().len(), 1);
}

#[tokio::test]
async fn a_target_that_lives_on_is_kept_soon_after_the_effect_and_at_the_latest_with_the_run() {
    let fixture = Fixture::new();
    for name in ["db-1", "db-2"] {
        let pod = fixture.pod(name).await;
        fixture.write(&pod, 0, name);
    }
    let watch = tokio::spawn(fixture.excerpts().watch(fixture.stop.clone()));
    fixture.seen("db-1", true, 0);
    fixture.seen("db-2", true, 0);
    fixture.planned("slow", "pod/db-1");
    fixture.planned("other", "pod/db-2");
    fixture.struck("slow");
    let kept = fixture.eventually("the first", |kept| kept.len() == 1).await;
    assert_eq!(texts(&kept[0]), ["db-1"]);
    fixture.stop.cancel();
    watch.await.unwrap();
    let kept = fixture.kept();
    assert_eq!(kept.iter().map(|log| log.pod.as_str()).collect::<Vec<_>>(), ["db-1", "db-2"]);
}

#[tokio::test]
async fn the_last_words_of_a_restarted_container_are_kept_once() {
    let fixture = Fixture::new();
    let pod = fixture.pod("db-1").await;
    fixture.write(&pod, 0, "panicked");
    let watch = tokio::spawn(fixture.excerpts().watch(fixture.stop.clone()));
    fixture.seen("db-1", true, 0);
    let last = json!({ "terminated": { "exitCode": 101, "reason": "Error" } });
    fixture.status("db-1", 1, json!({ "running": {} }), last).await;
    fixture.seen("db-1", true, 1);
    let kept = fixture.eventually("its log", |kept| !kept.is_empty()).await;
    assert_eq!((texts(&kept[0]), kept[0].previous), (vec!["panicked"], true));
    assert_eq!(kept[0].why, "restarted: Error, exit code 101");
    fixture.seen("db-1", false, 1);
    fixture.stop.cancel();
    watch.await.unwrap();
    assert_eq!(fixture.kept().len(), 1);
}

#[tokio::test]
async fn at_the_end_come_those_that_were_not_ready_and_there_is_a_limit() {
    let fixture = Fixture::new();
    let excerpts = fixture.excerpts();
    let watch = tokio::spawn(excerpts.clone().watch(fixture.stop.clone()));
    let names: Vec<String> = (0..MOST + 5).map(|number| format!("web-{number:02}")).collect();
    for name in &names {
        let pod = fixture.pod(name).await;
        fixture.write(&pod, 0, name);
        fixture.seen(name, true, 0);
        fixture.seen(name, name != "web-24", 0);
    }
    fixture.seen("web-24", false, 0);
    // Heeded in order: when the reader knows of the fault, it knows of all pods.
    fixture.planned("db", "deployment/db");
    let deadline = std::time::Instant::now() + PATIENCE;
    while excerpts.lock().target_owners.is_empty() {
        assert!(std::time::Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
    fixture.stop.cancel();
    watch.await.unwrap();
    let followed = fixture.kept().len();
    assert!(followed <= MOST_OF_A_FAULT, "{followed}");
    excerpts.read_rest().await;
    let kept = fixture.kept();
    assert_eq!(kept.len(), MOST);
    assert_eq!((kept[followed].pod.as_str(), kept[followed].why.as_str()), ("web-24", "not ready"));
    assert_eq!(kept[followed + 1].why, "target of fault db, at the end");
    let notes = fixture.log.events().into_iter().filter(|event| matches!(event.kind, EventKind::Note { .. }));
    // Not all pods of the fault are followed, and there would be more.
    assert_eq!(notes.count(), 2);
}

#[tokio::test]
async fn nothing_fails_where_logs_may_not_be_read() {
    let fixture = Fixture::new();
    let excerpts = Excerpts::new(
        Client::new(axum::Router::<()>::new(), "default"),
        "default".into(),
        fixture.log.clone(),
    );
    let watch = tokio::spawn(excerpts.clone().watch(fixture.stop.clone()));
    fixture.seen("db-1", true, 0);
    fixture.seen("db-1", false, 1);
    fixture.planned("db", "deployment/db");
    fixture.struck("db");
    let deadline = std::time::Instant::now() + PATIENCE;
    while excerpts.lock().target_owners.is_empty() {
        assert!(std::time::Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
    fixture.stop.cancel();
    watch.await.unwrap();
    excerpts.read_rest().await;
    let kept = fixture.kept();
    assert!(kept.iter().all(|log| log.lines.is_empty() && log.error.is_some()), "{kept:#?}");
    assert!(!kept.is_empty());
}
