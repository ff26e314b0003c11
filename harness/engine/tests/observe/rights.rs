//! The roles of `deploy/rbac` are enough, and none of them is needed.

use harness_engine::{
    EVENT_OBSERVER, LogOf, POD_OBSERVER, Scope, Tail, USAGE_OBSERVER, describe_pod, read_pod_log,
};
use harness_event::EventKind;
use k8s_openapi::{
    api::{
        apps::v1::Deployment, autoscaling::v2::HorizontalPodAutoscaler, core::v1::Event,
        policy::v1::PodDisruptionBudget,
    },
    serde_json::json,
};

use super::{Fixture, logs, namespace, support::rbac::Rights};

#[tokio::test]
async fn the_role_for_a_watch_is_enough_and_only_reads() {
    let rights = Rights::of(&["watch.yaml"]);
    assert!(
        rights.verbs().iter().all(|verb| ["get", "list", "watch"].contains(verb)),
        "{:?}",
        rights.verbs()
    );
    for scope in [namespace("default"), Scope::All] {
        let fixture = Fixture { rights: Some(rights.clone()), ..Fixture::new() };
        let pod = logs::running(&fixture, "web", 1).await;
        logs::write(&fixture, &pod, 1, &["hello"]);
        let template = json!({ "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [{ "name": "web", "image": "pause" }] } });
        let selector = json!({ "matchLabels": { "app": "web" } });
        let spec = json!({ "replicas": 1, "selector": selector, "template": template });
        fixture.create::<Deployment>("default", json!({ "metadata": { "name": "web" }, "spec": spec })).await;
        let target = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" });
        let spec = json!({ "maxReplicas": 3, "scaleTargetRef": target });
        fixture
            .create::<HorizontalPodAutoscaler>(
                "default",
                json!({ "metadata": { "name": "web" }, "spec": spec }),
            )
            .await;
        let spec = json!({ "minAvailable": 1, "selector": selector });
        fixture
            .create::<PodDisruptionBudget>("default", json!({ "metadata": { "name": "web" }, "spec": spec }))
            .await;
        let usage =
            json!({ "items": [{ "metadata": { "name": "web", "namespace": "default" }, "containers": [] }] });
        *fixture.usage.pods.lock().unwrap() = Some(usage);
        let watch = fixture.watch(scope, None);
        let kinds: [fn(&EventKind) -> bool; 5] = [
            |kind| matches!(kind, EventKind::PodObserved(_)),
            |kind| matches!(kind, EventKind::WorkloadObserved(_)),
            |kind| matches!(kind, EventKind::AutoscalerObserved(_)),
            |kind| matches!(kind, EventKind::BudgetObserved(_)),
            |kind| matches!(kind, EventKind::PodsMeasured { .. }),
        ];
        for (place, is) in kinds.into_iter().enumerate() {
            fixture.fact(&format!("fact {place}"), |kind| is(kind).then_some(())).await;
        }
        // An Event that happens again and again is seen at some time, and then its watch stands.
        for number in 0.. {
            let about = json!({ "kind": "Pod", "name": "web", "namespace": "default" });
            let event = json!({ "metadata": { "name": format!("e{number}") }, "reason": "R", "involvedObject": about });
            fixture.create::<Event>("default", event).await;
            if fixture.count(|kind| matches!(kind, EventKind::ClusterEventSeen(_))) > 0 {
                break;
            }
            assert!(number < 1000, "no Event is seen");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let client = fixture.restricted();
        assert!(describe_pod(&client, "default", "web").await.unwrap().contains("Events:"));
        let of = LogOf { namespace: "default".into(), pod: "web".into(), container: None, previous: false };
        let log = read_pod_log(&client, &of, Tail::EXCERPT, "asked for").await;
        assert_eq!((log.lines.len(), log.error), (1, None));
        fixture.end(watch).await;
        let failed = |kind: &EventKind| matches!(kind, EventKind::ObserverFailed { observer, .. } if observer != harness_engine::monitor::ALERT_WATCH);
        assert_eq!(fixture.count(failed), 0, "{:?}", fixture.kinds());
    }
    assert_eq!(rights.refused(), Vec::<String>::new());
}

#[tokio::test]
async fn without_any_right_each_part_says_so_once_and_nothing_ends() {
    let fixture = Fixture { rights: Some(Rights::default()), ..Fixture::new() };
    *fixture.usage.pods.lock().unwrap() = Some(json!({ "items": [] }));
    let watch = fixture.watch(namespace("default"), None);
    let failed = |name: &'static str| {
        move |kind: &EventKind| {
            matches!(kind, EventKind::ObserverFailed { observer, .. } if observer == name).then_some(())
        }
    };
    let observers = [
        POD_OBSERVER,
        EVENT_OBSERVER,
        USAGE_OBSERVER,
        EventKind::WORKLOAD_OBSERVER,
        EventKind::AUTOSCALER_OBSERVER,
        EventKind::BUDGET_OBSERVER,
    ];
    for observer in observers {
        fixture.fact(observer, failed(observer)).await;
    }
    assert!(describe_pod(&fixture.restricted(), "default", "web").await.unwrap_err().contains("forbidden"));
    fixture.end(watch).await;
    for observer in observers {
        assert_eq!(fixture.count(|kind| failed(observer)(kind).is_some()), 1, "{observer}");
    }
}
