//! Pods, Deployments, autoscalers, Events, usage.

use harness_engine::{EVENT_OBSERVER, POD_OBSERVER, Scope, USAGE_OBSERVER};
use harness_event::{
    EventKind, ObservedPod, Outcome, PodUsage, Verdict,
    verdict::testkit::{self, passing_run},
};
use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        autoscaling::v2::HorizontalPodAutoscaler,
        core::v1::{Event, Namespace, Pod},
    },
    serde_json::{Value, json},
};
use kube::Api;

use super::{Fixture, namespace};

fn pod(name: &str) -> Value {
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-7d4f", "uid": "0b1d", "controller": true,
    });
    json!({
        "metadata": { "name": name, "labels": { "pod-template-hash": "7d4f" }, "ownerReferences": [owner] },
        "spec": { "nodeName": "node-1", "containers": [{ "name": "web", "image": "pause" }] },
    })
}

fn status(ready: bool, restarts: i32) -> Value {
    let state = if ready { "True" } else { "False" };
    json!({
        "phase": "Running",
        "conditions": [{ "type": "Ready", "status": state, "message": if ready { "" } else { "not yet" } }],
        "containerStatuses": [{ "name": "web", "image": "", "imageID": "", "ready": ready, "restartCount": restarts,
                                "state": { "running": {} } }],
    })
}

fn of(kind: &EventKind) -> Option<&ObservedPod> {
    match kind {
        EventKind::PodObserved(seen) => Some(seen),
        _ => None,
    }
}

#[tokio::test]
async fn pods_are_seen_in_full_and_only_when_something_changes() {
    let fixture = Fixture::new();
    fixture.create::<Pod>("default", pod("web-7d4f-a")).await;
    fixture.patch_status::<Pod>("default", "web-7d4f-a", status(false, 0)).await;
    let watch = fixture.watch(namespace("default"), None);
    let seen = fixture.fact("the pod", |kind| of(kind).cloned()).await;
    assert_eq!((seen.namespace.as_str(), seen.pod.as_str()), ("default", "web-7d4f-a"));
    assert_eq!((seen.ready, seen.ready_containers, seen.containers), (false, 0, 1));
    assert_eq!(seen.owner.as_deref(), Some("deployment/web"));
    assert_eq!(seen.node.as_deref(), Some("node-1"));
    assert_eq!(seen.message.as_deref(), Some("not yet"));
    assert!(seen.created_at.is_some());
    fixture.patch_status::<Pod>("default", "web-7d4f-a", status(true, 1)).await;
    let ready = |kind: &EventKind| of(kind).filter(|seen| seen.ready && seen.restarts == 1).cloned();
    assert_eq!(fixture.fact("the ready pod", ready).await.message, None);
    // A change that nobody cares about is none.
    let label = kube::api::Patch::Merge(json!({ "metadata": { "labels": { "x": "y" } } }));
    fixture.api::<Pod>("default").patch("web-7d4f-a", &Default::default(), &label).await.unwrap();
    let now = kube::api::DeleteParams::default().grace_period(0);
    fixture.api::<Pod>("default").delete("web-7d4f-a", &now).await.unwrap();
    let gone = fixture.fact("its end", |kind| of(kind).filter(|seen| seen.gone).cloned()).await;
    assert_eq!((gone.ready, gone.ready_containers, gone.restarts), (false, 0, 1));
    fixture.end(watch).await;
    let ready_again = fixture.count(|kind| of(kind).is_some_and(|seen| seen.ready));
    assert_eq!(ready_again, 1, "{:#?}", fixture.kinds());
}

#[tokio::test]
async fn in_all_namespaces_names_are_not_mixed_up() {
    let fixture = Fixture::new();
    let deployment = json!({
        "metadata": { "name": "web" },
        "spec": { "replicas": 2, "selector": { "matchLabels": { "app": "web" } },
                  "template": { "metadata": { "labels": { "app": "web" } },
                                "spec": { "containers": [{ "name": "web", "image": "pause" }] } } },
    });
    let autoscaler = json!({
        "metadata": { "name": "web" },
        "spec": { "maxReplicas": 5, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" } },
    });
    let namespaces: Api<Namespace> = Api::all(fixture.client());
    for name in ["one", "two"] {
        let object = k8s_openapi::serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        namespaces.create(&Default::default(), &object).await.unwrap();
        fixture.create::<Pod>(name, pod("web-7d4f-a")).await;
        fixture.create::<Deployment>(name, deployment.clone()).await;
        fixture.create::<HorizontalPodAutoscaler>(name, autoscaler.clone()).await;
    }
    let watch = fixture.watch(Scope::All, None);
    for name in ["one", "two"] {
        fixture.fact("the pod", |kind| of(kind).filter(|seen| seen.namespace == name).map(drop)).await;
        let full = format!("{name}/web");
        let workload = |kind: &EventKind| {
            matches!(kind, EventKind::WorkloadObserved(seen) if seen.workload.name == full && seen.desired == 2).then_some(())
        };
        fixture.fact("the Deployment", workload).await;
        let autoscaled = |kind: &EventKind| {
            matches!(kind, EventKind::AutoscalerObserved(seen) if seen.autoscaler == full && seen.target.name == full).then_some(())
        };
        fixture.fact("the autoscaler", autoscaled).await;
    }
    fixture.end(watch).await;
}

#[tokio::test]
async fn events_from_now_on_are_seen_and_old_ones_are_not() {
    let fixture = Fixture::new();
    let event = |name: &str, count: i32| {
        json!({
            "metadata": { "name": name }, "type": "Warning", "reason": "BackOff", "count": count,
            "message": "back-off restarting, token=hunter2", "lastTimestamp": "2026-11-21T10:00:00Z",
            "involvedObject": { "kind": "Pod", "name": "web-1", "namespace": "default" },
        })
    };
    fixture.create::<Event>("default", event("old", 1)).await;
    let watch = fixture.watch(namespace("default"), None);
    // The pod is seen after the first list of pods; Events have theirs at about the same time, so new ones are made until one comes.
    fixture.create::<Pod>("default", pod("web-7d4f-a")).await;
    fixture.fact("the pod", |kind| of(kind).map(drop)).await;
    let seen = |kind: &EventKind| match kind {
        EventKind::ClusterEventSeen(seen) => Some(seen.clone()),
        _ => None,
    };
    for number in 0.. {
        fixture.create::<Event>("default", event(&format!("new-{number}"), 1)).await;
        let soon =
            tokio::time::timeout(std::time::Duration::from_millis(300), fixture.fact("an Event", seen));
        if let Ok(first) = soon.await {
            assert_eq!(
                (first.object.as_str(), first.reason.as_str(), first.count),
                ("pod/web-1", "BackOff", 1)
            );
            assert_eq!(first.message, "back-off restarting, token=[redacted]");
            break;
        }
        assert!(number < 50, "no Event is seen");
    }
    // An old one that happens again is news.
    let again = kube::api::Patch::Merge(json!({ "count": 7 }));
    fixture.api::<Event>("default").patch("old", &Default::default(), &again).await.unwrap();
    fixture.fact("the old Event, again", |kind| seen(kind).filter(|event| event.count == 7)).await;
    fixture.end(watch).await;
    let old = |kind: &EventKind| seen(kind).is_some_and(|event| event.count == 1);
    let new = fixture.count(old);
    let made = fixture.api::<Event>("default").list(&Default::default()).await.unwrap().items.len() - 1;
    assert!(new <= made, "{new} seen, {made} made");
}

#[tokio::test]
async fn usage_is_read_where_it_is_served_and_an_outage_is_told_once() {
    let fixture = Fixture::new();
    let list = |cpu: &str| {
        json!({ "items": [{ "metadata": { "name": "web-1", "namespace": "default" },
                            "containers": [{ "name": "web", "usage": { "cpu": cpu, "memory": "64Mi" } }] }] })
    };
    *fixture.usage.pods.lock().unwrap() = Some(list("250m"));
    let watch = fixture.watch(namespace("default"), None);
    let measured = |millicores: u64| {
        move |kind: &EventKind| match kind {
            EventKind::PodsMeasured { pods, .. } => {
                pods.first().filter(|pod| pod.cpu_millicores == millicores).cloned()
            }
            _ => None,
        }
    };
    let wanted = PodUsage {
        namespace: "default".into(),
        pod: "web-1".into(),
        cpu_millicores: 250,
        memory_bytes: 64 << 20,
    };
    assert_eq!(fixture.fact("usage", measured(250)).await, wanted);
    let is_outage = |kind: &EventKind| matches!(kind, EventKind::ObserverFailed { observer, .. } if observer == USAGE_OBSERVER);
    fixture.usage.broken.store(true, std::sync::atomic::Ordering::Relaxed);
    fixture.fact("the outage", |kind| is_outage(kind).then_some(())).await;
    *fixture.usage.pods.lock().unwrap() = Some(list("300m"));
    fixture.usage.broken.store(false, std::sync::atomic::Ordering::Relaxed);
    fixture.fact("usage again", measured(300)).await;
    fixture.end(watch).await;
    assert_eq!(fixture.count(is_outage), 1);
    let back = |kind: &EventKind| matches!(kind, EventKind::ObserverRecovered { observer } if observer == USAGE_OBSERVER);
    assert_eq!(fixture.count(back), 1);
    assert_eq!(fixture.count(|kind| measured(250)(kind).is_some()), 1, "what does not change is no news");
}

#[tokio::test]
async fn a_cluster_without_usage_has_no_outage() {
    let fixture = Fixture::new();
    let watch = fixture.watch(namespace("default"), None);
    fixture.create::<Pod>("default", pod("web-7d4f-a")).await;
    fixture.fact("the pod", |kind| of(kind).map(drop)).await;
    fixture.end(watch).await;
    let about_usage = |kind: &EventKind| matches!(kind, EventKind::ObserverFailed { observer, .. } if observer == USAGE_OBSERVER);
    assert_eq!(fixture.count(about_usage), 0);
}

/// They watch for people: whether they can or not, a verdict is the same.
#[test]
fn no_verdict_rests_on_what_is_watched_for_people() {
    let with = |more: EventKind| {
        let mut kinds = passing_run();
        let end = kinds.iter().position(|kind| matches!(kind, EventKind::Note { .. })).unwrap();
        kinds.insert(end, more);
        Verdict::of(&testkit::log(kinds))
    };
    for observer in [POD_OBSERVER, EVENT_OBSERVER, USAGE_OBSERVER] {
        let failed = EventKind::ObserverFailed { observer: observer.to_owned(), error: "forbidden".into() };
        assert_eq!(with(failed).outcome, Outcome::Passed, "{observer}");
    }
}
