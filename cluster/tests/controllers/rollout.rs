//! Deployments and ReplicaSets: orders of states as recorded.

use std::collections::HashMap;

use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet},
    core::v1::Pod,
};
use kube::{
    ResourceExt,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::fixture::{World, set_ready};

fn deployment(replicas: i32, image: &str, extra: Value) -> Value {
    let mut spec = json!({
        "replicas": replicas,
        "selector": { "matchLabels": { "app": "web" } },
        "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": {
                "terminationGracePeriodSeconds": 2,
                "containers": [{ "name": "main", "image": image, "ports": [{ "name": "http", "containerPort": 8080 }] }],
            },
        },
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    json!({ "metadata": { "name": "web", "labels": { "app": "web" } }, "spec": spec })
}

fn image(image: &str) -> Value {
    json!({ "spec": { "template": { "spec": { "containers": [{ "name": "main", "image": image }] } } } })
}

/// Replaces the hashes of ReplicaSets by their order of appearance and the random part of pod names by `*`.
struct Names {
    sets: HashMap<String, usize>,
    pattern: regex::Regex,
}

impl Names {
    fn new() -> Self {
        Self {
            sets: HashMap::new(),
            pattern: regex::Regex::new(r"\bweb-([a-z0-9]{6,10})(-[a-z0-9]{5})?\b").unwrap(),
        }
    }

    fn replace(&mut self, line: &str) -> String {
        let sets = &mut self.sets;
        let replaced = self.pattern.replace_all(line, |found: &regex::Captures<'_>| {
            let next = sets.len() + 1;
            let number = *sets.entry(found[1].to_owned()).or_insert(next);
            format!("web-RS{number}{}", if found.get(2).is_some() { "-*" } else { "" })
        });
        replaced.into_owned()
    }
}

/// Order of the Deployment's revisions, observed generations and conditions.
fn deployment_states(lines: &[String]) -> Vec<String> {
    let pattern = regex::Regex::new(r"deployment +(\w+) +web .*?gen=(\S+) .* rev=(\S+) conds=(.*)$").unwrap();
    let mut states: Vec<String> = Vec::new();
    for line in lines {
        let Some(found) = pattern.captures(line) else { continue };
        // The recorder prints every write; only changes count here.
        let state = format!("gen={} rev={} {}", &found[2], &found[3], found[4].trim_end());
        if states.last() != Some(&state) {
            states.push(state);
        }
    }
    states
}

/// Order of the deployment controller's events.
fn scaling_events(lines: &[String]) -> Vec<String> {
    let mut names = Names::new();
    let events = lines.iter().filter(|line| line.contains("ScalingReplicaSet"));
    events.map(|line| names.replace(&line[line.find('"').unwrap()..])).collect()
}

/// Order of sizes of each ReplicaSet.
fn sizes(lines: &[String]) -> Vec<String> {
    let pattern = regex::Regex::new(r"replicaset +\w+ +(\S+) .*?spec=(\d+)").unwrap();
    let mut names = Names::new();
    let mut last: HashMap<String, String> = HashMap::new();
    let mut sizes = Vec::new();
    for line in lines {
        let Some(found) = pattern.captures(line) else { continue };
        let (set, size) = (names.replace(&found[1]), found[2].to_owned());
        if last.insert(set.clone(), size.clone()).as_ref() != Some(&size) {
            sizes.push(format!("{set}={size}"));
        }
    }
    sizes
}

fn golden(name: &str) -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/watch").join(name);
    std::fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// The lines up to and excluding the first one that contains the text.
fn before(lines: &[String], text: &str) -> Vec<String> {
    lines.iter().take_while(|line| !line.contains(text)).cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_deployment_passes_through_the_recorded_states() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(3, "busybox", json!({}))).await;
    world.until_line("(NewReplicaSetAvailable)").await;
    let (seen, recorded) = (world.lines(), golden("01-deployment-create.txt"));
    assert_eq!(deployment_states(&seen), deployment_states(&recorded));
    assert_eq!(scaling_events(&seen), scaling_events(&recorded));
    assert_eq!(sizes(&seen), sizes(&recorded));
    let pods = world.list::<Pod>().await;
    assert_eq!(pods.len(), 3);
    let sets = world.list::<ReplicaSet>().await;
    for pod in pods {
        let hash = pod.labels()["pod-template-hash"].clone();
        assert_eq!(pod.owner_references()[0].uid, sets[0].uid().unwrap());
        assert!(pod.name_any().starts_with(&format!("web-{hash}-")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_update_scales_in_the_recorded_order() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(3, "busybox", json!({}))).await;
    world.until_line("(NewReplicaSetAvailable)").await;
    world.patch::<Deployment>("web", image("busybox:2")).await;
    world
        .until_line(
            "rev=2 conds=Available=True(MinimumReplicasAvailable),Progressing=True(NewReplicaSetAvailable)",
        )
        .await;
    let recorded = before(&golden("03-rollout-good.txt"), "kubectl set image");
    let seen = world.lines();
    assert_eq!(scaling_events(&seen), scaling_events(&recorded));
    assert_eq!(sizes(&seen), sizes(&recorded));
    assert_eq!(deployment_states(&seen), deployment_states(&recorded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_image_times_out_and_undo_gives_the_old_replica_set_the_next_revision() {
    let world = World::start().await;
    // Times are stored in whole seconds, so the deadline may pass up to a second early.
    let quick = json!({ "progressDeadlineSeconds": 3 });
    world.create::<Deployment>(deployment(3, "busybox", quick)).await;
    world.until_line("(NewReplicaSetAvailable)").await;
    let first = world.list::<ReplicaSet>().await[0].clone();
    world.patch::<Deployment>("web", image("broken")).await;
    world.until_line("Progressing=False(ProgressDeadlineExceeded)").await;
    let ready = world
        .list::<Pod>()
        .await
        .iter()
        .filter(|pod| pod.status.as_ref().unwrap().phase.as_deref() == Some("Running"))
        .count();
    assert_eq!(ready, 3, "the old pods stay");

    // What `kubectl rollout undo` sends.
    let mut template = serde_json::to_value(&first.spec.template).unwrap();
    template["metadata"]["labels"].as_object_mut().unwrap().remove("pod-template-hash");
    let patch =
        serde_json::from_value(json!([{ "op": "replace", "path": "/spec/template", "value": template }]))
            .unwrap();
    let api = world.api::<Deployment>();
    api.patch("web", &PatchParams::default(), &Patch::<()>::Json(patch)).await.unwrap();
    world
        .until_line(
            "rev=3 conds=Available=True(MinimumReplicasAvailable),Progressing=True(NewReplicaSetAvailable)",
        )
        .await;

    let (seen, recorded) = (world.lines(), golden("04-rollout-bad-image-undo.txt"));
    assert_eq!(scaling_events(&seen), scaling_events(&recorded));
    assert_eq!(sizes(&seen), sizes(&recorded));
    assert_eq!(deployment_states(&seen), deployment_states(&recorded));
    let sets = world.list::<ReplicaSet>().await;
    assert_eq!(sets.len(), 2, "undo creates no ReplicaSet");
    let restored = sets.iter().find(|set| set.name_any() == first.name_any()).unwrap();
    assert_eq!(restored.annotations()["deployment.kubernetes.io/revision"], "3");
    assert_eq!(restored.annotations()["deployment.kubernetes.io/revision-history"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn recreate_waits_for_the_old_pods() {
    let world = World::start().await;
    let recreate = json!({ "strategy": { "type": "Recreate" } });
    world.create::<Deployment>(deployment(2, "busybox", recreate)).await;
    world.until_line("(NewReplicaSetAvailable)").await;
    world.patch::<Deployment>("web", image("busybox:2")).await;
    world
        .until_line(
            "rev=2 conds=Available=True(MinimumReplicasAvailable),Progressing=True(NewReplicaSetAvailable)",
        )
        .await;
    let (seen, recorded) = (world.lines(), golden("18-recreate-strategy.txt"));
    assert_eq!(scaling_events(&seen), scaling_events(&recorded));
    assert_eq!(sizes(&seen), sizes(&recorded));
    assert_eq!(deployment_states(&seen), deployment_states(&recorded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_pod_is_replaced_while_it_still_terminates() {
    let world = World::start().await;
    let mut object = deployment(1, "busybox", json!({}));
    object["spec"]["template"]["metadata"]["annotations"] = json!({ "test/linger": "yes" });
    world.create::<Deployment>(object).await;
    world.rolled_out("web").await;
    let first = world.list::<Pod>().await[0].name_any();
    world.api::<Pod>().delete(&first, &DeleteParams::default()).await.unwrap();
    let both = |pods: &[Pod]| {
        pods.len() == 2
            && pods.iter().all(|pod| pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some()))
    };
    world.until_pods("the old and the new one", both).await;
    world
        .until::<Deployment>("web", "counting the terminating pod", |deployment| {
            let status = deployment.and_then(|deployment| deployment.status.as_ref());
            status.is_some_and(|status| {
                status.terminating_replicas == Some(1) && status.available_replicas == Some(1)
            })
        })
        .await;
    world.patch::<Pod>(&first, json!({ "metadata": { "annotations": { "test/linger": null } } })).await;
    world.settled().await;
    assert_eq!(world.list::<Pod>().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_is_no_rollout_and_takes_pods_that_are_not_ready_first() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(2, "busybox", json!({}))).await;
    world.rolled_out("web").await;
    world.patch::<Deployment>("web", json!({ "spec": { "replicas": 5 } })).await;
    world.rolled_out("web").await;
    let victim = world.list::<Pod>().await[1].name_any();
    set_ready(&world, &victim, false).await;
    world
        .until::<Deployment>("web", "one short", |deployment| {
            deployment
                .and_then(|deployment| deployment.status.as_ref())
                .is_some_and(|status| status.ready_replicas == Some(4))
        })
        .await;
    world.patch::<Deployment>("web", json!({ "spec": { "replicas": 4 } })).await;
    world.rolled_out("web").await;
    world.settled().await;
    assert!(world.list::<Pod>().await.iter().all(|pod| pod.name_any() != victim));
    assert_eq!(world.list::<ReplicaSet>().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn scaling_passes_through_the_recorded_sizes() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(2, "busybox", json!({}))).await;
    world.rolled_out("web").await;
    for replicas in [5, 2] {
        world.patch::<Deployment>("web", json!({ "spec": { "replicas": replicas } })).await;
        world.rolled_out("web").await;
    }
    world.settled().await;
    world.until_line("from 5 to 2").await;
    let (seen, recorded) = (world.lines(), golden("02-scale-2-5-2.txt"));
    assert_eq!(scaling_events(&seen), scaling_events(&recorded));
    assert_eq!(sizes(&seen), sizes(&recorded));
    assert_eq!(deployment_states(&seen), deployment_states(&recorded));
}

/// A stale cache must not lead to a second creation: exactly as many pods are made as asked for.
#[tokio::test(flavor = "multi_thread")]
async fn no_pod_is_made_twice() {
    let world = World::start().await;
    let created = world.count_created_pods().await;
    world.create::<Deployment>(deployment(60, "busybox", json!({}))).await;
    world.rolled_out("web").await;
    world.patch::<Deployment>("web", json!({ "spec": { "replicas": 90 } })).await;
    world.rolled_out("web").await;
    assert_eq!(world.list::<Pod>().await.len(), 90);
    // The watch behind the count has seen the last pod when it has seen 90; one too many would be the next.
    world
        .create::<Pod>(json!({
            "metadata": { "name": "last" },
            "spec": { "containers": [{ "name": "main", "image": "busybox" }] },
        }))
        .await;
    assert_eq!(created.until("last").await, 91);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pod_is_available_only_after_min_ready_seconds() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(1, "busybox", json!({ "minReadySeconds": 2 }))).await;
    world
        .until::<Deployment>("web", "ready and not available", |deployment| {
            let status = deployment.and_then(|deployment| deployment.status.as_ref());
            status
                .is_some_and(|status| status.ready_replicas == Some(1) && status.available_replicas.is_none())
        })
        .await;
    world.rolled_out("web").await;
    let pod = world.list::<Pod>().await.remove(0);
    let ready = pod.status.unwrap().conditions.unwrap().into_iter().find(|c| c.type_ == "Ready").unwrap();
    let since = k8s_openapi::jiff::Timestamp::now().duration_since(ready.last_transition_time.unwrap().0);
    assert!(since.as_secs() >= 2, "{since}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_deployment_does_not_roll_until_it_is_resumed() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(2, "busybox", json!({}))).await;
    world.rolled_out("web").await;
    world.patch::<Deployment>("web", json!({ "spec": { "paused": true } })).await;
    world.until_line("Progressing=Unknown(DeploymentPaused)").await;
    world.patch::<Deployment>("web", image("busybox:2")).await;
    world.patch::<Deployment>("web", json!({ "spec": { "replicas": 3 } })).await;
    // Scaling still works, which also shows that the new template was looked at.
    world
        .until::<Deployment>("web", "scaled", |deployment| {
            let status = deployment.and_then(|deployment| deployment.status.as_ref());
            status.is_some_and(|status| status.ready_replicas == Some(3))
        })
        .await;
    assert_eq!(world.list::<ReplicaSet>().await.len(), 1);
    world.patch::<Deployment>("web", json!({ "spec": { "paused": false } })).await;
    world.rolled_out("web").await;
    assert_eq!(world.list::<ReplicaSet>().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_replica_sets_beyond_the_history_limit_are_deleted() {
    let world = World::start().await;
    world.create::<Deployment>(deployment(1, "busybox", json!({ "revisionHistoryLimit": 1 }))).await;
    world.rolled_out("web").await;
    for version in 2..=4 {
        world.patch::<Deployment>("web", image(&format!("busybox:{version}"))).await;
        world.rolled_out("web").await;
    }
    world.until_listed::<ReplicaSet>("cleaned up", |sets| sets.len() == 2).await;
    let mut revisions: Vec<_> = world
        .list::<ReplicaSet>()
        .await
        .iter()
        .map(|set| set.annotations()["deployment.kubernetes.io/revision"].clone())
        .collect();
    revisions.sort();
    assert_eq!(revisions, ["3", "4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_are_adopted_and_pods_that_no_longer_match_released() {
    let world = World::start().await;
    let orphan = json!({
        "metadata": { "name": "orphan", "labels": { "app": "db" } },
        "spec": { "containers": [{ "name": "main", "image": "busybox" }] },
    });
    world.create::<Pod>(orphan.clone()).await;
    let template = json!({ "metadata": { "labels": { "app": "db" } }, "spec": orphan["spec"] });
    let spec = json!({ "replicas": 2, "selector": { "matchLabels": { "app": "db" } }, "template": template });
    let set: ReplicaSet = world.create(json!({ "metadata": { "name": "db" }, "spec": spec })).await;
    let owned = |pod: &Pod| pod.owner_references().iter().any(|owner| Some(&owner.uid) == set.uid().as_ref());
    world.until_pods("two, both owned", |pods| pods.len() == 2 && pods.iter().all(owned)).await;
    world.patch::<Pod>("orphan", json!({ "metadata": { "labels": { "app": "other" } } })).await;
    world
        .until_pods("two owned and the orphan free", |pods| {
            pods.len() == 3 && pods.iter().filter(|pod| owned(pod)).count() == 2
        })
        .await;
}
