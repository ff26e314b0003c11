//! How far each ReplicaSet of a Deployment is scaled next: pure arithmetic, the rules of Kubernetes' deployment controller.

use std::cmp::Reverse;

use k8s_openapi::{
    api::apps::v1::{Deployment, ReplicaSet},
    apimachinery::pkg::util::intstr::IntOrString,
    jiff::Timestamp,
};
use kube::ResourceExt;

use super::annotations::{DESIRED_REPLICAS, MAX_REPLICAS, number};

/// What a Deployment asks for, with defaults filled in and percentages resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// `spec.replicas`.
    pub replicas: i32,
    /// Pods that may exist above `replicas` (0 with Recreate).
    pub max_surge: i32,
    /// Pods that may be unavailable (0 with Recreate).
    pub max_unavailable: i32,
    /// False with strategy Recreate.
    pub rolling: bool,
}

impl Target {
    /// Reads it from a Deployment.
    pub fn of(deployment: &Deployment) -> Self {
        let replicas = deployment.spec.replicas.unwrap_or(1);
        let strategy = deployment.spec.strategy.as_ref();
        let rolling = strategy.and_then(|strategy| strategy.type_.as_deref()) != Some("Recreate");
        if !rolling {
            return Self { replicas, max_surge: 0, max_unavailable: 0, rolling };
        }
        let rolling_update = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
        let surge = rolling_update.and_then(|update| update.max_surge.as_ref());
        let unavailable = rolling_update.and_then(|update| update.max_unavailable.as_ref());
        let (max_surge, max_unavailable) = fenceposts(surge, unavailable, replicas);
        Self { replicas, max_surge, max_unavailable: max_unavailable.min(replicas), rolling }
    }

    /// Most pods that may exist during a rollout.
    pub fn max_total(&self) -> i32 {
        self.replicas + self.max_surge
    }

    /// Fewest pods that must be available during a rollout.
    pub fn min_available(&self) -> i32 {
        self.replicas - self.max_unavailable
    }
}

/// maxSurge rounded up and maxUnavailable rounded down; if both come to 0, one pod may be unavailable, else nothing could move.
pub fn fenceposts(
    surge: Option<&IntOrString>,
    unavailable: Option<&IntOrString>,
    replicas: i32,
) -> (i32, i32) {
    let surge = resolve(surge, replicas, true);
    let unavailable = resolve(unavailable, replicas, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// A number, or a percentage of `total`; 25 % if absent, 0 if it cannot be read (the API refuses such a value).
fn resolve(value: Option<&IntOrString>, total: i32, up: bool) -> i32 {
    let percent = match value {
        None => 25,
        Some(IntOrString::Int(number)) => return *number,
        Some(IntOrString::String(text)) => match text.strip_suffix('%').map(str::parse::<i64>) {
            Some(Ok(percent)) => percent,
            _ => return 0,
        },
    };
    let exact = percent * i64::from(total);
    let rounded = if up { (exact + 99).div_euclid(100) } else { exact.div_euclid(100) };
    i32::try_from(rounded).unwrap_or(i32::MAX)
}

/// The numbers of one ReplicaSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    /// Name of the ReplicaSet.
    pub name: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.replicas`.
    pub actual: i32,
    /// `status.availableReplicas`.
    pub available: i32,
    /// Annotation `desired-replicas`: the Deployment's replicas when it was last scaled.
    pub desired: Option<i32>,
    /// Annotation `max-replicas`.
    pub max: Option<i32>,
}

impl Size {
    /// Reads them from a ReplicaSet.
    pub fn of(set: &ReplicaSet) -> Self {
        let status = set.status.as_ref();
        Self {
            name: set.name_any(),
            created: set.creation_timestamp().map(|time| time.0),
            replicas: replicas_of(set),
            actual: status.map_or(0, |status| status.replicas),
            available: status.and_then(|status| status.available_replicas).unwrap_or(0),
            desired: number(set, DESIRED_REPLICAS),
            max: number(set, MAX_REPLICAS),
        }
    }
}

/// `spec.replicas`, 1 if absent.
pub fn replicas_of(set: &ReplicaSet) -> i32 {
    set.spec.replicas.unwrap_or(1)
}

/// One step: this ReplicaSet gets that many replicas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScaleTo {
    /// Name of the ReplicaSet.
    pub name: String,
    /// New `spec.replicas`.
    pub replicas: i32,
}

fn total(sizes: &[Size]) -> i32 {
    sizes.iter().map(|size| size.replicas).sum()
}

/// Replicas that a ReplicaSet of the current template gets, now or when it is created (`NewRSNewReplicas`). `new` is its present
/// size and `all` the sum over all ReplicaSets including it.
pub fn new_replicas(target: &Target, new: i32, all: i32) -> i32 {
    if !target.rolling {
        return target.replicas;
    }
    if all >= target.max_total() {
        return new;
    }
    new + (target.max_total() - all).min(target.replicas - new)
}

/// Next step of a rolling update. First the new ReplicaSet; only if there is nothing to do for it, the old ones.
pub fn rolling_update(target: &Target, new: &Size, old: &[Size]) -> Vec<ScaleTo> {
    let all = new.replicas + total(old);
    let wanted = if new.replicas > target.replicas {
        target.replicas
    } else {
        new_replicas(target, new.replicas, all)
    };
    if wanted != new.replicas {
        return vec![ScaleTo { name: new.name.clone(), replicas: wanted }];
    }
    scale_down_old(target, new, old)
}

fn scale_down_old(target: &Target, new: &Size, old: &[Size]) -> Vec<ScaleTo> {
    let mut old: Vec<Size> = old.iter().filter(|size| size.replicas > 0).cloned().collect();
    old.sort_by(|one, other| (one.created, &one.name).cmp(&(other.created, &other.name)));
    let new_unavailable = new.replicas - new.available;
    let may_go = new.replicas + total(&old) - target.min_available() - new_unavailable;
    let mut steps = Vec::new();
    if may_go <= 0 {
        return steps;
    }
    // Unhealthy old pods first: removing them cannot lower the availability.
    let mut gone = 0;
    for size in &mut old {
        let down = (size.replicas - size.available).min(may_go - gone);
        if down > 0 {
            size.replicas -= down;
            gone += down;
            steps.push(ScaleTo { name: size.name.clone(), replicas: size.replicas });
        }
    }
    // Then healthy ones, as far as the minimum allows.
    let available = new.available + old.iter().map(|size| size.available).sum::<i32>();
    let mut spare = available - target.min_available();
    for size in &mut old {
        let down = size.replicas.min(spare);
        if down > 0 {
            size.replicas -= down;
            spare -= down;
            steps.push(ScaleTo { name: size.name.clone(), replicas: size.replicas });
        }
    }
    steps
}

/// True if some ReplicaSet was last scaled for another number of replicas than the Deployment asks for now.
pub fn is_scaling_event<'a>(target: &Target, sizes: impl IntoIterator<Item = &'a Size>) -> bool {
    let mut active = sizes.into_iter().filter(|size| size.replicas > 0);
    active.any(|size| size.desired.is_some_and(|desired| desired != target.replicas))
}

/// Steps after the Deployment was scaled, or while it is paused: a single active ReplicaSet takes all, several of them (a
/// rollout in progress) share the change in proportion to their size.
pub fn scale(target: &Target, new: Option<&Size>, old: &[Size], status_replicas: i32) -> Vec<ScaleTo> {
    let to = |size: &Size, replicas: i32| {
        (size.replicas != replicas).then(|| ScaleTo { name: size.name.clone(), replicas }).into_iter()
    };
    let mut active: Vec<&Size> = old.iter().chain(new).filter(|size| size.replicas > 0).collect();
    let only = match active.as_slice() {
        [] => new.or_else(|| old.iter().max_by_key(|size| size.created)),
        [one] => Some(*one),
        _ => None,
    };
    if let Some(only) = only {
        return to(only, target.replicas).collect();
    }
    if new.is_some_and(|new| is_saturated(target, new)) {
        let old = old.iter().filter(|size| size.replicas > 0);
        return old.flat_map(|size| to(size, 0)).collect();
    }
    if !target.rolling || active.is_empty() {
        return Vec::new();
    }
    let allowed = if target.replicas > 0 { target.max_total() } else { 0 };
    let to_add = allowed - active.iter().map(|size| size.replicas).sum::<i32>();
    // The largest gets the leftover. Of equally large ones the newer first when growing, the older first when shrinking.
    if to_add > 0 {
        active.sort_by_key(|size| (Reverse(size.replicas), Reverse(size.created)));
    } else {
        active.sort_by_key(|size| (Reverse(size.replicas), size.created));
    }
    let mut added = 0;
    let mut sizes: Vec<i32> = Vec::with_capacity(active.len());
    for size in &active {
        let share = proportion(size, target, to_add, added, status_replicas);
        sizes.push(size.replicas + share);
        added += share;
    }
    if let Some(first) = sizes.first_mut()
        && to_add != 0
    {
        *first = (*first + to_add - added).max(0);
    }
    active.iter().zip(sizes).flat_map(|(size, replicas)| to(size, replicas)).collect()
}

fn is_saturated(target: &Target, new: &Size) -> bool {
    new.replicas == target.replicas
        && new.desired == Some(target.replicas)
        && new.available == target.replicas
}

/// Share of `to_add` for one ReplicaSet (`GetReplicaSetProportion`).
fn proportion(size: &Size, target: &Target, to_add: i32, added: i32, status_replicas: i32) -> i32 {
    if size.replicas == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let fraction = if target.replicas == 0 {
        -size.replicas
    } else {
        let before = size.max.filter(|max| *max > 0).unwrap_or(status_replicas);
        if before == 0 {
            return 0;
        }
        let exact = f64::from(size.replicas) * f64::from(target.max_total()) / f64::from(before);
        exact.round() as i32 - size.replicas
    };
    let left = to_add - added;
    if to_add > 0 { fraction.min(left) } else { fraction.max(left) }
}
