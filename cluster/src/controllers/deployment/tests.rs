//! Tables and properties of the pure rules.

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
    jiff::Timestamp,
};
use kube::ResourceExt;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{
    annotations,
    plan::{ScaleTo, Size, Target, fenceposts, is_scaling_event, new_replicas, rolling_update, scale},
    status,
};

fn target(replicas: i32, max_surge: i32, max_unavailable: i32) -> Target {
    Target { replicas, max_surge, max_unavailable, rolling: true }
}

fn size(name: &str, replicas: i32, available: i32) -> Size {
    Size { name: name.into(), created: None, replicas, actual: replicas, available, desired: None, max: None }
}

fn steps(steps: Vec<ScaleTo>) -> Vec<(String, i32)> {
    steps.into_iter().map(|step| (step.name, step.replicas)).collect()
}

#[test]
fn surge_is_rounded_up_and_unavailable_down() {
    let percent = |text: &str| Some(IntOrString::String(text.into()));
    let number = |number| Some(IntOrString::Int(number));
    // From the documentation and Kubernetes' TestResolveFenceposts.
    let table = [
        (percent("0%"), percent("0%"), 10, (0, 1)),
        (percent("39%"), percent("39%"), 10, (4, 3)),
        (percent("0%"), percent("39%"), 10, (0, 3)),
        (percent("39%"), percent("0%"), 10, (4, 0)),
        (percent("25%"), percent("25%"), 10, (3, 2)),
        (percent("25%"), percent("25%"), 1, (1, 0)),
        (percent("25%"), percent("25%"), 3, (1, 0)),
        (percent("25%"), percent("25%"), 0, (0, 1)),
        (number(2), number(1), 10, (2, 1)),
        (number(0), percent("10%"), 5, (0, 1)),
        (percent("100%"), percent("100%"), 3, (3, 3)),
        (None, None, 4, (1, 1)),
    ];
    for (surge, unavailable, replicas, expected) in table {
        assert_eq!(
            fenceposts(surge.as_ref(), unavailable.as_ref(), replicas),
            expected,
            "{surge:?} {unavailable:?} {replicas}"
        );
    }
}

#[test]
fn the_new_replica_set_grows_as_far_as_the_surge_allows() {
    // Deployment replicas, surge, new, old, expected: Kubernetes' TestDeploymentController_reconcileNewReplicaSet.
    let table = [
        (10, 0, 0, 10, 0),
        (10, 2, 0, 10, 2),
        (10, 2, 0, 5, 7),
        (10, 2, 0, 10, 2),
        (10, 0, 0, 5, 5),
        (10, 2, 10, 2, 10),
        (3, 1, 2, 1, 3),
    ];
    for (replicas, surge, new, old, expected) in table {
        let grown = new_replicas(&target(replicas, surge, 0), new, new + old);
        assert_eq!(grown, expected, "{replicas} {surge} {new} {old}");
    }
    let recreate = Target { rolling: false, ..target(4, 0, 0) };
    assert_eq!(new_replicas(&recreate, 0, 9), 4);
}

#[test]
fn old_replica_sets_shrink_as_far_as_the_minimum_allows() {
    // Replicas, max unavailable, (old, ready), (new, ready), expected old size: TestDeploymentController_reconcileOldReplicaSets.
    let table = [
        (10, 0, (10, 10), (0, 0), None),
        (10, 2, (10, 10), (0, 0), Some(8)),
        // Unhealthy ones go first.
        (10, 2, (10, 8), (0, 0), Some(8)),
        (10, 2, (10, 9), (0, 0), Some(8)),
        // New pods that are not ready yet hold the old ones.
        (10, 2, (8, 8), (2, 0), None),
        (10, 2, (8, 8), (2, 2), Some(6)),
        // Nor do unavailable old ones go: they may be all that is about to be available.
        (10, 2, (8, 0), (2, 0), None),
        (10, 2, (8, 0), (2, 2), Some(6)),
    ];
    for (replicas, unavailable, old, new, expected) in table {
        let (old, new) = (size("old", old.0, old.1), size("new", new.0, new.1));
        // Surge 0 and the new one as large as it may be: only the old one can move.
        let mut moves = target(replicas, 0, unavailable);
        moves.max_surge = old.replicas + new.replicas - replicas;
        let planned = steps(rolling_update(&moves, &new, std::slice::from_ref(&old)));
        let last = planned.last().map(|(_, size)| *size);
        assert_eq!(last, expected, "{replicas} {unavailable} {old:?} {new:?}: {planned:?}");
        assert!(planned.iter().all(|(name, _)| name == "old"));
    }
}

#[test]
fn a_change_of_size_during_a_rollout_is_shared_in_proportion() {
    let active = |name: &str, replicas, created: &str| Size {
        created: Some(created.parse().unwrap()),
        desired: Some(10),
        max: Some(13),
        ..size(name, replicas, replicas)
    };
    let (old, new) = (active("old", 8, "2026-01-01T00:00:00Z"), active("new", 5, "2026-01-01T01:00:00Z"));
    // The example of the documentation: 10 + surge 3 becomes 15 + surge 3; the five go 3 to the larger and 2 to the smaller one.
    let grown = scale(&target(15, 3, 2), Some(&new), std::slice::from_ref(&old), 13);
    assert_eq!(steps(grown), [("old".into(), 11), ("new".into(), 7)]);
    let shrunk = scale(&target(5, 2, 1), Some(&new), std::slice::from_ref(&old), 13);
    assert_eq!(steps(shrunk), [("old".into(), 4), ("new".into(), 3)]);
    let gone = scale(&target(0, 0, 0), Some(&new), std::slice::from_ref(&old), 13);
    assert_eq!(steps(gone), [("old".into(), 0), ("new".into(), 0)]);
}

#[test]
fn a_single_replica_set_takes_the_whole_change() {
    let new = size("new", 3, 3);
    assert_eq!(steps(scale(&target(7, 2, 1), Some(&new), &[], 3)), [("new".into(), 7)]);
    assert_eq!(steps(scale(&target(3, 1, 0), Some(&new), &[], 3)), []);
    // From zero: the current template, not an old one.
    let (new, old) = (size("new", 0, 0), size("old", 0, 0));
    assert_eq!(steps(scale(&target(2, 1, 0), Some(&new), &[old], 0)), [("new".into(), 2)]);
}

#[test]
fn a_saturated_new_replica_set_ends_the_old_ones() {
    let new = Size { desired: Some(5), ..size("new", 5, 5) };
    assert_eq!(steps(scale(&target(5, 1, 1), Some(&new), &[size("old", 2, 2)], 7)), [("old".into(), 0)]);
}

#[test]
fn only_another_desired_size_is_a_scaling_event() {
    let noted = |desired, replicas| Size { desired: Some(desired), ..size("a", replicas, 0) };
    assert!(is_scaling_event(&target(5, 1, 1), &[noted(3, 3)]));
    assert!(!is_scaling_event(&target(5, 1, 1), &[noted(5, 3)]));
    assert!(!is_scaling_event(&target(5, 1, 1), &[noted(3, 0)]), "an empty one does not count");
}

fn deployment(extra: Value) -> Deployment {
    let mut object = json!({
        "metadata": { "name": "web", "generation": 2 },
        "spec": { "replicas": 3, "selector": {}, "template": {}, "progressDeadlineSeconds": 60 },
    });
    for (key, value) in extra.as_object().unwrap() {
        object[key] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn replica_set(name: &str, replicas: i32, available: i32) -> ReplicaSet {
    serde_json::from_value(json!({
        "metadata": { "name": name },
        "spec": { "replicas": replicas, "selector": {} },
        "status": { "replicas": replicas, "readyReplicas": available, "availableReplicas": available, "terminatingReplicas": 1 },
    }))
    .unwrap()
}

fn progressing(reason: &str, updated: &str) -> Value {
    json!({ "observedGeneration": 2, "replicas": 3, "updatedReplicas": 1, "conditions": [{
        "type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": updated, "lastTransitionTime": updated,
    }] })
}

#[test]
fn a_rollout_that_does_not_move_times_out_and_not_before() {
    let deployment =
        deployment(json!({ "status": progressing("ReplicaSetUpdated", "2026-01-01T12:00:00Z") }));
    let (new, old) = (replica_set("new", 1, 0), replica_set("old", 2, 2));
    let mut unmoved = old.clone();
    unmoved.status.as_mut().unwrap().ready_replicas = None;
    unmoved.status.as_mut().unwrap().available_replicas = None;
    let all = [unmoved, new.clone()];
    let reason = |at: &str| {
        let status = status::rollout(&deployment, &all, Some(&new), at.parse().unwrap());
        status::condition(&status, status::PROGRESSING).unwrap().reason.clone().unwrap()
    };
    assert_eq!(reason("2026-01-01T12:01:00Z"), "ReplicaSetUpdated");
    assert_eq!(reason("2026-01-01T12:01:01Z"), "ProgressDeadlineExceeded");
    let wait = |at: &str| {
        status::check_deadline_in(
            &deployment,
            deployment.status.as_ref().unwrap(),
            at.parse::<Timestamp>().unwrap(),
        )
        .unwrap()
    };
    assert_eq!(wait("2026-01-01T12:00:30Z").as_millis(), 30_001);
}

#[test]
fn a_complete_rollout_stays_complete_when_pods_get_unready() {
    let mut status = progressing("NewReplicaSetAvailable", "2026-01-01T12:00:00Z");
    status["updatedReplicas"] = json!(3);
    let deployment = deployment(json!({ "status": status }));
    let set = replica_set("new", 3, 1);
    let now = "2026-01-01T13:00:00Z".parse().unwrap();
    let status = status::rollout(&deployment, std::slice::from_ref(&set), Some(&set), now);
    assert_eq!(
        status::condition(&status, status::PROGRESSING).unwrap().reason.as_deref(),
        Some("NewReplicaSetAvailable")
    );
    assert_eq!(status::condition(&status, "Available").unwrap().status.as_deref(), Some("False"));
    assert_eq!((status.unavailable_replicas, status.terminating_replicas), (Some(2), Some(1)));
}

#[test]
fn a_rollback_raises_the_revision_and_keeps_the_history() {
    let deployment = deployment(json!({}));
    let mut set = replica_set("a", 1, 1);
    assert!(annotations::inherit(&mut set, &deployment, 1));
    assert!(!annotations::inherit(&mut set, &deployment, 1));
    assert!(annotations::inherit(&mut set, &deployment, 3));
    assert!(annotations::inherit(&mut set, &deployment, 5));
    assert_eq!(set.annotations()[annotations::REVISION], "5");
    assert_eq!(set.annotations()[annotations::REVISION_HISTORY], "1,3");
    assert!(!annotations::inherit(&mut set, &deployment, 2), "a revision never falls");
}

/// A world of pods: each ReplicaSet has some, of which some are available; pods come and get ready in any order.
#[derive(Clone, Debug)]
struct Pods {
    target: Target,
    new: Size,
    old: Vec<Size>,
}

impl Pods {
    fn all(&self) -> impl Iterator<Item = &Size> {
        self.old.iter().chain([&self.new])
    }

    fn available(&self) -> i32 {
        self.all().map(|size| size.available.min(size.replicas)).sum()
    }

    fn apply(&mut self, steps: Vec<ScaleTo>) {
        for step in steps {
            let size =
                self.old.iter_mut().chain([&mut self.new]).find(|size| size.name == step.name).unwrap();
            size.replicas = step.replicas;
        }
    }

    /// The ReplicaSet controller did its work: unavailable pods go first.
    fn settle(&mut self) {
        for size in self.old.iter_mut().chain([&mut self.new]) {
            size.actual = size.replicas;
            size.available = size.available.min(size.replicas);
        }
    }

    fn done(&self) -> bool {
        self.new.replicas == self.target.replicas && self.old.iter().all(|size| size.replicas == 0)
    }
}

fn pods() -> impl Strategy<Value = Pods> {
    let sizes = prop::collection::vec((0..12_i32, 0..12_i32), 0..4);
    (0..20_i32, 0..6_i32, 0..6_i32, sizes).prop_map(|(replicas, surge, unavailable, sizes)| {
        let (surge, unavailable) = if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) };
        let old = sizes.iter().enumerate().map(|(at, (replicas, available))| {
            size(&format!("old-{at}"), *replicas, *available.min(replicas))
        });
        let target = target(replicas, surge, unavailable.min(replicas));
        Pods { target, new: size("new", 0, 0), old: old.collect() }
    })
}

proptest! {
    /// Whatever the order in which pods get ready, a rollout never goes above replicas + surge, never lowers the availability below
    /// the minimum, and ends.
    #[test]
    fn a_rollout_keeps_its_bounds_and_ends(mut world in pods(), readiness in prop::collection::vec(0..4_i32, 400)) {
        let started_with: i32 = world.all().map(|size| size.replicas).sum();
        for ready in readiness {
            let before = world.available();
            let steps = rolling_update(&world.target, &world.new, &world.old);
            world.apply(steps);
            let total: i32 = world.all().map(|size| size.replicas).sum();
            prop_assert!(total <= world.target.max_total().max(started_with), "{total} pods: {world:?}");
            let minimum = world.target.min_available();
            prop_assert!(world.available() >= minimum.min(before), "{} available: {world:?}", world.available());
            world.settle();
            if world.done() {
                return Ok(());
            }
            // Some pods of the new template get ready; of a zero, at least the world is looked at again.
            let missing = world.new.replicas - world.new.available;
            world.new.available += ready.min(missing);
        }
        // The random readiness was too slow: let all get ready, then it must end within a few steps.
        for _ in 0..200 {
            world.new.available = world.new.replicas;
            let steps = rolling_update(&world.target, &world.new, &world.old);
            world.apply(steps);
            world.settle();
        }
        prop_assert!(world.done(), "stuck: {world:?}");
    }

    /// Proportional scaling gives the Deployment exactly what it may have, and nothing negative.
    #[test]
    fn scaling_during_a_rollout_adds_up(
        (replicas, surge) in (0..40_i32, 0..5_i32),
        parts in prop::collection::vec(1..15_i32, 2..5),
    ) {
        let target = target(replicas, surge, 1.min(replicas));
        // A rollout that used its whole surge when the Deployment was scaled.
        let before: i32 = parts.iter().sum();
        let noted = |(at, replicas): (usize, &i32)| Size {
            desired: Some(before - surge), max: Some(before), ..size(&format!("set-{at}"), *replicas, 0)
        };
        let mut sets: Vec<Size> = parts.iter().enumerate().map(noted).collect();
        let new = sets.pop().unwrap();
        let mut world = Pods { target, new, old: sets };
        world.apply(scale(&target, Some(&world.new), &world.old, before));
        let total: i32 = world.all().map(|size| size.replicas).sum();
        prop_assert!(world.all().all(|size| size.replicas >= 0));
        let allowed = if replicas > 0 { target.max_total() } else { 0 };
        prop_assert_eq!(total, allowed);
    }
}
