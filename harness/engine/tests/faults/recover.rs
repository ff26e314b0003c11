//! `recover`, whatever became of the run's log.

use std::{fs, path::PathBuf};

use harness_engine::{
    conductor::recover,
    fault::{Ledger, Snapshot, read_ledger},
};
use harness_event::{Event, EventKind, Millis, Outcome, WorkloadRef, to_line, verdict::testkit};
use k8s_openapi::{
    api::apps::v1::Deployment,
    serde_json::{from_value, json, to_string},
};
use kube::{Api, api::Patch};

use super::Fixture;

const FAULT: &str = "db-lost";

/// A Deployment whose controller says nothing against what is wanted.
async fn deployment(fixture: &Fixture) -> Api<Deployment> {
    let api: Api<Deployment> = Api::namespaced(fixture.client(), "default");
    let object = json!({
        "metadata": { "name": "db" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "db" } },
                  "template": { "metadata": { "labels": { "app": "db" } },
                                "spec": { "containers": [{ "name": "db", "image": "pause" }] } } },
    });
    api.create(&Default::default(), &from_value(object).unwrap()).await.unwrap();
    let status = json!({ "status": { "observedGeneration": 1000 } });
    api.patch_status("db", &Default::default(), &Patch::Merge(status)).await.unwrap();
    api
}

/// What a run leaves that was killed while its fault was on, with this log.
async fn killed(fixture: &Fixture, api: &Api<Deployment>, run: &str, log: &[u8]) -> PathBuf {
    let dir = fixture.dir.path().join(run);
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("events.ndjson"), log).unwrap();
    let workload = WorkloadRef { kind: "Deployment".into(), name: "db".into() };
    let mut ledger = Ledger::open(&fixture.target(), &dir, run, "default").await.unwrap();
    ledger.plan(FAULT, Snapshot::Scale { workload, replicas: 1, ready: 0 }).await.unwrap();
    let mut file = read_ledger(&dir).unwrap().unwrap();
    // Its process is no more.
    file.started += 1;
    fs::write(dir.join("ledger.json"), to_string(&file).unwrap()).unwrap();
    let lost = json!({ "spec": { "replicas": 0 } });
    api.patch("db", &Default::default(), &Patch::Merge(lost)).await.unwrap();
    dir
}

fn lines() -> Vec<String> {
    let note = |seq: u64| {
        let kind = EventKind::Note { text: format!("number {seq}") };
        Event { seq, at: testkit::at(seq as i64), elapsed: Millis(seq as i64), kind }
    };
    let events = [testkit::run_started(testkit::plan()), note(1), note(2)];
    events.iter().map(|event| to_line(event).unwrap()).collect()
}

#[tokio::test]
async fn a_damaged_log_keeps_no_fault_from_being_undone() {
    let fixture = Fixture::new();
    let api = deployment(&fixture).await;
    let [first, second, third] = lines().try_into().unwrap();
    let cases: [(&str, String, &str); 4] = [
        ("damaged", format!("{first}{{\"seq\":1,\0\0\n{third}"), "line 2 of the event log is damaged"),
        ("gap", format!("{first}{third}"), "events are missing"),
        ("no-start", second.replace("\"seq\":1", "\"seq\":0"), "does not begin with a run_started event"),
        ("empty", String::new(), "does not begin with a run_started event"),
    ];
    for (run, log, problem) in cases {
        let dir = killed(&fixture, &api, run, log.as_bytes()).await;
        // There was a recovery before, which came to nothing.
        fs::write(dir.join("recovery.ndjson"), "").unwrap();
        let recovered = recover(&fixture.client(), &dir).await.unwrap().unwrap();
        let told = recovered.log_problem.unwrap();
        assert!(told.contains(problem) && told.contains("in recovery-2.ndjson"), "{run}: {told}");
        assert_eq!(recovered.reverted, [format!("{FAULT}: scale deployment/db to 1")], "{run}");
        assert_eq!((recovered.left.len(), recovered.verdict), (0, None), "{run}");
        assert_eq!(api.get("db").await.unwrap().spec.replicas, Some(1), "{run}");
        assert_eq!(fs::read_to_string(dir.join("events.ndjson")).unwrap(), log, "{run}");
        let recorded = fs::read_to_string(dir.join("recovery-2.ndjson")).unwrap();
        assert!(recorded.contains("fault_revert_verified"), "{run}: {recorded}");
        assert!(Ledger::in_cluster(&fixture.client(), "default").await.unwrap().is_none(), "{run}");
        assert!(recover(&fixture.client(), &dir).await.unwrap().is_none(), "{run}");
    }
}

#[tokio::test]
async fn a_sound_log_goes_on_with_the_recovery() {
    let fixture = Fixture::new();
    let api = deployment(&fixture).await;
    let dir = killed(&fixture, &api, "sound", lines().concat().as_bytes()).await;
    let recovered = recover(&fixture.client(), &dir).await.unwrap().unwrap();
    assert_eq!((recovered.log_problem, recovered.reverted.len()), (None, 1));
    assert_eq!(recovered.verdict.unwrap().outcome, Outcome::Aborted);
    assert!(!dir.join("recovery.ndjson").exists());
}
