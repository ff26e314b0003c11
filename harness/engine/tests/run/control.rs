//! What people ask of a run while it goes on.

use std::time::{Duration, Instant};

use harness_engine::{
    conductor::Control,
    fault::{Ledger, read_ledger},
};
use harness_event::{
    EventKind, Expectation, ExpectationKind, FaultAction, FaultSpec, Millis, Outcome, Plan,
    WorkloadExpectation, WorkloadRef,
};
use k8s_openapi::{
    api::apps::v1::Deployment,
    serde_json::{from_value, json},
};
use kube::{Api, api::Patch};
use tokio::sync::oneshot;

use super::{
    fixture::{Fixture, written},
    support::rbac::Rights,
};

/// The fault would last longer than any of these tests may.
const DURATION: Millis = Millis::from_secs(300);

/// A Deployment whose replicas are there as soon as they are wanted.
async fn deployment(fixture: &Fixture) -> (Api<Deployment>, tokio::task::JoinHandle<()>) {
    let api: Api<Deployment> = Api::namespaced(fixture.client(), "default");
    let object = json!({
        "metadata": { "name": "db" },
        "spec": { "replicas": 1, "selector": { "matchLabels": { "app": "db" } },
                  "template": { "metadata": { "labels": { "app": "db" } },
                                "spec": { "containers": [{ "name": "db", "image": "pause" }] } } },
    });
    api.create(&Default::default(), &from_value(object).unwrap()).await.unwrap();
    let controller = api.clone();
    let task = tokio::spawn(async move {
        loop {
            if let Ok(db) = controller.get("db").await {
                let wanted = db.spec.replicas.unwrap_or(1);
                let status = json!({ "status": { "replicas": wanted, "readyReplicas": wanted, "availableReplicas": wanted,
                    "updatedReplicas": wanted, "observedGeneration": db.metadata.generation } });
                let _ = controller.patch_status("db", &Default::default(), &Patch::Merge(status)).await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    (api, task)
}

fn plan(fixture: &Fixture) -> Plan {
    let workload = WorkloadRef { kind: "Deployment".into(), name: "db".into() };
    let expectation = |id: &str, kind| Expectation {
        id: id.into(),
        title: "it is so".into(),
        line: 1,
        fault: "db".into(),
        kind,
    };
    // Nobody waits for the deadline of what was seen.
    let ready = WorkloadExpectation { workload: workload.clone(), ready: 1, within: DURATION };
    let expectations = vec![
        expectation("alerts/none-unexpected", ExpectationKind::NoUnexpectedAlert),
        expectation("workload/deployment/db", ExpectationKind::Workload(ready)),
    ];
    let fault = FaultSpec {
        name: "db".into(),
        action: FaultAction::Scale { workload, replicas: 0 },
        start: Millis(0),
        duration: DURATION,
        effect_within: Millis(30_000),
    };
    Plan { faults: vec![fault], ..fixture.plan(vec![], expectations) }
}

async fn stop(fixture: &Fixture, fault: &str) -> Result<(), String> {
    let (answer, answered) = oneshot::channel();
    fixture.control.send(Control::StopFault { fault: fault.into(), answer }).await.unwrap();
    answered.await.unwrap()
}

#[tokio::test]
async fn a_fault_is_stopped_by_hand() {
    // With the rights of the roles that are shipped, and no others.
    let rights = Rights::of(&["watch.yaml", "run.yaml"]);
    let fixture = Fixture { rights: Some(rights.clone()), ..Fixture::new().await };
    let (api, controller) = deployment(&fixture).await;
    let began = Instant::now();
    let asking = async {
        fixture.fact("the readiness", |kind| matches!(kind, EventKind::ReadinessProven { .. })).await;
        fixture.fact("the effect", |kind| matches!(kind, EventKind::FaultEffectObserved { .. })).await;
        assert_eq!(api.get("db").await.unwrap().spec.replicas, Some(0));
        assert_eq!(stop(&fixture, "nobody").await, Err("fault \"nobody\" is not on".into()));
        assert_eq!(stop(&fixture, "db").await, Ok(()));
        assert!(stop(&fixture, "db").await.is_err());
    };
    let (verdict, ()) = tokio::join!(fixture.run(plan(&fixture)), asking);
    controller.abort();
    assert!(began.elapsed() < DURATION.to_duration(), "it ended by itself");
    assert_eq!(verdict.outcome, Outcome::Inconclusive, "{verdict:#?}\n{}", written(&fixture.kinds()));
    let reason = verdict.reasons.first().map_or("", String::as_str);
    assert!(reason.starts_with("fault db was stopped by hand after "), "{reason}");
    assert!(reason.ends_with(" of 5m00s"), "{reason}");
    assert_eq!(api.get("db").await.unwrap().spec.replicas, Some(1));
    let stopped = fixture.place("stop", |kind| matches!(kind, EventKind::FaultStopped { .. }));
    let reverting = fixture.place("revert", |kind| matches!(kind, EventKind::FaultRevertStarted { .. }));
    let reverted = fixture.place("its end", |kind| matches!(kind, EventKind::FaultRevertVerified { .. }));
    assert!(stopped < reverting && reverting < reverted);
    assert_eq!(rights.refused(), Vec::<String>::new());
    // What a view needs is there, too.
    fixture.place("the rules", |kind| matches!(kind, EventKind::AlertRulesRead { .. }));
}

/// A signal comes while the inverse is being written down, which may take seconds.
#[tokio::test]
async fn nothing_is_applied_after_the_run_was_cancelled() {
    let fixture = Fixture { cancel_at_ledger: true, ..Fixture::new().await };
    let (api, controller) = deployment(&fixture).await;
    let generation = api.get("db").await.unwrap().metadata.generation;
    let verdict = fixture.run(plan(&fixture)).await;
    controller.abort();
    let kinds = fixture.kinds();
    assert_eq!(verdict.outcome, Outcome::Aborted, "{verdict:#?}\n{}", written(&kinds));
    fixture.place("readiness", |kind| matches!(kind, EventKind::ReadinessProven { .. }));
    let touched = |kind: &EventKind| {
        matches!(kind, EventKind::FaultApplied { .. } | EventKind::FaultRevertStarted { .. })
    };
    assert!(!kinds.iter().any(touched), "{}", written(&kinds));
    assert_eq!(
        api.get("db").await.unwrap().metadata.generation,
        generation,
        "neither changed nor changed back"
    );
    let ledger = read_ledger(fixture.dir()).unwrap().unwrap();
    assert_eq!((ledger.entries.len(), ledger.unreverted().count()), (1, 0));
    assert!(Ledger::in_cluster(&fixture.client(), "default").await.unwrap().is_none());
}
