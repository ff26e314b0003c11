use std::time::Duration;

use harness_engine::fault::Ledger;
use harness_event::{EventKind, Millis, Outcome, Phase};
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Pod},
    serde_json::{from_value, json},
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};

use super::fixture::{Fixture, eventually, written};

const LONG: &str = "1h";

fn applied(name: &str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::FaultApplied { fault, .. } if fault == name)
}

fn seen(name: &str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::FaultEffectObserved { fault, .. } if fault == name)
}

fn undone(name: &str) -> impl Fn(&EventKind) -> bool {
    move |kind| matches!(kind, EventKind::FaultRevertVerified { fault, .. } if fault == name)
}

fn scale(workload: &str, duration: &str) -> harness_event::FaultSpec {
    let workload = format!("deployment/{workload}");
    Fixture::fault("scale", &[("workload", &workload), ("replicas", "0"), ("duration", duration)])
}

#[tokio::test]
async fn a_fault_is_planned_made_durable_applied_seen_and_undone_by_itself() {
    let fixture = Fixture::new(&["db", "api"]).await;
    let (controls, game_day) = fixture.start();
    let plan = controls.plan(scale("db", "100ms")).await.unwrap();
    assert_eq!(
        (plan.targets, plan.inverse.as_str()),
        (vec!["deployment/db".to_owned()], "scale deployment/db to 1")
    );
    assert_eq!(plan.effect, "scales deployment/db to 0 for 100ms");
    assert_eq!(fixture.replicas("db").await, 1, "a plan changes nothing");

    assert_eq!(controls.inject(scale("db", "100ms")).await.as_deref(), Ok("scale-db"));
    fixture.fact("the end of the fault", undone("scale-db")).await;
    assert_eq!(fixture.replicas("db").await, 1);
    fixture.in_order(&[
        &|kind| matches!(kind, EventKind::FaultRequested { spec } if spec.name == "scale-db" && spec.duration == Millis(100)),
        &|kind| matches!(kind, EventKind::FaultPlanned { fault, .. } if fault == "scale-db"),
        &applied("scale-db"),
        &seen("scale-db"),
        &|kind| matches!(kind, EventKind::FaultRevertStarted { .. }),
        &undone("scale-db"),
    ]);
    // The same once more has a name of its own.
    let again =
        eventually("the place of the first", || async { controls.inject(scale("db", "100ms")).await.ok() });
    assert_eq!(again.await, "scale-db-2");
    fixture.fact("the end of the second", undone("scale-db-2")).await;

    controls.note("  and that was that ").await.unwrap();
    assert!(controls.note(" ").await.is_err());
    controls.finish().await;
    let verdict = game_day.await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Ended, "{verdict:#?}\n{}", written(&fixture.kinds()));
    let noted =
        |kind: &EventKind| matches!(kind, EventKind::NoteWritten { text } if text == "and that was that");
    fixture.in_order(&[&noted, &|kind| matches!(kind, EventKind::RunFinished { .. })]);
    assert!(fixture.ledger().await.is_none());
    assert_eq!(controls.note("too late").await.unwrap_err(), "the game day is over");
}

#[tokio::test]
async fn several_are_on_at_a_time_but_not_on_the_same_target() {
    let fixture = Fixture::new(&["db", "api"]).await;
    pod_of(&fixture, "api").await;
    let (controls, game_day) = fixture.start();
    controls.inject(scale("db", LONG)).await.unwrap();
    controls.inject(scale("api", LONG)).await.unwrap();
    fixture.fact("the first", seen("scale-db")).await;
    fixture.fact("the second", seen("scale-api")).await;
    for refused in [
        controls.inject(scale("db", "1s")).await.unwrap_err(),
        controls.plan(scale("db", "1s")).await.unwrap_err(),
    ] {
        assert!(refused.contains("\"scale-db\" is on deployment/db already"), "{refused}");
    }
    // Its pods are the Deployment's.
    let delete = Fixture::fault("delete_pods", &[("selector", "app=api"), ("duration", "1s")]);
    let refused = controls.inject(delete).await.unwrap_err();
    assert!(refused.contains("\"scale-api\" is on deployment/api already"), "{refused}");

    // Somebody has seen enough of one.
    controls.stop_fault("scale-db").await.unwrap();
    fixture.fact("the end of the first", undone("scale-db")).await;
    assert_eq!((fixture.replicas("db").await, fixture.replicas("api").await), (1, 0));
    assert!(controls.stop_fault("scale-db").await.is_err());
    // The end of the game day ends the other.
    controls.finish().await;
    assert_eq!(game_day.await.unwrap().outcome, Outcome::Ended);
    assert_eq!(fixture.replicas("api").await, 1);
    fixture.in_order(&[
        &|kind| matches!(kind, EventKind::FaultStopped { fault } if fault == "scale-db"),
        &|kind| matches!(kind, EventKind::PhaseStarted { phase: Phase::Heal }),
        &undone("scale-api"),
    ]);
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_written_down() {
    let fixture = Fixture::new(&["db"]).await;
    let (controls, game_day) = fixture.start();
    let missing = controls.inject(scale("nobody", "1s")).await.unwrap_err();
    assert!(missing.contains("deployment/nobody does not exist"), "{missing}");
    let note =
        |kind: &EventKind| matches!(kind, EventKind::Note { text } if text.contains("was not injected"));
    fixture.fact("a remark", note).await;
    assert!(!fixture.kinds().iter().any(|kind| matches!(kind, EventKind::FaultRequested { .. })));
    assert!(controls.stop_fault("scale-nobody").await.is_err());
    let targets = controls.targets().await.unwrap();
    assert_eq!(targets.workloads, ["deployment/db"]);
    drop(controls);
    assert_eq!(game_day.await.unwrap().outcome, Outcome::Ended);
}

#[tokio::test]
async fn a_signal_undoes_everything() {
    let fixture = Fixture::new(&["db"]).await;
    let (controls, game_day) = fixture.start();
    controls.inject(scale("db", LONG)).await.unwrap();
    fixture.fact("the fault", seen("scale-db")).await;
    fixture.cancel.cancel();
    let verdict = game_day.await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Aborted, "{verdict:#?}");
    assert_eq!(fixture.replicas("db").await, 1);
    assert!(fixture.ledger().await.is_none());
}

#[tokio::test]
async fn the_namespace_is_held_as_by_a_run() {
    let fixture = Fixture::new(&["db"]).await;
    let dir = fixture.dir.path().join("other");
    std::fs::create_dir_all(&dir).unwrap();
    let other = Ledger::open(&fixture.target(), &dir, "other", "default").await.unwrap();
    let (_controls, game_day) = fixture.start();
    let verdict = game_day.await.unwrap();
    assert_eq!(verdict.outcome, Outcome::Refused, "{verdict:#?}");
    assert!(verdict.reasons[0].contains("held by run other"), "{verdict:#?}");
    other.close().await.unwrap();
}

#[tokio::test]
async fn without_monitoring_it_goes_on_unless_that_is_required() {
    let fixture = Fixture::new(&["db"]).await;
    let (controls, game_day) = fixture.start();
    fixture.fact("the lost receiver", |kind| matches!(kind, EventKind::ObserverFailed { observer, .. } if observer == EventKind::RECEIVER_OBSERVER)).await;
    controls.finish().await;
    assert_eq!(game_day.await.unwrap().outcome, Outcome::Ended);
    fixture.in_order(&[
        &|kind| matches!(kind, EventKind::TargetConnected(target) if target.prometheus == "not reachable"),
        &|kind| matches!(kind, EventKind::AlertHistoryMissing { .. }),
    ]);

    let mut fixture = Fixture::new(&["db"]).await;
    fixture.require_monitoring = true;
    let (_controls, game_day) = fixture.start();
    let verdict = tokio::time::timeout(Duration::from_secs(60), game_day).await.unwrap().unwrap();
    assert_eq!((verdict.outcome, verdict.outcome.exit_code()), (Outcome::NotReady, 4), "{verdict:#?}");
    assert!(fixture.ledger().await.is_none());
}

/// A fault is undone when the whole selector is as before: what else is on must not keep it from that.
#[tokio::test]
async fn a_fault_touches_every_pod_that_its_end_waits_for() {
    let fixture = Fixture::new(&["api", "db"]).await;
    pod_of(&fixture, "api").await;
    pod_of(&fixture, "db").await;
    let (controls, game_day) = fixture.start();
    controls.inject(scale("db", LONG)).await.unwrap();
    fixture.fact("the fault", seen("scale-db")).await;
    // Only the pod of api would be deleted.
    let values = [("selector", "tier=web"), ("count", "1"), ("duration", "1s")];
    let refused = controls.inject(Fixture::fault("delete_pods", &values)).await.unwrap_err();
    assert!(refused.contains("\"scale-db\" is on deployment/db already"), "{refused}");
    controls.finish().await;
    assert_eq!(game_day.await.unwrap().outcome, Outcome::Ended);
}

#[tokio::test]
async fn a_fault_that_is_stopped_before_it_is_on_record_is_stopped_after() {
    let fixture = Fixture::new(&["db"]).await;
    let (controls, game_day) = fixture.start();
    fixture
        .fact("the fault phase", |kind| matches!(kind, EventKind::PhaseStarted { phase: Phase::Fault }))
        .await;
    fixture.hold_ledger(true);
    let injected = tokio::spawn({
        let controls = controls.clone();
        async move { controls.inject(scale("db", LONG)).await }
    });
    eventually("the fault's place", || async { controls.stop_fault("scale-db").await.ok() }).await;
    let again = controls.stop_fault("scale-db").await.unwrap_err();
    assert!(again.contains("being undone already"), "{again}");
    fixture.hold_ledger(false);
    assert_eq!(injected.await.unwrap().as_deref(), Ok("scale-db"));
    fixture.fact("its end", undone("scale-db")).await;
    controls.finish().await;
    assert_eq!(game_day.await.unwrap().outcome, Outcome::Ended);
    let stopped = |kind: &EventKind| matches!(kind, EventKind::FaultStopped { fault } if fault == "scale-db");
    fixture.in_order(&[&|kind| matches!(kind, EventKind::FaultPlanned { .. }), &stopped]);
    let kinds = fixture.kinds();
    assert_eq!(kinds.iter().filter(|kind| stopped(kind)).count(), 1, "{}", written(&kinds));
    assert!(!kinds.iter().any(applied("scale-db")), "{}", written(&kinds));
}

#[tokio::test]
async fn when_nobody_is_left_to_command_it_ends_and_says_why() {
    let fixture = Fixture::new(&["db"]).await;
    let (controls, game_day) = fixture.start();
    controls.inject(scale("db", LONG)).await.unwrap();
    drop(controls);
    let verdict = tokio::time::timeout(Duration::from_secs(60), game_day).await.unwrap().unwrap();
    assert_eq!(verdict.outcome, Outcome::Ended, "{verdict:#?}");
    assert_eq!(fixture.replicas("db").await, 1);
    fixture.in_order(&[
        &|kind| matches!(kind, EventKind::Note { text } if text.contains("nobody can command the game day any more")),
        &undone("scale-db"),
    ]);
}

/// What a revert needs was away, and came back later.
#[tokio::test]
async fn a_fault_that_could_not_be_undone_is_undone_when_somebody_asks_again() {
    let fixture = Fixture::new(&["db", "api"]).await;
    let (controls, game_day) = fixture.start();
    controls.inject(scale("db", LONG)).await.unwrap();
    fixture.fact("the fault", seen("scale-db")).await;
    let api: Api<Deployment> = Api::namespaced(fixture.client(), "default");
    api.delete("db", &Default::default()).await.unwrap();
    controls.stop_fault("scale-db").await.unwrap();
    let failed =
        |kind: &EventKind| matches!(kind, EventKind::FaultRevertFailed { fault, .. } if fault == "scale-db");
    fixture.fact("the failure", failed).await;
    fixture.deploy("db").await;
    // Until it is undone nobody else gets its target.
    controls.inject(scale("db", "1s")).await.unwrap_err();
    eventually("another try", || async { controls.stop_fault("scale-db").await.ok() }).await;
    fixture.fact("the end of the fault", undone("scale-db")).await;
    let started = |kind: &EventKind| matches!(kind, EventKind::FaultRevertStarted { .. });
    fixture.in_order(&[&started, &failed, &started, &undone("scale-db")]);
    let stopped = |kind: &&EventKind| matches!(kind, EventKind::FaultStopped { .. });
    assert_eq!(fixture.kinds().iter().filter(stopped).count(), 1, "it was ended before its time once");
    // One that is left at the end keeps nobody waiting.
    controls.inject(scale("api", LONG)).await.unwrap();
    fixture.fact("another fault", seen("scale-api")).await;
    api.delete("api", &Default::default()).await.unwrap();
    controls.stop_fault("scale-api").await.unwrap();
    let left =
        |kind: &EventKind| matches!(kind, EventKind::FaultRevertFailed { fault, .. } if fault == "scale-api");
    fixture.fact("its failure", left).await;
    controls.finish().await;
    let verdict = game_day.await.unwrap();
    assert_eq!(verdict.outcome, Outcome::RollbackIncomplete, "{verdict:#?}");
    assert_eq!(verdict.left_behind.len(), 1, "{verdict:#?}");
    assert!(fixture.ledger().await.is_some(), "what undoes it is kept");
}

/// A ready pod of a Deployment.
async fn pod_of(fixture: &Fixture, name: &str) {
    let api: Api<Pod> = Api::namespaced(fixture.client(), "default");
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name, "uid": "0b1d", "controller": true,
    });
    let pod = json!({
        "metadata": { "name": format!("{name}-1"), "labels": { "app": name, "tier": "web" }, "ownerReferences": [owner] },
        "spec": { "containers": [{ "name": "c", "image": "pause" }] },
    });
    api.create(&Default::default(), &from_value(pod).unwrap()).await.unwrap();
    let ready = json!({ "type": "Ready", "status": "True" });
    let status = json!({ "status": { "phase": "Running", "conditions": [ready] } });
    api.patch_status(&format!("{name}-1"), &PatchParams::default(), &Patch::Merge(status)).await.unwrap();
}
