use harness_engine::fault::{Entry, Ledger, LedgerError, Snapshot, read_ledger};
use harness_event::WorkloadRef;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;

use super::Fixture;

const NAME: &str = "sre-harness-ledger";

fn snapshot() -> Snapshot {
    let workload = WorkloadRef { kind: "Deployment".into(), name: "db".into() };
    Snapshot::Scale { workload, replicas: 1, ready: 1 }
}

async fn open(fixture: &Fixture, run: &str) -> Result<Ledger, LedgerError> {
    let dir = fixture.dir.path().join(run);
    std::fs::create_dir_all(&dir).unwrap();
    Ledger::open(&fixture.target(), &dir, run, "default").await
}

#[tokio::test]
async fn one_run_at_a_time_has_the_namespace() {
    let fixture = Fixture::new();
    let (one, two) = tokio::join!(open(&fixture, "one"), open(&fixture, "two"));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|ok| **ok).count(), 1);
    let (ledger, refused) = if one.is_ok() { (one, two) } else { (two, one) };
    assert!(matches!(refused, Err(LedgerError::Held { alive: Some(true), .. })));
    ledger.unwrap().close().await.unwrap();
    assert!(open(&fixture, "three").await.is_ok());
}

/// Somebody removed the ConfigMap of a living run, and another run took the namespace.
#[tokio::test]
async fn the_ledger_of_another_run_is_never_touched() {
    let fixture = Fixture::new();
    let api: Api<ConfigMap> = Api::namespaced(fixture.client(), "default");
    let mut first = open(&fixture, "first").await.unwrap();
    first.plan("a", snapshot()).await.unwrap();
    first.reverted("a").await.unwrap();
    api.delete(NAME, &Default::default()).await.unwrap();
    let mut second = open(&fixture, "second").await.unwrap();
    second.plan("b", snapshot()).await.unwrap();

    assert!(first.plan("c", snapshot()).await.is_err(), "not durable in the cluster: must not be applied");
    let only_a = |entries: &[Entry]| entries.iter().all(|entry| entry.fault == "a");
    assert!(only_a(first.entries()), "what is never applied is never undone");
    let file = read_ledger(&fixture.dir.path().join("first")).unwrap().unwrap();
    assert!(only_a(&file.entries), "{file:?}");
    first.reverted("c").await.unwrap_err();
    first.close().await.unwrap();
    let held = Ledger::in_cluster(&fixture.client(), "default").await.unwrap().unwrap();
    assert_eq!(held.run, "second");
    assert_eq!(held.unreverted().map(|entry| entry.fault.as_str()).collect::<Vec<_>>(), ["b"]);

    let file = read_ledger(&fixture.dir.path().join("second")).unwrap().unwrap();
    let mut resumed = Ledger::resume(&fixture.client(), &fixture.dir.path().join("second"), file);
    resumed.reverted("b").await.unwrap();
    resumed.close().await.unwrap();
    assert!(Ledger::in_cluster(&fixture.client(), "default").await.unwrap().is_none());
}

/// The disk is full, or the directory is gone.
#[tokio::test]
async fn what_could_not_be_written_down_is_not_undone_later() {
    let fixture = Fixture::new();
    let mut ledger = open(&fixture, "run").await.unwrap();
    let dir = fixture.dir.path().join("run");
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(matches!(ledger.plan("a", snapshot()).await, Err(LedgerError::Write { .. })));
    assert_eq!(ledger.entries(), []);
    std::fs::create_dir_all(&dir).unwrap();
    ledger.plan("b", snapshot()).await.unwrap();
    let held = Ledger::in_cluster(&fixture.client(), "default").await.unwrap().unwrap();
    assert_eq!(held.unreverted().map(|entry| entry.fault.as_str()).collect::<Vec<_>>(), ["b"]);
}
