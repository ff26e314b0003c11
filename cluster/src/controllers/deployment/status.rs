//! Status of a Deployment: counts and conditions. Pure; the rules and texts are Kubernetes'.

use std::time::Duration;

use k8s_openapi::{
    api::apps::v1::{Deployment, DeploymentCondition, DeploymentStatus, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::plan::{Target, replicas_of};

/// Condition types.
pub const PROGRESSING: &str = "Progressing";
const AVAILABLE: &str = "Available";
const REPLICA_FAILURE: &str = "ReplicaFailure";

/// Reasons of `Progressing`.
pub const NEW_REPLICA_SET_CREATED: &str = "NewReplicaSetCreated";
/// See [`NEW_REPLICA_SET_CREATED`].
pub const FOUND_NEW_REPLICA_SET: &str = "FoundNewReplicaSet";
/// See [`NEW_REPLICA_SET_CREATED`].
pub const REPLICA_SET_CREATE_ERROR: &str = "ReplicaSetCreateError";
/// The rollout is complete.
pub const AVAILABLE_REASON: &str = "NewReplicaSetAvailable";
/// The rollout did not progress in time.
pub const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const UPDATED: &str = "ReplicaSetUpdated";
const PAUSED: &str = "DeploymentPaused";
const RESUMED: &str = "DeploymentResumed";

/// Default of `spec.progressDeadlineSeconds`.
const DEFAULT_DEADLINE: i32 = 600;

/// The progress deadline; `None` if there is none (the largest number means "never").
pub fn progress_deadline(deployment: &Deployment) -> Option<Duration> {
    let seconds = deployment.spec.progress_deadline_seconds.unwrap_or(DEFAULT_DEADLINE);
    (seconds != i32::MAX).then(|| Duration::from_secs(seconds.unsigned_abs().into()))
}

/// The condition of that type.
pub fn condition<'a>(status: &'a DeploymentStatus, type_: &str) -> Option<&'a DeploymentCondition> {
    status.conditions.iter().flatten().find(|condition| condition.type_.as_deref() == Some(type_))
}

/// A condition that changed now.
pub fn new_condition(
    type_: &str,
    status: &str,
    reason: &str,
    message: String,
    now: Timestamp,
) -> DeploymentCondition {
    DeploymentCondition {
        type_: Some(type_.to_owned()),
        status: Some(status.to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(message),
        last_update_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
    }
}

/// Sets a condition. The same status and reason again change nothing, not even the time; the same status keeps its transition
/// time. A changed condition moves to the end of the list.
pub fn set_condition(status: &mut DeploymentStatus, mut condition: DeploymentCondition) {
    let conditions = status.conditions.get_or_insert_default();
    if let Some(at) = conditions.iter().position(|present| present.type_ == condition.type_) {
        let present = &conditions[at];
        if present.status == condition.status && present.reason == condition.reason {
            return;
        }
        if present.status == condition.status {
            condition.last_transition_time = present.last_transition_time.clone();
        }
        conditions.remove(at);
    }
    conditions.push(condition);
}

fn remove_condition(status: &mut DeploymentStatus, type_: &str) {
    if let Some(conditions) = status.conditions.as_mut() {
        conditions.retain(|condition| condition.type_.as_deref() != Some(type_));
    }
}

/// The API leaves out counts that are zero.
fn non_zero(count: i32) -> Option<i32> {
    (count != 0).then_some(count)
}

/// Counts and the Available condition, from the ReplicaSets' status.
pub fn counts(
    deployment: &Deployment,
    all: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let target = Target::of(deployment);
    let sum = |count: &dyn Fn(&ReplicaSet) -> i32| all.iter().map(count).sum::<i32>();
    let of_status =
        |set: &ReplicaSet, count: fn(&k8s_openapi::api::apps::v1::ReplicaSetStatus) -> Option<i32>| {
            set.status.as_ref().and_then(count).unwrap_or(0)
        };
    let available = sum(&|set| of_status(set, |status| status.available_replicas));
    let wanted = sum(&replicas_of);
    let mut status = DeploymentStatus {
        observed_generation: deployment.metadata.generation,
        replicas: non_zero(sum(&|set| of_status(set, |status| Some(status.replicas)))),
        updated_replicas: new.and_then(|set| non_zero(of_status(set, |status| Some(status.replicas)))),
        ready_replicas: non_zero(sum(&|set| of_status(set, |status| status.ready_replicas))),
        available_replicas: non_zero(available),
        unavailable_replicas: non_zero((wanted - available).max(0)),
        terminating_replicas: Some(sum(&|set| of_status(set, |status| status.terminating_replicas))),
        collision_count: old.collision_count,
        conditions: old.conditions,
    };
    let minimum = if available >= target.min_available() {
        let message = "Deployment has minimum availability.".to_owned();
        new_condition(AVAILABLE, "True", "MinimumReplicasAvailable", message, now)
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        new_condition(AVAILABLE, "False", "MinimumReplicasUnavailable", message, now)
    };
    set_condition(&mut status, minimum);
    status
}

/// Counts plus progress: complete, progressing, or timed out.
pub fn rollout(
    deployment: &Deployment,
    all: &[ReplicaSet],
    new: Option<&ReplicaSet>,
    now: Timestamp,
) -> DeploymentStatus {
    let old = deployment.status.clone().unwrap_or_default();
    let mut status = counts(deployment, all, new, now);
    let subject = match new {
        Some(set) => format!("ReplicaSet \"{}\"", set.name_any()),
        None => format!("Deployment \"{}\"", deployment.name_any()),
    };
    let current = condition(&old, PROGRESSING);
    let was_complete = status.replicas == status.updated_replicas
        && current.is_some_and(|current| current.reason.as_deref() == Some(AVAILABLE_REASON));
    match progress_deadline(deployment) {
        None => remove_condition(&mut status, PROGRESSING),
        Some(_) if was_complete => {}
        Some(deadline) => {
            if is_complete(deployment, &status) {
                let message = format!("{subject} has successfully progressed.");
                set_condition(
                    &mut status,
                    new_condition(PROGRESSING, "True", AVAILABLE_REASON, message, now),
                );
            } else if is_progressing(&old, &status) {
                let message = format!("{subject} is progressing.");
                let mut progressing = new_condition(PROGRESSING, "True", UPDATED, message, now);
                // Replaced even with the same reason: the time of the last progress counts.
                if let Some(current) = current {
                    if current.status.as_deref() == Some("True") {
                        progressing.last_transition_time = current.last_transition_time.clone();
                    }
                    remove_condition(&mut status, PROGRESSING);
                }
                set_condition(&mut status, progressing);
            } else if is_timed_out(&status, deadline, now) {
                let message = format!("{subject} has timed out progressing.");
                set_condition(&mut status, new_condition(PROGRESSING, "False", TIMED_OUT, message, now));
            }
        }
    }
    match replica_failure(all, new) {
        Some(failure) => set_condition(&mut status, failure),
        None => remove_condition(&mut status, REPLICA_FAILURE),
    }
    status
}

/// True if all replicas are of the current template and available, and nothing of an old one is left.
pub fn is_complete(deployment: &Deployment, status: &DeploymentStatus) -> bool {
    let replicas = non_zero(Target::of(deployment).replicas);
    let zero_is_none = |count: Option<i32>| count.filter(|count| *count != 0);
    zero_is_none(status.updated_replicas) == replicas
        && zero_is_none(status.replicas) == replicas
        && zero_is_none(status.available_replicas) == replicas
        && status.observed_generation >= deployment.metadata.generation
}

fn is_progressing(old: &DeploymentStatus, new: &DeploymentStatus) -> bool {
    let count = |count: Option<i32>| count.unwrap_or(0);
    let outdated = |status: &DeploymentStatus| count(status.replicas) - count(status.updated_replicas);
    count(new.updated_replicas) > count(old.updated_replicas)
        || outdated(new) < outdated(old)
        || count(new.ready_replicas) > count(old.ready_replicas)
        || count(new.available_replicas) > count(old.available_replicas)
}

fn is_timed_out(status: &DeploymentStatus, deadline: Duration, now: Timestamp) -> bool {
    let Some(progressing) = condition(status, PROGRESSING) else { return false };
    match progressing.reason.as_deref() {
        Some(AVAILABLE_REASON) => false,
        Some(TIMED_OUT) => true,
        _ => until_timeout(progressing, deadline, now).is_some_and(|left| left.is_zero()),
    }
}

/// Time left until the deadline passes, zero if it has.
fn until_timeout(progressing: &DeploymentCondition, deadline: Duration, now: Timestamp) -> Option<Duration> {
    let since = progressing.last_update_time.as_ref()?.0;
    let passed = Duration::try_from(now.duration_since(since)).unwrap_or_default();
    // The time is stored in whole seconds: "more than" as in Kubernetes, so wait one instant longer.
    Some((deadline + Duration::from_millis(1)).saturating_sub(passed))
}

/// When a rollout that does not move has to be looked at again.
pub fn check_deadline_in(
    deployment: &Deployment,
    status: &DeploymentStatus,
    now: Timestamp,
) -> Option<Duration> {
    let progressing = condition(status, PROGRESSING)?;
    let settled = matches!(progressing.reason.as_deref(), Some(TIMED_OUT | PAUSED));
    if settled || is_complete(deployment, status) {
        return None;
    }
    until_timeout(progressing, progress_deadline(deployment)?, now)
}

/// A ReplicaSet that cannot create or delete pods; the one of the current template counts first.
fn replica_failure(all: &[ReplicaSet], new: Option<&ReplicaSet>) -> Option<DeploymentCondition> {
    let failure = |set: &ReplicaSet| {
        let conditions = set.status.as_ref().and_then(|status| status.conditions.as_ref())?;
        let failure =
            conditions.iter().find(|condition| condition.type_.as_deref() == Some(REPLICA_FAILURE))?;
        Some(DeploymentCondition {
            type_: Some(REPLICA_FAILURE.to_owned()),
            status: failure.status.clone(),
            reason: failure.reason.clone(),
            message: failure.message.clone(),
            last_update_time: failure.last_transition_time.clone(),
            last_transition_time: failure.last_transition_time.clone(),
        })
    };
    new.and_then(failure).or_else(|| all.iter().find_map(failure))
}

/// Status after a change of `spec.paused`, if the Progressing condition has to say so.
pub fn paused(deployment: &Deployment, now: Timestamp) -> Option<DeploymentStatus> {
    progress_deadline(deployment)?;
    let mut status = deployment.status.clone().unwrap_or_default();
    let reason = condition(&status, PROGRESSING).and_then(|progressing| progressing.reason.as_deref());
    if reason == Some(TIMED_OUT) {
        return None;
    }
    let is_paused = deployment.spec.paused.unwrap_or(false);
    let (reason, message) = match (is_paused, reason == Some(PAUSED)) {
        (true, false) => (PAUSED, "Deployment is paused"),
        (false, true) => (RESUMED, "Deployment is resumed"),
        _ => return None,
    };
    set_condition(&mut status, new_condition(PROGRESSING, "Unknown", reason, message.to_owned(), now));
    Some(status)
}
