use cluster::{
    api::{ApiServer, ApiServerConfig},
    net::Addresses,
};
use harness_event::{ObservedWorkload, Timestamp, WorkloadRef, verdict::testkit};
use k8s_openapi::serde_json::{Value, from_value, json};
use tokio_util::sync::CancellationToken;

use super::*;

struct Fixture {
    server: ApiServer,
    _dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let server = ApiServer::new(ApiServerConfig {
            addresses: Addresses::claim(u64::from(std::process::id())).unwrap(),
            logs: dir.path().join("logs"),
            shutdown: CancellationToken::new(),
        });
        Self { server, _dir: dir }
    }

    fn client(&self) -> Client {
        Client::new(self.server.router(), "gallery")
    }

    /// Between 2 and 10 pods.
    async fn autoscaler(&self, name: &str, behavior: Value) {
        let api: Api<HorizontalPodAutoscaler> = Api::namespaced(self.client(), "gallery");
        let object = json!({
            "metadata": { "name": name },
            "spec": {
                "minReplicas": 2, "maxReplicas": 10, "behavior": behavior,
                "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
                "metrics": [{ "type": "Resource", "resource": {
                    "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 60 } } }],
            },
        });
        api.create(&Default::default(), &from_value(object).unwrap()).await.unwrap();
    }

    async fn check(&self, goals: &[AutoscalerGoal]) -> Found {
        check(&plan("images", goals), &self.client()).await.ok().unwrap()
    }
}

fn plan(autoscaler: &str, goals: &[AutoscalerGoal]) -> Plan {
    let expectation = |goal: &AutoscalerGoal| Expectation {
        id: "autoscaler/images".into(),
        title: String::new(),
        line: 1,
        fault: "surge".into(),
        kind: ExpectationKind::Autoscaler(AutoscalerExpectation {
            autoscaler: autoscaler.into(),
            goal: goal.clone(),
        }),
    };
    Plan { expectations: goals.iter().map(expectation).collect(), ..testkit::plan() }
}

fn up(replicas: i32, within: i64) -> AutoscalerGoal {
    AutoscalerGoal::ScalesUpTo { replicas: Some(replicas), within: Millis::from_secs(within) }
}

fn down(replicas: Option<i32>, within: i64) -> AutoscalerGoal {
    AutoscalerGoal::ScalesDownTo { replicas, within: Millis::from_secs(within) }
}

async fn namespace(fixture: &Fixture) {
    let api: Api<k8s_openapi::api::core::v1::Namespace> = Api::all(fixture.client());
    let object = from_value(json!({ "metadata": { "name": "gallery" } })).unwrap();
    api.create(&Default::default(), &object).await.unwrap();
}

#[tokio::test]
async fn what_an_autoscaler_can_do_is_not_refused() {
    let fixture = Fixture::new();
    namespace(&fixture).await;
    fixture.autoscaler("images", json!({ "scaleDown": { "stabilizationWindowSeconds": 10 } })).await;
    let found = fixture.check(&[up(6, 30), up(10, 30), down(None, 60), down(Some(3), 11)]).await;
    assert_eq!(found, Found::default());
}

#[tokio::test]
async fn what_can_never_be_met_is_refused_with_the_arithmetic() {
    let fixture = Fixture::new();
    namespace(&fixture).await;
    let behavior = json!({
        "scaleUp": { "stabilizationWindowSeconds": 30 },
        "scaleDown": { "stabilizationWindowSeconds": 60 },
    });
    fixture.autoscaler("images", behavior).await;
    for (goal, wanted) in [
        (
            up(11, 60),
            "11 replicas can never be reached, because HorizontalPodAutoscaler images has maxReplicas 10",
        ),
        (up(2, 60), "2 replicas prove nothing"),
        (
            up(6, 30),
            "within 30s: can never be met, because HorizontalPodAutoscaler images follows the lowest recommendation",
        ),
        (
            down(Some(1), 90),
            "1 replicas can never be reached, because HorizontalPodAutoscaler images has minReplicas 2",
        ),
        (down(None, 60), "within 1m00s: can never be met"),
    ] {
        let found = fixture.check(std::slice::from_ref(&goal)).await;
        assert_eq!(found.problems.len(), 1, "{goal:?}: {found:?}");
        assert!(found.problems[0].contains(wanted), "{:?} does not say {wanted:?}", found.problems[0]);
    }
    let disabled = json!({ "scaleDown": { "selectPolicy": "Disabled" } });
    let fixture = Fixture::new();
    namespace(&fixture).await;
    fixture.autoscaler("images", disabled).await;
    let found = fixture.check(&[down(None, 3600)]).await;
    assert!(found.problems[0].contains("scaleDown.selectPolicy Disabled"), "{found:?}");
}

/// Its controller may have been told otherwise, so that it is no reason to refuse.
#[tokio::test]
async fn the_controllers_own_default_is_only_a_note() {
    let fixture = Fixture::new();
    namespace(&fixture).await;
    fixture.autoscaler("images", Value::Null).await;
    let found = fixture.check(&[down(None, 60)]).await;
    assert!(found.problems.is_empty());
    assert!(found.notes[0].contains("unless the controller was told otherwise, that is 5m"), "{found:?}");
}

#[tokio::test]
async fn a_fault_does_not_fight_with_an_autoscaler() {
    let fixture = Fixture::new();
    namespace(&fixture).await;
    fixture.autoscaler("images", json!({})).await;
    let scaling = |name: &str, replicas: i32| {
        let mut plan = plan("images", &[]);
        let workload = WorkloadRef { kind: "Deployment".into(), name: name.into() };
        plan.faults[0].action = FaultAction::Scale { workload, replicas };
        plan
    };
    let problems = async |plan: Plan| check(&plan, &fixture.client()).await.ok().unwrap().problems;
    let [problem] = &problems(scaling("images", 1)).await[..] else { panic!() };
    assert!(problem.contains("which HorizontalPodAutoscaler images scales too"), "{problem}");
    // At zero it stands still; others are nobody's business.
    assert_eq!(problems(scaling("images", 0)).await, Vec::<String>::new());
    assert_eq!(problems(scaling("portal", 1)).await, Vec::<String>::new());
}

#[tokio::test]
async fn names_that_are_not_there_are_refused_with_those_that_are() {
    let fixture = Fixture::new();
    namespace(&fixture).await;
    fixture.autoscaler("images", Value::Null).await;
    let goal = AutoscalerGoal::KeepsBudget { budget: "image".into() };
    let found = check(&plan("image", &[goal]), &fixture.client()).await.ok().unwrap();
    assert_eq!(
        found.problems,
        [
            "HorizontalPodAutoscaler image does not exist in namespace gallery. Did you mean images?",
            "PodDisruptionBudget image does not exist in namespace gallery. There is none at all",
        ]
    );
}

fn log(kinds: Vec<EventKind>) -> Vec<Event> {
    let event = |(seq, kind)| Event { seq, at: Timestamp(0), elapsed: Millis(0), kind };
    (0..).zip(kinds).map(event).collect()
}

fn workload() -> WorkloadRef {
    WorkloadRef { kind: "Deployment".into(), name: "images".into() }
}

fn seen(current: i32, desired: i32, condition: &str) -> EventKind {
    EventKind::AutoscalerObserved(ObservedAutoscaler {
        autoscaler: "images".into(),
        seen_at: Timestamp(0),
        exists: true,
        target: workload(),
        min: 2,
        max: 10,
        current,
        desired,
        last_scale_at: None,
        metrics: vec!["cpu: 14%/60%".into()],
        conditions: vec![condition.into()],
    })
}

fn ready(ready: i32) -> EventKind {
    EventKind::WorkloadObserved(ObservedWorkload {
        workload: workload(),
        seen_at: Timestamp(0),
        desired: 2,
        ready,
        available: ready,
    })
}

#[test]
fn a_baseline_needs_an_autoscaler_that_is_active_and_at_its_minimum() {
    const ACTIVE: &str = "ScalingActive=True(ValidMetricFound)";
    let rest = |goal, kinds| at_rest(&plan("images", &[goal]), &log(kinds));
    assert_eq!(rest(up(6, 30), vec![ready(2), seen(2, 2, ACTIVE)]), Ok(()));
    let refused = |goal, kinds| rest(goal, kinds).unwrap_err();
    assert!(refused(up(6, 30), vec![]).contains("has not been seen yet"));
    let blind = seen(2, 2, "ScalingActive=False(FailedGetResourceMetric)");
    assert!(
        refused(up(6, 30), vec![blind])
            .contains("is not active: ScalingActive=False(FailedGetResourceMetric)")
    );
    assert!(refused(up(6, 30), vec![seen(4, 4, ACTIVE)]).contains("has 4 replicas, not its minimum of 2"));
    assert!(refused(up(6, 30), vec![seen(2, 4, ACTIVE)]).contains("is scaling: 2 replicas of 4"));
    assert!(refused(up(6, 30), vec![ready(1), seen(2, 2, ACTIVE)]).contains("of which 1 are ready"));
    let EventKind::AutoscalerObserved(there) = seen(2, 2, ACTIVE) else { unreachable!() };
    let gone = EventKind::AutoscalerObserved(ObservedAutoscaler { exists: false, ..there });
    assert!(refused(up(6, 30), vec![seen(2, 2, ACTIVE), gone]).contains("was deleted"));
    // Whose scaling up is not what is to be proven may have more than the minimum, at rest.
    assert_eq!(rest(down(None, 60), vec![seen(4, 4, ACTIVE)]), Ok(()));
}
